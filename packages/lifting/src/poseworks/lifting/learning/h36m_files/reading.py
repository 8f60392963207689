"""Readers of both layouts: whole splits, checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.unpickling import restricted_items
from poseworks.lifting.h36m import CAMERA_SIZES
from poseworks.lifting.learning.h36m_files.faults import SHOWN, unknown_camera
from poseworks.lifting.learning.h36m_files.frames import CAMERAS, JOINTS, EHGFormerFrames, Floats, LCNFrames, Numbers
from poseworks.lifting.learning.h36m_files.items import Items
from poseworks.lifting.learning.h36m_files.places import DETECTED_FILE, LCN_FILES, MAX_BYTES, Split
from poseworks.lifting.learning.h36m_files.tables import Table
from poseworks.lifting.learning.h36m_files.values import ones

Mode = Literal["gt", "dt_ft"]


def read_lcn(folder: str | os.PathLike[str], split: Split, mode: Mode = "gt") -> LCNFrames:
    """All frames of a split.

    Args:
        folder: holds ``h36m_train.pkl`` or ``h36m_test.pkl``, and for `mode` dt_ft ``h36m_sh_dt_ft.pkl``.
        mode: gt: keypoints are the true projections; dt_ft: those of the finetuned detector.

    Raises:
        FormatError: a file is damaged or not of this layout; lists every fault.
        DataError: a file cannot be read, or the two differ in their numbers of frames.
    """
    path = Path(folder) / LCN_FILES[split]
    items = Items()
    restricted_items(path, items.take, max_bytes=MAX_BYTES)
    items.faults.raise_any(path)
    columns = items.columns()
    joints = columns["joints_image"]
    if mode == "gt":
        keypoints, confidence = joints[..., :2], ones(len(joints))
    elif mode == "dt_ft":
        keypoints, confidence = _read_detected(Path(folder) / DETECTED_FILE, split)
        if len(keypoints) != len(joints):
            raise DataError(f"{path}: {len(joints)} frames, but {DETECTED_FILE} has {len(keypoints)} of {split}.")
    else:
        raise ConfigError(f"mode: {mode!r}: expected gt or dt_ft.")
    return LCNFrames(keypoints=keypoints, confidence=confidence, **columns)


def _read_detected(path: Path, split: Split) -> tuple[Floats, Floats]:
    """Keypoints and confidence of ``h36m_sh_dt_ft.pkl``."""
    table = Table.read(path, split, ("joint3d_image",))
    keypoints = table.floats("joint3d_image", (JOINTS, ">=2"), 2)
    confidence = table.confidence()
    table.faults.raise_any(path)
    return keypoints, confidence


def read_ehgformer(path: str | os.PathLike[str], split: Split) -> EHGFormerFrames:
    """All frames of a split of ``h36m_sh_conf_cam_source_final.pkl``; `find_ehgformer` says where it is.

    Raises:
        FormatError: the file is damaged or not of this layout; lists every fault.
        DataError: it cannot be read.
    """
    file = Path(path)
    test = split == "test"
    wanted = ("joint_2d", "joint3d_image", "camera_name", "source")
    table = Table.read(file, split, (*wanted, "joints_2.5d_image", "2.5d_factor", "action") if test else wanted)
    keypoints = table.floats("joint_2d", (JOINTS, ">=2"), 2)
    confidence = table.confidence()
    joints = table.floats("joint3d_image", (JOINTS, ">=3"), 3)
    cameras, names = table.texts("camera_name")
    for place in [place for place, name in enumerate(names) if name not in CAMERA_SIZES][:SHOWN]:
        frames = np.flatnonzero(cameras == place)
        table.faults.add(unknown_camera(names[place]), f"frame {frames[0]}", len(frames))
    recording, recordings = table.texts("source")
    truth = table.doubles("joints_2.5d_image", (JOINTS, "3")) if test else None
    factor = table.doubles("2.5d_factor", ()) if test else None
    if factor is not None and not (factor > 0).all():
        table.faults.add("2.5d_factor: expected mm a pixel above 0", f"frame {int(np.argmin(factor > 0))}")
    action, actions = table.texts("action") if test else (None, ())
    table.faults.raise_any(file)
    order = np.array([CAMERAS.index(name) for name in names], dtype=np.int32)  # all known: else there was a fault
    return EHGFormerFrames(
        keypoints=keypoints,
        confidence=confidence,
        joints_image=joints,
        camera=order[cameras],
        recording=recording,
        recordings=recordings,
        joints_25d=truth,
        factor=factor,
        action=action,
        actions=actions,
    )


def read_recordings(path: str | os.PathLike[str], split: Split) -> tuple[Numbers, tuple[str, ...]]:
    """(N,) which recording each frame of a source file is of, and their names, without reading the rest.

    Raises:
        FormatError: the file is damaged or not of this layout. DataError: it cannot be read.
    """
    table = Table.read(Path(path), split, ("source",))
    recording, names = table.texts("source")
    table.faults.raise_any(path)
    return recording, names
