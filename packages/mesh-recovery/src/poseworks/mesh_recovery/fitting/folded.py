"""Points of a skinned body without its vertices, and how they move with the pose.

A point that is a weighted sum of vertices x = sum_v m_v v and follows the skeleton by linear blend skinning is

    x = sum_j W_j c_j + b_j p_j      c_j = sum_v m_v w_vj (v - rest_j),   b_j = sum_v m_v w_vj

with W_j the world rotation and p_j the place of joint j: a few numbers a joint instead of thousands of vertices, exact,
and linear in the shape. A turn w of joint i about itself moves it by w x sum_{j below i} (W_j c_j + b_j (p_j - p_i)).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from poseworks.core.body_models import SMPL
from poseworks.core.body_models.data import SMPL_PARENTS
from poseworks.mesh_recovery.named_joints import NamedJoints

JOINTS = 24
# Joints of equal depth in the tree, which follow each other.
_LEVELS = ((0, 1), (1, 4), (4, 7), (7, 10), (10, 15), (15, 18), (18, 20), (20, 22), (22, 24))
_STEPS = tuple(
    (start, end, [SMPL_PARENTS[j] - above for j in range(start, end)]) for (above, _), (start, end) in pairwise(_LEVELS)
)
_LEVER = 5e-3  # metres: a joint whose turn moves no point by more than this a radian is not moved by points


@dataclass(frozen=True, eq=False)
class Placed:
    """Where a pose puts the skeleton.

    Attributes:
        turned: (N, 24, 3, 3) world rotations.
        placed: (N, 24, 3) joints.
        carried: (N, n, 24, 3) what each joint adds to each point.
    """

    turned: Tensor
    placed: Tensor
    carried: Tensor

    @property
    def points(self) -> Tensor:
        """(N, n, 3)."""
        return self.carried.sum(dim=2)


class FoldedPoints:
    """n points of a body, folded onto its 24 joints.

    Attributes:
        rest: (1 + K, 24, 3) joints at rest: of the mean, then what one unit of each shape direction adds.
        local: (1 + K, n, 24, 3) c above, likewise.
        share: (n, 24) b above.
        correctives: (207, n, 24, 3) what each number of R - I adds to c; None: the body has no such.
        moved_by: joints whose turn moves a point.
        num_betas: the first shape directions, of the body; behind them come offsets.
    """

    def __init__(self, body: SMPL, joints: NamedJoints) -> None:
        """The points that `joints` makes of `body`."""
        surfaces = (body.surface.at(joints.vertex_ids + body.hidden_vertices), body.extra_surface)
        weights = torch.cat((joints.from_vertices, joints.from_joints[:, JOINTS:]), dim=1).double()
        skin = torch.cat([surface.skin for surface in surfaces], dim=1).double()  # (24, v)
        blend = torch.cat(
            [surface.blend.reshape(len(surface.blend), 3, -1) for surface in surfaces], dim=2
        ).double()  # (rows, 3, v)
        below = weights[:, None] * skin  # (n, 24, v)
        folded = torch.einsum("njv,rcv->rnjc", below, blend)
        share = below.sum(dim=2)
        count = 1 + body.num_betas
        rest = torch.cat((body.joint_template[None], body.joint_shapedirs.reshape(-1, JOINTS, 3))).double()
        self.rest = rest.float()
        self.local = (folded[:count] - share[None, :, :, None] * rest[:, None]).float()
        self.num_betas = body.num_betas
        self.share = (share + joints.from_joints[:, :JOINTS]).float()
        self.correctives = folded[count:].float() if len(folded) > count else None
        self._below = _descendants()
        self.moved_by = self._moved_by()

    def with_offsets(self, directions: Sequence[tuple[int, tuple[float, float, float]]]) -> FoldedPoints:
        """The same points with further shape directions, each of which moves one point in the axes of its bone.

        Args:
            directions: for each the point, and how it moves.
        """
        more = self.local.new_zeros(len(directions), *self.local.shape[1:])
        for row, (point, move) in zip(more, directions, strict=True):
            row[point, int(self.share[point].argmax())] = torch.tensor(move)
        wider = copy.copy(self)
        wider.local = torch.cat((self.local, more))
        wider.rest = torch.cat((self.rest, self.rest.new_zeros(len(more), JOINTS, 3)))
        return wider

    def place(self, shape: Tensor, rotations: Tensor, transl: Tensor) -> Placed:
        """The skeleton of (K,) shape, (N, 24, 3, 3) rotations in the parents' frames and (N, 3) place."""
        rest, local = (torch.einsum("k,k...->...", shape, part[1:]) + part[0] for part in (self.rest, self.local))
        offsets = torch.cat((rest[:1], rest[1:] - rest[list(SMPL_PARENTS[1:])]))
        turned, placed = [rotations[:, :1]], [(offsets[:1] + transl[:, None])]
        for start, end, above in _STEPS:
            parents = turned[-1][:, above]
            turned.append(parents @ rotations[:, start:end])
            placed.append(placed[-1][:, above] + (parents @ offsets[start:end, :, None]).squeeze(-1))
        world, joints = torch.cat(turned, dim=1), torch.cat(placed, dim=1)
        if self.correctives is None:
            carried = torch.einsum("tjab,njb->tnja", world, local)
        else:
            feature = (rotations[:, 1:] - torch.eye(3, dtype=rotations.dtype)).flatten(1)
            bent = local + torch.einsum("tf,fnjc->tnjc", feature, self.correctives)
            carried = torch.einsum("tjab,tnjb->tnja", world, bent)
        return Placed(world, joints, carried + self.share[:, :, None] * joints[:, None])

    def by_turns(self, placed: Placed, joints: list[int]) -> Tensor:
        """(N, n, A, 3) levers: a turn w (in the world) of the i-th of `joints` moves a point by w x lever.

        Pose correctives are left out: they move points by millimetres.
        """
        below = self._below[joints]  # (A, 24)
        share = self.share @ below.T  # (n, A)
        return torch.einsum("tnjc,aj->tnac", placed.carried, below) - share[:, :, None] * placed.placed[:, None, joints]

    def by_shape(self, placed: Placed) -> Tensor:
        """(N, n, 3, K) displacements for one unit of each shape direction."""
        rest = self.rest[1:].permute(1, 2, 0)  # (24, 3, K)
        offsets = torch.cat((rest[:1], rest[1:] - rest[list(SMPL_PARENTS[1:])]))
        turned = placed.turned
        moved = [offsets[:1].expand(len(turned), -1, -1, -1)]
        for (start, end, above), (first, last) in zip(_STEPS, _LEVELS, strict=False):
            moved.append(moved[-1][:, above] + turned[:, first:last][:, above] @ offsets[start:end])
        return torch.einsum("tjab,knjb->tnak", turned, self.local[1:]) + torch.einsum(
            "nj,tjak->tnak", self.share, torch.cat(moved, dim=1)
        )

    def _moved_by(self) -> list[int]:
        """Joints whose turn moves a point of the mean body by more than `_LEVER` a radian."""
        still = torch.eye(3).expand(1, JOINTS, 3, 3)
        placed = self.place(self.rest.new_zeros(len(self.rest) - 1), still, self.rest.new_zeros(1, 3))
        levers = torch.linalg.vector_norm(self.by_turns(placed, list(range(JOINTS))), dim=-1)
        return torch.nonzero(levers[0].amax(dim=0) > _LEVER).flatten().tolist()


def _descendants() -> Tensor:
    """(24, 24): 1 where the second joint hangs on the first, or is it."""
    below = torch.eye(JOINTS)
    for joint in range(JOINTS - 1, 0, -1):
        below[SMPL_PARENTS[joint]] += below[joint]
    return below
