"""Being written."""

from __future__ import annotations
from pathlib import Path
from poseworks.core.formats.hints import Hints
from poseworks.core.poses import PoseSequence

POSE_KEYS = ("joints_3d", "joints_2d", "keypoints_3d", "keypoints_2d")


def read(path: Path, hints: Hints) -> PoseSequence:
    """The poses."""
    raise NotImplementedError


def write(poses: PoseSequence, path: Path) -> None:
    """Writes the poses."""
    raise NotImplementedError
