"""The report page in a real browser: what is drawn lies where the data says, in step with the video, offline."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from poseworks.core import COCO_17, H36M_17, PoseSequence, poses_from_arrays, read_poses
from poseworks.core.report import Report, ReportTrack, embed, write_report
from poseworks.core.testing import walking_poses
from poseworks.pipeline import ChainConfig, FilterStep, demo, demo_clip, run_chain
from poseworks.temporal.filters import Gaussian

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
Open = Callable[..., "Page"]
BLUE, ORANGE = (0x4C, 0xC3, 0xFF), (0xFF, 0xA0, 0x3C)  # over a video
PLAIN_BLUE = (0x00, 0x72, 0xB2)  # on a plain ground, light
GAUSSIAN = ChainConfig(steps=(FilterStep(filter=Gaussian(sigma_frames=1)),))


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "out"
    demo(folder)
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
                    const left = Math.round((x - view.left) * scale) - radius;
                    const top = Math.round((y - view.top) * scale) - radius;
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
    assert count(demo_page, ".stage canvas", BLUE) == [0]
    assert near(pixels(demo_page, body(raw, 61), radius=5), ORANGE).all()
    demo_page.get_by_role("checkbox", name="Detected").uncheck(force=True)
    demo_page.locator("#trail").uncheck()
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
    assert count(page, ".stage canvas", ORANGE) == count(page, ".stage canvas", BLUE) == [0]


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
            view.place([x, y], 0, out, 0);
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
    assert count(page, ".stage canvas", PLAIN_BLUE)[0] > 300
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
