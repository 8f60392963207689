"""The free body and the free pose prior that come with the package; free_body/README.md tells their origin."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_models.data import BodyData, BodyInfo
from poseworks.core.body_models.regressors import JointRegressor
from poseworks.core.formats.reading import read_npz
from poseworks.core.skeletons import H36M_17


@cache
def free_body() -> BodyData:
    """The free body: SMPL's joint tree, axes and array sizes; its vertex numbers and betas mean something else."""
    arrays = _shipped("free_body.npz")
    return BodyData(
        v_template=arrays["v_template"],
        shapedirs=arrays["shapedirs"],
        posedirs=None,
        J_regressor=arrays["J_regressor"],
        weights=arrays["weights"],
        faces=arrays["f"],
        extra_vertices=tuple(arrays["extra_vertex_ids"].tolist()),
        info=BodyInfo("free", source="free_body.npz", licence="Apache-2.0"),
        lower_faces=(arrays["lod1_f"], arrays["lod2_f"]),
        regressors=MappingProxyType({H36M_17.name: JointRegressor(arrays["J_regressor_h36m"], H36M_17.joint_names)}),
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
