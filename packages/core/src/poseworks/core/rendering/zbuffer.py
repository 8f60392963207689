"""Which triangle is seen in each pixel, all triangles at once.

Q holds a triangle's corners in homogeneous pixels, one a column; pixel (x, y) sees its plane (Olano & Greer 1997) at

    b = Q^-1 (x, y, 1)       inside where b >= 0;   1 / z = b_1 + b_2 + b_3;   weights of the corners: b z

which is linear in x and y, also for a triangle that reaches behind the camera, so that nothing is clipped: on each row
of pixels the triangle is the interval where all b are at least 0 (and z at least the near plane's). The intervals of
all triangles are found at once, and of the pixels in them the nearest stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.cameras import Pinhole
from poseworks.core.rendering.scene import Array, Indices

_AT_A_TIME = 1 << 22  # pixels of triangles that are held at once
_SLACK = 1e-9  # pixels by which neighbours overlap, so that rounding leaves no gap between them


def inverse_corners(corners: Array, camera: Pinhole, near: float, cull: bool) -> tuple[Indices, Array]:
    """Numbers of the triangles that can be seen, and Q^-1 (3, 3, N) of each; corners are (3 axes, 3 corners, F)."""
    x, y, z = corners
    q = (camera.fx * x + camera.cx * z, camera.fy * y + camera.cy * z, z)
    rows = np.stack([cross([axis[a] for axis in q], [axis[b] for axis in q]) for a, b in ((1, 2), (2, 0), (0, 1))])
    determinant = rows[0, 0] * q[0][0] + rows[0, 1] * q[1][0] + rows[0, 2] * q[2][0]  # below 0: seen from outside
    nearest_corner = np.maximum(np.maximum(z[0], z[1]), z[2])
    seen = np.flatnonzero((nearest_corner > near) & ((determinant < 0) if cull else (determinant != 0)))
    return seen, rows[:, :, seen] / determinant[seen]


def cross(a: Array | Sequence[Array], b: Array | Sequence[Array]) -> Array:
    """(3, ...): products of vectors whose axis is the first."""
    product: Array = np.stack((a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]))
    return product


def at_pixels(inverses: Array, x: NDArray[Any], y: NDArray[Any]) -> Array:
    """(3, N): b of each triangle at a point of its own."""
    b: Array = inverses[:, 0] * x + inverses[:, 1] * y + inverses[:, 2]
    return b


def nearest_triangles(corners: Array, inverses: Array, camera: Pinhole, size: tuple[int, int], near: float) -> Indices:
    """(H W,): number of the triangle that is seen in each pixel, -1 where there is none."""
    columns, rows = size
    # The larger, the nearer: 1 / z as bits, which order positive numbers as the numbers, then the triangle's number.
    best = np.zeros(rows * columns, dtype=np.int64)
    plane = inverses[0] + inverses[1] + inverses[2]  # (3, N): 1 / z
    for triangle, row, start, count in _spans(corners, inverses, camera, size, near):
        slope, down, level = plane[:, triangle]
        first = slope * (start + 0.5) + down * (row + 0.5) + level
        along = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        near_by = np.maximum(np.repeat(first, count) + np.repeat(slope, count) * along, 0)
        key = near_by.astype(np.float32).view(np.int32).astype(np.int64) << 32 | np.repeat(triangle + 1, count)
        np.maximum.at(best, np.repeat(row * columns + start, count) + along, key)
    found: Indices = (best & 0xFFFFFFFF) - 1
    return found


def _spans(
    corners: Array, inverses: Array, camera: Pinhole, size: tuple[int, int], near: float
) -> Iterator[tuple[Indices, Indices, Indices, Indices]]:
    """Intervals of pixels that triangles fill: triangle, row, first column, how many columns, (N,) each, in pieces."""
    columns, rows = size
    z = corners[2]
    whole = z.min(axis=0) >= near  # in front of the camera; else any row may see it
    with np.errstate(divide="ignore", invalid="ignore"):
        y = camera.fy * corners[1] / z + camera.cy
        top = np.ceil(np.where(whole, y.min(axis=0), 0) - 0.5 - _SLACK)
        end = np.floor(np.where(whole, y.max(axis=0), rows) - 0.5 + _SLACK) + 1
    first = np.clip(top, 0, rows).astype(np.int64)
    height = np.clip(end, 0, rows).astype(np.int64) - first
    for piece in _pieces(np.flatnonzero(height > 0), height):
        triangle = np.repeat(piece, height[piece])
        row = np.arange(len(triangle)) - np.repeat(
            np.cumsum(height[piece]) - height[piece] - first[piece], height[piece]
        )
        low, high = np.full(len(row), -np.inf), np.full(len(row), np.inf)
        slopes = inverses[:, 0][:, triangle]
        bases = inverses[:, 1][:, triangle] * (row + 0.5) + inverses[:, 2][:, triangle]
        for slope, base in zip(slopes, bases, strict=True):
            _cut(low, high, slope, base)
        if not whole.all():  # and 1 / z no more than at the near plane
            _cut(low, high, -slopes.sum(axis=0), 1 / near - bases.sum(axis=0))
        start = np.clip(np.ceil(low - 0.5 - _SLACK), 0, columns).astype(np.int64)
        count = np.clip(np.floor(high - 0.5 + _SLACK) + 1, 0, columns).astype(np.int64) - start
        for part in _pieces(np.flatnonzero(count > 0), count):
            yield triangle[part], row[part], start[part], count[part]


def _cut(low: Array, high: Array, slope: Array, base: Array) -> None:
    """Leaves of the intervals low..high of x where slope x + base is at least 0, in place."""
    with np.errstate(divide="ignore", invalid="ignore"):
        edge = -base / slope
    np.copyto(low, np.maximum(low, edge), where=slope > 0)
    np.copyto(high, np.minimum(high, edge), where=slope < 0)
    np.copyto(low, np.inf, where=(slope == 0) & (base < 0))


def _pieces(chosen: Indices, sizes: Indices) -> Iterator[Indices]:
    """The chosen numbers in pieces whose sizes come to so much that it is held at once."""
    ends = np.cumsum(sizes[chosen])
    total = int(ends[-1]) if len(ends) else 0
    yield from np.split(chosen, np.searchsorted(ends, np.arange(_AT_A_TIME, total, _AT_A_TIME)))
