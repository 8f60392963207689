"""The open-data protocol on small clips: figures by hand, seeds, sparse frames, offsets."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.motion_data import Clip, Pair
from poseworks.core.skeletons import H36M_17
from poseworks.core.testing import walking_poses
from poseworks.temporal.learning import evaluation
from poseworks.temporal.learning.evaluation import Noisy, measure, noisy_clips
from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig


def walk(frames: int = 120) -> Clip:
    poses = walking_poses(frames, rng=np.random.default_rng(0))
    return Clip("walk", poses.positions[0], 30.0)


def test_figures_by_hand() -> None:
    clean = np.zeros((40, 2, 3), dtype=np.float32)
    clean[:, 1, 0] = np.sin(2 * np.pi * 3 * np.arange(40) / 30)
    noisy = clean.copy()
    noisy[10, 1] += np.array([0, 3, 4], dtype=np.float32)
    figures = measure(lambda x: x, [Noisy(clean, noisy, 30.0)])
    assert figures.mpjpe == pytest.approx(5 / 2 / 40)
    assert figures.acceleration == pytest.approx((5 + 10 + 5) / 2 / 38)
    assert (figures.harm, figures.kept, figures.frames) == (0, 1, 40)
    halved = measure(lambda x: x / 2, [Noisy(clean, noisy, 30.0)])
    assert halved.kept == pytest.approx(0.25)
    assert halved.harm == pytest.approx(np.abs(clean[:, 1, 0]).mean() / 4, rel=1e-5)


def test_noise_has_a_seed_a_draw_and_the_fitted_size() -> None:
    clip = walk(600)
    one, two, other = noisy_clips([clip], draws=[1, 1, 2])
    np.testing.assert_array_equal(one.noisy, two.noisy)
    assert not np.array_equal(one.noisy, other.noisy)
    assert not one.noisy[:, H36M_17.index("pelvis")].any()
    height = noisy_clips([clip], "fit2d", draws=range(6))
    errors = [np.linalg.norm(each.noisy - each.clean, axis=-1).mean() for each in height]
    assert 8 < np.mean(errors) < 24  # thousandths of the height; 14 in the first trials
    assert height[0].clean.shape == (600, 17, 2)


def test_networks_see_metres_and_filters_are_there_by_name() -> None:
    network = SmoothNet(SmoothNetConfig(window=8, output=8, hidden=16, residual_hidden=4)).eval()
    x = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32) * 100
    smoothed = evaluation.network_smoother(network, unit_m=1e-3)(x)
    from poseworks.core.windows import apply_windows

    np.testing.assert_allclose(smoothed, apply_windows(network, x / 1000) * 1000, rtol=1e-4, atol=1e-2)
    figures = {name: measure(s, noisy_clips([walk()], draws=[0])) for name, s in evaluation.classic_smoothers().items()}
    best = evaluation.best_gaussian(figures)
    assert all(figures[best].mpjpe <= f.mpjpe for name, f in figures.items() if name.startswith("Gaussian"))
    assert figures[best].mpjpe < figures["as it is"].mpjpe
    with pytest.raises(ConfigError, match="no Gaussian"):
        evaluation.best_gaussian({})


def test_sparse_clips_are_interpolated_between_known_frames() -> None:
    seen = {}

    def look(x: np.ndarray) -> np.ndarray:
        seen["x"] = x
        return x

    x = (np.arange(13, dtype=np.float32) ** 2)[:, None]
    evaluation.sparse(look, 5)(x)
    expected = np.interp(np.arange(13), [0, 5, 10, 12], x[[0, 5, 10, 12], 0])
    np.testing.assert_allclose(seen["x"][:, 0], expected, rtol=1e-6)


def test_offsets_turn_with_the_person() -> None:
    clean = walk(60).positions
    offset = np.zeros((17, 3), dtype=np.float32)
    offset[10] = [0.02, -0.05, 0.01]  # left, ahead, up
    relative = clean - clean[:, :1]
    noisy = relative - np.einsum("jd,tdc->tjc", offset, evaluation.facing(relative))
    angle = np.radians(70)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]], dtype=np.float32
    )
    learnt = evaluation.joint_offsets([Pair("a", noisy.astype(np.float32), clean, 30.0)])
    np.testing.assert_allclose(learnt, offset, atol=1e-5)
    elsewhere = Pair("b", (noisy @ turn.T).astype(np.float32), (clean @ turn.T).astype(np.float32), 30.0)
    before = evaluation.measure_pairs(lambda x: x, [elsewhere])
    after = evaluation.measure_pairs(lambda x: x, [elsewhere], learnt)
    assert before.mpjpe == pytest.approx(1000 * np.linalg.norm(offset[10]) / 17, rel=1e-3)
    assert after.mpjpe < 0.01


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(DataError, match="no clip"):
        measure(lambda x: x, [])
    with pytest.raises(DataError, match="no pair"):
        evaluation.joint_offsets([])
