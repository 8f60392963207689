from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.testing import ReferenceCase, reference_cases
from poseworks.core.windows import apply_windows
from poseworks.temporal.deciwatch import DeciWatch, DeciWatchConfig
from poseworks.temporal.rotations import smooth_rotations
from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig

REFERENCE = Path(__file__).parent / "reference"


def rotations(frames: int, joints: int = 2, scale: float = 0.4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return axis_angle_to_matrix(scale * torch.randn(frames, joints, 3, generator=generator))


def smoothnet(window: int = 8) -> SmoothNet:
    torch.manual_seed(0)
    config = SmoothNetConfig(window=window, output=window, hidden=16, residual_hidden=8, blocks=1)
    return SmoothNet(config).eval()


def toolkit_smoothnet() -> tuple[ReferenceCase, SmoothNet]:
    (case,) = reference_cases(REFERENCE, "smoothnet_toolkit_rotations_w8")
    network = SmoothNet(SmoothNetConfig(window=8, output=8, hidden=512, residual_hidden=512, blocks=5))
    network.load_state_dict(case.state_dict())
    return case, network


def test_toolkit_smoothnet_on_every_form() -> None:
    case, network = toolkit_smoothnet()
    matrices = case.inputs["input_matrix"].reshape(60, 24, 3, 3)
    smoothed = smooth_rotations(network, matrices, "rows")
    assert_close(smoothed.flatten(2), case.outputs["out_matrix"], rtol=0, atol=1e-3)
    assert_close(axis_angle_to_matrix(case.inputs["axis_angle"]), matrices, rtol=0, atol=1e-6)
    assert_close(smoothed, axis_angle_to_matrix(case.outputs["out_axis_angle"]), rtol=0, atol=1e-3)
    six_d = matrices[:, :4, :2].reshape(60, -1)  # four joints: a channel does not know the others
    assert_close(apply_windows(network, six_d), case.outputs["out_six_d"][:, :4].flatten(1), rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", reference_cases(REFERENCE, "deciwatch_toolkit_*"), ids=lambda case: case.name)
def test_toolkit_deciwatch_with_its_tail(case: ReferenceCase) -> None:
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
            cross_attention=c["cross_attention"],
        )
    )
    network.load_state_dict(case.state_dict())
    names = [name for name in case.outputs if name.startswith("sequence")]
    assert len(names) == 2
    for name in names:
        matrices = axis_angle_to_matrix(case.inputs[name])
        assert_close(smooth_rotations(network, matrices, "rows"), case.outputs[name], rtol=0, atol=1e-3)


@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("frames", [1, 7, 8, 9, 40])
def test_the_result_is_always_a_rotation(layout: str, frames: int) -> None:
    smoothed = smooth_rotations(smoothnet(), rotations(frames).double(), layout)  # type: ignore[arg-type]
    identity = torch.eye(3, dtype=torch.float64).expand(frames, 2, 3, 3)
    assert_close(smoothed.mT @ smoothed, identity, rtol=0, atol=1e-9)
    assert_close(torch.linalg.det(smoothed), torch.ones(frames, 2, dtype=torch.float64))


def test_rows_of_a_matrix_are_the_columns_of_its_transpose() -> None:
    network, matrices = smoothnet(), rotations(20)
    rows = smooth_rotations(network, matrices, "rows")
    assert_close(smooth_rotations(network, matrices.mT, "columns"), rows.mT, rtol=0, atol=1e-5)
    assert (rows - smooth_rotations(network, matrices, "columns")).abs().max() > 1e-2


def test_a_clip_shorter_than_the_window_is_unchanged() -> None:
    assert_close(smooth_rotations(smoothnet(), rotations(7)), rotations(7), rtol=0, atol=1e-6)


def test_six_numbers_no_rotation_can_be_read_from_leave_the_input() -> None:
    network = smoothnet()
    torch.nn.init.zeros_(network.decoder.weight)
    torch.nn.init.zeros_(network.decoder.bias)
    assert_close(smooth_rotations(network, rotations(20)), rotations(20))


def test_frames_that_a_deciwatch_does_not_read_may_be_missing() -> None:
    torch.manual_seed(0)
    network = DeciWatch(DeciWatchConfig(channels=12, interval=3, q=2, width=8, heads=2, feedforward=8, layers=1))
    matrices = rotations(31)
    sparse = matrices.clone()
    sparse[torch.arange(31) % 3 != 0] = torch.nan
    assert torch.equal(smooth_rotations(network, sparse), smooth_rotations(network, matrices))


def test_kind_and_dtype_come_back() -> None:
    array = rotations(20).numpy()
    smoothed = smooth_rotations(smoothnet(), array)
    assert isinstance(smoothed, np.ndarray)
    assert smoothed.dtype == np.float32
    np.testing.assert_allclose(smoothed, smooth_rotations(smoothnet(), torch.from_numpy(array)).numpy())


@pytest.mark.parametrize("shape", [(20, 2, 3), (20, 2, 9), (20, 3, 3), (20, 2, 6)])
def test_other_forms_are_refused_with_the_way_to_convert(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="axis_angle_to_matrix"):
        smooth_rotations(smoothnet(), torch.zeros(shape))


def test_what_is_no_rotation_is_refused() -> None:
    scaled = rotations(20)
    scaled[4, 1] *= 1.1
    with pytest.raises(DataError, match="frame 4, joint 1 is not orthogonal"):
        smooth_rotations(smoothnet(), scaled)
    mirrored = rotations(20)
    mirrored[5, 0, :, 0] *= -1
    with pytest.raises(DataError, match="frame 5, joint 0 is a reflection"):
        smooth_rotations(smoothnet(), mirrored)
    missing = rotations(20)
    missing[6, 0, 0, 0] = torch.nan
    with pytest.raises(DataError, match="frame 6"):
        smooth_rotations(smoothnet(), missing)
    with pytest.raises(ShapeError, match="floating"):
        smooth_rotations(smoothnet(), torch.eye(3, dtype=torch.int64).expand(20, 2, 3, 3))
    with pytest.raises(ConfigError, match="layout"):
        smooth_rotations(smoothnet(), rotations(20), "diagonal")  # type: ignore[arg-type]
