"""The published data sets: what their files are called in each code line, and where they are looked for.

    mmaction 0.x   data/posec3d/ntu60_xsub_train.pkl    one file a split; ucf101.pkl and hmdb51.pkl hold all splits
    mmaction 1.x   data/skeleton/ntu60_2d.pkl           all splits
    pyskl          data/nturgbd/ntu60_hrnet.pkl         all splits

Any of these files may also lie in a folder of POSEWORKS_DATA itself, or in one that is called as the data set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from poseworks.core.data_folders import data_roots, where_looked
from poseworks.core.errors import ConfigError, DataError
from poseworks.skeleton_action.annotation_files import DataSet, read_data_set
from poseworks.skeleton_action.label_names import DataSetName, label_names
from poseworks.skeleton_action.learning.published_recipes import Data, PublishedSet
from poseworks.skeleton_action.preparation import Flavour

_HOMES = {"ntu60": "nturgbd", "ntu120": "nturgbd"}  # folders of pyskl; others are called as the data set
_CLASSES: Mapping[PublishedSet, DataSetName] = {
    "gym": "gym99", "ntu60": "ntu60", "ntu120": "ntu120", "ucf101": "ucf101", "hmdb51": "hmdb51",
    "diving48": "diving48", "k400": "k400",
}  # fmt: skip


@dataclass(frozen=True)
class SplitFile:
    """Where a split is: the split of this name in a file, or all of it."""

    path: Path
    split: str | None


def find_split(data: Data, split: str, flavour: Flavour, given: str | os.PathLike[str] | None = None) -> SplitFile:
    """The file of a split; of several, the one of the recipe's own code line.

    Args:
        given: an annotation file, or one or more folders as in POSEWORKS_DATA (separated as in PATH); None: that
            variable.

    Raises:
        DataError: it is not there; says what was looked for. ConfigError: own data without a file.
    """
    roots = data_roots(given)
    if len(roots) == 1 and roots[0].is_file():
        return SplitFile(roots[0], split)
    if data.set == "own":
        raise ConfigError("data.set = 'own': name the annotation file: --data mine.pkl. The verb build makes one.")
    for file, whole in _file_names(data.set, split, flavour):
        for root in roots:
            for place in ("", "data"):
                for folder in ("posec3d", "skeleton", _HOMES.get(data.set, data.set), data.set, ""):
                    path = root / place / folder / file
                    if path.is_file():
                        return SplitFile(path, None if whole else split)
    names = " or ".join(file for file, _ in _file_names(data.set, split, flavour))
    raise DataError(
        f"the data set {data.set} is not present. Put {names} into a folder that POSEWORKS_DATA or --data names; "
        f"looked in {where_looked(roots)}. The files come from the authors of the published code; the verb build makes "
        "one from poses of your own."
    )


def read_split(where: SplitFile, classes: int | None) -> DataSet:
    """Its annotations, all of them labelled.

    Raises:
        DataError: one has no label, or there are none. Further as `read_data_set`.
    """
    data = read_data_set(where.path, where.split, num_classes=classes)
    if not len(data.annotations):
        raise DataError(f"{where.path}: the split {where.split} holds no annotation.")
    return data


def class_names(data: Data, found: DataSet, classes: int) -> tuple[str, ...]:
    """Names of so many classes; empty where neither the file nor the data set says."""
    names = found.label_names or (() if data.set == "own" else label_names(_CLASSES[data.set]))
    return names if len(names) == classes else ()


def _file_names(name: str, split: str, flavour: Flavour) -> Iterator[tuple[str, bool]]:
    """File names, and whether all of the file is the split: those of the flavour's own line first."""
    own = [(f"{name}_{split}.pkl", True), (f"{name}.pkl", False), (f"{name}_2d.pkl", False)]
    theirs = [(f"{name}_hrnet.pkl", False)]
    yield from own + theirs if flavour == "mmaction" else theirs + own
