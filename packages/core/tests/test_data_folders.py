"""Folders of data sets: from the command line, or from the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poseworks.core.data_folders import data_roots, where_looked


def test_folders_are_those_named_or_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEWORKS_DATA", os.pathsep.join(["a", "", "b"]))
    assert data_roots() == [Path("a"), Path("b")]
    assert data_roots(Path("c")) == [Path("c")]
    assert where_looked(data_roots()) == "a, b"
    monkeypatch.delenv("POSEWORKS_DATA")
    assert data_roots() == []
    assert where_looked([]) == "POSEWORKS_DATA, which is not set"
