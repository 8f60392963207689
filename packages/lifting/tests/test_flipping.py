"""Mirrored inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from poseworks.core.errors import ShapeError
from poseworks.lifting.flipping import flip, flip_average

PAIRS = ((4, 1), (5, 2), (6, 3), (11, 14), (12, 15), (13, 16))


def test_a_flip_negates_x_and_exchanges_the_sides() -> None:
    x = torch.randn(2, 5, 17, 3, generator=torch.Generator().manual_seed(0))
    flipped = flip(x)
    assert_close(flip(flipped), x)
    for left, right in PAIRS:
        assert_close(flipped[..., left, :], x[..., right, :] * torch.tensor([-1.0, 1, 1]))
    assert_close(flipped[..., 10, :], x[..., 10, :] * torch.tensor([-1.0, 1, 1]))


def test_rows_equal_those_of_the_published_augmentation() -> None:
    stored = np.load(Path(__file__).parent / "reference" / "lcn_protocol.npz")
    rows = torch.from_numpy(stored["test_2d_dt_conf"][:2]).view(2, 17, 3)
    assert_close(torch.cat([rows, flip(rows)]).flatten(1), torch.from_numpy(stored["flipped_first_two"]))
    answers = torch.from_numpy(stored["prediction"][:6]).view(6, 17, 3)

    x = torch.zeros(3, 17, 2).double()
    merged = flip_average(lambda given: answers, x)  # type: ignore[arg-type]
    assert_close(merged.flatten(1), torch.from_numpy(stored["unflipped"]))


def test_a_network_that_knows_mirrors_is_left_as_it_is() -> None:
    class Halved(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / 2

    x = torch.randn(4, 17, 3, generator=torch.Generator().manual_seed(0))
    assert_close(flip_average(Halved(), x), x / 2)


def test_other_skeletons_are_refused() -> None:
    with pytest.raises(ShapeError, match="order of h36m17"):
        flip(torch.zeros(2, 24, 3))
