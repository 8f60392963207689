"""Human3.6M as both lifting systems see it: pixels scaled by the width of the image.

    x' = 2 x / w - 1          y' = 2 y / w - h / w          z' = 2 z / w

The width scales all three axes, so shapes keep their proportions. 2D inputs and 3D labels are scaled alike; z is depth
relative to the root, in pixels.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from poseworks.core.errors import DataError, ShapeError
from poseworks.core.shapes import expect_shape

Points = TypeVar("Points", Tensor, NDArray[Any])


def normalize(points: Points, width: ArrayLike, height: ArrayLike) -> Points:
    """Pixels scaled for the networks, same shape and kind: x from -1 to 1 across the image, 0 in its middle.

    Args:
        points: (..., 2) x, y or (..., 3) x, y, relative depth, in pixels. Append confidence afterwards: it is not
            scaled.
        width: of the image in pixels: one number, or an array of the first axes, such as (N,) for (N, J, C).
        height: likewise.

    Raises:
        ShapeError: the last axis is neither 2 nor 3, or the widths have more axes than the points.
        DataError: a width or a height is not positive.
    """
    half, shift = _scale(points, width, height)
    scaled: Points = points / half - shift
    return scaled


def denormalize(points: Points, width: ArrayLike, height: ArrayLike) -> Points:
    """The inverse of `normalize`: (..., 2 or 3) pixels."""
    half, shift = _scale(points, width, height)
    pixels: Points = (points + shift) * half
    return pixels


def _scale(points: Points, width: ArrayLike, height: ArrayLike) -> tuple[Any, Any]:
    """(..., 1) half the width, and (..., C) what is subtracted, of the kind of `points`."""
    sizes = expect_shape("points", points, "... C=2|3", fix="The last axis is x, y or x, y, z.")
    w, h = np.broadcast_arrays(np.asarray(width, dtype=np.float64), np.asarray(height, dtype=np.float64))
    missing = points.ndim - 1 - w.ndim
    if missing < 0:
        raise ShapeError(f"image size: expected at most the first {points.ndim - 1} axes of the points, got {w.shape}.")
    w, h = (size.reshape(size.shape + (1,) * missing) for size in (w, h))
    if not (w > 0).all() or not (h > 0).all():
        raise DataError("image size: expected a positive width and height in pixels. Check their order: width first.")
    half = w[..., None] / 2
    shift = np.stack([np.ones_like(w), h / w, np.zeros_like(w)][: sizes["C"]], axis=-1)
    if isinstance(points, Tensor):
        kind = points.dtype if points.is_floating_point() else torch.get_default_dtype()
        return tuple(torch.as_tensor(part, dtype=kind, device=points.device) for part in (half, shift))  # type: ignore[return-value]
    kind_np = points.dtype if points.dtype.kind == "f" else np.float64
    return half.astype(kind_np), shift.astype(kind_np)
