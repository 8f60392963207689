"""Errors of a network on a data set, by a protocol.

Every joint of every picture counts the same. With e the distance of a predicted joint from the true one, relative to
the root of each:
    MPJPE = mean e,   PA-MPJPE = mean e after the similarity transform that fits best,   PVE = mean over vertices
    PCK = share of e < 150 mm,   AUC = mean of such shares over 31 thresholds from 0 to 150 mm
    Accel = mean length of the difference of second differences over time, mm per frame squared
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from poseworks.core.body_models import SMPL
from poseworks.core.errors import DataError
from poseworks.core.metrics import AUC_THRESHOLDS_MM, accel_error, pve, similarity_align
from poseworks.core.progress import Advance
from poseworks.mesh_recovery.evaluation.bodies import Joints, TrueBodies
from poseworks.mesh_recovery.evaluation.data import EvaluationData, sequences
from poseworks.mesh_recovery.evaluation.protocols import Protocol
from poseworks.mesh_recovery.graphcmr import GraphCMR
from poseworks.mesh_recovery.graphormer import Graphormer
from poseworks.mesh_recovery.hmr import HMR
from poseworks.mesh_recovery.pare import PARE

PCK_MM = 150.0
_MM = 1000.0

Predicted = tuple[Tensor, Tensor | None]
"""Vertices (N, V, 3), and the body's joints (N, 45, 3) where there are some."""
Predict = Callable[[Tensor], Mapping[str, Predicted]]
"""Crops (N, 3, R, R) -> one prediction a kind of output, by its name."""


@dataclass(frozen=True)
class JointErrors:
    """Of one joint, in mm."""

    joint: str
    mpjpe_mm: float
    pa_mpjpe_mm: float


@dataclass(frozen=True)
class Errors:
    """Of one output of a network; None: there is nothing to compare it with.

    Attributes:
        output: `parameters` of a body, or `vertices` that a network gives itself.
        pve_mm: of the vertices as they are, as the toolbox counts it; None for vertices about no root.
        pve_root_mm: relative to the roots.
        pck_150mm, auc: 0 to 1.
        accel_mm: per frame squared, over sequences of three pictures and more.
    """

    output: str
    mpjpe_mm: float
    pa_mpjpe_mm: float
    pve_mm: float | None
    pve_root_mm: float | None
    pck_150mm: float
    auc: float
    accel_mm: float | None
    joints: tuple[JointErrors, ...]


class Truth:
    """What is true of the rows of a data set, by a protocol."""

    def __init__(self, data: EvaluationData, protocol: Protocol, joints: Joints, bodies: TrueBodies | None) -> None:
        """Picks the rows that have all that the protocol counts.

        Args:
            data: whose rows.
            protocol: which joints.
            joints: of a body.
            bodies: of the rows; None where the truth is labels.

        Raises:
            DataError: no row has it.
        """
        self.joints, self.bodies = joints, bodies
        self.labels: Tensor | None = None
        if bodies is not None:
            there = data.has_body
        else:
            self.labels, there = _labels(data, protocol)
        self.rows = np.flatnonzero(there).tolist()
        if not self.rows:
            raise DataError(f"{data.source}: no row has all that the protocol {protocol.name} counts.")

    def __call__(self, rows: list[int]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Joints (B, J, 3) relative to the root, and where there is a body vertices (B, V, 3) and root (B, 1, 3)."""
        if self.labels is not None:
            return self.labels[rows], None, None
        assert self.bodies is not None
        posed = self.bodies(rows)
        joints, root = self.joints(posed.vertices, posed.joints)
        return joints, posed.vertices, root


@torch.inference_mode()
def measure(
    predict: Predict,
    crops: Iterable[tuple[list[int], Tensor]],
    truth: Truth,
    joints: Joints,
    pictures: tuple[str, ...],
    *,
    device: torch.device | str = "cpu",
    advance: Advance | None = None,
) -> list[Errors]:
    """Errors of each output that `predict` gives.

    Args:
        predict: the network with its body, see `predictor`.
        crops: rows and their crops, see `crop_batches`.
        truth: of the rows.
        joints: of predictions.
        pictures: names of all rows, by which sequences are told.
        device: that `predict` runs on; the truth is compared there.
        advance: called with the number of pictures that are done.

    Raises:
        DataError: a prediction is not finite, or as `crops`.
    """
    outputs: dict[str, _Sums] = {}
    for rows, images in crops:
        true_joints, true_vertices, true_root = (None if x is None else x.to(device) for x in truth(rows))
        assert true_joints is not None
        for name, (vertices, own) in predict(images.to(device)).items():
            if not vertices.isfinite().all():
                raise DataError(f"row {rows[0]} and after: the network's {name} are NaN or infinite.")
            found, root = joints(vertices, own)
            sums = outputs.setdefault(name, _Sums(joints.protocol.joints))
            sums.add(rows, found, true_joints)
            if true_vertices is not None and true_root is not None:
                sums.add_vertices(vertices, root, true_vertices, true_root, absolute=own is not None)
        if advance is not None:
            advance(len(rows))
    in_time = pictures if joints.protocol.body == "smpl" else None  # rendered pictures are of anyone in turn
    return [sums.errors(name, in_time) for name, sums in outputs.items()]


def predictor(network: nn.Module, body: SMPL) -> Predict:
    """What a network's answers are as vertices, posed with a body where they are parameters of one."""

    def predict(images: Tensor) -> dict[str, Predicted]:
        answer = network(images)
        found: dict[str, Predicted] = {}
        if isinstance(network, GraphCMR | Graphormer):
            found["vertices"] = (answer.vertices, None)
        if isinstance(network, HMR | PARE) or (isinstance(network, GraphCMR) and answer.rotations is not None):
            posed = body(answer.betas, answer.rotations)
            found["parameters"] = (posed.vertices, posed.joints)
        return found

    return predict


def constant_predictor(body: SMPL, pose: Tensor, betas: Tensor) -> Predict:
    """The same body, of a pose (24, 3) and betas (K,), for every picture: what a network must be better than."""

    def predict(images: Tensor) -> dict[str, Predicted]:
        posed = body(betas.to(images)[None], pose.to(images)[None])
        return {
            "constant": (
                posed.vertices.expand(len(images), -1, -1),
                posed.joints.expand(len(images), -1, -1),
            )
        }

    return predict


class _Sums:
    """Errors of one output, row by row."""

    def __init__(self, joints: tuple[str, ...]) -> None:
        self.joints = joints
        self.rows: list[int] = []
        self.found: list[Tensor] = []
        self.true: list[Tensor] = []
        self.absolute: list[Tensor] = []
        self.rooted: list[Tensor] = []

    def add(self, rows: list[int], found: Tensor, true: Tensor) -> None:
        self.rows += rows
        self.found.append(found.cpu().double())
        self.true.append(true.cpu().double())

    def add_vertices(
        self, found: Tensor, found_root: Tensor, true: Tensor, true_root: Tensor, *, absolute: bool
    ) -> None:
        self.rooted.append(pve(found - found_root, true - true_root).cpu().double())
        if absolute:
            self.absolute.append(pve(found, true).cpu().double())

    def errors(self, output: str, pictures: tuple[str, ...] | None) -> Errors:
        found, true = torch.cat(self.found), torch.cat(self.true)
        distance = _MM * (found - true).norm(dim=-1)
        aligned = _MM * (similarity_align(found, true) - true).norm(dim=-1)
        thresholds = torch.tensor(AUC_THRESHOLDS_MM, dtype=distance.dtype)
        shares = torch.stack([(distance < threshold).double().mean() for threshold in thresholds])
        each = zip(self.joints, distance.mean(dim=0).tolist(), aligned.mean(dim=0).tolist(), strict=True)
        return Errors(
            output=output,
            mpjpe_mm=float(distance.mean()),
            pa_mpjpe_mm=float(aligned.mean()),
            pve_mm=_mean_mm(self.absolute),
            pve_root_mm=_mean_mm(self.rooted),
            pck_150mm=float((distance < PCK_MM).double().mean()),
            auc=float(shares.mean()),
            accel_mm=None if pictures is None else self._accel(found, true, pictures),
            joints=tuple(JointErrors(*row) for row in each),
        )

    def _accel(self, found: Tensor, true: Tensor, pictures: tuple[str, ...]) -> float | None:
        parts = sequences([pictures[row] for row in self.rows])
        errors = [accel_error(found[part], true[part]) for part in parts if len(part) >= 3]
        return _mean_mm(errors)


def _mean_mm(parts: list[Tensor]) -> float | None:
    return float(_MM * torch.cat(parts).mean()) if parts else None


def _labels(data: EvaluationData, protocol: Protocol) -> tuple[Tensor, np.ndarray]:
    """((N, J, 3) relative to the root, (N,) which rows have them all) of the data set's own joints."""
    wanted = len(protocol.joints)
    columns = sorted({*range(wanted), *protocol.label_root})
    for convention in protocol.conventions:
        labels = data.labels.get(convention)
        if labels is None:
            continue
        there = np.asarray((labels[:, columns, 3] > 0).all(axis=1))
        if there.any():
            points = torch.as_tensor(labels[..., :3], dtype=torch.float64)
            root = points[:, list(protocol.label_root)].mean(dim=1, keepdim=True)
            return points[:, :wanted] - root, there
    return torch.zeros(len(data), wanted, 3), np.zeros(len(data), bool)
