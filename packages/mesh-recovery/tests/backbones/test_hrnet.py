"""HRNets against the published network, and what their maps are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from poseworks.core.errors import ShapeError
from poseworks.core.testing import ReferenceCase
from poseworks.mesh_recovery.backbones import (
    HRNetClassified,
    HRNetConfig,
    HRNetDownsampled,
    HRNetHighest,
    HRNetTrunk,
    HRNetUpsampled,
    ResNetConfig,
    expect_images,
    map_backbone,
)

Case = Callable[[str], ReferenceCase]
SMALL = {"width": 4, "stem": 8, "modules": (1, 1, 1), "blocks": 1}


@pytest.mark.parametrize(
    ("name", "config", "network", "strides", "parameters"),
    [
        ("hrnet_w32_conv_upsample", HRNetConfig(), HRNetUpsampled, (16, 7, 7), 31_409_752),
        ("hrnet_w32_conv_downsample", HRNetConfig(features="downsampled"), HRNetDownsampled, (4, 1, 1), 29_555_864),
        ("hrnet_w32_pose_pretrain_layout", HRNetConfig(features="highest"), HRNetHighest, (2, 4, 4), 28_535_552),
        (
            "hrnet_w48_pose_pretrain_layout",
            HRNetConfig(features="highest", width=48),
            HRNetHighest,
            (2, 4, 4),
            63_594_912,
        ),
    ],
)
@torch.no_grad()
def test_maps_equal_the_published_network(
    name: str, config: HRNetConfig, network: type[HRNetTrunk], strides: tuple[int, ...], parameters: int, case: Case
) -> None:
    published = case(name)
    backbone = map_backbone(config).eval()
    assert type(backbone) is network
    tensors = {n.removeprefix("backbone."): x for n, x in published.state_dict().items()}
    unused = {n: x for n, x in tensors.items() if n.startswith("final_layer.")}  # in the file, used by nothing
    backbone.load_state_dict({n: x for n, x in tensors.items() if n not in unused})
    learned = sum(p.numel() for p in backbone.parameters()) + sum(x.numel() for x in unused.values())
    assert learned == parameters == published.manifest["parameters"]
    found = backbone(published.inputs["input"])
    assert list(found.shape) == published.manifest["output_full"]["shape"]
    assert found.shape[1] == config.channels
    channel, row, column = strides
    assert_close(found[:, ::channel, ::row, ::column], published.outputs["output"], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_highest_map_needs_no_other_output_of_the_last_module(case: Case) -> None:
    torch.manual_seed(0)
    whole = HRNetUpsampled(HRNetConfig(**SMALL)).eval()
    alone = HRNetHighest(HRNetConfig(features="highest", **SMALL)).eval()
    missing = alone.load_state_dict(whole.state_dict(), strict=False).missing_keys
    assert not missing
    images = torch.randn(2, 3, 64, 96)
    assert_close(alone(images), whole.maps(images)[0])


@torch.no_grad()
def test_features_for_classes_add_what_is_finer_to_what_is_coarser() -> None:
    torch.manual_seed(0)
    network = HRNetClassified(HRNetConfig(features="classified", head_width=8, **SMALL)).eval()
    images = torch.randn(2, 3, 64, 64)
    features = network(images)
    assert features.whole.shape == (2, 512)
    assert features.grid.shape == (2, 256, 2, 2)
    grid = None
    for level, x in enumerate(network.maps(images)):
        widened = network.incre_modules[level](x)
        grid = widened if grid is None else widened + network.downsamp_modules[level - 1](grid)
    assert_close(features.grid, grid)
    last = network.final_layer
    assert isinstance(last[0], nn.Conv2d)
    by_hand = last[1](torch.einsum("oc,nchw->nohw", last[0].weight[:, :, 0, 0], grid) + last[0].bias[:, None, None])
    assert_close(features.whole, by_hand.relu().mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)


def test_sizes_of_the_published_backbones() -> None:
    """128,059,944 and 77,469,864 parameters, of which the class labels of ImageNet are 2048 x 1000 + 1000."""
    with torch.device("meta"):
        for width, published in ((64, 128_059_944), (48, 77_469_864)):
            network = HRNetClassified(HRNetConfig(features="classified", width=width))
            assert sum(p.numel() for p in network.parameters()) + 2048 * 1000 + 1000 == published


def test_faults_are_named() -> None:
    with pytest.raises(ShapeError, match=r"images: expected \(N, C=3, H>=32, W>=32\), got \(1, 3, 224\)"):
        expect_images(torch.zeros(1, 3, 224), ResNetConfig())
    with pytest.raises(ShapeError, match=r"that 32 divides, such as 224 or 256, for an HRNet; got \(224, 200\)"):
        expect_images(torch.zeros(1, 3, 224, 200), HRNetConfig())
    with pytest.raises(ValueError, match="classified gives no single map"):
        map_backbone(HRNetConfig(features="classified"))
