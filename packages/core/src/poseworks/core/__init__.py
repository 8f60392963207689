"""poseworks.core: poses, skeletons, rotations, metrics, files and training. Importing it does not import torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

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


def __getattr__(name: str) -> Any:
    """A public name or module, imported when it is first asked for."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, and what the module holds besides."""
    return sorted({*globals(), *__all__, *_MODULES})
