"""The command, as a stranger would call it: every verb answers, and one line says what is at fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from poseworks.core.cli import run
from poseworks.skeleton_action import load, save, shipped_models
from poseworks.skeleton_action.cli import app
from poseworks.skeleton_action.published import published_weights
from poseworks.skeleton_action.slowonly import SlowOnly

VERBS = ("recognize", "models", "inspect", "convert", "build", "train", "evaluate", "fuse", "export")


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert run(app, [*map(str, arguments), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert isinstance(content, dict)
    return content


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a faulty command line leaves."""
    assert run(app, [str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture
def original(small_network: SlowOnly, tmp_path: Path) -> Path:
    """A checkpoint in the layout of mmaction 0.x."""
    path = tmp_path / "original.pth"
    torch.save({"state_dict": small_network.state_dict(), "meta": {"epoch": 240}}, path)
    return path


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, [verb, "--help"]) == 0
    assert f"poseworks-skeleton-action {verb}" in capsys.readouterr().out


def test_models_lists_every_variant_once(capsys: pytest.CaptureFixture[str]) -> None:
    names = [model["name"] for model in answer(capsys, "models")["models"]]
    assert names == [*shipped_models(), *published_weights()]


def test_inspect_convert_and_export(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = answer(capsys, "inspect", original)
    assert (facts["what"], facts["method"]) == ("checkpoint", "PoseC3D, SlowOnly")
    folder = tmp_path / "converted"
    answer(capsys, "convert", original, "-o", folder, "--stream", "limb")
    assert load(folder).preparation.stream == "limb"
    assert "already exists" in failure(capsys, "convert", original, "-o", folder)
    assert "stream: " in failure(capsys, "convert", folder, "-o", tmp_path / "x", "--stream", "joint")
    assert "ends in .onnx" in failure(capsys, "export", folder, "-o", tmp_path / "x.pb")
    assert "--keypoints" in failure(capsys, "export", folder, "-o", tmp_path / "x.onnx", "--keypoints", "k.pb")
    assert not list(tmp_path.glob("x*"))


@pytest.mark.long
def test_export_writes_a_file_for_volumes_and_one_for_keypoints(
    small_network: SlowOnly, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    save(small_network, tmp_path / "net")
    volumes, keypoints = tmp_path / "volumes.onnx", tmp_path / "keypoints.onnx"
    same = failure(capsys, "export", tmp_path / "net", "-o", volumes, "--keypoints", volumes)
    assert "is the output itself" in same
    report = answer(capsys, "export", tmp_path / "net", "-o", volumes, "--keypoints", keypoints)
    assert report["volumes"]["largest_difference"] < 1e-4
    assert report["keypoints"]["largest_difference"] < 1e-4
    assert all(path.is_file() and path.with_suffix(".json").is_file() for path in (volumes, keypoints))
    assert "already exists" in failure(capsys, "export", tmp_path / "net", "-o", volumes)


def test_unknown_recipes_and_fields_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_folder = tmp_path / "run"
    assert "slowonly_r50_u48_240e_gym_limb" in failure(capsys, "train", "slowonly_r51", "-o", run_folder)
    message = failure(capsys, "train", "slowonly_r50_gym_limb", "-o", run_folder, "--set", "training.epoch=3")
    assert "did you mean epochs?" in message
    gym = ("train", "slowonly_r50_u48_240e_gym_keypoint.toml", "--validate", "-o", run_folder, "--data", tmp_path)
    assert "gym_train.pkl or gym.pkl" in failure(capsys, *gym)
    assert not run_folder.exists()
