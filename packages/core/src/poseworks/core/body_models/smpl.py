"""SMPL: a skinned body from shape and pose (Loper et al. 2015, sec. 3).

    v_s = T + S(betas)                   (8)   T: mean shape, S: linear in betas
    J   = regressor v_s                  (10)  folded beforehand: J = J_T + J_S(betas)
    v_p = v_s + P(R - I)                 (9)   R: rotations of joints 1 to 23
    G_j = G_parent(j) [R_j | J_j - J_parent(j)]    (3)
    v_i = sum_j w_ij G'_j v_p,i          (2)   G'_j: G_j with the rest pose taken out (4)

Metres, y up, facing +z, +x the subject's left. Rotations act on columns from the left.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from poseworks.core.body_models.data import JOINT_NAMES, SMPL_PARENTS, BodyData, BodyInfo
from poseworks.core.body_models.regressors import JointRegressor
from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.rotations import axis_angle_to_matrix

# Joints of equal depth in the tree, which follow each other.
_LEVELS = ((0, 1), (1, 4), (4, 7), (7, 10), (10, 15), (15, 18), (18, 20), (20, 22), (22, 24))
_SIZES = [end - start for start, end in _LEVELS]
# Where the parent of joints 1 to 23 stands among those one level above.
_ABOVE = [SMPL_PARENTS[j] - above for (above, _), (start, end) in pairwise(_LEVELS) for j in range(start, end)]

# Vertices and bodies of one product: so many that what is blended is skinned before it leaves a CPU's cache.
_BLOCK = 864
_BODIES = 64
# Floats of a cache line: rows of whole lines are multiplied faster.
_LINE = 16


@dataclass(frozen=True, eq=False)
class PosedBody:
    """A body in a pose.

    Attributes:
        vertices: (..., V, 3) in metres.
        joints: (..., 45, 3) in metres: the 24 of the tree, then 21 vertices; `SMPL.joint_names` names them.
    """

    vertices: Tensor
    joints: Tensor


class Surface(nn.Module):
    """V vertices that follow a skeleton: blend shapes, then skinning.

    Mean shape, shape directions and pose directions are rows of one matrix, so that blending is one product. Vertices
    lie in blocks, all x, all y, all z of each.
    """

    blend_blocks: Tensor
    skin_blocks: Tensor

    def __init__(self, blend: Tensor, skin: Tensor, num_betas: int) -> None:
        """Of (1 + K, 3 V) or (1 + K + 207, 3 V) rows, all x, all y, all z; and (24, V) weights."""
        super().__init__()
        self.num_betas = num_betas
        self.num_vertices = skin.shape[1]
        blocks = max(1, -(-self.num_vertices // _BLOCK))
        size = -(-self.num_vertices // blocks)
        if blocks > 1:
            size += -size % _LINE
        filled = (0, blocks * size - self.num_vertices)
        planes = pad(blend.reshape(len(blend), 3, -1), filled).reshape(len(blend), 3, blocks, size)
        weights = pad(skin, filled).reshape(24, blocks, size)
        # Neither is ever part of a state dict: a licensed body is not to be stored again.
        self.register_buffer("blend_blocks", planes.permute(2, 0, 1, 3).contiguous(), persistent=False)  # (B, R, 3, v)
        self.register_buffer("skin_blocks", weights.transpose(0, 1).contiguous(), persistent=False)  # (B, 24, v)

    @property
    def blend(self) -> Tensor:
        """(1 + K, 3 V) or (1 + K + 207, 3 V): all x, all y, all z of mean shape, shape and pose directions."""
        return self._joined(self.blend_blocks).flatten(1)

    @property
    def skin(self) -> Tensor:
        """(24, V) weights."""
        return self._joined(self.skin_blocks)

    @property
    def template(self) -> Tensor:
        """(V, 3) mean shape."""
        return self._joined(self.blend_blocks[:, 0]).mT

    @property
    def weights(self) -> Tensor:
        """(V, 24) of skinning; a row's sum is 1."""
        return self.skin.mT

    def at(self, vertex_ids: Tensor) -> Surface:
        """The same surface at some vertices, in their order."""
        planes = self._joined(self.blend_blocks)[..., vertex_ids]
        return Surface(planes.flatten(1), self.skin[:, vertex_ids], self.num_betas)

    def shaped(self, betas: Tensor) -> Tensor:
        """(N, V, 3) vertices at rest of (N, K) betas."""
        coefficients = self._with_one(betas)
        rows = self.blend_blocks[:, : coefficients.shape[1]]
        shaped = coefficients @ rows.flatten(2)  # (B, N, 3 v)
        return self._joined(shaped.reshape(*shaped.shape[:2], *rows.shape[2:])).mT

    def forward(self, betas: Tensor, rotations: Tensor, transforms: Tensor) -> Tensor:
        """(N, V, 3) vertices of (N or 1, K) betas, (N, 24, 3, 3) rotations and (N, 24, 3, 4) skinning transforms."""
        count = len(rotations)
        coefficients = self._with_one(betas)
        if self.blend_blocks.shape[1] > 1 + self.num_betas:
            feature = rotations[:, 1:] - torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            coefficients = torch.cat((coefficients.expand(count, -1), feature.flatten(1)), dim=1)
        transforms = transforms.permute(0, 2, 3, 1)  # (N, 3, 4, 24)
        step = _BODIES if rotations.device.type == "cpu" else max(count, 1)
        one_shape = len(coefficients) != count
        parts = [
            self._posed(coefficients if one_shape else coefficients[some], transforms[some])
            for some in (slice(start, start + step) for start in range(0, max(count, 1), step))
        ]
        if transforms.requires_grad:  # of a tensor that is written block by block, gradients take half as long again
            return torch.cat([torch.cat(tuple(blocks), dim=1) for blocks in parts])
        vertices = transforms.new_empty(count, self.num_vertices, 3)
        for bodies, blocks in zip(torch.split(vertices, step), parts, strict=True):
            for place, block in zip(torch.split(bodies, self.skin_blocks.shape[2], dim=1), blocks, strict=True):
                place.copy_(block)
        return vertices

    def _posed(self, coefficients: Tensor, transforms: Tensor) -> Iterator[Tensor]:
        """(N, v, 3) vertices, block by block, of (N or 1, R) coefficients and (N, 3, 4, 24) transforms."""
        columns = transforms.reshape(-1, 24)
        size = self.skin_blocks.shape[2]
        for number, (blend, skin) in enumerate(zip(self.blend_blocks, self.skin_blocks, strict=True)):
            blended = coefficients @ blend[: coefficients.shape[1]].flatten(1)
            yield _skinned(
                blended.reshape(len(coefficients), 3, size), (columns @ skin).reshape(*transforms.shape[:3], size)
            )[:, : self.num_vertices - number * size]

    def _with_one(self, betas: Tensor) -> Tensor:
        """(N, 1 + K) coefficients of mean shape and shape directions; betas that are not given are 0."""
        return torch.cat((betas.new_ones(len(betas), 1), pad(betas, (0, self.num_betas - betas.shape[1]))), dim=1)

    def _joined(self, blocks: Tensor) -> Tensor:
        """(..., V) of blocks (B, ..., v)."""
        return blocks.movedim(0, -2).flatten(-2)[..., : self.num_vertices]


class SMPL(nn.Module):
    """A body of SMPL's kind: `body(betas, pose, transl)` -> vertices and joints, over any batch shape.

    Attributes:
        info: which body it is, and what carries over to it.
        faces: (F, 3) int64 triangles, seen from outside counter-clockwise.
        lower_faces: triangles of coarser meshes on the first vertices, where the body has such levels.
        regressors: further joints of the vertices, by the name of their skeleton.
        tree_regressor: the 24 joints of the tree from vertices in any pose, for meshes without parameters; None of a
            subset.
        joint_names: 45, in core's vocabulary.
        parents: of the first 24; -1 for the root.
    """

    joint_template: Tensor
    joint_shapedirs: Tensor
    extra_ids: Tensor
    parent_ids: Tensor
    above: Tensor

    joint_names: tuple[str, ...] = JOINT_NAMES
    parents: tuple[int, ...] = SMPL_PARENTS

    def __init__(self, data: BodyData, num_betas: int = 10) -> None:
        """The body of `data`, with its first `num_betas` shape directions.

        Raises:
            ConfigError: it has fewer.
        """
        super().__init__()
        if not 1 <= num_betas <= data.shapedirs.shape[2]:
            raise ConfigError(f"num_betas: {data.info.source} has 1 to {data.shapedirs.shape[2]}, got {num_betas}.")
        self.info: BodyInfo = data.info
        self.lower_faces: tuple[Tensor, ...] = tuple(_tensor(faces, torch.int64) for faces in data.lower_faces)
        self.faces = _tensor(data.faces, torch.int64)
        self.regressors: Mapping[str, JointRegressor] = dict(data.regressors)  # which other processes can be sent
        self.tree_regressor: JointRegressor | None = JointRegressor(
            np.asarray(data.J_regressor, dtype=np.float32), JOINT_NAMES[:24]
        )
        shapedirs = data.shapedirs[:, :, :num_betas]
        joints = np.asarray(data.J_regressor, dtype=np.float64)
        directions = [data.v_template[:, :, None], shapedirs]
        if data.posedirs is not None:
            directions.append(data.posedirs)
        blend = np.concatenate([each.astype(np.float32) for each in directions], axis=2)  # (V, 3, rows)
        self.surface = Surface(
            _tensor(blend.transpose(2, 1, 0).reshape(blend.shape[2], -1)), _tensor(data.weights.T), num_betas
        )
        self.register_buffer("parent_ids", torch.tensor(SMPL_PARENTS[1:]), persistent=False)
        self.register_buffer("above", torch.tensor(_ABOVE), persistent=False)
        self.register_buffer("extra_ids", torch.tensor(data.extra_vertices), persistent=False)
        self.register_buffer("joint_template", _tensor(joints @ data.v_template), persistent=False)  # (24, 3)
        folded = np.einsum("jv,vck->kjc", joints, shapedirs, optimize=True).reshape(num_betas, -1)
        self.register_buffer("joint_shapedirs", _tensor(folded), persistent=False)  # (K, 24 x 3)
        self.extra_surface = self.surface.at(self.extra_ids)
        self.hidden_vertices = 0  # of a subset: the first 21 are there for the joints alone

    @property
    def v_template(self) -> Tensor:
        """(V, 3) vertices at rest with betas 0."""
        return self.surface.template[self.hidden_vertices :]

    @property
    def num_betas(self) -> int:
        """The most betas that it takes."""
        return self.joint_shapedirs.shape[0]

    @property
    def num_vertices(self) -> int:
        """V, of what it returns."""
        return self.surface.num_vertices - self.hidden_vertices

    def forward(self, betas: Tensor, pose: Tensor, transl: Tensor | None = None) -> PosedBody:
        """Vertices and joints of a body.

        Args:
            betas: (..., K) shape, K up to `num_betas`; those not given are 0.
            pose: (..., 24, 3) axis-angle in radians, or (..., 24, 3, 3) matrices, of each joint in its parent's frame.
            transl: (..., 3) metres, added at the end; None is 0.

        Leading shapes are broadcast: (K,) or (1, K) betas for a clip of poses are blended once.

        Raises:
            ShapeError: a shape or a dtype is another, or leading shapes do not broadcast.
        """
        betas, rotations, transl, lead = flat_inputs(betas, pose, transl, self.num_betas, self.joint_template.dtype)
        posed, transforms = self._chain(betas, rotations)
        vertices = self.surface(betas, rotations, transforms)
        joints = torch.cat((posed, vertices[:, self.extra_ids]), dim=1)
        vertices = vertices[:, self.hidden_vertices :]
        if transl is not None:
            vertices, joints = vertices + transl, joints + transl
        return PosedBody(with_lead(vertices, lead), with_lead(joints, lead))

    def joints(self, betas: Tensor, pose: Tensor, transl: Tensor | None = None) -> Tensor:
        """(..., 45, 3) joints alone, as `forward` gives them, without the other vertices."""
        betas, rotations, transl, lead = flat_inputs(betas, pose, transl, self.num_betas, self.joint_template.dtype)
        posed, transforms = self._chain(betas, rotations)
        joints = torch.cat((posed, self.extra_surface(betas, rotations, transforms)), dim=1)
        return with_lead(joints if transl is None else joints + transl, lead)

    def joints_of(self, vertices: Tensor) -> Tensor:
        """(..., 45, 3) joints of (..., V, 3) vertices in any pose, those of the tree regressed from the surface.

        Raises:
            ShapeError: another number of vertices.
            ConfigError: this is a subset.
        """
        if self.tree_regressor is None:
            raise ConfigError("joints_of: a subset has no regressor of its tree. Take the whole body.")
        return torch.cat((self.tree_regressor(vertices), vertices[..., self.extra_ids, :]), dim=-2)

    def rest_vertices(self, betas: Tensor) -> Tensor:
        """(..., V, 3) vertices in T-pose of (..., K) betas; raises as `forward` does."""
        lead = _expect_betas(betas, self.num_betas, self.joint_template.dtype)
        return with_lead(self.surface.shaped(betas.reshape(-1, betas.shape[-1]))[:, self.hidden_vertices :], lead)

    def rest_joints(self, betas: Tensor) -> Tensor:
        """(..., 24, 3) joints in T-pose of (..., K) betas; raises as `forward` does."""
        lead = _expect_betas(betas, self.num_betas, self.joint_template.dtype)
        return with_lead(self._rest_joints(betas.reshape(-1, betas.shape[-1])), lead)

    def subset(self, vertex_ids: Sequence[int] | Tensor) -> SMPL:
        """The same body with these vertices alone, in this order, and all its joints: for fits and regressors.

        It has no triangles and no regressors (`JointRegressor.restricted` makes them fit).

        Raises:
            ShapeError: a number is out of range.
        """
        ids = torch.as_tensor(vertex_ids, dtype=torch.int64, device=self.extra_ids.device)
        if ids.numel() and not (ids.min() >= 0 and ids.max() < self.num_vertices):
            raise ShapeError(f"vertex_ids: expected numbers from 0 to {self.num_vertices - 1}.")
        part = copy.copy(self)  # shares everything but what is set here
        part._buffers, part._modules = dict(self._buffers), dict(self._modules)
        part.surface = self.surface.at(torch.cat((self.extra_ids, ids + self.hidden_vertices)))
        part.extra_ids = torch.arange(len(self.extra_ids), device=ids.device)
        part.hidden_vertices = len(self.extra_ids)
        part.faces, part.lower_faces, part.regressors = self.faces[:0], (), {}
        part.tree_regressor = None
        return part

    def _rest_joints(self, betas: Tensor) -> Tensor:
        """(N, 24, 3) of (N, K) betas."""
        blended = torch.addmm(self.joint_template.flatten(), betas, self.joint_shapedirs[: betas.shape[1]])
        return blended.reshape(len(betas), 24, 3)

    def _chain(self, betas: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 24, 3) posed joints and (N, 24, 3, 4) skinning transforms, which leave the rest pose where it is."""
        rest = self._rest_joints(betas).expand(len(rotations), -1, -1)
        offsets = torch.cat((rest[:, :1], rest[:, 1:] - rest[:, self.parent_ids]), dim=1)
        bottom = rest.new_tensor((0.0, 0.0, 0.0, 1.0)).expand(len(rotations), 24, 1, 4)
        local = torch.cat((torch.cat((rotations, offsets[..., None]), dim=-1), bottom), dim=-2)  # (N, 24, 4, 4)
        root, *levels = torch.split(local, _SIZES, dim=1)
        world = [root]
        for above, level in zip(torch.split(self.above, _SIZES[1:]), levels, strict=True):
            world.append(world[-1].index_select(1, above) @ level)
        turned_and_posed = torch.cat(world, dim=1)[:, :, :3]
        turned, posed = turned_and_posed[..., :3], turned_and_posed[..., 3:]
        return posed.squeeze(-1), torch.cat((turned, posed - turned @ rest[..., None]), dim=-1)


def flat_inputs(
    betas: Tensor, pose: Tensor, transl: Tensor | None, num_betas: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor | None, tuple[int, ...]]:
    """(N or 1, K) betas, (N, 24, 3, 3) rotations, (N, 1, 3) translation, and the leading shape of N.

    Raises:
        ShapeError: as `SMPL.forward`.
    """
    shapes = [_expect_betas(betas, num_betas, dtype)]
    matrices = pose.shape[-3:] == (24, 3, 3)
    if not matrices and pose.shape[-2:] != (24, 3):
        raise ShapeError(
            f"pose: expected (..., 24, 3) axis-angle or (..., 24, 3, 3) matrices, got {tuple(pose.shape)}. "
            "Flat vectors of 72 are reshaped with pose.unflatten(-1, (24, 3))."
        )
    shapes.append(pose.shape[: -3 if matrices else -2])
    if transl is not None:
        if transl.shape[-1:] != (3,):
            raise ShapeError(f"transl: expected (..., 3), got {tuple(transl.shape)}.")
        shapes.append(transl.shape[:-1])
    for name, x in (("pose", pose), ("transl", transl)):
        if x is not None and x.dtype != betas.dtype:
            raise ShapeError(f"{name}: expected {betas.dtype} as betas, got {x.dtype}. Convert one of them.")
    try:
        lead = np.broadcast_shapes(*shapes)
    except ValueError as error:
        listed = ", ".join(str(tuple(shape)) for shape in shapes)
        raise ShapeError(f"betas, pose, transl: leading shapes {listed} do not broadcast.") from error
    rotations = pose if matrices else axis_angle_to_matrix(pose)
    if math.prod(shapes[0]) != 1:
        betas = betas.expand(*lead, -1)
    return (
        betas.reshape(-1, betas.shape[-1]),
        rotations.expand(*lead, -1, -1, -1).reshape(-1, 24, 3, 3),
        None if transl is None else transl.expand(*lead, -1).reshape(-1, 1, 3),
        lead,
    )


def with_lead(x: Tensor, lead: tuple[int, ...]) -> Tensor:
    """(..., J, 3) of (N, J, 3)."""
    return x.reshape(*lead, *x.shape[1:])


def _expect_betas(betas: Tensor, num_betas: int, dtype: torch.dtype) -> tuple[int, ...]:
    """Leading shape of betas that a body takes."""
    if betas.ndim < 1 or not 1 <= betas.shape[-1] <= num_betas:
        raise ShapeError(f"betas: expected (..., K) with K from 1 to {num_betas}, got {tuple(betas.shape)}.")
    if betas.dtype != dtype:
        raise ShapeError(f"betas: expected {dtype}, got {betas.dtype}. Convert them, or the body with body.double().")
    return betas.shape[:-1]


def _skinned(points: Tensor, transforms: Tensor) -> Tensor:
    """(N, V, 3) points (N or 1, 3, V), each moved by its transform (N, 3, 4, V)."""
    moved = torch.addcmul(transforms[:, :, 3], transforms[:, :, 0], points[:, 0:1])
    for axis in (1, 2):
        moved = moved.addcmul_(transforms[:, :, axis], points[:, axis : axis + 1])
    return moved.mT


def _tensor(array: NDArray[Any], dtype: torch.dtype = torch.float32) -> Tensor:
    """A contiguous tensor of its own."""
    return torch.tensor(np.ascontiguousarray(array), dtype=dtype)
