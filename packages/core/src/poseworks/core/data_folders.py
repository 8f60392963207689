"""The folders in which licensed data sets are looked for: those that POSEWORKS_DATA lists, or that a command names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def data_roots(given: str | os.PathLike[str] | None = None) -> list[Path]:
    """One or more folders (or a file), separated as in PATH; None: those of POSEWORKS_DATA."""
    text = os.fspath(given) if given is not None else os.environ.get("POSEWORKS_DATA", "")
    return [Path(part) for part in text.split(os.pathsep) if part]


def where_looked(roots: Sequence[Path]) -> str:
    """The folders, for an error about a data set that is in none of them."""
    return ", ".join(map(str, roots)) or "POSEWORKS_DATA, which is not set"
