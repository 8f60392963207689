from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from poseworks.core.body_models import BodyMotion
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.formats.body_npz import write_body_motion
from poseworks.core.formats.human_data import read_human_data
from poseworks.mesh_recovery.build_command import Options, run_build


def options(folder: Path, **changes: object) -> Options:
    fields = {
        "output": folder / "set", "count": 2, "size": 32, "seed": 0, "backgrounds": None, "workers": 0,
        "overwrite": False,
    }  # fmt: skip
    return Options(**{**fields, **changes})  # type: ignore[arg-type]


def zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


@pytest.fixture
def motion(tmp_path: Path) -> Path:
    frames = BodyMotion(
        global_orient=zeros(2, 3, 3), body_pose=zeros(2, 3, 23, 3), betas=zeros(2, 10), transl=zeros(2, 3, 3),
        fps=30, body="free",
    )  # fmt: skip
    write_body_motion(frames, tmp_path / "body.npz")
    return tmp_path / "body.npz"


def test_a_data_set_is_made_of_motion(tmp_path: Path, motion: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_build([motion, motion], options(tmp_path), json=True, quiet=False)
    said = json.loads(capsys.readouterr().out)
    assert said["poses"] == 12
    assert said["pictures"] == 2
    assert said["body"] == "free"
    assert read_human_data(tmp_path / "set/rendered.npz").num_rows == 2


def test_without_motion_it_says_where_poses_are_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_build([], options(tmp_path, count=1), json=False, quiet=False)
    heard = capsys.readouterr()
    assert "free pose prior" in heard.err
    assert "poses: free pose prior" in heard.out


def test_faults_are_named(tmp_path: Path, motion: Path) -> None:
    with pytest.raises(ConfigError, match=r"--size: .* got 8"):
        run_build([motion], options(tmp_path, size=8), json=False, quiet=True)
    with pytest.raises(ConfigError, match="--count 0: expected 1 or more"):
        run_build([motion], options(tmp_path, count=0), json=False, quiet=True)
    (tmp_path / "text.txt").write_text("no motion")
    with pytest.raises(DataError, match="not a file of body motion"):
        run_build([tmp_path / "text.txt"], options(tmp_path), json=False, quiet=True)
    with pytest.raises(DataError, match="expected a folder of pictures"):
        run_build([], options(tmp_path, backgrounds=tmp_path / "none"), json=False, quiet=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        run_build([], options(tmp_path, backgrounds=tmp_path / "empty"), json=False, quiet=True)
    (tmp_path / "set").mkdir()
    with pytest.raises(ConfigError, match="exists"):
        run_build([motion], options(tmp_path), json=False, quiet=True)
