"""Points where they are thought to be, seen from their mean; and several terms of points as one (see least_squares)."""

from __future__ import annotations

import torch
from torch import Tensor

from poseworks.mesh_recovery.fitting.least_squares import Bent, PointTerm


class ThoughtPoints:
    """Points that should lie about their weighted mean as given ones do: 1/2 sum_n w_n |x_n - y_n - mean|^2."""

    def __init__(self, target: Tensor, weight: Tensor) -> None:
        """The term of (N, n, 3) targets in metres, with (N, n) weights a squared metre; 0 where nothing is thought."""
        self.target, self.weight = target, weight

    def __call__(self, points: Tensor, frames: slice) -> Bent:
        """Of (N, n, 3) points of these frames; the mean follows the points, so its curvature is bounded from above."""
        weight = self.weight[frames]
        apart = points - self.target[frames]
        total = weight.sum(1).clamp_min(1e-9)[:, None, None]
        apart = apart - (weight[..., None] * apart).sum(1, keepdim=True) / total
        pulled = weight[..., None] * apart
        return Bent(0.5 * (pulled * apart).sum((1, 2)), pulled, weight)


class Together:
    """The sum of terms of points."""

    def __init__(self, *terms: PointTerm) -> None:
        """The terms."""
        self.terms = terms

    def __call__(self, points: Tensor, frames: slice) -> Bent:
        """Of (N, n, 3) points of these frames."""
        bent = [term(points, frames) for term in self.terms]
        identity = torch.eye(3, dtype=points.dtype)
        curvature = [
            part.curvature if part.curvature.ndim == 4 else part.curvature[..., None, None] * identity for part in bent
        ]
        return Bent(
            torch.stack([part.cost for part in bent]).sum(0),
            torch.stack([part.gradient for part in bent]).sum(0),
            torch.stack(curvature).sum(0),
        )
