"""Being written."""

from __future__ import annotations
from pathlib import Path
from poseworks.core.formats.hints import Hints
from poseworks.core.poses import PoseSequence

MAGIC = "# poseworks.csv/1"


def read(path: Path, hints: Hints) -> PoseSequence:
    """The poses."""
    raise NotImplementedError


def write(poses: PoseSequence, path: Path) -> None:
    """Writes the poses."""
    raise NotImplementedError
