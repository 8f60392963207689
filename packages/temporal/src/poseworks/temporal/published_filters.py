"""The published Gaussians exactly as their code computes them, for comparison alone: never defaults.

Two are wrong by accident; `filters.PUBLISHED_FILTERS` holds what was meant.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

from poseworks.core.shapes import expect_shape
from poseworks.temporal.filters import Floats, Gaussian


def gaussian_in_blocks(x: npt.ArrayLike, window: int, sigma_frames: float) -> Floats:
    """SmoothNet's evaluation Gaussian (T, ...): blocks of `window` frames, each alone; the rest stays unfiltered.

    Steps appear at the borders of the blocks. A window longer than the clip is the clip.
    """
    clip = np.array(x, dtype=np.float64)
    window = min(window, len(clip))
    gaussian = Gaussian(sigma_frames=sigma_frames)
    for begin in range(0, len(clip) - window + 1, window):
        clip[begin : begin + window] = gaussian.along_time(clip[begin : begin + window])
    return clip


def median_over_joints_and_time(x: npt.ArrayLike, window: int = 11, sigma_frames: float = 4) -> Floats:
    """The toolkit's Gaussian (T, K, D): behind a median over `window` neighbouring joints and frames, zero outside.

    Mixes joints that are near in the list and pulls the outer ones to zero; a single joint becomes zero.
    """
    clip = np.asarray(x, dtype=np.float64)
    expect_shape("x", clip, "T K D")
    medians = median_filter(clip, size=(window, window, 1), mode="constant")
    return Gaussian(sigma_frames=sigma_frames).along_time(medians)


def median_and_gaussian_with_zeros(x: npt.ArrayLike, window: int = 11, sigma_frames: float = 4) -> Floats:
    """The pose toolkit's repair (T, ...): a median along time, zero outside the clip, then a Gaussian.

    A clip shorter than `window` is padded in front with its first frame, and cut again.
    """
    clip = np.asarray(x, dtype=np.float64)
    missing = max(window - len(clip), 0)
    padded = np.concatenate([np.repeat(clip[:1], missing, axis=0), clip])
    medians = median_filter(padded, size=(window, *[1] * (clip.ndim - 1)), mode="constant")
    return Gaussian(sigma_frames=sigma_frames).along_time(medians)[missing:]
