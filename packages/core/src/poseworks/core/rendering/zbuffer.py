"""Which triangle is seen in each pixel, all triangles at once.

Q holds a triangle's corners in homogeneous pixels, one a column; pixel (x, y) sees its plane (Olano & Greer 1997) at

    b = Q^-1 (x, y, 1)       inside where b >= 0;   1 / z = b_1 + b_2 + b_3;   weights of the corners: b z

which is linear in x and y, also for a triangle that reaches behind the camera, so that nothing is clipped: on each row
of pixels the triangle is the interval where all b are at least 0 (and z at least the near plane's). The intervals of
all triangles are found at once, and of the pixels in them the nearest stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.cameras import Pinhole
from poseworks.core.rendering.scene import Array, Indices

_AT_A_TIME = 1 << 22  # pixels of triangles that are held at once
_SLACK = 1e-9  # pixels by which neighbours overlap, so that rounding leaves no gap between them


def inverse_corners(corners: Array, camera: Pinhole, near: float, cull: bool) -> tuple[Indices, Array]:
    """Numbers of the triangles that can be seen, and Q^-1 (N, 3, 3) of each."""
    x, y, z = np.moveaxis(corners, -1, 0)
    q0, q1, q2 = np.moveaxis(np.stack((camera.fx * x + camera.cx * z, camera.fy * y + camera.cy * z, z), -1), 1, 0)
    rows = np.stack((np.cross(q1, q2), np.cross(q2, q0), np.cross(q0, q1)), axis=1)
    determinant = (rows[:, 0] * q0).sum(axis=1)  # below 0: seen from outside
    seen = np.flatnonzero((z.max(axis=1) > near) & ((determinant < 0) if cull else (determinant != 0)))
    return seen, rows[seen] / determinant[seen, None, None]


def at_pixels(inverses: Array, x: NDArray[Any], y: NDArray[Any]) -> Array:
    """(N, 3): b of each triangle at a point of its own."""
    b: Array = inverses[..., 0] * x[:, None] + inverses[..., 1] * y[:, None] + inverses[..., 2]
    return b


def nearest_triangles(corners: Array, inverses: Array, camera: Pinhole, size: tuple[int, int], near: float) -> Indices:
    """(H W,): number of the triangle that is seen in each pixel, -1 where there is none."""
    columns, rows = size
    # The larger, the nearer: 1 / z as bits, which order positive numbers as the numbers, then the triangle's number.
    best = np.zeros(rows * columns, dtype=np.int64)
    for triangle, row, start, count in _spans(corners, inverses, camera, size, near):
        slope = inverses[..., 0].sum(axis=1)[triangle]
        first = at_pixels(inverses[triangle], start + 0.5, row + 0.5).sum(axis=1)
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
    z = corners[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        y = camera.fy * corners[..., 1] / z + camera.cy
        whole = z.min(axis=1) >= near  # in front of the camera; else any row may see it
        top = np.ceil(np.where(whole, y.min(axis=1), 0) - 0.5 - _SLACK)
        end = np.floor(np.where(whole, y.max(axis=1), rows) - 0.5 + _SLACK) + 1
    first = np.clip(top, 0, rows).astype(np.int64)
    height = np.clip(end, 0, rows).astype(np.int64) - first
    kept = np.flatnonzero(height > 0)
    ends = np.cumsum(height[kept])
    for piece in np.split(kept, np.searchsorted(ends, np.arange(_AT_A_TIME, ends[-1] if len(ends) else 0, _AT_A_TIME))):
        triangle = np.repeat(piece, height[piece])
        row = np.arange(len(triangle)) - np.repeat(
            np.cumsum(height[piece]) - height[piece] - first[piece], height[piece]
        )
        slope, base = inverses[..., 0][triangle], at_pixels(inverses[triangle], np.zeros(len(row)), row + 0.5)
        # And 1 / z no more than at the near plane.
        slope = np.concatenate((slope, -slope.sum(axis=1, keepdims=True)), axis=1)
        base = np.concatenate((base, 1 / near - base.sum(axis=1, keepdims=True)), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            edge = -base / slope
        low = np.where(slope > 0, edge, np.where((slope == 0) & (base < 0), np.inf, -np.inf)).max(axis=1)
        high = np.where(slope < 0, edge, np.inf).min(axis=1)
        start = np.clip(np.ceil(low - 0.5 - _SLACK), 0, columns).astype(np.int64)
        count = np.clip(np.floor(high - 0.5 + _SLACK) + 1, 0, columns).astype(np.int64) - start
        filled = np.flatnonzero(count > 0)
        total = np.cumsum(count[filled])
        cuts = np.searchsorted(total, np.arange(_AT_A_TIME, total[-1] if len(total) else 0, _AT_A_TIME))
        for part in np.split(filled, cuts):
            yield triangle[part], row[part], start[part], count[part]
