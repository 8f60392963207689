"""OpenPose folder: one JSON file for each image, NAME_000000000012_keypoints.json.

    people: a list, one entry for each person in the image; their order is no identity
        pose_keypoints_2d   [x, y, c] * J in pixels; c is the confidence, (0, 0, 0) means not found
        person_id           [number], or [-1] (the usual case: none)
    version and all other keys are not read

25 joints are openpose25 (BODY_25), 18 openpose18 (COCO with neck), 26 halpe26 (as Pose2Sim writes them); others
need the hint `skeleton`. A file without people is a frame in which nobody was seen. The number at the end of the file's
name is the frame; how people and frames are found: tracks.py. A single file is read as one frame, number 0. Written:
the same layout, every person in every frame (zeros where nothing was observed), with person_id where there are several
people or numbered ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from poseworks.core.errors import DataError, FormatError
from poseworks.core.files import atomic_folder
from poseworks.core.formats.coco import check_writable, detections_of
from poseworks.core.formats.hints import Hints
from poseworks.core.formats.reading import numbers, read_head, read_json, shown
from poseworks.core.formats.tracks import Detection, frame_numbers, skeleton_by_count, tracks
from poseworks.core.poses import PoseSequence

JOINTS = {25: "openpose25", 18: "openpose18", 26: "halpe26"}
ENDING = "_keypoints"


def frame_files(folder: Path) -> list[Path]:
    """The JSON files of a folder, by name; those that end in _keypoints.json, if any do.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix == ".json" and file.is_file())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}).") from error
    return [file for file in files if file.stem.endswith(ENDING)] or files


def read(path: Path, hints: Hints) -> PoseSequence:
    """The tracks in an OpenPose folder, in pixels.

    Raises:
        FormatError: a file is not of this layout.
        ConfigError: a hint is missing or contradicts the files.
        DataError: nobody was seen, the people or frames cannot be told apart, or a file cannot be read.
    """
    hints.refuse(("world",), path, "OpenPose")
    files = frame_files(path) if path.is_dir() else [path]
    if not path.is_dir():
        read_head(path)  # says that it is missing or empty
    if not files:
        raise FormatError(f"{path}: holds no JSON file; expected NAME_000000000000_keypoints.json, ...")
    names = [file.stem.removesuffix(ENDING) for file in files] if path.is_dir() else [0]
    places, frames = frame_numbers(names, hints, path)
    if len(set(frames)) < len(frames):
        raise FormatError(f"{path}: two files have one frame number.")
    detections: list[Detection] = []
    for place, frame in zip(places, frames, strict=True):
        detections += _people(files[place], frame)
    if not detections:
        raise DataError(f"{path}: nobody was seen in any of the {len(frames)} frames.")
    sizes = sorted({len(d.keypoints) for d in detections})
    if len(sizes) > 1:
        raise FormatError(f"{path}: people with {' and '.join(map(str, sizes))} joints; expected one number of joints.")
    skeleton = skeleton_by_count(sizes[0], hints, path, "openpose", JOINTS)
    return tracks(path, detections, hints, skeleton, "openpose", frames)


def write(poses: PoseSequence, path: Path) -> None:
    """Writes a folder of OpenPose files; an existing one is replaced as a whole.

    Raises:
        DataError: not 2D pixels, or uneven times; the folder cannot be written.
    """
    check_writable(poses, path, "OpenPose")
    if not poses.num_people * poses.num_frames:
        raise DataError(f"{path}: OpenPose files cannot hold {poses.num_people} people, {poses.num_frames} frames.")
    numbered = poses.num_people > 1 or poses.person_ids is not None
    if numbered and poses.person_ids is not None and (poses.person_ids < 0).any():
        raise DataError(f"{path}: person numbers below 0 mean no number in OpenPose files. Use others.")
    with atomic_folder(path, overwrite=True) as folder:
        people: list[dict[str, Any]] = []
        for place, (frame, person, keypoints) in enumerate(detections_of(poses), start=1):
            ids = [person] if numbered else [-1]
            people.append({"person_id": ids, "pose_keypoints_2d": keypoints.ravel().tolist()})
            if place % poses.num_people == 0:
                file = folder / f"{path.name}_{frame:012d}{ENDING}.json"
                file.write_text(json.dumps({"version": 1.3, "people": people}), encoding="utf-8")
                people = []


def _people(path: Path, frame: int) -> list[Detection]:
    """Everybody in one file."""
    content = read_json(path)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise FormatError(f'{path}: expected an object with a list "people".')
    detections = []
    for place, person in enumerate(people):
        what = f"{path}: person {place}"
        if not isinstance(person, dict) or "pose_keypoints_2d" not in person:
            raise FormatError(f"{what}: has no pose_keypoints_2d.")
        values = numbers(person["pose_keypoints_2d"], f"{what}: pose_keypoints_2d")
        if not len(values) or len(values) % 3:
            raise FormatError(f"{what}: {len(values)} numbers, expected x, y, confidence for each joint.")
        keypoints = values.reshape(-1, 3)
        detections.append(Detection(frame, _number(person.get("person_id"), what), keypoints, keypoints[:, 2].mean()))
    return detections


def _number(value: Any, what: str) -> int | None:
    """A person's number; -1, empty or missing: none."""
    if isinstance(value, list) and len(value) <= 1:
        value = value[0] if value else None
    if value is None or value == -1:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise FormatError(f"{what}: person_id is {shown(value)}, expected [number] or [-1].")
    return value
