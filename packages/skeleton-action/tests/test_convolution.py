"""Convolutions through views against torch's own, with gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from poseworks.skeleton_action import convolution
from poseworks.skeleton_action.convolution import Convolution, Sizes3, convolve

CASES: list[tuple[Sizes3, Sizes3, int]] = [
    ((1, 1, 1), (1, 1, 1), 1),
    ((1, 1, 1), (2, 2, 2), 1),
    ((1, 3, 3), (1, 1, 1), 1),
    ((1, 3, 3), (2, 2, 2), 1),
    ((3, 1, 1), (1, 1, 1), 1),
    ((5, 1, 1), (1, 1, 1), 4),
    ((3, 3, 3), (1, 1, 1), 4),
    ((3, 3, 3), (1, 2, 2), 4),
    ((3, 3, 3), (1, 1, 1), 1),
]


@pytest.mark.parametrize(("kernel", "stride", "groups"), CASES)
@pytest.mark.parametrize("frames", [1, 5])
def test_convolution_and_its_gradients_are_those_of_torch(
    kernel: Sizes3, stride: Sizes3, groups: int, frames: int
) -> None:
    torch.manual_seed(0)
    ours = Convolution(4, 4, kernel, stride, groups).double()
    theirs = torch.nn.Conv3d(4, 4, kernel, stride, ours.padding, groups=groups, bias=False).double()  # type: ignore[arg-type]
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 4, frames, 7, 6, dtype=torch.float64, requires_grad=True)
    expected = theirs(x)
    g = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, (x, theirs.weight), g)
    found = ours(x)
    assert_close(found, expected)
    assert_close(torch.autograd.grad(found, (x, ours.weight), g), wanted)
    with torch.no_grad():
        assert_close(ours(x), expected)
        bias = torch.randn(4, dtype=torch.float64)
        assert_close(convolve(x, ours.weight, bias, stride, groups), expected + bias[:, None, None, None])


def test_a_frozen_weight_and_a_leaf_input() -> None:
    convolution = Convolution(4, 4, (3, 3, 3), groups=4).requires_grad_(requires_grad=False)
    x = torch.randn(1, 4, 3, 5, 5, requires_grad=True)
    convolution(x).sum().backward()
    assert x.grad is not None
    assert convolution.weight.grad is None
    assert convolution(x[:0]).shape == (0, 4, 3, 5, 5)


@pytest.mark.parametrize(
    ("kind", "pool"),
    [
        ("largest of 3x3", lambda x: F.max_pool3d(x, (1, 3, 3), 1, (0, 1, 1))),
        ("mean of 2x2", lambda x: F.avg_pool3d(x, (1, 2, 2))),
    ],
)
def test_pools_that_learn_go_through_frames_on_every_device(
    kind: Any, pool: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "views_pay", lambda x: False)  # as on a GPU
    x = torch.randn(2, 3, 5, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    expected = pool(x)
    (gradient,) = torch.autograd.grad(expected.square().sum(), x)
    monkeypatch.setattr(F, "max_pool3d", None)  # whose gradient a GPU has in no deterministic form
    monkeypatch.setattr(F, "avg_pool3d", None)
    found = convolution.FramePool(kind)(x)
    assert_close(found, expected)
    assert_close(torch.autograd.grad(found.square().sum(), x)[0], gradient)
