"""What a fit asks of points and of axis-angles: cost, gradient and curvature of each (see least_squares)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from poseworks.core.body_models import PosePrior
from poseworks.mesh_recovery.fitting.folded import JOINTS
from poseworks.mesh_recovery.fitting.least_squares import Bent

# Places of the flexing angles among the 69, and their sign when the joint bends as it should: both knees about x, the
# left and the right elbow about y (Bogo et al. 2016, sec. 3.2).
HINGES = ((9, 1.0), (12, 1.0), (52, -1.0), (55, 1.0))

_SHARING = (3, 6, 9, 12, 13, 14, 15)  # spine, neck, collars, head
_UNSEEN = 20.0


def rest_pulls(moved_by: Sequence[int], *, soft: float = 0.3, limb: float = 0.05) -> Tensor:
    """(69,) weights of squared axis-angles for `TowardsRest`, in a fit to points that turns of `moved_by` move.

    What no point shows stays at rest. Knees and elbows are hinges; how a forearm is twisted is seen at the hand alone.

    Args:
        moved_by: joints whose turns points show.
        soft: of spine, collars, neck and head, which share what they do.
        limb: of hips, shoulders and the ends of limbs.
    """
    weight = torch.full((JOINTS, 3), _UNSEEN)
    for joint in moved_by:
        weight[joint] = soft if joint in _SHARING else limb
    for joint in {4, 5, 18, 19} & set(moved_by):
        twisted = not {20, 21} & set(moved_by)
        weight[joint] = torch.tensor((0.02, 20.0, 20.0) if joint < 6 else (5.0 if twisted else limb, 0.02, 10.0))
    return weight[1:].flatten()


class NearPoints:
    """Points near given ones: squared error, linear beyond a distance (Huber 1964).

    0.5 w r^2 with r = |x - y| / scale, and weight bend / r beyond r = bend.
    """

    def __init__(self, target: Tensor, weight: Tensor, scale: float, bend: float) -> None:
        """The term of (N, n, 3) targets in metres, NaN where not observed, with (N, n) weights."""
        seen = target.isfinite().all(-1)
        self.target = torch.where(seen[..., None], target, torch.zeros_like(target))
        self.weight = torch.where(seen, weight, torch.zeros_like(weight)) / scale**2
        self.bend = bend * scale

    def __call__(self, points: Tensor, frames: slice) -> Bent:
        """Of (N, n, 3) points of these frames."""
        error, weight = points - self.target[frames], self.weight[frames]
        distance = torch.linalg.vector_norm(error, dim=-1)
        far = self.bend / distance.clamp_min(self.bend)  # 1 within the bend
        cost = weight * torch.where(far < 1, self.bend * (distance - self.bend / 2), distance.square() / 2)
        curvature = weight * far
        return Bent(cost.sum(-1), curvature[..., None] * error, curvature)


class TowardsRest:
    """Axis-angles near zero, each with a weight of its own; hinges that bend the wrong way cost more."""

    def __init__(self, weight: Tensor, wrong_way: float = 20.0) -> None:
        """The term of (69,) weights a squared radian, and of that of a hinge beyond straight."""
        self.weight, self.wrong_way = weight, wrong_way
        self._places = torch.tensor([place for place, _ in HINGES])
        self._signs = torch.tensor([sign for _, sign in HINGES])

    def __call__(self, pose: Tensor) -> Bent:
        """Of (N, 69) axis-angles."""
        weight = self.weight.expand_as(pose).clone()
        wrong = pose[:, self._places] * self._signs < 0
        weight[:, self._places] += self.wrong_way * wrong
        return Bent(0.5 * (weight * pose.square()).sum(-1), weight * pose, weight)


class Likely:
    """Axis-angles that a mixture of normal distributions finds likely: its nearest component, a paraboloid."""

    def __init__(self, prior: PosePrior, weight: float) -> None:
        """The term `weight` times the energy of the prior."""
        self.prior, self.weight = prior, weight
        roots = prior.roots.T.reshape(len(prior.means), -1, prior.means.shape[1])
        self._precisions = roots.mT @ roots  # (K, 69, 69)

    def __call__(self, pose: Tensor) -> Bent:
        """Of (N, 69) axis-angles."""
        prior = self.prior
        whitened = (pose @ prior.roots - prior.offsets).reshape(len(pose), len(prior.means), -1)
        energy, nearest = (whitened.square().sum(-1) / 2 + prior.constants).min(dim=1)
        precision = self._precisions[nearest]
        gradient = (precision @ (pose - prior.means[nearest])[..., None]).squeeze(-1)
        return Bent(self.weight * energy, self.weight * gradient, self.weight * precision)


def wrong_bends(pose: Tensor, least_deg: float = 10.0) -> float:
    """Share of the knees and elbows of (N, 69) axis-angles that bend the wrong way by more than `least_deg`."""
    bends = torch.stack([pose[:, place] * sign for place, sign in HINGES])
    return float((bends < -math.radians(least_deg)).float().mean())
