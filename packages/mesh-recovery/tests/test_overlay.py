"""Overlays: what is drawn where, into which kind of file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core.body_models import SMPL, BodyMotion, load_body
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.testing_bodies import random_motion
from poseworks.core.video import open_video, read_picture, write_picture, write_video
from poseworks.mesh_recovery.overlay import COLORS, write_frames, write_overlay

SIZE = (80, 60)
FRAMES = 3


@pytest.fixture(scope="module")
def body() -> SMPL:
    return load_body("free")


@pytest.fixture(scope="module")
def motion() -> BodyMotion:
    """Two people side by side before a camera; the first is gone in frame 2, the second is there in frame 1 alone."""
    places = np.array([[[-1.0, 0, 4]] * FRAMES, [[1.0, 0, 4]] * FRAMES])
    return random_motion(FRAMES, 2, frame="camera", gaps=True).replace(transl=gone(places), focal=90.0, image_size=SIZE)


def gone(places: np.ndarray) -> np.ndarray:
    places[0, 2], places[1, [0, 2]] = np.nan, np.nan
    return places


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for frame in range(FRAMES):
        write_picture(folder / f"{frame}.png", np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    return folder


def test_people_are_drawn_in_their_colors_where_they_are(
    pictures: Path, motion: BodyMotion, body: SMPL, tmp_path: Path
) -> None:
    done = []
    write_overlay(pictures, motion, body, tmp_path / "drawn", advance=lambda: done.append(1))
    drawn = [read_picture(path).astype(float) for path in sorted((tmp_path / "drawn").iterdir())]
    assert len(drawn) == len(done) == FRAMES
    left, right = (np.array([picture[:, half].sum() for picture in drawn]) for half in (np.s_[:40], np.s_[40:]))
    assert (left[:2] > 5000).all()
    assert right[1] > 5000
    assert max(left[2], right[0], right[2]) < 500  # the codec's noise at most
    for part, color in ((np.s_[:, :40], COLORS[0]), (np.s_[:, 40:], COLORS[1])):
        brightest = drawn[1][part].reshape(-1, 3)
        brightest = brightest[brightest.sum(axis=1).argsort()[-20:]].mean(axis=0)
        np.testing.assert_allclose(brightest / brightest.sum(), np.array(color) / sum(color), atol=0.03)
    vertices = body(*(torch.from_numpy(a) for a in (motion.betas[0], motion.pose[0, 1], motion.transl[0, 1]))).vertices
    x, y = (90 * vertices[:, :2] / vertices[:, 2:] + torch.tensor(SIZE) / 2).numpy().T
    rows, columns = np.nonzero(drawn[1][:, :40].max(axis=-1) > 40)
    np.testing.assert_allclose(
        [columns.min(), columns.max() + 1, rows.min(), rows.max() + 1], [x.min(), x.max(), y.min(), y.max()], atol=1.5
    )


def test_a_recording_of_another_scale_takes_the_focal_length_along(
    motion: BodyMotion, body: SMPL, tmp_path: Path
) -> None:
    for scale in (1, 2):
        write_video(tmp_path / f"{scale}.mp4", [np.zeros((60 * scale, 80 * scale, 3), np.uint8)] * FRAMES, fps=10)
        write_overlay(tmp_path / f"{scale}.mp4", motion, body, tmp_path / f"over{scale}.mp4")
    seen = {}
    for scale in (1, 2):
        with open_video(tmp_path / f"over{scale}.mp4") as video:
            frames = list(video.frames())
        assert len(frames) == FRAMES
        assert frames[1].time == pytest.approx(0.1)
        seen[scale] = frames[1].rgb[..., 1] > 60
    half = seen[2].reshape(60, 2, 80, 2).mean(axis=(1, 3)) > 0.5
    assert (half & seen[1]).sum() > 0.8 * max(half.sum(), seen[1].sum()) > 100


def test_a_single_picture(pictures: Path, motion: BodyMotion, body: SMPL, tmp_path: Path) -> None:
    first = motion.replace(
        global_orient=motion.global_orient[:, :1], body_pose=motion.body_pose[:, :1], transl=motion.transl[:, :1]
    )
    write_overlay(pictures / "0.png", first, body, tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png") > 60).any()
    with pytest.raises(ConfigError, match=r"a\.png: already exists"):
        write_overlay(pictures / "0.png", first, body, tmp_path / "a.png")
    write_overlay(pictures / "0.png", first, body, tmp_path / "a.png", overwrite=True)
    with pytest.raises(ConfigError, match="holds one picture, and there are several"):
        write_overlay(pictures, motion, body, tmp_path / "b.jpg")
    with pytest.raises(DataError, match="expected at least one, got none"):
        write_frames(tmp_path / "b.jpg", [])
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_what_does_not_belong_together_is_refused(
    pictures: Path, motion: BodyMotion, body: SMPL, tmp_path: Path
) -> None:
    world = motion.replace(frame="world", focal=None, image_size=None)
    for wrong, said in (
        (world, "expected places before a camera of known focal length, got the frame world"),
        (motion.replace(focal=None), "focal None"),
        (motion.replace(body="smpl"), "the motion is of the smpl body, got free"),
    ):
        with pytest.raises(ConfigError, match=said):
            write_overlay(pictures, wrong, body, tmp_path / "a.mp4")
    with pytest.raises(DataError, match="is of 80 x 60 pixels, the motion was found in 80 x 80"):
        write_overlay(pictures, motion.replace(image_size=(80, 80)), body, tmp_path / "a.mp4")
    with pytest.raises(DataError, match="has 3 frames, the motion 6"):
        write_overlay(pictures, random_motion(6, frame="camera").replace(focal=90.0), body, tmp_path / "a.mp4")
    with pytest.raises(DataError, match="has more frames than the motion, 2"):
        write_overlay(pictures, random_motion(2, frame="camera").replace(focal=90.0), body, tmp_path / "a")
    assert not list(tmp_path.iterdir())
