"""Chains that fit bodies: what is written, what the page shows, and what is refused or left at a note."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core import write_poses
from poseworks.core.body_models import load_body
from poseworks.core.cli import run as run_command_line
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.formats.body_npz import read_body_motion
from poseworks.core.testing import walking_poses
from poseworks.pipeline import ChainConfig, FilterStep, FitStep, LiftStep, run_chain
from poseworks.pipeline.cli import app
from poseworks.temporal.filters import Gaussian

SMOOTH = FilterStep(filter=Gaussian(sigma_frames=1))
WALK_3D = walking_poses(12, 2, rng=np.random.default_rng(1), noise=0.01)
WALK_2D = walking_poses(12, 1, dims=2, rng=np.random.default_rng(1), noise=1.0)

Capture = pytest.CaptureFixture[str]


def status(*words: object) -> int:
    return run_command_line(app, [str(word) for word in words])


def test_bodies_of_3d_poses_are_written_and_shown(tmp_path: Path) -> None:
    chain = ChainConfig(steps=(SMOOTH, FitStep()))
    result = run_chain(WALK_3D, tmp_path / "out", chain, glb=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "body.glb", "body.npz", "poses3d.npz", "poses3d.smooth.npz", "report.html",
    ]  # fmt: skip
    motion = read_body_motion(result.files["body"])
    assert (motion.num_people, motion.num_frames, motion.body) == (2, 12, "free")
    assert [entry["verb"] for entry in motion.history] == ["smooth", "fit"]
    assert result.body is not None
    np.testing.assert_array_equal(motion.body_pose, result.body.body_pose)
    assert len(result.body_figures) == 2
    assert result.files["glb"].read_bytes().startswith(b"glTF")
    page = result.files["report"].read_text(encoding="utf-8")
    assert "Smoothed, bodies fitted" in page
    assert '"label":"Body"' in page


def test_bodies_of_2d_poses_begin_with_what_was_lifted(tmp_path: Path, lifter: str) -> None:
    chain = ChainConfig(steps=(SMOOTH, LiftStep(model=lifter), FitStep(focal=1500, height=1.8)))
    result = run_chain(WALK_2D, tmp_path / "out", chain)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "body.npz", "poses2d.npz", "poses2d.smooth.npz", "poses3d.npz", "report.html",
    ]  # fmt: skip
    motion = read_body_motion(result.files["body"])
    assert (motion.frame, motion.focal, motion.image_size) == ("camera", 1500, WALK_2D.image_size)
    assert [entry["verb"] for entry in motion.history] == ["smooth", "fit"]
    assert motion.history[-1]["settings"]["start"] == "lifted joints"
    assert result.lifted is not None
    assert result.lifted_harm is None
    (figures,) = result.body_figures
    assert figures["frames"] == 12
    body = load_body("free")
    heights = body.rest_vertices(torch.from_numpy(motion.betas[0]))[:, 1]
    assert float(heights.max() - heights.min()) == pytest.approx(1.8, abs=0.01)
    page = result.files["report"].read_text(encoding="utf-8")
    assert "Smoothed, lifted to 3D, bodies fitted" in page
    assert "Off the keypoints: median (px)" in page


def test_without_lifting_bodies_are_fitted_to_2d_alone(tmp_path: Path) -> None:
    result = run_chain(WALK_2D, tmp_path / "out", ChainConfig(steps=(FitStep(),)))
    assert result.body is not None
    assert result.lifted is None
    assert result.body.history[-1]["settings"]["start"] == "typical poses"
    assert (result.harm, "smooth" in result.files) == (None, False)


def test_what_cannot_be_fitted_is_an_error_or_a_note(tmp_path: Path) -> None:
    unknown = WALK_3D.replace(skeleton="custom", joint_names=tuple(f"joint {number}" for number in range(17)))
    with pytest.raises(DataError, match="nobody has 4 joints"):
        run_chain(unknown, tmp_path / "out", ChainConfig(steps=(FitStep(),)))
    result = run_chain(unknown, tmp_path / "out", ChainConfig(steps=(FitStep(optional=True),)))
    assert (result.body, "body" in result.files) == (None, False)
    assert any(note.startswith("no bodies fitted: nobody has 4 joints") for note in result.notes)
    assert not (tmp_path / "out" / "body.npz").exists()
    with pytest.raises(ConfigError, match="height: for keypoints in a picture"):
        run_chain(WALK_3D, tmp_path / "b", ChainConfig(steps=(FitStep(height=1.8),)))
    with pytest.raises(DataError, match="no-such-folder: does not exist"):
        run_chain(WALK_3D, tmp_path / "b", ChainConfig(steps=(FitStep(body="no-such-folder"),)))


def test_bodies_on_the_command_line(tmp_path: Path, capsys: Capture) -> None:
    write_poses(WALK_3D, tmp_path / "walk.npz")
    words = ["run", tmp_path / "walk.npz", "-o", tmp_path / "out", "--filter", "gaussian:sigma_frames=1"]
    assert status(*words, "--body", "--glb", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["body"]["people"], found["body"]["body"]) == (2, "free")
    assert len(found["body"]["figures"]) == 2
    assert {"body", "glb"} <= set(found["files"])
    assert status(*words, "--body", "--overwrite") == 0
    assert "bodies: 2 people, 12 frames, free body, world frame" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--no-body", "--glb"], "--no-body: leaves out what --glb"),
        (["--no-body", "--body-model", "free"], "--no-body: leaves out what --body-model"),
        (["--body-model", "nowhere"], "nowhere"),
        (["--config", "chain.toml", "--body"], "write a step of kind fit"),
        (["--config", "chain.toml", "--glb"], "no step of the chain fits bodies"),
        (["--no-lift", "--body", "--lift-model", "x"], "--no-lift: leaves out what --lift-model speak"),
    ],
)
def test_options_that_exclude_one_another(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chain.toml").write_text('[[steps]]\nkind = "filter"\nfilter = { kind = "median", window = 3 }\n')
    write_poses(WALK_2D, tmp_path / "walk.npz")
    assert status("run", "walk.npz", "-o", "out", *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("out").exists()
