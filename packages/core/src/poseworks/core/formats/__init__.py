"""Files of poses: each format in a file of its own, which states its layout; all give and take a PoseSequence."""

from __future__ import annotations

from poseworks.core.formats.detection import FORMATS, Format, detect_format, read_poses, write_poses
from poseworks.core.formats.hints import Hints

__all__ = ["FORMATS", "Format", "Hints", "detect_format", "read_poses", "write_poses"]
