"""Points near where cameras see them (see least_squares)."""

from __future__ import annotations

import torch
from torch import Tensor

from poseworks.mesh_recovery.fitting.least_squares import Bent

_NEAREST = 0.1  # metres before a camera that points are taken to have at least


class SeenPoints:
    """Points near keypoints of one or several cameras: squared error that levels off (Geman and McClure 1987).

    w/2 u / (1 + u / s^2) with u = |error / scale|^2; the error is measured in metres at the person's distance.
    """

    def __init__(
        self,
        slopes: Tensor,
        weight: Tensor,
        distance: Tensor,
        rotations: Tensor,
        translations: Tensor,
        *,
        scale: float,
        reach: float,
    ) -> None:
        """The term of keypoints.

        Args:
            slopes: (V, N, n, 2) x / z and y / z in the axes of each of V cameras; anything finite where weight is 0.
            weight: (V, N, n).
            distance: (V, N) metres from each camera to the person.
            rotations: (V, 3, 3) from the world's axes to the camera's.
            translations: (V, 3) metres.
            scale: metres, an error that costs about a half.
            reach: metres beyond which an error hardly counts.
        """
        self.slopes, self.weight = slopes, weight
        self.factor = distance[..., None, None] / scale
        self.rotations, self.translations = rotations, translations
        self.reach = (reach / scale) ** 2

    def __call__(self, points: Tensor, frames: slice) -> Bent:
        """Of (N, n, 3) points of these frames, in the world."""
        placed = torch.einsum("vij,tnj->vtni", self.rotations, points) + self.translations[:, None, None]
        x, y, z = placed.unbind(-1)
        z = z.clamp_min(_NEAREST)
        factor = self.factor[:, frames]
        error = factor * (torch.stack((x / z, y / z), dim=-1) - self.slopes[:, frames])  # (V, N, n, 2)
        squared = error.square().sum(-1)
        level = self.reach / (squared + self.reach)
        weight = self.weight[:, frames] * level.square()
        zero = torch.zeros_like(z)
        slope = torch.stack((1 / z, zero, -x / z**2, zero, 1 / z, -y / z**2), dim=-1).reshape(*z.shape, 2, 3)
        rows = factor[..., None] * slope @ self.rotations[:, None, None]
        weighted = weight[..., None, None] * rows
        return Bent(
            (0.5 * self.weight[:, frames] * squared * level).sum((0, 2)),
            (weighted.mT @ error[..., None]).squeeze(-1).sum(0),
            (weighted.mT @ rows).sum(0),
        )
