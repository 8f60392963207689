"""What the published files call the tensors of our networks, which are left out by which rule, which old files lack.

Backbones are named as in the published files. What the heads are called there is said by rules: ours, theirs, each
applied in turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from pydantic import BaseModel
from torch import Tensor

from poseworks.core.checkpoints import DropRule
from poseworks.core.tensor_names import renamed
from poseworks.mesh_recovery.discriminator import DiscriminatorConfig
from poseworks.mesh_recovery.graphcmr import GraphCMRConfig
from poseworks.mesh_recovery.graphormer import GraphormerConfig
from poseworks.mesh_recovery.pare import PAREConfig

_HMR = (
    (r"^regressor\.first\.", "head.fc1."),
    (r"^regressor\.second\.", "head.fc2."),
    (r"^regressor\.pose\.", "head.decpose."),
    (r"^regressor\.betas\.", "head.decshape."),
    (r"^regressor\.camera\.", "head.deccam."),
    (r"^regressor\.mean_pose$", "head.init_pose"),
    (r"^regressor\.mean_betas$", "head.init_shape"),
    (r"^regressor\.mean_camera$", "head.init_cam"),
)
_SPIN = (*_HMR, (r"^(backbone|head)\.", ""))
_PARE = (
    (r"^head\.part_layers\.", "head.keypoint_deconv_layers."),
    (r"^head\.body_layers\.", "head.smpl_deconv_layers."),
    (r"^head\.parts\.", "head.keypoint_final_layer."),
    (r"^head\.shape_layer\.", "head.smpl_final_layer."),
    (r"^head\.pose\.", "head.pose_mlp."),
    (r"^head\.betas\.", "head.shape_mlp."),
    (r"^head\.camera\.", "head.cam_mlp."),
)
_BLOCK = r"((?:gc|shape)\.\d+|graph_conv)"
_GRAPH_BLOCK = (  # of both networks with graph convolutions
    (rf"{_BLOCK}\.norm1\.", r"\1.pre_norm."),
    (rf"{_BLOCK}\.norm2\.", r"\1.norm1."),
    (rf"{_BLOCK}\.norm3\.", r"\1.norm2."),
    (rf"{_BLOCK}\.graph\.", r"\1.conv."),
    (rf"{_BLOCK}\.linear([12])\.weight$", r"\1.lin\2.W"),
    (rf"{_BLOCK}\.linear([12])\.bias$", r"\1.lin\2.b"),
    (rf"{_BLOCK}\.skip\.weight$", r"\1.skip_conv.W"),
    (rf"{_BLOCK}\.skip\.bias$", r"\1.skip_conv.b"),
)
_GRAPHCMR = (
    (r"^backbone\.", "graph_cnn.resnet."),
    (r"^graph\.input\.", "graph_cnn.gc.0."),
    *((rf"^graph\.blocks\.{block}\.", f"graph_cnn.gc.{block + 1}.") for block in range(32)),
    (r"^graph\.shape_blocks\.", "graph_cnn.shape."),
    (r"^graph\.shape_norm\.", "graph_cnn.shape.2."),
    (r"^graph\.shape\.", "graph_cnn.shape.4."),
    (r"^graph\.camera_norm\.", "graph_cnn.camera_fc.0."),
    (r"^graph\.camera_vertex\.", "graph_cnn.camera_fc.2."),
    (r"^graph\.camera\.", "graph_cnn.camera_fc.4."),
    (r"^(graph_cnn\.(?:gc\.0|shape\.4|camera_fc\.2))\.weight$", r"\1.W"),
    (r"^(graph_cnn\.(?:gc\.0|shape\.4|camera_fc\.2))\.bias$", r"\1.b"),
    *_GRAPH_BLOCK,
    (r"^regressor\.input\.", "smpl_param_regressor.layers.0.fc_block.0."),
    (r"^regressor\.input_norm\.", "smpl_param_regressor.layers.0.fc_block.1."),
    (r"^regressor\.blocks\.0\.", "smpl_param_regressor.layers.1.fc_block."),
    (r"^regressor\.blocks\.1\.", "smpl_param_regressor.layers.2.fc_block."),
    (r"fc_block\.linear1\.", "fc_block.0."),
    (r"fc_block\.norm1\.", "fc_block.1."),
    (r"fc_block\.linear2\.", "fc_block.3."),
    (r"fc_block\.norm2\.", "fc_block.4."),
    (r"^regressor\.output\.", "smpl_param_regressor.layers.3."),
)
_GRAPHORMER = (
    (r"^transformer\.place\.", "grid_feat_dim."),
    (r"^transformer\.to_sub\.", "upsampling."),
    (r"^transformer\.to_full\.", "upsampling2."),
    (r"^transformer\.camera_vertex\.", "cam_param_fc."),
    (r"^transformer\.camera_hidden\.", "cam_param_fc2."),
    (r"^transformer\.camera\.", "cam_param_fc3."),
    (r"^transformer\.encoders\.", "trans_encoder."),
    (r"^(trans_encoder\.\d+)\.embedding\.", r"\1.bert.img_embedding."),
    (r"^(trans_encoder\.\d+)\.positions$", r"\1.bert.position_embeddings.weight"),
    (r"^(trans_encoder\.\d+)\.head\.", r"\1.cls_head."),
    (r"^(trans_encoder\.\d+)\.layers\.", r"\1.bert.encoder.layer."),
    (r"\.attention\.output\.", ".attention.output.dense."),
    (r"\.attention\.(query|key|value)\.", r".attention.self.\1."),
    (r"\.attention_norm\.", ".attention.output.LayerNorm."),
    (r"\.expand\.", ".intermediate.dense."),
    (r"\.contract\.", ".output.dense."),
    (r"\.mlp_norm\.", ".output.LayerNorm."),
    (r"(\.layer\.\d+)\.graph\.", r"\1.graph_conv."),
    *_GRAPH_BLOCK,
)
_DISCRIMINATOR = (
    (r"^joint_layers\.", "disc.pose_discriminator.conv_blocks.conv_"),
    (r"^joints\.", "disc.pose_discriminator.fc_layer."),
    (r"^pose\.0\.", "disc.full_pose_discriminator.fc_blocks.regressor_fc_0."),
    (r"^pose\.2\.", "disc.full_pose_discriminator.fc_blocks.regressor_fc_1."),
    (r"^pose\.4\.", "disc.full_pose_discriminator.fc_blocks.regressor_fc_2."),
    (r"^shape\.0\.", "disc.shape_discriminator.fc_blocks.regressor_fc_0."),
    (r"^shape\.2\.", "disc.shape_discriminator.fc_blocks.regressor_fc_1."),
)
_RULES = {
    "hmr": _HMR,
    "spin": _SPIN,
    "pare": _PARE,
    "graphcmr": _GRAPHCMR,
    "graphormer": _GRAPHORMER,
    "smpl_discriminator": _DISCRIMINATOR,
}


def published_names(kind: str, ours: Iterable[str]) -> dict[str, str]:
    """What the published file of a kind of network calls each tensor."""
    return renamed(ours, _RULES[kind])


def with_counters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, and zeros for the counters of batch norms, which files of torch before 0.4.1 do not have."""
    means = (name for name in tensors if name.endswith(".running_mean"))
    counters = {f"{name.removesuffix('running_mean')}num_batches_tracked": torch.tensor(0) for name in means}
    return {**counters, **tensors}


def drop_rules(config: BaseModel) -> tuple[DropRule, ...]:
    """What a published file holds beside the tensors of the network of this config."""
    match config:
        case GraphCMRConfig():
            same = [f"gc.{block}" for block in range(2, config.layers + 2)]  # blocks whose size stays the same
            same += ["shape.0"] if config.channels == 64 else []
            skips = rf"graph_cnn\.({'|'.join(map(re.escape, same))})\.skip_conv\.[Wb]"
            resnet = DropRule("never used", r"graph_cnn\.resnet\.fc\.(weight|bias)")
            return (_BODY, resnet, *([DropRule("never used", skips)] if same else []))
        case DiscriminatorConfig():
            return (_BODY, DropRule("another network", r"(backbone|head)\..*"))
        case GraphormerConfig():
            return (_BODY, *_GRAPHORMER_UNUSED)
        case PAREConfig():
            return (_BODY, _ADVERSARY, _HEATMAPS, _CLASSES, _PARE_UNUSED)
        case _:
            return (_BODY, _ADVERSARY, _HEATMAPS, _CLASSES)


_BODY = DropRule("licensed body", r"(.*\.)?(body_model(_train|_test)?|smplx?)\..*")
_ADVERSARY = DropRule("adversary, only for training", r"disc\..*")
_HEATMAPS = DropRule("never used", r"backbone\.final_layer\.(weight|bias)")
_CLASSES = DropRule("never used", r"(backbone\.)?fc\.(weight|bias)")
_PARE_UNUSED = DropRule("never used", r"head\.(init_(pose|shape|cam)|temperature)")
_GRAPHORMER_UNUSED = (
    DropRule("never used", r"trans_encoder\.\d+\.bert\.(embeddings|pooler)\..*"),
    DropRule("never used", r".*\.graph_conv\.skip_conv\.[Wb]"),
    DropRule("never used", r"backbone\.classifier\.(weight|bias)"),
)

# Beside the trunk, a file of a backbone holds the head of its own task, and a network its own way to join the maps.
BACKBONE_HEADS = DropRule("head of another task", r"(fc|classifier|keypoint_head|head)\..*")
BACKBONE_JOINS = (
    r"(final_layer|incre_modules|downsamp_modules|upsample_stage_\d|downsample_stage_\d)\..*"
    r"|stage4\.\d+\.fuse_layers\.[123]\..*"
)
