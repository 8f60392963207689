"""What the tests of the Human3.6M files share."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.lifting.learning.building import build, synthetic_recordings

REFERENCE = Path(__file__).parents[2] / "reference"


@pytest.fixture
def source() -> dict[str, dict[str, Any]]:
    """The stored source file, as its original is pickled."""
    content: dict[str, dict[str, Any]] = {}
    with np.load(REFERENCE / "protocol_source.npz") as file:
        for key in file.files:
            split, name = key.split("/", 1)
            content.setdefault(split, {})[name] = file[key].tolist() if name in ("source", "action") else file[key]
    return content


@pytest.fixture(scope="session")
def written() -> Callable[..., Path]:
    """A function that pickles into a file and returns its path."""

    def write(path: Path, content: Any, protocol: int = 3) -> Path:
        path.write_bytes(pickle.dumps(content, protocol))
        return path

    return write


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both layouts, few frames."""
    target = tmp_path_factory.mktemp("data") / "h36m"
    build(synthetic_recordings(2, rng=np.random.default_rng(0)), target)
    return target


@pytest.fixture(scope="session")
def items(folder: Path) -> list[dict[str, Any]]:
    with (folder / "h36m_test.pkl").open("rb") as stream:
        loaded: list[dict[str, Any]] = pickle.load(stream)  # written by this test
    return loaded
