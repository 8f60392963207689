"""Frames without a position: short gaps are bridged, long ones cut the clip into pieces that are smoothed alone.

The rule holds for each joint by itself, so that an arm out of sight does not stop the legs: a gap of at most
`longest` frames between two observed frames is interpolated linearly; a longer one splits, and stays NaN; NaN before
the first and behind the last observed frame stays; a joint that is never observed has no piece at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from poseworks.core.shapes import expect_shape

Piece = tuple[int, int]
"""First frame, and one behind the last."""


@dataclass(frozen=True)
class Bridged:
    """Tracks whose short gaps are filled.

    Attributes:
        values: (T, K, D); NaN outside the pieces.
        filled: (T, K), true where a value was interpolated.
        pieces: for each of the K tracks the runs of frames without NaN, in order.
    """

    values: NDArray[np.float64]
    filled: NDArray[np.bool_]
    pieces: tuple[tuple[Piece, ...], ...]


def runs(present: NDArray[np.bool_]) -> tuple[Piece, ...]:
    """Stretches (first, one behind the last) of true values in (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], present.astype(np.int8), [0]))))
    return tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))


def bridge_gaps(tracks: NDArray[np.floating], longest: int) -> Bridged:
    """Tracks (T, K, D) with every gap of at most `longest` frames interpolated, each track by itself.

    Raises:
        ShapeError: `tracks` has another number of axes.
    """
    sizes = expect_shape("tracks", tracks, "T K D")
    values = np.array(tracks, dtype=np.float64)
    observed = np.asarray(np.isfinite(values).all(axis=-1))
    values[~observed] = np.nan  # a joint with half its coordinates is not observed
    filled = np.zeros_like(observed)
    for k in range(sizes["K"]):
        stretches = runs(observed[:, k])
        for (_, stop), (start, _) in pairwise(stretches):
            if start - stop > longest:
                continue
            share = (np.arange(stop, start) - (stop - 1))[:, None] / (start - stop + 1)
            values[stop:start, k] = (1 - share) * values[stop - 1, k] + share * values[start, k]
            filled[stop:start, k] = True
    pieces = tuple(runs(column) for column in (observed | filled).T)
    return Bridged(values, filled, pieces)


def bridge_confidence(confidence: NDArray[np.float32], filled: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Confidence (T, J) in which a filled frame has the lower one of the two frames that its gap lies between."""
    result = confidence.copy()
    for j in range(confidence.shape[1]):
        for start, stop in runs(filled[:, j]):
            result[start:stop, j] = min(confidence[start - 1, j], confidence[stop, j])
    return result
