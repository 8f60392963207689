"""The compressed form of annotation files, in which Kinetics' skeletons are published: reading, expanding, writing.

An annotation holds no keypoints but where they belong; N skeletons were detected in the recording:

    frame_inds    (N,) int16, not falling: the frame of each skeleton
    box_score     (N,) float16: of the detected person
    valid         {0.5: n, 0.6: n, ... 0.9: n} frames left at each threshold of the box score (0.x: ``valid@0.5`` ...)
    raw_file      the side file: {identifier: {"keypoint": (N, V, 3) x, y, score}} of many recordings
    filename      0.x instead: the side file of this recording alone, the array itself

and frame_dir, label, img_shape, original_shape, total_frames as everywhere. Skeletons are not tracked: the n-th of a
frame becomes person n (``DecompressPose`` of the original code; ``LoadKineticsPose`` in 0.x).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.files import refuse_existing
from poseworks.core.unpickling import restricted_load
from poseworks.skeleton_action.annotation import UNLABELLED, Annotation, as_annotation
from poseworks.skeleton_action.annotation_pickles import (
    MAX_BYTES,
    PickledAnnotations,
    listed,
    read_pickled,
    write_pickle,
    write_pickled,
)

BOX_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
MAX_FRAMES = 1 << 20
_CACHED = 4  # side files
_PARTS = ((1, range(5)), (2, (5, 6, 11, 12)), (3, (7, 8, 9, 10, 13, 14, 15, 16)))  # 0.x: weight of COCO's joints


@dataclass(frozen=True, eq=False, kw_only=True)
class CompressedAnnotation:
    """Where N detected skeletons belong.

    Attributes:
        identifier, label, image_shape, original_shape: as of an `Annotation`.
        total_frames: of the recording.
        frame_inds: (N,) the frame of each skeleton, not falling.
        box_scores: (N,) of the detected person.
        side_file: where the skeletons lie, as the file writes it.
        own_side_file: the side file is of this recording alone (0.x).
        valid: frames left at each threshold of the box score.
    """

    identifier: str
    label: int | None
    image_shape: tuple[int, int]
    original_shape: tuple[int, int] | None
    total_frames: int
    frame_inds: NDArray[np.int64]
    box_scores: NDArray[np.floating[Any]]
    side_file: str
    own_side_file: bool
    valid: Mapping[float, int]


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """How skeletons become people.

    Attributes:
        box_threshold: with `valid_ratio`: skeletons of a lower box score are left out.
        valid_ratio: recordings are left out of which fewer frames than this share are left at `box_threshold`; 0 (as
            in the published configurations): nothing is left out, whatever `box_threshold` says.
        squeeze: frames without people vanish.
        max_people: of a frame, those with the highest sums of scores; None: 10, or 100 in the form of 0.x, which
            weights torso and limbs higher.

    Raises:
        ConfigError: a value is out of its range.
    """

    box_threshold: float = 0.5
    valid_ratio: float = 0.0
    squeeze: bool = True
    max_people: int | None = None

    def __post_init__(self) -> None:
        if self.box_threshold not in BOX_THRESHOLDS:
            raise ConfigError(
                f"box_threshold: expected one of {', '.join(map(str, BOX_THRESHOLDS))}, got {self.box_threshold}."
            )
        if not 0 <= self.valid_ratio <= 1:
            raise ConfigError(f"valid_ratio: expected 0 to 1, got {self.valid_ratio}.")
        if self.max_people is not None and self.max_people < 1:
            raise ConfigError(f"max_people: expected 1 or more, got {self.max_people}.")


PUBLISHED = Expansion()


def expand(
    compressed: CompressedAnnotation, keypoints: NDArray[np.floating[Any]], settings: Expansion = PUBLISHED
) -> Annotation:
    """(M, T, V, 2) float16 of the skeletons (N, V, 3), in the order found.

    Without a skeleton there is nobody in all frames.

    Raises:
        DataError: there are other than N skeletons.
    """
    frames, total = compressed.frame_inds, compressed.total_frames
    if keypoints.ndim != 3 or keypoints.shape[0] != len(frames) or keypoints.shape[2] != 3:
        raise DataError(
            f"annotation {compressed.identifier!r}: expected skeletons of (N={len(frames)}, V, 3) x, y, score in "
            f"{compressed.side_file}, got {keypoints.shape}."
        )
    if settings.valid_ratio:
        kept = compressed.box_scores >= settings.box_threshold
        keypoints, frames = keypoints[kept], frames[kept]
    if settings.squeeze and len(frames):
        distinct, frames = np.unique(frames, return_inverse=True)
        total = len(distinct)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is reported as such
        keypoints = keypoints.astype(np.float16)
    firsts = np.searchsorted(frames, frames)
    person = np.arange(len(frames)) - firsts
    most = settings.max_people or (100 if compressed.own_side_file else 10)
    people = int(person.max(initial=-1)) + 1
    if people > most:
        order = np.lexsort((-_strength(keypoints[..., 2], parts=compressed.own_side_file), frames))
        keep = person < most
        keypoints, frames, person, people = keypoints[order][keep], frames[keep], person[keep], most
    filled = np.zeros((people, total, *keypoints.shape[1:]), dtype=np.float16)
    filled[person, frames] = keypoints
    return Annotation(
        identifier=compressed.identifier,
        keypoints=filled[..., :2],
        scores=filled[..., 2],
        image_shape=compressed.image_shape,
        original_shape=compressed.original_shape,
        label=compressed.label,
    )


def _strength(scores: NDArray[np.float16], parts: bool) -> NDArray[np.float16]:
    """(N, V) -> (N,): by which skeletons of a frame are ordered, in float16 as published: sums tie."""
    if not parts or scores.shape[1] != 17:
        return np.asarray(np.sum(scores, axis=1))
    face, torso, limbs = (np.sum(scores[:, list(joints)], axis=1) * np.float16(weight) for weight, joints in _PARTS)
    return np.asarray(face + torso + limbs)


class KineticsAnnotations(Sequence[Annotation]):
    """Annotations of the compressed form, each expanded when it is asked for; side files are kept for a while.

    Attributes:
        items: what the annotation file holds.
        folder: under which side files are looked for.
        settings: of the expansion.
    """

    def __init__(self, items: Sequence[CompressedAnnotation], folder: Path, settings: Expansion) -> None:
        self.items, self.folder, self.settings = items, folder, settings

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, place: int) -> Annotation: ...
    @overload
    def __getitem__(self, place: slice) -> KineticsAnnotations: ...
    def __getitem__(self, place: int | slice) -> Annotation | KineticsAnnotations:
        if isinstance(place, slice):
            return KineticsAnnotations(self.items[place], self.folder, self.settings)
        return expand(self.items[place], self.skeletons(place), self.settings)

    def skeletons(self, place: int) -> NDArray[np.floating[Any]]:
        """(N, V, 3) of an annotation, from its side file.

        Raises:
            DataError: the side file is not there.
            FormatError: it is damaged, or holds nothing of this recording.
        """
        item = self.items[place]
        path = _find_side_file(self.folder, item)
        held = _side_file(path, path.stat().st_mtime_ns)
        entry = held if item.own_side_file else held.get(item.identifier) if isinstance(held, dict) else None
        if isinstance(entry, dict):
            entry = entry.get("keypoint")
        if not isinstance(entry, np.ndarray) or entry.dtype.kind != "f":
            raise FormatError(f"{path}: holds no array of skeletons (N, V, 3) for {item.identifier!r}.")
        return entry


def _find_side_file(folder: Path, item: CompressedAnnotation) -> Path:
    """The side file: its path, or the end of its path, under the folder."""
    parts = [part for part in PurePosixPath(item.side_file.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    for start in range(len(parts)):
        path = folder.joinpath(*parts[start:])
        with suppress(OSError, ValueError):  # a name that no file can have
            if path.is_file():
                return path
    raise DataError(
        f"{item.side_file}: the side file with the keypoints of {item.identifier!r} is not under {folder}. Put it "
        "there, under the path that the annotations name or directly; they are published beside the annotation file."
    )


@lru_cache(maxsize=_CACHED)
def _side_file(path: Path, modified: int) -> Any:
    return restricted_load(path, max_bytes=MAX_BYTES, mapped=True)


def read_kinetics(
    source: str | os.PathLike[str] | PickledAnnotations,
    split: str | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    settings: Expansion = PUBLISHED,
) -> KineticsAnnotations:
    """The annotations of a split of a file of the compressed form; side files are read as they are needed.

    Args:
        source: the file, or what was read of it.
        split: its name; None: all annotations.
        folder: under which the side files lie; None: that of the file.

    Raises:
        FormatError: the file is damaged or of another form; every fault, with identifiers.
        ConfigError: there is no such split.
        DataError: the file cannot be read.
    """
    pickled = source if isinstance(source, PickledAnnotations) else read_pickled(source)
    if not pickled.compressed:
        raise FormatError(f"{pickled.path}: not of the compressed form; read it with read_annotations.")
    items, faults = [], []
    for place in pickled.chosen(split):
        try:
            item = _parse(pickled.identifiers[place], pickled.items[place])
        except DataError as error:
            faults.append(str(error).rstrip("."))
            continue
        left = item.valid.get(settings.box_threshold, 0) / max(item.total_frames, 1)
        if not settings.valid_ratio or left >= settings.valid_ratio:
            items.append(item)
    if faults:
        raise FormatError(f"{pickled.path}: {listed(faults)}.")
    return KineticsAnnotations(items, Path(folder) if folder is not None else pickled.path.parent, settings)


def _parse(identifier: str, item: Mapping[str, Any]) -> CompressedAnnotation:
    """The typed form of an annotation's dict.

    Raises:
        DataError: listing everything that is missing or wrong.
    """
    faults: list[str] = []
    frames, scores = item.get("frame_inds"), item.get("box_score")
    total = item.get("total_frames")
    if not isinstance(frames, np.ndarray) or frames.ndim != 1 or frames.dtype.kind not in "iu":
        faults.append("frame_inds: expected an array of N frame numbers")
        frames = np.zeros(0, dtype=np.int64)
    elif len(frames) and (np.diff(frames.astype(np.int64)) < 0).any():
        faults.append("frame_inds: expected numbers that do not fall")
    elif len(frames) and frames[0] < 0:
        faults.append("frame_inds: expected numbers from 0")
    if not isinstance(total, int | np.integer) or not 0 < total <= MAX_FRAMES:
        faults.append(f"total_frames: expected a number of frames from 1 to {MAX_FRAMES}")
        total = 1
    elif len(frames) and frames[-1] >= total:
        faults.append(f"frame_inds: expected numbers below total_frames, {total}, got {frames[-1]}")
    if not isinstance(scores, np.ndarray) or scores.shape != frames.shape or scores.dtype.kind != "f":
        faults.append(f"box_score: expected {len(frames)} numbers, as many as frame_inds")
        scores = np.zeros(len(frames), dtype=np.float16)
    own = "raw_file" not in item
    side = identifier if own else item["raw_file"]
    if not isinstance(side, str) or not side or (own and "filename" not in item):
        faults.append("raw_file: expected the name of the file that holds the keypoints")
    valid = _valid(item, faults)
    try:  # the entries that every annotation has are judged in one place
        known = as_annotation(
            {**item, "filename": identifier, "keypoint": np.zeros((1, 1, 1, 2), np.float32), "keypoint_score": None}
        )
    except DataError as error:
        faults.append(str(error).partition(": ")[2].rstrip("."))
    if faults:
        raise DataError(f"annotation {identifier!r}: " + "; ".join(faults) + ".")
    return CompressedAnnotation(
        identifier=identifier,
        label=known.label,
        image_shape=known.image_shape,
        original_shape=known.original_shape,
        total_frames=int(total),
        frame_inds=frames.astype(np.int64),
        box_scores=scores,
        side_file=side,
        own_side_file=own,
        valid=valid,
    )


def _valid(item: Mapping[str, Any], faults: list[str]) -> dict[float, int]:
    """Frames left at each threshold, in either spelling."""
    nested = item.get("valid", {})
    found = {
        key: item.get(f"valid@{key}", nested.get(key) if isinstance(nested, dict) else None) for key in BOX_THRESHOLDS
    }
    if not isinstance(nested, dict) or not all(
        value is None or (isinstance(value, int | np.integer) and value >= 0) for value in found.values()
    ):
        faults.append("valid: expected numbers of frames for the thresholds 0.5 to 0.9")
        return {}
    return {key: int(value) for key, value in found.items() if value is not None}


def published_fields(annotation: Annotation | CompressedAnnotation) -> dict[str, Any]:
    """The entries of a published dict that say what the recording is."""
    return {
        "frame_dir": annotation.identifier,
        "label": UNLABELLED if annotation.label is None else annotation.label,
        "img_shape": annotation.image_shape,
        "original_shape": annotation.original_shape or annotation.image_shape,
    }


def compress(annotation: Annotation) -> tuple[CompressedAnnotation, NDArray[np.float16]]:
    """An annotation in the compressed form, and its N skeletons (N, V, 3).

    A person with a score above 0 in a frame is a skeleton there. Boxes are not known: their scores are taken to be the
    mean scores of the joints. Whoever comes later in a frame takes the places of those who are absent.
    """
    scores = annotation.scores
    scores = np.ones(annotation.keypoints.shape[:3], np.float16) if scores is None else scores
    frame, person = np.nonzero((scores > 0).any(axis=-1).T)
    skeletons = np.concatenate([annotation.keypoints, scores[..., None]], axis=-1)[person, frame].astype(np.float16)
    boxes = skeletons[..., 2].astype(np.float32).mean(axis=1).astype(np.float16)
    compressed = CompressedAnnotation(
        identifier=annotation.identifier,
        label=annotation.label,
        image_shape=annotation.image_shape,
        original_shape=annotation.original_shape,
        total_frames=annotation.num_frames,
        frame_inds=frame,
        box_scores=boxes,
        side_file="",
        own_side_file=False,
        valid={limit: len(np.unique(frame[boxes >= limit])) for limit in BOX_THRESHOLDS},
    )
    return compressed, skeletons


def write_kinetics(
    recordings: Iterable[tuple[CompressedAnnotation, NDArray[np.floating[Any]]]],
    path: str | os.PathLike[str],
    *,
    splits: Mapping[str, Sequence[str]],
    label_names: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Writes annotations in the compressed form, and their skeletons into one side file, ``NAME_keypoints.pkl``.

    Args:
        recordings: annotations, each with its skeletons (N, V, 3) (`compress`; `KineticsAnnotations.skeletons`).

    Returns:
        The side file, beside `path`.

    Raises:
        ConfigError: a file exists and `overwrite` is false.
        DataError: as `annotation_pickles.write_pickled`.
    """
    side = Path(path).with_name(f"{Path(path).stem}_keypoints.pkl")
    for file in (Path(path), side):
        refuse_existing(file, overwrite)
    skeletons, items = {}, []
    for compressed, keypoints in recordings:
        skeletons[compressed.identifier] = {"keypoint": keypoints}
        items.append(
            {
                **published_fields(compressed),
                "total_frames": compressed.total_frames,
                "frame_inds": compressed.frame_inds.astype(np.int16 if compressed.total_frames < 1 << 15 else np.int32),
                "box_score": compressed.box_scores,
                "valid": dict(compressed.valid),
                "raw_file": side.name,
            }
        )
    write_pickle(skeletons, side)
    try:
        write_pickled(items, path, splits=splits, label_names=label_names, overwrite=overwrite)
    except DataError:
        side.unlink(missing_ok=True)
        raise
    return side
