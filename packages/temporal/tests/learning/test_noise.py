"""The noise generator: its statistics are those that it states, and that were fitted to real detections."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.core.errors import ConfigError, ShapeError
from poseworks.temporal.learning.noise import FIT_2D, FIT_3D, NoiseModel, detector_noise, swap_sides

PLAIN = NoiseModel(sigma=2.0, joint_spread=0, clip_spread=0, burst_rate=0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_spread_and_autocorrelation_are_those_of_the_model() -> None:
    noise = detector_noise((40, 2000, 2, 3), PLAIN, rng())
    assert noise.dtype == np.float32
    assert noise.std() == pytest.approx(2.0, rel=0.02)
    assert noise[:, 0].std() == pytest.approx(2.0, rel=0.15)  # stationary from the first frame on
    for lag in (1, 2, 4, 8):
        correlation = (noise[:, lag:] * noise[:, :-lag]).mean() / noise.var()
        assert correlation == pytest.approx(0.9 * 0.8**lag, abs=0.02)


def test_fitted_autocorrelation_is_near_the_one_measured_on_real_detections() -> None:
    noise = detector_noise((40, 2000, 2, 2), FIT_2D.model_copy(update={"burst_rate": 0.0}), rng())
    measured = {1: 0.77, 2: 0.61, 3: 0.46, 4: 0.33, 6: 0.19, 8: 0.08}
    for lag, value in measured.items():
        correlation = (noise[:, lag:] * noise[:, :-lag]).mean() / noise.var()
        assert correlation == pytest.approx(value, abs=0.09)


def test_bursts_are_long_thin_and_capped() -> None:
    model = PLAIN.model_copy(update={"sigma": 1.0, "correlated": 1.0, "burst_rate": 0.01, "burst_largest": 35.0})
    without = detector_noise((1, 20000, 4, 3), model.model_copy(update={"burst_rate": 0.0}), rng(3))
    length = np.linalg.norm(detector_noise((1, 20000, 4, 3), model, rng(3)), axis=-1)
    far = (length > 4.5) & (length > np.linalg.norm(without, axis=-1) + 1)
    # started in 1 % of joint-frames, two frames long on average, at least 4 sigma
    assert far.mean() == pytest.approx(0.02, rel=0.3)
    assert 20 < length.max() < 2 * 35 + 6


def test_level_zero_leaves_a_clip_clean_and_the_pelvis_is_the_middle_of_the_hips() -> None:
    noise = detector_noise((2, 50, 4, 3), FIT_3D, rng(), levels=[0.0, 1.0], middles=((0, 1, 2),))
    assert not noise[0].any()
    np.testing.assert_allclose(noise[1, :, 0], (noise[1, :, 1] + noise[1, :, 2]) / 2, atol=1e-7)


def test_the_same_generator_gives_the_same_noise_and_units_scale() -> None:
    one, two = (detector_noise((1, 30, 3, 2), FIT_3D, rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(detector_noise((1, 30, 3, 2), FIT_3D.scaled(1000), rng(5)), one * 1000, rtol=1e-5)


def test_no_frames_is_no_noise_and_a_missing_axis_is_named() -> None:
    assert detector_noise((1, 0, 3, 2), FIT_3D, rng()).shape == (1, 0, 3, 2)
    with pytest.raises(ShapeError, match=r"expected \(B, T, J, D\)"):
        detector_noise((30, 3, 2), FIT_3D, rng())


def test_sides_are_exchanged_in_whole_frames_for_stretches() -> None:
    positions = np.arange(4000 * 3 * 2, dtype=np.float32).reshape(4000, 3, 2)
    swapped, which = swap_sides(positions, [(1, 2)], rng(1), share=0.32)
    assert which.mean() == pytest.approx(0.32, abs=0.05)
    assert 4 < which.sum() / np.count_nonzero(np.diff(which.astype(int)) == 1) < 14
    np.testing.assert_array_equal(swapped[which][:, [0, 2, 1]], positions[which])
    np.testing.assert_array_equal(swapped[~which], positions[~which])
    with pytest.raises(ConfigError, match="share"):
        swap_sides(positions, [(1, 2)], rng(), share=1.0)
