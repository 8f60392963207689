"""Networks by the published protocols, on data in the published layouts, and on rendered pictures of the free body."""

from __future__ import annotations

from poseworks.mesh_recovery.evaluation.bodies import Joints, TrueBodies, predicted_body, usual_body
from poseworks.mesh_recovery.evaluation.data import (
    EvaluationData,
    choose_protocol,
    crop_batches,
    picture_folder,
    read_evaluation_data,
)
from poseworks.mesh_recovery.evaluation.evaluate import Claim, Evaluation, evaluate
from poseworks.mesh_recovery.evaluation.measuring import (
    Errors,
    JointErrors,
    Predict,
    Truth,
    constant_predictor,
    measure,
    predictor,
)
from poseworks.mesh_recovery.evaluation.protocols import PROTOCOLS, Protocol, ProtocolName

__all__ = [
    "PROTOCOLS",
    "Claim",
    "Errors",
    "Evaluation",
    "EvaluationData",
    "JointErrors",
    "Joints",
    "Predict",
    "Protocol",
    "ProtocolName",
    "TrueBodies",
    "Truth",
    "choose_protocol",
    "constant_predictor",
    "crop_batches",
    "evaluate",
    "measure",
    "picture_folder",
    "predicted_body",
    "predictor",
    "read_evaluation_data",
    "usual_body",
]
