"""PARE against the published network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.testing import ReferenceCase
from poseworks.mesh_recovery import PARE, HRNetConfig, PAREConfig
from poseworks.mesh_recovery.names import published_names
from poseworks.mesh_recovery.pare import LocallyConnected


@torch.no_grad()
def test_bodies_equal_the_published_network(
    case: Callable[[str], ReferenceCase], published_tensors: Callable[[ReferenceCase], dict[str, Tensor]]
) -> None:
    published = case("pare_hrnet_w32")
    tensors = published_tensors(published)
    network = PARE()
    called = published_names("pare", network.state_dict())
    network.load_state_dict({ours: tensors[theirs] for ours, theirs in called.items()})
    network.eval()
    features = network.backbone(published.inputs["input"])
    for_pose, for_shape, _ = network.head.attended(features)
    body = network.head(features)
    for expected, ours in (
        ("attended_pose", for_pose), ("attended_shape_cam", for_shape), ("pred_pose", body.rotations),
        ("pred_shape", body.betas), ("pred_cam", body.camera), ("pred_segm_mask", body.part_logits[:, :, ::4, ::4]),
    ):  # fmt: skip
        assert_close(ours, published.outputs[expected], rtol=1e-4, atol=1e-4)
    learned = sum(p.numel() for p in network.parameters())
    assert learned + tensors["backbone.final_layer.weight"].numel() + 24 == published.manifest["parameters"]


def test_each_joint_has_weights_of_its_own() -> None:
    layer = LocallyConnected(joints=3, inputs=4, outputs=2)
    x = torch.randn(5, 4, 3)
    for joint in range(3):
        assert_close(layer(x)[:, :, joint], x[:, :, joint] @ layer.weight[0, :, :, joint, 0, 0].T)


@torch.no_grad()
def test_a_joint_that_looks_at_one_place_sees_that_place_alone() -> None:
    torch.manual_seed(0)
    network = PARE(PAREConfig(backbone=HRNetConfig(width=4, stem=8, modules=(1, 1, 1), blocks=1), hidden=8)).eval()
    head = network.head
    features = torch.randn(1, 60, 8, 8)
    seen = head.body_layers(features)
    logits = torch.zeros(1, 25, 8, 8)
    logits[0, :, 2, 5] = 100
    head.part_layers = torch.nn.Sequential(_Constant(logits))
    head.parts = torch.nn.Identity()  # type: ignore[assignment]
    for_pose, _, _ = head.attended(features)
    assert_close(for_pose, seen[:, :, 2, 5, None].expand(1, 8, 24))


class _Constant(torch.nn.Module):
    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: Tensor) -> Tensor:
        return self.value


def test_a_backbone_without_a_map_is_refused() -> None:
    with pytest.raises(ValueError, match="classified gives no single map"):
        PAREConfig(backbone=HRNetConfig(features="classified"))
