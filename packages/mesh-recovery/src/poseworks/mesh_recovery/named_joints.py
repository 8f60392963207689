"""Joints of a body under the names that keypoints have: of a skeleton, or of a data set's convention.

Every named joint is a weighted sum of the body's 45 joints and of its vertices. Two vocabularies name joints:
`poseworks.core.skeletons` (`skeletons`: `pelvis` is the middle of the hips) and `poseworks.core.keypoint_conventions`
(`conventions`: `pelvis` is SMPL's root, `neck_extra` a regressed joint).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseworks.core.body_models import SMPL, JointRegressor, PosedBody
from poseworks.core.body_models.files import EXTRA_9_NAMES
from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.keypoint_conventions import index_table, joints_of
from poseworks.core.skeletons import conversion, skeleton_from_names

Vocabulary = Literal["skeletons", "conventions"]
Weights = NDArray[np.float64]

# What stands for the regressed joints of a convention where their regressor is not there, in the skeletons' names.
_INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "right_hip_extra": "right_hip",
        "left_hip_extra": "left_hip",
        "neck_extra": "thorax",
        "headtop": "head_top",
        "pelvis_extra": "pelvis",
        "thorax_extra": "thorax",
        "spine_extra": "spine",
        "head_extra": "neck",
    }
)


class NamedJoints(nn.Module):
    """`named(posed_body)` -> (..., J, 3) joints under the names that were asked for; zeros where the body has none.

    Attributes:
        names: of the J joints.
        known: (J,) bool: the body has such a joint.
        approximated: names whose joint is put together from others, as the body has no such joint itself.
        vertex_ids: (U,) the vertices that the joints are made from, besides the 45 joints.
    """

    known: Tensor
    from_joints: Tensor
    from_vertices: Tensor
    vertex_ids: Tensor

    def __init__(
        self,
        body: SMPL,
        names: Sequence[str],
        vocabulary: Vocabulary = "skeletons",
        *,
        regressors: Sequence[JointRegressor] = (),
        hip_spread: float = 1.0,
    ) -> None:
        """The joints of `body`.

        Args:
            body: with its own regressors, if it has such.
            names: of the joints, each once; those that mean nothing are unknown.
            vocabulary: whose names they are.
            regressors: further joints of the body's vertices, of the names that `read_h36m_regressor` and
                `read_extra_regressor` give.
            hip_spread: how much further than the body's hips those of `names` lie from their middle; detectors mark
                points nearer to the skin, about 1.25.

        Raises:
            ConfigError: a vocabulary that there is not, no names, a name that occurs twice, or a spread not above 0.
            ShapeError: a regressor is for another number of vertices.
        """
        super().__init__()
        if vocabulary not in get_args(Vocabulary):
            raise ConfigError(f"vocabulary: expected one of {', '.join(get_args(Vocabulary))}, got {vocabulary!r}.")
        if not names or len(set(names)) != len(names):
            raise ConfigError("names: expected at least one joint, and each once.")
        if not hip_spread > 0:
            raise ConfigError(f"hip_spread: expected a number above 0, got {hip_spread}.")
        sources = _Sources(body, (*body.regressors.values(), *regressors))
        made = (_by_skeleton if vocabulary == "skeletons" else _by_convention)(sources, tuple(names))
        weights = _spread(made.weights, sources.names, hip_spread)
        from_vertices = weights[:, len(body.joint_names) :] @ sources.regressed
        used = np.flatnonzero(from_vertices.any(axis=0))
        dtype = body.joint_template.dtype
        self.names = tuple(names)
        self.approximated = made.approximated
        self._body = [body]  # in a list, so that it is no part of this module
        for name, tensor in (
            ("known", torch.tensor(made.known)),
            ("from_joints", torch.tensor(weights[:, : len(body.joint_names)], dtype=dtype)),  # (J, 45)
            ("from_vertices", torch.tensor(from_vertices[:, used], dtype=dtype)),  # (J, U)
            ("vertex_ids", torch.tensor(used)),
        ):
            self.register_buffer(name, tensor.to(body.joint_template.device), persistent=False)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names for which the body has no joint."""
        return tuple(name for name, known in zip(self.names, self.known.tolist(), strict=True) if not known)

    def forward(self, posed: PosedBody) -> Tensor:
        """(..., J, 3) metres.

        Raises:
            ShapeError: as `of`.
        """
        return self.of(posed.joints, posed.vertices)

    def of(self, joints: Tensor, vertices: Tensor | None = None) -> Tensor:
        """(..., J, 3) of (..., 45, 3) joints and (..., V, 3) vertices, in their unit; a posed body's, or an average.

        Args:
            joints: of the tree and of the surface.
            vertices: may be left out where none is needed (`vertex_ids` is empty).

        Raises:
            ShapeError: another number of joints or of vertices than the body has.
        """
        count = self.from_joints.shape[1]
        if joints.shape[-2:] != (count, 3):
            raise ShapeError(f"joints: expected (..., {count}, 3), got {tuple(joints.shape)}.")
        named = self.from_joints @ joints
        if not len(self.vertex_ids):
            return named
        expected = self._body[0].num_vertices
        if vertices is None or vertices.shape[-2:] != (expected, 3):
            got = "none" if vertices is None else str(tuple(vertices.shape))
            raise ShapeError(
                f"vertices: expected (..., {expected}, 3) of the body that these joints were made for, got {got}. "
                "light_body() gives a body with no others."
            )
        return named + self.from_vertices @ vertices[..., self.vertex_ids, :]

    def light_body(self) -> tuple[SMPL, NamedJoints]:
        """The body cut to the vertices that these joints need, and the joints made for it."""
        part = self._body[0].subset(self.vertex_ids)
        joints = NamedJoints.__new__(NamedJoints)
        nn.Module.__init__(joints)
        joints.names, joints.approximated, joints._body = self.names, self.approximated, [part]
        for name in ("known", "from_joints", "from_vertices"):
            joints.register_buffer(name, getattr(self, name), persistent=False)
        places = torch.arange(len(self.vertex_ids), device=self.vertex_ids.device)
        joints.register_buffer("vertex_ids", places, persistent=False)
        return part, joints


class _Sources:
    """What joints can be made from: the body's 45, then rows of regressors.

    Attributes:
        names: of all, in the names that their file gives them.
        regressed: (R, V) weights of those behind the 45.
    """

    def __init__(self, body: SMPL, regressors: Sequence[JointRegressor]) -> None:
        names = list(body.joint_names)
        rows: list[NDArray[Any]] = [np.zeros((0, body.num_vertices))]
        for regressor in regressors:
            if regressor.matrix.shape[1] != body.num_vertices:
                raise ShapeError(
                    f"regressors: expected columns for {body.num_vertices} vertices, got {regressor.matrix.shape[1]}. "
                    "Give the regressor of this body."
                )
            for name, row in zip(regressor.joint_names, regressor.matrix, strict=True):
                if name not in names:  # a limb's joint of the tree goes before its regressed one
                    names.append(name)
                    rows.append(row[None])
        self.names = tuple(names)
        self.regressed: Weights = np.concatenate(rows).astype(np.float64)


class _Made:
    """(J, S) weights over the sources, and which joints there are."""

    def __init__(self, weights: Weights, approximated: Sequence[str]) -> None:
        self.weights = weights
        self.known = weights.any(axis=1)
        self.approximated = tuple(approximated)


def _by_skeleton(sources: _Sources, names: tuple[str, ...]) -> _Made:
    plan = conversion(skeleton_from_names(sources.names), skeleton_from_names(names))
    return _Made(plan.matrix, plan.approximated)


def _by_convention(sources: _Sources, names: tuple[str, ...]) -> _Made:
    """SMPL's 54 joints of the toolbox, then the nearest of them for every name, as its tables have it."""
    extras = [name if name in sources.names else _INSTEAD.get(name, name) for name in EXTRA_9_NAMES]
    plan = conversion(
        skeleton_from_names(sources.names), skeleton_from_names((*dict.fromkeys((*sources.names[:45], *extras)),))
    )
    row_of = dict(zip(plan.target.joint_names, plan.matrix, strict=True))
    smpl_54 = np.stack([row_of[name] for name in (*sources.names[:45], *extras)])
    all_names = joints_of("human_data")
    weights = np.zeros((len(names), len(sources.names)))
    exact = set(joints_of("smpl_54")[:45]) | {name for name in EXTRA_9_NAMES if name in sources.names}
    nearest = dict(
        zip(*(places.tolist() for places in index_table("smpl_54", "human_data", approximate=True)), strict=True)
    )
    approximated = []
    for row, name in enumerate(names):
        place = nearest.get(all_names.index(name)) if name in all_names else None
        if place is None:
            continue
        weights[row] = smpl_54[place]
        if name not in exact and weights[row].any():
            approximated.append(name)
    return _Made(weights, approximated)


def _spread(weights: Weights, sources: tuple[str, ...], factor: float) -> Weights:
    """Weights in which both hips stand `factor` times as far from their middle."""
    left, right = sources.index("left_hip"), sources.index("right_hip")
    spread = weights.copy()
    spread[:, left] = (1 + factor) / 2 * weights[:, left] + (1 - factor) / 2 * weights[:, right]
    spread[:, right] = (1 + factor) / 2 * weights[:, right] + (1 - factor) / 2 * weights[:, left]
    return spread
