"""To another frame rate and back."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.lifting.resampling import at_rate, back_to_rate


def motion(frames: int, fps: float) -> np.ndarray:
    """(frames, 2, 3) of a hertz."""
    time = np.arange(frames)[:, None, None] / fps
    return np.sin(2 * np.pi * time + np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(("fps", "rate"), [(60, 30), (50, 30), (120, 25), (24, 30), (12, 30), (59.94, 30)])
@pytest.mark.parametrize("frames", [1, 2, 61, 100])
def test_there_and_back_is_the_motion(fps: float, rate: float, frames: int) -> None:
    track = motion(frames, fps)
    there = at_rate(track, fps, rate)
    assert len(there) == int((frames - 1) / fps * rate + 1e-6) + 1
    back = back_to_rate(there, frames, fps, rate)
    assert back.shape == track.shape
    if frames > 2:
        # A straight line between frames at most 1/12 s apart misses a hertz by 0.035 of its height.
        assert np.abs(back - track).max() < 0.05


def test_shared_frames_are_copied_and_a_constant_stays() -> None:
    track = motion(61, 60)
    assert np.array_equal(at_rate(track, 60, 30), track[::2])
    assert np.array_equal(back_to_rate(track[::2], 61, 60, 30)[::2], track[::2])
    np.testing.assert_allclose(back_to_rate(at_rate(np.ones((7, 1)), 50, 30), 7, 50, 30), 1)
    line = np.arange(40.0)[:, None]
    np.testing.assert_allclose(back_to_rate(at_rate(line, 50, 30), 40, 50, 30), line, atol=1e-9)


def test_missing_frames_stay_where_they_are() -> None:
    track = motion(61, 60)
    track[20] = np.nan
    there = at_rate(track, 60, 30)
    assert np.isnan(there[10]).all()
    assert np.isfinite(np.delete(there, 10, axis=0)).all()
    back = back_to_rate(there, 61, 60, 30)
    assert np.isnan(back[20]).all()
    assert np.isfinite(np.delete(back, 20, axis=0)).all()
