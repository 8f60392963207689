"""Poses of frames that follow each other smoothly: Gauss-Newton steps of all frames at once.

    E = sum_t frame(t) + w/2 sum_t |x_(t-1) - 2 x_t + x_(t+1)|^2 + v/2 sum_t |a_(t-1) - 2 a_t + a_(t+1)|^2

x: points in metres, a: axis-angles. A frame is joined to the two before and behind it, so the matrix of a step is a
band of blocks, which is factorised block by block: exact, in a time that grows with the number of frames alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from poseworks.mesh_recovery.fitting.least_squares import FrameFit, Poses, chunks

_FRAMES = 512  # solved at a time, between frames that stand still


@dataclass(frozen=True)
class Smoothness:
    """Weights of squared second differences over time, of points (a metre) and of axis-angles (a radian)."""

    points: float
    angles: float

    def at(self, fps: float) -> Smoothness:
        """The same accelerations a second cost the same as they do here at 30 frames per second, between 10 and 60."""
        factor = (min(max(fps, 10.0), 60.0) / 30) ** 4
        return Smoothness(self.points * factor, self.angles * factor)


def solve_smoothly(fit: FrameFit, poses: Poses, smoothness: Smoothness, steps: int, enough: float = 1e-3) -> float:
    """Changes the poses in place by at most `steps` steps; returns the mean cost of a frame.

    It stops when a step lowers the cost by a smaller share than `enough`.
    """
    damping, cost = 1e-3, _cost(fit, poses, smoothness)
    for _ in range(steps):
        tried = Poses(poses.shape, poses.root.clone(), poses.pose.clone(), poses.transl.clone())
        for frames in _pieces(len(poses)):
            tried[frames] = fit.moved(tried[frames], -_step(fit, tried, frames, smoothness, damping))
        new = _cost(fit, tried, smoothness)
        if new < cost:
            poses[slice(None)] = tried
            damping = max(damping / 4, 1e-6)
            if cost - new < enough * abs(cost):
                return new
            cost = new
        else:
            damping *= 16
    return cost


def _pieces(count: int) -> list[slice]:
    return [slice(start, min(start + _FRAMES, count)) for start in range(0, count, _FRAMES)]


def _cost(fit: FrameFit, poses: Poses, smoothness: Smoothness) -> float:
    """Mean of a frame, with the smoothness."""
    total, points = 0.0, []
    for frames in chunks(len(poses)):
        placed = fit.placed(poses[frames])
        total += float(fit.cost(poses[frames], placed, frames).sum())
        points.append(placed.points)
    if len(poses) > 2:
        total += 0.5 * smoothness.points * float(_bends(torch.cat(points)).square().sum())
        total += 0.5 * smoothness.angles * float(_bends(poses.pose).square().sum())
    return total / len(poses)


def _step(fit: FrameFit, poses: Poses, piece: slice, smoothness: Smoothness, damping: float) -> Tensor:
    """(N, P) step down of the frames of a piece, while the others stand still."""
    around = slice(max(piece.start - 2, 0), min(piece.stop + 2, len(poses)))
    inner = slice(piece.start - around.start, piece.stop - around.start)
    points = fit.placed(poses[around]).points.flatten(1)
    pose = poses.pose[around][:, fit.turning]
    parts = []
    for chunk in chunks(piece.stop - piece.start):
        frames = slice(piece.start + chunk.start, piece.start + chunk.stop)
        now = poses[frames]
        parts.append(fit.normal(now, fit.placed(now), frames))
    matrix = torch.cat([part.matrix for part in parts])
    gradient = torch.cat([part.right[..., 0] for part in parts])
    rows = torch.cat([part.rows for part in parts])
    turned = slice(3, 3 + pose.shape[1])

    gradient += smoothness.points * torch.einsum("trp,tr->tp", rows, _bend_gradient(points)[inner])
    gradient[:, turned] += smoothness.angles * _bend_gradient(pose)[inner]
    same, one, two = (coefficients[piece] for coefficients in _band(len(poses)))
    first, second = one[:-1, None, None], two[:-2, None, None]
    matrix += smoothness.points * same[:, None, None] * (rows.mT @ rows)
    next_one = smoothness.points * first * (rows[:-1].mT @ rows[1:])
    next_two = smoothness.points * second * (rows[:-2].mT @ rows[2:])
    for block, coefficients in ((matrix, same), (next_one, one[:-1]), (next_two, two[:-2])):
        diagonal = block.diagonal(dim1=1, dim2=2)[:, turned]
        diagonal += smoothness.angles * coefficients[:, None]
    matrix.diagonal(dim1=1, dim2=2).mul_(1 + damping).add_(1e-3 * damping + 1e-4)
    return _solve_band(matrix.double(), next_one.double(), next_two.double(), gradient.double()).to(gradient.dtype)


def _solve_band(matrix: Tensor, next_one: Tensor, next_two: Tensor, right: Tensor) -> Tensor:
    """(T, P) solution of a symmetric band of blocks: (T, P, P) on the diagonal, (T - 1) and (T - 2) beside it."""
    count, size = right.shape
    factors: list[Tensor] = []
    ones: list[Tensor] = []
    twos: list[Tensor] = []
    forward: list[Tensor] = []
    for t in range(count):
        block, side, value = matrix[t], next_one[t] if t + 1 < count else None, right[t]
        if t:
            block = block - ones[t - 1].mT @ ones[t - 1]
            value = value - ones[t - 1].mT @ forward[t - 1]
            if side is not None:
                side = side - ones[t - 1].mT @ twos[t - 1]
        if t > 1:
            block = block - twos[t - 2].mT @ twos[t - 2]
            value = value - twos[t - 2].mT @ forward[t - 2]
        factor = torch.linalg.cholesky(block)
        beside = [value[:, None]]
        if side is not None:
            beside.append(side)
        if t + 2 < count:
            beside.append(next_two[t])
        solved = torch.linalg.solve_triangular(factor, torch.cat(beside, dim=1), upper=False)
        factors.append(factor)
        forward.append(solved[:, 0])
        ones.append(solved[:, 1 : 1 + size])
        twos.append(solved[:, 1 + size :])
    found: list[Tensor] = [right[0]] * count
    for t in range(count - 1, -1, -1):
        value = forward[t]
        if t + 1 < count:
            value = value - ones[t] @ found[t + 1]
        if t + 2 < count:
            value = value - twos[t] @ found[t + 2]
        found[t] = torch.linalg.solve_triangular(factors[t].mT, value[:, None], upper=True)[:, 0]
    return torch.stack(found)


def _bends(x: Tensor) -> Tensor:
    """(T - 2, ...) second differences."""
    return x[:-2] - 2 * x[1:-1] + x[2:]


def _bend_gradient(x: Tensor) -> Tensor:
    """(T, ...) gradient of half the sum of squared second differences."""
    gradient = torch.zeros_like(x)
    if len(x) > 2:
        bends = _bends(x)
        gradient[:-2] += bends
        gradient[1:-1] -= 2 * bends
        gradient[2:] += bends
    return gradient


def _band(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """(T,) each: what a frame has with itself, with the next and the one behind that in D^T D, D second differences."""
    middle = torch.zeros(count + 3)  # 1 where a frame is the middle of three, one place later
    middle[2:count] = 1
    here, before, behind = middle[1 : count + 1], middle[:count], middle[2 : count + 2]
    return before + 4 * here + behind, -2 * (here + behind), behind
