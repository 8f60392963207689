"""Human3.6M as both lifting systems see it: pixels scaled by the width of the image, recordings cut into clips.

    x' = 2 x / w - 1          y' = 2 y / w - h / w          z' = 2 z / w

The width scales all three axes, so shapes keep their proportions. 2D inputs and 3D labels are scaled alike; z is depth
relative to the root, in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.shapes import expect_shape

Points = TypeVar("Points", Tensor, NDArray[Any])

CAMERA_SIZES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"54138969": (1000, 1002), "55011271": (1000, 1000), "58860488": (1000, 1000), "60457274": (1000, 1002)}
)
"""Width and height in pixels of the images of Human3.6M's four cameras."""


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
    return scaled if isinstance(scaled, Tensor) else scaled.astype(half.dtype, copy=False)


def denormalize(points: Points, width: ArrayLike, height: ArrayLike) -> Points:
    """The inverse of `normalize`: (..., 2 or 3) pixels."""
    half, shift = _scale(points, width, height)
    pixels: Points = (points + shift) * half
    return pixels if isinstance(pixels, Tensor) else pixels.astype(half.dtype, copy=False)


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
    # The shift stays in float64, as in the published code: its float32 results are then equal to the last bit.
    return half.astype(points.dtype if points.dtype.kind == "f" else np.float64), shift


# --- clips ------------------------------------------------------------------------------------------------------------


def split_clips(
    names: Sequence[str] | NDArray[Any], n: int, stride: int, random: np.random.RandomState | None = None
) -> NDArray[np.int64]:
    """The frames of each clip, (C, n) indices into `names`, as the published training and evaluation cut them.

    Clips start every `stride` frames of a recording; what is left behind the last whole one is dropped. A recording
    shorter than n gives one clip that repeats frames at random, except the last recording, which gives none.

    Args:
        names: of the recording that each frame is of, (T,); one recording's frames lie together.
        n: frames of a clip.
        stride: frames from the start of a clip to that of the next.
        random: draws which frames of a short recording are repeated. None: numpy's global legacy generator, which the
            published code uses, seeded with 0 before it cuts the training split and after that the test split.

    Raises:
        ConfigError: n or stride is below 1.
        ShapeError: `names` is no sequence of names.
    """
    if n < 1 or stride < 1:
        raise ConfigError(f"split_clips: expected n and stride of at least 1, got {n} and {stride}.")
    labels = np.asarray(names)
    if labels.ndim != 1:
        raise ShapeError(f"names: expected (T,), the recording of each frame, got {labels.shape}.")
    ends = [*(np.flatnonzero(labels[1:] != labels[:-1]) + 1).tolist(), len(labels)]
    clips: list[NDArray[np.int64]] = []
    cut: set[Any] = set()
    first = 0
    for end in ends:
        starts = np.arange(first, end - n + 1, stride)
        clips.extend(starts[:, None] + np.arange(n))
        name = labels[first] if end else None
        if len(starts):
            cut.add(name)
        elif end < len(labels) and name not in cut:
            clips.append(first + _stretched(end - first, n, random))
            cut.add(name)
        first = end
    return np.array(clips, dtype=np.int64).reshape(-1, n)


def _stretched(length: int, n: int, random: np.random.RandomState | None) -> NDArray[np.int64]:
    """n of 0 .. length - 1 in their order, n > length: evenly spread, each rounded down or up by a throw of a coin."""
    even = np.linspace(0, length, num=n, endpoint=False)
    down = (np.random if random is None else random).randint(2, size=n)
    chosen = np.sort(down * np.floor(even) + (1 - down) * np.ceil(even))
    frames: NDArray[np.int64] = np.clip(chosen, 0, length - 1).astype(np.int64)
    return frames
