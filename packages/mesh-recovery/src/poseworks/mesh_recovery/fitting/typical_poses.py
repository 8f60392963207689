"""Poses that people take, some hundreds of them, from which fits to a picture start. Read with pickles refused.

angles   (N, M, 3) int16  axis-angles in 2e-4 radians; the root's first, without its turn about y
joints   (M,) int         numbers of these joints among the 24; the others are 0
licence  str              where the poses come from
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from poseworks.core.body_models import SMPL
from poseworks.core.errors import ShapeError
from poseworks.core.formats.reading import read_npz, write_npz
from poseworks.core.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from poseworks.core.skeletons import SMPL_24

UNIT = 2e-4
"""Radians of one step of the file's whole numbers."""


@cache
def typical_poses() -> Tensor:
    """(2 N, 24, 3) axis-angles of upright people, y up, facing +z at large: those of the file, then their mirrors."""
    with as_file(files("poseworks.mesh_recovery.fitting") / "data" / "typical_poses.npz") as path:
        arrays = read_npz(path)
    poses = torch.zeros(len(arrays["angles"]), 24, 3)
    poses[:, arrays["joints"].tolist()] = torch.tensor(arrays["angles"], dtype=torch.float32) * UNIT
    return torch.cat((poses, mirrored(poses)))


def write_typical_poses(poses: Tensor, joints: Sequence[int], licence: str, path: Path) -> None:
    """Writes (N, 24, 3) poses, of which only `joints` are kept."""
    steps = torch.round(poses[:, list(joints)] / UNIT)
    angles = steps.clamp(-32767, 32767).numpy().astype(np.int16)
    write_npz(path, {"angles": angles, "joints": np.array(joints, dtype=np.int64), "licence": licence})


def choose_typical(poses: Tensor, body: SMPL, count: int, generator: torch.Generator, rounds: int = 25) -> Tensor:
    """(count, 24, 3): of many poses the ones nearest to the middles of clusters of their joints (Lloyd 1982).

    A pose and its mirror are one, and so are poses that differ by a turn about the vertical.

    Args:
        poses: (N, 24, 3) axis-angles in a world whose y points up.
        body: whose joints are compared.
        count: how many, at most N.
        generator: of the first middles.
        rounds: of the clustering.

    Raises:
        ShapeError: another shape, or too few poses.
    """
    if poses.shape[1:] != (24, 3) or len(poses) < count:
        raise ShapeError(f"poses: expected (N, 24, 3) with N >= {count}, got {tuple(poses.shape)}.")
    poses = without_heading(poses)
    limbs = SMPL_24.indices([f"{side}_{name}" for name in _LIMBS for side in ("left", "right")])

    def placed(some: Tensor) -> Tensor:
        joints = body.joints(some.new_zeros(1, 1), some)[:, limbs]
        return (joints - joints.mean(1, keepdim=True)).flatten(1)

    points, others = placed(poses), placed(mirrored(poses))
    middles = points[torch.randperm(len(points), generator=generator)[:count]].clone()
    for _ in range(rounds):
        apart, apart_mirrored = torch.cdist(points, middles), torch.cdist(others, middles)
        flipped = apart_mirrored.min(1).values < apart.min(1).values
        nearer = torch.where(flipped[:, None], others, points)
        owner = torch.where(flipped[:, None], apart_mirrored, apart).argmin(1)
        size = owner.bincount(minlength=count).clamp_min(1)[:, None]
        means = torch.zeros_like(middles).index_add_(0, owner, nearer) / size
        middles = torch.where((owner.bincount(minlength=count) > 0)[:, None], means, middles)
    # The frame nearest to each middle, mirrored where its mirror is nearer.
    apart, apart_mirrored = torch.cdist(middles, points), torch.cdist(middles, others)
    flipped = apart_mirrored.min(1).values < apart.min(1).values
    chosen = torch.where(flipped, apart_mirrored.argmin(1), apart.argmin(1))
    return torch.where(flipped[:, None, None], mirrored(poses[chosen]), poses[chosen])


_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def without_heading(poses: Tensor) -> Tensor:
    """(N, 24, 3) poses turned about y until the chest faces +z."""
    root = axis_angle_to_matrix(poses[:, 0])
    heading = torch.atan2(root[:, 0, 2], root[:, 2, 2])
    back = axis_angle_to_matrix(torch.stack((0 * heading, -heading, 0 * heading), dim=-1))
    turned = poses.clone()
    turned[:, 0] = matrix_to_axis_angle(back @ root)
    return turned


def mirrored(poses: Tensor) -> Tensor:
    """(N, 24, 3) poses with left and right exchanged."""
    return poses[:, list(SMPL_24.mirrored)] * poses.new_tensor((1.0, -1.0, -1.0))
