"""The networks against the published code, and their two parts."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from poseworks.core.errors import ShapeError
from poseworks.core.testing import ReferenceCase, reference_cases
from poseworks.skeleton_action.c3d_light import C3DLight, C3DLightConfig
from poseworks.skeleton_action.head import HeatmapNetwork
from poseworks.skeleton_action.slowonly import SlowOnly, SlowOnlyConfig
from poseworks.skeleton_action.x3d_shallow import X3DShallow, X3DShallowConfig

REFERENCE = Path(__file__).parent / "reference"
CASES = [case for name in ("slowonly_*", "x3d_*", "c3d_*") for case in reference_cases(REFERENCE, name)]
TINY: list[HeatmapNetwork] = [
    SlowOnly(SlowOnlyConfig(in_channels=3, classes=4, width=2, blocks=(1, 1, 1))),
    X3DShallow(X3DShallowConfig(in_channels=3, classes=4, width=4, blocks=(1, 1, 1))),
    C3DLight(C3DLightConfig(in_channels=3, classes=4, width=2)),
]


def network_of(case: ReferenceCase) -> HeatmapNetwork:
    """The network that a case describes, with its weights."""
    c = case.config
    common = {"in_channels": c["in_channels"], "classes": c["num_classes"], "width": c["base_channels"]}
    network: HeatmapNetwork
    match c["network"]:
        case "slowonly_r50":
            network = SlowOnly(SlowOnlyConfig(**common, blocks=c["stage_blocks"]))
        case "x3d_shallow":
            network = X3DShallow(X3DShallowConfig(**common, blocks=c["stage_blocks"]))
        case _:
            network = C3DLight(C3DLightConfig(**common))
    network.load_state_dict(case.state_dict())
    return network.eval()


def volumes_of(case: ReferenceCase) -> Tensor:
    x = case.inputs["input"]
    return x.clamp(min=0) if case.manifest["input"]["transform"] == "clamp to >= 0" else x


def layers(network: HeatmapNetwork, volumes: Tensor) -> Tensor:
    """The plain stack of layers up to pooling."""
    features: Tensor = network.backbone(volumes)
    return features


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@torch.no_grad()
def test_output_equals_the_published_network(case: ReferenceCase) -> None:
    network = network_of(case)
    assert {name: tuple(x.shape) for name, x in network.state_dict().items()} == case.shapes
    assert sum(p.numel() for p in network.parameters()) == case.manifest["parameters"]
    volumes = volumes_of(case)
    stated = case.manifest["features"]
    steps = tuple(slice(None, None, step) for step in stated["slice_steps"])
    features = layers(network, volumes)
    assert list(features.shape) == stated["shape"]
    assert_close(features[steps], case.outputs["features_slice"], atol=1e-4, rtol=1e-5)
    assert_close(features.mean(dim=(2, 3, 4)), case.outputs["features_pooled"], atol=1e-5, rtol=1e-5)
    logits = network(volumes)
    assert_close(logits, case.outputs["output"], atol=2e-5, rtol=1e-5)
    assert_close(logits.softmax(dim=1), case.outputs["probabilities"], atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("case", [CASES[1], *CASES[3:]], ids=lambda case: case.name)
@torch.no_grad()
def test_every_stage_equals_the_published_one(case: ReferenceCase) -> None:
    network = network_of(case)
    found: dict[str, list[tuple[list[int], list[float]]]] = {}

    def keep(name: str) -> None:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            found.setdefault(name, []).append((list(output.shape), _statistics(output)))

        network.backbone.get_submodule("pool" if "pool" in name else name).register_forward_hook(hook)

    stages = case.manifest["stages"]
    for name in stages:
        if not (name.startswith("pool") and name != "pool1"):
            keep(name)
    layers(network, volumes_of(case))
    pools = iter(found.pop("pool1", ()))
    for name, stage in stages.items():
        shape, statistics = next(pools) if name.startswith("pool") else found[name][0]
        assert shape == stage["shape"]
        assert_close(statistics, stage["stats_mean_std_absmax_min"], atol=2e-5, rtol=1e-5)


def _statistics(x: Tensor) -> list[float]:
    wide = x.double()
    return [float(v) for v in (wide.mean(), wide.std(correction=0), wide.abs().max(), wide.min())]


@pytest.mark.parametrize("network", TINY, ids=lambda network: network.config.kind)
@torch.no_grad()
def test_frames_are_independent_in_the_frame_part(network: HeatmapNetwork) -> None:
    network.eval()
    x = torch.randn(2, 3, 5, 17, 12, generator=torch.Generator().manual_seed(0))
    hidden = network.frame_part(x)
    apart = torch.cat([network.frame_part(x[:, :, t : t + 1]) for t in range(5)], dim=2)
    assert_close(hidden, apart, atol=1e-6, rtol=1e-6)
    assert_close(network.clip_part(hidden), network.features(x), atol=0, rtol=0)
    assert_close(network(x), network.cls_head(network.features(x)), atol=0, rtol=0)
    assert network(x[:0]).shape == (0, 4)


@pytest.mark.parametrize("network", TINY, ids=lambda network: network.config.kind)
def test_other_shapes_are_refused(network: HeatmapNetwork) -> None:
    with pytest.raises(ShapeError, match=r"volumes: expected \(N, C=3, T>=1, .*got \(1, 17, 8, 16, 16\)\. This"):
        network(torch.zeros(1, 17, 8, 16, 16))
    with pytest.raises(ShapeError, match=r"got \(3, 8, 16, 16\)"):
        network(torch.zeros(3, 8, 16, 16))
    with pytest.raises(ShapeError, match=r"H>="):
        network(torch.zeros(1, 3, 8, network.smallest - 1, 16))


def test_residual_blocks_start_as_their_shortcuts() -> None:
    for network in TINY[:2]:
        lasts = [x for name, x in network.named_parameters() if name.endswith("conv3.bn.weight")]
        assert len(lasts) == 3
        assert not any(x.any() for x in lasts)


@pytest.mark.parametrize("network", TINY, ids=lambda network: network.config.kind)
@torch.no_grad()
def test_empty_borders_and_odd_sizes_change_nothing(network: HeatmapNetwork) -> None:
    network.eval()
    filled = torch.randn(2, 3, 6, 21, 30, generator=torch.Generator().manual_seed(0))
    for rows, columns in ((slice(0, 0), slice(0, 0)), (slice(9, 11), slice(20, 30)), (slice(0, 21), slice(4, 9))):
        x = torch.zeros_like(filled)
        x[..., rows, columns] = filled[..., rows, columns]
        x[1, :, :3] = 0
        assert_close(network.features(x), layers(network, x), atol=1e-6, rtol=1e-5)
    x[0, 0, 2, 3, 3] = torch.nan
    assert network(x)[0].isnan().all()


@pytest.mark.parametrize("network", TINY, ids=lambda network: network.config.kind)
def test_inference_follows_the_weights(network: HeatmapNetwork) -> None:
    network = copy.deepcopy(network).eval()
    x = torch.rand(1, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                network(x)
                tensor.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(len(name)))
        assert_close(network.features(x), layers(network, x), atol=1e-4, rtol=1e-5)
    assert network(x).requires_grad
    with torch.inference_mode():
        inferred = network(x)
    assert_close(inferred, network(x).detach(), atol=1e-4, rtol=1e-5)
    assert_close(copy.deepcopy(network).double()(x.double()).float(), network(x), atol=1e-4, rtol=1e-5)


def test_dropout_in_training_and_none_in_inference() -> None:
    network = copy.deepcopy(TINY[1]).train()
    x = torch.rand(2, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    first, second = network(x), network(x)
    assert not torch.equal(first, second)
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize(
    ("kind", "sizes", "size", "billions"),
    [
        (SlowOnly, {}, 48, 11.48),
        (SlowOnly, {}, 56, 15.63),
        (SlowOnly, {}, 64, 20.42),
        (SlowOnly, {"blocks": (3, 4, 6), "classes": 400}, 56, 14.49),
        (SlowOnly, {"blocks": (3, 4, 6), "classes": 400}, 64, 18.93),
        (C3DLight, {}, 56, 16.78),
        (C3DLight, {}, 64, 21.91),
        (X3DShallow, {}, 56, 0.57),
        (X3DShallow, {}, 64, 0.71),
    ],
)
def test_multiply_adds_are_the_published_ones(kind: Any, sizes: dict[str, Any], size: int, billions: float) -> None:
    config = {SlowOnly: SlowOnlyConfig, C3DLight: C3DLightConfig, X3DShallow: X3DShallowConfig}[kind]
    with torch.device("meta"):
        network, volumes = kind(config(**sizes)).eval(), torch.empty(1, 17, 48, size, size)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(volumes)
    assert counter.get_total_flops() / 2e9 == pytest.approx(billions, abs=0.005)
