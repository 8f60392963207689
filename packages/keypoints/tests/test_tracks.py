"""Tracks by hand: who is kept, in which order, and where NaN stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from poseworks.keypoints.tracking import Person
from poseworks.keypoints.tracks import Rows, Track, choose, size_of, spread


def person(place: float = 0, size: float = 50, confidence: float = 0.9, world: bool = True) -> Person:
    """Two keypoints at the ends of a diagonal of 1.0 `size`: 3 and 4 of 5."""
    ends = np.array([(place, 0), (place + 0.6 * size, 0.8 * size)], np.float32)
    depths = np.full((2, 3), place, np.float32) if world else None
    return Person(7, ends, np.full(2, confidence, np.float32), depths, 0.9)


def track(frames: Sequence[int], size: float = 50, confidence: float = 0.9, world: bool = True) -> Track:
    result = Track()
    for frame in frames:
        result.add(frame, person(frame, size, confidence, world))
    return result


def test_size_is_the_diagonal_of_the_box() -> None:
    assert size_of(person(10, 50)) == pytest.approx(50)


def test_rows_are_copies_in_order() -> None:
    rows, expected = Rows(), []
    row = np.zeros((2, 3), np.float32)
    assert len(rows) == 0
    for number in range(200):
        row += 1
        rows.append(row)
        expected.append(number + 1)
    assert len(rows) == 200
    np.testing.assert_array_equal(rows.array, np.array(expected)[:, None, None] * np.ones((2, 3)))


def test_a_track_knows_its_weight_and_confidence() -> None:
    both = Track()
    both.add(2, person(size=50, confidence=0.8))
    both.add(5, person(size=30, confidence=0.4))
    assert both.frames == [2, 5]
    assert both.weight == pytest.approx(80)
    assert both.mean_confidence == pytest.approx(0.6)
    assert len(track([1, 2], world=False).world) == 0


def test_spread_leaves_the_missing_value_everywhere_else() -> None:
    tracks = [track([0, 3]), track([1])]
    array = spread(tracks, [each.keypoints for each in tracks], 5, np.nan)
    assert array.shape == (2, 5, 2, 2)
    assert array.dtype == np.float32
    assert [np.flatnonzero(np.isfinite(row).all(axis=(1, 2))).tolist() for row in array] == [[0, 3], [1]]
    np.testing.assert_allclose(array[0, 3], [(3, 0), (33, 40)])
    confidence = spread(tracks, [each.confidence for each in tracks], 5, 0.0)
    np.testing.assert_allclose(confidence[:, :, 0], [[0.9, 0, 0, 0.9, 0], [0, 0.9, 0, 0, 0]])


def test_the_longest_and_largest_come_first_and_ids_count_first_appearances() -> None:
    tracks = [track(range(10), size=20), track(range(2, 12), size=60), track(range(5, 35), size=10)]
    chosen = choose(tracks, 35, 30, None, 35)
    assert chosen.tracks == (tracks[1], tracks[2], tracks[0])  # 600, 300, 200
    assert chosen.ids == (1, 2, 0)
    assert chosen.notes == ()


def test_who_is_as_heavy_stays_in_the_order_of_appearance() -> None:
    assert choose([track(range(10)), track(range(3, 13))], 20, 30, None, 20).ids == (0, 1)


def test_so_many_as_asked_for_are_kept() -> None:
    tracks = [track(range(10), size=20), track(range(10), size=60), track(range(10), size=40)]
    chosen = choose(tracks, 10, 30, 1, 10)
    assert (chosen.tracks, chosen.ids) == ((tracks[1],), (1,))
    assert chosen.notes == ("2 more people seen and left out, as asked",)
    assert choose(tracks, 10, 30, 2, 10).notes == ("1 more person seen and left out, as asked",)
    assert choose(tracks, 10, 30, 5, 10).notes == ()


def test_what_is_shorter_than_a_quarter_of_a_second_is_left_out_and_gets_no_id() -> None:
    """At 30 frames a second: 7.5 frames."""
    tracks = [track(range(7)), track(range(8)), track(range(50, 57)), track(range(50, 90))]
    chosen = choose(tracks, 100, 30, None, 100)
    assert chosen.tracks == (tracks[3], tracks[1])
    assert chosen.ids == (1, 0)
    assert chosen.notes == ("2 tracks left out: too short, or hardly visible",)


def test_a_short_recording_is_judged_by_a_quarter_of_its_frames() -> None:
    assert len(choose([track([0])], 1, 30, None, 1).tracks) == 1
    assert len(choose([track([0])], 4, 30, None, 4).tracks) == 1
    chosen = choose([track([0])], 5, 30, None, 5)
    assert chosen.tracks == ()
    assert chosen.notes == ("1 track left out: too short, or hardly visible",)


def test_frames_that_were_not_looked_at_do_not_count() -> None:
    """Every fifth of 150 frames at 30 a second: two of them span a quarter of a second."""
    assert len(choose([track([0, 5])], 31, 6, None, 150).tracks) == 1
    assert len(choose([track([0])], 31, 6, None, 150).tracks) == 0


def test_who_is_hardly_visible_is_left_out() -> None:
    tracks = [track(range(30), confidence=0.29), track(range(30), confidence=0.31)]
    assert choose(tracks, 30, 30, None, 30).tracks == (tracks[1],)


def test_who_is_hardly_visible_for_a_moment_beside_somebody_seen_well_is_a_ghost() -> None:
    well, ghost = track(range(90), confidence=0.8), track(range(30, 80), confidence=0.5)
    assert choose([well, ghost], 90, 30, None, 90).tracks == (well,)
    assert choose([ghost], 90, 30, None, 90).tracks == (ghost,)  # alone: perhaps no more of somebody can be seen
    lasting = track(range(20, 85), confidence=0.5)
    assert choose([well, lasting], 90, 30, None, 90).tracks == (well, lasting)


def test_what_would_not_fit_into_memory_is_left_out_aloud() -> None:
    """A gigabyte of 33 keypoints of three numbers is 2.5 million frames: 25 people in 100 000."""
    tracks = [track(range(8), size=10 + number) for number in range(27)]
    chosen = choose(tracks, 30, 30, None, 100_000)
    assert chosen.notes == ("27 people are too many for 100000 frames: the first 25 are kept",)
    assert chosen.ids == tuple(range(26, 1, -1))
    assert len(choose(tracks[:2], 30, 30, None, 10**9).tracks) == 1
