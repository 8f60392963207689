from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.testing import ReferenceCase, reference_cases
from poseworks.core.windows import apply_windows
from poseworks.temporal.deciwatch import DeciWatch, DeciWatchConfig
from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig

REFERENCE = Path(__file__).parent / "reference"


def clip(frames: int, channels: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(frames, channels, generator=torch.Generator().manual_seed(seed))


def smoothnet_of(case: ReferenceCase) -> SmoothNet:
    c = case.config
    network = SmoothNet(
        SmoothNetConfig(
            window=c["window_size"],
            output=c["output_size"],
            hidden=c["hidden_size"],
            residual_hidden=c["res_hidden_size"],
            blocks=c["num_blocks"],
        )
    )
    network.load_state_dict(case.state_dict())
    return network.eval()


@pytest.mark.parametrize("case", reference_cases(REFERENCE, "smoothnet_toolkit_w*"), ids=lambda case: case.name)
def test_toolkit_sequences(case: ReferenceCase) -> None:
    network = smoothnet_of(case)
    names = [name for name in case.outputs if name.startswith("sequence")]
    assert names
    for name in names:
        some = slice(0, 51, 3)  # a channel does not know the others
        smoothed = apply_windows(network, case.inputs[name][0, some].T)
        assert_close(smoothed.T, case.outputs[name][0, some], rtol=0, atol=2e-5)


@pytest.mark.parametrize("case", reference_cases(REFERENCE, "smoothnet_paper_*"), ids=lambda case: case.name)
def test_paper_sequences_at_every_window_step(case: ReferenceCase) -> None:
    network = smoothnet_of(case)
    steps = {int(name.removeprefix("sequence_step")): out for name, out in case.outputs.items() if "_step" in name}
    assert len(steps) >= 2
    for step, expected in steps.items():
        smoothed = apply_windows(network, case.inputs["sequence"], stride=step, tail="drop")
        assert_close(smoothed, expected, rtol=0, atol=2e-5)


def test_pose_toolkit_sequence_with_the_root_taken_out() -> None:
    (case,) = reference_cases(REFERENCE, "smoothnet_rootcentred_w16")
    x = case.inputs["x"]
    root = x[:, :1]
    smoothed = apply_windows(smoothnet_of(case), (x - root)[:, 1:].reshape(len(x), -1)).reshape(len(x), -1, 3)
    assert_close(torch.cat([root, smoothed + root], dim=1), case.outputs["output"], rtol=0, atol=2e-5)


@pytest.mark.parametrize("case", reference_cases(REFERENCE, "deciwatch_paper_*"), ids=lambda case: case.name)
@pytest.mark.parametrize("cross_attention", ["masked", "additive"])
def test_deciwatch_paper_sequences(case: ReferenceCase, cross_attention: str) -> None:
    c = case.config
    network = DeciWatch(
        DeciWatchConfig(
            channels=c["input_dim"],
            interval=c["sample_interval"],
            q=c["slide_window_q"],
            width=c["encoder_hidden_dim"],
            heads=c["nheads"],
            feedforward=c["dim_feedforward"],
            layers=c["enc_layers"],
            pre_norm=c["pre_norm"],
            cross_attention=cross_attention,
        )
    )
    network.load_state_dict(case.state_dict())
    expected = case.outputs[f"sequence_{cross_attention}"]
    x = case.inputs["sequence"].clone()
    x[np.arange(len(x)) % c["sample_interval"] != 0] = torch.nan
    smoothed = apply_windows(network, x, stride=c.get("window_step", network.stride), tail="drop")
    assert_close(smoothed, expected, rtol=0, atol=2e-5)


def test_channels_do_not_mix_and_their_order_does_not_matter() -> None:
    network = SmoothNet(SmoothNetConfig(window=8, output=8, hidden=16, residual_hidden=8, blocks=1)).eval()
    x = clip(40, 6)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    assert_close(apply_windows(network, x)[:, order], apply_windows(network, x[:, order]), rtol=0, atol=1e-6)


def test_no_gradients_and_no_dropout() -> None:
    network = DeciWatch(
        DeciWatchConfig(channels=3, interval=2, q=2, width=8, heads=2, feedforward=8, layers=1, dropout=0.5)
    )
    x = clip(30, 3).requires_grad_()
    assert network.training
    smoothed = apply_windows(network, x, stride=2)
    assert not smoothed.requires_grad
    assert torch.equal(smoothed, apply_windows(network, x, stride=2))
    assert network.training, "the network is left as it was"
