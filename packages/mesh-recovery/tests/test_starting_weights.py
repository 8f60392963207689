"""What training starts from: what is taken of a file, what stays, and files that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from poseworks.core.errors import CheckpointError
from poseworks.mesh_recovery import HMR, HMRConfig, HRNetConfig, ResNetConfig, load_backbone, start_from_mean
from poseworks.mesh_recovery.backbones import HRNetHighest, HRNetUpsampled, ResNet

RESNET = ResNetConfig(width=4, blocks=(1, 1, 2, 1))
HRNET = {"width": 4, "stem": 8, "modules": (1, 1, 1), "blocks": 1}


def hrnet(kind: type[HRNetHighest] | type[HRNetUpsampled], seed: int, **sizes: Any) -> HRNetHighest | HRNetUpsampled:
    torch.manual_seed(seed)
    features = "highest" if kind is HRNetHighest else "upsampled"
    return kind(HRNetConfig(features=features, **{**HRNET, **sizes}))


def test_a_backbone_from_a_file_for_keypoints_says_what_stayed_random(tmp_path: Path) -> None:
    source, target = hrnet(HRNetHighest, 0), hrnet(HRNetUpsampled, 1)
    before = {n: x.clone() for n, x in target.state_dict().items()}
    tensors = {f"backbone.{n}": x for n, x in source.state_dict().items()}
    torch.save(
        {"state_dict": {**tensors, "keypoint_head.final_layer.weight": torch.ones(17, 4, 1, 1)}}, tmp_path / "x.pth"
    )
    report = load_backbone(target, tmp_path / "x.pth")
    groups = {name.split(".")[0] for name in report.random}
    assert groups == {"stage4", "upsample_stage_2", "upsample_stage_3", "upsample_stage_4"}
    assert all(n.startswith(("upsample", "stage4.0.fuse_layers.")) for n in report.random)
    assert report.loaded == len(before) - len(report.random)
    for name, x in target.state_dict().items():
        assert torch.equal(x, before[name] if name in report.random else source.state_dict()[name])


def test_a_backbone_from_imagenet(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, target = ResNet(RESNET), ResNet(RESNET)
    classes = {"fc.weight": torch.ones(1000, 128), "fc.bias": torch.ones(1000)}
    torch.save(source.state_dict() | classes, tmp_path / "resnet50.pth")
    report = load_backbone(target, tmp_path / "resnet50.pth")
    assert (report.random, report.loaded) == ((), len(source.state_dict()))
    assert report.left_out == ("fc.weight (head of another task)", "fc.bias (head of another task)")
    for name, x in target.state_dict().items():
        assert torch.equal(x, source.state_dict()[name])


def test_a_backbone_of_another_trunk_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    torch.save(hrnet(HRNetHighest, 0, width=8).state_dict(), tmp_path / "wide.pth")
    target = hrnet(HRNetUpsampled, 1)
    before = {n: x.clone() for n, x in target.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"misshapen .*stage2.0.branches.0.0.conv1.weight is \(8, 8, 3, 3\)"):
        load_backbone(target, tmp_path / "wide.pth")
    torch.save(ResNet(RESNET).state_dict(), tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=r"missing .*stage3.*unexpected .*layer2"):
        load_backbone(target, tmp_path / "resnet.pth")
    assert all(torch.equal(x, before[n]) for n, x in target.state_dict().items())


def test_the_mean_of_a_users_file(tmp_path: Path) -> None:
    network = HMR(HMRConfig(backbone=RESNET, feature_size=128, hidden=8))
    mean = {"pose": np.tile([1.0, 0, 0, -1, 0, 0], 24), "shape": np.full(10, 0.2), "cam": np.array([0.8, 0.1, 0])}
    np.savez(tmp_path / "smpl_mean_params.npz", **mean)
    start_from_mean(network.regressor, tmp_path / "smpl_mean_params.npz")
    body = network.regressor(torch.zeros(1, 128), iterations=0)
    assert_close(body.rotations[0, 3], torch.diag(torch.tensor([1.0, -1, -1])))
    assert_close(body.camera, torch.tensor([[0.8, 0.1, 0]]))
    np.savez(tmp_path / "x.npz", pose=mean["pose"][:72], shape=mean["shape"])
    with pytest.raises(
        CheckpointError, match=r"pose: expected \(144,\), got \(72,\); cam: expected \(3,\), got nothing"
    ):
        start_from_mean(network.regressor, tmp_path / "x.npz")
