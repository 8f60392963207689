"""Which landmarks lie on one body: places and sizes worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from poseworks.keypoints.bodies import alike, covers, is_there, part_of
from poseworks.keypoints.landmarks import Landmarks
from poseworks.keypoints.region import Region

IMAGE = np.zeros((200, 300, 3), np.uint8)
SHAPE = np.random.default_rng(8).uniform(-1, 1, (33, 2))
SHAPE /= np.abs(SHAPE).max(axis=0)  # the box around it is 2 x 2


def body(x: float, y: float, radius: float = 40, presence: float = 0.9) -> Landmarks:
    """Somebody whose keypoints lie in a box of 2 `radius`, in a circle that is as wide."""
    return Landmarks(
        presence=presence,
        keypoints=(np.array((x, y)) + radius * SHAPE).astype(np.float32),
        visibility=np.ones(33, np.float32),
        world=np.zeros((33, 3), np.float32),
        circle=np.array([(x, y), (x, y - radius)], np.float32),
    )


def replaced(landmarks: Landmarks, **fields: Any) -> Landmarks:
    return Landmarks(**{**vars(landmarks), **fields})


def test_somebody_is_there_from_a_presence_of_one_half() -> None:
    assert is_there(body(150, 100, presence=0.5), IMAGE, [])
    assert not is_there(body(150, 100, presence=0.499), IMAGE, [])


def test_half_out_of_the_image_is_there_and_all_out_of_it_is_not() -> None:
    for x, y in ((0, 100), (299, 100), (150, 0), (150, 199), (0, 0), (-35, 100)):
        assert is_there(body(x, y), IMAGE, [])
    for x, y in ((-41, 100), (341, 100), (150, -41), (150, 241)):
        assert not is_there(body(x, y), IMAGE, [])


def test_who_has_shrunk_to_nothing_is_not_there() -> None:
    assert is_there(body(150, 100, radius=0.6), IMAGE, [])
    assert not is_there(body(150, 100, radius=0.5), IMAGE, [])


@pytest.mark.parametrize("field", ["keypoints", "circle", "presence"])
def test_nan_is_nobody(field: str) -> None:
    landmarks = body(150, 100)
    nothing = np.nan * getattr(landmarks, field)
    assert not is_there(replaced(landmarks, **{field: nothing}), IMAGE, [])


def test_two_on_one_body_are_one_and_side_by_side_two() -> None:
    """They are one below a tenth of the smaller diameter, 80: 8 pixels."""
    first = body(150, 100)
    assert not is_there(body(157.9, 100), IMAGE, [first])
    assert is_there(body(158.1, 100), IMAGE, [first])
    assert not is_there(body(150, 107.9), IMAGE, [body(20, 20), first])


def test_a_tenth_is_of_the_smaller_one() -> None:
    """Radius 40 and 60: all keypoints differ by 20 (x, y) of the shape; in the median by more than a tenth of 80."""
    large, small = body(150, 100, 60), body(150, 100, 40)
    assert is_there(small, IMAGE, [large])
    assert is_there(large, IMAGE, [small])
    assert not is_there(body(150, 100, 44), IMAGE, [small])


def test_most_keypoints_decide_not_a_few_that_lie_elsewhere() -> None:
    first = body(150, 100)
    stray = first.keypoints.copy()
    stray[:15] += 500
    assert not is_there(replaced(first, keypoints=stray), IMAGE, [first])
    stray[:17] = first.keypoints[:17] + 500
    assert is_there(replaced(first, keypoints=stray), IMAGE, [first])


def test_a_small_body_inside_a_large_one_is_part_of_it() -> None:
    large = body(150, 100, 80)
    assert part_of(body(160, 120, 40), large)
    assert not part_of(large, body(160, 120, 40))
    assert not part_of(body(160, 120, 48.1), large)  # six tenths as large
    assert part_of(body(160, 120, 47.9), large)
    assert not part_of(body(150 + 80, 100, 40), large)  # half of it hangs out
    assert not part_of(body(260, 100, 30), large)


def test_a_detection_is_about_somebody_within_a_fifth_of_the_side() -> None:
    followed = Region(100, 100, 200)
    assert covers(followed, Region(139, 100, 200))
    assert not covers(followed, Region(141, 100, 200))
    assert covers(followed, Region(100 + 27, 100 - 27, 200))  # 38.2 away
    assert not covers(followed, Region(100 + 29, 100 - 29, 200))  # 41.0 away
    assert covers(followed, Region(100, 100, 200, angle=2.0))


def test_sizes_are_alike_up_to_a_ratio_of_1_7() -> None:
    for side, expected in ((169, True), (171, False), (59, True), (58.7, False)):
        assert alike(Region(0, 0, 100), Region(5, 5, side)) is expected
        assert alike(Region(5, 5, side), Region(0, 0, 100)) is expected
    assert not covers(Region(0, 0, 100), Region(0, 0, 171))
