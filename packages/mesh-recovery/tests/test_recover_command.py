"""The verb `recover`, as a stranger would call it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from poseworks.core import COCO_17, PoseSequence, write_poses
from poseworks.core.cli import run
from poseworks.core.formats.body_npz import read_body_motion
from poseworks.core.video import write_picture
from poseworks.mesh_recovery import (
    HMR,
    SPIN,
    Discriminator,
    DiscriminatorConfig,
    HMRConfig,
    ResNetConfig,
    SPINConfig,
    save,
)
from poseworks.mesh_recovery.cli import app

SIZE, FRAMES = (96, 72), 3
BACKBONE = ResNetConfig(width=2, blocks=(1, 1, 1, 1))


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recording, keypoints of two people in it, and a small HMR."""
    folder = tmp_path_factory.mktemp("given")
    random = np.random.default_rng(0)
    (folder / "clip").mkdir()
    for frame in range(FRAMES):
        write_picture(folder / "clip" / f"{frame}.png", random.integers(0, 255, (72, 96, 3), dtype=np.uint8))
    positions = random.uniform(10, 60, (2, FRAMES, 17, 2)).astype(np.float32)
    positions[1, 0] = np.nan
    poses = PoseSequence(
        positions=positions, joint_names=COCO_17.joint_names, skeleton="coco17", fps=30, unit="px", frame="image",
        image_size=SIZE, person_ids=np.array([1, 5]),
    )  # fmt: skip
    write_poses(poses, folder / "people.npz")
    torch.manual_seed(0)
    save(HMR(HMRConfig(backbone=BACKBONE, feature_size=64, hidden=8, body="free")).eval(), folder / "hmr")
    return folder


def recover(*arguments: object) -> int:
    return run(app, ["recover", *map(str, arguments)])


def test_from_a_recording_to_body_motion_and_an_overlay(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = ("-o", tmp_path / "body.npz", "--overlay", tmp_path / "overlay.mp4")
    common = ("--model", given / "hmr", "--keypoints", given / "people.npz", "--json")
    assert recover(given / "clip", *outputs, *common) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    motion = read_body_motion(tmp_path / "body.npz")
    assert (motion.num_people, motion.num_frames, motion.frame, motion.body) == (2, FRAMES, "camera", "free")
    np.testing.assert_array_equal(motion.present, [[True] * 3, [False, True, True]])
    assert motion.focal == pytest.approx(120)  # the diagonal
    assert [(person["person"], person["frames"]) for person in said["people"]] == [(1, 3), (5, 2)]
    assert said["overlay"] == str(tmp_path / "overlay.mp4")
    assert "body: free, which the weights were made for" in said["notes"]
    assert motion.history[-1]["model_sha256"]
    assert (tmp_path / "overlay.mp4").stat().st_size > 500
    (tmp_path / "boxes.csv").write_text("frame,x,y,width,height\n0,10,10,40,40\n")
    assert (
        recover(given / "clip", "-o", tmp_path / "a.bvh", "--model", given / "hmr", "--boxes", tmp_path / "boxes.csv")
        == 0
    )
    assert (tmp_path / "a.bvh").read_text().startswith("HIERARCHY")
    assert "note: body: free" in capsys.readouterr().err


def test_on_the_users_own_body(given: Path, tmp_path: Path, body_files: Mapping[str, Path]) -> None:
    torch.manual_seed(0)
    save(SPIN(SPINConfig(backbone=BACKBONE, feature_size=64, hidden=8)).eval(), tmp_path / "spin")
    folder = body_files["body"].parent
    outputs = ("-o", tmp_path / "body.npz", "--overlay", tmp_path / "overlay.mp4")
    assert recover(given / "clip", "--model", tmp_path / "spin", "--body", folder, *outputs, "--json") == 0
    motion = read_body_motion(tmp_path / "body.npz")
    assert (motion.body, motion.gender) == ("smpl", "neutral")
    assert motion.betas.any()
    assert motion.history[-1]["settings"]["body_of_weights"] == "smpl"


def test_without_boxes_the_whole_picture_is_one_person(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recover(given / "clip", "-o", tmp_path / "body.npz", "--model", given / "hmr") == 0
    assert "note: no boxes: the whole picture is taken as one person" in capsys.readouterr().err
    motion = read_body_motion(tmp_path / "body.npz")
    assert (motion.num_people, motion.present.sum()) == (1, FRAMES)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--keypoints", "{given}/people.npz", "--boxes", "a.csv"), "Leave one of them out"),
        (("--keypoints", "{given}/people.npz", "-o", "{out}/body.txt"), "body motion is written as .npz, .glb"),
        (("--keypoints", "{given}/people.npz", "-o", "{out}/no/body.npz"), "does not exist. Create it first"),
        (("--keypoints", "{given}/people.npz", "-o", "{given}/people.npz"), "already exists"),
        (("--keypoints", "{given}/people.npz", "--overlay", "{out}/body.avi"), "overlays are written as .mp4"),
        (("--keypoints", "{given}/people.npz", "--focal", "0"), "focal: expected pixels above 0"),
        (("--keypoints", "{given}/people.npz", "--body", "{given}/SMPL"), "SMPL"),
        (("--keypoints", "{given}/people.npz", "--device", "none"), "--device none: not on this machine"),
        (("--keypoints", "{given}/people.npz", "--threshold", "1"), "nobody in any frame"),
        (("--keypoints", "{given}/people.npz", "-o", "{out}/a.bvh"), "BVH files hold one person"),
        (("--boxes", "{given}/none.csv"), "cannot be read"),
    ],
)  # fmt: skip
def test_faults_are_one_line_and_leave_nothing(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    words = [word.format(given=given, out=tmp_path) for word in arguments]
    output = [] if "-o" in words else ["-o", tmp_path / "body.npz"]
    overlay = [] if "--overlay" in words else ["--overlay", tmp_path / "overlay"]
    assert recover(given / "clip", *words, *output, *overlay, "--model", given / "hmr") == 2
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith("error: ")
    assert said in error[-1]
    assert not list(tmp_path.iterdir())


def test_a_picture_that_does_not_decode_leaves_nothing(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip"
    clip.mkdir()
    for frame in range(FRAMES):
        data = (given / "clip" / f"{frame}.png").read_bytes()
        (clip / f"{frame}.png").write_bytes(data if frame != 1 else b"no picture")
    outputs = ("-o", tmp_path / "body.npz", "--overlay", tmp_path / "overlay")
    assert recover(clip, *outputs, "--keypoints", given / "people.npz", "--model", given / "hmr") == 2
    assert "1.png" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]


def test_weights_that_recover_nothing(given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(Discriminator(DiscriminatorConfig()), tmp_path / "adversary")
    arguments = (given / "clip", "-o", tmp_path / "body.npz", "--keypoints", given / "people.npz")
    assert recover(*arguments, "--model", tmp_path / "adversary") == 2
    assert "is an adversary of a training, which sees no pictures" in capsys.readouterr().err


def test_without_weights_of_its_own_the_package_says_so(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poseworks.mesh_recovery.models.shipped_models", tuple)
    assert recover(given / "clip", "-o", tmp_path / "body.npz", "--keypoints", given / "people.npz") == 2
    assert "no weights come with this package. Name a checkpoint" in capsys.readouterr().err
