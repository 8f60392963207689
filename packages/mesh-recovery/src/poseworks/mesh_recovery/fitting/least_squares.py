"""Poses of all frames of a person by damped Gauss-Newton steps (Levenberg 1944, Marquardt 1963), shape in common.

Each frame has its own turns and place; what all frames share (shape, offsets of points) is eliminated by the Schur
complement, so that a step costs one small factorisation a frame:

    [H_t  C_t] [d_t]     [g_t]        (S - sum C_tT H_t^-1 C_t) d = -(g - sum C_tT H_t^-1 g_t)
    [C_tT S  ] [d  ] = - [g  ]        d_t = -H_t^-1 (g_t + C_t d)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.mesh_recovery.fitting.folded import FoldedPoints, Placed

_FRAMES = 256  # solved at a time: what they need stays near the processor


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

    @classmethod
    def joined(cls, parts: Sequence[Poses]) -> Poses:
        """The frames of several poses of one shape."""
        names = ("root", "pose", "transl")
        return cls(parts[0].shape, *(torch.cat([getattr(part, name) for part in parts]) for name in names))

    def where(self, kept: Tensor, other: Poses) -> Poses:
        """These in the frames that are `kept`, (N,), else the others."""
        pairs = ((self.root, other.root), (self.pose, other.pose), (self.transl, other.transl))
        return Poses(self.shape, *(torch.where(kept.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs))

    def rotations(self) -> Tensor:
        """(N, 24, 3, 3)."""
        return torch.cat((self.root[:, None], axis_angle_to_matrix(self.pose.reshape(-1, 23, 3))), dim=1)


class FrameFit:
    """The terms of a fit, and the steps that lower them."""

    def __init__(
        self,
        points: FoldedPoints,
        data: PointTerm,
        pose_terms: tuple[PoseTerm, ...],
        shape_pull: Tensor,
        joints: tuple[int, ...] = (),
    ) -> None:
        """The fit of some points.

        Args:
            points: of the body.
            data: what they should be.
            pose_terms: what the axis-angles should be.
            shape_pull: (K,) weight of each squared shape coefficient, a frame.
            joints: that turn; none: those that move points.
        """
        self.points, self.data, self.pose_terms = points, data, pose_terms
        self.shape_pull = shape_pull
        self.joints = list(joints) or points.moved_by
        self.turning = torch.tensor([3 * (j - 1) + axis for j in self.joints if j for axis in range(3)])

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

    def cost(self, poses: Poses, placed: Placed, frames: slice) -> Tensor:
        """(N,) cost of each frame."""
        return sum((term(poses.pose).cost for term in self.pose_terms), self.data(placed.points, frames).cost)

    def normal(self, now: Poses, placed: Placed, frames: slice, *, with_shape: bool = False) -> Normal:
        """Normal equations of each frame."""
        bent = self.data(placed.points, frames)
        jacobian = self._jacobian(now, placed)  # (N, n, 3, P)
        rows = jacobian.flatten(1, 2)
        weighted = _weighted(bent.curvature, jacobian).flatten(1, 2)
        matrix = weighted.mT @ rows
        gradient = (rows.mT @ bent.gradient.flatten(1)[..., None]).squeeze(-1)
        cost = bent.cost
        turned = slice(3, 3 + len(self.turning))
        for term in self.pose_terms:
            part = term(now.pose)
            cost = cost + part.cost
            gradient[:, turned] += part.gradient[:, self.turning]
            if part.curvature.ndim == 2:
                matrix[:, turned, turned].diagonal(dim1=1, dim2=2).add_(part.curvature[:, self.turning])
            else:
                matrix[:, turned, turned] += part.curvature[:, self.turning[:, None], self.turning]
        if not with_shape:
            nothing = gradient.new_zeros(0)
            return Normal(cost, matrix, gradient[..., None], rows, nothing.reshape(0, 0), nothing)
        directions = self.points.by_shape(placed)
        shaped = directions.flatten(1, 2)
        return Normal(
            cost,
            matrix,
            torch.cat((gradient[..., None], weighted.mT @ shaped), dim=2),
            rows,
            torch.einsum("tri,trj->ij", _weighted(bent.curvature, directions).flatten(1, 2), shaped),
            torch.einsum("tri,tr->i", shaped, bent.gradient.flatten(1)),
        )

    def moved(self, now: Poses, step: Tensor) -> Poses:
        """The poses after a step of (N, P): the root's turn, the other turns, the place."""
        turns = len(self.turning)
        pose = now.pose.index_add(1, self.turning, step[:, 3 : 3 + turns])
        root = now.root @ axis_angle_to_matrix(step[:, :3])
        return Poses(now.shape, root, pose, now.transl + step[:, 3 + turns :])

    def _frame_steps(self, poses: Poses, damping: Tensor, cost: Tensor) -> None:
        """One step of each frame, kept where it lowers the frame's cost."""
        for frames in chunks(len(poses)):
            now = poses[frames]
            normal = self.normal(now, self.placed(now), frames)
            tried = self.moved(now, -_solved(normal, damping[frames])[..., 0])
            new = self.cost(tried, self.placed(tried), frames)
            better = new < normal.cost
            poses[frames] = tried.where(better, now)
            damping[frames] = _damped(damping[frames], better)
            cost[frames] = torch.where(better, new, normal.cost)

    def _shared_step(self, poses: Poses, damping: Tensor, cost: Tensor) -> None:
        """One step of all frames and of the shape, kept where it lowers the sum of all costs."""
        pull = self.shape_pull * len(poses)
        schur, right = torch.diag(pull + 1e-6), pull * poses.shape
        solutions, old = [], []
        for frames in chunks(len(poses)):
            now = poses[frames]
            normal = self.normal(now, self.placed(now), frames, with_shape=True)
            solved = _solved(normal, damping[frames])
            schur = schur + normal.shared - torch.einsum("tpi,tpj->ij", normal.right[..., 1:], solved[..., 1:])
            right = right + normal.shared_gradient - torch.einsum("tpi,tp->i", normal.right[..., 1:], solved[..., 0])
            solutions.append(solved)
            old.append(normal.cost)
        step = -torch.linalg.solve(schur, right)
        parts, new = [], []
        for frames, solved in zip(chunks(len(poses)), solutions, strict=True):
            tried = self.moved(poses[frames], -solved[..., 0] - solved[..., 1:] @ step)
            tried.shape = poses.shape + step
            parts.append(tried)
            new.append(self.cost(tried, self.placed(tried), frames))
        pulled = [0.5 * (self.shape_pull * shape.square()).sum() for shape in (poses.shape, poses.shape + step)]
        before, after = torch.cat(old) + pulled[0], torch.cat(new) + pulled[1]
        kept = bool(after.mean() < before.mean())
        if kept:
            poses.shape = poses.shape + step
            for frames, tried in zip(chunks(len(poses)), parts, strict=True):
                poses[frames] = tried
        damping.copy_(_damped(damping, torch.tensor(kept) & (after <= before)))
        cost.copy_(after if kept else before)

    def _jacobian(self, now: Poses, placed: Placed) -> Tensor:
        """(N, n, 3, P) of the points by the root's turn, the other turns, and the place."""
        levers = self.points.by_turns(placed, self.joints)  # (N, n, A, 3)
        axes = placed.turned[:, self.joints].clone()  # the world's turn for one unit of each parameter, in columns
        axes[:, 1:] = axes[:, 1:] @ _right_jacobian(now.pose[:, self.turning].reshape(len(now), -1, 3))
        x, y, z = levers[..., None].unbind(3)
        u, v, w = axes[:, None].unbind(3)
        turns = torch.stack((v * z - w * y, w * x - u * z, u * y - v * x), dim=2).flatten(3)
        place = torch.eye(3).expand(*turns.shape[:2], 3, 3)
        return torch.cat((turns, place), dim=3)


@dataclass(frozen=True, eq=False)
class Normal:
    """Normal equations of N frames with P parameters each and K in common.

    Attributes:
        cost: (N,).
        matrix: (N, P, P).
        right: (N, P, 1 + K) gradient, and the products with what is in common; (N, P, 1) without that.
        rows: (N, 3 n, P) Jacobian of the points.
        shared: (K, K) of what is in common.
        shared_gradient: (K,).
    """

    cost: Tensor
    matrix: Tensor
    right: Tensor
    rows: Tensor
    shared: Tensor
    shared_gradient: Tensor


def chunks(count: int) -> Iterator[slice]:
    """Slices of frames that are worked on at a time."""
    return (slice(start, min(start + _FRAMES, count)) for start in range(0, count, _FRAMES))


def _weighted(curvature: Tensor, rows: Tensor) -> Tensor:
    """(N, n, 3, P) rows times the curvature of their points."""
    return curvature[..., None, None] * rows if curvature.ndim == 2 else curvature @ rows


def _solved(normal: Normal, damping: Tensor) -> Tensor:
    """Solutions of the damped equations."""
    matrix = normal.matrix
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    matrix.diagonal(dim1=1, dim2=2).copy_(diagonal * (1 + damping[:, None]) + 1e-3 * damping[:, None] + 1e-4)
    factor, fault = torch.linalg.cholesky_ex(matrix)
    solved = torch.cholesky_solve(normal.right, factor)
    return torch.where((fault == 0)[:, None, None], solved, torch.zeros_like(solved))


def _damped(damping: Tensor, better: Tensor) -> Tensor:
    """The damping of the next step: less where this one was kept."""
    return torch.where(better, damping / 4, damping * 8).clamp(1e-6, 1e6)


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
