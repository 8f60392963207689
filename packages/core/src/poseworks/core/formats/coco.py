"""COCO results JSON: a list of detections, as `loadRes` of the COCO tools takes and most detectors write.

Each entry is one person in one image:
    image_id      int, or a file name with a number at its end: the frame
    category_id   int, not used
    keypoints     [x, y, c] * J in pixels; c is the confidence 0..1. x = y = c = 0: not observed
    score         float, of the person; the mean of c where it is missing
    track_id      int, optional (also `idx`): the person's number over time

17 joints are COCO's own (coco17): the results format is defined so. 26 are Halpe's. Every other number of joints needs
the hint `skeleton`. The format has no frame rate (hint `fps`), no image size and no history. How people and frames are
found: tracks.py. Written: pixels, 2D, an entry for every person and frame, also one with nothing observed, so that the
length is kept; the confidence of joints that were not observed becomes 0, people without numbers get 0, 1, ...
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError, FormatError
from poseworks.core.files import atomic_path
from poseworks.core.formats.hints import Hints
from poseworks.core.formats.reading import number, numbers, read_json, shown
from poseworks.core.formats.tracks import Detection, frame_numbers, skeleton_by_count, tracks
from poseworks.core.poses import PoseSequence

JOINTS = {17: "coco17", 26: "halpe26"}


def read(path: Path, hints: Hints) -> PoseSequence:
    """The tracks in a COCO results file, in pixels.

    Raises:
        FormatError: the file is not of this layout.
        ConfigError: a hint is missing or contradicts the file.
        DataError: the people or frames cannot be told apart; the file cannot be read.
    """
    return read_entries(path, hints, "coco", ("track_id", "idx"))


def write(poses: PoseSequence, path: Path) -> None:
    """Writes a COCO results file.

    Raises:
        DataError: not 2D pixels, uneven times, or 17 joints that are not COCO's.
    """
    write_entries(poses, path, "COCO", "track_id")


def read_entries(path: Path, hints: Hints, format_name: str, id_keys: tuple[str, ...]) -> PoseSequence:
    """The tracks in a list of detections; the person's number is under the first of `id_keys` that an entry has."""
    hints.refuse(("world",), path, format_name)
    entries = read_json(path)
    if not isinstance(entries, list):
        raise FormatError(f"{path}: expected a list of detections, got {type(entries).__name__}.")
    if not entries:
        raise FormatError(f"{path}: holds no detection.")
    names = [_image(entry, f"{path}: entry {place}") for place, entry in enumerate(entries)]
    places, frames = frame_numbers(names, hints, path)
    detections = [
        _detection(entries[place], frame, f"{path}: entry {place}", id_keys)
        for place, frame in zip(places, frames, strict=True)
    ]
    sizes = sorted({len(d.keypoints) for d in detections})
    if len(sizes) > 1:
        raise FormatError(f"{path}: people with {' and '.join(map(str, sizes))} joints; expected one number of joints.")
    skeleton = skeleton_by_count(sizes[0], hints, path, format_name, JOINTS, fixed=True)
    return tracks(path, detections, hints, skeleton, format_name)


def write_entries(poses: PoseSequence, path: Path, format_name: str, id_key: str, **extra: Any) -> None:
    """Writes a list of detections, one for each person and frame."""
    check_writable(poses, path, format_name)
    if poses.num_joints == 17 and poses.skeleton != "coco17":
        raise DataError(
            f"{path}: 17 joints in a {format_name} file mean coco17, not {poses.skeleton}. Convert the skeleton first."
        )
    if poses.person_ids is not None and (poses.person_ids == -1).any():
        raise DataError(f"{path}: person number -1 means no number in a {format_name} file. Use another.")
    if not poses.num_people * poses.num_frames:
        raise DataError(
            f"{path}: a {format_name} file cannot hold {poses.num_people} people, {poses.num_frames} frames."
        )
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for place, (frame, person, keypoints) in enumerate(detections_of(poses)):
            entry: dict[str, Any] = {
                "image_id": f"{frame}.jpg" if extra else frame,
                "category_id": 1,
                "keypoints": keypoints.ravel().tolist(),
                "score": float(keypoints[:, 2].mean()),
            }
            if extra:
                entry["box"] = _box(keypoints)
            if poses.num_people > 1 or poses.person_ids is not None:
                entry[id_key] = person
            stream.write((",\n" if place else "[") + json.dumps(entry))
        stream.write("]\n")


def check_writable(poses: PoseSequence, path: Path, format_name: str) -> None:
    """Nothing, unless the poses are not what a detector's format holds: evenly spaced 2D pixels.

    Raises:
        DataError: naming all that does not fit.
    """
    faults = []
    if poses.num_dims != 2 or poses.unit != "px" or poses.frame != "image":
        faults.append(f"2D pixels in the image, not {poses.num_dims}D {poses.unit} in the frame {poses.frame}")
    if poses.times is not None:
        faults.append("evenly spaced frames, but these have times of their own")
    zero = poses.observed & (poses.positions == 0).all(axis=-1) & (poses.confidence == 0)
    if zero.any():
        faults.append(f"(0, 0) with confidence 0 as not observed, but {int(zero.sum())} joints were observed there")
    if faults:
        raise DataError(f"{path}: {format_name} files hold {'; '.join(faults)}. Write a poses file (.npz) instead.")


def detections_of(poses: PoseSequence) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
    """(frame, person's number, (J, 3) x y c with zeros for joints not observed), frame by frame."""
    ids = range(poses.num_people) if poses.person_ids is None else poses.person_ids.tolist()
    values = np.concatenate([poses.positions, poses.confidence[..., None]], axis=-1).astype(np.float64)
    values[~poses.observed] = 0
    for frame in range(poses.num_frames):
        for row, person in enumerate(ids):
            yield frame, person, values[row, frame]


def _image(entry: object, what: str) -> str | int:
    """What names the image of an entry."""
    if not isinstance(entry, dict):
        raise FormatError(f"{what}: expected an object with image_id and keypoints, got {type(entry).__name__}.")
    missing = [key for key in ("image_id", "keypoints") if key not in entry]
    if missing:
        raise FormatError(f"{what}: has no {' and no '.join(missing)}.")
    image = entry["image_id"]
    if isinstance(image, bool) or not isinstance(image, int | str):
        raise FormatError(f"{what}: image_id is {shown(image)}, expected a whole number or a file name.")
    if isinstance(image, int) and abs(image) > 10**15:
        raise FormatError(f"{what}: image_id is too large for a frame number.")
    return image


def _detection(entry: dict[str, Any], frame: int, what: str, id_keys: tuple[str, ...]) -> Detection:
    """One entry, checked."""
    values = numbers(entry["keypoints"], f"{what}: keypoints")
    if not len(values) or len(values) % 3:
        raise FormatError(f"{what}: keypoints has {len(values)} numbers, expected x, y, confidence for each joint.")
    keypoints = values.reshape(-1, 3)
    score = entry.get("score")
    return Detection(
        frame=frame,
        person=next((_person(entry[key], f"{what}: {key}") for key in id_keys if key in entry), None),
        keypoints=keypoints,
        score=float(keypoints[:, 2].mean()) if score is None else number(score, f"{what}: score"),
    )


def _person(value: Any, what: str) -> int | None:
    """A track number; detectors also write it as a float or inside lists. -1 and null: none."""
    for _ in range(4):
        if not (isinstance(value, list) and len(value) == 1):
            break
        value = value[0]
    if value is None or value == []:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or abs(value) > 2**53:
        raise FormatError(f"{what}: is {shown(value)}, expected one whole number.")
    return None if value == -1 else int(value)


def _box(keypoints: NDArray[np.float64]) -> list[float]:
    """[x, y, width, height] around the observed joints; zeros where there are none."""
    points = keypoints[(keypoints != 0).any(axis=-1), :2]
    if not len(points):
        return [0.0, 0.0, 0.0, 0.0]
    low, high = points.min(axis=0), points.max(axis=0)
    return [*low.tolist(), *(high - low).tolist()]
