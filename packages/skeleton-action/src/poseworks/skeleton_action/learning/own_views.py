"""From 3D recordings to keypoints in the pixels of a volume, varied: what own weights are trained on.

A clip is cut, sampled in time, seen by a random camera, given a detector's noise, and compacted, cropped, stretched and
mirrored as in the published training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from poseworks.core.skeletons import COCO_17, H36M_17
from poseworks.core.training.cameras import CameraSampling, draw_views
from poseworks.core.training.keypoint_noise import KeypointNoise, add_noise
from poseworks.skeleton_action.layouts import JointLayout
from poseworks.skeleton_action.learning.own_clips import Recordings
from poseworks.skeleton_action.learning.own_recipes import ClipVariation

PADDING = 1.25  # of the box around a person
OTHER_FRAMES = (40, 150)  # of a piece of other motion: about as long as an exercise
FEWEST_FRAMES = 20  # of a piece of an exercise

_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
_FACE_M = ((0, 0.10, 0), (0.033, 0.08, 0.035), (-0.033, 0.08, 0.035), (0.075, 0, 0), (-0.075, 0, 0))
"""Metres to the left, to the front and up from a point at 45 % of the way from the neck to the top of the head."""
_BODY = H36M_17.indices(COCO_17.joint_names[len(_FACE) :])
_NECK, _HEAD = H36M_17.indices(["neck", "head_top"])
_SHOULDERS = H36M_17.indices(["left_shoulder", "right_shoulder"])


@dataclass(frozen=True)
class Clips:
    """Sampled frames.

    Attributes:
        joints: (B, T, 17, 3) metres, h36m17.
        labels: (B,) class numbers; -1: none of them.
    """

    joints: Tensor
    labels: Tensor


def draw_clips(
    exercises: Recordings, others: Recordings, count: int, frames: int, variation: ClipVariation,
    generator: torch.Generator,
) -> Clips:  # fmt: skip
    """`count` pieces of recordings, sampled to `frames` frames each."""
    v = variation

    def chosen(share: float) -> Tensor:
        return torch.rand(count, generator=generator) < share

    other = chosen(v.other_share)
    still = other & chosen(v.still_share)
    exercise = torch.randint(len(exercises.starts), (count,), generator=generator)
    share = torch.where(chosen(v.cut_share), _uniform(v.shortest_cut, 1.0, count, generator=generator), 1.0)
    length = exercises.lengths[exercise]
    cut = (length * share).round().long().clamp(min=FEWEST_FRAMES).minimum(length)
    of_exercise = _sampled(exercises, exercise, cut, frames, generator)

    motion = torch.randint(len(others.starts), (count,), generator=generator)
    wanted = torch.randint(OTHER_FRAMES[0], OTHER_FRAMES[1] + 1, (count,), generator=generator)
    of_other = _sampled(others, motion, wanted.minimum(others.lengths[motion]), frames, generator)

    of_still = of_exercise[:, torch.randint(frames, (1,), generator=generator)].expand_as(of_exercise)
    joints = torch.where(_like(still), of_still, torch.where(_like(other), of_other, of_exercise))
    return Clips(joints, torch.where(other, -1, exercises.labels[exercise]))


def _sampled(source: Recordings, clip: Tensor, length: Tensor, frames: int, generator: torch.Generator) -> Tensor:
    """(B, frames, 17, 3): a piece of `length` frames from anywhere in each clip, sampled as in training.

    One frame out of each of as many equal segments; a shorter piece is repeated from where it ends.
    """
    count = len(clip)
    begin = (torch.rand(count, generator=generator) * (source.lengths[clip] - length + 1)).long()
    place = torch.arange(frames) + torch.rand(count, frames, generator=generator)
    spread = (place * length[:, None] / frames).long().minimum(length[:, None] - 1)
    first = (torch.rand(count, 1, generator=generator) * length[:, None]).long()
    repeated = (first + torch.arange(frames)) % length[:, None]
    inside = torch.where(length[:, None] < frames, repeated, spread)
    return source.positions[(source.starts[clip] + begin)[:, None] + inside]


def coco_joints(joints: Tensor, face: Tensor) -> Tensor:
    """COCO's 17 joints (..., T, 17, 3) of h36m17's: the face's points sit on the head, the body's are the same.

    Args:
        joints: (..., T, 17, 3) metres.
        face: (..., 5, 3) metres from the middle of the head to the left, the front and up (`face_points`).
    """
    neck, top = joints[..., _NECK, :], joints[..., _HEAD, :]
    up = torch.nn.functional.normalize(top - neck, dim=-1)
    left = joints[..., _SHOULDERS[0], :] - joints[..., _SHOULDERS[1], :]
    left = torch.nn.functional.normalize(left - (left * up).sum(dim=-1, keepdim=True) * up, dim=-1)
    axes = torch.stack([left, torch.linalg.cross(left, up), up], dim=-2)  # (..., T, 3, 3)
    middle = neck + 0.45 * (top - neck)
    points = middle[..., None, :] + face[..., None, :, :] @ axes
    return torch.cat([points, joints[..., _BODY, :]], dim=-2)


def face_points(count: int, spread_m: float, generator: torch.Generator) -> Tensor:
    """(count, 5, 3) where the face's points lie on the heads of `count` people."""
    return torch.tensor(_FACE_M) + spread_m * torch.randn(count, len(_FACE), 3, generator=generator)


def see(
    joints: Tensor, cameras: CameraSampling, noise: KeypointNoise, variation: ClipVariation, layout: JointLayout,
    size: int, generator: torch.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Keypoints (B, 1, T, 17, 2) in pixels of a volume, and their scores (B, 1, T, 17), of clips (B, T, 17, 3)."""
    count = len(joints)
    face = face_points(count, variation.face_spread_m, generator)
    view = draw_views(torch.cat([joints[:, :, :1], coco_joints(joints, face)], dim=2), cameras, generator)
    keypoints, observed = add_noise(view.slopes[:, :, 1:], noise, generator)
    scores = observed * _scores(observed.shape, variation, generator)
    keypoints = size * _cropped(_compacted(keypoints, observed), variation, generator)
    mirrored = torch.rand(count, generator=generator) < variation.mirror_share
    flip = torch.from_numpy(layout.joint_flip)
    other_way = keypoints[:, :, flip] * torch.tensor([-1.0, 1.0]) + torch.tensor([float(size), 0.0])
    keypoints = torch.where(_like(mirrored), other_way, keypoints)
    scores = torch.where(_like(mirrored)[..., 0], scores[:, :, flip], scores)
    return keypoints[:, None], scores[:, None]


def _compacted(keypoints: Tensor, observed: Tensor) -> Tensor:
    """Keypoints in a square box around all frames of a clip, from 0 to 1."""
    low = keypoints.masked_fill(~observed[..., None], math.inf).amin(dim=(1, 2), keepdim=True)
    high = keypoints.masked_fill(~observed[..., None], -math.inf).amax(dim=(1, 2), keepdim=True)
    side = PADDING * (high - low).amax(dim=-1, keepdim=True).clamp(min=1e-6)
    return (keypoints - (low + high) / 2) / side + 0.5


def _cropped(keypoints: Tensor, variation: ClipVariation, generator: torch.Generator) -> Tensor:
    """A part of the unit square, as wide and high as drawn, stretched to the unit square."""
    v, count = variation, len(keypoints)
    area = _uniform(*v.crop_area, count, generator=generator)
    aspect = _uniform(math.log(v.crop_aspect[0]), math.log(v.crop_aspect[1]), count, generator=generator).exp()
    sides = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], dim=-1).clamp(max=1)
    corner = (1 - sides) * torch.rand(count, 2, generator=generator)
    cropped = (keypoints - corner[:, None, None]) / sides[:, None, None]
    return torch.where(_like(torch.rand(count, generator=generator) < v.crop_share), cropped, keypoints)


def _scores(shape: torch.Size, variation: ClipVariation, generator: torch.Generator) -> Tensor:
    """(B, T, J): 1, or less by clip, by joint and by frame."""
    batch, frames, joints = shape
    low = variation.lowest_score ** (1 / 3)
    drawn = (
        _uniform(low, 1.0, batch, 1, 1, generator=generator)
        * _uniform(low, 1.0, batch, 1, joints, generator=generator)
        * _uniform(low, 1.0, batch, frames, joints, generator=generator)
    )
    lower = torch.rand(batch, 1, 1, generator=generator) < variation.score_share
    return torch.where(lower, drawn, 1.0)


def _like(chosen: Tensor) -> Tensor:
    return chosen[:, None, None, None]


def _uniform(low: float, high: float, *shape: int, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator)
