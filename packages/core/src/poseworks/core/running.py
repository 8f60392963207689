"""Running statistics along time. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BLOCK = 4096  # frames worked on at a time


def running_median(track: Array, frames: int = 7) -> Array:
    """Median over an odd number of frames around each one of (n, D); the ends of the track are repeated."""
    half = frames // 2
    padded = np.pad(track, ((half, half), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0)
    parts = [np.median(windows[start : start + _BLOCK], axis=-1) for start in range(0, len(windows), _BLOCK)]
    return np.concatenate(parts) if parts else np.zeros_like(track, dtype=np.float64)
