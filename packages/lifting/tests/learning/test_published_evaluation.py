"""The verbs `evaluate` and `build`, as a stranger would call them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from poseworks.core.cli import run
from poseworks.core.formats import write_poses
from poseworks.core.poses import PoseSequence
from poseworks.core.skeletons import H36M_17
from poseworks.lifting import EHGFormer, EHGFormerConfig, LCNConfig, load, save
from poseworks.lifting.cli import app
from poseworks.lifting.graphs import PARTITIONS
from poseworks.lifting.input_forms import Preparation
from poseworks.lifting.lcn import LCN
from poseworks.lifting.learning.building import build, synthetic_recordings
from poseworks.lifting.learning.ehgformer_protocol import evaluate_ehgformer, published_random
from poseworks.lifting.learning.h36m_files.places import EHGFORMER_FILE
from poseworks.lifting.learning.h36m_files.reading import read_ehgformer, read_lcn
from poseworks.lifting.learning.lcn_protocol import evaluate_lcn
from poseworks.lifting.learning.published_evaluation import _claims, labels_of
from poseworks.lifting.published import published_weights


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/h36m with a synthetic sample, and two untrained networks."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "data").mkdir()
    build(synthetic_recordings(56, rng=np.random.default_rng(0)), folder / "data/h36m")
    torch.manual_seed(0)
    save(LCN(LCNConfig(channels=2, layers=1)).eval(), folder / "lcn_final")
    save(EHGFormer(EHGFormerConfig(frames=27, width=8, blocks=1, heads=2)).eval(), folder / "ehgformer")
    return folder


@pytest.fixture(autouse=True)
def at_the_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("POSEWORKS_DATA", str(place / "data"))


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(app, [str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    return line


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert run(app, [*map(str, arguments), "--json"]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


def test_lcn_by_its_protocol(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "evaluate", "lcn_final", "--protocol", "lcn", "--flip", "--procrustes", "--mode", "dt_ft")
    frames = read_lcn(place / "data/h36m", "test", "dt_ft")
    expected = evaluate_lcn(load("lcn_final"), frames, flip=True, procrustes=True)
    assert (found["p1"], found["p2"]) == pytest.approx((expected.p1, expected.p2))
    assert [row["name"] for row in found["rows"]] == [str(action) for action in range(2, 17)]
    assert found["frames"] == found["frames_in_file"] == len(frames) == 15 * 4 * 56
    assert found["settings"] == {"mode": "dt_ft", "flip": True, "procrustes": True, "per_joint": False}
    assert "no root alignment" in found["definition"]
    joints = answer(capsys, "evaluate", "lcn_final", "--per-joint")
    assert [row["name"] for row in joints["rows"]] == list(H36M_17.joint_names)
    assert joints["p2"] is None
    assert not joints["settings"]["flip"]


def test_ehgformer_by_its_protocol(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "evaluate", "ehgformer", "--protocol", "ehgformer", "--dynamic")
    file = place / "data/h36m" / EHGFORMER_FILE
    frames, train = read_ehgformer(file, "test"), read_ehgformer(file, "train")
    network = load("ehgformer")
    expected = evaluate_ehgformer(network, frames, static=False, random=published_random(train.recording, 27))
    assert (found["p1"], found["p2"]) == pytest.approx((expected.p1, expected.p2))
    assert found["frames"] == 60 * 27
    assert found["settings"] == {"labels": "dynamic", "flip": True, "gt_2d": False, "clips": 60, "clips_blocked": 0}
    other = answer(capsys, "evaluate", "ehgformer", "--static", "--no-flip", "--data", file)
    assert other["settings"]["labels"] == "static"
    assert other["p1"] != pytest.approx(found["p1"], rel=1e-6)
    both = answer(capsys, "evaluate", "ehgformer", "--protocol", "ehgformer")
    assert both["labels"] is None
    assert both["dynamic"]["p1"] == found["p1"]
    assert both["static"]["settings"]["labels"] == "static"


def test_a_file_without_training_frames_will_do_where_none_is_stretched(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (place / "data/h36m" / EHGFORMER_FILE).open("rb") as stream:
        test = pickle.load(stream)["test"]  # written by this test
    (tmp_path / "test.pkl").write_bytes(pickle.dumps({"test": test}))
    found = answer(capsys, "evaluate", "ehgformer", "--dynamic", "--data", tmp_path / "test.pkl")
    assert found["frames"] == 60 * 27
    short = {key: np.concatenate([np.asarray(x)[:20], np.asarray(x)[56:]]) for key, x in test.items()}
    (tmp_path / "test.pkl").write_bytes(pickle.dumps({"test": short}))
    line = failure(capsys, "evaluate", "ehgformer", "--dynamic", "--data", tmp_path / "test.pkl")
    assert "holds a dict train" in line


def test_people_get_tables_in_which_nan_is_seen(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings = synthetic_recordings(56, rng=np.random.default_rng(0))
    build([r for r in recordings if r.numbers[1] != 7 or r.split == "train"], tmp_path / "h36m")
    assert run(app, ["evaluate", "lcn_final", "--data", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["7", "NaN", "-", "0"] for line in lines)
    assert any(line.split()[:2] == ["mean", "NaN"] for line in lines)
    assert "No frame of 7: the published mean is NaN then." in lines
    assert "Nothing was claimed for a network of these sizes." in lines
    found = answer(capsys, "evaluate", "lcn_final", "--data", tmp_path)
    assert found["p1"] is None
    assert found["p1_evaluated"] > 0
    assert found["empty_actions"] == ["7"]


def test_claims_stand_beside_networks_of_their_sizes() -> None:
    assert [(c.variant, c.p1) for c in _claims(LCN(), ["lcn-gt"])] == [("lcn-gt", 32.5)]
    assert not _claims(LCN(LCNConfig(in_features=3)), ["lcn-gt"])
    with torch.device("meta"):
        small = EHGFormer(EHGFormerConfig(width=128, blocks=6, groups=PARTITIONS[2]))
    assert [(c.variant, c.p1) for c in _claims(small, list(published_weights()))] == [("ehgformer-distilled-p2", 39.8)]
    assert (labels_of("ehgformer-static-p1"), labels_of("ehgformer-distilled-p2")) == (True, False)
    assert labels_of("lcn-gt") is None
    assert labels_of("best_epoch.bin") is None


def test_faults_are_one_line(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = failure(capsys, "evaluate", "ehgformer", "--protocol", "lcn")
    assert "numbers do not compare; measure it by --protocol ehgformer" in line
    monkeypatch.setattr("poseworks.lifting.evaluate_command.labels_of", lambda name: True)
    assert "was published as static" in failure(capsys, "evaluate", "ehgformer", "--dynamic")
    assert "--mode, --per-joint: not of the protocol ehgformer" in failure(
        capsys, "evaluate", "ehgformer", "--static", "--mode", "gt", "--per-joint"
    )
    assert "--dynamic: not of the protocol lcn" in failure(capsys, "evaluate", "lcn_final", "--dynamic")
    assert "Put h36m_test.pkl into h36m" in failure(capsys, "evaluate", "lcn_final", "--data", tmp_path)
    assert "and h36m_sh_dt_ft.pkl" in failure(capsys, "evaluate", "lcn_final", "--data", tmp_path, "--mode", "dt_ft")
    monkeypatch.delenv("POSEWORKS_DATA")
    assert "POSEWORKS_DATA, which is not set" in failure(capsys, "evaluate", "ehgformer", "--static")
    network = LCN(LCNConfig(channels=2, layers=1)).eval()
    network.preparation = Preparation(form="ray")
    save(network, tmp_path / "own")
    assert "expects the input form 'ray'" in failure(capsys, "evaluate", tmp_path / "own")


# --- build ------------------------------------------------------------------------------------------------------------


def _written(folder: Path, name: str, frames: int = 5) -> np.ndarray:
    joints = np.random.default_rng(0).normal(0, 0.3, (1, frames, 17, 3)) + np.array([0, 0, 5])
    folder.mkdir(exist_ok=True)
    for where, positions, unit, frame in (
        (folder, joints, "m", "camera"),
        (folder / "seen", joints[..., :2] / joints[..., 2:] * 1000 + 500, "px", "image"),
    ):
        where.mkdir(exist_ok=True)
        poses = PoseSequence(
            positions=positions.astype(np.float32), joint_names=H36M_17.joint_names, skeleton="h36m17", fps=50,
            unit=unit, frame=frame, image_size=None if frame == "camera" else (1000, 1002),
        )  # fmt: skip
        write_poses(poses, where / f"{name}.npz")
    return joints[0]


def test_poses_files_become_the_published_layouts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("s_01_act_02_subact_01_ca_01", "s_09_act_03_subact_01_ca_04")
    joints = [_written(tmp_path / "in", name) for name in names]
    (tmp_path / "camera.json").write_text('{"fx": 1000, "fy": 1000, "cx": 500, "cy": 500}')
    files = [tmp_path / "in" / f"{name}.npz" for name in names]
    more = ["--camera", tmp_path / "camera.json", "--keypoints", tmp_path / "in/seen"]
    found = answer(capsys, "build", *files, "-o", tmp_path / "h36m", *more)
    assert found["frames"] == {"train": 5, "test": 5}
    frames = read_lcn(tmp_path / "h36m", "test", "dt_ft")
    np.testing.assert_allclose(frames.joints_camera_mm, 1000 * joints[1], rtol=1e-5, atol=0.01)
    np.testing.assert_allclose(frames.keypoints, frames.joints_image[..., :2], atol=0.01)  # it saw them as they are
    assert "already exists" in failure(capsys, "build", *files, "-o", tmp_path / "h36m", *more)
    assert "--camera: state the camera" in failure(capsys, "build", *files, "-o", tmp_path / "x")
    seen = tmp_path / f"in/seen/{names[0]}.npz"
    assert "expected one person of h36m17 in 3D" in failure(capsys, "build", seen, "-o", tmp_path / "x", *more)
    assert "expected a name such as" in failure(capsys, "build", tmp_path / "walk.npz", "-o", tmp_path / "x", *more)
    assert not (tmp_path / "x").exists()


def test_a_sample_is_made_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "build", "--synthetic", "--frames", 1, "-o", tmp_path / "h36m")
    assert found["frames"] == {"train": 40, "test": 60}
    assert "one of the two" in failure(capsys, "build", "-o", tmp_path / "x")
    assert "belong to INPUT" in failure(
        capsys, "build", "--synthetic", "--camera", tmp_path / "c.json", "-o", tmp_path / "x"
    )
