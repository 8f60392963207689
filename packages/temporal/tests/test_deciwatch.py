"""DeciWatch against the published network, and its two paths against each other."""

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
from poseworks.temporal import deciwatch_inference
from poseworks.temporal.deciwatch import DeciWatch, DeciWatchConfig, interpolate, positional_table, zero_output_layers

REFERENCE = Path(__file__).parent / "reference"
CASES = reference_cases(REFERENCE, "deciwatch_*")
SMALL = {"channels": 5, "interval": 3, "q": 2, "width": 8, "feedforward": 12, "layers": 2}


def published(case: ReferenceCase, cross_attention: str) -> DeciWatch:
    c = case.config
    config = DeciWatchConfig(
        channels=c["input_dim"],
        interval=c["sample_interval"],
        q=c["slide_window_q"],
        width=c["encoder_hidden_dim"],
        heads=c["nheads"],
        feedforward=c["dim_feedforward"],
        layers=c["enc_layers"],
        pre_norm=c["pre_norm"],
        cross_attention=cross_attention,  # type: ignore[arg-type]
    )
    network = DeciWatch(config).eval()
    network.load_state_dict(case.state_dict())
    return network


def small(seed: int = 0, **sizes: Any) -> DeciWatch:
    torch.manual_seed(seed)
    return DeciWatch(DeciWatchConfig(**(SMALL | sizes))).eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("fill", ["as given", "nan"])
@pytest.mark.parametrize("cross_attention", ["masked", "additive"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_windows_equal_the_published_network(case: ReferenceCase, cross_attention: str, fill: str) -> None:
    expected = case.outputs.get(f"recover_{cross_attention}", case.outputs.get("recover"))
    if expected is None or (cross_attention == "additive" and "recover" in case.outputs):
        pytest.skip("the toolkit knows the masked form alone")
    network, x = published(case, cross_attention), case.inputs["window"].clone()
    if fill == "nan":
        x[:, ~network.reads] = torch.nan
    with torch.no_grad():
        results = [network(x), network.layers(x)]
    for recovered, denoised in results:
        assert_close(recovered, expected, atol=2e-5, rtol=0)
        assert_close(denoised, case.outputs["denoise"], atol=2e-5, rtol=0)
    assert_close(network.run_windows(x), expected, atol=2e-5, rtol=0)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    windows=st.integers(1, 5), interval=st.integers(1, 4), q=st.integers(1, 5), channels=st.integers(2, 4),
    pre_norm=st.booleans(), cross_attention=st.sampled_from(["masked", "additive"]),
    tokens=st.sampled_from([1, 20, 999]), width=st.sampled_from([4, 8, 32]), scale=st.sampled_from([0.1, 1.0, 30.0]),
)  # fmt: skip
def test_inference_equals_the_layers(
    windows: int, interval: int, q: int, channels: int, pre_norm: bool, cross_attention: str, tokens: int, width: int,
    scale: float,
) -> None:  # fmt: skip
    """For any sizes and block size; large inputs make logits too large for an exponential without their maximum."""
    network = small(
        interval=interval, q=q, channels=channels, pre_norm=pre_norm, cross_attention=cross_attention, width=width
    )
    x = scale * noise(windows, network.window, channels)
    before = deciwatch_inference._BLOCK_TOKENS
    try:
        deciwatch_inference._BLOCK_TOKENS = tokens
        fast = network.run_windows(x)
        with torch.no_grad():
            recovered, denoised = network(x)
    finally:
        deciwatch_inference._BLOCK_TOKENS = before
    plain, plain_denoised = network.layers(x)
    for ours, expected in ((fast, plain), (recovered, plain), (denoised, plain_denoised)):
        assert_close(ours, expected.detach(), atol=1e-4 * max(1, scale), rtol=1e-4)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_steep_attention_does_not_overflow(pre_norm: bool) -> None:
    network = small(pre_norm=pre_norm, interval=4, q=3)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "in_proj_weight" in name:
                parameter.mul_(30)
    x = noise(3, network.window, 5)
    assert_close(network.run_windows(x), network.layers(x)[0].detach(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cross_attention", ["masked", "additive"])
def test_unsampled_frames_never_matter(cross_attention: str) -> None:
    network, x = small(cross_attention=cross_attention), noise(3, 7, 5)
    for value in (torch.nan, torch.inf, 1e30, 0.0):
        other = x.clone()
        other[:, ~network.reads] = value
        with torch.no_grad():
            assert_close(network(other), network(x))
        assert_close(network.layers(other), network.layers(x))
        assert_close(network.run_windows(other), network.run_windows(x))
    assert network.reads.nonzero().flatten().tolist() == [0, 3, 6]


def test_unsampled_frames_never_matter_to_the_gradient() -> None:
    network, x = small(), noise(2, 7, 5)
    x[:, ~network.reads] = torch.nan
    x.requires_grad_()
    sum(y.square().sum() for y in network(x)).backward()  # type: ignore[union-attr]
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    assert x.grad is not None
    assert torch.equal(x.grad[:, ~network.reads], torch.zeros(2, 4, 5))


def test_a_batch_is_a_loop_and_an_overlapping_view_its_copy() -> None:
    network, clip = small(), noise(40, 5)
    view = clip.unfold(0, 7, 3).mT
    together = network.run_windows(view)
    assert_close(together, torch.cat([network.run_windows(window[None]) for window in view]))
    assert_close(together, network.run_windows(view.contiguous()))


def test_one_channel_takes_any_number_each_alone() -> None:
    network, x = small(channels=1), noise(4, 7, 6)
    expected = torch.cat([network.run_windows(x[:, :, c : c + 1]) for c in range(6)], dim=2)
    assert_close(network.run_windows(x), expected)
    with pytest.raises(ShapeError, match="C=1"):
        network(x)


@pytest.mark.parametrize("cross_attention", ["masked", "additive"])
def test_zero_output_layers_begin_as_interpolation(cross_attention: str) -> None:
    network = zero_output_layers(small(cross_attention=cross_attention))
    x = noise(2, 7, 5)
    line = torch.stack([torch.lerp(x[:, 3 * (t // 3)], x[:, min(3 * (t // 3) + 3, 6)], t % 3 / 3) for t in range(7)], 1)
    assert_close(network.run_windows(x), line, atol=1e-6, rtol=0)


def test_interpolation_by_hand() -> None:
    track = torch.tensor([0.0, 4.0, -4.0])[None, :, None]
    assert interpolate(track, 4)[0, :, 0].tolist() == [0, 1, 2, 3, 4, 2, 0, -2, -4]


def test_positional_table_by_hand() -> None:
    table = positional_table(5, 4)
    assert_close(table[:, 0], torch.tensor([0.0, 1.0, 0.0, -1.0, 0.0]), atol=1e-5, rtol=0)
    # The second pair's exponent is 2 i / (D / 2) = 1: a ten-thousandth of the angle.
    assert_close(table[2, 2:], torch.tensor([3.14159e-4, 1.0]), atol=1e-6, rtol=0)


def test_key_names_are_the_published_ones() -> None:
    for case in CASES:
        mode = "masked"
        assert set(published(case, mode).state_dict()) == set(case.shapes)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"L=7, C=5.*3 x 2 \+ 1"):
        small()(noise(1, 8, 5))
    with pytest.raises(ShapeError, match="L=7"):
        small().run_windows(noise(1, 8, 5))
    with pytest.raises(ValidationError, match="multiple of heads"):
        DeciWatchConfig(width=10)
    assert small().run_windows(torch.zeros(0, 7, 5)).shape == (0, 7, 5)


def test_dropout_acts_in_training_alone() -> None:
    network, x = small(dropout=0.5), noise(2, 7, 5)
    network.train()
    assert not torch.equal(network(x)[0], network(x)[0])
    network.eval()
    assert torch.equal(network(x)[0], network(x)[0])
