"""The verb `lift`, as a stranger would call it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core import read_poses, write_poses
from poseworks.core.cli import run
from poseworks.lifting import LCN, LCNConfig, save
from poseworks.lifting.cli import app
from poseworks.lifting.input_forms import Preparation

WALK = Path(__file__).parent / "data" / "walk_side_coco17.npz"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = LCN(LCNConfig(in_features=3, channels=4, layers=1)).eval()
    network.preparation = Preparation(form="ray", assumed_focal=1.2)
    save(network, tmp_path / "model")
    return tmp_path / "model"


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(app, ["lift", *(str(a) for a in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    return line


def test_a_file_becomes_a_file_and_json_says_what(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "motion3d.npz"
    assert run(app, ["lift", str(WALK), "--model", str(model), "-o", str(output), "--height", "1.72", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["unit"], facts["frame"], facts["frames"], facts["people"]) == ("m", "root", 112, 1)
    assert facts["persons"][0]["height"] == pytest.approx(1.72, rel=1e-3)
    assert facts["history"]["settings"]["one_unit"] == "one metre"
    assert any("focal length is not known" in note for note in facts["notes"])
    lifted = read_poses(output)
    assert (lifted.unit, lifted.frame, lifted.skeleton) == ("m", "root", "h36m17")
    assert [entry["verb"] for entry in lifted.history][-2:] == ["convert", "lift"]


def test_people_read_where_it_went(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bones = ["--bone", "left_thigh=0.43", "--bone", "shin=0.42", "--focal", "1100"]
    assert run(app, ["lift", str(WALK), "--model", str(model), "-o", str(tmp_path / "a.npz"), *bones]) == 0
    captured = capsys.readouterr()
    assert "in metres, frame camera" in captured.out
    assert "root's path" in captured.out


def test_a_marker_file_needs_a_size_and_a_camera(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "motion.trc"
    common = [WALK, "--model", model, "-o", output]
    assert "--height 1.72" in failure(capsys, *common)
    assert "--height" in failure(capsys, *common, "--focal", 1000)
    line = failure(capsys, *common, "--height", 1.7)
    assert "--focal" in line
    assert "--height" not in line
    assert not output.exists()
    camera = tmp_path / "camera.json"
    camera.write_text(json.dumps({"focal": 1000, "image_size": [1280, 380]}))
    assert run(app, ["lift", *map(str, common), "--height", "1.7", "--camera", str(camera), "-q"]) == 0
    assert read_poses(output).unit == "m"


def test_a_table_holds_what_has_no_metres(model: Path, tmp_path: Path) -> None:
    assert run(app, ["lift", str(WALK), "--model", str(model), "-o", str(tmp_path / "a.csv"), "-q"]) == 0
    assert read_poses(tmp_path / "a.csv").unit == "normalised"


def test_several_inputs_become_a_folder_and_pages(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    write_poses(read_poses(WALK), other)
    arguments = ["lift", str(WALK), str(other), "--model", str(model), "-o", str(tmp_path / "out"), "-q"]
    assert run(app, [*arguments, "--report", str(tmp_path / "pages")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["other.npz", "walk_side_coco17.npz"]
    page = (tmp_path / "pages" / "other.html").read_text()
    assert "Lifted" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_faults_are_one_line_and_leave_no_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "a.npz"
    common = [WALK, "--model", model, "-o", output]
    assert "expected NAME=METRES" in failure(capsys, *common, "--bone", "thigh")
    assert "no bone is called 'femur'" in failure(capsys, *common, "--bone", "femur=0.4")
    assert "expected metres from" in failure(capsys, *common, "--height", 172)
    assert "State one of the two" in failure(capsys, *common, "--height", 1.7, "--bone", "thigh=0.4")
    assert "overlap" in failure(capsys, *common, "--overlap", 1)
    camera = tmp_path / "camera.json"
    camera.write_text(json.dumps({"focal": 1000, "image_size": [1920, 1080]}))
    assert "1920x1080" in failure(capsys, *common, "--camera", camera)
    assert "Leave one of the two out" in failure(capsys, *common, "--camera", camera, "--focal", 900)
    assert "names no format" in failure(capsys, WALK, "--model", model, "-o", tmp_path / "a.xyz")
    poses = read_poses(WALK)
    write_poses(poses.replace(image_size=None), tmp_path / "unsized.npz")
    assert "--image-size" in failure(capsys, tmp_path / "unsized.npz", "--model", model, "-o", output, "--focal", 900)
    names = tuple(f"point_{j}" for j in range(17))
    write_poses(poses.replace(joint_names=names, skeleton="custom"), tmp_path / "unknown.npz")
    assert "coco17 or h36m17" in failure(capsys, tmp_path / "unknown.npz", "--model", model, "-o", output)
    assert not output.exists()


def test_one_person_of_a_file_of_several(model: Path, tmp_path: Path) -> None:
    poses = read_poses(WALK)
    both = poses.replace(
        positions=np.concatenate([poses.positions, poses.positions + 3]),
        confidence=np.concatenate([poses.confidence] * 2), person_ids=np.array([2, 5]),
    )  # fmt: skip
    write_poses(both, tmp_path / "both.npz")
    arguments = ["lift", str(tmp_path / "both.npz"), "--person", "5", "--model", str(model)]
    assert run(app, [*arguments, "-o", str(tmp_path / "a.npz"), "-q"]) == 0
    lifted = read_poses(tmp_path / "a.npz")
    assert lifted.num_people == 1
    assert lifted.person_ids is not None
    assert lifted.person_ids.tolist() == [5]
