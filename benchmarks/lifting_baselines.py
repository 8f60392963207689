"""Two ways of lifting without a network, for comparison: the mean pose, and the nearest of many known pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.skeletons import H36M_17
from poseworks.core.training.cameras import CameraSampling, draw_views
from poseworks.lifting.learning.own_evaluation import CLEAN, Seen, see

_LEFT_HIP, _RIGHT_HIP = H36M_17.indices(["left_hip", "right_hip"])


class Baseline(Protocol):
    """Joints (B, T, 17, 3) of views, as `poseworks.lifting.learning.own_evaluation.Lifter`."""

    def __call__(self, seen: Seen) -> Tensor: ...


class MeanPose:
    """The mean of the train clips, seen from everywhere, or as if the person's true facing were known."""

    def __init__(self, clips: Sequence[NDArray[np.float32]], *, facing_given: bool) -> None:
        self.facing_given = facing_given
        poses = torch.from_numpy(np.concatenate(clips)[:, None])
        view = draw_views(poses, CameraSampling(), torch.Generator().manual_seed(0))
        joints = view.joints[:, 0] - view.joints[:, 0, :1]
        self.mean = (_upright(joints).mT @ joints.mT).mT.mean(dim=0) if facing_given else joints.mean(dim=0)

    def __call__(self, seen: Seen) -> Tensor:
        """The same pose for each frame, turned to its facing where that is given."""
        if not self.facing_given:
            return self.mean.expand_as(seen.joints)
        return (_upright(seen.joints) @ self.mean.mT).mT


class NearestNeighbour:
    """The pose of the rendering whose keypoints, in the form ray, are nearest."""

    def __init__(self, clips: Sequence[NDArray[np.float32]], renderings: int) -> None:
        generator = torch.Generator().manual_seed(1)
        frames = torch.from_numpy(np.concatenate(clips))
        chosen = frames[torch.randint(len(frames), (renderings,), generator=generator)]
        seen = see(draw_views(chosen[:, None], CameraSampling(), generator), CLEAN, generator)
        self.keypoints = seen.x[:, 0, :, :2].flatten(1)
        self.joints = (seen.joints @ seen.turn.mT)[:, 0]

    def __call__(self, seen: Seen) -> Tensor:
        """In the axes of the camera."""
        asked = seen.x[..., :2].flatten(2).flatten(0, 1)
        parts = (asked[begin : begin + 256] for begin in range(0, len(asked), 256))
        nearest = torch.cat([torch.cdist(part, self.keypoints).argmin(dim=1) for part in parts])
        return self.joints[nearest].view(seen.joints.shape) @ seen.turn


def _upright(joints: Tensor) -> Tensor:
    """(..., 3, 3): the turn about the camera's vertical axis that faces the way the body does."""
    left = joints[..., _LEFT_HIP, :] - joints[..., _RIGHT_HIP, :]
    angle = torch.atan2(-left[..., 2], left[..., 0])
    c, s, zero, one = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle), torch.ones_like(angle)
    rows = ((c, zero, s), (zero, one, zero), (-s, zero, c))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
