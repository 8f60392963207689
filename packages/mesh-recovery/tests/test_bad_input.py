"""What networks, crops and cameras say of pictures, boxes and numbers that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from poseworks.core.cameras import full_image_translation, perspective_projection
from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.mesh_recovery import (
    HMR,
    PARE,
    SPIN,
    GraphCMR,
    GraphCMRConfig,
    Graphormer,
    GraphormerConfig,
    HMRConfig,
    HRNetConfig,
    PAREConfig,
    Preparation,
    ResNetConfig,
    SPINConfig,
    body_mesh,
    crop_box,
)
from poseworks.mesh_recovery.crops import box_of_keypoints, crop_pixels
from poseworks.mesh_recovery.graphcmr import nearest_rotation

RESNET = ResNetConfig(width=4, blocks=(1, 1, 1, 1))
HRNET = {"width": 4, "stem": 8, "modules": (1, 1, 1), "blocks": 1}
NAN = float("nan")


@pytest.fixture(scope="module")
def networks() -> Mapping[str, nn.Module]:
    """Small ones of each method."""
    torch.manual_seed(0)
    mesh = body_mesh(None, "free")
    transformer = GraphormerConfig(
        backbone=HRNetConfig(features="classified", head_width=2, **HRNET),
        hidden=(16, 16, 8), outputs=(12, 8, 3), layers=1, camera_hidden=8, body="free",
    )  # fmt: skip
    made: dict[str, nn.Module] = {
        "hmr": HMR(HMRConfig(backbone=RESNET, feature_size=128, hidden=8)),
        "spin": SPIN(SPINConfig(backbone=RESNET, feature_size=128, hidden=8)),
        "pare": PARE(PAREConfig(backbone=HRNetConfig(**HRNET), layers=1, hidden=8, shape_features=4)),
        "graphcmr": GraphCMR(GraphCMRConfig(backbone=RESNET, channels=64, layers=1, hidden=8, body="free"), mesh),
        "graphormer": Graphormer(transformer, mesh),
    }
    return {name: network.eval() for name, network in made.items()}


NAMES = ("hmr", "spin", "pare", "graphcmr", "graphormer")


@pytest.mark.parametrize("name", NAMES)
def test_one_picture_and_none_keep_their_axes(networks: Mapping[str, nn.Module], name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, 3, 64, 64, generator=generator)
    with torch.no_grad():
        three, one, none = (networks[name](images[:count]) for count in (3, 1, 0))
    for all_of_them, first, nothing in zip(three, one, none, strict=True):
        assert_close(first, all_of_them[:1], rtol=1e-4, atol=1e-5)
        assert nothing.shape == (0, *first.shape[1:])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [NAN, float("inf")])
def test_a_picture_that_is_no_number_spoils_itself_alone(
    networks: Mapping[str, nn.Module], name: str, number: float
) -> None:
    images = torch.zeros(2, 3, 64, 64)
    images[1] = number
    with torch.no_grad():
        both, sound = networks[name](images), networks[name](images[:1])
    for found, alone in zip(both, sound, strict=True):
        assert_close(found[:1], alone, rtol=1e-4, atol=1e-5)
        assert found[1].isnan().any()


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_bytes_or_of_other_axes_are_refused(networks: Mapping[str, nn.Module], name: str) -> None:
    with pytest.raises(ShapeError, match=r"images: expected floating point, got torch.uint8\. Pictures are normalised"):
        networks[name](torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(ShapeError, match=r"images: expected \(N, C=3, H>=32, W>=32\), got \(1, 64, 64, 3\)"):
        networks[name](torch.zeros(1, 64, 64, 3))


def test_one_picture_is_too_few_to_train_norms_on(networks: Mapping[str, nn.Module]) -> None:
    network = networks["graphcmr"].train()
    try:
        with pytest.raises(ShapeError, match=r"1 in training, but batch norms need 2 or more\. Train with a larger"):
            network(torch.randn(1, 3, 64, 64))
    finally:
        network.eval()


def test_the_nearest_rotation_of_no_number_is_none() -> None:
    matrices = torch.eye(3).repeat(2, 1, 1)
    matrices[1, 0, 0] = NAN
    matrices.requires_grad_()
    found = nearest_rotation(matrices)
    assert_close(found[0], torch.eye(3))
    assert found[1].isnan().all()
    torch.autograd.backward(found[0].sum())
    assert matrices.grad is not None
    assert matrices.grad[0].isfinite().all()


@pytest.mark.parametrize("crop", ["affine", "pixels"])
class TestBoxes:
    picture = np.zeros((40, 60, 3), np.uint8)

    def cropped(self, crop: str, box: object) -> Tensor:
        return crop_box(self.picture, box, Preparation(crop=crop, size=64))[0]  # type: ignore[arg-type]

    @pytest.mark.parametrize("box", [[0, 0, 0, 10], [5, 5, 10, -3], [NAN, 1, 10, 10], [0, 0, float("inf"), 5]])
    def test_empty_or_no_number(self, crop: str, box: list[float]) -> None:
        with pytest.raises(DataError, match="expected finite numbers, width and height above 0"):
            self.cropped(crop, box)

    @pytest.mark.parametrize("box", [[60, 0, 9, 9], [0, 40, 9, 9], [-9, 0, 9, 9], [0, -9, 9, 9]])
    def test_outside(self, crop: str, box: list[float]) -> None:
        with pytest.raises(DataError, match="lies outside the picture of 60 x 40"):
            self.cropped(crop, box)

    @pytest.mark.parametrize("box", [[1, 1, 0.2, 0.9], [-1e6, -1e6, 2e6, 2e6], [-1e18, -1e18, 2e18, 2e18]])
    def test_far_too_small_or_large(self, crop: str, box: list[float]) -> None:
        with pytest.raises(DataError, match=r"a person of a pixel at least, and of 16 times the picture at most"):
            self.cropped(crop, box)

    def test_partly_outside_is_black_there(self, crop: str) -> None:
        white = np.full((40, 60, 3), 255, np.uint8)
        seen = crop_box(white, [-20, 0, 40, 40], Preparation(crop=crop, size=64, enlarge=1))[0]
        assert (seen[:, :, :28] == seen[:, :1, :1]).all()
        assert (seen[:, 4:60, 36:] > seen[:, :1, :1]).all()


def test_a_square_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a square of 2000000 pixels, more than 16 times the picture"):
        crop_pixels(np.zeros((40, 60, 3), np.uint8), (30, 20), 1e4, 224)


@pytest.mark.parametrize("confidence", [0.0, NAN])
def test_no_visible_keypoint_makes_no_box(confidence: float) -> None:
    with pytest.raises(DataError, match=r"0 of 17 can be seen .* Leave this frame out, or state the box"):
        box_of_keypoints(np.random.default_rng(0).uniform(0, 9, (17, 2)), np.full(17, confidence))


CAMERAS: tuple[Callable[[float], object], ...] = (
    lambda focal: perspective_projection(torch.zeros(1, 2, 3), torch.ones(1, 3), focal),
    lambda focal: full_image_translation(torch.ones(1, 3), torch.zeros(1, 2), torch.ones(1), (10, 10), focal),
)


@pytest.mark.parametrize("focal", [0.0, -1.0, NAN])
@pytest.mark.parametrize("call", CAMERAS)
def test_a_focal_length_of_0_is_refused(call: Callable[[float], object], focal: float) -> None:
    with pytest.raises(ConfigError, match=r"focal_px.*above 0"):
        call(focal)
