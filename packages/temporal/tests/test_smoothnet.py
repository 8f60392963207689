"""SmoothNet against the published network, and its two paths against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import ShapeError
from poseworks.core.testing import ReferenceCase, reference_cases
from poseworks.temporal import smoothnet
from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig

REFERENCE = Path(__file__).parent / "reference"
CASES = [case for case in reference_cases(REFERENCE, "smoothnet_*") if "window" in case.outputs]
SMALL = {"window": 8, "output": 8, "hidden": 24, "residual_hidden": 6, "blocks": 2}


def published(case: ReferenceCase) -> SmoothNet:
    c = case.config
    config = SmoothNetConfig(
        window=c["window_size"],
        output=c["output_size"],
        hidden=c["hidden_size"],
        residual_hidden=c["res_hidden_size"],
        blocks=c["num_blocks"],
    )
    network = SmoothNet(config).eval()
    network.load_state_dict(case.state_dict())
    return network


def small(seed: int = 0, **sizes: Any) -> SmoothNet:
    torch.manual_seed(seed)
    return SmoothNet(SmoothNetConfig(**(SMALL | sizes))).eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_windows_equal_the_published_network(case: ReferenceCase) -> None:
    network, x = published(case), case.inputs["window"]
    for y in (network(x), network.layers(x), network.run_windows(x.mT).mT):
        assert_close(y, case.outputs["window"], atol=2e-5, rtol=0)
    with torch.no_grad():
        assert_close(network(x), case.outputs["window"], atol=2e-5, rtol=0)


def test_the_parameters_are_those_of_the_papers_3dpw_model() -> None:
    network = SmoothNet()
    assert sum(p.numel() for p in network.parameters()) == 50_224
    assert list(network.state_dict()) == [
        *(f"encoder.0.{leaf}" for leaf in ("weight", "bias")),
        *(f"res_blocks.0.{layer}.{leaf}" for layer in ("linear1", "linear2") for leaf in ("weight", "bias")),
        *(f"decoder.{leaf}" for leaf in ("weight", "bias")),
    ]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    windows=st.integers(1, 9), channels=st.integers(1, 7), blocks=st.integers(0, 3), output=st.integers(1, 8),
    floats=st.sampled_from([1, 100, 500, 10**6]),
)  # fmt: skip
def test_inference_equals_the_layers_for_any_block_size(
    windows: int, channels: int, blocks: int, output: int, floats: int
) -> None:
    network, x = small(blocks=blocks, output=output), noise(windows, 8, channels)
    before = smoothnet._BLOCK_FLOATS
    try:
        smoothnet._BLOCK_FLOATS = floats
        fast = network.run_windows(x)
    finally:
        smoothnet._BLOCK_FLOATS = before
    assert_close(fast, network.layers(x.mT).mT.detach(), atol=1e-5, rtol=1e-5)


def test_an_overlapping_view_equals_its_copy_and_stays_as_it_was() -> None:
    network, clip = small(), noise(40, 5)
    kept = clip.clone()
    view = clip.unfold(0, 8, 1).mT
    assert_close(network.run_windows(view), network.run_windows(view.contiguous()))
    assert torch.equal(clip, kept)


def test_channels_do_not_mix() -> None:
    network, x = small(), noise(3, 6, 8)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    with torch.no_grad():
        assert_close(network(x[:, order]), network(x)[:, order])
        assert_close(network(x), torch.cat([network(x[:, c : c + 1]) for c in range(6)], dim=1))


def test_gradients_flow_and_equal_finite_differences() -> None:
    network, x = small(hidden=5, residual_hidden=3).double(), noise(1, 2, 8).double().requires_grad_()
    assert torch.autograd.gradcheck(network, (x,))


def test_dropout_acts_in_training_alone() -> None:
    network, x = small(dropout=0.5), noise(4, 3, 8)
    with torch.no_grad():
        assert torch.equal(network(x), network(x))
        network.train()
        assert not torch.equal(network(x), network(x))


def test_no_windows_give_no_windows() -> None:
    network = small()
    assert network.run_windows(torch.zeros(0, 8, 3)).shape == (0, 8, 3)
    assert network.run_windows(torch.zeros(2, 8, 0)).shape == (2, 8, 0)


def test_in_double_precision_and_in_bfloat16() -> None:
    network, x = small(), noise(2, 3, 8)
    with torch.no_grad():
        expected = network(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert_close(network(x).float(), expected, atol=0.05, rtol=0.05)
        assert_close(network.double()(x.double()).float(), expected, atol=1e-5, rtol=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="W=8"):
        small()(noise(2, 3, 9))
    with pytest.raises(ShapeError, match="N, W=8, C"):
        small().run_windows(noise(2, 9, 8))
    with pytest.raises(ValidationError, match="must not exceed window"):
        SmoothNetConfig(window=8, output=9)
    with pytest.raises(ValidationError, match="hiden"):
        SmoothNetConfig(hiden=3)  # type: ignore[call-arg]


def test_it_reads_every_frame_at_stride_1() -> None:
    assert small().reads.all()
    assert (small().window, small().stride) == (8, 1)
