"""HMR and SPIN against the published networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import ShapeError
from poseworks.core.testing import ReferenceCase
from poseworks.mesh_recovery import HMR, SPIN, HMRConfig, HRNetConfig, ResNetConfig, SPINConfig
from poseworks.mesh_recovery.hmr import IterativeRegressor
from poseworks.mesh_recovery.names import published_names

Case = Callable[[str], ReferenceCase]
Tensors = Callable[[ReferenceCase], dict[str, Tensor]]


@pytest.mark.parametrize(
    ("name", "network", "feature"),
    [
        ("hmr_resnet50", HMR(), "pooled_feature"),
        ("spin_resnet50_flat_keys", SPIN(), "pooled_feature"),
        ("hmr_hrnet_w32_reshape_head", HMR(HMRConfig(backbone=HRNetConfig())), "feature"),
    ],
    ids=["hmr", "spin", "hrnet"],
)
@torch.no_grad()
def test_parameters_equal_the_published_network(
    name: str, network: HMR, feature: str, case: Case, published_tensors: Tensors
) -> None:
    published = case(name)
    tensors = published_tensors(published)
    called = published_names(network.config.kind, network.state_dict())
    network.load_state_dict({ours: tensors[theirs] for ours, theirs in called.items()})
    unused = sum(tensors[theirs].numel() for theirs in tensors if theirs not in called.values())
    assert sum(p.numel() for p in network.parameters()) + unused == published.manifest["parameters"]
    network.eval()
    images = published.inputs["input"]
    features = network.features(images)
    found = network(images)
    for expected, ours in (
        (feature, features), ("pred_pose", found.rotations), ("pred_shape", found.betas), ("pred_cam", found.camera)
    ):  # fmt: skip
        assert_close(ours, published.outputs[expected], rtol=1e-4, atol=1e-4)
    if "pred_cam_iter1" in published.outputs:
        once = network.regressor(features, iterations=1)
        assert_close(once.camera, published.outputs["pred_cam_iter1"], rtol=1e-4, atol=1e-4)
        assert_close(once.betas, published.outputs["pred_shape_iter1"], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_features_of_a_clip_give_what_single_ones_do() -> None:
    torch.manual_seed(0)
    regressor = IterativeRegressor(32, 16, 10, 3, 0.5).eval()
    clip = torch.randn(2, 5, 32)
    whole, flat = regressor(clip), regressor(clip.flatten(0, 1))
    assert whole.rotations.shape == (2, 5, 24, 3, 3)
    for ours, single in zip(whole, flat, strict=True):
        assert_close(ours.flatten(0, 1), single)
    turned = whole.rotations @ whole.rotations.mT
    assert_close(turned, torch.eye(3).expand_as(turned), atol=1e-5, rtol=0)
    start = regressor(clip, iterations=0)
    # A T-pose, which stands upright before the camera.
    assert_close(start.rotations[..., 0, :, :], torch.diag(torch.tensor([1.0, -1, -1])).expand(2, 5, 3, 3))
    assert_close(start.rotations[..., 1:, :, :], torch.eye(3).expand(2, 5, 23, 3, 3))
    assert_close(start.camera, torch.tensor([0.9, 0, 0]).expand(2, 5, 3))


def test_gradients_reach_backbone_and_head_and_leave_the_images_alone() -> None:
    torch.manual_seed(0)
    network = HMR(HMRConfig(backbone=ResNetConfig(width=4, blocks=(1, 1, 1, 1)), feature_size=128, hidden=16))
    images = torch.randn(2, 3, 64, 64)
    before = images.clone()
    body = network(images)
    (body.rotations.square().sum() * 0.1 + body.rotations[..., 0, 1].sum() + body.betas.sum()).backward()
    assert torch.equal(images, before)
    assert all(p.grad is not None for n, p in network.named_parameters() if ".camera." not in n)
    first = network.backbone.conv1.weight.grad
    assert first is not None
    assert first.abs().sum() > 0


def test_faults_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"feature_size is 2048, the backbone gives 512 channels. State the backbone's"
    ):
        HMRConfig(backbone=ResNetConfig(width=16))
    with pytest.raises(ValueError, match="classified gives no single map"):
        SPINConfig(backbone=HRNetConfig(features="classified"))
    small = HRNetConfig(width=4, stem=8, modules=(1, 1, 1), blocks=1)
    network = HMR(HMRConfig(backbone=small, feature_size=120)).eval()
    with pytest.raises(ShapeError, match=r"\(32, 64\) give a map of \(60, 8, 16\), which cannot be read as 7168 rows"):
        HMR(HMRConfig(backbone=small, feature_size=7168))(torch.zeros(1, 3, 32, 64))
    with pytest.raises(ShapeError, match=r"features: expected \(..., F=120\), got \(1, 60\)"):
        network.regressor(torch.zeros(1, 60))
