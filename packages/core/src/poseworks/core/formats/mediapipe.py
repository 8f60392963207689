"""Landmark arrays of MediaPipe Pose: 33 landmarks of one person in a video.

npz:
    landmarks33   (T, 33, 3) float     x, y in pixels and visibility 0..1
    world33       (T, 33, 4) float     x, y, z in metres about the middle of the hips, and visibility; optional
    coco17        (T, 17, 3)           part of landmarks33; not read
    detected      (T,) bool            optional: frames with a person; others are NaN
    fps           float                optional, else the hint `fps`
    size_wh       (2,) int             optional: width, height of the image
npy: one array.
    (T, 33, 3)    x, y, visibility
    (T, 33, 4)    x, y, z, visibility, as MediaPipe gives them; z is read with the hint `world` alone
    The hint `unit` says what x and y are: px; or normalised, 0..1 of width and height as MediaPipe gives them, which
    the hint `image_size` turns into pixels.

With the hint `world` the result is 3D in metres, in the frame root (MediaPipe puts the hips' middle at 0); x right,
y down, z away from the camera. Frames without a detection: NaN, confidence 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError, FormatError
from poseworks.core.formats.hints import Hints
from poseworks.core.formats.reading import NPY_MAGIC, built, read_head, read_npy, read_npz, write_npz
from poseworks.core.formats.tracks import select_person
from poseworks.core.poses import PoseSequence, history_entry
from poseworks.core.skeletons import BLAZEPOSE_33, COCO_17

KEYS = ("landmarks33", "world33", "coco17", "detected", "fps", "size_wh")
COCO_ROWS = BLAZEPOSE_33.indices(COCO_17.joint_names)


def read(path: Path, hints: Hints) -> PoseSequence:
    """The landmarks of one person: 2D in pixels, or with the hint `world` 3D in metres.

    Raises:
        FormatError: the file is not of this layout; every fault of its arrays is listed.
        ConfigError: a hint is missing or contradicts the file.
        DataError: the file cannot be read.
    """
    hints.refuse(("people", "sequence", "first_frame"), path, "MediaPipe")
    if hints.world:
        hints.refuse(("image_size",), path, "MediaPipe world")
    hints.agree("skeleton", BLAZEPOSE_33.name, path)
    if read_head(path).startswith(NPY_MAGIC):
        landmarks, fields = _from_npy(path, hints), {"fps": None, "image_size": hints.image_size}
        detected = None
    else:
        landmarks, detected, fields = _from_npz(path, hints)
    fps = fields["fps"] if fields["fps"] is not None else hints.need("fps", path, "does not say its frame rate")
    unit, frame = ("m", "root") if hints.world else ("px", "image")
    hints.agree("frame", frame, path)
    if hints.world:
        hints.agree("unit", "m", path)
    visibility = landmarks[..., -1]
    missing = ~np.isfinite(landmarks).all(axis=-1)
    if detected is not None:
        missing |= ~detected[:, None]
    if np.isinf(landmarks).any():
        raise FormatError(f"{path}: infinite values.")
    if ((visibility < 0) | (visibility > 1))[~missing].any():
        raise FormatError(f"{path}: visibilities outside 0..1; expected them in the last column.")
    poses = built(
        path,
        positions=np.where(missing[..., None], np.nan, landmarks[..., :-1])[None],
        confidence=np.where(missing, 0, visibility)[None],
        joint_names=BLAZEPOSE_33.joint_names,
        skeleton=BLAZEPOSE_33.name,
        fps=fps,
        unit=unit,
        frame=frame,
        image_size=None if hints.world else fields["image_size"],
        history=(history_entry("read", "poseworks-core", {"format": "mediapipe", "world": bool(hints.world)}),),
    )
    return select_person(poses, hints, path)


def write(poses: PoseSequence, path: Path) -> None:
    """Writes an npz of this layout: landmarks33 and coco17 for pixels, world33 for metres about the hips.

    Raises:
        DataError: not one person's 33 landmarks in pixels or root-relative metres.
    """
    flat = poses.num_dims == 2 and poses.unit == "px" and poses.frame == "image"
    world = poses.num_dims == 3 and poses.unit == "m" and poses.frame == "root"
    if poses.skeleton != BLAZEPOSE_33.name or poses.num_people != 1 or not (flat or world) or poses.times is not None:
        raise DataError(
            f"{path}: MediaPipe arrays hold one person's blazepose33 in 2D px or in 3D m relative to the root, evenly "
            f"spaced; these are {poses.num_people} people, {poses.skeleton}, {poses.num_dims}D {poses.unit}. "
            "Write a poses file (.npz) instead."
        )
    landmarks = np.concatenate([poses.positions[0], poses.confidence[0][..., None]], axis=-1)
    arrays: dict[str, Any] = {"detected": poses.observed[0].any(axis=-1), "fps": np.float64(poses.fps)}
    if flat:
        arrays |= {"landmarks33": landmarks, "coco17": landmarks[:, COCO_ROWS]}
    else:
        arrays["world33"] = landmarks
    if poses.image_size is not None:
        arrays["size_wh"] = np.array(poses.image_size, dtype=np.int32)
    write_npz(path, arrays)


def _from_npz(path: Path, hints: Hints) -> tuple[NDArray[Any], NDArray[np.bool_] | None, dict[str, Any]]:
    """(landmarks with visibility last, which frames have a person, fps and image_size)."""
    arrays = read_npz(path)
    key, columns = ("world33", 4) if hints.world else ("landmarks33", 3)
    faults = [f"unknown key {name}" for name in arrays if name not in KEYS]
    landmarks = arrays.get(key, np.zeros((0, 33, columns)))
    if key not in arrays:
        other = "" if hints.world or "world33" not in arrays else "; world33 is read with world=True (--world)"
        faults.append(f"no {key}{other}")
    if landmarks.dtype.kind != "f" or landmarks.ndim != 3 or landmarks.shape[1:] != (33, columns):
        faults.append(f"{key}: expected (T, 33, {columns}) floats, got {landmarks.dtype} {landmarks.shape}")
    detected = arrays.get("detected")
    if detected is not None and (detected.dtype != bool or detected.shape != landmarks.shape[:1]):
        faults.append(f"detected: expected ({landmarks.shape[:1]}) bool, got {detected.dtype} {detected.shape}")
    fields: dict[str, Any] = {"fps": None, "image_size": hints.image_size}
    for name, kinds, shape in (("fps", "fiu", ()), ("size_wh", "iu", (2,))):
        value = arrays.get(name)
        if value is None:
            continue
        if value.dtype.kind not in kinds or value.shape != shape:
            faults.append(f"{name}: expected shape {shape}, got {value.dtype} {value.shape}")
        elif name == "fps":
            fields["fps"] = float(value)
        else:
            fields["image_size"] = (int(value[0]), int(value[1]))
    if faults:
        raise FormatError(f"{path}: {'; '.join(faults)}.")
    if fields["fps"] is not None:
        hints.agree("fps", fields["fps"], path)
    if "size_wh" in arrays:
        hints.agree("image_size", fields["image_size"], path)
    if not hints.world:
        hints.agree("unit", "px", path)
    return landmarks, detected, fields


def _from_npy(path: Path, hints: Hints) -> NDArray[Any]:
    """Landmarks with visibility last: (T, 33, 3) in pixels, or (T, 33, 4) in metres."""
    array = read_npy(path)
    if array.dtype.kind != "f" or array.ndim != 3 or array.shape[1] != 33 or array.shape[2] not in (3, 4):
        raise FormatError(f"{path}: expected (T, 33, 3 or 4) floats, got {array.dtype} {array.shape}.")
    if hints.world:
        if array.shape[2] != 4:
            raise FormatError(f"{path}: has no z; world landmarks are (T, 33, 4): x, y, z, visibility.")
        return array
    array = array[..., [0, 1, -1]]
    unit = hints.need("unit", path, "a bare array does not say whether it is in pixels (px) or 0..1 (normalised)")
    if unit == "normalised":
        array[..., :2] *= np.array(hints.need("image_size", path, "turning 0..1 into pixels needs the image's size"))
    elif unit != "px":
        raise FormatError(f"{path}: unit is px or normalised, not {unit}; metres are read with world=True (--world).")
    return array
