"""Data sets in SPIN's layout: what is read of them, and what is wrong with a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import DataError, FormatError, PoseworksError
from poseworks.core.formats.spin_npz import is_spin_npz, read_spin_npz
from poseworks.core.testing import mutations

ROWS = 3


def spin_file(path: Path, **changes: Any) -> dict[str, Any]:
    """A file as SPIN's scripts write it; a change of None leaves the key out."""
    rng = np.random.default_rng(0)
    stored = {
        "imgname": np.array([f"imageFiles/walk/image_{row:05d}.jpg" for row in range(ROWS)]),
        "center": rng.uniform(100, 200, (ROWS, 2)),
        "scale": rng.uniform(1, 2, ROWS),
        "part": rng.uniform(0, 1, (ROWS, 24, 3)),
        "openpose": rng.uniform(0, 1, (ROWS, 25, 3)),
        "S": rng.normal(size=(ROWS, 24, 4)),
        "pose": rng.normal(size=(ROWS, 72)),
        "shape": rng.normal(size=(ROWS, 10)),
        "has_smpl": np.array([1, 0, 1]),
        "gender": np.array(["m", "f", ""]),
        "maskname": np.array(["a", "b", "c"]),
    } | changes
    np.savez(path, **{name: value for name, value in stored.items() if value is not None})
    return stored


def test_every_key_is_read(tmp_path: Path) -> None:
    stored = spin_file(tmp_path / "a.npz")
    data = read_spin_npz(tmp_path / "a.npz")
    assert is_spin_npz(tuple(stored))
    assert data.image_path == tuple(stored["imgname"])
    assert data.gender == ("male", "female", "neutral")
    assert data.has_smpl.tolist() == [True, False, True]
    for name, key in (("center", "center"), ("scale", "scale"), ("part", "part"), ("joints", "S"), ("betas", "shape")):
        np.testing.assert_array_equal(getattr(data, name), stored[key])
    assert data.pose is not None
    np.testing.assert_array_equal(data.pose.reshape(ROWS, 72), stored["pose"])


def test_test_splits_have_fewer_keys(tmp_path: Path) -> None:
    """3DPW's has parameters and no flag; MPI-INF-3DHP's joints alone. Old ones hold bytes, or objects."""
    few = {"part": None, "openpose": None, "S": None, "has_smpl": None}
    spin_file(tmp_path / "a.npz", **few, imgname=np.array([b"a", b"b", b"c"]), scale=np.ones((ROWS, 1)))
    data = read_spin_npz(tmp_path / "a.npz")
    assert data.image_path == ("a", "b", "c")
    assert data.has_smpl.all()
    assert data.part is data.openpose is data.joints is None
    spin_file(tmp_path / "a.npz", pose=None, shape=None, has_smpl=None, imgname=np.array(["a", "b", "c"], object))
    data = read_spin_npz(tmp_path / "a.npz")
    assert data.image_path == ("a", "b", "c")
    assert not data.has_smpl.any()
    assert data.pose is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": None}, "not a data set in SPIN's layout: scale missing"),
        ({"scale": np.array([1.0, 0.0, -1.0])}, "scale: 2 rows are not above 0, the first 1"),
        ({"center": np.full((ROWS, 2), np.nan)}, "center: holds NaN or infinite numbers"),
        ({"S": np.zeros((ROWS, 17, 4))}, r"S: expected numbers \(3, 24, 4\), got float64 \(3, 17, 4\)"),
        ({"pose": np.zeros((ROWS - 1, 72))}, r"pose: expected numbers \(3, 72\)"),
        ({"has_smpl": np.array([1, 2, 0])}, r"has_smpl: expected \(3,\) of 0 and 1"),
        ({"pose": None}, "rows with parameters, but pose or shape is missing"),
        ({"gender": np.array(["m"])}, "gender: 1 rows, imgname has 3"),
        ({"imgname": np.arange(ROWS)}, r"imgname: expected text \(N,\)"),
        ({"part": np.array([{}, {}, {}], object)}, "part: expected numbers"),
    ],
)
def test_faults_are_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    spin_file(tmp_path / "a.npz", **changes)
    with pytest.raises(FormatError, match=said):
        read_spin_npz(tmp_path / "a.npz")


def test_all_faults_stand_in_one_message(tmp_path: Path) -> None:
    spin_file(tmp_path / "a.npz", center=np.zeros((ROWS, 3)), shape=np.full((ROWS, 10), np.inf))
    with pytest.raises(FormatError, match=r"center: .*; shape: "):
        read_spin_npz(tmp_path / "a.npz")
    with pytest.raises(DataError, match="does not exist"):
        read_spin_npz(tmp_path / "b.npz")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    spin_file(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    for data in mutations(whole, np.random.default_rng(0)):
        (tmp_path / "b.npz").write_bytes(data)
        try:
            read_spin_npz(tmp_path / "b.npz")
        except PoseworksError as error:
            assert "b.npz" in str(error)  # noqa: PT017
