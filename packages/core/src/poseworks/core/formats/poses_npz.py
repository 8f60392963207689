"""The poses file `NAME.npz`: all that a PoseSequence holds. Read with pickles refused.

    format        str                  "poseworks.poses/1"
    positions     (P, T, J, D) float32 P people, T frames, J joints, D = 2 or 3; NaN = not observed
    confidence    (P, T, J) float32    0..1; ones where the source has none
    joint_names   (J,) str             in the vocabulary of `poseworks.core.skeletons`
    skeleton      str                  a known skeleton, or "custom"
    fps           float                > 0
    unit          str                  px, m, mm, normalised
    frame         str                  image, camera, world, root
    image_size    (2,) int, optional   width, height; only where `frame` is image
    times         (T,) float64, opt.   seconds of each frame, rising
    person_ids    (P,) int, optional   track numbers
    history       str                  JSON list of objects: what made the file, one entry a step

No other key is allowed. Every fault of a file is reported at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import FormatError, PoseworksError
from poseworks.core.formats.hints import Hints
from poseworks.core.formats.reading import parse_json, read_npz, write_npz
from poseworks.core.formats.tracks import select_person
from poseworks.core.poses import PoseSequence

FORMAT = "poseworks.poses/1"
# name: (kinds of dtype, bytes of one item or None, axes, must be there)
FIELDS: Mapping[str, tuple[str, int | None, int, bool]] = {
    "format": ("U", None, 0, True),
    "positions": ("f", 4, 4, True),
    "confidence": ("f", 4, 3, True),
    "joint_names": ("U", None, 1, True),
    "skeleton": ("U", None, 0, True),
    "fps": ("fiu", None, 0, True),
    "unit": ("U", None, 0, True),
    "frame": ("U", None, 0, True),
    "image_size": ("iu", None, 1, False),
    "times": ("f", 8, 1, False),
    "person_ids": ("iu", None, 1, False),
    "history": ("U", None, 0, True),
}
_KINDS = {"U": "text", "f": "floats", "iu": "whole numbers", "fiu": "a number"}


def read(path: Path, hints: Hints) -> PoseSequence:
    """The poses in a poses file.

    Raises:
        FormatError: with everything that is wrong with the file.
        ConfigError: a hint contradicts the file.
        DataError: the file cannot be read, or has no such person.
    """
    hints.refuse(("people", "sequence", "first_frame", "world"), path, "poses")
    arrays = read_npz(path)
    faults = _faults(arrays)
    fields, more = _fields(arrays)
    faults += more
    try:
        poses = PoseSequence(**_completed(fields))
    except PoseworksError as error:
        faults.append(str(error).removeprefix("poses: "))
    if faults:
        raise FormatError(f"{path}: {'; '.join(faults)}.")
    for name in ("fps", "skeleton", "unit", "frame"):
        hints.agree(name, getattr(poses, name), path)
    if poses.image_size is not None:
        hints.agree("image_size", poses.image_size, path)
    elif poses.frame != "image":
        hints.refuse(("image_size",), path, f"{poses.frame} poses")
    elif hints.image_size is not None:  # pixels of an image whose size the file does not state
        poses = poses.replace(image_size=hints.image_size)
    return select_person(poses, hints, path)


def write(poses: PoseSequence, path: Path) -> None:
    """Writes a poses file; it appears whole or not at all."""
    arrays: dict[str, Any] = {
        "format": FORMAT,
        "positions": poses.positions,
        "confidence": poses.confidence,
        "joint_names": np.array(poses.joint_names, dtype=np.str_),
        "skeleton": poses.skeleton,
        "fps": np.float64(poses.fps),
        "unit": poses.unit,
        "frame": poses.frame,
        "history": json.dumps([dict(entry) for entry in poses.history]),
    }
    if poses.image_size is not None:
        arrays["image_size"] = np.array(poses.image_size, dtype=np.int64)
    if poses.times is not None:
        arrays["times"] = poses.times
    if poses.person_ids is not None:
        arrays["person_ids"] = poses.person_ids
    write_npz(path, arrays)


def _faults(arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    """Missing and unknown keys, another format."""
    faults = []
    missing = [name for name, (_, _, _, needed) in FIELDS.items() if needed and name not in arrays]
    unknown = [name for name in arrays if name not in FIELDS]
    if missing:
        faults.append(f"missing keys: {', '.join(missing)}")
    if unknown:
        faults.append(f"unknown keys: {', '.join(unknown)}; expected none but {', '.join(FIELDS)}")
    stated = arrays.get("format")
    if stated is not None and stated.dtype.kind == "U" and stated.ndim == 0 and str(stated) != FORMAT:
        faults.append(f"format: expected {FORMAT!r}, got {str(stated)[:80]!r}")
    return faults


def _fields(arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, Any], list[str]]:
    """(fields of a PoseSequence that have the right type and number of axes, faults of the others)."""
    fields: dict[str, Any] = {}
    faults = []
    for name, (kinds, size, axes, _) in FIELDS.items():
        if name not in arrays:
            continue
        array = arrays[name]
        if array.dtype.kind not in kinds or array.ndim != axes or size not in (None, array.dtype.itemsize):
            expected = _KINDS[kinds] + (f" of {8 * size} bits" if size else "")
            faults.append(f"{name}: expected {expected} with {axes} axes, got {array.dtype} {array.shape}")
        elif name == "image_size" and array.shape != (2,):
            faults.append(f"image_size: expected (2,), got {array.shape}")
        elif name == "history":
            try:
                fields[name] = _history(str(array))
            except FormatError as error:
                faults.append(str(error))
        elif name != "format":
            fields[name] = array if axes else array.item()
    return fields, faults


def _history(text: str) -> tuple[dict[str, Any], ...]:
    """The entries."""
    entries = parse_json(text, "history")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FormatError("history: expected a JSON list of objects")
    return tuple(entries)


def _completed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, with harmless ones for those that are missing, so that all the others are checked too."""
    fields = dict(fields)
    if "positions" not in fields:
        sizes = [len(fields.get(name, [0])) for name in ("person_ids", "times", "joint_names")]
        shape = fields["confidence"].shape if "confidence" in fields else tuple(sizes)
        fields["positions"] = np.zeros((*shape, 2), np.float32)
    if "joint_names" not in fields:
        fields |= {"joint_names": [f"joint_{n}" for n in range(fields["positions"].shape[2])], "skeleton": "custom"}
    frame = "image" if fields.get("unit") == "px" or "image_size" in fields else "root"
    return {"skeleton": "custom", "fps": 1.0, "unit": "normalised", "frame": frame, **fields}
