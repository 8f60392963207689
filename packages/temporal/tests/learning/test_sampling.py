"""Windows are drawn uniformly; pieces of motion keep what must be kept when they are varied."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from poseworks.core.errors import DataError
from poseworks.temporal.learning.noise import NoiseModel
from poseworks.temporal.learning.sampling import MotionSampler, MotionSampling, WindowSampler, resampled

QUIET = NoiseModel(sigma=0.0)


def clips(count: int = 3, frames: int = 200) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.cumsum(rng.normal(0, 0.01, (frames, 4, 3)), axis=0).astype(np.float32) for _ in range(count)]


def test_every_window_of_every_sequence_is_equally_likely() -> None:
    # the published code draws 216 of 225 items of these lengths from the last sequence, and never the last window
    lengths = (40, 20, 32, 33, 100)
    sampler = WindowSampler(lengths, 32)
    assert len(sampler) == 9 + 0 + 1 + 2 + 69
    everything = [sampler.locate(item) for item in range(len(sampler))]
    assert everything == [(s, t) for s, n in enumerate(lengths) for t in range(n - 32 + 1)]
    counts = Counter(sampler.draw(81000, np.random.default_rng(0)))
    assert set(counts) == set(everything)
    assert min(counts.values()) > 800
    assert max(counts.values()) < 1200


def test_no_sequence_as_long_as_a_window_is_an_error() -> None:
    with pytest.raises(DataError, match="32 frames of a window; the longest has 31"):
        WindowSampler([10, 31], 32)


def test_resampling_keeps_a_line_and_a_frame() -> None:
    line = (np.arange(20, dtype=np.float32)[:, None, None] * np.array([1.0, -2.0, 0.5], dtype=np.float32))[:, None, 0]
    times = np.array([1.0, 1.5, 2.25, 7.75])
    np.testing.assert_allclose(resampled(line, times)[:, 0, 0], times, rtol=1e-6)
    clip = clips(1)[0]
    np.testing.assert_array_equal(resampled(clip, np.array([3.0, 9.0])), clip[[3, 9]])


def test_pieces_without_noise_equal_their_targets_and_keep_the_shape_of_the_body() -> None:
    settings = MotionSampling(frames=40, joints=4, speed_change=0, size_change=0, relative_share=0)
    still = [np.broadcast_to(clips(1)[0][:1], (60, 4, 3)).copy()]
    batch = MotionSampler(still, settings, (0, 1, 2), QUIET).draw(6, np.random.default_rng(1))
    assert batch.clean.shape == (6, 4, 3, 40)
    assert bool((batch.weights == 1).all())
    torch.testing.assert_close(batch.clean, batch.noisy)
    # turned and mirrored alone: the distances between all joints, in whatever order, stay
    expected = np.sort(np.linalg.norm(still[0][0][:, None] - still[0][0][None], axis=-1).ravel())
    for piece in batch.clean[..., 0]:
        np.testing.assert_allclose(np.sort(torch.cdist(piece, piece).ravel().numpy()), expected, atol=2e-3)


def test_relative_pieces_have_a_root_at_the_origin_with_noise_too() -> None:
    settings = MotionSampling(frames=30, joints=4, relative_share=1, clean_share=0)
    batch = MotionSampler(clips(), settings, (0, 1, 2)).draw(5, np.random.default_rng(0))
    at_origin = (batch.noisy.abs().amax(dim=(2, 3)) == 0).sum(dim=1)
    assert at_origin.tolist() == [1] * 5


def test_a_still_start_repeats_its_frame_and_does_not_count() -> None:
    settings = MotionSampling(frames=40, joints=2, still_start_share=1)
    batch = MotionSampler(clips(), settings, (0, 1, 2), lead_in=7).draw(8, np.random.default_rng(0))
    for noisy, weights in zip(batch.noisy, batch.weights, strict=True):
        lead = int((weights == 0).sum())
        assert 1 <= lead <= 7
        assert bool((weights[lead:] == 1).all())
        assert bool((noisy[..., :lead] == noisy[..., lead, None]).all())


def test_the_same_generator_draws_the_same_batch() -> None:
    sampler = MotionSampler(clips(), MotionSampling(frames=30), (0, 1, 2))
    one, two = (sampler.draw(4, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(one.noisy, two.noisy)
    assert torch.equal(one.clean, two.clean)


def test_clips_that_are_too_short_and_shares_above_one() -> None:
    with pytest.raises(DataError, match="no clip has"):
        MotionSampler(clips(1, 20), MotionSampling(frames=30), (0, 1, 2))
    with pytest.raises(ValidationError, match="clean_share"):
        MotionSampling(clean_share=0.6, fitted_share=0.6)
