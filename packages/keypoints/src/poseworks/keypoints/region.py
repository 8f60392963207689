"""Turned squares of an image: where a network looks, and the way there and back (Bazarevsky et al. 2020, sec. 2).

    side = 1.25 * 2 |p1 - p0|,   angle = pi/2 - atan2(-(y1 - y0), x1 - x0)            p0: hip centre
    sample (i, j) of n x n  =  image at  p0 + R(angle) ((j, i) / n - 1/2) side        no half pixel

p1 lies on a circle around p0 that holds the whole body, in the direction of the head: the square follows the person's
turn in the image, so that the network always sees somebody upright.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]
Border = Literal["black", "replicate"]

_MARGIN = 1.25
_BLOCK = 16384  # samples worked on at a time: their arrays stay in the cache, and fresh memory costs more than sums


@dataclass(frozen=True)
class Region:
    """A square of the image: its centre and side in pixels, its angle in radians (positive: clockwise on screen)."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    def to_image(self, points: Floats) -> Floats:
        """Pixels (K, 2) of points (K, 2) that are given in shares of the square, (0, 0) at its first corner."""
        centre = np.array((self.x, self.y), dtype=np.float32)
        return np.asarray(turn(points - np.float32(0.5), self.angle) * np.float32(self.side) + centre)


def region_of(centre: Floats, rim: Floats) -> Region:
    """The square around a person, from the hip centre and the point on the rim of the circle around the body."""
    dx, dy = (rim - centre).astype(float)
    angle = math.pi / 2 - math.atan2(-dy, dx)
    wrapped = angle - 2 * math.pi * math.floor((angle + math.pi) / (2 * math.pi))
    return Region(float(centre[0]), float(centre[1]), _MARGIN * 2 * math.hypot(dx, dy), wrapped)


def around(width: int, height: int) -> Region:
    """The upright square that holds a whole image, centred."""
    return Region(width / 2, height / 2, float(max(width, height)))


def turn(points: Floats, angle: float) -> Floats:
    """Points (K, 2 or more) with x and y turned by an angle about the origin; other columns stay as they are."""
    c, s = math.cos(angle), math.sin(angle)
    turned = points.astype(np.float32)
    turned[:, 0] = c * points[:, 0] - s * points[:, 1]
    turned[:, 1] = s * points[:, 0] + c * points[:, 1]
    return turned


def sample(image: Image, region: Region, size: int, border: Border) -> Floats:
    """(size, size, 3) float32 grey values 0..255 of a region, bilinear between pixels.

    A pixel's value is at its first corner: the middle sample of a square of n pixels is the pixel n / 2.

    Args:
        image: (H, W, 3).
        region: what to look at; it may reach beyond the image.
        size: samples along each side.
        border: outside the image there is black, or the nearest pixel of its edge.
    """
    height, width = image.shape[:2]
    flat = np.ascontiguousarray(image).reshape(-1)
    steps: Floats = np.linspace(-0.5, 0.5, size, endpoint=False, dtype=np.float32) * np.float32(region.side)
    c, s = np.float32(math.cos(region.angle)), np.float32(math.sin(region.angle))
    samples = np.empty((size, size, 3), np.float32)
    inside = _lies_inside(region, width, height)
    rows = max(1, _BLOCK // size)
    for start in range(0, size, rows):
        block, downwards = samples[start : start + rows], steps[start : start + rows, None]
        x: Floats = (c * steps + np.float32(region.x)) - s * downwards
        y: Floats = (s * steps + np.float32(region.y)) + c * downwards
        if inside:
            _bilinear(flat, width, x, y, block, 3, 3 * width)  # none is at the edge
            continue
        nearest_x: Floats = np.clip(x, 0, width - 1)
        nearest_y: Floats = np.clip(y, 0, height - 1)
        outside = (x != nearest_x) | (y != nearest_y) if border == "black" else None
        # The last column and row have no neighbour, and need none: their share is 0.
        right, down = 3 * (nearest_x < width - 1), 3 * width * (nearest_y < height - 1)
        _bilinear(flat, width, nearest_x, nearest_y, block, right, down)
        if outside is not None:
            block[outside] = 0
    return samples


def _lies_inside(region: Region, width: int, height: int) -> bool:
    """Every sample of the region has all four pixels around it."""
    corners = region.to_image(np.array([(0, 0), (0, 1), (1, 0), (1, 1)], np.float32))
    return bool((corners >= 1).all() and (corners < (width - 2, height - 2)).all())


def _bilinear(
    flat: Image,
    width: int,
    x: Floats,
    y: Floats,
    out: Floats,
    right: NDArray[np.intp] | int,
    down: NDArray[np.intp] | int,
) -> None:
    """Grey values at columns `x` and rows `y`, which lie inside the image and are used up, into `out` (..., 3).

    Channel by channel on the image's `flat` bytes: NumPy gathers single bytes faster than rows of three.

    Args:
        right, down: bytes from a pixel to its neighbours.
    """
    column, row = x.astype(np.intp), y.astype(np.intp)
    x -= column
    y -= row
    upper_left = (row * width + column) * 3
    upper_right = upper_left + right
    lower_left, lower_right = upper_left + down, upper_right + down
    for channel in range(3):
        values = flat[channel:]
        upper = _blend(values.take(upper_left), values.take(upper_right), x)
        lower = _blend(values.take(lower_left), values.take(lower_right), x)
        lower -= upper
        lower *= y
        np.add(upper, lower, out=out[..., channel])


def _blend(first: Image, second: Image, share: Floats) -> Floats:
    """first + share (second - first)."""
    start = first.astype(np.float32)
    blended = second.astype(np.float32)
    blended -= start
    blended *= share
    blended += start
    return blended
