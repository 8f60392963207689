"""8-bit ONNX files and what they say of their loss."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core import PoseSequence, write_poses
from poseworks.core.cli import run
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.onnx_export import open_onnx
from poseworks.core.testing import walking_poses
from poseworks.lifting import LCN, EHGFormer, EHGFormerConfig, LCNConfig, save
from poseworks.lifting.body_scale import standing_height
from poseworks.lifting.cli import app
from poseworks.lifting.input_forms import Preparation, prepare
from poseworks.lifting.quantisation import export_int8, int8_path

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def walk() -> PoseSequence:
    return walking_poses(30, dims=2, rng=np.random.default_rng(0), noise=2)


def lcn() -> LCN:
    torch.manual_seed(0)
    network = LCN(LCNConfig(channels=8, layers=1, in_features=3)).eval()
    network.preparation = Preparation(form="ray", unit_m=0.8, assumed_focal=1.2)
    return network


def test_the_loss_is_that_of_a_person_of_stated_size(tmp_path: Path) -> None:
    network = lcn()
    report = export_int8(network, tmp_path / "m.onnx", walk())
    assert report.int8.path == int8_path(tmp_path / "m.onnx") == tmp_path / "m.int8.onnx"
    assert report.int8.size_bytes == report.int8.path.stat().st_size < 0.6 * report.size_bytes
    poses = walk()
    prepared = prepare(network.preparation, poses.positions[0], poses.confidence[0], (1280, 720))
    with torch.no_grad():
        expected = prepared.restore(network(prepared.x).numpy())
    (found,) = open_onnx(report.int8.path).run(None, {"pose2d": prepared.x.numpy()})
    scale = 1.7 / np.median(standing_height(expected))
    distance = 1000 * scale * np.linalg.norm(prepared.restore(found) - expected, axis=-1)
    assert report.int8.frames == 30
    assert report.int8.mean_mm == pytest.approx(distance.mean(), rel=0.01)
    assert report.int8.largest_mm == pytest.approx(distance.max(), rel=0.01)
    assert 0 < report.int8.mean_mm < 30
    note = json.loads((tmp_path / "m.int8.json").read_text())
    assert note["int8"]["mean_mm"] == report.int8.mean_mm
    full = json.loads((tmp_path / "m.json").read_text())
    assert full == {name: value for name, value in note.items() if name != "int8"}
    assert (full["preparation"]["form"], full["preparation"]["unit_m"]) == ("ray", 0.8)
    assert full["joint_names"][:2] == ["pelvis", "right_hip"]
    assert "R has as rows the axes" in full["before"]
    assert "unit_m R^T (y_j - y_pelvis)" in full["after"]


@pytest.mark.long
def test_the_verb_says_what_8_bits_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    save(EHGFormer(EHGFormerConfig(frames=8, width=16, blocks=1, heads=2)), tmp_path / "m")
    write_poses(walk(), tmp_path / "walk.npz")
    arguments = ["export", str(tmp_path / "m"), "-o", str(tmp_path / "m.onnx"), "--int8", str(tmp_path / "walk.npz")]
    assert run(app, [*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["int8"]["frames"] == 30
    assert report["int8"]["path"].endswith("m.int8.onnx")
    assert report["largest_difference"] < 1e-4
    assert run(app, arguments) == 2
    assert "already exists" in capsys.readouterr().err


def test_tracks_that_cannot_be_lifted_leave_no_file(tmp_path: Path) -> None:
    poses = walk()
    gone = poses.replace(positions=np.full_like(poses.positions, np.nan))
    with pytest.raises(DataError, match="no frame shows enough"):
        export_int8(lcn(), tmp_path / "m.onnx", gone)
    network = lcn()
    network.preparation = Preparation(form="ray")
    with pytest.raises(ConfigError, match="need the focal length"):
        export_int8(network, tmp_path / "m.onnx", poses)
    (tmp_path / "m.int8.json").write_text("{}")
    with pytest.raises(ConfigError, match="already exists"):
        export_int8(lcn(), tmp_path / "m.onnx", poses)
    assert {file.name for file in tmp_path.iterdir()} == {"m.int8.json"}
