"""The verb `fit`, as a stranger would call it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from poseworks.core import COCO_17, PoseSequence, write_poses
from poseworks.core.body_models import load_body
from poseworks.core.cameras import Pinhole
from poseworks.core.cli import run
from poseworks.core.formats.body_npz import read_body_motion
from poseworks.core.poses import poses_from_arrays
from poseworks.core.video import write_video
from poseworks.mesh_recovery import NamedJoints
from poseworks.mesh_recovery.cli import app

SIZE, FRAMES = (64, 48), 3


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recording, keypoints as if of someone in it, the joints in space, and two calibrated views."""
    folder = tmp_path_factory.mktemp("given")
    pictures = [np.full((48, 64, 3), 40 * frame, dtype=np.uint8) for frame in range(FRAMES)]
    write_video(folder / "clip.mp4", pictures, fps=30)
    body, pose = load_body("free"), torch.zeros(FRAMES, 24, 3)
    pose[:, 16, 2], pose[:, 17, 2] = -1.0, 1.0
    pose[:, 18, 1] = -torch.linspace(0, 1, FRAMES)
    named = NamedJoints(body, COCO_17.joint_names)
    joints = named.of(body.joints(torch.zeros(1, 1), pose)).double().numpy()
    space = poses_from_arrays(joints, COCO_17, fps=30, unit="m", frame="world")
    write_poses(space, folder / "space.npz")
    placed = joints * (1.0, -1, -1) + (0, 0, 3)
    write_poses(seen(placed), folder / "keypoints.npz")
    write_poses(seen(placed + np.array([0.5, 0, 0])), folder / "aside.npz")
    write_poses(space.replace(positions=placed[None] - (0, 0, 3), frame="camera"), folder / "lifted.npz")
    rows = [
        {"K": [[80, 0, 32], [0, 80, 24], [0, 0, 1]], "R": [[1, 0, 0], [0, 0, -1], [0, 1, 0]], "t": [x, 0, 3]}
        for x in (0, 0.5)
    ]
    (folder / "cameras.json").write_text(json.dumps(rows))
    return folder


def seen(placed: np.ndarray[Any, Any]) -> PoseSequence:
    pixels = Pinhole.from_focal(80, SIZE).project(placed)
    return poses_from_arrays(pixels, COCO_17, fps=30, unit="px", frame="image", image_size=SIZE)


def fit(*arguments: object) -> int:
    return run(app, ["fit", *map(str, arguments)])


def test_from_keypoints_to_motion_page_and_overlay(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = ("-o", tmp_path / "body.npz", "--report", tmp_path / "page.html", "--overlay", tmp_path / "overlay")
    assert fit(given / "keypoints.npz", *outputs, "--video", given / "clip.mp4", "--focal", 80, "--json") == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    motion = read_body_motion(tmp_path / "body.npz")
    assert (motion.num_people, motion.num_frames, motion.frame, motion.focal) == (1, FRAMES, "camera", 80)
    assert motion.history[-1]["verb"] == "fit"
    assert said["persons"][0]["frames"] == FRAMES
    assert said["persons"][0]["median_px"] < 1
    assert said["overlay"] == str(tmp_path / "overlay")
    assert len(list((tmp_path / "overlay").iterdir())) == FRAMES
    assert "Joints of the body" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_other_formats_by_their_suffix(given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = (given / "keypoints.npz", "--lifted", given / "lifted.npz", "--height", 1.8, "--ground")
    assert fit(*common, "-o", tmp_path / "body.glb") == 0
    said = capsys.readouterr()
    assert (tmp_path / "body.glb").read_bytes()[:4] == b"glTF"
    assert "Off the keypoints" in said.out


def test_joints_in_space(given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(given / "space.npz", "-o", tmp_path / "body.npz", "--up", "y", "--json") == 0
    assert json.loads(capsys.readouterr().out)["persons"][0]["mean_mm"] < 20
    assert read_body_motion(tmp_path / "body.npz").frame == "world"


def test_views_of_one_motion(given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    views = (given / "keypoints.npz", given / "aside.npz")
    assert fit(*views, "--cameras", given / "cameras.json", "-o", tmp_path / "body.npz", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["persons"][0]["views"]) == 2
    assert read_body_motion(tmp_path / "body.npz").frame == "world"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("keypoints.npz", "-o", "{out}.fbx"), "names no format; expected .npz, .glb, .bvh, .obj"),
        (("keypoints.npz", "-o", "{out}.npz", "--video", "{given}/clip.mp4"), "shown in the report or the overlay"),
        (("keypoints.npz", "-o", "{out}.npz", "--overlay", "{out}"), "--overlay: needs the recording"),
        (("keypoints.npz", "-o", "{out}.npz", "--overlay", "{out}", "--video", "{out}.mp4"), "no such file"),
        (("keypoints.npz", "-o", "{out}.npz", "--height", "17"), "height"),
        (("keypoints.npz", "-o", "{out}.npz", "--focal", "0"), "focal lengths above 0"),
        (("keypoints.npz", "-o", "{out}.npz", "--body", "{out}"), "does not exist"),
        (("keypoints.npz", "aside.npz", "-o", "{out}", "--lifted", "{given}/lifted.npz"), "belong to one input"),
        (
            ("keypoints.npz", "aside.npz", "-o", "{out}.npz", "--cameras", "{given}/cameras.json", "--height", "1.7"),
            "--height: not beside --cameras",
        ),
        (("keypoints.npz", "-o", "{out}.npz", "--cameras", "{given}/cameras.json"), "cameras"),
        (("space.npz", "-o", "{out}.npz", "--unswap"), "unswap: for keypoints in a picture"),
        (("keypoints.npz", "-o", "{out}.npz", "--up", "z"), "up: for joints in space"),
    ],
)
def test_what_cannot_work_is_one_line(
    arguments: tuple[str, ...], fault: str, given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.format(out=tmp_path / "out", given=given) for word in arguments]
    words = [str(given / word) if word in ("keypoints.npz", "aside.npz", "space.npz") else word for word in words]
    assert fit(*words, "-q") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error:")
    assert fault in " ".join(said.err.split())
    assert not list(tmp_path.iterdir())


def test_an_overlay_of_several_cameras_is_refused(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    views = (given / "keypoints.npz", given / "aside.npz", "--cameras", given / "cameras.json")
    assert fit(*views, "-o", tmp_path / "body.npz", "--overlay", tmp_path / "o", "--video", given / "clip.mp4") == 2
    assert "Fit one view for an overlay" in " ".join(capsys.readouterr().err.split())
    assert fit(*views, "-o", given / "aside.npz", "--overwrite") == 2
    assert "is an input" in capsys.readouterr().err
