"""A pose to begin a 3D fit with, straight from the directions of trunk and limbs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from poseworks.core.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from poseworks.mesh_recovery.fitting.folded import FoldedPoints
from poseworks.mesh_recovery.fitting.least_squares import Poses


@dataclass(frozen=True)
class _Limb:
    """Joints of the tree and points of a limb, and the axis at rest about which its middle bends forward."""

    upper: int
    lower: int
    points: tuple[str, str, str]
    hinge: tuple[float, float, float]


_LIMBS = tuple(
    _Limb(upper, lower, tuple(f"{side}_{name}" for name in names), hinge)  # type: ignore[arg-type]
    for side, upper, lower, names, hinge in (
        ("left", 1, 4, ("hip", "knee", "ankle"), (1.0, 0.0, 0.0)),
        ("right", 2, 5, ("hip", "knee", "ankle"), (1.0, 0.0, 0.0)),
        ("left", 16, 18, ("shoulder", "elbow", "wrist"), (0.0, -1.0, 0.0)),
        ("right", 17, 19, ("shoulder", "elbow", "wrist"), (0.0, 1.0, 0.0)),
    )
)
_TRUNK = ("left_hip", "right_hip", "left_shoulder", "right_shoulder", "thorax", "neck")
_STRAIGHT = 0.15  # sine of a bend at which the limb's own plane counts as much as the one of the trunk


def posed_from(points: FoldedPoints, names: Sequence[str], target: Tensor, shape: Tensor) -> Poses:
    """Poses that bring the limbs of a body to (N, n, 3) finite points named `names`.

    The trunk is turned as a whole (Kabsch 1976); thighs and upper arms point as they should, with the knee or elbow
    axis upright on the plane of the limb; what hangs on them follows by the smallest turn.
    """
    count = len(target)
    still = torch.eye(3).expand(1, 24, 3, 3)
    rest = points.place(shape, still, torch.zeros(1, 3)).points[0]
    index = {name: place for place, name in enumerate(names)}
    trunk = [index[name] for name in _TRUNK if name in index]
    if len(trunk) < 3:
        trunk = list(range(len(names)))
    root = _kabsch(rest[trunk], target[:, trunk])
    pose = torch.zeros(count, 69)
    for limb in _LIMBS:
        if not all(name in index for name in limb.points):
            continue
        a, b, c = (index[name] for name in limb.points)
        first, second = (_turned(root.mT, target[:, end] - target[:, start]) for start, end in ((a, b), (b, c)))
        upper = _aimed(rest[b] - rest[a], torch.tensor(limb.hinge), first, second)
        lower = _swing((rest[c] - rest[b]).expand(count, 3), _turned(upper.mT, second))
        for joint, turn in ((limb.upper, upper), (limb.lower, lower)):
            pose[:, 3 * (joint - 1) : 3 * joint] = matrix_to_axis_angle(turn)
    poses = Poses(shape, root, pose, torch.zeros(count, 3))
    placed = points.place(shape, poses.rotations(), poses.transl).points
    poses.transl = (target - placed)[:, trunk].mean(1)
    return poses


def _aimed(bone: Tensor, hinge: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """(N, 3, 3) turns of a bone with a hinge at its end, so that it points along `first` and bends to `second`."""
    axis = normalize(first, dim=-1)
    swung = _turned(_swing(bone.expand_as(first), first), hinge.expand_as(first))
    across = torch.linalg.cross(axis, normalize(second, dim=-1)) + _STRAIGHT * swung
    return _frame(axis, across) @ _frame(normalize(bone, dim=-1), hinge).mT


def _frame(axis: Tensor, across: Tensor) -> Tensor:
    """(..., 3, 3) columns: the axis, what of `across` is upright on it, and their product."""
    upright = normalize(across - (across * axis).sum(-1, keepdim=True) * axis, dim=-1)
    return torch.stack((axis, upright, torch.linalg.cross(axis, upright)), dim=-1)


def _swing(source: Tensor, target: Tensor) -> Tensor:
    """(N, 3, 3) smallest turns that bring (N, 3) directions to others."""
    a, b = normalize(source, dim=-1), normalize(target, dim=-1)
    cross = torch.linalg.cross(a, b)
    sine = torch.linalg.vector_norm(cross, dim=-1, keepdim=True)
    angle = torch.atan2(sine, (a * b).sum(-1, keepdim=True))
    return axis_angle_to_matrix(cross * (angle / sine.clamp_min(1e-6)))


def _kabsch(source: Tensor, target: Tensor) -> Tensor:
    """(N, 3, 3) rotations that bring (n, 3) points nearest to (N, n, 3) ones, about their means."""
    spread = (target - target.mean(1, keepdim=True)).mT @ (source - source.mean(0))
    u, _, v = torch.linalg.svd(spread)
    u[..., 2] *= torch.linalg.det(u @ v)[..., None]  # no mirror
    rotation: Tensor = u @ v
    return rotation


def _turned(rotations: Tensor, vectors: Tensor) -> Tensor:
    """(N, 3) vectors, each by its rotation."""
    return (rotations @ vectors[..., None]).squeeze(-1)
