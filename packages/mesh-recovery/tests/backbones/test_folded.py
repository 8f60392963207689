"""Layers with their norms folded in: they give what the layers give, and follow them where these change."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from poseworks.mesh_recovery import (
    HMR,
    PARE,
    GraphCMR,
    GraphCMRConfig,
    Graphormer,
    GraphormerConfig,
    HMRConfig,
    HRNetConfig,
    PAREConfig,
    ResNetConfig,
    body_mesh,
)
from poseworks.mesh_recovery.backbones.folded import PictureNetwork

RESNET = ResNetConfig(width=4, blocks=(1, 2, 1, 1))
HRNET = {"width": 4, "stem": 8, "modules": (1, 1, 1), "blocks": 1}


def hmr() -> HMR:
    return HMR(HMRConfig(backbone=RESNET, feature_size=128, hidden=8))


def graphormer() -> Graphormer:
    backbone = HRNetConfig(features="classified", head_width=2, **HRNET)
    sizes = {"hidden": (16, 16, 8), "outputs": (12, 8, 3), "layers": 1, "camera_hidden": 8}
    return Graphormer(GraphormerConfig(backbone=backbone, body="free", **sizes), body_mesh(None, "free"))


MADE: dict[str, Callable[[], PictureNetwork]] = {
    "hmr": hmr,
    "hmr-hrnet": lambda: HMR(
        HMRConfig(backbone=HRNetConfig(features="downsampled", **HRNET), feature_size=60, hidden=8)
    ),
    "pare": lambda: PARE(PAREConfig(backbone=HRNetConfig(**HRNET), layers=2, hidden=8, shape_features=4)),
    "graphcmr": lambda: GraphCMR(
        GraphCMRConfig(backbone=RESNET, channels=64, layers=0, hidden=8, body="free"), body_mesh(None, "free")
    ),
    "graphormer": graphormer,
}


def trained(made: Callable[[], PictureNetwork]) -> PictureNetwork:
    """A network whose norms are not the identity."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = made().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in ((module.weight, 0.5), (module.bias, -0.2), (module.running_mean, -0.2)):
                assert tensor is not None
                tensor.data.copy_(low + torch.rand(tensor.shape, generator=generator))
            assert module.running_var is not None
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
    return network


def answers(network: nn.Module, images: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """By the layers, which gradients need, and by the folded ones."""
    layers = tuple(x.detach() for x in network(images))
    with torch.no_grad():
        return layers, tuple(network(images))


@pytest.mark.parametrize("name", MADE)
def test_they_give_what_the_layers_give(name: str) -> None:
    network = trained(MADE[name])
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    names = set(network.state_dict())
    layers, quick = answers(network, images)
    for slow, fast in zip(layers, quick, strict=True):
        assert_close(fast, slow, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        _, seeing = network.seeing(images)
    kinds = {type(module) for layer in seeing for module in layer.modules()}
    assert nn.BatchNorm2d not in kinds
    assert nn.Identity in kinds
    assert set(network.state_dict()) == names


def test_they_follow_the_weights() -> None:
    network = trained(hmr)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    _, before = answers(network, images)
    with torch.no_grad():
        network.get_parameter("backbone.conv1.weight").mul_(2)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None
                layer.running_mean.add_(0.3)
    layers, after = answers(network, images)
    assert_close(after[1], layers[1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(after[1], before[1], rtol=1e-3)
    for other in (copy.deepcopy(network), network.double().float()):
        assert_close(answers(other, images)[1][1], layers[1], rtol=1e-4, atol=1e-5)


def test_training_and_other_numbers_use_the_layers() -> None:
    network = trained(hmr)
    images = torch.randn(2, 3, 64, 64)
    layers = [network.get_submodule("backbone")]
    assert network.seeing(images)[1] == layers  # gradients are wanted
    with torch.no_grad():
        assert network.seeing(images)[1] != layers
        assert network.seeing(images.double())[1] == layers
        assert network.seeing(images[:0])[1] == layers
        network.get_submodule("backbone").train()  # norms by the batch
        assert network.seeing(images)[1] == layers
