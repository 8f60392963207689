from __future__ import annotations

import numpy as np
import pytest

from poseworks.core.errors import ConfigError
from poseworks.mesh_recovery.crops import Image
from poseworks.mesh_recovery.learning.patches import (
    CoarseDropout,
    GridDropout,
    HardErasing,
    Mixing,
    draw_patch,
    drop_grid,
    drop_holes,
    hard_erase,
    refuse_unknown_sets,
    self_mix,
    soft_erase,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def image() -> Image:
    image = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    image.setflags(write=False)  # none of them changes its input
    return image


def changed(before: Image, after: Image) -> tuple[slice, slice]:
    """The least rectangle that holds every pixel that differs."""
    differs = (before != after).any(axis=2)
    rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def test_patches_have_the_stated_sizes(rng: np.random.Generator) -> None:
    patches = [draw_patch((100, 80), (0.02, 0.4), 0.3, rng) for _ in range(500)]
    found = [patch for patch in patches if patch is not None]
    assert len(found) == 500
    areas = np.array([patch.height * patch.width / 8000 for patch in found])
    aspects = np.array([patch.height / patch.width for patch in found])
    assert 0.018 < areas.min() < 0.03
    assert 0.37 < areas.max() < 0.42
    assert aspects.min() < 0.4
    assert aspects.max() > 2.5
    assert all(0 <= p.top <= 100 - p.height and 0 <= p.left <= 80 - p.width for p in found)
    assert draw_patch((100, 80), (2.0, 3.0), 0.3, rng) is None  # larger than the picture


def test_self_mixing_takes_its_colours_from_the_picture(rng: np.random.Generator, image: Image) -> None:
    mixed = self_mix(image, Mixing(), rng)
    rows, columns = changed(image, mixed)
    share = (rows.stop - rows.start) * (columns.stop - columns.start) / (64 * 48)
    assert 0.01 < share < 0.42
    even = np.full((32, 32, 3), 90, np.uint8)
    assert np.array_equal(self_mix(even, Mixing(), rng), even)  # 90 mixed with 90


def test_mixing_is_a_weighted_mean(rng: np.random.Generator) -> None:
    black = np.zeros((40, 40, 3), np.uint8)
    erased = soft_erase(black, Mixing(mix=(0.25, 0.25)), rng)
    part = erased[changed(black, erased)]
    assert part.max() in (63, 64)  # a quarter of 255
    assert abs(part.mean() - 0.25 * 127.5) < 3


def test_what_does_not_fit_changes_nothing(rng: np.random.Generator, image: Image) -> None:
    too_large = Mixing(area=(2.0, 3.0))
    assert self_mix(image, too_large, rng) is image
    assert soft_erase(image, too_large, rng) is image


def test_hard_erasing_stays_in_the_box_and_in_the_picture(rng: np.random.Generator, image: Image) -> None:
    erased = [hard_erase(image, (10, 20, 25, 30), HardErasing(area=(0.05, 0.2), aspect=0.8), rng) for _ in range(50)]
    for each in erased:
        if each is not image:
            rows, columns = changed(image, each)
            assert columns.start >= 10
            assert rows.start >= 20
    assert sum(each is not image for each in erased) > 25
    assert all(hard_erase(image, (60, 70, 20, 20), HardErasing(), rng) is image for _ in range(20))  # outside


def test_holes_are_black_rectangles(rng: np.random.Generator) -> None:
    white = np.full((112, 112, 3), 255, np.uint8)
    one = CoarseDropout(holes=(1, 1))
    for _ in range(20):
        dropped = drop_holes(white, one, rng)
        rows, columns = changed(white, dropped)
        assert 5 <= rows.stop - rows.start <= 20  # 10 to 40 of 224
        assert 5 <= columns.stop - columns.start <= 20
        assert not dropped[rows, columns].any()


def test_a_grid_repeats_itself(rng: np.random.Generator) -> None:
    white = np.full((224, 224, 3), 255, np.uint8)
    dropped = drop_grid(white, GridDropout(unit_px=(20, 20)), rng)
    assert np.array_equal(dropped[20:], dropped[:-20])
    assert np.array_equal(dropped[:, 20:], dropped[:, :-20])
    assert abs((dropped == 0).mean() - 0.25) < 0.03  # squares of half the unit


def test_sets_that_are_not_there_are_named() -> None:
    refuse_unknown_sets(Mixing(data_sets=("h36m",)), "self_mixing", ["h36m", "coco"])
    refuse_unknown_sets(None, "self_mixing", ["coco"])
    with pytest.raises(ConfigError, match=r"augmentation.self_mixing.data_sets: h36m: not among .*\(coco\)"):
        refuse_unknown_sets(Mixing(data_sets=("h36m",)), "self_mixing", ["coco"])
