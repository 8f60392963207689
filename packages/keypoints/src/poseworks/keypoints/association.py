"""Who is who: the people that a detector finds in one frame, matched to those of the frames before.

    expected_j  = p_j + v min(t - t', 1/2 s)                        p, t': where and when the person was seen last
    cost        = median over j of |q_j - expected_j| / size        q: somebody in this frame; j: seen in both
    v           = 0.7 v + 0.3 median over j of (q_j - p_j) / (t - t')

The cheapest pair first, each person and each track once; pairs that are dearer than half the person's size, or differ
in size by more than a factor of 2, never.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError, ShapeError
from poseworks.keypoints.region import Floats

MEMORY_S = 1.5
"""How long somebody who is not seen is waited for."""

_STRAIGHT_ON_S = 0.5
_NEW_SHARE = np.float32(0.3)
_FARTHEST = 0.5
_SIZE_RATIO = 2.0
_SEEN = 0.3  # confidence from which a keypoint counts
_ENOUGH = 3  # keypoints, below which all count


@dataclass
class Motion:
    """Where somebody is heading, pixels a second."""

    time: float
    velocity: Floats = field(default_factory=lambda: np.zeros(2, np.float32))

    def moved(self, step: Floats, time: float) -> None:
        """Takes the step (2,) in pixels that was made until `time`."""
        if time > self.time:
            speed = step / np.float32(time - self.time)
            self.velocity = (1 - _NEW_SHARE) * self.velocity + _NEW_SHARE * speed
        self.time = time

    def expected(self, time: float) -> Floats:
        """The step (2,) until `time`: straight on for half a second, then nobody knows."""
        return self.velocity * np.float32(min(time - self.time, _STRAIGHT_ON_S))


class Association:
    """Numbers for the people of each frame, which they keep as long as they are seen, and through short absence."""

    def __init__(self) -> None:
        self._known: list[_Known] = []
        self._next_id = 0
        self._time = -math.inf

    def push(self, keypoints: Floats, confidence: Floats, time: float) -> list[int]:
        """The number of each person in the next frame, from 0 on.

        Args:
            keypoints: (P, J, 2) pixels; P may be 0.
            confidence: (P, J).
            time: seconds; it rises from push to push.

        Raises:
            ShapeError: the arrays do not fit together. DataError: the time does not rise.
        """
        if keypoints.ndim != 3 or keypoints.shape[2] != 2 or confidence.shape != keypoints.shape[:2]:
            raise ShapeError(
                f"keypoints: expected (P, J, 2) with confidence (P, J), got {keypoints.shape} and {confidence.shape}. "
                "Give each person all joints."
            )
        if not (math.isfinite(time) and time > self._time):
            raise DataError(f"time: expected seconds that rise from push to push, got {time} after {self._time}.")
        self._time = time
        self._known = [known for known in self._known if time - known.motion.time <= MEMORY_S]
        matched = self._matched(keypoints, confidence, time)
        ids = []
        for row, (points, sure) in enumerate(zip(keypoints, confidence, strict=True)):
            known = matched.get(row)
            if known is None:
                known = _Known(self._next_id, points, sure, Motion(time))
                self._next_id += 1
                self._known.append(known)
            else:
                known.moved(points, sure, time)
            ids.append(known.id)
        return ids

    def _matched(self, keypoints: Floats, confidence: Floats, time: float) -> dict[int, _Known]:
        """Row in this frame -> who that is."""
        pairs = itertools.product(range(len(keypoints)), self._known)
        costs = [(known.cost(keypoints[row], confidence[row], time), row, known) for row, known in pairs]
        matched: dict[int, _Known] = {}
        taken: set[int] = set()
        for cost, row, known in sorted(costs, key=lambda entry: entry[0]):
            if cost < _FARTHEST and row not in matched and known.id not in taken:
                matched[row] = known
                taken.add(known.id)
        return matched


@dataclass
class _Known:
    """Somebody as seen last."""

    id: int
    keypoints: Floats
    confidence: Floats
    motion: Motion

    def cost(self, keypoints: Floats, confidence: Floats, time: float) -> float:
        """How far a person is from where this one should be, in sizes; infinite for another size."""
        seen = _in_both(self.confidence, confidence)  # alone: half a body is not a smaller body
        before, now = self.keypoints[seen], keypoints[seen]
        sizes = _size(before), _size(now)
        if max(sizes) > _SIZE_RATIO * min(sizes):
            return math.inf
        surprise = np.linalg.norm(now - before - self.motion.expected(time), axis=1)
        return float(np.median(surprise)) / max(sizes)

    def moved(self, keypoints: Floats, confidence: Floats, time: float) -> None:
        """Takes what was seen in a later frame."""
        steps = (keypoints - self.keypoints)[_in_both(self.confidence, confidence)]
        self.motion.moved(np.median(steps, axis=0).astype(np.float32), time)
        self.keypoints, self.confidence = keypoints, confidence


def _in_both(before: Floats, now: Floats) -> NDArray[np.bool_]:
    """Keypoints that were seen both times; all where these are too few."""
    seen = (before >= _SEEN) & (now >= _SEEN)
    return seen if seen.sum() >= _ENOUGH else np.ones_like(seen)


def _size(points: Floats) -> float:
    """Diagonal of the box around points (K, 2), pixels; at least 1."""
    return max(1.0, math.dist(points.min(axis=0), points.max(axis=0)))
