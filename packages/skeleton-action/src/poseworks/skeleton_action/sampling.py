"""Which frames of a recording make a clip: spread over the whole of it, however long (Duan et al. 2022, sec. 3.2).

`clip_len` frames are drawn from T, one out of each of `clip_len` equal segments; recordings too short for that are
taken whole, and repeated from the start where they end. Clips of one recording differ by what is drawn, not by place.
NumPy only.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError
from poseworks.skeleton_action.preparation import Flavour

Indices: TypeAlias = NDArray[np.intp]
Source: TypeAlias = np.random.RandomState | np.random.Generator
"""Of random numbers. Only the first gives what the published code draws from a seed."""

TEST_SEED = 255
"""With which the published code begins anew for every recording in testing."""


def sample_frames(
    total_frames: int,
    clip_len: int = 48,
    num_clips: int = 1,
    flavour: Flavour = "mmaction",
    test: bool = True,
    rng: Source | None = None,
) -> Indices:
    """(num_clips * clip_len,) frame numbers below `total_frames`, clip after clip.

    Args:
        total_frames: T, of the recording.
        clip_len: frames of a clip.
        num_clips: clips of one recording; 10 in the published tests.
        flavour: ``pyskl`` draws two numbers more before each clip, and so other frames where T > clip_len.
        test: short recordings start at evenly spaced frames, not at drawn ones; without `rng` the drawing is
            repeatable.
        rng: needed for training.

    Raises:
        DataError: there are no frames.
        ConfigError: `clip_len` or `num_clips` below 1, another flavour, or training without `rng`.
    """
    if total_frames < 1:
        raise DataError(f"total_frames: expected one or more, got {total_frames}. An empty recording has no clips.")
    if clip_len < 1 or num_clips < 1:
        raise ConfigError(f"clip_len, num_clips: expected 1 or more of each, got {clip_len} and {num_clips}.")
    if flavour not in ("mmaction", "pyskl"):
        raise ConfigError(f"flavour: expected 'mmaction' or 'pyskl', got {flavour!r}.")
    if rng is None:
        if not test:
            raise ConfigError("rng: expected a numpy.random.RandomState (or Generator), which training draws from.")
        rng = np.random.RandomState(TEST_SEED)
    clips = []
    for clip in range(num_clips):
        if flavour == "pyskl":  # the play-back speed, which no published configuration varies
            rng.random()
            _integers_below(rng, 1)
        if total_frames < clip_len:
            clips.append(_all_in_a_row(total_frames, clip_len, _start(total_frames, clip, num_clips, test, rng)))
        elif total_frames < 2 * clip_len:
            clips.append(_few_skipped(total_frames, clip_len, rng))
        else:
            clips.append(_one_a_segment(total_frames, clip_len, rng))
    return np.concatenate(clips)


def _start(total_frames: int, clip: int, num_clips: int, test: bool, rng: Source) -> int:
    if not test:
        return int(_integers_below(rng, total_frames))
    return clip % total_frames if total_frames < num_clips else clip * total_frames // num_clips


def _all_in_a_row(total_frames: int, clip_len: int, start: int) -> Indices:
    """T < L: every frame from `start` on, round and round."""
    return np.arange(start, start + clip_len) % total_frames


def _few_skipped(total_frames: int, clip_len: int, rng: Source) -> Indices:
    """L <= T < 2 L: T - L frames are left out, no two in a row."""
    skips = np.zeros(clip_len + 1, dtype=np.intp)
    skips[rng.choice(clip_len + 1, total_frames - clip_len, replace=False)] = 1
    return np.arange(clip_len) + np.cumsum(skips)[:clip_len]


def _one_a_segment(total_frames: int, clip_len: int, rng: Source) -> Indices:
    """T >= 2 L: one frame out of each of L segments."""
    borders = np.arange(clip_len + 1) * total_frames // clip_len
    return borders[:-1] + _integers_below(rng, np.diff(borders))


def _integers_below(rng: Source, bound: int | Indices) -> Indices:
    drawn = rng.integers(bound) if isinstance(rng, np.random.Generator) else rng.randint(bound)
    return np.asarray(drawn, dtype=np.intp)
