"""Pinhole cameras: from points in front of the camera to pixels, and from pixels to the rays that they lie on.

Axes of a camera: x right, y down, z away from it; pixels count from the top left corner. NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.errors import ConfigError
from poseworks.core.shapes import expect_shape

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pinhole:
    """A camera without lens distortion: focal lengths and principal point in pixels.

    Raises:
        ConfigError: a focal length is not positive, or a number is not finite.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not np.isfinite(numbers).all() or self.fx <= 0 or self.fy <= 0:
            raise ConfigError(f"camera: expected finite numbers, focal lengths above 0, got fx fy cx cy {numbers}.")

    @classmethod
    def from_focal(cls, focal_px: float, image_size: tuple[int, int]) -> Pinhole:
        """Square pixels, and the principal point in the middle of an image of (width, height)."""
        return cls(focal_px, focal_px, image_size[0] / 2, image_size[1] / 2)

    def project(self, points: ArrayLike) -> Array:
        """Pixels (..., 2) of points (..., 3) in camera axes, in any unit; NaN where not in front of it."""
        array = np.asarray(points, dtype=np.float64)
        expect_shape("points", array, "... C=3", fix="The last axis is x, y, z in camera axes.")
        depth = np.where(array[..., 2:] > 0, array[..., 2:], np.nan)
        pixels: Array = array[..., :2] / depth * (self.fx, self.fy) + (self.cx, self.cy)
        return pixels

    def rays(self, pixels: ArrayLike) -> Array:
        """Directions (..., 3) with z = 1 of pixels (..., 2)."""
        array = np.asarray(pixels, dtype=np.float64)
        expect_shape("pixels", array, "... C=2", fix="The last axis is x, y in pixels.")
        slopes = (array - (self.cx, self.cy)) / (self.fx, self.fy)
        return np.concatenate([slopes, np.ones_like(slopes[..., :1])], axis=-1)
