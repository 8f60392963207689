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
    steps = (np.arange(size, dtype=np.float32) / size - np.float32(0.5)) * np.float32(region.side)
    c, s = np.float32(math.cos(region.angle)), np.float32(math.sin(region.angle))
    x = (c * steps + np.float32(region.x)) - (s * steps)[:, None]
    y = (s * steps + np.float32(region.y)) + (c * steps)[:, None]
    outside = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1) if border == "black" else None
    samples = _bilinear(image, np.clip(x, 0, width - 1), np.clip(y, 0, height - 1))
    if outside is not None:
        samples[outside] = 0
    return samples


def _bilinear(image: Image, x: Floats, y: Floats) -> Floats:
    """Grey values at columns `x` and rows `y` that lie inside the image.

    Channel by channel on the flat bytes: numpy gathers single bytes faster than rows of three.
    """
    height, width = image.shape[:2]
    column, row = x.astype(np.intp), y.astype(np.intp)
    x, y = x - column, y - row
    flat = np.ascontiguousarray(image).reshape(-1)
    first = 3 * (row * width + column)
    right = 3 * (column < width - 1)  # the last column and row have no neighbour, and need none: their share is 0
    below = 3 * width * (row < height - 1)
    samples = np.empty((*x.shape, 3), np.float32)
    for channel in range(3):
        upper = _between(flat, first, right, x)
        upper += (_between(flat, first + below, right, x) - upper) * y
        samples[..., channel] = upper
        first += 1
    return samples


def _between(flat: Image, index: NDArray[np.intp], step: NDArray[np.intp], share: Floats) -> Floats:
    """Values between those at `index` and at `index + step`."""
    value = flat.take(index).astype(np.float32)
    value += (flat.take(index + step) - value) * share
    return value
