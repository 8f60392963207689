"""Candidates for frames that no upright typical pose explains: people upside down, lying, leaning.

A pose in front of a distant camera that may be turned about its axis shows its points as s e^(i a) p + t. The best
scale s, turn a and shift t are known in closed form, so that directions all over a sphere are enough:

    s e^(i a) = sum_n w_n conj(p_n) q_n / sum_n w_n |p_n|^2    p, q: points of the pose and in the picture, from their
                                                               means, as complex numbers
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from poseworks.mesh_recovery.fitting.matching import KEPT, SIGMA_M, Candidates, Placed, centred, views_from

DIRECTIONS = 100  # 20 degrees apart
TURNED_COST = 6.0  # of a person turned by 90 degrees from upright; twice as much upside down
MISSED_M, NEAR_S = 0.1, 0.2  # what the best upright candidate misses where others are tried, and so much around
LEFT_SHARE = 0.5  # of what is missed, squared, that others may leave to be believed
_FRAMES = 8  # matched at a time


def missed_frames(placed: Placed, seconds: Tensor) -> Tensor:
    """(T,) frames that all candidates miss, and those around; `seconds`: (T,) when."""
    missed = placed.missed.amin(dim=1).sqrt() > MISSED_M
    if not missed.any():
        return missed
    near: Tensor = (seconds[:, None] - seconds[missed]).abs().amin(dim=1) <= NEAR_S
    return near


def explains_more(others: Placed, usual: Placed) -> bool:
    """Whether other candidates of the same frames miss so much less than the usual ones that they are to be believed.

    Anything turned anyhow comes nearer to what is seen than upright people do, if only a little.
    """
    theirs, ours = (each.missed.amin(dim=1).median() for each in (others, usual))
    return bool(theirs < LEFT_SHARE * ours)


def match_anyhow(slopes: Tensor, weight: Tensor, poses: Candidates, up: Tensor, kept: int = KEPT) -> Placed:
    """The poses, seen from anywhere and turned anyhow, whose points lie best on what is seen.

    Args:
        slopes: (T, n, 2) places in the picture, 0 where not observed, of cameras that look at the person.
        weight: (T, n); 0 where not observed, above 0 for two points at least.
        poses: M of them, y up.
        up: (3,) where up is for these cameras; what is turned from it costs more.
        kept: how many of a frame, at most those that there are.
    """
    views = _all_directions()
    seen = torch.einsum("vab,mnb->vmna", views, poses.points)  # (V, M, n, 3)
    x, y = (seen[..., axis].flatten(0, 1).T.contiguous() for axis in range(2))  # (n, V M)
    squares = x.square() + y.square()
    across, level, away = (views[:, axis, 1].repeat_interleave(len(poses.points)) for axis in range(3))
    parts: list[tuple[Tensor, ...]] = []
    for first in range(0, len(slopes), _FRAMES):
        picture, w = slopes[first : first + _FRAMES], weight[first : first + _FRAMES]
        total = w.sum(1, keepdim=True)
        middle = (w[..., None] * picture).sum(1) / total
        u, v = ((picture - middle[:, None]) * w[..., None]).unbind(-1)
        size = (w[..., None] * (picture - middle[:, None]).square()).sum((1, 2))[:, None]
        mean_x, mean_y = w @ x / total, w @ y / total
        spread = (w @ squares - total * (mean_x.square() + mean_y.square())).clamp_min(1e-9)
        cosine, sine = u @ x + v @ y, v @ x - u @ y
        product = torch.hypot(cosine, sine).clamp_min(1e-9)
        cosine, sine = cosine / product, sine / product
        missed = (spread - product.square() / size.clamp_min(1e-12)).clamp_min(0)
        upright = up[0] * (cosine * across - sine * level) + up[1] * (sine * across + cosine * level) + up[2] * away
        cost = missed / (2 * SIGMA_M**2) + TURNED_COST * (1 - upright)
        cost, which = cost.topk(min(kept, cost.shape[1]), dim=1, largest=False)
        scale = (product / spread).gather(1, which)
        turns = _about_the_axis(cosine.gather(1, which), sine.gather(1, which))
        mean = torch.stack((mean_x.gather(1, which), mean_y.gather(1, which), torch.zeros_like(scale)), dim=-1)
        shift = middle[:, None] - scale[..., None] * (turns @ mean[..., None]).squeeze(-1)[..., :2]
        parts.append((cost, missed.gather(1, which) / total, scale, shift, which, turns))
    cost, missed, scale, shift, which, turns = (torch.cat(each) for each in zip(*parts, strict=True))
    view, pose = which // len(poses.points), which % len(poses.points)
    turns = turns @ views[view]
    points = centred(poses.points[pose] @ turns.mT)
    return Placed(cost, missed, scale, shift, turns @ poses.root[pose], poses.angles[pose], points)


def _all_directions() -> Tensor:
    """(V, 3, 3) from the world's axes, y up, to those of cameras that look from all over a sphere, evenly."""
    number = torch.arange(DIRECTIONS) + 0.5
    return views_from(torch.asin(1 - 2 * number / DIRECTIONS), number * math.pi * (3 - math.sqrt(5)))


def _about_the_axis(cosine: Tensor, sine: Tensor) -> Tensor:
    """(..., 3, 3) rotations about z."""
    zero, one = torch.zeros_like(cosine), torch.ones_like(cosine)
    return torch.stack((cosine, -sine, zero, sine, cosine, zero, zero, zero, one), dim=-1).reshape(*zero.shape, 3, 3)
