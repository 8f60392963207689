"""The body file `NAME.npz`: all that a BodyMotion holds. Read with pickles refused.

    format         str                   "poseworks.body/1"
    global_orient  (P, T, 3) float32     axis-angle, radians; NaN where the person is not there
    body_pose      (P, T, 23, 3) float32 joints 1 to 23 of SMPL's tree
    betas          (P, K) float32
    transl         (P, T, 3) float32     metres
    fps            float                 > 0
    body           str                   free, smpl
    gender         str                   neutral, female, male
    frame          str                   camera (x right, y down, z away), world (y up)
    focal          float, optional       pixels; only where `frame` is camera
    image_size     (2,) int, optional    width, height; only where `frame` is camera
    times          (T,) float64, opt.    seconds of each frame, rising
    person_ids     (P,) int, optional    track numbers
    history        str                   JSON list of objects: what made the file, one entry a step

No other key is allowed. Every fault of a file is reported at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.errors import FormatError, PoseworksError
from poseworks.core.files import refuse_existing
from poseworks.core.formats.npz_fields import NpzField, read_fields
from poseworks.core.formats.reading import read_npz, write_npz

FORMAT = "poseworks.body/1"
FIELDS: Mapping[str, NpzField] = {
    "format": NpzField("U", None, 0),
    "global_orient": NpzField("f", 4, 3),
    "body_pose": NpzField("f", 4, 4),
    "betas": NpzField("f", 4, 2),
    "transl": NpzField("f", 4, 3),
    "fps": NpzField("fiu", None, 0),
    "body": NpzField("U", None, 0),
    "gender": NpzField("U", None, 0),
    "frame": NpzField("U", None, 0),
    "focal": NpzField("fiu", None, 0, needed=False),
    "image_size": NpzField("iu", None, 1, needed=False),
    "times": NpzField("f", 8, 1, needed=False),
    "person_ids": NpzField("iu", None, 1, needed=False),
    "history": NpzField("U", None, 0),
}


def read_body_motion(path: str | os.PathLike[str]) -> BodyMotion:
    """The motion in a body file.

    Raises:
        FormatError: with everything that is wrong with the file.
        DataError: the file cannot be read.
    """
    fields, faults = read_fields(read_npz(Path(path)), FIELDS, FORMAT)
    missing = [name for name, field in FIELDS.items() if field.needed and name != "format" and name not in fields]
    if not missing:
        try:
            motion = BodyMotion(**fields)
        except PoseworksError as error:
            faults.append(str(error).removeprefix("body motion: ").removesuffix("."))
    if faults:
        raise FormatError(f"{os.fspath(path)}: {'; '.join(faults)}.")
    return motion


def write_body_motion(motion: BodyMotion, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Writes a body file; it appears whole or not at all.

    Raises:
        ConfigError: the file exists and `overwrite` is false.
        DataError: it cannot be written.
    """
    refuse_existing(Path(path), overwrite)
    arrays: dict[str, Any] = {
        "format": FORMAT,
        "global_orient": motion.global_orient,
        "body_pose": motion.body_pose,
        "betas": motion.betas,
        "transl": motion.transl,
        "fps": np.float64(motion.fps),
        "body": motion.body,
        "gender": motion.gender,
        "frame": motion.frame,
        "history": json.dumps([dict(entry) for entry in motion.history]),
    }
    if motion.focal is not None:
        arrays["focal"] = np.float64(motion.focal)
    if motion.image_size is not None:
        arrays["image_size"] = np.array(motion.image_size, dtype=np.int64)
    for name in ("times", "person_ids"):
        if getattr(motion, name) is not None:
            arrays[name] = getattr(motion, name)
    write_npz(Path(path), arrays)
