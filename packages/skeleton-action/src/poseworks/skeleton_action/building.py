"""A data set of one's own: files of poses and a table of labels as checked annotations with splits. NumPy only.

What goes wrong silently elsewhere is said here: recordings in which nothing would be drawn, classes that a split lacks,
files without a label, classes of very different sizes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from poseworks.core.errors import DataError, PoseworksError
from poseworks.core.formats.hints import assumptions
from poseworks.core.formats.openpose import ENDING as OPENPOSE_ENDING
from poseworks.core.notes import some
from poseworks.core.poses import PoseSequence
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.annotation_pickles import listed
from poseworks.skeleton_action.keypoints import annotation_of, layout_keypoints
from poseworks.skeleton_action.label_table import ENDINGS, LabelRow
from poseworks.skeleton_action.layouts import JointLayout
from poseworks.skeleton_action.preparation import Preparation
from poseworks.skeleton_action.splitting import (
    TRAIN,
    Splits,
    check_shares,
    splits_by_class,
    splits_by_subject,
    stated_splits,
)
from poseworks.skeleton_action.volumes import draw_views, sample_to_test

Read = Callable[[Path], PoseSequence]

_UNBALANCED = 10.0  # times the recordings of the smallest class
_FEW = 10  # recordings of a class to train on
_KEPT = 4  # files that several rows may mean, one after the other


@dataclass(frozen=True, eq=False, kw_only=True)
class Built:
    """What was made of the files.

    Attributes:
        annotations: in the order of the table.
        splits: identifiers by the split's name.
        label_names: of the classes; empty where the table has numbers alone.
        subjects: who is recorded, by identifier.
        left_out: why a recording is not among them, a sentence each.
        notes: sentences that a reader has to know.
    """

    annotations: Sequence[Annotation]
    splits: Splits
    label_names: tuple[str, ...]
    subjects: Mapping[str, str]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """As many as there are names, or up to the largest number."""
        return len(self.label_names) or 1 + max(annotation.label or 0 for annotation in self.annotations)

    def class_name(self, label: int) -> str:
        """How a class is called."""
        return self.label_names[label] if self.label_names else str(label)

    def balance(self) -> dict[str, dict[str, int]]:
        """Recordings of each class in each split."""
        labels = {annotation.identifier: annotation.label for annotation in self.annotations}
        counts = {split: Counter(labels[name] for name in names) for split, names in self.splits.items()}
        return {
            self.class_name(label): {split: count[label] for split, count in counts.items()}
            for label in range(self.num_classes)
        }


def build_data_set(
    folder: Path,
    rows: Sequence[LabelRow],
    labels: Sequence[int],
    label_names: tuple[str, ...],
    *,
    table: Path,
    read: Read,
    layout: JointLayout,
    shares: Mapping[str, float],
    rng: np.random.Generator,
    skip: bool = False,
    advance: Callable[[float], None] = lambda share: None,
) -> Built:
    """The recordings of a table as annotations with splits: those stated, else by subject, else class by class.

    Args:
        folder: of the files of poses.
        rows, labels, label_names: of the table (`label_table`).
        table: its file, which may lie among those of poses.
        read: makes poses of a file.
        layout: joints of the data set, to which poses are converted.
        shares: of the recordings that go to each split other than train.
        rng: draws splits that are not stated.
        skip: leave out recordings that are at fault.
        advance: is told the share of the work that is done since it was last called.

    Raises:
        DataError: recordings are at fault and `skip` is false (all of them are listed), or none is left.
        ConfigError: the shares leave nothing for training.
    """
    if not rows[0].split:
        check_shares(shares)
    keep_reading = lru_cache(maxsize=_KEPT)(read)
    annotations, kept, faults = [], [], []
    notes: dict[str, None] = {}
    unsized = []
    used = {table}
    for row, label in zip(rows, labels, strict=True):
        try:
            path = find_tracks(folder, row.file)
            used.add(path)
            poses = _part(keep_reading(path), row)
            annotations.append(_annotation(poses, row, label, layout))
        except PoseworksError as error:
            faults.append(f"line {row.line} ({row.file}): {str(error).rstrip('.')}")
        else:
            kept.append(row)
            notes |= dict.fromkeys(assumptions(poses) if row.begin_s or row.end_s else ())
            if poses.image_size is None:
                unsized.append(row.identifier)
        advance(1 / len(rows))
    if faults and not skip:
        raise DataError(
            f"{len(faults)} of {len(rows)} recordings are at fault: {listed(faults)}. Mend or leave them out (--skip)."
        )
    if not annotations:
        raise DataError(f"no recording is left: {listed(faults)}.")
    if unsized:
        counted = f"{len(unsized)} of {len(annotations)} recordings"
        notes[f"{counted} do not state the size of the image: the smallest that holds them is used"] = None
    unlabelled = _without_label(folder, used)
    if unlabelled:
        notes[f"{len(unlabelled)} files or folders have no row in the table: {some(unlabelled)}"] = None
    built = Built(
        annotations=annotations,
        splits=_splits(kept, [annotation.label or 0 for annotation in annotations], shares, rng),
        label_names=label_names,
        subjects={row.identifier: row.subject for row in kept if row.subject},
        left_out=tuple(faults),
        notes=(),
    )
    return replace(built, notes=(*notes, *_balance_notes(built)))


def find_tracks(folder: Path, name: str) -> Path:
    """The file (or folder of OpenPose) that a table calls so, with or without its ending.

    Raises:
        DataError: there is none, or more than one.
    """
    plain = folder / name.replace("\\", "/")
    found: list[Path] = []
    with suppress(OSError):  # a name that no file can have
        found = [plain] if plain.exists() else [each for end in ENDINGS if (each := Path(f"{plain}{end}")).exists()]
    if not found:
        raise DataError(f"no file {name} in {folder}, with any of the endings {', '.join(ENDINGS)}")
    if len(found) > 1:
        raise DataError(f"{' and '.join(file.name for file in found)} are both there. State the ending")
    return found[0]


def _part(poses: PoseSequence, row: LabelRow) -> PoseSequence:
    """The person and the time that the row means.

    Raises:
        DataError: there is no such person, or no frame in that time.
    """
    if row.person is not None:
        numbers = list(range(poses.num_people)) if poses.person_ids is None else poses.person_ids.tolist()
        if row.person not in numbers:
            raise DataError(f"no person {row.person}; expected one of {', '.join(map(str, numbers))}")
        poses = poses.select_people([numbers.index(row.person)])
    if row.begin_s is None and row.end_s is None:
        return poses
    seconds = poses.seconds
    chosen = (seconds >= (row.begin_s or 0)) & (seconds < (np.inf if row.end_s is None else row.end_s))
    if not chosen.any():
        raise DataError(f"no frame from {row.begin_s or 0:g} s to {row.end_s} s; it lasts {seconds[-1]:.2f} s")
    return poses.replace(
        positions=poses.positions[:, chosen],
        confidence=poses.confidence[:, chosen],
        times=None if poses.times is None else poses.times[chosen],
    )


def _annotation(poses: PoseSequence, row: LabelRow, label: int, layout: JointLayout) -> Annotation:
    """One recording; people who are never seen are not in it.

    Raises:
        PoseworksError: the poses are no keypoints, or nothing of them would be drawn.
    """
    keypoints = layout_keypoints(poses, layout)
    seen = np.flatnonzero(keypoints.observed.any(axis=(1, 2)))
    if not len(seen):
        raise DataError("nobody is seen in it")
    annotation = annotation_of(keypoints, seen.tolist(), row.identifier, label)
    preparation = Preparation(layout=layout)
    if not draw_views(sample_to_test(annotation, preparation), preparation).any():
        raise DataError(
            "nothing of it would be drawn: all keypoints have a confidence of 0, or lie outside of the image's middle"
        )
    return annotation


def _splits(
    rows: Sequence[LabelRow], labels: Sequence[int], shares: Mapping[str, float], rng: np.random.Generator
) -> Splits:
    identifiers = [row.identifier for row in rows]
    if rows[0].split:
        return stated_splits(identifiers, [row.split for row in rows])
    if rows[0].subject:
        return splits_by_subject(identifiers, [row.subject for row in rows], shares, rng)
    return splits_by_class(identifiers, labels, shares, rng)


def _without_label(folder: Path, used: set[Path]) -> list[str]:
    """Files of poses, and folders of OpenPose, that no row means."""
    used = {path.resolve() for path in used}
    found = {
        file.parent if file.stem.endswith(OPENPOSE_ENDING) else file: None
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in ENDINGS and not used & {file.resolve(), file.resolve().parent}
    }
    return [str(path.relative_to(folder)) for path in found]


def _balance_notes(built: Built) -> list[str]:
    notes = []
    balance = built.balance()
    totals = {name: sum(counts.values()) for name, counts in balance.items()}
    empty = [name for name, total in totals.items() if not total]
    if empty:
        notes.append(f"no recording at all of {some(empty)}")
    most, least = max(totals.values()), min(total for total in totals.values() if total)
    if most > _UNBALANCED * least:
        names = [next(name for name, total in totals.items() if total == count) for count in (most, least)]
        notes.append(f"classes are not balanced: {most} recordings of {names[0]}, {least} of {names[1]}")
    for split in built.splits:
        absent = [name for name, counts in balance.items() if totals[name] and not counts[split]]
        if absent:
            notes.append(f"the split {split} has no recording of {some(absent)}")
    few = [name for name, counts in balance.items() if 0 < counts.get(TRAIN, _FEW) < _FEW]
    if few:
        notes.append(f"fewer than {_FEW} recordings to train on of {some(few)}")
    return notes
