"""Times of frames: rising ones from what a container states, and the frame rate where they are evenly spaced."""

from __future__ import annotations

import math
from array import array

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.errors import ConfigError, DataError

EVEN_S = 0.001 + 1e-6
"""Clocks of 1/1000 s (mkv, webm) put a frame up to half of that from its time, and so the first and the last."""

RESTART_FRAMES, RESTART_S = 5, 0.1
"""A clock that goes back by more than both has been set anew; by less, single frames are out of order."""

LEAST_STEP_S = 1e-4
"""Times that are mended stay apart by more than a tick of a written file, however high a rate a header states."""


def even_rate(times: ArrayLike, fps: float) -> tuple[float, NDArray[np.float64] | None]:
    """Frames per second, and the times where the frames are not evenly spaced (else None).

    Evenly spaced are frames of which none is more than 1 ms from its place in a row of equal steps, `fps` of them a
    second or, if that does not fit, as many as there are on average. Uneven times come with the average rate.

    Args:
        times: (T,) rising seconds.
        fps: the rate that the recording states; the answer for less than two frames.

    Raises:
        ConfigError: `fps` is no number above 0.
        DataError: the times are not finite, or do not rise.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise ConfigError(f"fps: expected a number above 0, got {fps}.")
    seconds = np.asarray(times, dtype=np.float64)
    if seconds.ndim != 1 or not np.isfinite(seconds).all() or (np.diff(seconds) <= 0).any():
        raise DataError("times: expected (T,) finite, rising seconds. Sort the frames and drop repeated ones.")
    if len(seconds) < 2:
        return fps, None
    average = float((len(seconds) - 1) / (seconds[-1] - seconds[0]))
    steps = np.arange(len(seconds))
    for rate in (fps, average):
        if np.abs(seconds - seconds[0] - steps / rate).max() <= EVEN_S:
            return rate, None
    return average, seconds


class Clock:
    """Times of frames pushed one by one: strictly rising, the first at 0.

    A frame without a time stands 1 / fps after the one before. Where the clock goes back by more than 5 frames, it
    was set anew: that frame stands 1 / fps after the one before, and later ones move with it. A single time that does
    not rise is put a tenth of a frame after the one before.
    """

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self.times = array("d")
        self.missing = self.unordered = self.restarts = 0
        self._zero: float | None = None  # what the container's clock shows at time 0
        self._stated = (0, 0.0)  # number and time of the last frame that had a time

    def push(self, stated: float | None) -> float:
        """The time of the next frame, of which the container states `stated`."""
        number, time = self._stated
        index = len(self.times)
        expected = time + (index - number) / self.fps
        if stated is None or not math.isfinite(stated):
            self.missing += 1
            self.times.append(expected)
            return expected
        if self._zero is None:
            self._zero = stated - expected
            self.missing = 0  # decoders that put frames in order may give the first ones no time
        time = stated - self._zero
        if self.times and time <= self.times[-1]:
            before = self.times[-1]
            if before - time > max(RESTART_S, RESTART_FRAMES / self.fps):
                self.restarts += 1
                time = before + 1 / self.fps
                self._zero = stated - time
            else:
                self.unordered += 1
                time = before + max(0.1 / self.fps, LEAST_STEP_S)
        self._stated = (index, time)
        self.times.append(time)
        return time

    def notes(self) -> list[str]:
        """What was mended, one sentence each."""
        notes = []
        if self.missing:
            notes.append(f"{count(self.missing, 'frame')} without a time: placed at {self.fps:g} frames per second.")
        if self.unordered:
            text = "with a time that does not rise: placed a tenth of a frame after the one before."
            notes.append(f"{count(self.unordered, 'frame')} {text}")
        if self.restarts:
            text = "the frames after it follow on those before it."
            notes.append(f"The clock starts again {count(self.restarts, 'time')}: {text}")
        return notes


def count(number: int, thing: str) -> str:
    """Number and thing, in the plural where there are more of them."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
