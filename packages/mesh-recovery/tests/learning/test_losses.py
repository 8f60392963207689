"""Losses: sums by hand, what confidence and masks leave out, and gradients that stay finite."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from poseworks.core.errors import ConfigError, ShapeError
from poseworks.mesh_recovery.learning.losses import (
    Counted,
    LossSettings,
    Term,
    about_hips,
    body_loss,
    camera_loss,
    difference,
    part_loss,
    point_loss,
    taken_for_real_loss,
    told_apart_loss,
)

NAN = float("nan")


def test_differences_are_those_of_their_names() -> None:
    predicted, target = torch.tensor([0.0, 0.5, 3.0]), torch.zeros(3)
    assert difference(predicted, target, "l1").tolist() == [0, 0.5, 3]
    assert difference(predicted, target, "mse").tolist() == [0, 0.25, 9]
    assert difference(predicted, target, "smooth_l1").tolist() == [0, 0.125, 2.5]
    with pytest.raises(ShapeError, match=r"loss: predicted \(3,\), target \(1, 3\)"):
        difference(predicted, target[None], "l1")


def test_points_are_divided_by_the_entries_that_are_known() -> None:
    predicted = torch.tensor([[[1.0, 2.0], [5.0, 5.0]], [[3.0, 0.0], [1.0, 1.0]]])
    target = torch.tensor([[[0.0, 0.0], [NAN, NAN]], [[0.0, 0.0], [0.0, 0.0]]])
    confidence = torch.tensor([[1.0, 0.0], [0.5, 0.0]])
    # (1 + 2) 1 + (3 + 0) 0.5 over four coordinates; over the eight of both people
    assert float(point_loss(predicted, target, confidence, "l1")) == pytest.approx(4.5 / 4)
    assert float(point_loss(predicted, target, confidence, "l1", "people")) == pytest.approx(4.5 / 8)
    confidence[1] = 0
    assert float(point_loss(predicted, target, confidence, "l1", "people")) == pytest.approx(3 / 4)
    predicted.requires_grad_()
    for counted in get_args(Counted):
        nothing = point_loss(predicted, target, torch.zeros(2, 2), "mse", counted)
        nothing.backward()  # type: ignore[no-untyped-call]
        assert nothing.item() == 0
        assert predicted.grad is not None
        assert not predicted.grad.any()
    with pytest.raises(ShapeError, match="confidence"):
        point_loss(predicted, target, confidence[:, :1], "l1")


def test_joints_are_compared_about_the_hips_of_people_who_have_them() -> None:
    names = ("left_hip_extra", "nose", "right_hip_extra")
    joints = torch.tensor([[[1.0, 0, 0], [0, 5, 0], [3, 0, 2]], [[1.0, 0, 0], [0, 5, 0], [NAN, NAN, NAN]]])
    confidence = torch.tensor([[1.0, 0.5, 1.0], [1.0, 1.0, 0.0]])
    centred, counts = about_hips(joints, confidence, names)
    assert centred[0].tolist() == [[-1, 0, -1], [-2, 5, -1], [1, 0, 1]]
    assert counts.tolist() == [[1, 0.5, 1], [0, 0, 0]]
    assert float(point_loss(torch.zeros(2, 3, 3), centred, counts, "l1")) == pytest.approx((2 + 0.5 * 8 + 2) / 9)
    with pytest.raises(ConfigError, match="right_hip_extra missing"):
        about_hips(joints[:, :2], confidence[:, :2], names[:2])


def test_bodies_that_are_not_valid_leave_no_trace() -> None:
    predicted = torch.ones(3, 2, 2, requires_grad=True)
    target = torch.tensor([0.0, NAN, 3.0])[:, None, None].expand(3, 2, 2)
    loss = body_loss(predicted, target, torch.tensor([True, False, True]), "mse")
    assert float(loss) == pytest.approx((1 + 4) / 2)
    loss.backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    assert torch.isfinite(predicted.grad).all()
    assert not predicted.grad[1].any()
    assert float(body_loss(predicted, target, torch.zeros(3, dtype=torch.bool), "l1")) == 0
    with pytest.raises(ShapeError, match="valid"):
        body_loss(predicted, target, torch.ones(2, dtype=torch.bool), "l1")


def test_a_camera_behind_the_body_costs_most() -> None:
    camera = torch.tensor([[0.0, 9, 9], [0.1, 9, 9]])
    assert float(camera_loss(camera)) == pytest.approx((1 + math.exp(-2)) / 2)


def test_parts_of_unknown_people_do_not_count() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 25, 3, 3, generator=generator)
    labels = torch.randint(0, 25, (2, 3, 3), generator=generator)
    expected = F.cross_entropy(logits[:1], labels[:1])
    labels[1] = -1
    torch.testing.assert_close(part_loss(logits, labels), expected)
    torch.testing.assert_close(part_loss(logits, labels.repeat_interleave(4, 1).repeat_interleave(4, 2)), expected)
    assert float(part_loss(logits, torch.full_like(labels, -1))) == 0
    with pytest.raises(ShapeError, match=r"parts: \(4, 3\) is no multiple"):
        part_loss(logits, torch.zeros(2, 4, 3, dtype=torch.int64))


def test_the_two_sides_of_the_adversary() -> None:
    real, found = torch.full((4, 25), 0.75), torch.full((4, 25), 0.5)
    assert float(told_apart_loss(real, found)) == pytest.approx(0.0625 + 0.25)
    assert float(taken_for_real_loss(found)) == pytest.approx(0.25)


def test_the_variant_l1_keeps_the_weights() -> None:
    normal = LossSettings(joints=Term(kind="smooth_l1", weight=100), pose=Term(weight=3), adversary=1)
    changed = normal.in_l1()
    assert changed.joints == Term(kind="l1", weight=100)
    assert changed.pose == Term(kind="l1", weight=3)
    assert changed.adversary == 1
    assert normal.pose.kind == "mse"
