"""Annotation files: the published pickles of PoseC3D's data sets in list and dict form, read and written.

An annotation is the dict that `annotation.as_annotation` describes; the two forms stand in annotation_pickles.py, the
compressed form of Kinetics in kinetics.py.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from poseworks.core.errors import DataError, FormatError
from poseworks.core.formats.reading import shown
from poseworks.skeleton_action.annotation import Annotation, as_annotation
from poseworks.skeleton_action.annotation_pickles import PickledAnnotations, listed, read_pickled, write_pickled
from poseworks.skeleton_action.kinetics import published_fields, read_kinetics

HALF_PX = 2048.0  # up to here float16, in which files are published, is at most 1 px coarse: half a pixel of error


@dataclass(frozen=True, eq=False, kw_only=True)
class DataSet:
    """The annotations of a file, its splits and the names of its classes.

    Attributes:
        annotations: in the order of the file.
        splits: identifiers by the split's name; empty in list form.
        label_names: of the classes; empty where they are not known.
        subjects: who is recorded, by identifier, where the file says (``subject``, which published files lack).
        notes: sentences that a reader has to know.
    """

    annotations: Sequence[Annotation]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    label_names: tuple[str, ...] = ()
    subjects: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()


def read_annotations(
    path: str | os.PathLike[str], split: str | None = None, *, num_classes: int | None = None
) -> Sequence[Annotation]:
    """The annotations of a split, in the order of the file. Nothing in the file is run.

    Those of the compressed form are expanded when they are asked for, with the published settings (`read_kinetics`).

    Args:
        split: its name; None: all annotations.
        num_classes: that the labels must be below; None: as many as the file names, if it does.

    Raises:
        FormatError: the file is damaged, or its annotations are not as published: every fault, with identifiers.
        ConfigError: there is no such split.
        DataError: the file cannot be read.

    Warns:
        UserWarning: ``total_frames`` differs from the arrays' length (the arrays are trusted), or float16 is too
            coarse for the image.
    """
    data = read_data_set(path, split, num_classes=num_classes)
    for note in data.notes:
        warnings.warn(note, stacklevel=2)
    return data.annotations


def read_data_set(path: str | os.PathLike[str], split: str | None = None, *, num_classes: int | None = None) -> DataSet:
    """The annotations of a split as `read_annotations`, with the file's splits and label names; notes do not warn."""
    pickled = read_pickled(path)
    if pickled.compressed:
        kinetics = read_kinetics(pickled, split)
        _check_labels(pickled, ((item.identifier, item.label) for item in kinetics.items), num_classes)
        return DataSet(annotations=kinetics, splits=pickled.splits, label_names=pickled.label_names)
    annotations, faults, lengths = [], [], []
    subjects: dict[str, str] = {}
    for place in pickled.chosen(split):
        item, subject = pickled.items[place], pickled.items[place].get("subject")
        try:
            annotation = as_annotation({**item, "filename": pickled.identifiers[place]})
        except DataError as error:
            faults.append(str(error).rstrip("."))
            continue
        if subject is not None:
            if not isinstance(subject, str | int | np.integer):
                faults.append(f"annotation {annotation.identifier!r}: subject: expected a name, got {shown(subject)}")
            subjects[annotation.identifier] = str(subject)
        annotations.append(annotation)
        frames = item.get("total_frames", annotation.num_frames)
        if not isinstance(frames, int | np.integer) or frames != annotation.num_frames:
            lengths.append(annotation.identifier)
    if faults:
        raise FormatError(f"{pickled.path}: {listed(faults)}.")
    _check_labels(pickled, ((each.identifier, each.label) for each in annotations), num_classes)
    coarse = [
        each.identifier
        for each in annotations
        if each.keypoints.dtype == np.float16 and max(each.image_shape) > HALF_PX
    ]
    notes = tuple(
        f"{path}: {what}: {listed([repr(name) for name in names])}"
        for what, names in (
            ("total_frames is not the length of the arrays, which are trusted", lengths),
            ("images of more than 2048 px, in which keypoints in float16 are 2 px coarse or more", coarse),
        )
        if names
    )
    return DataSet(
        annotations=annotations,
        splits=pickled.splits,
        label_names=pickled.label_names,
        subjects=subjects,
        notes=notes,
    )


def _check_labels(
    pickled: PickledAnnotations, labels: Iterable[tuple[str, int | None]], num_classes: int | None
) -> None:
    """Nothing, if all labels are below the number of classes.

    Raises:
        FormatError: listing those that are not, by identifier.
    """
    classes = num_classes or len(pickled.label_names)
    if not classes:
        return
    beyond = [f"{name!r} has {label}" for name, label in labels if label is not None and label >= classes]
    if beyond:
        raise FormatError(
            f"{pickled.path}: labels out of range: {listed(beyond)}; expected a class, 0 to {classes - 1}."
        )


def write_annotations(
    annotations: Iterable[Annotation],
    path: str | os.PathLike[str],
    *,
    splits: Mapping[str, Sequence[str]] | None = None,
    label_names: Sequence[str] = (),
    subjects: Mapping[str, str] = MappingProxyType({}),
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Writes a data set, whole or not at all: in dict form, or without splits and label names as a list.

    Keypoints and scores become float16, as published; keypoints beyond 2048 px, where that errs by more than half a
    pixel, become float32.

    Args:
        splits: identifiers by the split's name.
        subjects: who is recorded, by identifier.

    Returns:
        Identifiers of those whose keypoints were written as float32.

    Raises:
        ConfigError: the file exists and `overwrite` is false.
        DataError: identifiers are no names or come twice, splits list others, a label has no name, or the file cannot
            be written.
    """
    items, wide = [], []
    for annotation in annotations:
        item: dict[str, Any] = {**published_fields(annotation), "total_frames": annotation.num_frames}
        if label_names and annotation.label is not None and annotation.label >= len(label_names):
            raise DataError(
                f"annotation {annotation.identifier!r}: label {annotation.label}, but only {len(label_names)} names."
            )
        fits = not (np.abs(annotation.keypoints) > HALF_PX).any()
        item["keypoint"] = annotation.keypoints.astype(np.float16 if fits else np.float32)
        if annotation.scores is not None:
            item["keypoint_score"] = annotation.scores.astype(np.float16)
        if annotation.identifier in subjects:
            item["subject"] = subjects[annotation.identifier]
        if not fits:
            wide.append(annotation.identifier)
        items.append(item)
    write_pickled(items, path, splits=splits, label_names=label_names, overwrite=overwrite)
    return tuple(wide)
