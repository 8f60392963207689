"""Pieces of recorded motion, varied: what own weights are trained on. Metres, z up, joints of h36m17.

A few recorded people do a few things. Networks learn more from them if limbs and upper bodies are exchanged between
recordings, bodies lean and fall, and bones differ: a person who climbs is then not quite unheard of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from torch import Tensor

from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.skeletons import H36M_17
from poseworks.lifting.flipping import flip

Share = float

# Joints of h36m17: root of a limb, then what hangs on it.
_LEGS = ((1, 2, 3), (4, 5, 6))
_ARMS = ((14, 15, 16), (11, 12, 13))
_UPPER_BODY = (7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
_PELVIS, _RIGHT_HIP, _LEFT_HIP, _THORAX, _RIGHT_SHOULDER, _LEFT_SHOULDER = 0, 1, 4, 8, 14, 11
_PARENTS = H36M_17.parents


class MotionSampling(BaseModel, frozen=True, extra="forbid"):
    """How pieces are varied. Shares are probabilities a piece, or a limb and piece.

    Attributes:
        second_share: of pieces from the second set of recordings.
        exchange_limb, exchange_body: an arm or a leg, or all above the pelvis, follow another recording.
        swing_share, swing_deg: a limb is turned about its root by an angle of this standard deviation.
        lean_share, lean_deg: the whole body leans by an angle of this standard deviation.
        fall_share: the body is turned anyhow.
        bone_spread: standard deviation of the logarithm of bone lengths, left and right alike.
        size_spread: of the whole body's size.
    """

    second_share: Share = Field(0.3, ge=0, le=1)
    exchange_limb: Share = Field(0.3, ge=0, le=1)
    exchange_body: Share = Field(0.2, ge=0, le=1)
    swing_share: Share = Field(0.3, ge=0, le=1)
    swing_deg: float = Field(20.0, ge=0)
    lean_share: Share = Field(0.3, ge=0, le=1)
    lean_deg: float = Field(25.0, ge=0)
    fall_share: Share = Field(0.1, ge=0, le=1)
    bone_spread: float = Field(0.05, ge=0)
    size_spread: float = Field(0.05, ge=0)


@dataclass(frozen=True)
class Recordings:
    """Clips end to end: positions (N, 17, 3), and where each begins."""

    positions: Tensor
    starts: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, clips: Sequence[NDArray[np.float32]]) -> Recordings:
        """Of clips (T, 17, 3)."""
        lengths = torch.tensor([len(clip) for clip in clips])
        return cls(torch.from_numpy(np.concatenate(clips)), lengths.cumsum(0) - lengths, lengths)

    def draw(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        """Pieces (B, T, 17, 3), longer clips more often; a clip that is shorter stands still at its end."""
        middle = torch.randint(len(self.positions), (count,), generator=generator)
        clip = torch.searchsorted(self.starts, middle, right=True) - 1
        first, length = self.starts[clip], self.lengths[clip]
        begin = torch.minimum(middle - first, (length - frames).clamp(min=0))
        offsets = torch.minimum(begin[:, None] + torch.arange(frames), (length - 1)[:, None])
        return self.positions[first[:, None] + offsets]


class MotionPool:
    """Draws varied pieces from one or two sets of recordings."""

    def __init__(self, sampling: MotionSampling, first: Recordings, second: Recordings | None = None) -> None:
        self.sampling, self.first, self.second = sampling, first, second

    def draw(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        """(B, T, 17, 3) metres."""
        s = self.sampling
        pieces = self._recorded(count, frames, generator)
        if s.exchange_body:
            pieces = _exchange_body(
                pieces, self._recorded(count, frames, generator), _chosen(s.exchange_body, count, generator)
            )
        for limb, hip_or_shoulder in (*((leg, "hips") for leg in _LEGS), *((arm, "shoulders") for arm in _ARMS)):
            donors = self._recorded(count, frames, generator)
            pieces = _exchange_limb(pieces, donors, limb, hip_or_shoulder, _chosen(s.exchange_limb, count, generator))
            angle = torch.randn(count, generator=generator) * math.radians(s.swing_deg)
            angle = angle * _chosen(s.swing_share, count, generator)
            pieces = _swing(pieces, limb, axis_angle_to_matrix(angle[:, None] * _directions(count, generator)))
        pieces = _resized(pieces, self._bone_factors(count, generator))
        pieces = _turned(pieces, self._lean(count, generator))
        return torch.where(_chosen(0.5, count, generator)[:, None, None, None], flip(pieces), pieces)

    def _recorded(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        pieces = self.first.draw(count, frames, generator)
        if self.second is None or not self.sampling.second_share:
            return pieces
        others = self.second.draw(count, frames, generator)
        return torch.where(_chosen(self.sampling.second_share, count, generator)[:, None, None, None], others, pieces)

    def _bone_factors(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, 17) of the bone to each joint's parent."""
        factors = torch.randn(count, 17, generator=generator) * self.sampling.bone_spread
        right, left = (list(side) for side in zip(*H36M_17.pairs, strict=True))
        factors[:, right] = factors[:, left]
        return (factors + self.sampling.size_spread * torch.randn(count, 1, generator=generator)).exp()

    def _lean(self, count: int, generator: torch.Generator) -> Tensor:
        """Rotations (B, 3, 3)."""
        s = self.sampling
        level = _directions(count, generator) * torch.tensor([1.0, 1.0, 0.0])
        level = torch.nn.functional.normalize(level, dim=-1)
        angle = torch.randn(count, generator=generator) * math.radians(s.lean_deg)
        lean = level * (angle * _chosen(s.lean_share, count, generator))[:, None]
        fall = level * (math.pi * torch.rand(count, generator=generator))[:, None]
        return axis_angle_to_matrix(torch.where(_chosen(s.fall_share, count, generator)[:, None], fall, lean))


def _chosen(share: float, count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) < share


def _directions(count: int, generator: torch.Generator) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)


def _frame(left: Tensor, up: Tensor) -> Tensor:
    """(..., 3, 3): columns are a body part's left, front and up."""
    x = torch.nn.functional.normalize(left, dim=-1)
    z = torch.nn.functional.normalize(up - (up * x).sum(dim=-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], dim=-1)


def _hips(pieces: Tensor) -> Tensor:
    return _frame(pieces[:, :, _LEFT_HIP] - pieces[:, :, _RIGHT_HIP], pieces[:, :, _THORAX] - pieces[:, :, _PELVIS])


def _shoulders(pieces: Tensor) -> Tensor:
    return _frame(
        pieces[:, :, _LEFT_SHOULDER] - pieces[:, :, _RIGHT_SHOULDER], pieces[:, :, _THORAX] - pieces[:, :, _PELVIS]
    )


def _exchange_limb(pieces: Tensor, donors: Tensor, limb: tuple[int, ...], part: str, chosen: Tensor) -> Tensor:
    """Where chosen, the limb's bones point as the donor's do, seen from the hips or shoulders; lengths stay."""
    frame_of = _hips if part == "hips" else _shoulders
    turn = frame_of(pieces) @ frame_of(donors).mT
    result = pieces.clone()
    for parent, child in pairwise(limb):
        bone = (turn @ (donors[:, :, child] - donors[:, :, parent])[..., None])[..., 0]
        length = (pieces[:, :, child] - pieces[:, :, parent]).norm(dim=-1, keepdim=True)
        result[:, :, child] = result[:, :, parent] + torch.nn.functional.normalize(bone, dim=-1) * length
    return torch.where(chosen[:, None, None, None], result, pieces)


def _exchange_body(pieces: Tensor, donors: Tensor, chosen: Tensor) -> Tensor:
    """Where chosen, all above the pelvis is the donor's, seen from the hips."""
    turn = _hips(pieces) @ _hips(donors).mT
    upper = (donors[:, :, _UPPER_BODY] - donors[:, :, :1]) @ turn.mT + pieces[:, :, :1]
    result = pieces.clone()
    result[:, :, _UPPER_BODY] = upper
    return torch.where(chosen[:, None, None, None], result, pieces)


def _swing(pieces: Tensor, limb: tuple[int, ...], turn: Tensor) -> Tensor:
    """The limb turned about its root by (B, 3, 3)."""
    root = pieces[:, :, limb[:1]]
    result = pieces.clone()
    result[:, :, limb[1:]] = (pieces[:, :, limb[1:]] - root) @ turn[:, None].mT + root
    return result


def _turned(pieces: Tensor, turn: Tensor) -> Tensor:
    """The body turned about its pelvis by (B, 3, 3); its path stays."""
    root = pieces[:, :, :1]
    return (pieces - root) @ turn[:, None].mT + root


def _resized(pieces: Tensor, factors: Tensor) -> Tensor:
    """Bones times their factors (B, 17)."""
    result = pieces.clone()
    for joint, parent in enumerate(_PARENTS):
        if parent >= 0:
            bone = pieces[:, :, joint] - pieces[:, :, parent]
            result[:, :, joint] = result[:, :, parent] + bone * factors[:, None, joint, None]
    return result
