"""Where a fit to the keypoints of one camera starts: the likeliest way through typical poses, or poses that are given.

Long clips are searched in chunks that overlap; a chunk goes on from where the one before it was, so that memory does
not grow with the clip.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.mesh_recovery.fitting.anyhow import explains_more, match_anyhow, missed_frames
from poseworks.mesh_recovery.fitting.folded import FoldedPoints
from poseworks.mesh_recovery.fitting.least_squares import Poses
from poseworks.mesh_recovery.fitting.matching import (
    Candidates,
    Placed,
    camera_tilt,
    from_all_sides,
    match,
    match_own,
    rolled,
    seen_turned,
    trellis,
    turned_towards,
    views_from,
)
from poseworks.mesh_recovery.fitting.typical_poses import typical_poses

CHUNK, OVERLAP = 240, 32  # frames
LEAST_POINTS = 4  # that a frame is matched by
SPREAD_M = 0.05  # of points, beyond the spread of the candidates
GIVEN_SPREAD_M = 0.03  # of points about poses that are given
HALF_PITCH_DEG = 5.0  # that candidates are seen from above and below the camera's pitch
MISSED_M, MISSED_FACTOR = 0.06, 4.0  # how far off points must be to make all less certain, and how much they do
MEDIAN_S = 0.25  # half the time over which the distance is evened out
_CERTAIN = 1e4


@dataclass(frozen=True, eq=False)
class Track:
    """What is seen of one person in T frames without a long gap.

    Attributes:
        slopes: (T, n, 2) places in the picture, x / z and y / z; 0 where not observed.
        confidence: (T, n), 0 where not observed; `LEAST_POINTS` are observed in the first and the last frame.
        given: (T, 24, 3) axis-angles in the camera's axes to start from, NaN where there are none; or None.
        feet: which of the n points rest on the ground at times; none: the ground is left out.
        fps: frames per second.
    """

    slopes: Tensor
    confidence: Tensor
    given: Tensor | None
    feet: tuple[int, ...]
    fps: float

    def __len__(self) -> int:
        return len(self.slopes)

    def trembling(self) -> float:
        """Standard deviation of a coordinate's noise, told by second differences; 0 if nothing tells it."""
        there = self.confidence > 0
        three = there[2:] & there[1:-1] & there[:-2]
        second = (self.slopes[2:] - 2 * self.slopes[1:-1] + self.slopes[:-2]).norm(dim=-1)[three]
        # Each coordinate has 6 times the variance; the median of the length is sqrt(2 ln 2) times its deviation.
        return float(second.median()) / 2.884 if len(second) else 0.0


@dataclass(frozen=True, eq=False)
class Start:
    """T frames to start from.

    Attributes:
        poses: in the camera's axes.
        depth: (T,) metres to the person.
        thought: (T, n, 3) where the points are thought to be, from their mean.
        certain: (T, n) 1 / variance of that, 0 where nothing is thought.
    """

    poses: Poses
    depth: Tensor
    thought: Tensor
    certain: Tensor


def find_start(track: Track, points: FoldedPoints, shape: Tensor, upright: Candidates) -> Start:
    """The start of a track.

    Args:
        track: what is seen.
        points: the n that are observed.
        shape: (K,) of the person.
        upright: poses, y up, with the same n points.
    """
    seen = torch.nonzero((track.confidence > 0).sum(1) >= LEAST_POINTS).flatten()
    weight = track.confidence[seen].square()
    middle = (weight[..., None] * track.slopes[seen]).sum(1) / weight.sum(1, keepdim=True)
    aim = turned_towards(middle)
    pitch, roll = camera_tilt(seen_turned(track.slopes[seen], aim), weight, upright)
    aim = rolled(-roll) @ aim
    candidates = from_all_sides(upright, (pitch - HALF_PITCH_DEG, pitch + HALF_PITCH_DEG))
    up = views_from(torch.deg2rad(torch.tensor([pitch])), torch.zeros(1))[0, :, 1]
    ways: list[_Way] = []
    first, known = 0, track.slopes.new_zeros(0, len(track.slopes[0]), 3)
    while True:
        last = min(first + CHUNK, len(seen))
        frames, turn = seen[first:last], aim[first:last]
        slopes, heavy = seen_turned(track.slopes[frames], turn), weight[first:last]
        placed = Placed.of(match(slopes, heavy, candidates.points), candidates, heavy)
        given = torch.zeros(len(frames), dtype=torch.bool)
        if track.given is not None:
            given = track.given[frames].isfinite().all(-1).all(-1)
        missed = missed_frames(placed, frames / track.fps) & ~given
        if missed.any():
            others = match_anyhow(slopes[missed], heavy[missed], upright, up)
            if explains_more(others, placed[missed]):
                placed = placed.with_others(missed, others)
        placed = placed.turned(turn.mT)
        if track.given is not None:
            placed = _own(track.given[frames], given, slopes, heavy, turn, points, shape).joined(placed)
        way = _best_way(track, frames, placed, given, known)
        ends = last == len(seen)
        ways.append(way[(OVERLAP // 2 if first else 0) : last - first - (0 if ends else OVERLAP // 2)])
        if ends:
            break
        known, first = way.points[-OVERLAP:], last - OVERLAP
    whole = _Way(*(torch.cat([getattr(way, part.name) for way in ways]) for part in fields(_Way)))
    log_depth = _evened(whole.log_depth, round(MEDIAN_S * track.fps))
    nearest = _nearest(seen, len(track))
    depth = log_depth[nearest].exp()
    pelvis = depth[:, None] * torch.cat((whole.shift, torch.ones_like(whole.shift[:, :1])), dim=1)[nearest]
    pelvis = (aim[nearest].mT @ pelvis[..., None]).squeeze(-1)
    rest = points.rest[0, 0] + shape @ points.rest[1:, 0]
    poses = Poses(shape, whole.root[nearest], whole.angles[nearest, 1:].flatten(1), pelvis - rest)
    thought = track.slopes.new_zeros(*track.confidence.shape, 3).index_copy_(0, seen, whole.mean)
    certain = torch.zeros_like(track.confidence).index_copy_(0, seen, whole.certain)
    return Start(poses, depth, thought, certain)


@dataclass(frozen=True, eq=False)
class _Way:
    """The best way through N frames, and the mean of all.

    Attributes:
        root: (N, 3, 3).
        angles: (N, 24, 3), 0 for the root.
        log_depth: (N,) along the line of sight to the person.
        shift: (N, 2) slope of the root joint, seen along that line.
        points: (N, n, 3) of the best, from their mean.
        mean: (N, n, 3) of all, likewise.
        certain: (N, n) 1 / variance about the mean.
    """

    root: Tensor
    angles: Tensor
    log_depth: Tensor
    shift: Tensor
    points: Tensor
    mean: Tensor
    certain: Tensor

    def __getitem__(self, frames: slice) -> _Way:
        return _Way(*(getattr(self, part.name)[frames] for part in fields(self)))


def _own(
    given: Tensor, there: Tensor, slopes: Tensor, weight: Tensor, aim: Tensor, points: FoldedPoints, shape: Tensor
) -> Placed:
    """The (T, 24, 3) poses that are given as one candidate a frame: before all others where (T,) there is one."""
    pose = torch.nan_to_num(given)
    root, angles = axis_angle_to_matrix(pose[:, 0]), torch.cat((0 * pose[:, :1], pose[:, 1:]), dim=1)
    placed = points_from_root(points, shape, root, angles)
    own = Placed.of(match_own(slopes, weight, placed @ aim.mT), Candidates(root, angles, placed), weight)
    return replace(own, cost=torch.where(there[:, None], -_CERTAIN, _CERTAIN), missed=torch.zeros_like(own.missed))


def _best_way(track: Track, seen: Tensor, placed: Placed, given: Tensor, known: Tensor) -> _Way:
    """The way through the frames `seen`, of which the points of the first ones are `known`.

    `placed` stand in the camera's axes; in the frames that are `given`, (N,), the first goes before all others.
    """
    ways = trellis(placed, seen / track.fps, known)
    frames, path, shares = torch.arange(len(seen)), ways.best_path(), ways.shares()
    mean = (shares[..., None, None] * placed.points).sum(1)
    spread = (shares[..., None, None] * (placed.points - mean[:, None]).square()).sum((1, 3))
    least = torch.where(given, GIVEN_SPREAD_M, SPREAD_M)[:, None].square()
    # Where even the likeliest poses miss what is seen, they tell little about the rest.
    missed = (shares * placed.missed).sum(1)
    least = least + MISSED_FACTOR * torch.where(given, 0, missed - MISSED_M**2).clamp_min(0)[:, None]
    return _Way(
        placed.root[frames, path],
        placed.angles[frames, path],
        -placed.scale[frames, path].log(),
        placed.shift[frames, path],
        placed.points[frames, path],
        mean,
        1 / (spread + least),
    )


def typical_candidates(points: FoldedPoints, shape: Tensor) -> Candidates:
    """The typical poses of a person of (K,) shape, y up."""
    poses = typical_poses()
    root, angles = axis_angle_to_matrix(poses[:, 0]), torch.cat((0 * poses[:, :1], poses[:, 1:]), dim=1)
    return Candidates(root, angles, points_from_root(points, shape, root, angles))


def points_from_root(points: FoldedPoints, shape: Tensor, root: Tensor, angles: Tensor) -> Tensor:
    """(N, n, 3) points from the root joint, of (N, 3, 3) rotations of the root and (N, 24, 3) angles of the others."""
    rotations = torch.cat((root[:, None], axis_angle_to_matrix(angles[:, 1:])), dim=1)
    placed = points.place(shape, rotations, angles.new_zeros(len(angles), 3))
    return placed.points - placed.placed[:, :1]


def _evened(values: Tensor, reach: int) -> Tensor:
    """(T,) medians over up to `reach` frames to either side."""
    padded = torch.cat((values[:1].expand(reach), values, values[-1:].expand(reach)))
    medians: Tensor = padded.unfold(0, 2 * reach + 1, 1).median(dim=-1).values
    return medians


def _nearest(seen: Tensor, count: int) -> Tensor:
    """(count,) which of the rising numbers `seen` is nearest to each of 0 to count - 1."""
    frames = torch.arange(count)
    if len(seen) == 1:
        return torch.zeros_like(frames)
    above = torch.searchsorted(seen, frames).clamp(1, len(seen) - 1)
    return torch.where(frames - seen[above - 1] <= seen[above] - frames, above - 1, above)
