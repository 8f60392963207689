"""The filter on a person's region: without it the crop trembles, and the keypoints with it.

    f(c) = 1 / (1 + 1 / (2 pi c dt))
    d_t  = f(1 Hz) (x_t - x_{t-1}) / (s dt) + (1 - f) d_{t-1}                       s: diameter of the body's circle
    y_t  = a x_t + (1 - a) y_{t-1},   a = f(0.01 Hz + 10 |d_t|)

The One-Euro filter (Casiez et al. 2012) as MediaPipe has it, which takes the speed from the raw values x, not from the
filtered ones, and relative to the size of the person. Its video mode counts every frame as 1/30 s, whatever the video's
own rate; the cutoffs were tuned to that, so frames are counted here as well.
"""

from __future__ import annotations

import math

import numpy as np

from poseworks.keypoints.region import Floats

FRAME_S = 1 / 30

_MIN_CUTOFF_HZ, _BETA, _DERIVATIVE_CUTOFF_HZ = 0.01, 10.0, 1.0


class CircleFilter:
    """Filters the circle around a body, (2, 2): its centre and a point on its rim, pixels."""

    def __init__(self) -> None:
        self._raw: Floats | None = None
        self._smooth: Floats = np.zeros((2, 2), np.float32)
        self._speed: Floats = np.zeros((2, 2), np.float32)

    def push(self, circle: Floats, frames: float = 1.0) -> Floats:
        """The filtered circle, `frames` after the one before."""
        if self._raw is None:
            self._raw = self._smooth = circle
            return circle
        dt = frames * FRAME_S
        diameter = max(2 * math.dist(circle[0], circle[1]), 1e-6)
        gain = _gain(np.float32(_DERIVATIVE_CUTOFF_HZ), dt)
        speed = (circle - self._raw) / np.float32(diameter * dt)
        self._speed = gain * speed + (1 - gain) * self._speed
        share = _gain(np.float32(_MIN_CUTOFF_HZ) + np.float32(_BETA) * np.abs(self._speed), dt)
        self._smooth = share * circle + (1 - share) * self._smooth
        self._raw = circle
        return self._smooth


def _gain(cutoff_hz: Floats | np.float32, dt: float) -> Floats:
    """f(c): the share of the new value."""
    return np.asarray(1 / (1 + 1 / (2 * math.pi * cutoff_hz * dt)), dtype=np.float32)
