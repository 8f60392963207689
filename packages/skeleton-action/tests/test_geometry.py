"""Boxes and keypoints on the way into a volume: exactly those of the published code, and what must hold for any."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from poseworks.core.testing import reference_cases
from poseworks.skeleton_action import COCO_LAYOUT
from poseworks.skeleton_action.geometry import (
    Sample,
    center_crop_box,
    compact,
    compact_box,
    crop,
    flip,
    random_crop_box,
    resize,
    resize_short_side,
)

REFERENCE = Path(__file__).parent / "reference"
COMPACT = reference_cases(REFERENCE, "pose_compact")[0]


def rows(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((REFERENCE / f"{name}.json").read_text())["rows"]
    return found


def sample_of(keypoints: np.ndarray[Any, Any], size: tuple[int, int]) -> Sample:
    return Sample(keypoints, np.ones(keypoints.shape[:3], dtype=np.float32), size)


@pytest.mark.parametrize("case", COMPACT.manifest["cases"], ids=lambda case: str(case["index"]))
def test_compacting_equals_the_published(case: dict[str, Any]) -> None:
    args = case["args"]
    ratio = args.get("hw_ratio")
    height, width = case["img_shape_in"]
    sample = sample_of(COMPACT.arrays[f"{case['index']}.keypoint_in"], (height, width))
    box = compact_box(
        sample,
        padding=args.get("padding", 0.25),
        threshold=args.get("threshold", 10),
        ratio=(ratio, ratio) if isinstance(ratio, float) else ratio,
        inside_image=not args.get("allow_imgpad", True),
    )
    found = compact(sample, box)
    assert list(found.size) == case["img_shape_out"]
    assert_allclose(found.region, case["crop_quadruple"], rtol=0, atol=1e-12)
    assert found.keypoints.dtype == np.float32
    assert_array_equal(found.keypoints, COMPACT.arrays[f"{case['index']}.keypoint_out"])


@pytest.mark.parametrize("row", rows("resize"), ids=lambda row: f"{row['img_shape']}-{row['scale']}")
def test_resizing_and_the_centre_equal_the_published(row: dict[str, Any]) -> None:
    height, width = row["img_shape"]
    sample = sample_of(np.ones((1, 1, 17, 2), dtype=np.float32), (height, width))
    if row["keep_ratio"]:
        found = resize_short_side(sample, row["scale"][1])
    else:
        found = resize(sample, (row["scale"][1], row["scale"][0]))
    assert list(found.size) == row["out_img_shape"]
    assert_array_equal(found.keypoints[0, 0, 0], np.array(row["scale_factor"], dtype=np.float32))
    if row["center_crop64_bbox"] is not None:
        assert list(center_crop_box(found.size, 64)) == row["center_crop64_bbox"]


@pytest.mark.parametrize("row", rows("random_resized_crop"), ids=lambda row: str(row["seed"]))
def test_random_crops_equal_the_published(row: dict[str, Any]) -> None:
    height, width = row["img_shape"]
    rng = np.random.RandomState(row["seed"])
    assert list(random_crop_box((height, width), rng, random.Random(row["seed"]))) == row["crop_bbox"]
    assert (rng.rand() < 0.5) == row["next_flip"]


def test_a_crop_that_never_fits_is_the_square_in_the_middle() -> None:
    rng = np.random.RandomState(0)
    box = random_crop_box((10, 101), rng, random.Random(0), area=(0.9, 1.0), aspect=(0.1, 0.2))
    assert box == (45, 0, 55, 10)


def test_a_box_larger_than_the_image_begins_outside_of_it() -> None:
    assert center_crop_box((63, 60), 64) == (-2, -1, 62, 63)


def test_nan_is_missing_and_missing_stays_missing_until_a_crop() -> None:
    keypoints = np.full((1, 2, 17, 2), 50, dtype=np.float32)
    keypoints[0, 0, 1] = 200
    keypoints[0, 0, 2] = np.nan
    keypoints[0, 0, 3, 1] = 0  # y alone is missing
    sample = sample_of(keypoints, (300, 300))
    small = resize(compact(sample, compact_box(sample)), (64, 64))
    assert_array_equal(small.keypoints[0, 0, 2], [0, 0])
    assert small.keypoints[0, 0, 3, 1] == 0
    assert small.keypoints[0, 0, 3, 0] == small.keypoints[0, 0, 0, 0] > 0
    assert_array_equal(flip(small, COCO_LAYOUT).keypoints[0, 0, 1], [0, 0])  # of the right eye, in the mirror
    assert_array_equal(crop(small, center_crop_box((64, 64), 60)).keypoints[0, 0, 2], [-2, -2])


def test_two_flips_are_none() -> None:
    rng = np.random.default_rng(0)
    sample = Sample(
        rng.integers(1, 64, (2, 3, 17, 2)).astype(np.float32), rng.random((2, 3, 17)).astype(np.float32), (64, 64)
    )
    once = flip(sample, COCO_LAYOUT)
    twice = flip(once, COCO_LAYOUT)
    assert_array_equal(once.keypoints[:, :, 5, 0], 64 - sample.keypoints[:, :, 6, 0])  # shoulders
    assert_array_equal(once.scores[:, :, 5], sample.scores[:, :, 6])
    assert_array_equal(twice.keypoints, sample.keypoints)
    assert_array_equal(twice.scores, sample.scores)


def test_nobody_has_no_box() -> None:
    sample = sample_of(np.zeros((0, 5, 17, 2), dtype=np.float32), (480, 640))
    assert compact_box(sample) is None
    assert compact(sample, None).size == (480, 640)


def test_the_region_is_composed_over_the_steps() -> None:
    sample = sample_of(np.full((1, 1, 17, 2), 50, dtype=np.float32), (200, 400))
    half = crop(sample, center_crop_box((200, 400), 100))
    assert half.region == (0.375, 0.25, 0.25, 0.5)
    quarter = crop(resize(half, (50, 50)), center_crop_box((50, 50), 25))
    assert_allclose(quarter.region, (0.375 + 0.25 * 12 / 50, 0.25 + 0.5 * 12 / 50, 0.125, 0.25))
