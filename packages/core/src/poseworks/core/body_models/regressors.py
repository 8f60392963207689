"""Joints as weighted sums of vertices, such as Human3.6M's 17."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ShapeError
from poseworks.core.shapes import expect_shape

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class JointRegressor:
    """Named joints, each a weighted sum of vertices.

    Attributes:
        matrix: (J, V) float32 weights.
        joint_names: of the rows.

    Raises:
        ShapeError: as many names as rows were expected.
    """

    matrix: NDArray[np.float32]
    joint_names: tuple[str, ...]
    _tensors: dict[Any, Tensor] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        expect_shape("matrix", self.matrix, f"J={len(self.joint_names)} V", fix="One row for each name.")

    @property
    def vertices_used(self) -> NDArray[np.int64]:
        """Numbers of the vertices that have a weight, rising."""
        return np.flatnonzero((self.matrix != 0).any(axis=0))

    def __call__(self, vertices: Tensor) -> Tensor:
        """(..., J, 3) joints of (..., V, 3) vertices.

        Raises:
            ShapeError: another number of vertices.
        """
        import torch

        if vertices.shape[-2:] != (self.matrix.shape[1], 3):
            raise ShapeError(
                f"vertices: expected (..., {self.matrix.shape[1]}, 3), got {tuple(vertices.shape)}. Give the mesh that "
                "these joints were made for."
            )
        kind = (vertices.dtype, vertices.device)
        if kind not in self._tensors:
            self._tensors[kind] = torch.tensor(self.matrix, dtype=vertices.dtype, device=vertices.device)
        return self._tensors[kind] @ vertices

    def restricted(self, vertex_ids: Sequence[int] | NDArray[Any]) -> JointRegressor:
        """The same joints from these vertices alone, in this order: for `SMPL.subset(vertex_ids)`.

        Raises:
            ShapeError: a vertex with a weight is not among them.
        """
        ids = np.asarray(vertex_ids, dtype=np.int64)
        missing = np.setdiff1d(self.vertices_used, ids)
        if missing.size:
            raise ShapeError(
                f"vertex_ids: {missing.size} vertices with a weight are missing, the first {missing[0]}. Start from "
                "vertices_used."
            )
        return JointRegressor(np.ascontiguousarray(self.matrix[:, ids]), self.joint_names)
