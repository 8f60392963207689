"""What a pickled data file is: annotations in one of their forms, or the scores of a test. NumPy only."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from poseworks.core.errors import FormatError
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.annotation_files import DataSet, read_data_set
from poseworks.skeleton_action.kinetics import CompressedAnnotation, KineticsAnnotations
from poseworks.skeleton_action.results import read_results


def data_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Facts about an annotation file or a result file, by name; `what` says which it is.

    Raises:
        FormatError: it is neither, or is damaged.
        DataError: it cannot be read.
    """
    try:
        data = read_data_set(path)
    except FormatError as no_annotations:
        try:
            results = read_results(path)
        except FormatError as no_results:
            raise FormatError(f"{no_annotations} As a result file: {no_results}") from no_results
        return {
            "file": Path(path),
            "what": "results",
            "samples": len(results.scores),
            "classes": results.scores.shape[1],
            "labels": "known" if results.labels is not None else "not stated",
            "identifiers": "known" if results.identifiers is not None else "not stated",
            "top_1": None if results.labels is None else float((results.scores.argmax(1) == results.labels).mean()),
        }
    return {"file": Path(path), "what": "annotations", **_annotation_facts(data)}


def _annotation_facts(data: DataSet) -> dict[str, Any]:
    annotations = data.annotations
    if isinstance(annotations, KineticsAnnotations):
        items: Sequence[Annotation | CompressedAnnotation] = annotations.items
        frames = [item.total_frames for item in annotations.items]
        form = {"form": "compressed", "skeletons": sum(len(item.frame_inds) for item in annotations.items)}
    else:
        items = annotations
        frames = [each.num_frames for each in annotations]
        form = {"form": "dict" if data.splits else "list", **_array_facts(annotations)}
    labels = Counter(item.label for item in items)
    known = {label: count for label, count in labels.items() if label is not None}
    return form | {
        "annotations": len(items),
        "splits": {split: len(names) for split, names in data.splits.items()},
        "classes": len(data.label_names) or 1 + max(known, default=-1),
        "label_names": data.label_names,
        "unlabelled": labels[None],
        "annotations_a_class": {"fewest": min(known.values(), default=0), "most": max(known.values(), default=0)},
        "image_shapes": [list(shape) for shape, _ in Counter(item.image_shape for item in items).most_common(3)],
        "subjects": len(set(data.subjects.values())),
        "frames": {"fewest": min(frames), "median": float(np.median(frames)), "most": max(frames)},
        "notes": data.notes,
    }


def _array_facts(annotations: Sequence[Annotation]) -> dict[str, Any]:
    return {
        "joints": sorted({each.num_joints for each in annotations}),
        "people": max(each.num_people for each in annotations),
        "without_people": len([each for each in annotations if each.num_people == 0]),
        "scores": "stated" if all(each.scores is not None for each in annotations) else "missing, taken as 1",
        "dtypes": sorted({str(each.keypoints.dtype) for each in annotations}),
    }
