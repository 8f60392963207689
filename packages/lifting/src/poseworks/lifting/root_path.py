"""Where the root is in front of the camera: from joints relative to it, and the pixels in which they were seen.

A joint X_j relative to the root, seen on the ray (u, v, 1), lies on it when the root is at t:

    t_x - u t_z = u Z_j - X_j          t_y - v t_z = v Z_j - Y_j

Two linear equations a joint in three unknowns, solved by least squares in each frame. Joints that do not fit weigh less
(Huber, a few rounds). The direction of the root is sharp, its distance is not: one pixel of noise on a person of 200 is
half a percent of it. So the distance is smoothed over time (its logarithm: a median of a third of a second, then a
Gaussian of 0.2 s, neither of which bends a steady approach), and the other two are solved again beside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseworks.core.cameras import Pinhole
from poseworks.core.gaps import bridge_gaps, runs
from poseworks.core.running import running_median
from poseworks.core.shapes import expect_shape

Array = NDArray[np.float64]

MEDIAN_S = 1 / 3
SIGMA_S = 0.2
_ROUNDS = 8
_HUBER = 1.5  # typical residuals beyond which a joint counts less
_LEAST_JOINTS = 4
_BLOCK = 8192


def fit_root_path(joints: Array, pixels: Array, confidence: Array, camera: Pinhole, fps: float) -> Array:
    """The root (T, 3) in camera axes, in the unit of the joints; NaN in frames that were not lifted.

    Args:
        joints: (T, 17, 3) relative to the root, camera axes; NaN where not lifted.
        pixels: (T, 17, 2), NaN where not observed.
        confidence: (T, 17), the weight of each joint.
        camera: that took the pixels.
        fps: frame rate.

    A frame in which fewer than four joints were observed gets its distance from the frames around it; one whose joints
    would put the root behind the camera, from how large the person appears.
    """
    root = np.concatenate(
        [fit_each_frame(joints[part], pixels[part], confidence[part], camera) for part in _blocks(0, len(joints))]
        or [np.zeros((0, 3))]
    )
    lifted = np.isfinite(joints).all(axis=(1, 2))
    result = np.full(root.shape, np.nan)
    for start, stop in runs(np.asarray(lifted)):
        part = slice(start, stop)
        distance = _steady_distance(root[part, 2], fps)
        if distance is not None:
            for block in _blocks(start, stop):
                near = distance[block.start - start : block.stop - start]
                result[block] = _beside(joints[block], pixels[block], confidence[block], camera, near)
            result[part] = _filled(result[part])
    return result


def fit_each_frame(joints: Array, pixels: Array, confidence: Array, camera: Pinhole) -> Array:
    """The root (T, 3) of each frame by itself, NaN where it cannot be told; see `fit_root_path`."""
    frames = expect_shape("joints", joints, "T J=17 C=3")["T"]
    expect_shape("pixels", pixels, f"T={frames} J=17 C=2")
    a, b, weight = _equations(joints, pixels, confidence, camera)
    root = np.full((frames, 3), np.nan)
    usable = (weight > 0).sum(axis=1) >= _LEAST_JOINTS
    a, b, base = a[usable], b[usable], weight[usable]
    if not len(a):
        return root
    weight = base
    for _ in range(_ROUNDS):
        solution = _least_squares(a, b, weight)
        # (n, J): how far a joint is from its ray; the typical one is a median, which outliers do not move.
        miss = np.linalg.norm(np.einsum("tjkc,tc->tjk", a, solution) - b, axis=-1)
        typical = np.nanmedian(np.where(base > 0, miss, np.nan), axis=1)[:, None]
        weight = base * np.minimum(1, _HUBER * typical / np.maximum(miss, 1e-12) + 1e-9)
    behind = solution[:, 2] <= 0
    if behind.any():
        part = np.flatnonzero(usable)[behind]
        distance = _apparent_distance(joints[part], pixels[part], camera)
        solution[behind] = _beside(joints[part], pixels[part], confidence[part], camera, distance)
    root[usable] = solution
    return root


def _apparent_distance(joints: Array, pixels: Array, camera: Pinhole) -> Array:
    """(n,) how far a person is who appears as large as these do: spread of the joints by spread of their rays."""
    known = _known(joints, pixels)[..., None]
    spreads = []
    for points in (joints[..., :2], camera.rays(pixels)[..., :2]):
        seen = np.where(known, points, np.nan)
        spreads.append(np.sqrt(np.nanmean((seen - np.nanmean(seen, axis=1, keepdims=True)) ** 2, axis=(1, 2))))
    apparent: Array = spreads[0] / np.maximum(spreads[1], 1e-9)
    return apparent


def _known(joints: Array, pixels: Array) -> NDArray[np.bool_]:
    """(T, J) joints that are lifted and were seen."""
    return np.asarray(np.isfinite(np.concatenate([pixels, joints], axis=-1)).all(axis=-1))


def _blocks(start: int, stop: int) -> list[slice]:
    """Frames worked on at a time, so that memory does not grow with the clip."""
    return [slice(first, min(first + _BLOCK, stop)) for first in range(start, stop, _BLOCK)]


def _equations(joints: Array, pixels: Array, confidence: Array, camera: Pinhole) -> tuple[Array, Array, Array]:
    """Matrix (T, J, 2, 3), right side (T, J, 2) and weights (T, J), 0 where a joint says nothing."""
    known = _known(joints, pixels)
    slopes = np.where(known[..., None], camera.rays(pixels)[..., :2], 0.0)
    points = np.where(known[..., None], joints, 0.0)
    a = np.zeros((*known.shape, 2, 3))
    a[..., 0, 0] = a[..., 1, 1] = 1
    a[..., 2] = -slopes
    b = slopes * points[..., 2:] - points[..., :2]
    return a, b, np.where(known, np.maximum(confidence, 1e-3), 0.0)


def _least_squares(a: Array, b: Array, weight: Array) -> Array:
    """(n, C): the weighted solution of a (n, J, 2, C) t = b (n, J, 2)."""
    normal = np.einsum("tj,tjkc,tjkd->tcd", weight, a, a)
    right = np.einsum("tj,tjkc,tjk->tc", weight, a, b)
    # All joints on one ray tell no distance: a hair of damping keeps the system solvable, and the result huge.
    normal += 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(a.shape[-1])
    solution: Array = np.linalg.solve(normal, right[..., None])[..., 0]
    return solution


def _beside(joints: Array, pixels: Array, confidence: Array, camera: Pinhole, distance: Array) -> Array:
    """The root (n, 3) whose distance is given: its x and y from the rays of the joints, a robust mean; NaN without."""
    a, b, base = _equations(joints, pixels, confidence, camera)
    offers = b - a[..., 2] * distance[:, None, None]  # (n, J, 2): where each joint wants the root
    weight = base
    blind = np.asarray(base.max(axis=1) <= 0)
    for _ in range(_ROUNDS):
        total = weight.sum(axis=1)[:, None]
        centre = (weight[..., None] * offers).sum(axis=1) / np.maximum(total, 1e-300)
        miss = np.linalg.norm(offers - centre[:, None], axis=-1)
        some = np.where(blind[:, None], 0.0, np.where(base > 0, miss, np.nan))
        typical = np.nanmedian(some, axis=1)[:, None]
        weight = base * np.minimum(1, _HUBER * typical / np.maximum(miss, 1e-12) + 1e-9)
    centre[blind] = np.nan
    return np.concatenate([centre, distance[:, None]], axis=1)


def _steady_distance(distance: Array, fps: float) -> Array | None:
    """The distance (n,) smoothed over time, gaps filled; None where no frame tells it."""
    if not np.isfinite(distance).any():
        return None
    log = np.log(_filled(distance[:, None]))
    frames = min(2 * int(MEDIAN_S * fps / 2) + 1, 2 * ((len(log) - 1) // 2) + 1)
    steady: Array = np.exp(_gaussian(running_median(log, frames)[:, 0], SIGMA_S * fps))
    return steady


def _filled(track: Array) -> Array:
    """A track (n, D) whose gaps lie on straight lines, and whose ends repeat the first and last known frame."""
    values = bridge_gaps(track[:, None], len(track)).values[:, 0]
    known = np.flatnonzero(np.isfinite(values).all(axis=-1))
    values[: known[0]], values[known[-1] + 1 :] = values[known[0]], values[known[-1]]
    return values


def _gaussian(x: Array, sigma: float) -> Array:
    """(n,) smoothed: at each frame the line that fits best around it, weighed by a Gaussian of `sigma` frames.

    Away from the ends that is the Gaussian filter; at the ends it neither lags behind nor clings to the last frame.
    """
    half = int(3 * sigma + 0.5)
    if half < 1 or len(x) < 3:
        return x
    offsets = np.arange(-half, half + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)

    def moment(values: Array, order: int) -> Array:
        """Sum over the frames around of weight * offset^order * value."""
        around = np.convolve(np.pad(values, half), (kernel * offsets**order)[::-1], mode="valid")
        return np.asarray(around, dtype=np.float64)

    ones = np.ones(len(x))
    s0, s1, s2 = (moment(ones, order) for order in range(3))
    line: Array = (s2 * moment(x, 0) - s1 * moment(x, 1)) / (s0 * s2 - s1**2)
    return line
