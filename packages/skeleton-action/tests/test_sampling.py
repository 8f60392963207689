"""Frame numbers: exactly those of both published lines, and what holds for any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseworks.core.errors import ConfigError, DataError
from poseworks.skeleton_action import sample_frames

with np.load(Path(__file__).parent / "reference" / "sampling.npz", allow_pickle=False) as stored:
    CASES = {name: stored[name] for name in stored.files}


@pytest.mark.parametrize("name", CASES)
def test_indices_equal_the_published_ones(name: str) -> None:
    flavour, mode, frames, last = name.split(".")
    total_frames = int(frames[1:])
    if mode == "test":
        indices = sample_frames(total_frames, num_clips=int(last[1:]), flavour=flavour)  # type: ignore[arg-type]
    else:
        rng = np.random.RandomState(int(last.removeprefix("seed")))
        indices = sample_frames(total_frames, flavour=flavour, test=False, rng=rng)  # type: ignore[arg-type]
    np.testing.assert_array_equal(indices, CASES[name])


@given(
    total_frames=st.integers(1, 400), clip_len=st.integers(1, 60), num_clips=st.integers(1, 4),
    modern=st.booleans(), test=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_a_clip_is_in_order_and_covers_the_recording(
    total_frames: int, clip_len: int, num_clips: int, modern: bool, test: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed) if modern else np.random.RandomState(seed)
    indices = sample_frames(total_frames, clip_len, num_clips, test=test, rng=rng)
    assert indices.shape == (clip_len * num_clips,)
    for clip in indices.reshape(num_clips, clip_len):
        assert clip.min() >= 0
        assert clip.max() < total_frames
        if total_frames >= clip_len:
            assert (np.diff(clip) > 0).all()
            assert clip[0] <= total_frames // clip_len
        else:
            np.testing.assert_array_equal(np.diff(clip) % total_frames, 1 % total_frames)


def test_the_global_generator_is_left_alone() -> None:
    before = global_state()
    first = sample_frames(131, num_clips=10)
    np.testing.assert_array_equal(before, global_state())
    np.testing.assert_array_equal(first, sample_frames(131, num_clips=10))


def global_state() -> object:
    return np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002 - the one that must not move


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(DataError, match="total_frames: expected one or more, got 0"):
        sample_frames(0)
    with pytest.raises(ConfigError, match="clip_len, num_clips: expected 1 or more of each, got 0 and 1"):
        sample_frames(9, clip_len=0)
    with pytest.raises(ConfigError, match="flavour: expected 'mmaction' or 'pyskl', got 'mm'"):
        sample_frames(9, flavour="mm")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"rng: expected a numpy\.random\.RandomState"):
        sample_frames(9, test=False)
