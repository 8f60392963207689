"""Bodies with a skin: SMPL's forward pass on users' own files, and a free body and pose prior that come along.

body = load_body("free")
posed = body(betas, pose, transl)  # posed.vertices (..., 6890, 3), posed.joints (..., 45, 3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poseworks.core.lazy import lazy_names

if TYPE_CHECKING:
    from poseworks.core.body_models.data import BodyData, BodyInfo
    from poseworks.core.body_models.files import read_body, read_extra_regressor, read_h36m_regressor
    from poseworks.core.body_models.levels import MeshLevels, SparseRows, mesh_levels
    from poseworks.core.body_models.loading import load_body
    from poseworks.core.body_models.motion import BodyMotion
    from poseworks.core.body_models.prior import PosePrior, pose_prior
    from poseworks.core.body_models.regressors import JointRegressor
    from poseworks.core.body_models.smpl import SMPL, PosedBody
    from poseworks.core.body_models.smplx_adapter import SmplxBody

_HOMES = {
    "data": ("BodyData", "BodyInfo"),
    "files": ("read_body", "read_extra_regressor", "read_h36m_regressor"),
    "levels": ("MeshLevels", "SparseRows", "mesh_levels"),
    "loading": ("load_body",),
    "motion": ("BodyMotion",),
    "prior": ("PosePrior", "pose_prior"),
    "regressors": ("JointRegressor",),
    "smpl": ("SMPL", "PosedBody"),
    "smplx_adapter": ("SmplxBody",),
}

__all__ = [
    "SMPL",
    "BodyData",
    "BodyInfo",
    "BodyMotion",
    "JointRegressor",
    "MeshLevels",
    "PosePrior",
    "PosedBody",
    "SmplxBody",
    "SparseRows",
    "load_body",
    "mesh_levels",
    "pose_prior",
    "read_body",
    "read_extra_regressor",
    "read_h36m_regressor",
]

__getattr__, __dir__ = lazy_names(globals(), _HOMES)
