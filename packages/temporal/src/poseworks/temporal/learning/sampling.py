"""What a training step sees: windows drawn uniformly from sequences, and augmented, noisy pieces of motion.

The published code draws window j from the last sequence whose first item is <= j and counts all frames as items, so
that most windows come from the last sequence and the last window of a sequence is never drawn. Here every window of
every sequence is equally likely, and sequences shorter than a window are left out (the DeciWatch code pads them with
zeros and trains on those).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from scipy.spatial.transform import Rotation
from torch import Tensor

from poseworks.core.errors import DataError
from poseworks.temporal.learning.noise import FIT_3D, NoiseModel, detector_noise

Array = NDArray[np.float32]


class WindowSampler:
    """Draws windows uniformly over all windows of all sequences.

    Args:
        lengths: frames of each sequence.
        window: frames of a window.

    Raises:
        DataError: no sequence is as long as a window.
    """

    def __init__(self, lengths: Sequence[int], window: int) -> None:
        self.window = window
        self.counts = np.maximum(np.asarray(lengths, dtype=np.int64) - window + 1, 0)
        self.ends = np.cumsum(self.counts)
        if not len(self):
            raise DataError(
                f"no sequence has the {window} frames of a window; the longest has {max(lengths, default=0)}."
            )

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def locate(self, item: int) -> tuple[int, int]:
        """(sequence, first frame) of window `item`, 0 <= item < len."""
        sequence = int(np.searchsorted(self.ends, item, side="right"))
        return sequence, int(item - (self.ends[sequence] - self.counts[sequence]))

    def draw(self, number: int, rng: np.random.Generator) -> list[tuple[int, int]]:
        """`number` windows (sequence, first frame), with replacement."""
        return [self.locate(int(item)) for item in rng.integers(0, len(self), number)]


class MotionSampling(BaseModel, frozen=True, extra="forbid"):
    """How pieces of recorded motion are drawn, varied and made noisy."""

    frames: PositiveInt = Field(96, description="frames of a piece")
    joints: PositiveInt = Field(3, description="joints taken from each piece")
    relative_share: float = Field(0.8, ge=0, le=1, description="share of pieces relative to the root")
    clean_share: float = Field(0.10, ge=0, le=1, description="share of pieces without noise")
    fitted_share: float = Field(0.60, ge=0, le=1, description="share of pieces with the noise level of the model")
    level_low: PositiveFloat = Field(0.25, description="the other pieces: lowest and highest factor on that level")
    level_high: PositiveFloat = 2.0
    speed_change: NonNegativeFloat = Field(0.4, description="half of the pieces: |log speed| at most this")
    size_change: NonNegativeFloat = Field(0.25, description="|log size| of the person at most this")
    still_start_share: float = Field(0.0, ge=0, le=1, description="share of pieces led in by their first frame")

    @model_validator(mode="after")
    def _shares_fit(self) -> MotionSampling:
        if self.clean_share + self.fitted_share > 1:
            raise ValueError("clean_share + fitted_share must not exceed 1.")
        return self


@dataclass(frozen=True)
class MotionBatch:
    """Clean and noisy tracks (B, J, D, T) of the same pieces, and the weight (B, T) of their frames: 0 = a lead-in."""

    clean: Tensor
    noisy: Tensor
    weights: Tensor


class MotionSampler:
    """Draws pieces of recorded clips: turned at random, mirrored, reversed, resized, faster or slower, and noisy.

    Args:
        clips: (T, J, 3) metres each.
        settings: see `MotionSampling`.
        pelvis: (pelvis, left hip, right hip): the noise of the first is the mean of those of the others; also the root.
        lead_in: frames of a still start (a window less one).

    Raises:
        DataError: no clip is long enough.
    """

    def __init__(
        self,
        clips: Sequence[Array],
        settings: MotionSampling,
        pelvis: tuple[int, int, int],
        noise: NoiseModel = FIT_3D,
        lead_in: int = 0,
    ) -> None:
        self.clips, self.settings, self.noise = list(clips), settings, noise
        self.pelvis, self.lead_in = pelvis, lead_in
        self.lengths = np.array([len(clip) for clip in self.clips])
        longest = self._source_frames(float(np.exp(settings.speed_change)))
        if not self.clips or self.lengths.max() < longest:
            raise DataError(f"no clip has {longest} frames, which the longest piece at the highest speed needs.")

    def draw(self, pieces: int, rng: np.random.Generator) -> MotionBatch:
        """A batch of `pieces` pieces."""
        settings = self.settings
        clean = np.stack([self._piece(rng) for _ in range(pieces)])
        turn = Rotation.from_quat(rng.standard_normal((pieces, 4))).as_matrix()
        turn *= np.exp(rng.uniform(-settings.size_change, settings.size_change, (pieces, 1, 1)))
        turn[rng.random(pieces) < 0.5] *= -1
        clean = np.einsum("btjc,bdc->btjd", clean, turn.astype(np.float32))
        noisy = clean + detector_noise(clean.shape, self.noise, rng, self._levels(pieces, rng), (self.pelvis,))
        relative = (rng.random(pieces) < settings.relative_share)[:, None, None, None]
        root = self.pelvis[0]
        clean, noisy = (np.where(relative, x - x[:, :, root, None], x) for x in (clean, noisy))
        clean, noisy = (self._take_joints(x, order) for order in [self._order(pieces, rng)] for x in (clean, noisy))
        weights = np.ones((pieces, settings.frames), dtype=np.float32)
        for piece in np.flatnonzero(rng.random(pieces) < settings.still_start_share) if self.lead_in else ():
            lead = int(rng.integers(1, self.lead_in + 1))
            noisy[piece, ..., :lead] = noisy[piece, ..., lead, None]
            weights[piece, :lead] = 0
        return MotionBatch(torch.from_numpy(clean), torch.from_numpy(noisy), torch.from_numpy(weights))

    def _source_frames(self, speed: float) -> int:
        return int(np.ceil((self.settings.frames - 1) * speed)) + 2

    def _piece(self, rng: np.random.Generator) -> Array:
        """(T, J, 3) of a clip drawn by its number of windows, perhaps resampled in time and reversed."""
        settings = self.settings
        warp = rng.random() < 0.5 and settings.speed_change > 0
        speed = float(np.exp(rng.uniform(-settings.speed_change, settings.speed_change))) if warp else 1.0
        length = self._source_frames(speed)
        counts = np.maximum(self.lengths - length + 1, 0)
        clip = rng.choice(len(counts), p=counts / counts.sum())
        start = int(rng.integers(0, counts[clip]))
        piece = self.clips[clip][start : start + length]
        piece = resampled(piece, np.arange(settings.frames) * speed) if warp else piece[: settings.frames]
        return piece[::-1] if rng.random() < 0.5 else piece

    def _levels(self, pieces: int, rng: np.random.Generator) -> Array:
        """Factor on the noise of each piece: none, as the model says, or anything between."""
        settings, kind = self.settings, rng.random(pieces)
        other = np.exp(rng.uniform(np.log(settings.level_low), np.log(settings.level_high), pieces))
        fitted = np.where(kind < settings.clean_share + settings.fitted_share, 1.0, other)
        return np.where(kind < settings.clean_share, 0.0, fitted).astype(np.float32)

    def _order(self, pieces: int, rng: np.random.Generator) -> NDArray[np.int64]:
        joints = self.clips[0].shape[1]
        return rng.permuted(np.tile(np.arange(joints), (pieces, 1)), axis=1)[:, : self.settings.joints]

    def _take_joints(self, x: Array, order: NDArray[np.int64]) -> Array:
        """(B, T, J, D) -> (B, J', D, T) of the chosen joints."""
        return np.ascontiguousarray(np.take_along_axis(x, order[:, None, :, None], axis=2).transpose(0, 2, 3, 1))


def resampled(positions: Array, times: NDArray[np.floating]) -> Array:
    """Positions (T, J, D) at `times` in frames, 0 <= time < T - 1, by Catmull-Rom splines: linear ones would smooth."""
    before = times.astype(np.int64)
    f = (times - before)[:, None, None].astype(np.float32)
    last = len(positions) - 1
    a, b, c, d = (positions[np.clip(before + shift, 0, last)] for shift in (-1, 0, 1, 2))
    out: Array = b + 0.5 * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a)))
    return out
