"""Gaps: what is bridged, what splits, what stays missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseworks.core.errors import ShapeError
from poseworks.core.gaps import bridge_confidence, bridge_gaps, runs

NAN = np.nan


def track(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)[:, None, None]


def test_a_short_gap_is_a_straight_line_between_its_neighbours() -> None:
    bridged = bridge_gaps(track(1, NAN, NAN, NAN, 5, 7), longest=3)
    np.testing.assert_allclose(bridged.values[:, 0, 0], [1, 2, 3, 4, 5, 7], rtol=1e-12)
    assert bridged.filled[:, 0].tolist() == [False, True, True, True, False, False]
    assert bridged.pieces == (((0, 6),),)


def test_a_longer_gap_splits_and_stays() -> None:
    bridged = bridge_gaps(track(1, NAN, NAN, NAN, 5, 7), longest=2)
    assert bridged.pieces == (((0, 1), (4, 6)),)
    assert np.isnan(bridged.values[1:4]).all()
    assert not bridged.filled.any()


def test_both_ends_stay_missing_and_an_absent_joint_stops_nobody() -> None:
    tracks = np.concatenate([track(NAN, 1, NAN, 3, NAN), track(NAN, NAN, NAN, NAN, NAN)], axis=1)
    bridged = bridge_gaps(tracks, longest=10)
    np.testing.assert_array_equal(bridged.values[:, 0, 0], [NAN, 1, 2, 3, NAN])
    assert bridged.pieces == (((1, 4),), ())


def test_half_a_position_is_none() -> None:
    tracks = np.ones((3, 1, 2))
    tracks[1, 0, 1] = NAN
    assert bridge_gaps(tracks, longest=0).pieces == (((0, 1), (2, 3)),)


def test_no_frames_no_pieces() -> None:
    assert bridge_gaps(np.empty((0, 2, 3)), longest=5).pieces == ((), ())


def test_another_number_of_axes_is_refused() -> None:
    with pytest.raises(ShapeError, match="T, K, D"):
        bridge_gaps(np.zeros((3, 2)), longest=1)


def test_filled_frames_have_the_lower_confidence_of_the_frames_around() -> None:
    confidence = np.array([[0.9], [0.0], [0.0], [0.4]], dtype=np.float32)
    filled = np.array([[False], [True], [True], [False]])
    np.testing.assert_allclose(bridge_confidence(confidence, filled)[:, 0], [0.9, 0.4, 0.4, 0.4], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 6))
def test_pieces_are_what_is_finite_and_observed_values_stay(present: list[bool], longest: int) -> None:
    values = np.where(present, np.arange(len(present), dtype=float) ** 2, NAN)[:, None, None]
    bridged = bridge_gaps(values, longest)
    assert bridged.pieces[0] == runs(np.isfinite(bridged.values[:, 0, 0]))
    np.testing.assert_array_equal(bridged.values[present], values[present])
    gaps = np.diff([edge for piece in bridged.pieces[0] for edge in piece])[1::2]
    assert all(gap > longest for gap in gaps)
