"""Poses of all frames of a person by damped Gauss-Newton steps (Levenberg 1944, Marquardt 1963), shape in common.

Each frame has its own turns and place; what all frames share (shape, offsets of points) is eliminated by the Schur
complement, so that a step costs one small factorisation a frame:

    [H_t  C_t] [d_t]     [g_t]        (S - sum C_tT H_t^-1 C_t) d = -(g - sum C_tT H_t^-1 g_t)
    [C_tT S  ] [d  ] = - [g  ]        d_t = -H_t^-1 (g_t + C_t d)

Smoothness joins neighbouring frames. It is bounded from above by a parabola in each frame alone (the curvature of a
squared second difference is at most 16), so that a step never needs more than the frames before it gave.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.mesh_recovery.fitting.folded import FoldedPoints, Placed

_FRAMES = 256  # solved at a time: what they need stays near the processor
_CURVATURE = 16.0  # the largest of a squared second difference


@dataclass(frozen=True, eq=False)
class Bent:
    """A term at some values of its variables: (N,) cost, gradient of the same shape as the variables, curvature."""

    cost: Tensor
    gradient: Tensor
    curvature: Tensor


class PointTerm(Protocol):
    """What points should be."""

    def __call__(self, points: Tensor, frames: slice) -> Bent:
        """Of (N, n, 3) points of these frames; its curvature is (N, n) times identity or (N, n, 3, 3)."""
        ...


class PoseTerm(Protocol):
    """What axis-angles should be."""

    def __call__(self, pose: Tensor) -> Bent:
        """Of (N, 69) axis-angles of joints 1 to 23; its curvature is (N, 69) on the diagonal or (N, 69, 69)."""
        ...


@dataclass(eq=False)
class Poses:
    """Parameters of N frames.

    Attributes:
        shape: (K,) common to all.
        root: (N, 3, 3) rotations of the root.
        pose: (N, 69) axis-angles of joints 1 to 23.
        transl: (N, 3).
    """

    shape: Tensor
    root: Tensor
    pose: Tensor
    transl: Tensor

    def __getitem__(self, frames: slice | Tensor) -> Poses:
        return Poses(self.shape, self.root[frames], self.pose[frames], self.transl[frames])

    def __setitem__(self, frames: slice | Tensor, other: Poses) -> None:
        self.root[frames], self.pose[frames], self.transl[frames] = other.root, other.pose, other.transl

    def __len__(self) -> int:
        return len(self.root)

    def rotations(self) -> Tensor:
        """(N, 24, 3, 3)."""
        return torch.cat((self.root[:, None], axis_angle_to_matrix(self.pose.reshape(-1, 23, 3))), dim=1)


@dataclass(frozen=True)
class Smoothness:
    """Weights of squared second differences over time, of points (a metre) and of axis-angles (a radian)."""

    points: float = 0.0
    angles: float = 0.0


class FrameFit:
    """The terms of a fit, and the steps that lower them."""

    def __init__(
        self,
        points: FoldedPoints,
        data: PointTerm,
        pose_terms: tuple[PoseTerm, ...],
        shape_pull: Tensor,
        smoothness: Smoothness = Smoothness(),
        joints: tuple[int, ...] = (),
    ) -> None:
        """The fit of some points.

        Args:
            points: of the body.
            data: what they should be.
            pose_terms: what the axis-angles should be.
            shape_pull: (K,) weight of each squared shape coefficient, a frame.
            smoothness: over frames that follow each other.
            joints: that turn; none: those that move points.
        """
        self.points, self.data, self.pose_terms = points, data, pose_terms
        self.shape_pull, self.smoothness = shape_pull, smoothness
        self.joints = list(joints) or points.moved_by
        self._turning = torch.tensor([3 * (j - 1) + axis for j in self.joints if j for axis in range(3)])

    def solve(self, poses: Poses, steps: int, *, free_shape: bool = False, enough: float = 1e-3) -> float:
        """Changes the poses in place for at most `steps` steps, and returns the mean cost of a frame.

        Args:
            poses: where it begins.
            steps: how many at most.
            free_shape: the shape moves too.
            enough: it stops when a step lowers the cost by a smaller share.
        """
        damping = poses.transl.new_full((len(poses),), 1e-2)
        cost = poses.transl.new_full((len(poses),), torch.inf)
        before = float("inf")
        for _ in range(steps):
            if free_shape:
                self._shared_step(poses, damping, cost)
            else:
                self._frame_steps(poses, damping, cost)
            mean = float(cost.mean())
            if before - mean < enough * abs(mean):
                break
            before = mean
        return mean

    def placed(self, poses: Poses) -> Placed:
        """The body in these poses."""
        return self.points.place(poses.shape, poses.rotations(), poses.transl)

    def _frame_steps(self, poses: Poses, damping: Tensor, cost: Tensor) -> None:
        """One step of each frame, kept where it lowers the frame's cost."""
        pulls = self._smoothing(poses)
        for frames in chunks(len(poses)):
            now = poses[frames]
            placed = self.placed(now)
            normal = self._normal(now, placed, frames, pulls)
            solved = _solved(normal, damping[frames])
            tried = self._moved(now, -solved[..., 0])
            new = self._cost(tried, self.placed(tried), frames, pulls, now, placed.points)
            better = new < normal.cost
            poses[frames] = Poses(
                now.shape,
                *(
                    torch.where(better.view(-1, *[1] * (a.ndim - 1)), a, b)
                    for a, b in ((tried.root, now.root), (tried.pose, now.pose), (tried.transl, now.transl))
                ),
            )
            damping[frames] = torch.where(better, damping[frames] / 4, damping[frames] * 8).clamp(1e-6, 1e6)
            cost[frames] = torch.where(better, new, normal.cost)

    def _shared_step(self, poses: Poses, damping: Tensor, cost: Tensor) -> None:
        """One step of all frames and of the shape, kept where it lowers the sum of all costs."""
        count = len(poses.shape)
        pulls = self._smoothing(poses)
        pull = self.shape_pull * len(poses)
        schur, right = torch.diag(pull), pull * poses.shape
        steps, old = [], []
        for frames in chunks(len(poses)):
            now = poses[frames]
            placed = self.placed(now)
            normal = self._normal(now, placed, frames, pulls, with_shape=True)
            solved = _solved(normal, damping[frames])
            schur = schur + normal.shared - torch.einsum("tpi,tpj->ij", normal.right[..., 1:], solved[..., 1:])
            right = right + normal.shared_gradient - torch.einsum("tpi,tp->i", normal.right[..., 1:], solved[..., 0])
            steps.append(solved)
            old.append(normal.cost)
        step = -torch.linalg.solve(schur + 1e-6 * torch.eye(count), right)
        tried = Poses(poses.shape + step, poses.root.clone(), poses.pose.clone(), poses.transl.clone())
        new = []
        for frames, solved in zip(chunks(len(poses)), steps, strict=True):
            now = poses[frames]
            moved = self._moved(now, -solved[..., 0] - solved[..., 1:] @ step)
            tried[frames] = moved
            moved.shape = tried.shape
            new.append(self._cost(moved, self.placed(moved), frames, pulls, now, self.placed(now).points))
        shape_costs = [0.5 * float((self.shape_pull * shape.square()).sum()) for shape in (poses.shape, tried.shape)]
        before, after = torch.cat(old) + shape_costs[0], torch.cat(new) + shape_costs[1]
        if after.mean() < before.mean():
            poses.shape = tried.shape
            poses[slice(None)] = tried
            cost.copy_(after)
            damping.copy_(torch.where(after < before, damping / 4, damping * 2).clamp(1e-6, 1e6))
        else:
            cost.copy_(before)
            damping.mul_(8)

    def _smoothing(self, poses: Poses) -> _Pulls | None:
        """Gradients of the smoothness at these poses."""
        weights = self.smoothness
        if not (weights.points or weights.angles) or len(poses) < 3:
            return None
        points = torch.cat([self.placed(poses[frames]).points for frames in chunks(len(poses))])
        return _Pulls(weights.points * _second_differences(points), weights.angles * _second_differences(poses.pose))

    def _bent(self, points: Tensor, frames: slice, pulls: _Pulls | None, before: Tensor) -> Bent:
        """The data term with the smoothness of the points."""
        bent = self.data(points, frames)
        if pulls is None:
            return bent
        moved, pull, weight = points - before, pulls.points[frames], _CURVATURE * self.smoothness.points
        identity = weight if bent.curvature.ndim == 2 else weight * torch.eye(3)
        return Bent(
            bent.cost + (moved * (pull + weight / 2 * moved)).sum((1, 2)),
            bent.gradient + pull + weight * moved,
            bent.curvature + identity,
        )

    def _pose_bent(self, pose: Tensor, frames: slice, pulls: _Pulls | None, before: Tensor) -> list[Bent]:
        """The terms of the axis-angles with their smoothness."""
        bents = [term(pose) for term in self.pose_terms]
        if pulls is not None:
            moved, pull, weight = pose - before, pulls.pose[frames], _CURVATURE * self.smoothness.angles
            curvature = torch.full_like(pose, weight)
            bents.append(Bent((moved * (pull + weight / 2 * moved)).sum(1), pull + weight * moved, curvature))
        return bents

    def _cost(
        self, tried: Poses, placed: Placed, frames: slice, pulls: _Pulls | None, now: Poses, before: Tensor
    ) -> Tensor:
        """(N,) cost of each frame, the smoothness by its bound around `now`."""
        cost = self._bent(placed.points, frames, pulls, before).cost
        return cost + sum(bent.cost for bent in self._pose_bent(tried.pose, frames, pulls, now.pose))

    def _normal(
        self, now: Poses, placed: Placed, frames: slice, pulls: _Pulls | None, with_shape: bool = False
    ) -> _Normal:
        """Normal equations of each frame."""
        points = placed.points
        bent = self._bent(points, frames, pulls, points)
        jacobian = self._jacobian(now, placed)  # (N, n, 3, P)
        rows = jacobian.flatten(1, 2)
        weighted = _weighted(bent.curvature, jacobian).flatten(1, 2)
        matrix = weighted.mT @ rows
        gradient = (rows.mT @ bent.gradient.flatten(1)[..., None]).squeeze(-1)
        cost = bent.cost
        turned = slice(3, 3 + len(self._turning))
        for term in self._pose_bent(now.pose, frames, pulls, now.pose):
            cost = cost + term.cost
            gradient[:, turned] += term.gradient[:, self._turning]
            if term.curvature.ndim == 2:
                matrix[:, turned, turned].diagonal(dim1=1, dim2=2).add_(term.curvature[:, self._turning])
            else:
                matrix[:, turned, turned] += term.curvature[:, self._turning[:, None], self._turning]
        if not with_shape:
            nothing = gradient.new_zeros(0)
            return _Normal(cost, matrix, gradient[..., None], nothing.reshape(0, 0), nothing)
        directions = self.points.by_shape(placed)
        shaped = directions.flatten(1, 2)
        return _Normal(
            cost,
            matrix,
            torch.cat((gradient[..., None], weighted.mT @ shaped), dim=2),
            torch.einsum("tri,trj->ij", _weighted(bent.curvature, directions).flatten(1, 2), shaped),
            torch.einsum("tri,tr->i", shaped, bent.gradient.flatten(1)),
        )

    def _jacobian(self, now: Poses, placed: Placed) -> Tensor:
        """(N, n, 3, P) of the points by the root's turn, the other turns, and the place."""
        levers = self.points.by_turns(placed, self.joints)  # (N, n, A, 3)
        axes = placed.turned[:, self.joints].clone()  # the world's turn for one unit of each parameter, in columns
        axes[:, 1:] = axes[:, 1:] @ _right_jacobian(now.pose[:, self._turning].reshape(len(now), -1, 3))
        x, y, z = levers[..., None].unbind(3)
        u, v, w = axes[:, None].unbind(3)
        turns = torch.stack((v * z - w * y, w * x - u * z, u * y - v * x), dim=2).flatten(3)
        place = torch.eye(3).expand(*turns.shape[:2], 3, 3)
        return torch.cat((turns, place), dim=3)

    def _moved(self, now: Poses, step: Tensor) -> Poses:
        """The poses after a step of (N, P)."""
        turns = len(self._turning)
        pose = now.pose.index_add(1, self._turning, step[:, 3 : 3 + turns])
        root = now.root @ axis_angle_to_matrix(step[:, :3])
        return Poses(now.shape, root, pose, now.transl + step[:, 3 + turns :])


@dataclass(frozen=True, eq=False)
class _Pulls:
    """Gradients of the smoothness: (N, n, 3) of points, (N, 69) of axis-angles."""

    points: Tensor
    pose: Tensor


@dataclass(frozen=True, eq=False)
class _Normal:
    """(N,) costs, (N, P, P) matrices, (N, P, 1 or 1 + K) right sides; what the shape adds, (K, K) and (K,)."""

    cost: Tensor
    matrix: Tensor
    right: Tensor
    shared: Tensor
    shared_gradient: Tensor


def chunks(count: int) -> Iterator[slice]:
    """Slices of frames that are worked on at a time."""
    return (slice(start, min(start + _FRAMES, count)) for start in range(0, count, _FRAMES))


def _weighted(curvature: Tensor, rows: Tensor) -> Tensor:
    """(N, n, 3, P) rows times the curvature of their points."""
    return curvature[..., None, None] * rows if curvature.ndim == 2 else curvature @ rows


def _solved(normal: _Normal, damping: Tensor) -> Tensor:
    """Solutions of the damped equations."""
    matrix = normal.matrix
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    matrix.diagonal(dim1=1, dim2=2).copy_(diagonal * (1 + damping[:, None]) + 1e-3 * damping[:, None] + 1e-4)
    factor, fault = torch.linalg.cholesky_ex(matrix)
    solved = torch.cholesky_solve(normal.right, factor)
    return torch.where((fault == 0)[:, None, None], solved, torch.zeros_like(solved))


def _right_jacobian(turn: Tensor) -> Tensor:
    """(..., 3, 3): exp(a + d) = exp(a) exp(J d) for small d."""
    squared = turn.square().sum(-1)[..., None, None]
    small = squared < 1e-4
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    first = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / angle**2)
    second = torch.where(small, 1 / 6 - squared / 120, (angle - angle.sin()) / angle**3)
    x, y, z = turn.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).reshape(*turn.shape, 3)
    jacobian: Tensor = torch.eye(3) - first * cross + second * (cross @ cross)
    return jacobian


def _second_differences(x: Tensor) -> Tensor:
    """Gradient of half the sum of squared second differences of (T, ...), T >= 3."""
    bend = x[:-2] - 2 * x[1:-1] + x[2:]
    gradient = torch.zeros_like(x)
    gradient[:-2] += bend
    gradient[1:-1] -= 2 * bend
    gradient[2:] += bend
    return gradient
