"""Keypoints as detectors give them: trembling, now and then far off, now and then missing.

Most detectors do not know the joints of the midline. `poseworks.core.skeletons.convert` makes them from the shoulders,
the hips and the ears, a few centimetres off those of motion capture: a share of the pieces has them so.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from poseworks.core.skeletons import H36M_17

_SPINE, _THORAX, _NECK, _HEAD, _PELVIS = H36M_17.indices(["spine", "thorax", "neck", "head_top", "pelvis"])
_SHOULDERS = H36M_17.indices(["left_shoulder", "right_shoulder"])


class KeypointNoise(BaseModel, frozen=True, extra="forbid"):
    """Noise of a batch; sizes are shares of the larger side of the person's box.

    Attributes:
        clean_share: of pieces without any noise.
        spread: standard deviation, drawn between these.
        correlated_share: of pieces whose noise stays from frame to frame, by `correlation`.
        thrown_share: of keypoints that are thrown, up to `thrown`.
        thrown: how far at most.
        thrown_varies: the share is drawn between 0 and `thrown_share` for each piece; else it is that.
        offset: standard deviation of an error that a joint keeps over a piece.
        converted_share: of pieces whose spine and thorax are made from shoulders and hips.
        converted_offset: `offset` of their neck and head.
        missing_share: of pieces that miss keypoints; there each is missing with a probability of up to 0.3.
    """

    clean_share: float = Field(0.3, ge=0, le=1)
    spread: tuple[float, float] = (0.0, 0.02)
    correlated_share: float = Field(0.5, ge=0, le=1)
    correlation: float = Field(0.8, ge=0, lt=1)
    thrown_share: float = Field(0.04, ge=0, le=1)
    thrown: float = Field(0.3, ge=0)
    thrown_varies: bool = True
    offset: float = Field(0.007, ge=0)
    converted_share: float = Field(0.5, ge=0, le=1)
    converted_offset: float = Field(0.03, ge=0)
    missing_share: float = Field(0.1, ge=0, le=1)


def add_noise(slopes: Tensor, noise: KeypointNoise, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noisy slopes (B, T, J, 2), and which are observed (B, T, J)."""
    batch, frames, joints, _ = slopes.shape

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    converted = rand(batch, 1, 1, 1) < noise.converted_share
    slopes = torch.where(converted, _midline(slopes), slopes)
    box = (slopes.amax(dim=2) - slopes.amin(dim=2)).amax(dim=-1)[..., None, None]  # (B, T, 1, 1)
    white = torch.randn(batch, frames, joints, 2, generator=generator)
    lasting = _correlated(white, noise.correlation)
    tremble = torch.where(rand(batch, 1, 1, 1) < noise.correlated_share, lasting, white)
    low, high = noise.spread
    tremble = tremble * (low + (high - low) * rand(batch, 1, 1, 1))
    lasting_spread = torch.full((batch, 1, joints, 1), noise.offset)
    lasting_spread[:, :, [_NECK, _HEAD]] = torch.where(converted, noise.converted_offset, noise.offset)
    tremble = tremble + lasting_spread * torch.randn(batch, 1, joints, 2, generator=generator)
    varied = rand(batch, 1, 1, 1) if noise.thrown_varies else torch.ones(batch, 1, 1, 1)
    far = rand(batch, frames, joints, 1) < noise.thrown_share * varied
    error = tremble + far * noise.thrown * (2 * rand(batch, frames, joints, 2) - 1)
    clean = rand(batch, 1, 1, 1) < noise.clean_share
    lost = (rand(batch, 1, 1) < noise.missing_share) * 0.3 * rand(batch, 1, 1)
    observed = rand(batch, frames, joints) >= lost
    observed[..., 0] |= ~observed.any(dim=-1)
    return slopes + torch.where(clean, torch.zeros_like(error), error) * box, observed


def _midline(slopes: Tensor) -> Tensor:
    """Thorax in the middle of the shoulders, spine half way to the pelvis."""
    made = slopes.clone()
    made[:, :, _THORAX] = slopes[:, :, _SHOULDERS].mean(dim=2)
    made[:, :, _SPINE] = (made[:, :, _THORAX] + slopes[:, :, _PELVIS]) / 2
    return made


def _correlated(white: Tensor, correlation: float) -> Tensor:
    """AR(1) over frames (axis 1), of the same variance."""
    fresh = (1 - correlation**2) ** 0.5
    frames = [white[:, 0]]
    for frame in white.unbind(dim=1)[1:]:
        frames.append(correlation * frames[-1] + fresh * frame)
    return torch.stack(frames, dim=1)
