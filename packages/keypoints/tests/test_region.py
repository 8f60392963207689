"""Regions: angles worked out by hand, sampling against SciPy, the way back against the way there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from poseworks.keypoints.region import Region, around, region_of, sample, turn

REGIONS = [
    Region(20.0, 15.0, 12.0),
    Region(20.3, 14.6, 11.7, 0.4),
    Region(18.0, 16.0, 25.0, -2.5),
    Region(2.0, 28.0, 60.0, 1.1),  # reaches beyond the image on all sides
    Region(-30.0, 5.0, 10.0, 0.2),  # wholly outside
    Region(39.0, 29.0, 0.5),  # within the last pixel
]


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def places(region: Region, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows that the samples stand for, one by one, in double precision."""
    x, y = np.zeros((size, size)), np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            across, down = (j / size - 0.5) * region.side, (i / size - 0.5) * region.side
            x[i, j] = region.x + math.cos(region.angle) * across - math.sin(region.angle) * down
            y[i, j] = region.y + math.sin(region.angle) * across + math.cos(region.angle) * down
    return x, y


@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_samples_equal_scipys_linear_interpolation_with_the_edge_repeated(
    image: NDArray[np.uint8], region: Region
) -> None:
    x, y = places(region, 24)
    expected = np.stack(
        [map_coordinates(image[..., c].astype(float), [y, x], order=1, mode="nearest") for c in range(3)], axis=-1
    )
    assert_allclose(sample(image, region, 24, "replicate"), expected, atol=0.01)  # float32 places: 1e-5 px


@pytest.mark.parametrize("size", [1, 130, 257])
def test_any_number_of_samples_is_taken_alike(image: NDArray[np.uint8], size: int) -> None:
    region = Region(20.3, 14.6, 35.0, 0.4)
    x, y = places(region, size)
    expected = map_coordinates(image[..., 1].astype(float), [y, x], order=1, mode="nearest")
    assert_allclose(sample(image, region, size, "replicate")[..., 1], expected, atol=0.01)


@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_outside_the_image_there_is_black_where_asked(image: NDArray[np.uint8], region: Region) -> None:
    bright = np.maximum(image, 1)
    x, y = places(region, 24)
    inside = (x >= 0) & (x <= 39) & (y >= 0) & (y <= 29)
    near_edge = np.min([abs(x), abs(x - 39), abs(y), abs(y - 29)], axis=0) < 1e-4  # where rounding decides
    black = sample(bright, region, 24, "black")
    assert not black[~inside & ~near_edge].any()
    assert_allclose(black[inside & ~near_edge], sample(bright, region, 24, "replicate")[inside & ~near_edge])


def test_the_middle_sample_is_the_pixel_in_the_middle(image: NDArray[np.uint8]) -> None:
    samples = sample(image, Region(20.0, 15.0, 10.0), 10, "replicate")
    assert_allclose(samples, image[10:20, 15:25])


def test_an_image_that_is_no_block_of_memory_is_sampled_alike(image: NDArray[np.uint8]) -> None:
    region = Region(15.0, 12.0, 20.0, 0.7)
    assert_allclose(
        sample(image[::-1, ::2], region, 16, "replicate"),
        sample(np.ascontiguousarray(image[::-1, ::2]), region, 16, "replicate"),
    )


def test_a_single_pixel_fills_every_sample() -> None:
    samples = sample(np.full((1, 1, 3), 7, np.uint8), Region(0.5, 0.5, 3.0, 0.3), 8, "replicate")
    assert_allclose(samples, 7.0)


@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_to_image_leads_to_where_the_samples_were_taken(region: Region) -> None:
    x, y = places(region, 8)
    rows, columns = np.mgrid[:8, :8] / 8
    shares = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32)
    assert_allclose(region.to_image(shares), np.stack([x.ravel(), y.ravel()], axis=1), atol=1e-4)


@pytest.mark.parametrize(
    ("rim", "angle"),
    [
        ((50.0, 30.0), 0.0),  # the head above the hips: upright
        ((70.0, 50.0), math.pi / 2),  # to the right: lying, turned clockwise
        ((30.0, 50.0), -math.pi / 2),
        ((64.142136, 35.857864), math.pi / 4),
        ((49.9, 70.0), math.pi + math.atan2(0.1, 20) - 2 * math.pi),  # upside down, a little to the left
        ((50.1, 70.0), math.pi - math.atan2(0.1, 20)),
    ],
)
def test_the_angle_of_a_region_follows_the_person(rim: tuple[float, float], angle: float) -> None:
    region = region_of(np.float32([50, 50]), np.float32(rim))
    assert region.angle == pytest.approx(angle, abs=1e-6)
    assert (region.x, region.y) == (50.0, 50.0)
    assert region.side == pytest.approx(2.5 * math.dist((50, 50), rim), rel=1e-6)


def test_upside_down_is_half_a_turn_of_either_sign() -> None:
    assert abs(region_of(np.float32([5, 5]), np.float32([5, 9])).angle) == pytest.approx(math.pi)


def test_in_the_region_the_person_is_upright() -> None:
    centre, rim = np.float32([31, 44]), np.float32([55, 12])
    head = np.float32([[0.5, 0.5 - 1 / 2.5]])  # the rim is 1 / 2.5 of the side above the centre
    assert_allclose(region_of(centre, rim).to_image(head)[0], rim, atol=1e-4)


def test_around_holds_the_whole_image_centred() -> None:
    assert around(40, 30) == Region(20.0, 15.0, 40.0, 0.0)
    assert around(30, 41) == Region(15.0, 20.5, 41.0, 0.0)


def test_a_turn_moves_x_towards_y_and_leaves_depth() -> None:
    points = np.float32([[1, 0, 5], [0, 1, 6]])
    assert_allclose(turn(points, math.pi / 2), [[0, 1, 5], [-1, 0, 6]], atol=1e-6)
    assert_allclose(points, [[1, 0, 5], [0, 1, 6]])  # the input stays
