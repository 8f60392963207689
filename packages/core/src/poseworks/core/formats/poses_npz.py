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

from poseworks.core.errors import FormatError, PoseworksError
from poseworks.core.formats.hints import Hints
from poseworks.core.formats.npz_fields import NpzField, read_fields
from poseworks.core.formats.reading import read_npz, write_npz
from poseworks.core.formats.tracks import select_person
from poseworks.core.poses import PoseSequence

FORMAT = "poseworks.poses/1"
FIELDS: Mapping[str, NpzField] = {
    "format": NpzField("U", None, 0),
    "positions": NpzField("f", 4, 4),
    "confidence": NpzField("f", 4, 3),
    "joint_names": NpzField("U", None, 1),
    "skeleton": NpzField("U", None, 0),
    "fps": NpzField("fiu", None, 0),
    "unit": NpzField("U", None, 0),
    "frame": NpzField("U", None, 0),
    "image_size": NpzField("iu", None, 1, needed=False),
    "times": NpzField("f", 8, 1, needed=False),
    "person_ids": NpzField("iu", None, 1, needed=False),
    "history": NpzField("U", None, 0),
}


def read(path: Path, hints: Hints) -> PoseSequence:
    """The poses in a poses file.

    Raises:
        FormatError: with everything that is wrong with the file.
        ConfigError: a hint contradicts the file.
        DataError: the file cannot be read, or has no such person.
    """
    hints.refuse(("people", "sequence", "first_frame", "world"), path, "poses")
    arrays = read_npz(path)
    fields, faults = read_fields(arrays, FIELDS, FORMAT)
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
