"""From single detections (frame, person, keypoints) to tracks; what the detectors' formats share.

Rules, the same for every format:
- Frame numbers count images. The first frame of the result is the smallest number in the file, or the hint
  `first_frame`; numbers in between without a detection become frames with no joint observed.
- A person is a track number. Where there are none and each frame holds at most one person, that is the track.
  Several people without numbers are refused: their order is no identity. The hints `person` (the k-th of every
  frame) and `people="by_order"` (all, by order) say otherwise.
- Two detections of one track number in one frame: the one with the higher score counts; `history` has their number.
- x = y = confidence = 0 means not observed (NaN). Confidences outside 0..1 are brought to the nearer end, and
  `history` has their number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.formats.hints import HOW, Hints
from poseworks.core.formats.reading import built
from poseworks.core.poses import PoseSequence, history_entry
from poseworks.core.skeletons import SKELETONS, Skeleton

MAX_VALUES = 1 << 27  # people x frames x joints, so that a sparse file cannot ask for more than about 2 GiB


@dataclass(frozen=True)
class Detection:
    """One person in one image.

    Attributes:
        frame: number of the image.
        person: track number, or None.
        keypoints: (J, 3) float64 x, y in pixels and confidence.
        score: of the whole person.
    """

    frame: int
    person: int | None
    keypoints: NDArray[np.float64]
    score: float


def tracks(
    path: Path,
    detections: Sequence[Detection],
    hints: Hints,
    skeleton: Skeleton,
    format_name: str,
    frames: Sequence[int] = (),
) -> PoseSequence:
    """The tracks that the detections make up, by the rules above.

    Args:
        path: for messages.
        detections: at least one, all with the joints of `skeleton`.
        hints: `fps` is needed; `person`, `people`, `first_frame`, `image_size` are used.
        skeleton: of the keypoints.
        format_name: for `history`.
        frames: numbers of images that exist besides those with a detection.
    """
    settings: dict[str, Any] = {"format": format_name}
    hints.agree("unit", "px", path)
    hints.agree("frame", "image", path)
    fps = hints.need("fps", path, f"{format_name} files do not say how many frames a second they hold")
    settings["first_frame"], count = _frame_range([*frames, *(d.frame for d in detections)], hints, path)
    people = _by_person(path, detections, hints, settings)
    check_size(len(people), count, skeleton.num_joints, len(detections), path)
    shape = (len(people), count, skeleton.num_joints)
    positions = np.full((*shape, 2), np.nan, dtype=np.float32)
    confidence = np.zeros(shape, dtype=np.float32)
    clipped = 0
    for row, person in enumerate(people.values()):
        place = np.fromiter((d.frame - settings["first_frame"] for d in person), np.int64, len(person))
        keypoints = np.stack([d.keypoints for d in person])
        scores = keypoints[..., 2]
        clipped += int(((scores < 0) | (scores > 1)).sum())
        observed = (keypoints != 0).any(axis=-1)
        positions[row, place] = np.where(observed[..., None], keypoints[..., :2], np.nan)
        confidence[row, place] = np.clip(scores, 0, 1)
    if clipped:
        settings["confidences_clipped"] = clipped
    return built(
        path,
        positions=positions,
        confidence=confidence,
        joint_names=skeleton.joint_names,
        skeleton=skeleton.name,
        fps=fps,
        unit="px",
        frame="image",
        image_size=hints.image_size,
        person_ids=None if None in people else list(people),
        history=(history_entry("read", "poseworks-core", settings),),
    )


def frame_numbers(names: Sequence[str | int], hints: Hints, path: Path) -> tuple[list[int], list[int]]:
    """(places in `names`, their frame numbers) of one sequence of images.

    A whole number is a frame number; of a file name it is the last number before the suffix, and what stands before
    that names the sequence. Several sequences need the hint `sequence`.

    Raises:
        FormatError: a name has no number.
        ConfigError: there are several sequences and no hint, or not the one hinted at.
    """
    parsed: list[tuple[str, int]] = []
    for name in names:
        if isinstance(name, int):
            parsed.append(("", name))
            continue
        match = re.fullmatch(r"(.*?)([0-9]{1,15})", re.sub(r"\.[A-Za-z]\w{0,4}$", "", name), re.DOTALL)
        if match is None:
            raise FormatError(
                f"{path}: image {name[:80]!r} has no number, expected one at its end as in frame_0012.jpg."
            )
        parsed.append((match[1], int(match[2])))
    sequences = list(dict.fromkeys(prefix for prefix, _ in parsed))
    wanted = sequence_name(sequences, hints, path)
    places = [place for place, (prefix, _) in enumerate(parsed) if prefix == wanted]
    return places, [parsed[place][1] for place in places]


def sequence_name(sequences: Sequence[str], hints: Hints, path: Path) -> str:
    """The one sequence, or the one that the hint names.

    Raises:
        ConfigError: there are several and no hint, or not the one hinted at.
    """
    listed = ", ".join(repr(name) for name in sequences[:8]) + (", ..." if len(sequences) > 8 else "")
    if hints.sequence is None:
        if len(sequences) > 1:
            raise ConfigError(f"{path}: holds {len(sequences)} sequences ({listed}). Name one: {HOW['sequence']}.")
        return sequences[0]
    if hints.sequence in sequences:
        return str(hints.sequence)
    text = str(hints.sequence)
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < len(sequences):
        return sequences[int(text)]
    raise ConfigError(f"{path}: has no sequence {hints.sequence!r}; expected one of {listed}.")


def skeleton_by_count(
    count: int, hints: Hints, path: Path, format_name: str, known: dict[int, str], fixed: bool = False
) -> Skeleton:
    """The skeleton of `count` joints: the one that the format fixes, else the hint.

    Args:
        count: joints found.
        hints: `skeleton` is used.
        path: for messages.
        format_name: for messages.
        known: what the format means by a number of joints.
        fixed: the format leaves no room for another skeleton of the same size.

    Raises:
        ConfigError: the hint is missing, or contradicts the format.
        FormatError: the hint has another number of joints.
    """
    name = known.get(count)
    if name is not None and (hints.skeleton is None or fixed):
        hints.agree("skeleton", name, path)
        return SKELETONS[name]
    fitting = [s.name for s in SKELETONS.values() if s.num_joints == count]
    if not fitting:
        raise FormatError(f"{path}: {count} joints are those of no known skeleton ({_sizes()}).")
    why = f"{count} joints in {format_name} files may be {' or '.join(fitting)}"
    given = SKELETONS[hints.need("skeleton", path, why)]
    if given.num_joints != count:
        raise FormatError(f"{path}: holds {count} joints, but {given.name} has {given.num_joints}. {why.capitalize()}.")
    return given


def select_person(poses: PoseSequence, hints: Hints, path: Path) -> PoseSequence:
    """The person that the hint `person` names: by track number, else by place in the file.

    Raises:
        DataError: there is no such person.
    """
    if hints.person is None:
        return poses
    ids = list(range(poses.num_people)) if poses.person_ids is None else poses.person_ids.tolist()
    if hints.person not in ids:
        raise _no_such_person(path, hints.person, ids)
    return poses.select_people([ids.index(hints.person)])


def check_size(people: int, frames: int, joints: int, rows: int, path: Path) -> None:
    """Nothing, unless the arrays would be out of proportion to the `rows` that the file has of persons in frames.

    Raises:
        DataError: they would; a small damaged file must not ask for all the memory there is.
    """
    cells = max(people, 1) * max(frames, 1)
    if cells * max(joints, 1) > MAX_VALUES or cells > max(100_000, 1000 * rows):
        raise DataError(
            f"{path}: {people} people in {frames} frames are too many to hold at once, and most are empty. "
            f"Read one person: {HOW['person']}, or cut the file into clips."
        )


def _no_such_person(path: Path, person: int, ids: Sequence[int]) -> DataError:
    listed = ", ".join(map(str, sorted(ids)[:12])) + (", ..." if len(ids) > 12 else "")
    return DataError(f"{path}: has no person {person}; expected one of: {listed or 'none'}.")


def _sizes() -> str:
    return ", ".join(f"{s.name} {s.num_joints}" for s in SKELETONS.values())


def _frame_range(numbers: Sequence[int], hints: Hints, path: Path) -> tuple[int, int]:
    """(number of the first frame, how many frames there are)."""
    smallest, largest = min(numbers), max(numbers)
    first = smallest if hints.first_frame is None else hints.first_frame
    if first > smallest:
        raise ConfigError(f"{path}: first_frame is {first}, but the file has frame {smallest}. Give a smaller one.")
    count = largest - first + 1
    if count > 10_000 and count > 100 * len(set(numbers)):
        raise DataError(
            f"{path}: {len(set(numbers))} images with numbers from {first} to {largest} are no sequence of frames. "
            "Number the images by frame, or select one clip."
        )
    return first, count


def _by_person(
    path: Path, detections: Sequence[Detection], hints: Hints, settings: dict[str, Any]
) -> dict[int | None, list[Detection]]:
    """Detections of each track, at most one a frame; the key None is a track without a number."""
    numbered = [d for d in detections if d.person is not None]
    if numbered and len(numbered) < len(detections):
        raise FormatError(
            f"{path}: {len(detections) - len(numbered)} of {len(detections)} detections have no person id."
        )
    if numbered:
        hints.refuse(("people",), path, "track-numbered")
        return _by_number(path, numbered, hints, settings)
    in_frame: dict[int, list[Detection]] = {}
    for detection in detections:
        in_frame.setdefault(detection.frame, []).append(detection)
    most = max(len(people) for people in in_frame.values())
    if hints.person is not None or hints.people is not None:
        settings["people"] = "by_order"
    if hints.person is not None:
        if not 0 <= hints.person < most:
            raise _no_such_person(path, hints.person, range(most))
        settings["person"] = hints.person
        return {None: [people[hints.person] for people in in_frame.values() if len(people) > hints.person]}
    if most == 1:
        return {None: list(detections)}
    if hints.people is None:
        crowded = next(frame for frame, people in in_frame.items() if len(people) > 1)
        raise DataError(
            f"{path}: frame {crowded} has {len(in_frame[crowded])} people without track numbers, and their order is no "
            f"identity. Track them first, take the k-th of every frame with {HOW['person']}, or trust the order with "
            f"{HOW['people']}."
        )
    return {k: [people[k] for people in in_frame.values() if len(people) > k] for k in range(most)}


def _by_number(
    path: Path, detections: Sequence[Detection], hints: Hints, settings: dict[str, Any]
) -> dict[int | None, list[Detection]]:
    """Detections of each track number, rising; of two in one frame the one with the higher score."""
    people: dict[int | None, dict[int, Detection]] = {}
    twice = 0
    for detection in detections:
        track = people.setdefault(detection.person, {})
        other = track.get(detection.frame)
        twice += other is not None
        if other is None or detection.score > other.score:
            track[detection.frame] = detection
    if hints.person is not None:
        if hints.person not in people:
            raise _no_such_person(path, hints.person, [p for p in people if p is not None])
        people = {hints.person: people[hints.person]}
        settings["person"] = hints.person
    if twice:
        settings["lower_scored_duplicates_left_out"] = twice
    return {person: list(people[person].values()) for person in sorted(people, key=lambda p: -1 if p is None else p)}
