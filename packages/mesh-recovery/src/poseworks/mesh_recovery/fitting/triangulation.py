"""Points in space from where several cameras see them, some of which may err."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

_REACH = 0.1  # metres: a view that misses a point by more errs
_ROUNDS = 3


def triangulated(slopes: Tensor, weight: Tensor, rotations: Tensor, translations: Tensor) -> Tensor:
    """(T, n, 3) points in the world; NaN where fewer than two views have a weight.

    Every pair of views proposes a point; the one that most views confirm is refined from those that do.

    Args:
        slopes: (V, T, n, 2) x / z and y / z in each camera; anything finite where the weight is 0.
        weight: (V, T, n).
        rotations: (V, 3, 3) from the world's axes to each camera's.
        translations: (V, 3).
    """
    centres = -(rotations.mT @ translations[..., None]).squeeze(-1)  # (V, 3)
    rays = torch.cat((slopes, torch.ones_like(slopes[..., :1])), dim=-1) @ rotations[:, None]
    rays = rays / torch.linalg.vector_norm(rays, dim=-1, keepdim=True)
    # A point's squared distance to a ray: (x - c)T (1 - d dT) (x - c).
    across = torch.eye(3) - rays[..., None] * rays[..., None, :]  # (V, T, n, 3, 3)
    towards = across @ centres[:, None, None, :, None]

    def nearest(shares: Tensor) -> Tensor:
        """The point with the smallest sum of squared distances, weighted by (V, T, n)."""
        wide = shares[..., None, None]
        matrix = (wide * across).sum(0) + 1e-9 * torch.eye(3)
        solved: Tensor = torch.linalg.solve_ex(matrix, (wide * towards).sum(0))[0].squeeze(-1)  # one ray: anything
        return solved

    def shares(points: Tensor) -> Tensor:
        """(V, T, n) how much each view counts: less, the further it misses."""
        squared = misses(points, slopes, rotations, translations).square()
        return weight * (_REACH**2 / (squared + _REACH**2)).square()

    best = torch.full(slopes.shape[1:3], -torch.inf)
    found = torch.full((*slopes.shape[1:3], 3), torch.nan)
    for pair in combinations(range(len(slopes)), 2):
        used = torch.zeros_like(weight)
        used[list(pair)] = weight[list(pair)]
        points = nearest(used)
        confirmed = torch.where((used > 0).sum(0) == 2, shares(points).sum(0), -torch.inf)
        better = confirmed > best
        best = torch.where(better, confirmed, best)
        found = torch.where(better[..., None], points, found)
    for _ in range(_ROUNDS):
        found = torch.where(best[..., None].isfinite(), nearest(shares(found).nan_to_num()), found)
    return found


def misses(points: Tensor, slopes: Tensor, rotations: Tensor, translations: Tensor) -> Tensor:
    """(V, T, n) metres at a point's depth between where each camera sees it and where it is; inf behind the camera.

    Args as of `triangulated`, with (T, n, 3) points.
    """
    placed = torch.einsum("vij,tnj->vtni", rotations, points) + translations[:, None, None]
    depth = placed[..., 2]
    far = torch.linalg.vector_norm(placed[..., :2] - slopes * depth[..., None], dim=-1)
    return torch.where(depth > 0, far, torch.where(depth.isnan(), depth, torch.inf))
