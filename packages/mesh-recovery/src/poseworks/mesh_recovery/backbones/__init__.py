"""Networks from pictures to maps of features."""

from __future__ import annotations

from typing import Annotated, assert_never

from pydantic import Field
from torch import Tensor

from poseworks.core.errors import ShapeError
from poseworks.core.shapes import expect_shape
from poseworks.mesh_recovery.backbones.hrnet import (
    HRNetClassified,
    HRNetConfig,
    HRNetDownsampled,
    HRNetHighest,
    HRNetTrunk,
    HRNetUpsampled,
)
from poseworks.mesh_recovery.backbones.resnet import ResNet, ResNetConfig

BackboneConfig = Annotated[ResNetConfig | HRNetConfig, Field(discriminator="kind")]
MapBackbone = ResNet | HRNetUpsampled | HRNetDownsampled | HRNetHighest
SMALLEST = 32  # pixels of a side: what one number of the smallest map stands for

__all__ = [
    "SMALLEST",
    "BackboneConfig",
    "HRNetClassified",
    "HRNetConfig",
    "HRNetDownsampled",
    "HRNetHighest",
    "HRNetTrunk",
    "HRNetUpsampled",
    "MapBackbone",
    "ResNet",
    "ResNetConfig",
    "expect_images",
    "map_backbone",
]


def map_backbone(config: ResNetConfig | HRNetConfig) -> MapBackbone:
    """The network of a config, which gives one map of `config.channels` channels; new weights.

    Raises:
        ValueError: the config is of a network that gives another thing than one map.
    """
    match config:
        case ResNetConfig():
            return ResNet(config)
        case HRNetConfig(features="upsampled"):
            return HRNetUpsampled(config)
        case HRNetConfig(features="downsampled"):
            return HRNetDownsampled(config)
        case HRNetConfig(features="highest"):
            return HRNetHighest(config)
        case HRNetConfig():
            raise ValueError("backbone.features: classified gives no single map. Expected upsampled, downsampled.")
        case _:
            assert_never(config)


def expect_images(images: Tensor, config: ResNetConfig | HRNetConfig) -> None:
    """Nothing, if these are pictures that the backbone can read.

    Raises:
        ShapeError: another shape than (N, 3, H, W), too small, whole numbers, or sides that an HRNet's maps do not
            divide.
    """
    fix = "Pictures are normalised and cropped to a person: see `poseworks.mesh_recovery.crops`."
    expect_shape("images", images, f"N C=3 H>={SMALLEST} W>={SMALLEST}", fix=fix)
    if not images.is_floating_point():
        raise ShapeError(f"images: expected floating point, got {images.dtype}. {fix}")
    if isinstance(config, HRNetConfig) and (images.shape[2] % SMALLEST or images.shape[3] % SMALLEST):
        raise ShapeError(
            f"images: expected a height and width that {SMALLEST} divides, such as 224 or 256, for an HRNet; "
            f"got {tuple(images.shape[2:])}."
        )
