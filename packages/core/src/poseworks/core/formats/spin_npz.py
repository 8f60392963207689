"""Data sets in SPIN's layout: an npz of one row a person in a picture, N rows. Read alone; HumanData is written.

    imgname    (N,) text            relative to the data set's folder
    center     (N, 2), scale (N,)   middle of the box in pixels, and its side in units of 200 px, already enlarged
    part       (N, 24, 3)           x, y in pixels, confidence: labelled joints, convention `smpl_24`
    openpose   (N, 25, 3)           the same, detected, convention `openpose_25`
    S          (N, 24, 4)           x, y, z in metres, confidence: `smpl_24`, usually relative to the pelvis
    pose       (N, 72)              SMPL, axis-angle, the first three turn the whole body
    shape      (N, 10)              betas
    has_smpl   (N,) 0 or 1          without it all rows of a file with pose and shape have them
    gender     (N,) m, f or nothing

Only the first three are always there. Other keys (maskname, partname) are ignored. Text may be an array of objects,
which is read by a machine that runs no code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_models.data import Gender
from poseworks.core.errors import FormatError
from poseworks.core.formats.reading import read_npz
from poseworks.core.unpickling import restricted_loads

Array = NDArray[np.float64]

_SHAPES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"center": (2,), "scale": (), "part": (24, 3), "openpose": (25, 3), "S": (24, 4), "pose": (72,), "shape": (10,)}
)
_NEEDED = ("imgname", "center", "scale")
_GENDERS: Mapping[str, Gender] = {"m": "male", "f": "female", "male": "male", "female": "female"}


@dataclass(frozen=True, eq=False, kw_only=True)
class SpinData:
    """N rows, each a person in a picture; None: the file has no such. Float64, finite.

    Attributes:
        image_path: (N,).
        center: (N, 2) pixels.
        scale: (N,) side of the square around it in units of 200 px.
        part: (N, 24, 3).
        openpose: (N, 25, 3).
        joints: (N, 24, 4), called S in the file.
        pose: (N, 24, 3) axis-angle.
        betas: (N, 10).
        has_smpl: (N,) bool: `pose` and `betas` hold something.
        gender: (N,), neutral where none is said; None: none is said of any.
    """

    image_path: tuple[str, ...]
    center: Array
    scale: Array
    part: Array | None = None
    openpose: Array | None = None
    joints: Array | None = None
    pose: Array | None = None
    betas: Array | None = None
    has_smpl: NDArray[np.bool_]
    gender: tuple[Gender, ...] | None = None


def is_spin_npz(keys: tuple[str, ...]) -> bool:
    """Whether these are the keys of such a file."""
    return set(_NEEDED) <= set(keys)


def read_spin_npz(path: str | os.PathLike[str]) -> SpinData:
    """The rows of a file in SPIN's layout.

    Raises:
        FormatError: with everything that is wrong with the file.
        DataError: it cannot be read.
    """
    source = Path(path)
    stored = read_npz(source, keys=[*_SHAPES, "imgname", "has_smpl", "gender"], objects=_objects)
    missing = [key for key in _NEEDED if key not in stored]
    if missing:
        raise FormatError(f"{source}: not a data set in SPIN's layout: {', '.join(missing)} missing.")
    faults: list[str] = []
    names = _texts(stored, "imgname", faults) or []
    rows = len(names)
    values = {key: _numbers(stored, key, rows, faults) for key in _SHAPES}
    scale = values["scale"]
    if scale is not None and (scale <= 0).any():
        faults.append(f"scale: {int((scale <= 0).sum())} rows are not above 0, the first {int(np.argmax(scale <= 0))}")
    genders = _texts(stored, "gender", faults)
    has = _has_smpl(stored, values, rows, faults)
    if genders is not None and len(genders) != rows:
        faults.append(f"gender: {len(genders)} rows, imgname has {rows}")
    if faults:
        raise FormatError(f"{source}: not a data set in SPIN's layout: {'; '.join(faults)}.")
    pose = values["pose"]
    assert values["center"] is not None
    assert scale is not None
    return SpinData(
        image_path=tuple(names),
        center=values["center"],
        scale=scale,
        part=values["part"],
        openpose=values["openpose"],
        joints=values["S"],
        pose=None if pose is None else pose.reshape(rows, 24, 3),
        betas=values["shape"],
        has_smpl=has,
        gender=None if genders is None else tuple(_GENDERS.get(word.lower(), "neutral") for word in genders),
    )


def _has_smpl(
    stored: Mapping[str, NDArray[Any]], values: Mapping[str, Array | None], rows: int, faults: list[str]
) -> NDArray[np.bool_]:
    """(N,) which rows have parameters."""
    both = values["pose"] is not None and values["shape"] is not None
    if "has_smpl" not in stored:
        return np.full(rows, both)
    has = stored["has_smpl"]
    if has.shape not in ((rows,), (rows, 1)) or has.dtype.kind not in "biuf" or not np.isin(has, (0, 1)).all():
        faults.append(f"has_smpl: expected ({rows},) of 0 and 1, got {has.dtype} {has.shape}")
        return np.zeros(rows, bool)
    if has.any() and not both:
        faults.append("has_smpl: rows with parameters, but pose or shape is missing")
    return np.asarray(has.reshape(rows) != 0)


def _numbers(stored: Mapping[str, NDArray[Any]], key: str, rows: int, faults: list[str]) -> Array | None:
    """(N, ...) finite float64 of a key."""
    array = stored.get(key)
    if array is None:
        return None
    wanted = (rows, *_SHAPES[key])
    if key == "scale" and array.shape == (rows, 1):
        array = array[:, 0]
    if array.dtype.kind not in "fiu" or array.shape != wanted:
        faults.append(f"{key}: expected numbers {wanted}, got {array.dtype} {array.shape}")
        return None
    if not np.isfinite(array).all():
        faults.append(f"{key}: holds NaN or infinite numbers")
        return None
    return array.astype(np.float64)


def _texts(stored: Mapping[str, NDArray[Any]], key: str, faults: list[str]) -> list[str] | None:
    """(N,) text of a key."""
    array = stored.get(key)
    if array is None:
        return None
    entries = [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in array.ravel().tolist()]
    if array.ndim != 1 or not all(isinstance(each, str) for each in entries):
        faults.append(f"{key}: expected text (N,), got {array.dtype} {array.shape}")
        return None
    return entries


def _objects(data: memoryview) -> NDArray[Any]:
    """An array of Python objects."""
    value = restricted_loads(data)
    if isinstance(value, np.ndarray):
        return value
    raise FormatError("holds a pickle that is no array")
