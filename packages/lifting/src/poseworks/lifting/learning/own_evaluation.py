"""How well a network lifts motion it has not seen, through cameras it has not seen.

Recordings are cut into pieces, each is seen by one random camera, and the network's answer, averaged with that to the
mirrored input, is compared with the truth in the axes of the camera, relative to the root.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.metrics import similarity_align
from poseworks.core.training.cameras import CameraSampling, View, draw_views
from poseworks.core.training.keypoint_noise import KeypointNoise, add_noise
from poseworks.lifting.ehgformer import EHGFormer
from poseworks.lifting.flipping import flip_average
from poseworks.lifting.input_forms import box_input, ray_input
from poseworks.lifting.lcn import LCN

PIECE = 81  # frames that one camera sees

CLEAN = KeypointNoise(clean_share=1.0, converted_share=0.0, missing_share=0.0)
NOISY = KeypointNoise(
    clean_share=0.0, spread=(0.01, 0.01), correlated_share=0.0, thrown_share=0.02, thrown_varies=False, offset=0.0,
    converted_share=0.0, missing_share=0.0,
)  # fmt: skip
"""Standard deviation 1 % of the person's box, and 2 % of the keypoints thrown up to 30 % of it."""


@dataclass(frozen=True)
class Seen:
    """Views as a network takes them.

    Attributes:
        x: (B, T, 17, 3) the form ray, or box.
        turn: (B, T, 3, 3) from camera axes to those in which the network answers.
        joints: (B, T, 17, 3) metres in camera axes, relative to the root.
    """

    x: Tensor
    turn: Tensor
    joints: Tensor


@dataclass(frozen=True)
class Errors:
    """In mm, means over joints and frames: as they are, after the best scale of a piece, after the best similarity of a
    frame."""

    mpjpe: float
    scaled: float
    pa: float


def see(view: View, noise: KeypointNoise, generator: torch.Generator, assumed_focal: float | None = None) -> Seen:
    """Views with noise, in the form ray; with an `assumed_focal` (in longer sides of the image) in the form box."""
    slopes, observed = add_noise(view.slopes, noise, generator)
    if assumed_focal is not None:
        ratio = view.focal / (assumed_focal * view.aspect.clamp(min=1))
        slopes = slopes * ratio[:, None, None, None]
    x, turn = ray_input(torch.cat([slopes, torch.ones_like(slopes[..., :1])], dim=-1), observed)
    if assumed_focal is not None:
        x = box_input(slopes, observed)
    return Seen(x, turn, view.joints - view.joints[:, :, :1])


def ask(network: LCN | EHGFormer, x: Tensor) -> Tensor:
    """The network's answer (B, T, 17, 3), relative to the root."""
    y: Tensor = network(x.flatten(0, 1)).view(x.shape) if isinstance(network, LCN) else network(x)
    return y - y[:, :, :1]


def seeded_views(
    clips: Sequence[NDArray[np.float32]], cameras: CameraSampling, seed: int, piece: int = PIECE
) -> list[View]:
    """One camera a piece, the same for the same seed; pieces shorter than `piece` are views of their own."""
    generator = torch.Generator().manual_seed(seed)
    whole = [part for clip in clips for part in _pieces(clip, piece) if len(part) == piece]
    short = [part for clip in clips for part in _pieces(clip, piece) if len(part) < piece]
    batches = ([torch.stack(whole)] if whole else []) + [part[None] for part in short]
    return [draw_views(batch, cameras, generator) for batch in batches]


def _pieces(clip: NDArray[np.float32], piece: int) -> list[Tensor]:
    return [torch.from_numpy(clip[begin : begin + piece]) for begin in range(0, len(clip), piece)]


Lifter = Callable[[Seen], Tensor]
"""Joints (B, T, 17, 3) in metres, in camera axes, relative to the root, of views."""


@torch.no_grad()
def errors_of(
    lifter: Lifter,
    views: Sequence[View],
    *,
    noise: KeypointNoise = CLEAN,
    assumed_focal: float | None = None,
    seed: int = 0,
) -> Errors:
    """Errors over views, a frame counting as much as any other.

    Args:
        assumed_focal: what the lifter is given in place of the true focal length; None: that one.
        seed: of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    sums = np.zeros(3)
    frames = 0
    for view in views:
        seen = see(view, noise, generator, assumed_focal)
        sums += [float(error) for error in _errors(lifter(seen), seen.joints)]
        frames += seen.x.shape[0] * seen.x.shape[1]
    return Errors(*(float(1000 * part / frames) for part in sums))


def network_lifter(network: LCN | EHGFormer) -> Lifter:
    """The mean of a network's answers to plain and mirrored keypoints; windows lie end to end, the last at the end."""

    def lifter(seen: Seen) -> Tensor:
        x = seen.x
        length = x.shape[1]
        most = length if isinstance(network, LCN) else network.config.frames
        y = torch.empty_like(x)
        for begin in range(0, length, most):
            begin = max(min(begin, length - most), 0)
            window = x[:, begin : begin + most]
            y[:, begin : begin + most] = flip_average(partial(ask, network), window)
        return network.preparation.unit_m * y @ seen.turn

    return lifter


def _errors(joints: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over pieces and frames of the mean over joints."""
    scale = (joints * truth).sum(dim=(1, 2, 3), keepdim=True) / joints.square().sum(dim=(1, 2, 3), keepdim=True)
    aligned = similarity_align(joints.flatten(0, 1), truth.flatten(0, 1)).view(truth.shape)
    kinds = (joints, scale * joints, aligned)
    return tuple((kind - truth).norm(dim=-1).mean(dim=-1).sum() for kind in kinds)
