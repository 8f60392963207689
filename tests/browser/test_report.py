"""The report page in a real browser: what is drawn lies where the data says, in step with the video, offline."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from poseworks.core import COCO_17, H36M_17, PoseSequence, poses_from_arrays, read_poses
from poseworks.core.report import Lane, Report, ReportTrack, Span, Timeline, embed, write_report
from poseworks.core.testing import walking_poses
from poseworks.pipeline import ChainConfig, FilterStep, default_chain, demo, demo_clip, run_chain
from poseworks.temporal.filters import Gaussian

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
Open = Callable[..., "Page"]
BLUE, ORANGE = (0x4C, 0xC3, 0xFF), (0xFF, 0xA0, 0x3C)  # over a video
PLAIN_BLUE, PLAIN_GREEN = (0x00, 0x72, 0xB2), (0x00, 0x79, 0x5A)  # on a plain ground, light
SIDES = (0x6F, 0x4B, 0xC6), (0xC5, 0x28, 0x4D)  # left and right in 3D, light
GAUSSIAN = ChainConfig(steps=(FilterStep(filter=Gaussian(sigma_frames=1)),))


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "out"
    demo(folder, default_chain(unswap=False, fit=None))
    return folder


@pytest.fixture
def demo_page(demo_folder: Path, open_page: Open) -> Page:
    return open_page(demo_folder / "report.html")


def go(page: Page, frame: int) -> None:
    """Moves the slider and waits until that frame is on show."""
    page.locator("#slider").fill(str(frame))
    page.wait_for_function("frame => poseworks.clock.frame === frame", arg=frame)


def pixels(page: Page, places: np.ndarray, radius: int = 2) -> np.ndarray:
    """(N, (2 radius + 1)^2, 4) colours of the first stage's canvas around places (N, 2) in pixels of the video."""
    return np.array(
        page.evaluate(
            """([places, radius]) => {
                const { canvas, view } = poseworks.stages[0];
                const scale = Math.min(canvas.width / view.width, canvas.height / view.height);
                const side = 2 * radius + 1;
                const pen = canvas.getContext("2d");
                return places.map(([x, y]) => {
                    const [beside, above] = [canvas.width - view.width * scale, canvas.height - view.height * scale];
                    const left = Math.round((x - view.left) * scale + beside / 2) - radius;
                    const top = Math.round((y - view.top) * scale + above / 2) - radius;
                    const data = pen.getImageData(left, top, side, side).data;
                    return Array.from({ length: side * side }, (_, i) => Array.from(data.slice(4 * i, 4 * i + 4)));
                });
            }""",
            [places.tolist(), radius],
        )
    )


def near(colours: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(N,) whether any pixel of each place has about this colour and is opaque enough to be seen."""
    close = np.abs(colours[..., :3] - np.array(colour)).max(-1) < 40
    return (close & (colours[..., 3] > 90)).any(-1)


def count(page: Page, selector: str, colour: tuple[int, int, int]) -> list[int]:
    """How many pixels of each canvas have about this colour."""
    return page.evaluate(
        """([selector, colour]) => [...document.querySelectorAll(selector)].map((canvas) => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let found = 0;
            for (let i = 0; i < data.length; i += 4) {
                const far = Math.max(...colour.map((value, c) => Math.abs(data[i + c] - value)));
                if (far < 40 && data[i + 3] > 90) found++;
            }
            return found;
        })""",
        [selector, colour],
    )


def picture(page: Page) -> np.ndarray:
    """(190, 640, 3) what the video element shows, at half its size."""
    text = page.evaluate(
        """() => {
            const copy = document.createElement("canvas");
            [copy.width, copy.height] = [640, 190];
            const pen = copy.getContext("2d");
            pen.drawImage(poseworks.stages[0].video, 0, 0, 640, 190);
            const { data } = pen.getImageData(0, 0, 640, 190);
            let text = "";
            for (let i = 0; i < data.length; i++) text += String.fromCharCode(data[i]);
            return btoa(text);
        }"""
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(190, 640, 4)[..., :3].astype(int)


def body(poses: PoseSequence, frame: int) -> np.ndarray:
    """Places of shoulders, hips, knees and ankles: joints that lie apart."""
    names = [f"{side}_{part}" for side in ("left", "right") for part in ("shoulder", "hip", "knee", "ankle")]
    return poses.positions[0, frame, [poses.joint_names.index(name) for name in names]]


@pytest.mark.parametrize("frame", [20, 61, 117])
def test_the_skeleton_is_drawn_where_the_data_says(demo_page: Page, demo_folder: Path, frame: int) -> None:
    smooth = read_poses(demo_folder / "poses2d.smooth.npz")
    go(demo_page, frame)
    assert near(pixels(demo_page, body(smooth, frame)), BLUE).all()
    background = np.array([[40, 40], [1240, 360], [200, 300]])  # where nobody walks in these frames
    assert (pixels(demo_page, background)[..., 3] == 0).all()


def test_hiding_a_track_shows_the_one_under_it(demo_page: Page, demo_folder: Path) -> None:
    raw = read_poses(demo_folder / "poses2d.npz")
    go(demo_page, 61)
    demo_page.get_by_role("checkbox", name="Smoothed").uncheck(force=True)
    assert count(demo_page, ".stage:not(.space) canvas", BLUE) == [0]
    assert near(pixels(demo_page, body(raw, 61), radius=5), ORANGE).all()
    demo_page.get_by_role("checkbox", name="Detected").uncheck(force=True)
    demo_page.locator("#trail").select_option("")
    assert (pixels(demo_page, body(raw, 61), radius=5)[..., 3] == 0).all()


def test_the_slider_moves_the_picture(demo_page: Page) -> None:
    shots, pictures = {}, {}
    for frame in (30, 90):
        go(demo_page, frame)
        shots[frame] = demo_page.evaluate(
            "() => ({ drawn: poseworks.stages[0].canvas.toDataURL(), seconds: poseworks.stages[0].video.currentTime })"
        )
        pictures[frame] = picture(demo_page)
        assert frame / 30 < shots[frame]["seconds"] < (frame + 1) / 30
    assert shots[30]["drawn"] != shots[90]["drawn"]
    changed = (np.abs(pictures[30] - pictures[90]).max(-1) > 40).mean()
    assert 0.01 < changed < 0.5  # the woman has moved, the wall has not


def test_the_skeleton_lies_on_the_woman(demo_page: Page, demo_folder: Path) -> None:
    """What changes in the picture between two frames is where the skeleton is: video and data are in step."""
    smooth = read_poses(demo_folder / "poses2d.smooth.npz")
    pictures = {}
    for frame in (40, 50, 60):
        go(demo_page, frame)
        demo_page.wait_for_timeout(100)
        pictures[frame] = picture(demo_page)
    moved = np.minimum(
        np.abs(pictures[50] - pictures[40]).max(-1), np.abs(pictures[50] - pictures[60]).max(-1)
    )  # what is there in frame 50 alone
    columns = np.flatnonzero((moved > 50).sum(0) > 12)
    hips = smooth.positions[0, 50, [smooth.joint_names.index("left_hip"), smooth.joint_names.index("right_hip")], 0]
    assert abs(np.median(columns) * 2 - hips.mean()) < 40


def test_play_pause_and_step(demo_page: Page) -> None:
    go(demo_page, 20)
    demo_page.get_by_role("button", name="Play", exact=True).click()
    demo_page.wait_for_function("() => poseworks.clock.frame > 30")
    demo_page.get_by_role("button", name="Pause", exact=True).click()
    demo_page.wait_for_function("() => poseworks.stages[0].video.paused")
    demo_page.wait_for_timeout(200)
    state = demo_page.evaluate(
        """() => ({ frame: poseworks.clock.frame, target: poseworks.clock.target, playing: poseworks.clock.playing,
                    seconds: poseworks.stages[0].video.currentTime, width: poseworks.stages[0].video.videoWidth,
                    slider: document.getElementById("slider").value })"""
    )
    assert not state["playing"]
    assert state["width"] == 1280
    assert abs(state["seconds"] * 30 - state["frame"]) <= 1.5
    assert state["frame"] == state["target"] == int(state["slider"])
    demo_page.keyboard.press("ArrowRight")
    demo_page.wait_for_function("frame => poseworks.clock.frame === frame", arg=state["frame"] + 1)
    demo_page.keyboard.press("Shift+ArrowLeft")
    demo_page.wait_for_function("frame => poseworks.clock.frame === frame", arg=state["frame"] - 9)
    demo_page.keyboard.press("End")
    demo_page.wait_for_function("() => poseworks.clock.frame === 117")
    demo_page.keyboard.press("Space")
    demo_page.wait_for_function(
        "() => poseworks.clock.playing && poseworks.clock.frame > 2 && poseworks.clock.frame < 60"
    )


def test_each_frame_of_the_video_is_reached(demo_page: Page) -> None:
    """Stepping shows every frame once: the index drawn is the one that the browser presents."""
    go(demo_page, 50)
    for frame in range(51, 61):
        demo_page.keyboard.press("ArrowRight")
        demo_page.wait_for_function("frame => poseworks.clock.frame === frame", arg=frame)
        seconds = demo_page.evaluate(
            """() => new Promise((resolve) => {
                const { video } = poseworks.stages[0];
                video.requestVideoFrameCallback((_, facts) => resolve(facts.mediaTime));
                setTimeout(() => resolve(video.currentTime), 300);
            })"""
        )
        assert int(seconds * 30 + 1e-3) == frame


def test_curves_are_drawn_and_clicking_them_seeks(demo_page: Page) -> None:
    captions = demo_page.locator(".plot .caption b").all_text_contents()
    assert captions == ["x", "y", "Speed", "Acceleration"]
    assert min(count(demo_page, ".plot canvas", PLAIN_BLUE)) > 200
    assert min(count(demo_page, ".plot canvas", (0xC8, 0x5A, 0x00))) > 50
    canvas = demo_page.locator(".plot canvas").first
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": 52 + 0.5 * (box["width"] - 60), "y": 60})
    demo_page.wait_for_function("() => Math.abs(poseworks.clock.frame - 59) <= 1")
    demo_page.locator("#joint").select_option("left_wrist")
    assert demo_page.locator("#curves-title").text_content() == "left wrist"


def test_the_first_frames_without_a_detection_are_skipped(demo_folder: Path, open_page: Open) -> None:
    page = open_page(demo_folder / "report.html")
    page.wait_for_function("() => poseworks.clock.frame === 6")
    go(page, 2)
    flat = ".stage:not(.space) canvas"
    assert count(page, flat, ORANGE) == count(page, flat, BLUE) == [0]


@pytest.mark.parametrize("width", [360, 768, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_size_scrolls_sideways(demo_folder: Path, open_page: Open, tmp_path: Path, width: int, scheme: str) -> None:
    page = open_page(demo_folder / "report.html", width=width, scheme=scheme)
    go(page, 60)
    page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_zooming_keeps_the_skeleton_on_the_video(demo_page: Page, demo_folder: Path) -> None:
    go(demo_page, 61)
    demo_page.get_by_label("Zoom to person").check()
    demo_page.wait_for_timeout(100)
    smooth = read_poses(demo_folder / "poses2d.smooth.npz")
    knee = smooth.positions[0, 61, smooth.joint_names.index("right_knee")].tolist()
    canvas, video = demo_page.evaluate(
        """([x, y]) => {
            const { view, video, box } = poseworks.stages[0];
            const out = new Float32Array(2);
            view.place({ positions: [x, y], at: () => 0 }, 0, 0, 0, out, 0);
            const frame = video.getBoundingClientRect(); // after the zoom
            const outer = box.getBoundingClientRect();
            const fit = Math.min(frame.width / 1280, frame.height / 380);
            const left = frame.left - outer.left + (frame.width - 1280 * fit) / 2;
            const top = frame.top - outer.top + (frame.height - 380 * fit) / 2;
            return [Array.from(out), [left + x * fit, top + y * fit]];
        }""",
        knee,
    )
    np.testing.assert_allclose(canvas, video, atol=0.6)


def test_three_dimensions_turn_and_play_without_a_video(tmp_path: Path, open_page: Open) -> None:
    poses = walking_poses(60, 2, rng=np.random.default_rng(0))
    write_report(tmp_path / "space.html", Report("Space", (ReportTrack("Walk", poses),)))
    page = open_page(tmp_path / "space.html")
    assert page.locator(".plot .caption b").all_text_contents() == ["x", "y", "z", "Speed", "Acceleration"]
    canvas = page.locator(".stage canvas")
    before = canvas.screenshot()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 220, steps=4)
    page.mouse.up()
    assert canvas.screenshot() != before
    assert min(count(page, ".stage canvas", colour)[0] for colour in SIDES) > 300
    page.keyboard.press("Space")
    page.wait_for_function("() => poseworks.clock.frame > 5")


def test_heads_are_up_whatever_the_axes(tmp_path: Path, open_page: Open) -> None:
    upright = walking_poses(20, rng=np.random.default_rng(0))  # z up
    x, y, z = np.moveaxis(upright.positions, -1, 0)
    for name, axes in {"z up": (x, y, z), "y down": (x, -z, y), "y up": (x, z, -y)}.items():
        turned = upright.replace(positions=np.stack(axes, -1), frame="camera")
        path = tmp_path / f"{name}.html"
        write_report(path, Report(name, (ReportTrack("Walk", turned),)))
        page = open_page(path)
        assert page.evaluate("poseworks.stages[0].view.up") == name


def in_space(page: Page, expression: str) -> Any:
    """An expression about `stage`, the 3D one."""
    return page.evaluate(f"() => {{ const stage = poseworks.stages.at(-1); return {expression}; }}")


def lifted(frames: int = 118, people: int = 1, *, frame: str = "root", unit: str = "normalised") -> PoseSequence:
    """Walking people in camera axes, 4 m away, or about the pelvis of each frame."""
    poses = walking_poses(frames, people, rng=np.random.default_rng(0))
    x, y, z = np.moveaxis(poses.positions, -1, 0)
    positions = np.stack((y, -z, 4 - x), -1)
    if frame == "root":
        positions = positions - positions[:, :, :1]
    return poses.replace(positions=positions, frame=frame, unit=unit)


@pytest.fixture
def both(demo_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """`both(poses3d)`: a page with the demo's video, its 2D tracks and this one in 3D."""

    def write(poses: PoseSequence) -> Path:
        flat = [read_poses(demo_folder / name) for name in ("poses2d.npz", "poses2d.smooth.npz")]
        tracks = (
            ReportTrack("Detected", flat[0], "orange", False),
            ReportTrack("Smoothed", flat[1]),
            ReportTrack("Lifted", poses, "green"),
        )
        write_report(tmp_path / "both.html", Report("Both", tracks, video=demo_clip().video))
        return tmp_path / "both.html"

    return write


@pytest.mark.parametrize(("width", "beside"), [(1600, True), (1000, True), (700, False), (360, False)])
def test_2d_and_3d_stand_side_by_side_where_there_is_room(
    both: Callable[..., Path], demo_folder: Path, open_page: Open, width: int, beside: bool
) -> None:
    page = open_page(both(lifted()), width=width, height=800)
    go(page, 61)
    boxes = [stage.bounding_box() for stage in page.locator(".stage").all()]
    video, space = (box for box in boxes if box is not None)
    if beside:
        assert (video["y"], video["height"]) == (space["y"], space["height"])
        assert video["x"] + video["width"] <= space["x"] + 0.5
    else:
        assert video["y"] + video["height"] <= space["y"] + 1.5
        assert video["width"] == pytest.approx(space["width"], abs=1)
    assert min(space["width"], space["height"]) >= 280
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert near(pixels(page, body(read_poses(demo_folder / "poses2d.smooth.npz"), 61), radius=3), BLUE).all()
    assert min(count(page, ".stage.space canvas", colour)[0] for colour in SIDES) > 100


def test_3d_moves_in_step_with_the_video(both: Callable[..., Path], open_page: Open) -> None:
    slower = lifted(59).replace(fps=15.0)  # half the video's rate
    page = open_page(both(slower))
    drawn = set()
    for frame in (20, 60, 61, 100):
        go(page, frame)
        assert in_space(page, "stage.frameOf(stage.tracks[0])") == frame // 2
        drawn.add(in_space(page, "stage.canvas.toDataURL()"))
    assert len(drawn) == 3  # 60 and 61 are one frame of it
    page.keyboard.press("Home")
    page.wait_for_function("() => poseworks.clock.frame === 0")
    page.keyboard.press("Space")
    page.wait_for_function("() => poseworks.clock.frame > 20")
    assert in_space(page, "stage.frameOf(stage.tracks[0])") >= 10


def test_somebody_who_squats_sinks_and_stays_on_the_ground(tmp_path: Path, open_page: Open) -> None:
    """About the pelvis it is the feet that rise; on the ground it has to be the pelvis that sinks."""
    poses = lifted(120)
    down = 0.4 * np.sin(np.linspace(0, np.pi, 120))[:, None]
    feet = [j for j, name in enumerate(poses.joint_names) if "ankle" in name]
    positions = poses.positions.copy()
    positions[0, :, :, 1] = positions[0, :1, :, 1]
    positions[0][:, feet, 1] = positions[0, :, feet, 1].max() - down
    positions[0, 60, feet[0], 1] += 5  # one wild frame
    write_report(tmp_path / "squat.html", Report("Squat", (ReportTrack("a", poses.replace(positions=positions)),)))
    page = open_page(tmp_path / "squat.html")
    heights = np.array(
        in_space(
            page,
            """[...Array(120).keys()].map((t) => ["left_ankle", "pelvis"].map((name) => {
                const { tracks: [track], view } = stage;
                return view.where(track, 0, t, track.joints.indexOf(name))[1] - view.ground;
            }))""",
        )
    )
    rest = np.delete(np.arange(120), 60)
    assert np.abs(heights[rest, 0]).max() < 0.02
    standing = positions[0, 0, feet, 1].max()
    np.testing.assert_allclose(heights[rest, 1], standing - down[rest, 0], atol=0.02)
    assert max(in_space(page, "stage.view.size")) < 2.5  # the wild joint does not make everybody small


def test_people_without_a_place_stand_side_by_side(tmp_path: Path, open_page: Open) -> None:
    for frame in ("root", "camera"):
        poses = lifted(60, 3, frame=frame, unit="m")
        write_report(tmp_path / f"{frame}.html", Report("Three", (ReportTrack("Lifted", poses),)))
        page = open_page(tmp_path / f"{frame}.html")
        pelvis = in_space(page, "[0, 1, 2].map((p) => stage.view.where(stage.tracks[0], p, 30, 0))")
        if frame == "root":
            assert np.diff([x for x, _, _ in pelvis]).min() > 0.5
            assert {z for _, _, z in pelvis} == {0}
        else:  # at their places: y down, z away
            expected = poses.positions[:, 30, 0] * [1, -1, -1]
            np.testing.assert_allclose(pelvis, expected, atol=1e-6)


def test_the_path_is_drawn_where_there_is_one(tmp_path: Path, open_page: Open) -> None:
    found = {}
    for frame in ("root", "camera"):
        track = ReportTrack("Lifted", lifted(90, frame=frame, unit="m"), "green")
        write_report(tmp_path / f"{frame}.html", Report("Path", (track,)))
        page = open_page(tmp_path / f"{frame}.html")
        go(page, 80)
        found[frame] = count(page, ".stage canvas", PLAIN_GREEN)[0]
    assert found["root"] == 0
    assert found["camera"] > 150


def test_the_unit_is_said_and_metres_only_of_metres(tmp_path: Path, open_page: Open) -> None:
    said = {}
    for unit in ("normalised", "m", "mm"):
        poses = lifted(20, unit=unit)
        poses = poses.replace(positions=poses.positions * (1000 if unit == "mm" else 1))
        write_report(tmp_path / f"{unit}.html", Report("Unit", (ReportTrack("Lifted", poses),)))
        said[unit] = open_page(tmp_path / f"{unit}.html").locator(".stage .caption").text_content() or ""
    assert "Grid 0.5 (normalised, not metres) · pelvis held in place" in said["normalised"]
    assert "Grid 0.5 m ·" in said["m"]
    assert "Grid 500 mm ·" in said["mm"]


def test_hands_turn_move_and_zoom_the_3d_view(both: Callable[..., Path], open_page: Open) -> None:
    page = open_page(both(lifted()), height=700)
    frame = page.evaluate("poseworks.clock.frame")
    canvas = page.locator(".stage.space canvas")
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(400)  # a page that has just scrolled keeps the wheel
    box = canvas.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def view() -> dict[str, float]:
        return in_space(
            page, 'Object.fromEntries(["yaw", "pitch", "magnify", "panX", "panY"].map((k) => [k, stage.view[k]]))'
        )

    def drag(by: tuple[int, int]) -> None:
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + by[0], middle[1] + by[1], steps=4)
        page.mouse.up()

    start = view()
    drag((50, 25))
    turned = view()
    assert turned["yaw"] - start["yaw"] == pytest.approx(-0.4)
    assert turned["pitch"] - start["pitch"] == pytest.approx(0.2)
    page.keyboard.down("Shift")
    drag((30, 0))
    page.keyboard.up("Shift")
    assert view()["panX"] * box["height"] == pytest.approx(30, abs=1)
    assert view()["yaw"] == turned["yaw"]

    page.mouse.move(middle[0] + 40, middle[1])
    under = (
        "() => { const at = new Float32Array(2); stage.view.place(stage.tracks[0], 0, 60, 0, at, 0); return [...at]; }"
    )
    before = in_space(page, f"({under})()")
    scrolled = page.evaluate("scrollY")
    page.mouse.wheel(0, -200)
    page.wait_for_function("() => poseworks.stages.at(-1).view.magnify > 1.2")
    after, factor = in_space(page, f"({under})()"), view()["magnify"]
    pointer = np.array([box["width"] / 2 + 40, box["height"] / 2])  # stays where it is
    np.testing.assert_allclose((np.array(after) - pointer), (np.array(before) - pointer) * factor, atol=2)
    assert page.evaluate("scrollY") == scrolled

    page.get_by_role("button", name="Reset the view").click()
    page.wait_for_function("() => poseworks.stages.at(-1).going === null")
    assert view() == start
    for name, (yaw, pitch) in {"front": (0, 0), "side": (-np.pi / 2, 0), "top": (0, np.pi / 2)}.items():
        button = page.get_by_role("button", name=f"From the {name}")
        button.click()
        page.wait_for_function("() => poseworks.stages.at(-1).going === null")
        assert (view()["yaw"], view()["pitch"]) == pytest.approx((yaw, pitch))
        assert button.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Nearer").click()
    assert view()["magnify"] == pytest.approx(1.25)
    assert page.evaluate("poseworks.clock.frame") == frame  # nothing of this moved the clip


def test_the_front_is_what_the_camera_saw(tmp_path: Path, open_page: Open) -> None:
    """Right stays right and what is nearer to the camera is drawn larger."""
    poses = lifted(30, 2, frame="camera", unit="m")
    write_report(tmp_path / "front.html", Report("Front", (ReportTrack("Lifted", poses),)))
    page = open_page(tmp_path / "front.html")
    page.keyboard.press("1")
    page.wait_for_function("() => poseworks.stages.at(-1).going === null")
    places = in_space(
        page,
        """["pelvis", "head_top"].map((name) => [0, 1].map((p) => {
            const at = new Float32Array(2);
            const { tracks: [track], view } = stage;
            const nearer = view.place(track, p, 20, track.joints.indexOf(name), at, 0);
            return [...at, nearer];
        }))""",
    )
    pelvis, head = np.array(places)
    far, close = poses.positions[:, 20, 0, 2].argmax(), poses.positions[:, 20, 0, 2].argmin()
    assert (head[:, 1] < pelvis[:, 1]).all()
    assert pelvis[close, 2] > pelvis[far, 2]
    assert np.sign(np.diff(pelvis[:, 0])) == np.sign(np.diff(poses.positions[:, 20, 0, 0]))


def test_keys_turn_the_focused_view_and_else_step(both: Callable[..., Path], open_page: Open) -> None:
    page = open_page(both(lifted()))
    go(page, 40)
    yaw = in_space(page, "stage.view.yaw")
    page.locator(".stage.space canvas").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("+")
    turned = in_space(page, "[stage.view.yaw, stage.view.panY > 0, stage.view.magnify]")
    assert turned == [pytest.approx(yaw - 0.1), True, pytest.approx(1.25)]
    assert page.evaluate("poseworks.clock.target") == 40
    page.locator("h1").click()
    page.locator(".stage.space canvas").click(position={"x": 40, "y": 90})  # a click does not take the arrow keys
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => poseworks.clock.frame === 41")
    page.keyboard.press("3")
    page.wait_for_function("() => poseworks.stages.at(-1).going === null")
    assert in_space(page, "stage.view.pitch") == pytest.approx(np.pi / 2)


def test_two_fingers_zoom_and_move(both: Callable[..., Path], open_page: Open) -> None:
    page = open_page(both(lifted()))
    found = in_space(
        page,
        """(() => {
            const finger = (name, id, x, y) => {
                const { left, top } = stage.canvas.getBoundingClientRect();
                const place = { clientX: left + x, clientY: top + y, buttons: 1 };
                stage.canvas.dispatchEvent(new PointerEvent(name, { pointerId: id, pointerType: "touch", ...place }));
            };
            stage.canvas.setPointerCapture = () => {};
            const before = { ...stage.view };
            finger("pointerdown", 1, 100, 150);
            finger("pointerdown", 2, 200, 150);
            finger("pointermove", 2, 250, 150);
            finger("pointermove", 1, 50, 150);
            finger("pointerup", 1, 50, 150);
            finger("pointerup", 2, 250, 150);
            return [stage.view.magnify / before.magnify, stage.view.yaw - before.yaw, stage.fingers.size];
        })()""",
    )
    assert found == [pytest.approx(2), 0, 0]


def test_trails_are_chosen_and_have_a_length(both: Callable[..., Path], open_page: Open) -> None:
    page = open_page(both(lifted()))
    go(page, 100)
    assert page.locator("#trail option").all_text_contents() == [
        "none",
        "this joint",
        "hands and feet",
        "wrists",
        "ankles",
    ]
    inked = []
    for trail, reach in (("", "1"), ("ankles", "1"), ("limbs", "1"), ("limbs", "0")):
        page.locator("#trail").select_option(trail)
        if trail:
            page.locator("#reach").select_option(reach)
        inked.append(sum(count(page, ".stage.space canvas", colour)[0] for colour in SIDES))
    assert inked == sorted(inked)
    assert inked[0] < 0.9 * inked[1]
    assert page.locator("#reach").is_visible()


def test_before_and_after_in_3d_keep_their_colours(tmp_path: Path, open_page: Open) -> None:
    poses = walking_poses(30, rng=np.random.default_rng(0))
    shifted = poses.replace(positions=poses.positions + np.float32(0.1))
    tracks = ReportTrack("Detected", poses, "orange", False), ReportTrack("Smoothed", shifted)
    write_report(tmp_path / "two.html", Report("Two", tracks))
    page = open_page(tmp_path / "two.html")
    assert count(page, ".stage canvas", PLAIN_BLUE)[0] > 300
    assert count(page, ".stage canvas", (0xC8, 0x5A, 0x00))[0] > 30
    page.get_by_label("Left/right colours").check()
    assert min(count(page, ".stage canvas", colour)[0] for colour in SIDES) > 100
    assert count(page, ".stage canvas", (0xC8, 0x5A, 0x00))[0] > 30


def test_a_joint_clicked_in_3d_shows_its_curves_in_3d(both: Callable[..., Path], open_page: Open) -> None:
    page = open_page(both(lifted()))
    go(page, 50)
    x, y = in_space(
        page,
        """(() => { const at = new Float32Array(2); const [track] = stage.tracks;
            stage.view.place(track, 0, 50, track.joints.indexOf("head_top"), at, 0); return [...at]; })()""",
    )
    page.locator(".stage.space canvas").click(position={"x": x, "y": y})
    assert page.locator("#curves-title").text_content() == "head top"
    assert page.locator("#source").input_value() == "3"
    captions = page.locator(".plot .caption").all_text_contents()
    assert [
        text.startswith(name) for text, name in zip(captions, ["x", "y", "z", "Speed", "Acceleration"], strict=True)
    ]
    assert "normalised/s" in captions[3]


def test_3d_alone_stands_beside_its_video(tmp_path: Path, open_page: Open) -> None:
    write_report(tmp_path / "v.html", Report("V", (ReportTrack("Lifted", lifted()),), video=demo_clip().video))
    page = open_page(tmp_path / "v.html")
    go(page, 60)
    assert page.evaluate("poseworks.stages.map((stage) => stage.tracks.length)") == [0, 1]
    assert page.evaluate("poseworks.stages[0].video.videoWidth") == 1280


def test_a_video_that_cannot_be_played_leaves_the_skeletons(tmp_path: Path, open_page: Open) -> None:
    video = tmp_path / "broken.mp4"
    video.write_bytes(b"this is no video" * 100)
    poses = walking_poses(60, dims=2, rng=np.random.default_rng(0))
    write_report(tmp_path / "broken.html", Report("Broken", (ReportTrack("Walk", poses),), video=video))
    page = open_page(tmp_path / "broken.html")
    assert "cannot play" in (page.locator("#message").text_content() or "")
    go(page, 30)
    assert near(pixels(page, poses.positions[0, 30]), PLAIN_BLUE).all()
    page.keyboard.press("Space")
    page.wait_for_function("() => poseworks.clock.frame > 35")


def test_a_large_video_is_played_from_where_it_lies(
    demo_folder: Path, tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "MAX_VIDEO_BYTES", 1000)
    clip = tmp_path / "walk side.mp4"
    clip.write_bytes(demo_clip().video.read_bytes())
    poses = read_poses(demo_folder / "poses2d.npz")
    write_report(tmp_path / "linked.html", Report("Linked", (ReportTrack("Detected", poses),), video=clip))
    page = open_page(tmp_path / "linked.html", also=(clip,))
    assert page.evaluate("poseworks.stages[0].video.videoWidth") == 1280
    go(page, 60)
    assert "too large to embed" in (page.locator("#message").text_content() or "")


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty grey frames that grow lighter, unevenly spaced, in a form that browsers do not play."""
    import av

    path = tmp_path_factory.mktemp("recording") / "uneven.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 240, 320, "yuv420p"
        for number in range(20):
            rgb = np.full((320, 240, 3), 40 + 8 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def crowd(frames: int = 20) -> PoseSequence:
    """Three people: one throughout, one in a few frames, one who leaves and comes back."""
    positions = walking_poses(frames, 3, dims=2, rng=np.random.default_rng(0)).positions
    low, high = positions.min(axis=(0, 1, 2)), positions.max(axis=(0, 1, 2))
    positions = (positions - low) / (high - low) * [60, 200] + [20, 60] + np.arange(3)[:, None, None, None] * [70, 0]
    positions[1, :12] = np.nan
    positions[1, 16:] = np.nan
    positions[2, 5:14] = np.nan
    return poses_from_arrays(
        positions, H36M_17, fps=20, unit="px", frame="image", image_size=(240, 320), person_ids=np.array([4, 7, 9])
    )


def test_a_recording_that_browsers_do_not_play_is_shown_as_a_copy(
    recording: Path, tmp_path: Path, open_page: Open
) -> None:
    run_chain(crowd(), tmp_path / "out", GAUSSIAN, video=recording)
    page = open_page(tmp_path / "out" / "report.html")
    assert page.evaluate("[poseworks.stages[0].video.videoWidth, poseworks.stages[0].video.videoHeight]") == [240, 320]
    shades = []
    for frame in (2, 16):
        go(page, frame)
        page.wait_for_timeout(100)
        shades.append(picture(page).mean())
    np.testing.assert_allclose(shades, [40 + 8 * 2, 40 + 8 * 16], atol=8)
    assert "uneven.avi is no video that browsers play" in (page.locator(".notes").text_content() or "")


def test_several_people_are_told_apart(tmp_path: Path, open_page: Open) -> None:
    poses = crowd()
    write_report(tmp_path / "crowd.html", Report("Crowd", (ReportTrack("Walk", poses),)))
    page = open_page(tmp_path / "crowd.html")
    listed = page.locator("#person option").all_text_contents()
    assert listed == ["4 · 0.0–1.0 s", "7 · 0.6–0.8 s", "9 · 0.0–1.0 s"]
    go(page, 14)
    assert near(pixels(page, poses.positions[0, 14]), PLAIN_BLUE).all()
    alone = page.evaluate("poseworks.stages[0].canvas.toDataURL()")
    page.locator("#person").select_option("1")
    assert page.evaluate("poseworks.stages[0].canvas.toDataURL()") != alone
    assert near(pixels(page, poses.positions[1, 14]), PLAIN_BLUE).all()


def test_choosing_somebody_who_is_not_there_goes_to_where_they_are(tmp_path: Path, open_page: Open) -> None:
    write_report(tmp_path / "crowd.html", Report("Crowd", (ReportTrack("Walk", crowd()),)))
    page = open_page(tmp_path / "crowd.html")
    go(page, 3)
    page.locator("#person").select_option("1")
    page.wait_for_function("() => poseworks.clock.frame === 12")
    page.locator("#person").select_option("2")  # away: the first frame of all in which they were
    page.wait_for_function("() => poseworks.clock.frame === 0")
    go(page, 15)
    page.locator("#person").select_option("0")  # there already
    assert page.evaluate("poseworks.clock.frame") == 15


def test_the_joint_of_somebody_looked_at_now_and_then_is_dots(tmp_path: Path, open_page: Open) -> None:
    poses = walking_poses(60, dims=2, rng=np.random.default_rng(0))
    positions = np.full_like(poses.positions, np.nan)
    positions[:, ::5] = poses.positions[:, ::5]
    write_report(tmp_path / "dots.html", Report("Dots", (ReportTrack("Looks", poses.replace(positions=positions)),)))
    page = open_page(tmp_path / "dots.html")
    found = count(page, ".plot canvas", PLAIN_BLUE)
    assert min(found[:2]) >= 12 * 4
    assert found[2] < found[0]  # a single look has no speed


def test_uneven_times_and_one_frame_are_shown(tmp_path: Path, open_page: Open) -> None:
    poses = crowd().replace(times=np.cumsum(np.linspace(0.02, 0.08, 20)) - 0.02)
    write_report(tmp_path / "uneven.html", Report("Uneven", (ReportTrack("Walk", poses),)))
    page = open_page(tmp_path / "uneven.html")
    go(page, 19)
    assert f"· {poses.seconds[19]:.2f} s" in (page.locator("#readout").text_content() or "")
    one = crowd().replace(positions=crowd().positions[:, :1], confidence=None)
    write_report(tmp_path / "one.html", Report("One", (ReportTrack("Walk", one),)))
    page = open_page(tmp_path / "one.html")
    assert "1 frame at" in (page.locator("#facts").text_content() or "")
    assert page.locator("#person option").all_text_contents()[1] == "7 · never seen"


def test_two_hours_stay_usable(tmp_path: Path, open_page: Open) -> None:
    rng = np.random.default_rng(0)
    positions = rng.normal(200, 3, (1, 108_000, 17, 2)) + 100 * np.sin(np.arange(108_000) / 9000)[None, :, None, None]
    poses = poses_from_arrays(positions, COCO_17, fps=30, unit="px", frame="image", image_size=(400, 400))
    write_report(
        tmp_path / "long.html", Report("Long", (ReportTrack("a", poses, "orange", False), ReportTrack("b", poses)))
    )
    page = open_page(tmp_path / "long.html")
    go(page, 107_999)
    assert min(count(page, ".plot canvas", PLAIN_BLUE)) > 1000
    page.locator("#span").select_option("10")
    go(page, 50_000)
    assert min(count(page, ".plot canvas", PLAIN_BLUE)) > 200
    assert "rounded to 16 bits" in (page.locator("#embedded").text_content() or "")
    page.keyboard.press("Space")
    page.wait_for_function("() => poseworks.clock.frame > 50005")


def test_names_that_look_like_code_are_text(tmp_path: Path, open_page: Open) -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    poses = walking_poses(10, dims=2, rng=np.random.default_rng(0))
    poses = poses.replace(skeleton="custom", joint_names=(hostile, *poses.joint_names[1:]))
    write_report(tmp_path / "hostile.html", Report(hostile, (ReportTrack(hostile, poses),), notes=(hostile,)))
    page = open_page(tmp_path / "hostile.html")
    assert page.locator("#joint").locator("option").first.text_content() == hostile.replace("_", " ")
    assert page.locator("h1").text_content() == hostile


@pytest.mark.parametrize(("people", "frames"), [(0, 5), (1, 0), (1, 1)])
def test_nothing_to_draw_is_said(tmp_path: Path, open_page: Open, people: int, frames: int) -> None:
    poses = poses_from_arrays(np.zeros((people, frames, 17, 3)), H36M_17, fps=30, unit="m", frame="world")
    write_report(tmp_path / "few.html", Report("Few", (ReportTrack("a", poses),)))
    page = open_page(tmp_path / "few.html")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    said: Any = page.locator("#message").text_content() or ""
    assert ("nothing to draw" in said) == (people * frames == 0)


def test_timeline_spans_lie_at_their_times_and_a_click_goes_there(tmp_path: Path, open_page: Open) -> None:
    poses = walking_poses(frames=121, rng=np.random.default_rng(0))  # 30 fps
    spans = (Span(0.0, 1.0, "reach", value=0.97), Span(1.0, 2.0, "none of these", muted=True), Span(2.0, 4.0, "reach"))
    timeline = Timeline("Actions", (Lane("person 1", spans),))
    page_file = tmp_path / "page.html"
    write_report(page_file, Report("Times", (ReportTrack("Walk", poses),), timelines=(timeline,)))
    page = open_page(page_file)
    places = page.evaluate(
        """() => {
            const strip = document.querySelector(".strip").getBoundingClientRect();
            return [...document.querySelectorAll(".strip .span")].map((span) => {
                const { left, right } = span.getBoundingClientRect();
                return [left, right].map((x) => (x - strip.left) / strip.width);
            });
        }"""
    )
    lasting = page.evaluate("poseworks.clock.track.duration")
    assert np.allclose(np.array(places) * lasting, [[span.begin_s, span.end_s] for span in spans], atol=0.02)
    go(page, 15)
    assert page.locator(".lane .head b").inner_text() == "reach · 97 %"
    page.locator(".strip").click(position={"x": page.locator(".strip").bounding_box()["width"] * 1.5 / lasting, "y": 5})
    page.wait_for_function("poseworks.clock.frame === 45")
    assert page.locator(".lane .head b").inner_text() == "none of these"
    same, muted, other = page.locator(".strip .span").evaluate_all(
        "all => all.map((e) => getComputedStyle(e).backgroundColor)"
    )
    assert same == other != muted
