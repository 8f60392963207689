"""Pickles that would run code, in every file that comes with a body: refused by name, and nothing is run."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.body_models import load_body, mesh_levels, pose_prior
from poseworks.core.errors import FormatError
from poseworks.core.formats.human_data import read_human_data
from poseworks.core.formats.spin_npz import read_spin_npz


class Harmful:
    """Would make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


READERS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "SMPL_NEUTRAL.pkl": (load_body, ("v_template", "shapedirs")),
    "SMPL_NEUTRAL.npz": (load_body, ("v_template", "J_regressor")),
    "mesh_downsampling.npz": (mesh_levels, ("A", "U", "D", "F")),
    "gmm_08.pkl": (pose_prior, ("means", "covars", "weights")),
    "pw3d_test.npz": (read_human_data, ("keypoints2d_mask", "smpl")),
    "3dpw_test.npz": (read_spin_npz, ("imgname", "center", "scale")),
}


@pytest.mark.parametrize("name", READERS)
def test_nothing_is_run(tmp_path: Path, name: str) -> None:
    read, keys = READERS[name]
    file, made = tmp_path / name, tmp_path / "harm"
    stored = dict.fromkeys(keys, Harmful(made))
    if file.suffix == ".pkl":
        file.write_bytes(pickle.dumps(stored))
    else:
        boxes = {key: np.array([value, value], dtype=object) for key, value in stored.items()}
        np.savez(file, **boxes)  # type: ignore[arg-type]
    with pytest.raises(FormatError, match=rf"{name}: .*mkdir, which is refused; nothing was run"):
        read(file)
    assert not made.exists()
