"""The free body and the free pose prior that come with the package; free_body/README.md tells their origin."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_models.data import BodyData, BodyInfo
from poseworks.core.body_models.regressors import JointRegressor
from poseworks.core.errors import FormatError
from poseworks.core.formats.reading import read_npz
from poseworks.core.skeletons import H36M_17

_KEYS = (
    "v_template", "f", "weights", "J_regressor", "shapedirs", "J_regressor_h36m", "extra_vertex_ids", "lod1_f", "lod2_f"
)  # fmt: skip


@cache
def free_body() -> BodyData:
    """The free body: SMPL's joint tree, axes and array sizes; its vertex numbers and betas mean something else."""
    return free_body_of(_shipped("free_body.npz"), "free_body.npz")


def free_body_of(arrays: Mapping[str, NDArray[Any]], source: str) -> BodyData:
    """The free body from the arrays of its file.

    Raises:
        FormatError: one is missing or has another shape.
    """
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        raise FormatError(f"{source}: a free body without {', '.join(missing)}.")
    joints = arrays["J_regressor_h36m"]
    if joints.shape != (H36M_17.num_joints, len(arrays["v_template"])):
        raise FormatError(f"{source}: J_regressor_h36m: expected 17 rows, a column a vertex, got {joints.shape}.")
    return BodyData(
        v_template=arrays["v_template"],
        shapedirs=arrays["shapedirs"],
        posedirs=None,
        J_regressor=arrays["J_regressor"],
        weights=arrays["weights"],
        faces=arrays["f"],
        extra_vertices=tuple(arrays["extra_vertex_ids"].reshape(-1).tolist()),
        info=BodyInfo("free", source=source, licence="Apache-2.0"),
        lower_faces=(arrays["lod1_f"], arrays["lod2_f"]),
        regressors=MappingProxyType({H36M_17.name: JointRegressor(joints, H36M_17.joint_names)}),
    )


def free_body_mirror() -> NDArray[np.int32]:
    """(6890,) the vertex on the other side of each vertex of the free body."""
    return _shipped("free_body.npz")["mirror"]


def free_pose_prior() -> dict[str, NDArray[np.float32]]:
    """Means (8, 69), covars (8, 69, 69) and weights (8,) of a mixture over the axis-angles of joints 1 to 23."""
    return _shipped("free_pose_prior.npz")


def _shipped(name: str) -> dict[str, NDArray[Any]]:
    with as_file(files("poseworks.core.body_models") / "free_body" / name) as path:
        return read_npz(path)
