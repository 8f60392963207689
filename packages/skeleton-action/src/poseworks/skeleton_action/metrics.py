"""Scores of clips into scores of recordings, and how often they are right, as PoseC3D is measured. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, assert_never

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.shapes import expect_shape
from poseworks.skeleton_action.metric_names import METRICS, Metric

Averaging = Literal["prob", "score"]
Classes = Literal["union", "true"]

TOP = (1, 5)  # k of the published figures


def softmax(logits: ArrayLike) -> NDArray[np.floating[Any]]:
    """(..., classes) probabilities, in the precision of the logits."""
    values = _real("logits", logits)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    shares: NDArray[np.floating[Any]] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def average_clips(
    logits: ArrayLike, views_per_sample: int, how: Averaging | None = "prob"
) -> NDArray[np.floating[Any]]:
    """Scores of recordings from those of their views.

    Args:
        logits: (N * views_per_sample, classes), the views of a recording one after the other.
        views_per_sample: clips of a recording, times two where each is mirrored as well.
        how: ``prob``: the mean of the views' probabilities, as published; ``score``: the mean of their logits; None:
            the logits as they are.

    Returns:
        (N, classes); (N * views_per_sample, classes) for None.

    Raises:
        ShapeError: the logits have another shape, or do not make up whole recordings.
        ConfigError: `how` is something else.
    """
    values = _real("logits", logits)
    expect_shape("logits", values, "views classes>=1")
    if views_per_sample < 1 or len(values) % views_per_sample:
        raise ShapeError(
            f"logits: {len(values)} views are no whole number of recordings with {views_per_sample} views each. State "
            "clips a recording, times 2 with the mirrored ones."
        )
    if how is None:
        return values
    if how not in ("prob", "score"):
        raise ConfigError(f"how: expected prob, score or None, got {how!r}.")
    scores = softmax(values) if how == "prob" and values.size else values
    mean: NDArray[np.floating[Any]] = scores.reshape(-1, views_per_sample, values.shape[1]).mean(axis=1)
    return mean


def top_k_accuracy(scores: ArrayLike, labels: ArrayLike, k: int = 1) -> float:
    """Share of the samples whose class is among the k with the highest scores.

    The k are the last of ``numpy.argsort``, so that ties fall as they do in the published figures.

    Args:
        scores: (N, classes), logits or probabilities.
        labels: (N,) class numbers.

    Raises:
        ShapeError: other shapes. ConfigError: k is below 1. DataError: a score is not finite or a label no class.
    """
    values, truth = _checked(scores, labels)
    if k < 1:
        raise ConfigError(f"k: expected 1 or more, got {k}.")
    best = np.argsort(values, axis=1)[:, -k:]
    return float((best == truth[:, None]).any(axis=1).mean())


def confusion_matrix(scores: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """(classes, classes) counts: rows are true classes, columns the ones with the highest score.

    Args:
        scores: (N, classes), logits or probabilities.
        labels: (N,) class numbers.

    Raises:
        ShapeError: other shapes. DataError: a score is not finite or a label no class.
    """
    values, truth = _checked(scores, labels)
    classes = values.shape[1]
    pairs = truth * classes + values.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def mean_class_accuracy(scores: ArrayLike, labels: ArrayLike, over: Classes = "union") -> float:
    """Mean over classes of the share of their samples that are right ("Mean Top-1" of FineGYM).

    Args:
        scores: (N, classes), logits or probabilities.
        labels: (N,) class numbers.
        over: ``union``: the published rule: classes that are some sample's true or predicted one, and 0 for those
            that are only predicted; so on a part of a data set it comes out lower. ``true``: classes that have
            samples.

    Raises:
        ShapeError: other shapes. DataError: a score is not finite or a label no class. ConfigError: another `over`.
    """
    if over not in ("union", "true"):
        raise ConfigError(f"over: expected union or true, got {over!r}.")
    counts = confusion_matrix(scores, labels)
    samples = counts.sum(axis=1)
    counted = samples > 0 if over == "true" else (samples > 0) | (counts.sum(axis=0) > 0)
    recall = counts.diagonal() / np.maximum(samples, 1)
    return float(recall[counted].mean())


def measure(scores: ArrayLike, labels: ArrayLike, metrics: Sequence[Metric] = METRICS) -> dict[str, float]:
    """Figures by name: ``top1_accuracy``, ``top5_accuracy``; ``mean_class_accuracy`` by the published rule, and
    ``mean_class_accuracy_true`` over classes that have samples.

    Raises:
        As `top_k_accuracy`.
    """
    found: dict[str, float] = {}
    for metric in metrics:
        match metric:
            case "top_k_accuracy":
                found |= {f"top{k}_accuracy": top_k_accuracy(scores, labels, k) for k in TOP}
            case "mean_class_accuracy":
                found["mean_class_accuracy"] = mean_class_accuracy(scores, labels)
                found["mean_class_accuracy_true"] = mean_class_accuracy(scores, labels, over="true")
            case other:
                assert_never(other)
    return found


def _real(name: str, values: ArrayLike) -> NDArray[np.floating[Any]]:
    """`values` in their precision; whole numbers as float64. Tensors, on whichever device, are taken too."""
    detach = getattr(values, "detach", None)
    array = np.asarray(values if detach is None else detach().cpu())
    if array.dtype.kind not in "fiub":
        raise ShapeError(f"{name}: expected real numbers, got {array.dtype}.")
    real: NDArray[np.floating[Any]] = array if array.dtype.kind == "f" else array.astype(np.float64)
    return real


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.floating[Any]], NDArray[np.int64]]:
    """Scores (N, classes) and labels (N,) that fit together."""
    values, truth = _real("scores", scores), np.asarray(labels)
    expect_shape("scores", values, "N>=1 classes>=1")
    expect_shape("labels", truth, f"N={len(values)}", fix="One class number a row of scores.")
    if truth.dtype.kind not in "iu":
        raise ShapeError(f"labels: expected whole numbers, got {truth.dtype}.")
    if not np.isfinite(values).all():
        raise DataError(
            f"scores: {int((~np.isfinite(values)).any(axis=1).sum())} of {len(values)} rows are not finite."
        )
    classes = values.shape[1]
    wrong = np.flatnonzero((truth < 0) | (truth >= classes))
    if len(wrong):
        raise DataError(
            f"labels: {len(wrong)} of {len(truth)} are none of the {classes} classes (0 to {classes - 1}), such as "
            f"{int(truth[wrong[0]])} of sample {int(wrong[0])}."
        )
    return values, truth.astype(np.int64)
