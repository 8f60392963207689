"""Body motion in the command `poseworks`: converted and inspected."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core import write_poses
from poseworks.core.cli import run as run_command_line
from poseworks.core.formats.body_npz import write_body_motion
from poseworks.core.testing import walking_poses
from poseworks.core.testing_bodies import random_motion
from poseworks.mesh_recovery import HMR, GraphCMR, GraphCMRConfig, HMRConfig, ResNetConfig, load
from poseworks.mesh_recovery.meshes import body_mesh
from poseworks.mesh_recovery.names import published_names
from poseworks.pipeline.cli import app

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def body_file(tmp_path: Path) -> Path:
    write_body_motion(random_motion(6, people=2, gaps=True), tmp_path / "body.npz")
    return tmp_path / "body.npz"


def status(*words: object) -> int:
    return run_command_line(app, [str(word) for word in words])


def test_convert_writes_what_the_suffix_says(tmp_path: Path, body_file: Path, capsys: Capture) -> None:
    assert status("convert", body_file, "-o", tmp_path / "body.glb") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'body.glb'}: 2 people, 6 frames, free body\n"
    assert status("convert", body_file, "-o", tmp_path / "body.bvh", "--person", "9", "--to-unit", "m", "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["people"], found["notes"][0][:16], captured.err) == (1, "2 frames without", "")
    assert status("convert", body_file, "-o", tmp_path / "body.obj", "--at-frame", "2") == 0
    assert "note: frame 2 alone" in capsys.readouterr().err
    for suffix, start in ((".glb", b"glTF"), (".bvh", b"HIERARCHY"), (".obj", b"# free body, neutral, frame 2")):
        assert (tmp_path / f"body{suffix}").read_bytes().startswith(start)


def test_options_that_mean_nothing_are_refused(tmp_path: Path, body_file: Path, capsys: Capture) -> None:
    assert status("convert", body_file, "-o", tmp_path / "x.glb", "--to-skeleton", "coco17") == 2
    assert "is body motion, of which only" in capsys.readouterr().err
    assert status("convert", body_file, "-o", tmp_path / "x.glb", "--skeleton", "coco17") == 2
    write_poses(walking_poses(5, rng=np.random.default_rng(0)), tmp_path / "poses.npz")
    capsys.readouterr()
    assert status("convert", tmp_path / "poses.npz", "-o", tmp_path / "x.csv", "--to-up", "z", "--body", "free") == 2
    assert "--body, --to-up: for body motion" in capsys.readouterr().err
    assert not list(tmp_path.glob("x.*"))


def test_inspect_says_whose_motion_it_is(body_file: Path, capsys: Capture) -> None:
    assert status("inspect", body_file, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["what"], found["format"], found["body"], found["people"]) == ("body motion", "body", "free", 2)
    assert found["frames_there"] == [4, 4]


def test_networks_of_bodies_are_listed_inspected_and_converted(tmp_path: Path, capsys: Capture) -> None:
    torch.manual_seed(0)
    backbone = ResNetConfig(blocks=(1, 1, 1, 1), width=4)
    network = HMR(HMRConfig(backbone=backbone, feature_size=128, hidden=8))
    names = published_names("hmr", network.state_dict())
    tensors = {names[name]: tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": tensors}, tmp_path / "hmr.pt")
    assert status("inspect", tmp_path / "hmr.pt", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["method"], found["backbone"]) == ("HMR", "resnet of other sizes")
    assert status("convert", tmp_path / "hmr.pt", "-o", tmp_path / "hmr") == 0
    again = load(tmp_path / "hmr")
    assert isinstance(again, HMR)
    assert again.config.backbone == backbone
    tensors.popitem()
    torch.save({"state_dict": tensors}, tmp_path / "broken.pt")
    capsys.readouterr()
    assert status("inspect", tmp_path / "broken.pt", "--json") == 0
    assert "head.deccam.bias" in json.loads(capsys.readouterr().out)["problem"]
    assert status("models", "--json") == 0
    assert {"HMR", "SPIN", "GraphCMR", "PARE"} <= {
        card["method"] for card in json.loads(capsys.readouterr().out)["models"]
    }


def test_networks_on_a_mesh_are_converted_with_their_body(tmp_path: Path, capsys: Capture) -> None:
    sizes = GraphCMRConfig(
        backbone=ResNetConfig(blocks=(1, 1, 1, 1), width=4), channels=64, layers=0, hidden=8, body="free"
    )
    network = GraphCMR(sizes, body_mesh(None, "free"))
    names = published_names("graphcmr", network.state_dict())
    original = tmp_path / "graphcmr.pt"
    torch.save({names[name]: tensor for name, tensor in network.state_dict().items()}, original)
    assert status("convert", original, "-o", tmp_path / "folder") == 2
    assert "--body" in capsys.readouterr().err
    assert status("convert", original, "-o", tmp_path / "folder", "--body", "free") == 0
    again = load(tmp_path / "folder")
    assert isinstance(again, GraphCMR)
    assert torch.equal(again.graph.shape.weight, network.graph.shape.weight)
    assert status("convert", original, "-o", tmp_path / "x", "--body", "free", "--to-up", "z") == 2
    assert "--to-up" in capsys.readouterr().err
    write_poses(walking_poses(5, rng=np.random.default_rng(0)), tmp_path / "poses.npz")
    assert status("convert", tmp_path / "poses.npz", "-o", tmp_path / "x.csv", "--mesh", "mesh.npz") == 2
    assert "--mesh" in capsys.readouterr().err
