"""The open recordings that own weights are made from: ten exercises in 3D and as 2D annotations, and other motion.

``prmd_pairs.npz`` has every exercise as a Kinect and as markers saw it, ``prmd_actions_coco17.pkl`` the Kinect's
projected to 2D with the labels and the split, ``cmu17.npz`` other motion.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.errors import DataError
from poseworks.core.motion_data import Split, read_clips, read_pairs
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.annotation_files import read_data_set

EXERCISES = "prmd_actions_coco17.pkl"


@dataclass(frozen=True)
class Recordings:
    """Clips end to end.

    Attributes:
        positions: (N, 17, 3) metres, z up, joints of h36m17.
        starts, lengths: (clips,) of each clip.
        labels: (clips,) class numbers.
    """

    positions: Tensor
    starts: Tensor
    lengths: Tensor
    labels: Tensor

    @classmethod
    def of(cls, clips: Sequence[NDArray[np.float32]], labels: Sequence[int]) -> Recordings:
        """Of clips (T, 17, 3)."""
        lengths = torch.tensor([len(clip) for clip in clips])
        return cls(torch.from_numpy(np.concatenate(clips)), lengths.cumsum(0) - lengths, lengths, torch.tensor(labels))


@dataclass(frozen=True)
class OpenData:
    """What one training uses.

    Attributes:
        exercises: 3D recordings of the people who train.
        others: 3D recordings of other motion, all labelled -1.
        validation: 2D annotations of people who do not train.
        class_names: of the labels.
    """

    exercises: Recordings
    others: Recordings
    validation: tuple[Annotation, ...]
    class_names: tuple[str, ...]


def read_open_data(folder: Path, held_out: Collection[int] = ()) -> OpenData:
    """The recordings in a folder.

    Args:
        folder: holds the three files.
        held_out: subjects that are validated on while all others train; none: the splits train and val.

    Raises:
        FormatError, DataError: a file is not there, or not of its layout.
    """
    data = read_data_set(folder / EXERCISES)
    people = {subject_of(annotation.identifier) for annotation in data.annotations}
    if not set(held_out) <= people or set(held_out) == people:
        raise DataError(f"held_out: expected some of the subjects {sorted(people)}, got {sorted(held_out)}.")
    by_split = {name: set(listed) for name, listed in data.splits.items()}

    def of(split: Split) -> tuple[Annotation, ...]:
        outside = split == "val"
        return tuple(
            annotation
            for annotation in data.annotations
            if (
                ((subject_of(annotation.identifier) in held_out) == outside)
                if held_out
                else annotation.identifier in by_split[split]
            )
        )

    labels = {annotation.identifier: annotation.label for annotation in of("train")}
    splits: tuple[Split, ...] = ("train", "val", "test")
    pairs = [
        pair
        for split in splits
        if held_out or split == "train"
        for pair in read_pairs(folder / "prmd_pairs.npz", split)
        if pair.clip_id in labels
    ]
    clips = [positions for pair in pairs for positions in (pair.noisy, pair.clean)]
    others = [clip.positions for clip in read_clips(folder / "cmu17.npz", "train")]
    return OpenData(
        Recordings.of(clips, [labels[pair.clip_id] or 0 for pair in pairs for _ in range(2)]),
        Recordings.of(others, [-1] * len(others)),
        of("val"),
        data.label_names,
    )


def subject_of(identifier: str) -> int:
    """The person in a recording named ``mMM_sSS_eEE`` (movement, subject, repetition).

    Raises:
        DataError: it is named otherwise.
    """
    parts = identifier.split("_")
    if len(parts) != 3 or parts[1][:1] != "s" or not parts[1][1:].isdecimal():
        raise DataError(f"{identifier}: expected a name such as m01_s01_e02 (movement, subject, repetition).")
    return int(parts[1][1:])
