"""What the networks on meshes know of the body: its mesh at three resolutions, and its shape at rest.

None of it is learned, and none is saved with weights: it comes from the user's own files, or from the free body.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from poseworks.core.body_models import SMPL, load_body
from poseworks.core.body_models.files import read_h36m_regressor
from poseworks.core.body_models.levels import MeshLevels, SparseRows, mesh_levels
from poseworks.core.errors import ConfigError, DataError

BodyName = Literal["free", "smpl"]

# What Graphormer calls its 14 joints, in its order, by their names in h36m17.
EVALUATED = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
    "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "thorax", "head_top",
)  # fmt: skip
REGRESSORS = ("J_regressor_h36m.npy", "J_regressor_h36m_correct.npy")
UPSIDE_DOWN = 3.1416  # radians about x, as published


@dataclass(frozen=True, eq=False)
class BodyMesh:
    """A body and its mesh at three resolutions.

    Attributes:
        body: gives vertices and joints.
        levels: of its mesh; level 0 is the full one.
        regressor_file: joints of Human3.6M from its vertices, where it has none itself.
    """

    body: SMPL
    levels: MeshLevels
    regressor_file: Path | None = None

    @property
    def name(self) -> BodyName:
        """`free`, or `smpl` for a body of the user's."""
        return "free" if self.body.info.name == "free" else "smpl"

    def reference_vertices(self) -> Tensor:
        """(V1, 3): the body at rest at the middle resolution, centred by its box, its largest coordinate 1."""
        template = self.body.surface.template
        centred = template - (template.amax(dim=0) + template.amin(dim=0)) / 2
        scaled: Tensor = SparseMap(self.levels.down(0))(centred / centred.abs().max())
        return scaled

    def template(self) -> tuple[Tensor, Tensor]:
        """Joints (14, 3) and vertices (V2, 3) of the body upside down, relative to the pelvis: Graphormer's start.

        Raises:
            DataError: the body has no joints of Human3.6M. FormatError: their file is of another body.
        """
        regressor = self.body.regressors.get("h36m17")
        if regressor is None and self.regressor_file is not None:
            regressor = read_h36m_regressor(self.regressor_file, self.body)
        if regressor is None:
            raise DataError(
                f"body: Graphormer's template needs the joints of Human3.6M: put {REGRESSORS[0]} beside the body's "
                "file, or call the network with template=(joints, vertices)."
            )
        pose = torch.zeros(1, 24, 3)
        pose[0, 0, 0] = UPSIDE_DOWN
        vertices = self.body(torch.zeros(1, 10), pose).vertices[0]
        joints = regressor(vertices)
        coarse = SparseMap(self.levels.down(1))(SparseMap(self.levels.down(0))(vertices))
        named = [regressor.joint_names.index(name) for name in EVALUATED]
        return joints[named] - joints[0], coarse - joints[0]


def body_mesh(mesh: str | os.PathLike[str] | None, body: str | os.PathLike[str] | None) -> BodyMesh:
    """The body and the levels of its mesh, of the user's two files or, where `body` is "free", of the free body.

    Raises:
        ConfigError: one of the two files is not given, or the body is free and the mesh not.
        FormatError: a file holds something else. DataError: it cannot be read, or the two do not belong together.
    """
    free = body is not None and os.fspath(body) == "free"
    if free and (mesh is None or os.fspath(mesh) == "free"):
        return BodyMesh(load_body("free"), mesh_levels("free"))
    if mesh is None or body is None or free or os.fspath(mesh) == "free":
        raise ConfigError(
            "mesh, body: a network on SMPL's mesh needs both of its files: mesh=mesh_downsampling.npz and "
            "body=SMPL_NEUTRAL.pkl (--mesh, --body). For weights of the free body: body='free' alone."
        )
    pair = BodyMesh(load_body(body), mesh_levels(mesh), regressor_file(body))
    if pair.levels.sizes[0] != pair.body.num_vertices:
        raise DataError(
            f"mesh, body: {mesh} is of {pair.levels.sizes[0]} vertices, {body} has {pair.body.num_vertices}. Give two "
            "files of one body."
        )
    return pair


def regressor_file(body: str | os.PathLike[str], names: Sequence[str] = REGRESSORS) -> Path | None:
    """The first of these files beside the user's body file or in its folder; None: there is none.

    They may also lie above a folder `smpl`, as toolboxes have them.
    """
    home = Path(body) if Path(body).is_dir() else Path(body).parent
    homes = (home, home.parent) if home.name.lower() == "smpl" else (home,)
    return next((place / name for place in homes for name in names if (place / name).is_file()), None)


class SparseMap(nn.Module):
    """A fixed sparse matrix over vertices: (..., V, C) -> (..., R, C). It is no part of a state dict.

    out[r] = sum_k values[r, k] x[columns[r, k]], k up to the most entries of a row.
    """

    columns: Tensor
    values: Tensor

    def __init__(self, rows: SparseRows) -> None:
        super().__init__()
        self.register_buffer("columns", torch.from_numpy(rows.columns), persistent=False)
        self.register_buffer("values", torch.from_numpy(rows.values), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., V, C) -> (..., R, C)."""
        # index_select: with brackets it takes twice as long, and its gradient half as long again
        total = self.values[:, :1] * x.index_select(-2, self.columns[:, 0])
        for entry in range(1, self.columns.shape[1]):
            total = total + self.values[:, entry : entry + 1] * x.index_select(-2, self.columns[:, entry])
        return total
