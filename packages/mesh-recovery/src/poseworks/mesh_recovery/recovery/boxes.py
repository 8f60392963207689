"""Where people are in a recording: boxes of keypoints, or of a file. NumPy only.

CSV, with a line of names; JSON, a list of such objects:

    frame                 whole number, from 0
    person                whole number, the same for a person throughout; 0 if left out
    x, y, width, height   pixels; in JSON together as "box": [x, y, width, height]
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError, FormatError
from poseworks.core.image_keypoints import in_pixels, refuse_other_than_keypoints, refuse_other_units
from poseworks.core.poses import PoseSequence

_SIDES = ("x", "y", "width", "height")
_MOST_FRAMES = 10_000_000
_LISTED = 5  # faults of a file that are spelt out
LEAST_SEEN = 4  # keypoints that make a box


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes of P people over T frames.

    Attributes:
        boxes: (P, T, 4) x, y, width, height in pixels; NaN where a person is not there.
        person_ids: (P,) track numbers.
        image_size: (width, height) of the pictures that they were found in, where it is known.
        whole: whether T is the number of frames of the recording; else there may be more.
        throughout: whether the boxes of the first frame are those of all others.
    """

    boxes: NDArray[np.float64]
    person_ids: NDArray[np.int64]
    image_size: tuple[int, int] | None = None
    whole: bool = False
    throughout: bool = False

    def __post_init__(self) -> None:
        if not np.isfinite(self.boxes).all(axis=-1).any():
            raise DataError("boxes: there is nobody in any frame. Give the boxes or keypoints of people.")

    @property
    def num_frames(self) -> int:
        """T."""
        return int(self.boxes.shape[1])

    def at(self, frame: int) -> list[tuple[int, NDArray[np.float64]]]:
        """Who is there in a frame: row and box."""
        if self.throughout:
            frame = 0
        elif frame >= self.num_frames:
            return []
        return [(row, box) for row, box in enumerate(self.boxes[:, frame]) if np.isfinite(box).all()]


def whole_picture(size: tuple[int, int]) -> Boxes:
    """One person, number 0, of whom every picture of (width, height) is the box."""
    return Boxes(np.array([[[0.0, 0.0, *size]]]), np.array([0]), size, throughout=True)


def boxes_of_poses(poses: PoseSequence, threshold: float = 0.2) -> Boxes:
    """Boxes around the keypoints whose confidence is above the threshold, where at least four of a person are.

    Raises:
        DataError: these are no keypoints of an image, or nobody has a box in any frame.
    """
    refuse_other_than_keypoints(poses, "Recovery")
    refuse_other_units(poses)
    pixels = in_pixels(poses)
    seen = pixels.observed & (pixels.confidence > threshold)
    points = np.where(seen[..., None], pixels.positions.astype(np.float64), np.nan)
    low = np.where(seen[..., None], points, np.inf).min(axis=2)
    size = np.where(seen[..., None], points, -np.inf).max(axis=2) - low
    kept = (seen.sum(axis=2) >= LEAST_SEEN) & (size > 0).all(axis=-1)
    boxes = np.where(kept[..., None], np.concatenate([low, size], axis=-1), np.nan)
    ids = np.arange(poses.num_people) if poses.person_ids is None else poses.person_ids
    return Boxes(boxes, ids, poses.image_size, whole=True)


def read_boxes(path: str | os.PathLike[str]) -> Boxes:
    """The boxes in a CSV or JSON file.

    Raises:
        FormatError: with what is wrong in the file, entry by entry.
        DataError: it cannot be read, or holds no box.
    """
    source = Path(path)
    try:
        text = source.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{source}: cannot be read ({error.strerror}). Name a .csv or .json file of boxes.") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{source}: is no text. Boxes are read from .csv and .json files.") from error
    entries = _of_json(text, source) if text.lstrip()[:1] in ("[", "{") else _of_csv(text, source)
    found: dict[tuple[int, int], list[float]] = {}
    faults: list[str] = []
    for where, entry in entries:
        try:
            frame, person, box = _checked(entry)
        except ValueError as error:
            faults.append(f"{where}: {error}")
            continue
        if (person, frame) in found:
            faults.append(f"{where}: person {person} has a box in frame {frame} already")
        found[person, frame] = box
    if faults:
        more = f"; and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
        raise FormatError(f"{source}: {'; '.join(faults[:_LISTED])}{more}.")
    if not found:
        raise DataError(f"{source}: holds no box.")
    people = sorted({person for person, _ in found})
    boxes = np.full((len(people), 1 + max(frame for _, frame in found), 4), np.nan)
    for (person, frame), box in found.items():
        boxes[people.index(person), frame] = box
    return Boxes(boxes, np.array(people, dtype=np.int64))


def _of_csv(text: str, source: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    table = csv.DictReader(text.splitlines(), skipinitialspace=True)
    names = [name.strip().lower() for name in table.fieldnames or ()]
    missing = [name for name in ("frame", *_SIDES) if name not in names]
    if missing:
        raise FormatError(
            f"{source}: no column {', '.join(missing)} in its first line, {names[:8]}. Expected frame, person, x, y, "
            "width, height."
        )
    table.fieldnames = names
    for entry in table:
        yield f"line {table.line_num}", {**entry, "box": [entry[name] for name in _SIDES]}


def _of_json(text: str, source: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{source}: is no JSON ({error}).") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FormatError(f'{source}: expected a list of objects {{"frame": 0, "person": 1, "box": [x, y, w, h]}}.')
    for number, entry in enumerate(entries):
        yield f"entry {number}", entry


def _checked(entry: Mapping[str, Any]) -> tuple[int, int, list[float]]:
    """Frame, person and box of an entry; ValueError says what is wrong with it."""
    frame = _whole("frame", entry.get("frame"))
    person = 0 if entry.get("person") in (None, "") else _whole("person", entry["person"])
    box = entry.get("box")
    if not isinstance(box, list) or len(box) != len(_SIDES):
        raise ValueError(f"expected a box of 4 numbers, got {box!r}")
    try:
        numbers = [float(number) for number in box]
    except (TypeError, ValueError):
        raise ValueError(f"expected a box of 4 numbers, got {box!r}") from None
    if not all(map(math.isfinite, numbers)) or numbers[2] <= 0 or numbers[3] <= 0:
        raise ValueError(f"box {numbers}: expected finite numbers, width and height above 0")
    return frame, person, numbers


def _whole(name: str, value: Any) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not (number.is_integer() and 0 <= number < _MOST_FRAMES):
        raise ValueError(f"{name}: expected a whole number from 0, got {value!r}")
    return int(number)
