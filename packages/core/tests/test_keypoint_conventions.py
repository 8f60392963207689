"""The 27 conventions: every published index table and flip pair; masks; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import ShapeError, SkeletonError
from poseworks.core.keypoint_conventions import conventions, convert_keypoints, flip_pairs, index_table, joints_of

PUBLISHED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "reference" / "keypoint_conventions.json").read_text(encoding="utf-8")
)


def test_names_and_counts_are_the_published_ones() -> None:
    assert {name: list(joints) for name, joints in conventions().items()} == PUBLISHED["names"]
    assert {name: len(joints) for name, joints in conventions().items()} == PUBLISHED["counts"]
    assert len(conventions()) == 27


@pytest.mark.parametrize("approximate", [False, True])
def test_index_tables_are_the_published_ones(approximate: bool) -> None:
    for name, table in PUBLISHED["conversions"].items():
        to, start = index_table(*name.split("->"), approximate=approximate)
        prefix = "approx_" if approximate and "approx_dst" in table else ""
        assert to.tolist() == table[f"{prefix}dst"], name
        assert start.tolist() == table[f"{prefix}src"], name


def test_flip_pairs_are_the_published_ones() -> None:
    for name, pairs in PUBLISHED["flip_pairs"].items():
        assert {frozenset(pair) for pair in flip_pairs(name)} == {frozenset(pair) for pair in pairs}, name


def test_joints_that_are_not_there_are_zero_in_both() -> None:
    keypoints = np.random.default_rng(0).uniform(1, 2, (3, 17, 3)).astype(np.float32)
    mask = np.ones(17, np.uint8)
    mask[joints_of("coco").index("left_knee")] = 0
    converted, there = convert_keypoints(keypoints, "coco", "human_data", mask=mask)
    assert converted.shape == (3, 190, 3)
    assert there.sum() == 16
    assert not converted[:, there == 0].any()
    back, again = convert_keypoints(converted, "human_data", "coco", mask=there)
    np.testing.assert_array_equal(again, mask)
    np.testing.assert_array_equal(back, keypoints * mask[:, None])


def test_another_number_of_joints_or_name_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"coco has 17 joints, expected \(\.\.\., 17, C\), got \(2, 24, 3\)"):
        convert_keypoints(np.zeros((2, 24, 3)), "coco", "smpl")
    with pytest.raises(ShapeError, match=r"and a mask \(24,\)"):
        convert_keypoints(np.zeros((17, 3)), "coco", "smpl", mask=np.ones(24))
    with pytest.raises(SkeletonError, match="convention 'coco18': unknown; expected one of human_data, agora"):
        joints_of("coco18")
