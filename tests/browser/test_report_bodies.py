"""Bodies in the report page, in a real browser: their skins lie where the numbers say, in space and over the video."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from poseworks.core import H36M_17, poses_from_arrays
from poseworks.core.body_models import load_body
from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.report import Report, ReportBody, ReportTrack, write_report
from poseworks.core.testing_bodies import random_motion

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
Open = Callable[..., "Page"]
WIDTH, HEIGHT, FOCAL = 640, 480, 700.0


def seen_by_a_camera(people: int = 1, *, gaps: bool = False) -> BodyMotion:
    """Upright people three and more metres in front of a camera, side by side, who move at random."""
    motion = random_motion(8, people, frame="camera", gaps=gaps)
    there = np.where(motion.present[..., None], np.float32(1), np.float32(np.nan))
    upright = np.array([np.pi, 0, 0]) + 0.1 * motion.global_orient
    places = there * (np.arange(people)[:, None, None] * [1.1, 0, 0.8] + [-0.4, 0, 4.5])
    return motion.replace(
        global_orient=upright, transl=places, body_pose=0.4 * motion.body_pose, focal=FOCAL, image_size=(WIDTH, HEIGHT)
    )


def posed(motion: BodyMotion, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """(P, V, 3) vertices and (P, 24, 3) joints of one frame."""
    given = (torch.from_numpy(each) for each in (motion.betas, motion.pose[:, frame], motion.transl[:, frame]))
    found = load_body("free")(*given)
    return found.vertices.numpy(), found.joints[:, :24].numpy()


def detected(motion: BodyMotion) -> ReportTrack:
    """Where the camera saw the joints."""
    joints = np.stack([posed(motion, frame)[1] for frame in range(motion.num_frames)], axis=1)
    pixels = FOCAL * joints[..., :2] / joints[..., 2:] + np.array([WIDTH, HEIGHT]) / 2
    names = ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle")
    body = load_body("free").joint_names
    positions = np.full((*pixels.shape[:2], 17, 2), np.nan)
    for name in names:
        positions[:, :, H36M_17.index(name)] = pixels[:, :, body.index(name)]
    poses = poses_from_arrays(positions, H36M_17, fps=30, unit="px", frame="image", image_size=(WIDTH, HEIGHT))
    return ReportTrack("Detected", poses, "orange", False)


@pytest.fixture
def shown(tmp_path: Path, open_page: Open) -> Callable[..., Page]:
    """`shown(motion, tracks...)`: the page of a body, ready."""

    def show(motion: BodyMotion, *tracks: ReportTrack, **options: Any) -> Page:
        write_report(tmp_path / "bodies.html", Report("Bodies", tracks, bodies=(ReportBody("Body", motion),)), True)
        return open_page(tmp_path / "bodies.html", **options)

    return show


def go(page: Page, frame: int) -> None:
    page.locator("#slider").fill(str(frame))
    page.wait_for_function("frame => poseworks.clock.frame === frame", arg=frame)


def opacity(page: Page, stage: int) -> np.ndarray:
    """(H, W) of a stage's canvas, 0 where nothing is drawn."""
    width, height, text = page.evaluate(
        """stage => {
            const { canvas } = poseworks.stages.at(stage);
            const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let text = "";
            for (let i = 3; i < data.length; i += 4) text += String.fromCharCode(data[i]);
            return [width, height, btoa(text)];
        }""",
        stage,
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width) / 255


def without_lines(page: Page) -> None:
    """Nothing but skins on the canvases."""
    page.locator("#trail").select_option("")
    page.evaluate(
        """() => {
            const [image] = poseworks.stages;
            image.drawPerson = () => {};
            image.drawNames = () => {};
            image.draw();
        }"""
    )


@pytest.mark.parametrize("frame", [0, 5])
def test_the_page_moves_the_skin_as_the_body_model_does(shown: Callable[..., Page], frame: int) -> None:
    motion = seen_by_a_camera(2)
    page = shown(motion)
    vertices, joints = posed(motion, frame)
    for person in range(2):
        skin, bones = page.evaluate(
            """([person, frame]) => {
                const [body] = poseworks.tracks;
                const at = body.at(person, frame, 0);
                return [[...body.vertices(person, frame)], [...body.positions.slice(at, at + 72)]];
            }""",
            [person, frame],
        )
        np.testing.assert_allclose(np.reshape(bones, (24, 3)), joints[person], atol=1e-5)
        np.testing.assert_allclose(np.reshape(skin, (-1, 3)), vertices[person, :1723], atol=1e-4)


def test_over_the_picture_the_skin_lies_where_the_camera_sees_it(shown: Callable[..., Page]) -> None:
    """What is covered is the silhouette of the vertices, but for holes between them and the width of a triangle."""
    motion = seen_by_a_camera()
    page = shown(motion, detected(motion))
    go(page, 4)
    without_lines(page)
    drawn = opacity(page, 0)
    scale = min(drawn.shape[1] / WIDTH, drawn.shape[0] / HEIGHT)
    corner = (np.array(drawn.shape[::-1]) - scale * np.array([WIDTH, HEIGHT])) / 2
    (vertices,), (joints,) = posed(motion, 4)
    places = scale * (FOCAL * vertices[:, :2] / vertices[:, 2:] + np.array([WIDTH, HEIGHT]) / 2) + corner
    box = places.min(0), places.max(0)
    rows, columns = np.nonzero(drawn > 0.3)
    np.testing.assert_allclose([columns.min(), rows.min()], box[0], atol=3)
    np.testing.assert_allclose([columns.max() + 1, rows.max() + 1], box[1], atol=3)
    middles = scale * (FOCAL * joints[:, :2] / joints[:, 2:] + np.array([WIDTH, HEIGHT]) / 2) + corner
    across, down = middles.astype(int).T  # joints lie inside the body
    np.testing.assert_allclose(drawn[down, across], 0.75, atol=0.01)
    page.get_by_label("Body over the video").uncheck()
    without_lines(page)
    assert not opacity(page, 0).any()


def test_the_nearer_body_hides_the_other(shown: Callable[..., Page]) -> None:
    """Somebody who stands right behind, as seen by the camera, and is a little smaller there, adds nothing to it."""
    motion = seen_by_a_camera()
    pages = []
    for distance in (None, 1.0):
        people = motion
        if distance is not None:
            both = {
                name: np.concatenate([getattr(motion, name)] * 2)
                for name in ("global_orient", "body_pose", "betas", "transl")
            }
            both["transl"][1] *= 1 + distance / motion.transl[..., 2].mean()
            people = motion.replace(**both, person_ids=np.array([0, 1]))
        page = shown(people, detected(motion))
        without_lines(page)
        pages.append(opacity(page, 0))
    alone, both_there = (drawn > 0.7 for drawn in pages)
    assert alone.sum() > 1000
    assert (both_there == alone).mean() > 0.999
    faint = (pages[1] > 0.1) & ~alone
    assert faint.sum() < 0.25 * alone.sum()  # what looks out from behind


def test_space_shows_skin_skeleton_or_both(shown: Callable[..., Page]) -> None:
    page = shown(seen_by_a_camera(2))
    page.locator("#trail").select_option("")
    counts = {}
    for kind in ("skin", "bones", "both"):
        page.locator("#body").select_option(kind)
        counts[kind] = (opacity(page, -1) > 0.25).sum()  # of somebody who is not chosen, half through: 0.3
    assert counts["bones"] < 0.7 * counts["skin"]
    assert counts["both"] == pytest.approx(counts["skin"], rel=0.1)


def test_the_lifted_skeleton_is_a_click_away(shown: Callable[..., Page]) -> None:
    motion = seen_by_a_camera()
    lifted = poses_from_arrays(
        np.random.default_rng(0).normal(size=(1, 8, 17, 3)), H36M_17, fps=30, unit="normalised", frame="root"
    )
    page = shown(motion, detected(motion), ReportTrack("Lifted", lifted, "green"))
    assert page.evaluate("poseworks.stages.at(-1).labels") == "Body"
    assert page.get_by_role("button", name="The fitted body").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="The 3D skeleton").click()
    assert page.evaluate("poseworks.stages.at(-1).labels") == "Lifted"
    assert page.locator("#source").input_value() == "3"
    assert "normalised" in (page.locator(".stage.space .caption").text_content() or "")
    page.locator("#source").select_option("body")
    assert page.evaluate("poseworks.stages.at(-1).labels") == "Body"
    assert "Grid" in (page.locator(".stage.space .caption").text_content() or "")
    assert (page.locator(".plot .caption").first.text_content() or "").startswith("xm")


def test_somebody_who_is_away_is_not_drawn(shown: Callable[..., Page]) -> None:
    motion = seen_by_a_camera(gaps=True)
    page = shown(motion, detected(motion))
    without_lines(page)
    go(page, 2)
    assert not opacity(page, 0).any()
    assert page.evaluate("poseworks.stages[0].bodies[0].vertices(0, 2)") is None
    go(page, 4)
    assert opacity(page, 0).any()


def test_motion_without_a_camera_is_shown_in_space_alone(shown: Callable[..., Page]) -> None:
    page = shown(random_motion(4), scheme="dark")
    assert page.evaluate("[poseworks.stages.length, poseworks.stages[0].view.up]") == [1, "y up"]
    assert page.locator("#over-field").is_hidden()
    assert page.locator("#body-field").is_visible()
    assert "free body (24 joints), 3D m, world frame" in (page.locator("#facts").text_content() or "")


def test_the_soles_stand_on_the_ground(shown: Callable[..., Page]) -> None:
    still = BodyMotion(
        global_orient=np.zeros((1, 3, 3), np.float32),
        body_pose=np.zeros((1, 3, 23, 3), np.float32),
        betas=np.zeros((1, 10), np.float32),
        transl=np.zeros((1, 3, 3), np.float32),
        fps=30,
        body="free",
    )
    page = shown(still)
    lowest = load_body("free").v_template[:1723, 1].min().item()
    assert page.evaluate("poseworks.stages[0].view.ground") == pytest.approx(lowest, abs=1e-4)
