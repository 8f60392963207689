"""Several networks' scores for the same recordings, added up with weights. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.shapes import expect_shape
from poseworks.skeleton_action.metrics import top_k_accuracy

_SHOWN = 5
_STEPS = 10  # of the weights that are tried: tenths
_MOST_TUNED = 4  # streams: 4,641 choices


def fuse(
    scores: Sequence[ArrayLike],
    weights: Sequence[float] | None = None,
    identifiers: Sequence[Sequence[str] | None] | None = None,
) -> NDArray[np.floating[Any]]:
    """The weighted sum of scores.

    Args:
        scores: of each stream (N, classes), averaged probabilities.
        weights: one a stream; default: 1 each, as published for joint and limb.
        identifiers: of each stream the N recordings by name; streams in another order than the first are put into
            its order. None, or None for a stream: its order is taken as it is.

    Returns:
        (N, classes), of which the weights are not taken out: their sum is the largest possible value.

    Raises:
        ShapeError: the streams differ in shape.
        ConfigError: another number of weights than of streams, or weights that are not finite or all 0.
        DataError: the streams do not name the same recordings; says which.
    """
    streams = [np.asarray(stream) for stream in scores]
    if not streams:
        raise ConfigError("fuse: expected the scores of one or more streams, got none.")
    for number, stream in enumerate(streams):
        expect_shape(f"scores[{number}]", stream, "N classes", fix="One row a recording.")
        if stream.shape != streams[0].shape:
            raise ShapeError(
                f"scores[{number}]: {stream.shape}, but scores[0] is {streams[0].shape}. Fuse scores of the same "
                "recordings and classes."
            )
    factors = _weights(weights, len(streams))
    if identifiers is not None:
        streams = in_one_order(streams, identifiers)
    total = sum(factor * stream for factor, stream in zip(factors, streams, strict=True))
    fused: NDArray[np.floating[Any]] = np.asarray(total, dtype=np.result_type(*streams))
    return fused


def tune_weights(scores: Sequence[ArrayLike], labels: ArrayLike) -> tuple[float, ...]:
    """Weights in tenths, the largest 1, with which the fused scores are most often right.

    Of several choices that are right as often, the one nearest to equal weights. The accuracy on the recordings that
    they were tuned on flatters: measure on others, or with `held_out_scores`.

    Args:
        scores: of each stream (N, classes), in one order.
        labels: (N,) class numbers.

    Raises:
        ConfigError: fewer than 2 or more than 4 streams. Further as `fuse` and `top_k_accuracy`.
    """
    if not 2 <= len(scores) <= _MOST_TUNED:
        raise ConfigError(f"tuned weights: expected 2 to {_MOST_TUNED} streams, got {len(scores)}. Give --weights.")
    top_k_accuracy(fuse(scores), labels, 1)  # raises where scores and labels are at fault
    truth = np.asarray(labels)

    def merit(choice: Sequence[float]) -> tuple[int, float]:
        right = int((fuse(scores, choice).argmax(axis=1) == truth).sum())
        return right, -sum((1 - weight) ** 2 for weight in choice)

    tenths = product(range(_STEPS + 1), repeat=len(scores))
    return max((tuple(part / _STEPS for part in parts) for parts in tenths if max(parts) == _STEPS), key=merit)


def held_out_scores(scores: Sequence[ArrayLike], labels: ArrayLike) -> NDArray[np.floating[Any]]:
    """Fused scores (N, classes) of which each half was fused with the weights tuned on the other half.

    Raises:
        DataError: there are fewer than 2 recordings. Further as `tune_weights`.
    """
    streams, truth = [np.asarray(stream) for stream in scores], np.asarray(labels)
    if len(truth) < 2:
        raise DataError(f"tuned weights: {len(truth)} recordings; expected 2 or more.")
    fused = fuse(streams)
    for half in range(2):
        weights = tune_weights([stream[1 - half :: 2] for stream in streams], truth[1 - half :: 2])
        fused[half::2] = fuse([stream[half::2] for stream in streams], weights)
    return fused


def _weights(weights: Sequence[float] | None, count: int) -> list[float]:
    factors = [1.0] * count if weights is None else [float(weight) for weight in weights]
    if len(factors) != count:
        raise ConfigError(f"weights: {len(factors)} for {count} streams. Give one a stream.")
    if not np.isfinite(factors).all() or not np.any(factors):
        raise ConfigError(f"weights: expected finite numbers, not all 0, got {', '.join(map(str, factors))}.")
    return factors


def in_one_order(streams: Sequence[NDArray[Any]], identifiers: Sequence[Sequence[str] | None]) -> list[NDArray[Any]]:
    """The streams (N, ...) with their rows in the order of the first one that names its recordings.

    Those without names are taken as they are.

    Raises:
        ConfigError, DataError: as `fuse`.
    """
    if len(identifiers) != len(streams):
        raise ConfigError(f"identifiers: {len(identifiers)} lists for {len(streams)} streams. Give one each, or None.")
    ordered = list(streams)
    reference: tuple[int, dict[str, int]] | None = None
    for number, names in enumerate(identifiers):
        if names is None:
            continue
        if len(names) != len(streams[number]):
            raise DataError(f"identifiers[{number}]: {len(names)} names for {len(streams[number])} rows of scores.")
        places = {name: place for place, name in enumerate(names)}
        if len(places) < len(names):
            raise DataError(f"identifiers[{number}]: a recording is named twice; its scores cannot be told apart.")
        if reference is None:
            reference = number, places
        elif places.keys() != reference[1].keys():
            first = reference[0]
            raise DataError(
                f"streams {first} and {number} are of different recordings: "
                f"{_some(reference[1].keys() - places.keys())} only in stream {first}, "
                f"{_some(places.keys() - reference[1].keys())} only in stream {number}."
            )
        else:
            ordered[number] = streams[number][[places[name] for name in reference[1]]]
    return ordered


def _some(names: set[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:_SHOWN]) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "") or "none"
