"""Noise as real pose detectors make it, for training and for benchmarks.

    x_t = r x_{t-1} + sqrt(1 - r^2) e_t,   n_t = s_clip s_joint (sqrt(.9) x_t + sqrt(.1) w_t) + bursts

The numbers were fitted to detections of a person seen by four calibrated cameras at 60 fps (a detection minus the
projection of the smoothed 3D, divided by the person's height in pixels): 0.8 % of height, a time constant of about
130 ms, heavy tails, and bursts in which a joint jumps away for a frame or two. A constant offset a joint, which
detections have too, is left out: no smoother can remove it. Everything is computed with NumPy and SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat
from scipy.signal import lfilter

from poseworks.core.errors import ConfigError, ShapeError

Array = NDArray[np.float32]


class NoiseModel(BaseModel, frozen=True, extra="forbid"):
    """Noise of one kind of estimate; lengths are in the unit of `sigma`, times in frames at 30 fps."""

    sigma: NonNegativeFloat = Field(description="standard deviation of a channel, without spread and bursts")
    correlated: float = Field(0.9, ge=0, le=1, description="share of the variance that is AR(1); the rest is white")
    memory: float = Field(0.80, ge=0, lt=1, description="AR(1): correlation of a frame with the one before")
    joint_spread: NonNegativeFloat = Field(0.25, description="log-normal spread of the level between joints")
    clip_spread: NonNegativeFloat = Field(0.30, description="log-normal spread of the level between clips")
    burst_rate: float = Field(0.01, ge=0, le=1, description="chance that a burst starts, a joint and frame")
    burst_frames: float = Field(2.0, ge=1, description="mean length of a burst (geometric)")
    burst_size: NonNegativeFloat = Field(4.0, description="smallest burst, in levels of that joint")
    burst_tail: PositiveFloat = Field(1.8, description="exponent of the Pareto tail of burst sizes")
    burst_largest: NonNegativeFloat = Field(35.0, description="largest burst, in levels of that joint")

    def scaled(self, factor: float) -> NoiseModel:
        """The same noise in another unit, or of a person of another size."""
        return self.model_copy(update={"sigma": self.sigma * factor})


FIT_3D = NoiseModel(sigma=0.020)
"""An estimate in 3D: 20 mm an axis, in metres."""

FIT_2D = NoiseModel(sigma=0.0081)
"""A detection in 2D, in heights of the person: multiply by the height, `FIT_2D.scaled(height)`."""


def detector_noise(
    shape: Sequence[int],
    model: NoiseModel,
    rng: np.random.Generator,
    levels: ArrayLike = 1.0,
    middles: Sequence[tuple[int, int, int]] = (),
) -> Array:
    """Noise (B, T, J, D) float32 to be added to B clips.

    Args:
        shape: (B, T, J, D).
        levels: (B,) or a number: factor on sigma for each clip; 0 leaves a clip clean.
        middles: triples (joint, a, b): the noise of `joint` is the mean of those of a and b, as where an estimator
            takes the pelvis as the middle of the hips.

    Raises:
        ShapeError: `shape` is not four sizes.
    """
    if len(shape) != 4:
        raise ShapeError(f"shape: expected (B, T, J, D), got {tuple(shape)}. Add an axis for one clip: (1, T, J, D).")
    clips, frames, joints, _ = shape
    draw = rng.standard_normal
    level = (
        model.sigma
        * np.broadcast_to(np.asarray(levels, dtype=np.float32), (clips,))[:, None]
        * np.exp(model.joint_spread * draw((clips, joints)) + model.clip_spread * draw((clips, 1)))
    )
    steps = draw(shape, dtype=np.float32)
    if frames:
        steps[:, 1:] *= math.sqrt(1 - model.memory**2)  # frame 0 has the stationary spread at once
    slow = lfilter([1.0], np.array([1.0, -model.memory], dtype=np.float32), steps, axis=1)
    unit = math.sqrt(model.correlated) * slow + math.sqrt(1 - model.correlated) * draw(shape, dtype=np.float32)
    noise: Array = (unit * level[:, None, :, None]).astype(np.float32)
    _add_bursts(noise, level, model, rng)
    for joint, a, b in middles:
        noise[:, :, joint] = (noise[:, :, a] + noise[:, :, b]) / 2
    return noise


def _add_bursts(noise: Array, level: NDArray[np.floating], model: NoiseModel, rng: np.random.Generator) -> None:
    """Adds a constant displacement in a random direction to some joints for a few frames each, in place."""
    clip, frame, joint = np.nonzero(rng.random(noise.shape[:3]) < model.burst_rate)
    length = rng.geometric(1 / model.burst_frames, len(clip))
    size = np.minimum(model.burst_size * (1 + rng.pareto(model.burst_tail, len(clip))), model.burst_largest)
    direction = rng.standard_normal((len(clip), noise.shape[3]))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    jump = (direction * (size * level[clip, joint])[:, None]).astype(np.float32)
    for later in range(int(length.max(initial=0))):
        lasts = (length > later) & (frame + later < noise.shape[1])
        np.add.at(noise, (clip[lasts], frame[lasts] + later, joint[lasts]), jump[lasts])


def swap_sides(
    positions: Array,
    pairs: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    share: float = 0.32,
    mean_frames: float = 8.0,
) -> tuple[Array, NDArray[np.bool_]]:
    """Positions (T, J, D) in which left and right of the whole body are exchanged in some frames, and which (T,).

    Single-view detectors do this for stretches of frames; a two-state chain draws them.

    Args:
        pairs: (left, right) joints.
        share: mean share of frames that are exchanged, below 1.
        mean_frames: mean length of a stretch.
    """
    if not 0 <= share < 1:
        raise ConfigError(f"share: expected 0 <= share < 1, got {share}.")
    end = 1 / max(mean_frames, 1)
    begin = min(1.0, end * share / (1 - share))
    swapped = np.zeros(len(positions), dtype=bool)
    draws = rng.random(len(positions))
    for t, draw in enumerate(draws):
        before = swapped[t - 1] if t else False
        swapped[t] = draw >= end if before else draw < (begin if t else share)
    order = np.arange(positions.shape[1])
    for left, right in pairs:
        order[[left, right]] = order[[right, left]]
    out = positions.copy()
    out[swapped] = positions[swapped][:, order]
    return out, swapped
