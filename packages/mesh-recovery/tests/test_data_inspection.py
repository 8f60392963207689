"""What `inspect` says of data sets, bodies and body motion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.cli import run
from poseworks.core.formats.body_npz import write_body_motion
from poseworks.core.formats.human_data import HumanData, write_human_data
from poseworks.core.testing_bodies import random_motion
from poseworks.mesh_recovery.cli import app


def facts(capsys: pytest.CaptureFixture[str], file: Path, *options: str) -> dict[str, Any]:
    assert run(app, ["inspect", str(file), *options, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def failure(capsys: pytest.CaptureFixture[str], file: Path, *options: str) -> str:
    assert run(app, ["inspect", str(file), *options]) == 2
    return capsys.readouterr().err


def test_data_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spin = {"imgname": np.array(["a.jpg", "a.jpg"]), "center": np.ones((2, 2)), "scale": np.ones(2)}
    labels = np.zeros((2, 24, 4))
    labels[0, :, 3] = 1
    file = tmp_path / "mpi_inf_3dhp_valid.npz"
    np.savez(file, **spin, S=labels)  # type: ignore[arg-type]
    found = facts(capsys, file)
    assert (found["layout"], found["pictures"], found["people"], found["measured_by"]) == ("SPIN", 1, 2, "mi")
    assert found["with_3d_joints"] == {"smpl_24": 1}
    np.savez(file, **(spin | {"scale": np.zeros(2)}))  # type: ignore[arg-type]
    assert "scale: 2 rows are not above 0" in failure(capsys, file)
    smpl = {"global_orient": np.zeros((2, 3)), "body_pose": np.zeros((2, 23, 3)), "betas": np.zeros((2, 10))}
    boxes = np.tile([1.0, 2, 3, 4, 1], (2, 1))
    other = {"meta": {"gender": np.array(["f", "m"])}, "has_smpl": np.array([1, 0])}
    file = tmp_path / "own.npz"
    write_human_data(HumanData(image_path=("a.jpg", "b.jpg"), bbox_xywh=boxes, smpl=smpl, other=other), file)
    found = facts(capsys, file)
    assert (found["layout"], found["with_parameters"], found["measured_by"]) == ("HumanData", 1, None)
    assert found["genders"] == {"female": 1, "male": 1}
    write_human_data(HumanData(smpl=smpl), file, overwrite=True)
    found = facts(capsys, file)
    assert (found["rows"], "without image_path" in found["cannot_be_measured_on"]) == (2, True)
    assert "no checkpoint, to which body mean nothing" in failure(capsys, file, "--body", "free")


def test_bodies_and_motion(body_files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, body_files["body"])
    assert (found["what"], found["name"], found["gender"]) == ("body", "smpl", "neutral")
    assert (found["vertices"], found["triangles"], found["betas"]) == (6890, 13776, 10)
    write_body_motion(random_motion(3), tmp_path / "body.npz")
    found = facts(capsys, tmp_path / "body.npz")
    assert (found["what"], found["body"], found["frames"]) == ("body motion", "free", 3)
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02}q\x00.")
    assert "As a checkpoint" in failure(capsys, tmp_path / "a.pkl")
    np.savez(tmp_path / "a.npz", v_template=np.zeros((5, 3)))
    assert "not a body: misses shapedirs" in failure(capsys, tmp_path / "a.npz")
