"""The command, as a stranger would call it: one line for every fault."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from poseworks.core import write_poses
from poseworks.core.cli import run
from poseworks.core.testing import walking_poses
from poseworks.mesh_recovery import SPIN, ResNetConfig, SPINConfig, load
from poseworks.mesh_recovery.cli import app
from poseworks.mesh_recovery.models import model_cards, shipped_models
from poseworks.mesh_recovery.names import published_names
from poseworks.mesh_recovery.published import MAIN_TABLE, METHODS, VARIANTS, published_weights


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An untrained SPIN as it is published."""
    torch.manual_seed(0)
    network = SPIN(SPINConfig(backbone=ResNetConfig(width=2, blocks=(1, 1, 1, 1)), feature_size=64, hidden=8))
    names = published_names("spin", network.state_dict())
    torch.save({"model": {names[n]: x for n, x in network.state_dict().items()}}, tmp_path / "model_checkpoint.pt")
    return tmp_path / "model_checkpoint.pt"


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a faulty command line leaves."""
    assert run(app, [str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, object]:
    assert run(app, [*map(str, arguments), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert isinstance(content, dict)
    return content


def test_models_lists_every_variant_once(capsys: pytest.CaptureFixture[str]) -> None:
    listed = answer(capsys, "models")["models"]
    names = [model["name"] for model in listed]  # type: ignore[index, attr-defined]
    assert names == [*shipped_models(), *published_weights()]
    assert len(set(names)) == len(names)
    assert names[len(shipped_models()) :][:20] == [f"{m.lower()}-{v}" for m in METHODS for v in VARIANTS]
    assert all(card.licence and card.training_data and card.claim and card.where() for card in model_cards())
    assert run(app, ["models", "-q"]) == 0


def test_claims_are_those_of_the_study() -> None:
    weights = published_weights()
    assert [weights[f"{m.lower()}-l1-coco-aug"].claim_pa_mm for m in METHODS] == [51.66, 50.69, 60.26, 51.66, 58.82]
    assert weights["hmr-normal"].claim == "3DPW test: PA-MPJPE 64.55 mm (14 joints, no 3DPW in training)"
    assert weights["toolbox-spin"].claim_mm == 94.11
    assert "trained on 3DPW" in weights["graphormer-original"].claim
    # L1, and COCO keypoints, help every method but Graphormer and L1; Aug helps all.
    assert all(normal > last and coco >= last for normal, _, coco, last in MAIN_TABLE.values())


def test_convert_and_inspect(capsys: pytest.CaptureFixture[str], tmp_path: Path, checkpoint: Path) -> None:
    facts = answer(capsys, "inspect", checkpoint)
    assert (facts["method"], facts["nested_in"], facts["looks_like"]) == ("SPIN", "model", "a SPIN")
    assert facts["variant"] == "sizes of no published variant"
    assert facts["expects"] == {"crop": "pixels", "size": 224, "enlarge": 1.2, "camera": "perspective"}
    folder = tmp_path / "folder"
    assert answer(capsys, "convert", checkpoint, "-o", folder)["output"] == str(folder)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for ours, theirs in zip(load(folder)(images), load(checkpoint)(images), strict=True):
            assert_close(ours, theirs)
    assert answer(capsys, "inspect", folder)["backbone"] == "resnet of other sizes"
    assert "already exists" in failure(capsys, "convert", checkpoint, "-o", folder)
    write_poses(walking_poses(3, rng=np.random.default_rng(0)), tmp_path / "poses.npz")
    assert answer(capsys, "inspect", tmp_path / "poses.npz")["what"] == "poses"


def test_export(capsys: pytest.CaptureFixture[str], tmp_path: Path, checkpoint: Path) -> None:
    file = tmp_path / "network.onnx"
    assert answer(capsys, "export", checkpoint, "-o", file)["path"] == str(file)
    assert {path.name for path in tmp_path.iterdir()} == {checkpoint.name, "network.onnx", "network.json"}
    assert "ends in .onnx" in failure(capsys, "export", checkpoint, "-o", tmp_path / "x.pt")


def test_faults_are_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, checkpoint: Path) -> None:
    assert "which has no mesh" in failure(capsys, "convert", checkpoint, "-o", tmp_path / "x", "--body", "free")
    assert "no such file" in failure(capsys, "convert", "nothing.pt", "-o", tmp_path / "x")
    assert "no such file" in failure(capsys, "inspect", "nothing.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    assert checkpoint.name in failure(capsys, "export", checkpoint, "-o", tmp_path / "x.onnx")
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "x.onnx").exists()


def test_train_names_the_data_that_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = failure(capsys, "train", "hmr_r50_l1_coco_aug.toml", "--data", tmp_path, "-o", tmp_path / "run")
    assert "h36m_mosh_train.npz, folder h36m" in message or "h36m_mosh_train.npz, mpi_inf_3dhp_train.npz" in message
    assert "--data or POSEWORKS_DATA" in message
    assert "no such recipe or file. Recipes: " in failure(capsys, "train", "hmr_r51")
