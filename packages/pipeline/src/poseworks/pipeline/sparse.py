"""Poses of every N-th frame alone: which they are, and the frames between on straight lines.

A detector that looks at the frames 0, N, 2N, ... and the last leaves those between empty. Between two looks in which a
joint was seen they are filled, and so is one look that missed it: a detector misses people now and then. Two looks
in a row that missed it are an absence, and stay empty; so does one where looks are far apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poseworks.core import PoseSequence, history_entry
from poseworks.core.gaps import bridge_confidence, bridge_gaps
from poseworks.core.poses import HistoryEntry

SPARSE_SMOOTHERS = {5: "deciwatch-general-i5", 10: "deciwatch-general-i10"}
"""Weights that recover the frames between those that were looked at, by how far these are apart."""


def sampled_every(history: Sequence[HistoryEntry], *, filled: bool = False) -> int:
    """Of which every N-th frame the poses with this history hold a detection; 1 where the frames between are filled.

    Args:
        history: of the poses.
        filled: tell N although straight lines stand between; 1 only where the poses were smoothed.
    """
    every = 1
    for entry in history:
        verb = entry.get("verb")
        if verb == "detect":
            stated = entry.get("settings", {}).get("every", 1)
            every = stated if isinstance(stated, int) and stated > 1 else 1
        elif verb == "smooth" or (verb == "fill" and not filled):
            every = 1
    return every


def fill_between(poses: PoseSequence, every: int, max_gap_s: float = 0.5) -> PoseSequence:
    """The same poses with the frames between two looks on straight lines; confidence is the lower one of both.

    Args:
        poses: of which every N-th frame, and the last, was looked at.
        every: N.
        max_gap_s: looks that are at most so far apart may miss a joint once.
    """
    may_miss = every / poses.fps <= max_gap_s + 1e-6
    longest = 2 * every - 1 if may_miss else every - 1
    positions = np.empty(poses.positions.shape)
    confidence = poses.confidence.copy()
    for person in range(poses.num_people):
        bridged = bridge_gaps(poses.positions[person], longest)
        positions[person] = bridged.values
        confidence[person] = bridge_confidence(confidence[person], bridged.filled)
    entry = history_entry("fill", "poseworks", {"every": every, "longest_gap_frames": longest})
    return poses.replace(positions=positions, confidence=confidence).with_step(entry)


def ordinal(number: int) -> str:
    """2nd, 3rd, 5th, 11th, 21st."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
