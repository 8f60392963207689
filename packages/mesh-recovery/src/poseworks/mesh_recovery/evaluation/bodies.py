"""The bodies that a protocol needs: the neutral one that predictions are posed with, and those of the truth."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from poseworks.core.body_models import SMPL, JointRegressor, PosedBody, load_body
from poseworks.core.body_models.files import read_extra_regressor, read_h36m_regressor
from poseworks.core.data_folders import data_roots
from poseworks.core.errors import ConfigError, DataError
from poseworks.mesh_recovery.evaluation.data import EvaluationData
from poseworks.mesh_recovery.evaluation.protocols import Protocol
from poseworks.mesh_recovery.meshes import REGRESSORS, regressor_file

EXTRA_REGRESSOR = "J_regressor_extra.npy"
TrueGender = Literal["stated", "neutral"]


class Joints:
    """A protocol's joints, relative to its root, from a body of these vertices."""

    def __init__(self, protocol: Protocol, body: SMPL, files: Path | None) -> None:
        """`files`: the folder or file that the body was read from; its regressors lie there."""
        self.protocol = protocol
        self.regressor = _regressor(protocol, body, files)
        own = body.joint_names if protocol.regressor == "smpl54" else ()
        names = [*own, *self.regressor.joint_names]
        self.counted = [names.index(name) for name in protocol.joints]
        self.root = [names.index(name) for name in protocol.root]

    def __call__(self, vertices: Tensor, joints: Tensor | None) -> tuple[Tensor, Tensor]:
        """Joints (N, J, 3) relative to the root, and the root (N, 1, 3), in metres.

        Args:
            vertices: (N, V, 3).
            joints: (N, 45, 3) of the body; None: the network gives vertices alone.

        Raises:
            ConfigError: the protocol needs the body's own joints and there are none.
        """
        found = self.regressor(vertices)
        if self.protocol.regressor == "smpl54":
            if joints is None:
                raise ConfigError(
                    f"--protocol {self.protocol.name}: takes joints of a posed body, the network gives vertices alone. "
                    "Measure it by --protocol mi."
                )
            found = torch.cat([joints, found], dim=1)
        root = found[:, self.root].mean(dim=1, keepdim=True)
        return found[:, self.counted] - root, root


class TrueBodies(nn.Module):
    """The bodies of a data set's parameters, by the gender of each row."""

    def __init__(self, data: EvaluationData, source: str, gender: TrueGender) -> None:
        """Reads the bodies that the rows name.

        Raises:
            DataError: the data have no parameters or no genders, or a body is missing.
            ConfigError: one file was given where bodies of several genders are needed.
            FormatError: a file holds something else.
        """
        super().__init__()
        if data.pose is None or data.betas is None or not data.has_body.any():
            raise DataError(f"{data.source}: no parameters of a body, which are the truth of this protocol.")
        self.data = data
        self.genders = _true_genders(data, gender)
        named = sorted({each for each, has in zip(self.genders, data.has_body, strict=True) if has})
        if source != "free" and named != ["neutral"] and not Path(source).is_dir():
            raise ConfigError(
                f"--body {source}: one file, but the truth is of {', '.join(named)} bodies and the prediction of a "
                "neutral one. Give the folder that holds them all (or state --true-gender neutral)."
            )
        betas = data.betas.shape[1]
        self.bodies = nn.ModuleDict(
            {
                each: load_body(source, gender=None if source == "free" else each, num_betas=betas)  # type: ignore[arg-type]
                for each in named
            }
        )
        self.pose = torch.as_tensor(data.pose, dtype=torch.float32)
        self.betas = torch.as_tensor(data.betas, dtype=torch.float32)

    def forward(self, rows: list[int]) -> PosedBody:
        """The true bodies of some rows."""
        vertices: list[Tensor] = [torch.empty(0)] * len(rows)
        joints = list(vertices)
        device = next(self.buffers()).device
        for gender, body in self.bodies.items():
            places = [place for place, row in enumerate(rows) if self.genders[row] == gender]
            if places:
                chosen = [rows[place] for place in places]
                posed = body(self.betas[chosen].to(device), self.pose[chosen].to(device))
                for place, of_vertices, of_joints in zip(places, posed.vertices, posed.joints, strict=True):
                    vertices[place], joints[place] = of_vertices, of_joints
        return PosedBody(torch.stack(vertices), torch.stack(joints))


def usual_body(protocol: Protocol) -> Path | None:
    """SMPL's files: `body_models` in a folder of POSEWORKS_DATA. None: not there, or not needed."""
    if protocol.body == "free":
        return None
    return next((root / "body_models" for root in data_roots() if (root / "body_models").is_dir()), None)


def predicted_body(protocol: Protocol, source: str | os.PathLike[str] | None) -> SMPL:
    """The neutral body that predictions are posed with.

    Raises:
        ConfigError: none was given, or it is not the protocol's.
        DataError, FormatError: it cannot be read.
    """
    if protocol.body == "free":
        if source is not None and os.fspath(source) != "free":
            raise ConfigError(f"--body {source}: the protocol {protocol.name} is of the free body. Leave --body out.")
        return load_body("free")
    if source is None:
        raise ConfigError(
            f"--body: the protocol {protocol.name} is defined on SMPL's body: give the folder of its files, or put "
            "them into body_models of a folder of POSEWORKS_DATA. They come from https://smpl.is.tue.mpg.de after "
            "registration."
        )
    free = os.fspath(source) == "free"
    body = load_body(source, gender=None if free else "neutral")
    body.info.expect_smpl(f"protocol {protocol.name}")
    return body


def _true_genders(data: EvaluationData, gender: TrueGender) -> tuple[str, ...]:
    if gender == "neutral" or data.body == "free":
        return ("neutral",) * len(data)
    if data.gender is None:
        raise DataError(
            f"{data.source}: says no gender, which the truth of this protocol needs. State --true-gender neutral, "
            "where its parameters are of the neutral body."
        )
    return data.gender


def _regressor(protocol: Protocol, body: SMPL, files: Path | None) -> JointRegressor:
    if protocol.regressor == "smpl54":
        file = None if files is None else regressor_file(files, (EXTRA_REGRESSOR,))
        if file is None:
            raise DataError(f"protocol {protocol.name}: {EXTRA_REGRESSOR} of 9 rows is needed beside the body's file.")
        return read_extra_regressor(file, 9)
    known = body.regressors.get("h36m17")
    if known is not None:
        return known
    found = None if files is None else regressor_file(files)
    if found is None:
        raise DataError(f"protocol {protocol.name}: {REGRESSORS[0]} is needed beside the body's file.")
    return read_h36m_regressor(found, body)
