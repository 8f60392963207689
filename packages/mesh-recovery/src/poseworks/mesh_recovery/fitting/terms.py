"""What a fit asks of points and of axis-angles: cost, gradient and curvature of each (see least_squares)."""

from __future__ import annotations

import torch
from torch import Tensor

from poseworks.core.body_models import PosePrior
from poseworks.mesh_recovery.fitting.least_squares import Bent

# Places of the flexing angles among the 69, and their sign when the joint bends as it should: both knees about x, the
# left and the right elbow about y (Bogo et al. 2016, sec. 3.2).
HINGES = ((9, 1.0), (12, 1.0), (52, -1.0), (55, 1.0))


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

    def __init__(self, weight: Tensor, wrong_way: float) -> None:
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
