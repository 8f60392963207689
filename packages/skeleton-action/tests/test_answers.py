"""Logits into answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from poseworks.core.errors import ShapeError
from poseworks.skeleton_action.answers import read_answer
from poseworks.skeleton_action.preparation import Preparation, UnknownRule

LOGITS = np.array([[2.0, -1.0, 0.5], [3.0, 1.0, -800.0]])


def test_probabilities_are_the_mean_of_the_views_at_the_temperature() -> None:
    answer = read_answer(LOGITS, Preparation(temperature=1.7))
    np.testing.assert_allclose(answer.probabilities, softmax(LOGITS / 1.7, axis=1).mean(axis=0), atol=1e-12)
    assert not answer.unknown


def test_what_is_unlike_the_classes_is_none_of_them() -> None:
    largest = softmax(LOGITS, axis=1).mean(axis=0).max()
    energy = logsumexp(LOGITS / 2, axis=1).mean()
    for kind, temperature, value in (("probability", 1.0, largest), ("energy", 2.0, energy)):
        for threshold, unknown in ((value - 1e-6, False), (value + 1e-6, True)):
            rule = UnknownRule(kind=kind, threshold=threshold)  # type: ignore[arg-type]
            assert read_answer(LOGITS, Preparation(temperature=temperature, unknown=rule)).unknown is unknown


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected \(views, classes\), got \(3,\)"):
        read_answer(LOGITS[0], Preparation())
