"""Which of many poses keypoints show, frame by frame, and which way through the frames is the likeliest.

A pose in front of a distant camera shows its points as s P x + t. The best scale s and shift t are known in closed
form, so that tens of thousands of candidates cost a few matrix products. The best of each frame form a trellis, in
which neighbours in time should have their joints and their scale alike: its best path (Viterbi 1967) is where a fit
starts, the mean over all paths (Baum et al. 1970) where the joints are thought to be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from poseworks.core.rotations import axis_angle_to_matrix

YAWS = 24
TILT_FRAMES, TILT_EVERY = 16, 4  # by how many frames, and every which pose, the camera's tilt is found
TILT_PITCHES_DEG = (-10.0, 0.0, 10.0, 20.0, 30.0)  # of a camera that looks down
TILT_ROLLS_DEG = (-30.0, -15.0, 0.0, 15.0, 30.0)
MEAN_PITCH_DEG, PITCH_SIGMA_DEG, ROLL_SIGMA_DEG = 5.0, 15.0, 10.0  # of cameras in general
SIGMA_M = 0.06  # by which the points of a person and of the nearest candidate usually differ
SPEED_M_S = 1.8  # of points against their mean
SCALE_RATE = 1.5  # of the logarithm of the scale, a second
KNOWN_SIGMA_M = 0.05  # of frames that were fitted before
KEPT = 100  # candidates of a frame
_FRAMES = 32  # matched at a time
_TO_CAMERA = torch.diag(torch.tensor((1.0, -1.0, -1.0)))  # y up, towards us -> y down, away


@dataclass(frozen=True, eq=False)
class Candidates:
    """M poses.

    Attributes:
        root: (M, 3, 3) rotations of the root.
        angles: (M, 24, 3) axis-angles; the root's are 0.
        points: (M, n, 3) metres, from the root joint.
    """

    root: Tensor
    angles: Tensor
    points: Tensor


def from_all_sides(upright: Candidates, pitches_deg: Sequence[float]) -> Candidates:
    """Upright poses, y up, as cameras see them that look down by these pitches, from all sides."""
    pitch, yaw = torch.meshgrid(
        torch.deg2rad(torch.tensor(pitches_deg)), torch.arange(YAWS) * (2 * math.pi / YAWS), indexing="ij"
    )
    views = views_from(pitch.flatten(), yaw.flatten())
    return Candidates(
        (views[:, None] @ upright.root).flatten(0, 1),
        upright.angles.repeat(len(views), 1, 1),
        torch.einsum("vab,npb->vnpa", views, upright.points).flatten(0, 1),
    )


def views_from(pitch: Tensor, yaw: Tensor) -> Tensor:
    """(V, 3, 3) from the world's axes, y up, to those of level cameras that look down by (V,) pitches, in radians."""
    zero = torch.zeros_like(yaw)
    tilted = axis_angle_to_matrix(torch.stack((pitch, zero, zero), dim=-1))
    return _TO_CAMERA @ tilted @ axis_angle_to_matrix(torch.stack((zero, yaw, zero), dim=-1))


def turned_towards(directions: Tensor) -> Tensor:
    """(T, 3, 3) the smallest rotations of camera axes after which (T, 2) slopes lie on the axis."""
    ray = torch.nn.functional.normalize(torch.cat((directions, torch.ones_like(directions[:, :1])), dim=1), dim=1)
    # From the ray to z about their cross product.
    axis = torch.stack((ray[:, 1], -ray[:, 0], torch.zeros_like(ray[:, 0])), dim=1)
    sine = axis.norm(dim=1, keepdim=True)
    return axis_angle_to_matrix(axis / sine.clamp_min(1e-9) * torch.atan2(sine, ray[:, 2:]))


def seen_turned(slopes: Tensor, turn: Tensor) -> Tensor:
    """(T, n, 2) slopes in the axes of cameras that are turned by (T, 3, 3)."""
    rays = torch.cat((slopes, torch.ones_like(slopes[..., :1])), dim=-1) @ turn.mT
    return rays[..., :2] / rays[..., 2:].clamp_min(0.05)


def camera_tilt(slopes: Tensor, confidence: Tensor, upright: Candidates) -> tuple[float, float]:
    """(pitch, roll) in degrees of a camera by which upright poses explain best what it sees.

    Args:
        slopes: (T, n, 2) in the axes of cameras that look at the person, as `match` takes them.
        confidence: (T, n).
        upright: poses, y up.
    """
    some = torch.linspace(0, len(slopes) - 1, min(TILT_FRAMES, len(slopes))).round().long()
    slopes, confidence = slopes[some], confidence[some]
    upright = Candidates(*(part[::TILT_EVERY] for part in (upright.root, upright.angles, upright.points)))
    level = from_all_sides(upright, (MEAN_PITCH_DEG,)).points
    nearness = match(slopes, confidence, level, kept=1).scale[:, 0]
    rolls = torch.tensor(TILT_ROLLS_DEG)
    turned = torch.cat([seen_turned(slopes, rolled(-roll).expand(len(some), 3, 3)) for roll in TILT_ROLLS_DEG])
    weight, nearness = confidence.repeat(len(rolls), 1), nearness.repeat(len(rolls))
    costs = []
    for pitch in TILT_PITCHES_DEG:
        points = from_all_sides(upright, (pitch,)).points
        cost = match(turned, weight, points, kept=1, nearness=nearness).cost.reshape(len(rolls), -1)
        # The median: a few frames on the ground or bent over do not tell how the camera stands.
        unusual = (pitch - MEAN_PITCH_DEG) ** 2 / (2 * PITCH_SIGMA_DEG**2) + rolls**2 / (2 * ROLL_SIGMA_DEG**2)
        costs.append(cost.median(dim=1).values + unusual)
    pitch, roll = divmod(int(torch.stack(costs).argmin()), len(rolls))
    return TILT_PITCHES_DEG[pitch], TILT_ROLLS_DEG[roll]


def rolled(degrees: float) -> Tensor:
    """(3, 3) rotation about the camera's axis, clockwise on screen."""
    return axis_angle_to_matrix(torch.tensor((0.0, 0.0, math.radians(degrees))))


@dataclass(frozen=True, eq=False)
class Matches:
    """The K best candidates of each of T frames.

    Attributes:
        cost: (T, K).
        which: (T, K) their numbers.
        scale: (T, K) slopes a metre: 1 / depth.
        shift: (T, K, 2) slope of the root joint.
    """

    cost: Tensor
    which: Tensor
    scale: Tensor
    shift: Tensor


def match(
    slopes: Tensor, confidence: Tensor, points: Tensor, kept: int = KEPT, nearness: Tensor | None = None
) -> Matches:
    """The candidates whose points lie best on what is seen.

    Args:
        slopes: (T, n, 2) places in the picture, 0 where not observed.
        confidence: (T, n); 0 where not observed, above 0 for two points at least.
        points: (M, n, 3).
        kept: how many of a frame, at most M.
        nearness: (T,) 1 / depth of the root, roughly, by which what lies before it looks larger; None: the camera is
            far away.
    """
    x, y, z = (points[..., axis].T.contiguous() for axis in range(3))  # (n, M)
    squares = x.square() + y.square()
    found: list[tuple[Tensor, ...]] = []
    for first in range(0, len(slopes), _FRAMES):
        seen, weight = slopes[first : first + _FRAMES], confidence[first : first + _FRAMES]
        total = weight.sum(1, keepdim=True)
        seen_x, seen_y = (weight[..., None] * seen).unbind(-1)
        longest = weight * seen.square().sum(-1)
        middle_x, middle_y, size = (part.sum(1, keepdim=True) for part in (seen_x, seen_y, longest))
        product = seen_x @ x + seen_y @ y
        if nearness is not None:  # from far away, all would be seen (1 + near z) times as far from the axis
            near = nearness[first : first + _FRAMES, None]
            middle_x, middle_y = middle_x + near * (seen_x @ z), middle_y + near * (seen_y @ z)
            product = product + near * (seen_x @ (x * z) + seen_y @ (y * z))
            size = size + 2 * near * (longest @ z) + near.square() * (longest @ z.square())
        middle = torch.stack((middle_x, middle_y), dim=-1) / total[..., None]
        mean = torch.stack((weight @ x, weight @ y), dim=-1) / total[..., None]
        product = product - total * (middle * mean).sum(-1)
        spread = weight @ squares - total * mean.square().sum(-1)
        cost, scale = _agreement(size - total * middle.square().sum(-1), product, spread)
        cost, which = cost.topk(min(kept, len(points)), dim=1, largest=False)
        scale = scale.gather(1, which)
        middle = middle.expand_as(mean).take_along_dim(which[..., None], dim=1)
        found.append((cost, which, scale, middle - scale[..., None] * mean.take_along_dim(which[..., None], dim=1)))
    return Matches(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def match_own(slopes: Tensor, confidence: Tensor, points: Tensor) -> Matches:
    """One candidate for each frame, its own.

    Args:
        slopes: (T, n, 2), as of `match`.
        confidence: (T, n), likewise.
        points: (T, n, 3).
    """
    weight = (confidence / confidence.sum(1, keepdim=True))[..., None]
    middle, mean = (weight * slopes).sum(1, keepdim=True), (weight * points[..., :2]).sum(1, keepdim=True)
    seen, own = slopes - middle, points[..., :2] - mean
    size, product, spread = (
        (confidence[..., None] * a * b).sum((1, 2))[:, None] for a, b in ((seen, seen), (seen, own), (own, own))
    )
    cost, scale = _agreement(size, product, spread)
    return Matches(cost, torch.arange(len(points))[:, None], scale, middle - scale[..., None] * mean)


def _agreement(size: Tensor, product: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Cost and scale from the weighted squares of what is seen, its products with candidates, and their squares."""
    spread = spread.clamp_min(1e-9)
    # What is missed, in squared metres: seen from the back to the person's size.
    missed = (spread - product * product.abs() / size.clamp_min(1e-12)).clamp_min(0)
    return missed / (2 * SIGMA_M**2), (product / spread).clamp_min(1e-6)


@dataclass(frozen=True, eq=False)
class Placed:
    """K candidates of each of T frames, where they are.

    Attributes:
        cost: (T, K).
        missed: (T, K) mean square of what their points miss, in square metres.
        scale: (T, K) slopes a metre: 1 / depth.
        shift: (T, K, 2) slope of the root joint.
        root: (T, K, 3, 3) rotations of the root.
        angles: (T, K, 24, 3) axis-angles; the root's are 0.
        points: (T, K, n, 3) metres, from their mean.
    """

    cost: Tensor
    missed: Tensor
    scale: Tensor
    shift: Tensor
    root: Tensor
    angles: Tensor
    points: Tensor

    @classmethod
    def of(cls, matches: Matches, candidates: Candidates, weight: Tensor) -> Placed:
        """The candidates that match points of (T, n) weight."""
        missed = matches.cost * 2 * SIGMA_M**2 / weight.sum(1, keepdim=True)
        parts = (part[matches.which] for part in (candidates.root, candidates.angles, candidates.points))
        root, angles, points = parts
        return cls(matches.cost, missed, matches.scale, matches.shift, root, angles, centred(points))

    def turned(self, turn: Tensor) -> Placed:
        """The same in the axes of cameras turned by (T, 3, 3); shifts stay as they are."""
        return replace(self, root=turn[:, None] @ self.root, points=self.points @ turn.mT[:, None])

    def __getitem__(self, which: Tensor | tuple[Tensor, Tensor]) -> Placed:
        """Some of the frames, or for (t, 1) frames (t, k) of their candidates."""
        return Placed(*(getattr(self, part.name)[which] for part in fields(self)))

    def joined(self, others: Placed) -> Placed:
        """These, and after them others of the same frames."""
        pairs = ((getattr(self, part.name), getattr(others, part.name)) for part in fields(self))
        return Placed(*(torch.cat(pair, dim=1) for pair in pairs))

    def with_others(self, frames: Tensor, others: Placed) -> Placed:
        """The same; in the frames that (T,) marks, which `others` are of, the K cheapest of these and those."""
        both = self[frames].joined(others)
        best = both.cost.topk(self.cost.shape[1], dim=1, largest=False).indices
        cheapest = both[torch.arange(len(best))[:, None], best]
        pairs = ((getattr(self, part.name), getattr(cheapest, part.name)) for part in fields(self))
        return Placed(*(mine.index_put((frames,), theirs) for mine, theirs in pairs))


@dataclass(frozen=True, eq=False)
class Trellis:
    """Candidates of T frames and what it costs to go from one to the next.

    Attributes:
        cost: (T, K) of a candidate.
        step: (T - 1, K, K) from one to the next.
    """

    cost: Tensor
    step: Tensor

    def best_path(self) -> Tensor:
        """(T,) the candidates of the cheapest path."""
        cost, came_from = self.cost[0], []
        for t, step in enumerate(self.step):
            cheapest, origin = (cost[:, None] + step).min(dim=0)
            came_from.append(origin)
            cost = cheapest + self.cost[t + 1]
        path = [cost.argmin()]
        for origin in reversed(came_from):
            path.append(origin[path[-1]])
        return torch.stack(path[::-1])

    def shares(self) -> Tensor:
        """(T, K) share of each candidate in all paths, where cost is minus the logarithm of a probability."""
        forward, backward = [-self.cost[0]], [torch.zeros_like(self.cost[0])]
        for t, step in enumerate(self.step):
            forward.append(torch.logsumexp(forward[-1][:, None] - step, dim=0) - self.cost[t + 1])
        for t in range(len(self.step) - 1, -1, -1):
            backward.append(torch.logsumexp(backward[-1] - self.step[t] - self.cost[t + 1], dim=1))
        return (torch.stack(forward) + torch.stack(backward[::-1])).softmax(dim=1)


def trellis(placed: Placed, seconds: Tensor, known: Tensor) -> Trellis:
    """The trellis of candidates.

    Args:
        placed: the candidates of T frames.
        seconds: (T,) when.
        known: (t, n, 3) points of the first frames, from their mean, where they are known; t may be 0.
    """
    points, log_scale = placed.points, placed.scale.log()
    flat = points.flatten(2)
    gap = (seconds[1:] - seconds[:-1])[:, None, None]
    moved = torch.cdist(flat[:-1], flat[1:]).square() / points.shape[2]
    scaled = (log_scale[:-1, :, None] - log_scale[1:, None, :]).square()
    step = 3 * moved / (2 * (SPEED_M_S * gap) ** 2) + scaled / (2 * (SCALE_RATE * gap) ** 2)
    apart = (points[: len(known)] - known[:, None]).square().sum(-1).mean(-1)
    cost = placed.cost.clone()
    cost[: len(known)] += 3 * apart / (2 * KNOWN_SIGMA_M**2)
    return Trellis(cost, step)


def centred(points: Tensor) -> Tensor:
    """(..., n, 3) points from their mean."""
    return points - points.mean(dim=-2, keepdim=True)
