"""The guard: a correction may not exceed what the input's own noise explains.

Any smoother bends clean motion. The noise of each joint is read from the input (`spectrum.noise_level`), and the
correction c_t = smoothed - input of a joint keeps its direction, but not more than the length

    3 s + g 2 max(0, e_t - 3 s),     s = sigma^2 / sqrt(sigma^2 + s0^2),   g = s^2 / (s^2 + s0^2)

so that clean motion (sigma near 0) is returned as it came, whatever the smoother. e_t is the distance to the median of
7 frames around: it lets single outliers be removed where there is noise at all. s0 = 0.2 % of the person's height: what
the best recordings and the fastest motions look like to the estimate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseworks.core.running import running_median
from poseworks.temporal.spectrum import noise_level

Array = NDArray[np.float64]

_ALLOWED_SIGMAS = 3.0
_FLOOR_OF_HEIGHT = 0.002


def guard(
    before: Array, after: Array, pieces: Sequence[Sequence[tuple[int, int]]], fps: float, height: float
) -> tuple[Array, Array]:
    """`after` (T, K, D) drawn back towards `before` where the correction is too long, and the noise (K,) it went by.

    Args:
        before: (T, K, D) the input, gaps bridged; NaN outside the pieces.
        after: (T, K, D) what a smoother made of it.
        pieces: for each track the stretches of frames (first, one behind the last) without NaN.
        fps: frame rate.
        height: the person's, in the unit of the positions.
    Returns:
        The guarded positions, and the noise's standard deviation an axis (K,). A track too short to tell has the
        median of the others; where all are (`spectrum.window_frames`), noise is NaN and the tracks are as they came.
    """
    noise = noise_level(before, pieces, fps)
    if not np.isnan(noise).all():
        noise = np.where(np.isnan(noise), np.nanmedian(noise), noise)
    sigma = np.nan_to_num(noise)
    floor = (_FLOOR_OF_HEIGHT * height) ** 2
    scale = sigma**2 / np.sqrt(np.maximum(sigma**2 + floor, 1e-300))
    trust = scale**2 / np.maximum(scale**2 + floor, 1e-300)
    result = after.copy()
    for k, stretches in enumerate(pieces):
        for a, b in stretches:
            correction = after[a:b, k] - before[a:b, k]
            outlying = np.linalg.norm(before[a:b, k] - running_median(before[a:b, k]), axis=-1)
            allowed = _ALLOWED_SIGMAS * scale[k] + trust[k] * 2 * np.maximum(0, outlying - _ALLOWED_SIGMAS * scale[k])
            length = np.maximum(np.linalg.norm(correction, axis=-1), 1e-300)
            result[a:b, k] = before[a:b, k] + np.minimum(1, allowed / length)[:, None] * correction
    return result, noise
