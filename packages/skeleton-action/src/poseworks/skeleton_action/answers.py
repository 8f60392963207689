"""What logits say: calibrated probabilities, and whether the motion is none of the classes. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.errors import ShapeError
from poseworks.skeleton_action.metrics import average_clips
from poseworks.skeleton_action.preparation import Preparation, UnknownRule


@dataclass(frozen=True, eq=False)
class Answer:
    """About one recording or window.

    Attributes:
        probabilities: (classes,) float64, their sum is 1.
        unknown: the motion is none of the classes; always false where the weights have no rule for it.
    """

    probabilities: NDArray[np.float64]
    unknown: bool


def read_answer(logits: ArrayLike, preparation: Preparation) -> Answer:
    """The answer to logits (views, classes) of one recording: mean of the views' calibrated probabilities.

    Raises:
        ShapeError: they are not (views, classes).
    """
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise ShapeError(f"logits: expected (views, classes), got {values.shape}.")
    calibrated = values / preparation.temperature
    probabilities = average_clips(calibrated, len(calibrated))[0]
    rule = preparation.unknown
    return Answer(probabilities, rule is not None and _familiarity(rule, probabilities, calibrated) < rule.threshold)


def _familiarity(rule: UnknownRule, probabilities: NDArray[np.float64], calibrated: NDArray[np.float64]) -> float:
    """What is measured of an answer; small where the motion is unlike the classes."""
    match rule.kind:
        case "probability":
            return float(probabilities.max())
        case "energy":
            return float(np.logaddexp.reduce(calibrated, axis=1).mean())
