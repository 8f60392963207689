"""Configs of the networks in original checkpoints, told by the sizes of their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from poseworks.core.networks import numbers_after, size_of
from poseworks.mesh_recovery.backbones import HRNetConfig, ResNetConfig
from poseworks.mesh_recovery.discriminator import DiscriminatorConfig
from poseworks.mesh_recovery.graphcmr import GraphCMRConfig
from poseworks.mesh_recovery.graphormer import GraphormerConfig
from poseworks.mesh_recovery.hmr import JOINTS, HMRConfig
from poseworks.mesh_recovery.meshes import BodyName
from poseworks.mesh_recovery.pare import PAREConfig
from poseworks.mesh_recovery.spin import SPINConfig


def hmr_config(tensors: Mapping[str, Tensor]) -> HMRConfig:
    """Of an HMR, prefixes `backbone.` and `head.`."""
    return HMRConfig(**_hmr_sizes(tensors, "backbone.", "head."))


def spin_config(tensors: Mapping[str, Tensor]) -> SPINConfig:
    """Of a SPIN, without prefixes."""
    return SPINConfig(**_hmr_sizes(tensors, "", ""))


def pare_config(tensors: Mapping[str, Tensor]) -> PAREConfig:
    """Of a PARE."""
    last = "head.smpl_deconv_layers."
    return PAREConfig(
        backbone=_hrnet_config(tensors, "backbone."),
        layers=len({number // 3 for number in numbers_after(tensors, last)}) or 1,
        hidden=size_of(tensors, (f"{last}0.weight", 0), ("head.smpl_final_layer.weight", 1)),
        shape_features=size_of(tensors, ("head.smpl_final_layer.weight", 0)),
        betas=size_of(tensors, ("head.shape_mlp.weight", 0)),
    )


def graphcmr_config(tensors: Mapping[str, Tensor], body: BodyName) -> GraphCMRConfig:
    """Of a GraphCMR on this body, with or without its second network."""
    regressor = any(name.startswith("smpl_param_regressor.") for name in tensors)
    outputs = size_of(tensors, ("smpl_param_regressor.layers.3.weight", 0), default=9 * JOINTS + 10)
    return GraphCMRConfig(
        backbone=_resnet_config(tensors, "graph_cnn.resnet."),
        vertices=size_of(tensors, ("graph_cnn.camera_fc.4.weight", 1)),
        channels=size_of(tensors, ("graph_cnn.gc.0.W", 0), default=512) // 2,
        layers=max(len(numbers_after(tensors, "graph_cnn.gc.")) - 2, 0),
        parameters=regressor,
        hidden=size_of(tensors, ("smpl_param_regressor.layers.0.fc_block.0.weight", 0), default=1024),
        betas=max(outputs - 9 * JOINTS, 1),
        body=body,
    )


def graphormer_config(tensors: Mapping[str, Tensor], body: BodyName) -> GraphormerConfig:
    """Of a Graphormer on this body."""
    encoders = [f"trans_encoder.{number}" for number in range(3)]
    first = f"{encoders[0]}.bert.encoder.layer.0"
    hidden = tuple(size_of(tensors, (f"{each}.bert.img_embedding.weight", 0)) for each in encoders)
    inner = size_of(tensors, (f"{first}.intermediate.dense.weight", 0), default=2 * hidden[0])
    return GraphormerConfig(
        backbone=_hrnet_config(tensors, "backbone."),
        vertices=(
            size_of(tensors, ("upsampling2.weight", 0)),
            size_of(tensors, ("upsampling.weight", 0)),
            size_of(tensors, ("upsampling.weight", 1)),
        ),
        hidden=hidden,
        outputs=tuple(size_of(tensors, (f"{each}.cls_head.weight", 0)) for each in encoders),
        graph=tuple(any(name.startswith(each) and ".graph_conv." in name for name in tensors) for each in encoders),
        layers=len(numbers_after(tensors, f"{encoders[0]}.bert.encoder.layer.")) or 1,
        mlp_ratio=max(inner // hidden[0], 1),
        positions=size_of(tensors, (f"{encoders[0]}.bert.position_embeddings.weight", 0)),
        camera_hidden=size_of(tensors, ("cam_param_fc2.weight", 0)),
        body=body,
    )


def discriminator_config(tensors: Mapping[str, Tensor]) -> DiscriminatorConfig:
    """Of a discriminator."""
    pose, shape = (
        "disc.full_pose_discriminator.fc_blocks.regressor_fc_",
        "disc.shape_discriminator.fc_blocks.regressor_fc_",
    )
    return DiscriminatorConfig(
        joint_features=size_of(tensors, ("disc.pose_discriminator.conv_blocks.conv_0.weight", 0)),
        pose_hidden=size_of(tensors, (f"{pose}0.weight", 0)),
        shape_hidden=size_of(tensors, (f"{shape}0.weight", 0)),
        betas=size_of(tensors, (f"{shape}0.weight", 1)),
    )


def _hmr_sizes(tensors: Mapping[str, Tensor], backbone: str, head: str) -> dict[str, Any]:
    """What HMR and SPIN share; `backbone` and `head` are prefixes."""
    betas = size_of(tensors, (f"{head}decshape.weight", 0), (f"{head}init_shape", 1))
    state = size_of(tensors, (f"{head}fc1.weight", 1), default=2048 + 6 * JOINTS + betas + 3)
    return {
        "backbone": _backbone_config(tensors, backbone),
        "feature_size": max(state - 6 * JOINTS - betas - 3, 1),
        "hidden": size_of(tensors, (f"{head}fc1.weight", 0), (f"{head}fc2.weight", 0)),
        "betas": betas,
    }


def _backbone_config(tensors: Mapping[str, Tensor], prefix: str) -> ResNetConfig | HRNetConfig:
    if any(name.startswith(f"{prefix}stage2.") for name in tensors):
        return _hrnet_config(tensors, prefix)
    return _resnet_config(tensors, prefix)


def _resnet_config(tensors: Mapping[str, Tensor], prefix: str) -> ResNetConfig:
    first, second, third, fourth = (len(numbers_after(tensors, f"{prefix}layer{k}.")) or 1 for k in (1, 2, 3, 4))
    return ResNetConfig(width=size_of(tensors, (f"{prefix}conv1.weight", 0)), blocks=(first, second, third, fourth))


def _hrnet_config(tensors: Mapping[str, Tensor], prefix: str) -> HRNetConfig:
    second, third, fourth = (len(numbers_after(tensors, f"{prefix}stage{k}.")) or 1 for k in (2, 3, 4))
    held = {name.removeprefix(prefix).split(".")[0] for name in tensors if name.startswith(prefix)}
    features = (
        "classified" if "incre_modules" in held
        else "upsampled" if "upsample_stage_2" in held
        else "downsampled" if "downsample_stage_1" in held
        else "highest"
    )  # fmt: skip
    sizes = HRNetConfig.model_fields
    branch = f"{prefix}stage2.0.branches.0"
    return HRNetConfig(
        features=features,
        width=size_of(tensors, (f"{branch}.0.conv1.weight", 0), (f"{branch}.0.conv2.weight", 0)),
        stem=size_of(tensors, (f"{prefix}conv1.weight", 0), (f"{prefix}conv2.weight", 0)),
        modules=(second, third, fourth),
        blocks=len(numbers_after(tensors, f"{branch}.")) or 1,
        head_width=size_of(
            tensors, (f"{prefix}incre_modules.0.0.conv1.weight", 0), default=sizes["head_width"].default
        ),
    )
