"""poseworks.core: poses, skeletons, rotations, metrics, files and training. Importing it does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poseworks.core.lazy import lazy_names

if TYPE_CHECKING:
    from poseworks.core.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        FormatError,
        PoseworksError,
        ShapeError,
        SkeletonError,
    )
    from poseworks.core.formats import detect_format, read_poses, write_poses
    from poseworks.core.poses import PoseSequence, history_entry, poses_from_arrays
    from poseworks.core.skeletons import (
        BLAZEPOSE_33,
        COCO_17,
        H36M_17,
        H36M_17_LEFT_FIRST,
        HALPE_26,
        J14,
        JHMDB_15,
        OPENPOSE_18,
        OPENPOSE_25,
        SKELETONS,
        SMPL_24,
        Conversion,
        Skeleton,
        conversion,
        convert,
        skeleton_from_names,
    )

_HOMES = {
    "errors": (
        "CheckpointError", "ConfigError", "DataError", "FormatError", "PoseworksError", "ShapeError", "SkeletonError"
    ),
    "formats": ("detect_format", "read_poses", "write_poses"),
    "poses": ("PoseSequence", "history_entry", "poses_from_arrays"),
    "skeletons": (
        "BLAZEPOSE_33", "COCO_17", "H36M_17", "H36M_17_LEFT_FIRST", "HALPE_26", "J14", "JHMDB_15", "OPENPOSE_18",
        "OPENPOSE_25", "SKELETONS", "SMPL_24", "Conversion", "Skeleton", "conversion", "convert",
        "skeleton_from_names",
    ),
}  # fmt: skip
_MODULES = ("checkpoints", "errors", "files", "formats", "metrics", "poses", "rotations", "shapes", "skeletons")

__all__ = [
    "BLAZEPOSE_33",
    "COCO_17",
    "H36M_17",
    "H36M_17_LEFT_FIRST",
    "HALPE_26",
    "J14",
    "JHMDB_15",
    "OPENPOSE_18",
    "OPENPOSE_25",
    "SKELETONS",
    "SMPL_24",
    "CheckpointError",
    "ConfigError",
    "Conversion",
    "DataError",
    "FormatError",
    "PoseSequence",
    "PoseworksError",
    "ShapeError",
    "Skeleton",
    "SkeletonError",
    "conversion",
    "convert",
    "detect_format",
    "history_entry",
    "poses_from_arrays",
    "read_poses",
    "skeleton_from_names",
    "write_poses",
]

__getattr__, __dir__ = lazy_names(globals(), _HOMES, _MODULES)
