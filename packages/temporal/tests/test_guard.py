"""The guard: clean motion is returned, noise is removed, and the estimate of the noise is right."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.core.testing import walking_poses
from poseworks.temporal import Gaussian, SmoothSettings, smooth
from poseworks.temporal.guard import guard
from poseworks.temporal.learning.noise import NoiseModel, detector_noise
from poseworks.temporal.spectrum import noise_level, noise_share, spectra

PLAIN = NoiseModel(sigma=0.02, joint_spread=0, clip_spread=0, burst_rate=0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def whole(tracks: np.ndarray) -> list[list[tuple[int, int]]]:
    return [[(0, len(tracks))]] * tracks.shape[1]


def test_the_spectrum_of_a_sine_is_its_power() -> None:
    time = np.arange(600) / 30
    found = spectra([0.3 * np.sin(2 * np.pi * 5 * time)[:, None]], 30)
    assert np.median(found.band(1, 14)) == pytest.approx(0.3**2 / 2, rel=0.01)
    assert np.median(found.band(10, 15)) < 1e-8


def test_stretches_shorter_than_a_window_tell_nothing() -> None:
    assert spectra([np.zeros((31, 2))], 30).density.shape[0] == 0
    assert spectra([np.zeros((32, 2)), np.zeros((33, 2))], 30).density.shape[0] == 3


def test_shares_of_the_noise_model_are_those_of_its_samples(rng: np.random.Generator) -> None:
    noise = detector_noise((1, 60000, 1, 1), PLAIN, rng)[0, :, :, 0].astype(float)
    found = spectra([noise], 30)
    for low, high in ((3.0, 6.0), (10.0, 15.0)):
        assert found.band(low, high).mean() / 0.02**2 == pytest.approx(noise_share(30, low, high), rel=0.12)


@pytest.mark.parametrize("sigma", [0.005, 0.02])
def test_the_estimate_finds_the_noise_under_a_walk(rng: np.random.Generator, sigma: float) -> None:
    clean = walking_poses(600, rng=rng).positions[0].astype(float)
    noise = detector_noise((1, 600, 17, 3), PLAIN.model_copy(update={"sigma": sigma}), rng)[0]
    found = noise_level(clean + noise, whole(clean), 30)
    assert np.median(found) == pytest.approx(sigma, rel=0.2)
    assert noise_level(clean, whole(clean), 30).max() < 2e-4


@pytest.mark.parametrize("fps", [15.0, 25.0, 60.0, 120.0])
def test_the_estimate_knows_the_frame_rate(rng: np.random.Generator, fps: float) -> None:
    clean = walking_poses(600, rng=rng, fps=fps).positions[0].astype(float)
    # The same noise at another rate: the correlation is that of the same time.
    memory = float(np.exp(-1 / (fps * 0.149)))
    noise = detector_noise((1, 600, 17, 3), PLAIN.model_copy(update={"memory": memory}), rng)[0]
    assert np.median(noise_level(clean + noise, whole(clean), fps)) == pytest.approx(0.02, rel=0.3)


def test_bursts_hardly_move_the_estimate(rng: np.random.Generator) -> None:
    clean = walking_poses(600, rng=rng).positions[0].astype(float)
    bursts = PLAIN.model_copy(update={"burst_rate": 0.01})
    noise = detector_noise((1, 600, 17, 3), bursts, rng)[0]
    assert np.median(noise_level(clean + noise, whole(clean), 30)) == pytest.approx(0.02, rel=0.4)


@pytest.mark.parametrize("sigma_frames", [1, 3, 20])
def test_clean_motion_moves_by_less_than_a_millimetre_whatever_the_smoother(
    rng: np.random.Generator, sigma_frames: float
) -> None:
    poses = walking_poses(300, rng=rng)
    result = smooth(poses, Gaussian(sigma_frames=sigma_frames), SmoothSettings(guard=True))
    moved = np.linalg.norm(result.poses.positions - poses.positions, axis=-1)
    assert moved.mean() < 1e-3


def test_nearly_all_of_the_gain_stays(rng: np.random.Generator) -> None:
    clean = walking_poses(400, rng=rng)
    noise = detector_noise((1, 400, 17, 3), NoiseModel(sigma=0.02), rng)
    noisy = clean.replace(positions=clean.positions + noise)

    def error(positions: np.ndarray) -> float:
        return float(np.linalg.norm(positions - clean.positions, axis=-1).mean())

    plain = error(smooth(noisy, Gaussian(sigma_frames=2)).poses.positions)
    guarded = error(smooth(noisy, Gaussian(sigma_frames=2), SmoothSettings(guard=True)).poses.positions)
    assert error(noisy.positions) - guarded > 0.95 * (error(noisy.positions) - plain)


def test_the_guard_never_lengthens_a_correction(rng: np.random.Generator) -> None:
    before = walking_poses(100, rng=rng, noise=0.01).positions[0].astype(float)
    after = before + rng.normal(0, 0.1, before.shape)
    guarded, noise = guard(before, after, whole(before), 30, 1.7)
    length, longest = (np.linalg.norm(x - before, axis=-1) for x in (guarded, after))
    assert (length <= longest + 1e-12).all()
    cosine = ((guarded - before) * (after - before)).sum(-1) / np.maximum(length * longest, 1e-12)
    np.testing.assert_allclose(cosine[length > 1e-6], 1, atol=1e-6)
    assert noise.shape == (17,)


def test_without_a_long_enough_stretch_nothing_moves_and_it_is_said(rng: np.random.Generator) -> None:
    poses = walking_poses(20, rng=rng, noise=0.02)
    result = smooth(poses, Gaussian(sigma_frames=2), SmoothSettings(guard=True))
    np.testing.assert_allclose(result.poses.positions, poses.positions, atol=1e-6)
    assert any("no stretch of 32 frames" in note for note in result.notes)


def test_a_single_outlier_goes_where_there_is_noise(rng: np.random.Generator) -> None:
    noisy = walking_poses(200, rng=rng)
    noisy = noisy.replace(positions=noisy.positions + detector_noise((1, 200, 17, 3), PLAIN, rng))
    x = noisy.positions.copy()
    x[0, 100, 9, 0] += 0.5
    result = smooth(noisy.replace(positions=x), Gaussian(sigma_frames=2), SmoothSettings(guard=True))
    assert abs(result.poses.positions[0, 100, 9, 0] - noisy.positions[0, 100, 9, 0]) < 0.15
