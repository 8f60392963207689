"""Folded SmoothNets: plain, and blind to origin, steady motion and unit."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from poseworks.core.windows import apply_windows
from poseworks.temporal.learning.equivariant import EquivariantSmoothNet, folded, polynomials
from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig


def network(window: int = 16, degree: int = 1, hidden: int = 40, blocks: int = 2) -> EquivariantSmoothNet:
    config = SmoothNetConfig(window=window, output=window, hidden=hidden, residual_hidden=8, blocks=blocks, dropout=0.0)
    return EquivariantSmoothNet(config, degree, generator=torch.Generator().manual_seed(0)).eval()


@pytest.mark.parametrize("degree", [0, 1])
def test_folded_equals_unfolded(degree: int) -> None:
    trained = network(degree=degree)
    plain = folded(trained)
    assert type(plain) is SmoothNet
    assert plain.config.hidden == 40 + 2 * (degree + 1)
    x = torch.randn(5, 3, 16, generator=torch.Generator().manual_seed(1))
    assert_close(plain(x), trained(x), atol=1e-5, rtol=0)


def test_fifty_metres_from_the_origin_in_float32() -> None:
    trained = network()
    x = torch.randn(5, 3, 16, generator=torch.Generator().manual_seed(1)) * 0.3
    assert_close(folded(trained)(x + 50) - 50, trained(x), atol=1e-4, rtol=0)


def test_steady_motion_and_unit_pass_through() -> None:
    plain = folded(network())
    x = torch.randn(4, 2, 16, generator=torch.Generator().manual_seed(2))
    walk = 0.7 * torch.arange(16.0) - 3
    assert_close(plain(x + walk), plain(x) + walk, atol=2e-5, rtol=0)
    assert_close(plain(1000 * x), 1000 * plain(x), atol=1e-2, rtol=0)
    assert_close(plain(torch.zeros(1, 1, 16)), torch.zeros(1, 1, 16))


def test_a_clip_is_smoothed_alike_wherever_it_is() -> None:
    plain = folded(network())
    clip = torch.randn(60, 6, generator=torch.Generator().manual_seed(3)) * 0.2
    assert_close(apply_windows(plain, clip + 5) - 5, apply_windows(plain, clip), atol=2e-5, rtol=0)


def test_training_starts_near_a_gaussian_filter() -> None:
    from scipy.ndimage import gaussian_filter1d

    trained = network(hidden=32, blocks=1, degree=0)
    for block in trained.inner.res_blocks:
        torch.nn.init.zeros_(block.linear2.weight)  # type: ignore[union-attr,arg-type]
    x = torch.randn(1, 1, 16, generator=torch.Generator().manual_seed(4))
    x -= x.mean()
    with torch.no_grad():
        middle = trained(x)[0, 0, 8].item()
    assert middle == pytest.approx(gaussian_filter1d(x[0, 0].numpy(), 2.0, truncate=8)[8], abs=2e-3)


def test_only_matrices_are_trained() -> None:
    assert not any("bias" in name for name, p in network().named_parameters() if p.requires_grad)


def test_polynomials_are_orthonormal_and_span_lines() -> None:
    basis = polynomials(9, 1)
    assert_close(basis.mT @ basis, torch.eye(2))
    line = 4 - 0.5 * torch.arange(9.0)
    assert_close(basis @ (basis.mT @ line), line)
