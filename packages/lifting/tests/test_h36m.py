"""Pixels scaled for the networks, against the published readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core.errors import DataError, ShapeError
from poseworks.lifting.h36m import denormalize, normalize

REFERENCE = Path(__file__).parent / "reference"
SIZES = np.array([[1000, 1002], [1000, 1000], [1000, 1000], [1000, 1002]])  # of the four cameras, in the vectors' order


def stored(name: str) -> dict[str, np.ndarray]:
    with np.load(REFERENCE / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def test_inputs_and_labels_equal_the_published_reader() -> None:
    arrays = stored("lcn_protocol")
    items = len(arrays["test_labels"])
    width, height = (SIZES[np.arange(items) % 4, axis] for axis in (0, 1))
    joints = arrays["test_joint_3d_image"]
    labels = normalize(joints, width, height)
    np.testing.assert_allclose(labels.reshape(items, 51), arrays["test_labels"], rtol=1e-6, atol=1e-12)
    inputs = normalize(joints[..., :2], width, height)
    np.testing.assert_allclose(inputs.reshape(items, 34), arrays["test_2d_gt"], rtol=1e-6, atol=1e-12)
    pixels = denormalize(arrays["prediction"].reshape(items, 17, 3), width, height)
    np.testing.assert_allclose(pixels, arrays["denormalised"], rtol=1e-6)


def test_predictions_of_clips_equal_the_published_ones() -> None:
    arrays = stored("protocol_expected")
    size = np.array([_size(clip, arrays) for clip in range(5)])
    found = denormalize(arrays["prediction"], size[:, 0], size[:, 1])
    np.testing.assert_allclose(found, arrays["denormalised"], rtol=1e-5, atol=1e-3)


def _size(clip: int, arrays: dict[str, np.ndarray]) -> tuple[int, int]:
    """The image that explains a clip's first point: cameras differ in height alone, by two pixels."""
    y, pixels = arrays["prediction"][clip, 0, 0, 1], arrays["denormalised"][clip, 0, 0, 1]
    return min(((1000, h) for h in (1000, 1002)), key=lambda size: abs((y + size[1] / 1000) * 500 - pixels))


def test_the_in_the_wild_code_scales_otherwise() -> None:
    """It halves the shorter side, and centres on the image: for landscape video larger numbers than in training."""
    arrays = stored("wild_expected")
    ours = normalize(arrays["halpe_to_h36m"][..., :2], 1280, 720)
    np.testing.assert_allclose(ours * 1280 / 720, arrays["pixel_normalised"][..., :2], atol=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
def test_there_and_back(dims: int) -> None:
    points = torch.rand(2, 5, 17, dims, generator=torch.Generator().manual_seed(0)) * 900
    back = denormalize(normalize(points, 1280, 720), 1280, 720)
    torch.testing.assert_close(back, points, atol=1e-3, rtol=1e-5)
    array = normalize(points.numpy(), 1280, 720)
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, normalize(points, 1280, 720).numpy(), rtol=1e-6, atol=1e-6)


def test_the_corners_of_the_image() -> None:
    corners = np.array([[0.0, 0.0, 0.0], [1280.0, 720.0, 640.0]])
    np.testing.assert_allclose(normalize(corners, 1280, 720), [[-1, -0.5625, 0], [1, 0.5625, 1]])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="x, y or x, y, z"):
        normalize(np.zeros((17, 4)), 100, 100)
    with pytest.raises(ShapeError, match=r"at most the first 1 axes of the points, got \(2, 2\)"):
        normalize(np.zeros((17, 2)), np.ones((2, 2)), 100)
    for width, height in ((0, 100), (100, -1)):
        with pytest.raises(DataError, match="width first"):
            denormalize(np.zeros((17, 2)), width, height)
