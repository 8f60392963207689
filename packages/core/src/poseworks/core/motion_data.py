"""Open motion data: recorded clips, and pairs of a sensor's estimate and the truth.

Both files are npz archives, read without pickle. Positions are int16 tenths of a millimetre about an origin a clip:

    offsets              (N + 1,) int   clip i is rows offsets[i]:offsets[i + 1]
    positions_tenth_mm   (rows, 17, 3) int16; pairs: noisy_tenth_mm and clean_tenth_mm
    origin_m             (N, 3) float64;   metres = tenths * 1e-4 + origin
    clip_id, split       (N,) text; split is train, val or test, by subject
    fps, joint_names     the frame rate, and the 17 names (Human3.6M order)

Only `train` ever trains a weight, `val` chooses, `test` reports.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError, FormatError
from poseworks.core.skeletons import H36M_17, Skeleton

Split = Literal["train", "val", "test"]
Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Clip:
    """One recording: (T, 17, 3) float32 metres in a world frame with z up."""

    clip_id: str
    positions: Array
    fps: float
    skeleton: Skeleton = H36M_17


@dataclass(frozen=True, eq=False)
class Pair:
    """One recording by two devices, frame by frame alike: both (T, 17, 3) float32 metres."""

    clip_id: str
    noisy: Array
    clean: Array
    fps: float
    skeleton: Skeleton = H36M_17


def read_clips(path: str | os.PathLike[str], split: Split) -> list[Clip]:
    """The clips of one split of a motion file such as ``cmu17.npz``.

    Raises:
        FormatError: the file is not of this layout; lists every fault.
        DataError: the split is empty.
    """
    data = _read(path, ("positions_tenth_mm",))
    return [
        Clip(name, _metres(data, "positions_tenth_mm", i), float(data["fps"])) for i, name in _chosen(data, split, path)
    ]


def read_pairs(path: str | os.PathLike[str], split: Split) -> list[Pair]:
    """The pairs of one split of a file such as ``prmd_pairs.npz``.

    Raises:
        FormatError: the file is not of this layout; lists every fault.
        DataError: the split is empty.
    """
    data = _read(path, ("noisy_tenth_mm", "clean_tenth_mm"))
    return [
        Pair(name, _metres(data, "noisy_tenth_mm", i), _metres(data, "clean_tenth_mm", i), float(data["fps"]))
        for i, name in _chosen(data, split, path)
    ]


def _read(path: str | os.PathLike[str], positions: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """All arrays of the file, checked."""
    keys = (*positions, "offsets", "origin_m", "clip_id", "split", "fps", "joint_names")
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in keys if key not in archive]
            if missing:
                raise FormatError(
                    f"{path}: has no {', '.join(missing)}. Expected the layout of benchmarks/data/README.md."
                )
            data = {key: archive[key] for key in keys}
    except FormatError:
        raise
    except FileNotFoundError:
        raise FormatError(f"{path}: no such file. The data are in benchmarks/data of the repository.") from None
    except Exception as fault:  # zip and header parsing raise many kinds, all of them about the file
        raise FormatError(f"{path}: not a readable npz file ({fault}).") from None
    faults = _faults(data, positions)
    if faults:
        raise FormatError(f"{path}: " + "; ".join(faults))
    return data


def _faults(data: dict[str, NDArray[Any]], positions: tuple[str, ...]) -> list[str]:
    """Everything that is wrong with the arrays."""
    faults = []
    offsets = data["offsets"]
    if (
        offsets.ndim != 1
        or offsets.dtype.kind not in "iu"
        or len(offsets) < 2
        or offsets[0]
        or (np.diff(offsets) < 1).any()
    ):
        return ["offsets: expected rising whole numbers from 0"]
    clips, rows = len(offsets) - 1, int(offsets[-1])
    faults += [
        f"{key}: expected int16 ({rows}, 17, 3), got {data[key].dtype} {data[key].shape}"
        for key in positions
        if data[key].shape != (rows, 17, 3) or data[key].dtype != np.int16
    ]
    if data["origin_m"].shape != (clips, 3) or not np.isfinite(np.asarray(data["origin_m"], dtype=float)).all():
        faults.append(f"origin_m: expected finite ({clips}, 3), got {data['origin_m'].shape}")
    faults += [
        f"{key}: expected {clips} texts, got {data[key].dtype} {data[key].shape}"
        for key in ("clip_id", "split")
        if data[key].shape != (clips,) or data[key].dtype.kind != "U"
    ]
    if data["fps"].shape != () or not float(data["fps"]) > 0:
        faults.append("fps: expected one number > 0")
    if tuple(data["joint_names"].tolist()) != H36M_17.joint_names:
        faults.append("joint_names: expected the Human3.6M order, " + ", ".join(H36M_17.joint_names))
    return faults


def _chosen(data: dict[str, NDArray[Any]], split: Split, path: str | os.PathLike[str]) -> list[tuple[int, str]]:
    chosen = [(int(i), str(data["clip_id"][i])) for i in np.flatnonzero(data["split"] == split)]
    if not chosen:
        known = ", ".join(sorted(set(data["split"].tolist())))
        raise DataError(f"{path}: no clip in the split {split}; there are {known}.")
    return chosen


def _metres(data: dict[str, NDArray[Any]], key: str, clip: int) -> Array:
    rows = data[key][data["offsets"][clip] : data["offsets"][clip + 1]]
    metres: Array = (rows * 1e-4 + data["origin_m"][clip]).astype(np.float32)
    return metres
