"""Losses against the published ones, and by their properties."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import ShapeError
from poseworks.core.testing import seeded_input
from poseworks.lifting.learning.losses import (
    LossWeights,
    clip_losses,
    consistency_loss,
    position_loss,
    scale_loss,
    velocity_loss,
)

CASE = json.loads((Path(__file__).parents[1] / "reference" / "metrics_losses.json").read_text())


@pytest.fixture
def clips() -> tuple[Tensor, Tensor]:
    """Prediction and label of the stored case."""
    predicted, label = (CASE["loss_input"][name] for name in ("pred", "target"))
    return torch.from_numpy(seeded_input(*predicted)), torch.from_numpy(seeded_input(*label))


def test_losses_equal_the_published_ones(clips: tuple[Tensor, Tensor]) -> None:
    expected = CASE["losses"]
    assert float(position_loss(*clips)) == pytest.approx(expected["mpjpe"], rel=1e-6)
    assert float(velocity_loss(*clips)) == pytest.approx(expected["velocity"], rel=1e-6)
    assert float(consistency_loss(clips[0])) == pytest.approx(expected["tcl"], rel=1e-6)
    assert float(scale_loss(*clips)) == pytest.approx(expected["n_mpjpe"], rel=1e-6)
    losses = clip_losses(*clips, LossWeights())
    assert float(losses["loss"]) == pytest.approx(expected["total_train_config"], rel=1e-6)
    assert set(losses) == {"loss", "position", "velocity", "consistency"}
    scaled = clip_losses(*clips, LossWeights(scale=3.0))
    assert float(scaled["loss"] - losses["loss"]) == pytest.approx(3 * expected["n_mpjpe"], rel=1e-5)


def test_a_label_moved_as_a_whole_has_the_same_velocity_and_a_scaled_one_the_same_shape(
    clips: tuple[Tensor, Tensor],
) -> None:
    predicted = clips[0]
    assert_close(velocity_loss(predicted, predicted + 7), torch.zeros(()), atol=1e-5, rtol=0)
    assert_close(scale_loss(predicted, 3 * predicted), torch.zeros(()), atol=1e-5, rtol=0)
    assert_close(consistency_loss(predicted[:, :1].expand_as(predicted)), torch.zeros(()))
    assert float(clip_losses(predicted[:, :1], predicted[:, :1], LossWeights())["loss"]) == 0


def test_gradients_are_finite_where_a_joint_is_met_exactly(clips: tuple[Tensor, Tensor]) -> None:
    predicted = clips[0].requires_grad_()
    label = clips[1].clone()
    label[:, :, 0] = predicted[:, :, 0].detach()
    clip_losses(predicted, label, LossWeights(scale=1.0))["loss"].backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    assert torch.isfinite(predicted.grad).all()


def test_other_shapes_are_refused(clips: tuple[Tensor, Tensor]) -> None:
    predicted, label = clips
    with pytest.raises(ShapeError, match=r"label: expected \(2, 9, 17, 3\) as predicted, got \(2, 8, 17, 3\)"):
        velocity_loss(predicted, label[:, :8])
    with pytest.raises(ShapeError, match="predicted"):
        consistency_loss(predicted[0])
