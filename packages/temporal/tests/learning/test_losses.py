"""The losses: published ones against numbers from the published code, the clip loss by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import ShapeError
from poseworks.core.testing import seeded_input
from poseworks.temporal.learning.losses import clip_loss, deciwatch_loss, smoothnet_loss

CASE = json.loads((Path(__file__).parents[1] / "reference" / "metrics_losses.json").read_text())
EXPECTED = CASE["expected"]


def given(name: str) -> Tensor:
    return torch.from_numpy(seeded_input(*CASE["input"][name]["seeded_input"]))


@pytest.mark.parametrize(
    ("weight", "key"), [(0.1, "loss_smoothnet_wpos1_waccel0.1"), (1.0, "loss_smoothnet_wpos1_waccel1")]
)
def test_smoothnet_loss_equals_the_published_one(weight: float, key: str) -> None:
    parts = smoothnet_loss(given("recover"), given("target"), weight)
    assert parts.loss.item() == pytest.approx(EXPECTED[key], rel=1e-5)
    assert_close(parts.loss, parts.position + weight * parts.other)


@pytest.mark.parametrize("weight", [1, 2.5, 5])
def test_deciwatch_loss_equals_the_published_one(weight: float) -> None:
    parts = deciwatch_loss(given("recover"), given("denoise"), given("target"), 10, weight)
    assert parts.loss.item() == pytest.approx(EXPECTED[f"loss_deciwatch_interval10_lambda{weight}_wdenoise1"], rel=1e-5)


def test_clip_loss_by_hand() -> None:
    target = torch.zeros(1, 1, 3, 5)
    predicted = target.clone()
    predicted[0, 0, :, 2] = torch.tensor([0.0, 3.0, 4.0])
    parts = clip_loss(predicted, target, torch.ones(5), 0.5)
    assert parts.position.item() == pytest.approx(5 / 5, rel=1e-3)
    assert parts.other.item() == pytest.approx((5 + 10 + 5) / 3, rel=1e-3)
    assert parts.loss.item() == pytest.approx(1 + 0.5 * 20 / 3, rel=1e-3)


def test_clip_loss_leaves_out_frames_of_weight_zero_and_accelerations_that_touch_them() -> None:
    target = torch.zeros(1, 2, 3, 8)
    predicted = target.clone()
    predicted[..., :2] = 100.0
    weights = torch.tensor([0.0, 0, 1, 1, 1, 1, 1, 1])
    assert clip_loss(predicted, target, weights, 1.0).loss.item() < 1e-3


def test_clip_loss_has_a_gradient_where_nothing_is_wrong() -> None:
    predicted = torch.zeros(1, 1, 3, 5, requires_grad=True)
    clip_loss(predicted, torch.zeros(1, 1, 3, 5), torch.ones(5), 1.0).loss.backward()
    assert predicted.grad is not None
    assert bool(torch.isfinite(predicted.grad).all())


def test_shapes_that_differ_are_named() -> None:
    with pytest.raises(ShapeError, match="target: expected"):
        smoothnet_loss(torch.zeros(2, 8, 3), torch.zeros(2, 8, 4))
    with pytest.raises(ShapeError, match="predicted"):
        smoothnet_loss(torch.zeros(2, 2, 3), torch.zeros(2, 2, 3))
