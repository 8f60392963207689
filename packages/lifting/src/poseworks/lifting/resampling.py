"""Keypoints at the frame rate that a network was trained at, and its joints back at theirs.

A clip of n frames at `fps` lasts from 0 to (n - 1) / fps; the frames of the other rate lie at k / rate in it. Keypoints
go along straight lines, so that nothing is invented; joints come back along cubic curves (Catmull and Rom), which do
not shorten limbs between two frames as straight lines would.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def at_rate(track: Array, fps: float, rate: float) -> Array:
    """(n, ...) at `fps` as (m, ...) at `rate`, on straight lines; NaN where a neighbour is NaN."""
    count = int((len(track) - 1) / fps * rate + 1e-6) + 1
    place = np.arange(count) * fps / rate
    before, share = _split(place, len(track))
    after = np.minimum(before + 1, len(track) - 1)
    share = share.reshape(-1, *[1] * (track.ndim - 1))
    # A frame of both rates is copied, so that a NaN beside it does not matter.
    line: Array = np.where(share == 0, track[before], (1 - share) * track[before] + share * track[after])
    return line


def back_to_rate(track: Array, frames: int, fps: float, rate: float) -> Array:
    """(m, ...) at `rate` as (frames, ...) at `fps`, on cubic curves; behind the last frame straight on.

    Between a frame and one that is NaN, the nearer of the two counts; half way, the one that is not.
    """
    at, share = _split(np.arange(frames) * rate / fps, max(len(track) - 1, 1))
    p0, p1, p2, p3 = (track[np.clip(at + shift, 0, len(track) - 1)] for shift in (-1, 0, 1, 2))
    t = share.reshape(-1, *[1] * (track.ndim - 1))
    p0 = np.where(np.isfinite(p0) & (at > 0).reshape(t.shape), p0, 2 * p1 - p2)
    p3 = np.where(np.isfinite(p3) & (at < len(track) - 2).reshape(t.shape), p3, 2 * p2 - p1)
    bend = 2 * p0 - 5 * p1 + 4 * p2 - p3
    curve: Array = p1 + 0.5 * t * (p2 - p0 + t * (bend + t * (3 * (p1 - p2) + p3 - p0)))
    curve = np.where(t > 1, p2 + (t - 1) * (p2 - p1), curve)
    nearer = np.where((t < 0.5) | ((t == 0.5) & np.isfinite(p1)), p1, p2)
    curve = np.where(np.isfinite(curve), curve, nearer)
    return np.where(t == 0, p1, np.where(t == 1, p2, curve))


def _split(place: NDArray[np.floating], frames: int) -> tuple[NDArray[np.intp], Array]:
    """The last of `frames` before each place, and the share of the way to the next; rounding does not leave a frame."""
    nearest = np.rint(place)
    place = np.where(np.abs(place - nearest) < 1e-6, nearest, place)
    before = np.minimum(np.floor(place).astype(np.intp), frames - 1)
    return before, (place - before).astype(np.float64)
