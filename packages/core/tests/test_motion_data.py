"""The readers of the open motion files: positions come back to a twentieth of a millimetre, faults are listed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import DataError, FormatError
from poseworks.core.motion_data import read_clips, read_pairs
from poseworks.core.skeletons import H36M_17
from poseworks.core.testing import mutations

LENGTHS = (5, 8, 3)


def content(**changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    rows = sum(LENGTHS)
    data: dict[str, Any] = {
        "offsets": np.cumsum((0, *LENGTHS)).astype(np.int32),
        "origin_m": rng.normal(size=(3, 3)) * 10,
        "clip_id": np.array(["a", "b", "c"]),
        "split": np.array(["train", "val", "train"]),
        "fps": np.float32(30),
        "joint_names": np.array(H36M_17.joint_names),
    }
    for key in ("positions_tenth_mm", "noisy_tenth_mm", "clean_tenth_mm"):
        data[key] = rng.integers(-20000, 20000, (rows, 17, 3)).astype(np.int16)
    return {key: value for key, value in (data | changes).items() if value is not None}


def write(path: Path, **changes: Any) -> Path:
    np.savez(path, **content(**changes))
    return path


def test_positions_are_tenths_of_a_millimetre_about_the_clips_origin(tmp_path: Path) -> None:
    data = content()
    clips = read_clips(write(tmp_path / "clips.npz"), "train")
    assert [clip.clip_id for clip in clips] == ["a", "c"]
    assert [len(clip.positions) for clip in clips] == [5, 3]
    expected = data["positions_tenth_mm"][13:16] / 10000 + data["origin_m"][2]
    np.testing.assert_allclose(clips[1].positions, expected, atol=2e-6)
    assert clips[0].positions.dtype == np.float32
    assert clips[0].fps == 30


def test_pairs_hold_both_recordings(tmp_path: Path) -> None:
    data = content()
    (pair,) = read_pairs(write(tmp_path / "pairs.npz"), "val")
    np.testing.assert_allclose(pair.noisy, data["noisy_tenth_mm"][5:13] / 10000 + data["origin_m"][1], atol=2e-6)
    np.testing.assert_allclose(pair.clean, data["clean_tenth_mm"][5:13] / 10000 + data["origin_m"][1], atol=2e-6)


def test_an_empty_split_is_an_error_that_names_the_others(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no clip in the split test; there are train, val"):
        read_clips(write(tmp_path / "clips.npz"), "test")


def test_every_fault_is_listed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "clips.npz", positions_tenth_mm=np.zeros((4, 17, 3)), fps=np.float32(0), origin_m=np.zeros(3)
    )
    with pytest.raises(FormatError, match=r"positions_tenth_mm: .*; origin_m: .*; fps: ") as caught:
        read_clips(path, "train")
    assert "clips.npz" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": None}, "has no split"),
        ({"offsets": np.array([0, 9, 5, 16])}, "offsets"),
        ({"joint_names": np.array(H36M_17.joint_names[::-1])}, "Human3.6M order"),
    ],
)
def test_a_wrong_layout_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_clips(write(tmp_path / "clips.npz", **changes), "train")


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    data = write(tmp_path / "clips.npz").read_bytes()
    damaged = tmp_path / "damaged.npz"
    for changed in mutations(data, np.random.default_rng(0), 200):
        damaged.write_bytes(changed)
        with contextlib.suppress(FormatError, DataError):  # anything else is a fault of the reader
            assert all(clip.positions.shape[1:] == (17, 3) for clip in read_clips(damaged, "train"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file"):
        read_clips(tmp_path / "none.npz", "train")
