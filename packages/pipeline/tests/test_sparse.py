"""Frames between those that were looked at: what is filled, and what is an absence."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.core import H36M_17, PoseSequence, poses_from_arrays
from poseworks.pipeline.sparse import fill_between, sampled_every


def looks(every: int, seen: list[int], frames: int, fps: float = 30) -> PoseSequence:
    """A person at x = frame number in the frames `seen`, with a confidence of frame / 100."""
    positions = np.full((1, frames, 17, 2), np.nan)
    positions[0, seen] = np.array(seen)[:, None, None]
    confidence = np.zeros((1, frames, 17))
    confidence[0, seen] = np.array(seen)[:, None] / 100
    return poses_from_arrays(
        positions, H36M_17, confidence=confidence, fps=fps, unit="px", frame="image",
        history=({"verb": "detect", "settings": {"every": every}},),
    )  # fmt: skip


def present(poses: PoseSequence) -> list[int]:
    return np.flatnonzero(poses.observed[0].all(axis=1)).tolist()


def test_between_two_looks_is_a_straight_line_with_the_lower_confidence() -> None:
    filled = fill_between(looks(5, [0, 5, 10, 12], 13), 5)
    np.testing.assert_allclose(filled.positions[0, :, 0, 0], np.arange(13), atol=1e-5)
    expected = [0, 0, 0, 0, 0, *[0.05] * 5, 0.10, 0.10, 0.12]
    np.testing.assert_allclose(filled.confidence[0, :, 3], expected, atol=1e-6)
    assert filled.history[-1]["settings"] == {"every": 5, "longest_gap_frames": 9}


@pytest.mark.parametrize(
    ("every", "seen", "frames", "expected"),
    [
        (5, [5, 15], 25, range(5, 16)),  # one look missed
        (5, [0, 15], 16, [0, 15]),  # two in a row
        (2, [0, 4, 10], 11, [0, 1, 2, 3, 4, 10]),
        (10, [0, 20], 21, range(21)),  # looks a third of a second apart
        (20, [0, 20, 60], 61, [*range(21), 60]),  # two thirds: one missed look is an absence
        (5, [3, 8], 12, range(3, 9)),  # nothing before the first and behind the last
    ],
)
def test_two_missed_looks_are_an_absence(every: int, seen: list[int], frames: int, expected: list[int]) -> None:
    assert present(fill_between(looks(every, seen, frames), every)) == list(expected)


def test_the_history_tells_what_was_looked_at() -> None:
    poses = looks(5, [0, 5], 6)
    assert sampled_every(poses.history) == 5
    filled = fill_between(poses, 5)
    assert (sampled_every(filled.history), sampled_every(filled.history, filled=True)) == (1, 5)
    smoothed = filled.with_step({"verb": "smooth"})
    assert sampled_every(smoothed.history, filled=True) == 1
    assert sampled_every(()) == sampled_every(({"verb": "detect"},)) == 1
