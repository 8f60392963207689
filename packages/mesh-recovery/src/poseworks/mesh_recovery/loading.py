"""Networks from names, folders and original checkpoints, and back to folders and ONNX files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, assert_never

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from poseworks.core.checkpoints import Checkpoint, load_strict, read_checkpoint
from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.formats.reading import read_npz
from poseworks.core.networks import (
    image_kind,
    load_original,
    load_saved,
    numbers_after,
    other_method,
    saved_folder,
    size_of,
    sizes_from,
)
from poseworks.core.networks import save_network as save
from poseworks.core.onnx_export import ExportReport, export_verified
from poseworks.mesh_recovery.backbones import HRNetConfig, HRNetTrunk, ResNet, ResNetConfig
from poseworks.mesh_recovery.crops import MEAN, STD, Preparation
from poseworks.mesh_recovery.discriminator import Discriminator, DiscriminatorConfig
from poseworks.mesh_recovery.graphcmr import GraphCMR, GraphCMRConfig
from poseworks.mesh_recovery.graphormer import JOINT_TOKENS, Graphormer, GraphormerConfig
from poseworks.mesh_recovery.hmr import HMR, JOINTS, HMRConfig, IterativeRegressor
from poseworks.mesh_recovery.meshes import EVALUATED, UPSIDE_DOWN, BodyMesh, BodyName, body_mesh
from poseworks.mesh_recovery.models import LIBRARY, model_cards, shipped_models
from poseworks.mesh_recovery.names import BACKBONE_HEADS, BACKBONE_JOINS, drop_rules, published_names
from poseworks.mesh_recovery.pare import PARE, PAREConfig
from poseworks.mesh_recovery.spin import SPIN, SPINConfig

Network = HMR | SPIN | PARE | GraphCMR | Graphormer | Discriminator
Source = str | os.PathLike[str]

__all__ = [
    "BackboneReport",
    "Network",
    "export_onnx",
    "load",
    "load_backbone",
    "load_discriminator",
    "looks_like",
    "model_cards",
    "save",
    "shipped_models",
    "start_from_mean",
]

PARTS = ("graph_cnn", "smpl_param_regressor")
_KINDS = {  # what `looks_like` says -> the kind of a config
    "an HMR": "hmr",
    "a SPIN": "spin",
    "a PARE": "pare",
    "a GraphCMR": "graphcmr",
    "a Graphormer": "graphormer",
    "a discriminator": "smpl_discriminator",
}


def load(source: Source, *, mesh: Source | None = None, body: Source | None = None, spare: bool = False) -> Network:
    """The network in eval mode, float32, on the CPU. Its class says the method, `network.config` its sizes.

    Args:
        source: a shipped name (see `shipped_models`), a folder written by `save`, an original checkpoint file, or a
            published name whose file lies in a folder of POSEWORKS_WEIGHTS.
        mesh: GraphCMR, Graphormer: the user's mesh_downsampling.npz.
        body: GraphCMR, Graphormer: the user's body file, or "free"; a saved folder of weights for the free body needs
            neither.
        spare: leave the body aside, instead of refusing it, where the network has no mesh.

    `network.source` and `network.sha256` say what was read, `network.preparation` how pictures are cropped and what the
    camera means. Of an original file the body that lies in it is left out, as are the adversary and what is never used.

    Raises:
        CheckpointError: nothing is found under the name, or the file is damaged, of another method, or does not fit.
        ConfigError: mesh and body are missing, contradict the weights, or are given to a network that has no mesh.
        FormatError, DataError: they cannot be read.
    """
    path = LIBRARY.locate(source)
    folder = saved_folder(path)
    if folder is not None:
        return load_saved(
            folder,
            _saved(mesh, body, spare),
            given={},
            preparation=Preparation,
            looks_like=looks_like,
            name=str(source),
        )
    return _original(read_checkpoint(path, parts=PARTS), mesh, body, spare)


def load_discriminator(source: Source) -> Discriminator:
    """The adversary that an original HMR checkpoint holds beside its network, or a saved folder of one.

    Raises:
        CheckpointError: nothing is found, the file is damaged, or holds none.
    """
    path = LIBRARY.locate(source)
    folder = saved_folder(path)
    if folder is not None:
        kinds = {"smpl_discriminator": (Discriminator, DiscriminatorConfig)}
        found: Discriminator = load_saved(folder, kinds, given={}, name=str(source))
        return found
    checkpoint = read_checkpoint(path)
    with sizes_from(checkpoint.source):
        config = _discriminator_config(checkpoint.tensors)
        made = _filled(Discriminator, config, "smpl_discriminator", checkpoint)
    assert isinstance(made, Discriminator)
    return made


def _saved(
    mesh: Source | None, body: Source | None, spare: bool
) -> dict[str, tuple[Callable[[Any], Network], type[BaseModel]]]:
    """How the networks of saved folders are built, by the kind of their config."""

    def on_mesh(network: type[GraphCMR] | type[Graphormer]) -> Callable[[Any], Network]:
        return lambda config: network(config, _mesh_of(config.body, mesh, body))

    def plain(network: Callable[[Any], Network]) -> Callable[[Any], Network]:
        def built(config: Any) -> Network:
            _refuse_mesh(network, mesh, None if spare else body)
            return network(config)

        return built

    return {
        "hmr": (plain(HMR), HMRConfig),
        "spin": (plain(SPIN), SPINConfig),
        "pare": (plain(PARE), PAREConfig),
        "graphcmr": (on_mesh(GraphCMR), GraphCMRConfig),
        "graphormer": (on_mesh(Graphormer), GraphormerConfig),
        "smpl_discriminator": (plain(Discriminator), DiscriminatorConfig),
    }


def _mesh_of(name: BodyName, mesh: Source | None, body: Source | None) -> BodyMesh:
    """The mesh for weights that were trained on this body."""
    if name == "free" and mesh is None and body is None:
        return body_mesh(None, "free")
    return body_mesh(mesh, body)


def _refuse_mesh(network: Any, mesh: Source | None, body: Source | None) -> None:
    if mesh is not None or body is not None:
        raise ConfigError(f"mesh, body: this is of the class {network.__name__}, which has no mesh. Leave them out.")


# --- original checkpoints ---------------------------------------------------------------------------------------------


def looks_like(tensors: Mapping[str, Tensor]) -> str | None:
    """What a checkpoint is, judged by the names of its tensors; None if nothing is recognised."""
    if any(name.startswith(("graph_cnn.", "smpl_param_regressor.")) for name in tensors):
        return "a GraphCMR"
    if any(name.startswith("trans_encoder.") for name in tensors):
        return "a Graphormer"
    if any(name.startswith(("head.pose_mlp.", "head.keypoint_final_layer.")) for name in tensors):
        return "a PARE"
    if any(name.startswith("head.dec") for name in tensors):
        return "an HMR"
    if any(name.startswith("dec") for name in tensors) and any(name.startswith("layer1.") for name in tensors):
        return "a SPIN"
    if any(name.startswith("disc.") for name in tensors):
        return "a discriminator"
    if any(name.removeprefix("backbone.").startswith("layer1.") for name in tensors):
        return "a backbone alone (in Python: load_backbone)"
    return image_kind(tensors)


def _original(checkpoint: Checkpoint, mesh: Source | None, body: Source | None, spare: bool) -> Network:
    checkpoint = _unwrapped(checkpoint)
    tensors = checkpoint.tensors
    said = looks_like(tensors)
    kind = _KINDS.get(said or "")
    with sizes_from(checkpoint.source):
        if kind in ("graphcmr", "graphormer"):
            given = body_mesh(mesh, body)
            if kind == "graphcmr":
                config = _graphcmr_config(tensors, given.name)
                return _filled(lambda c: GraphCMR(c, given), config, kind, checkpoint)
            return _filled(lambda c: Graphormer(c, given), _graphormer_config(tensors, given.name), kind, checkpoint)
        if kind is not None:
            network, made = _BUILDERS[kind]
            _refuse_mesh(network, mesh, None if spare else body)
            return _filled(network, made(tensors), kind, checkpoint)
    raise other_method(checkpoint, said, "no network of this package")


def _unwrapped(checkpoint: Checkpoint) -> Checkpoint:
    """Without the prefix of a training wrapper that only the network's own tensors have (PARE: `model.`)."""
    inside = {n.removeprefix("model."): x for n, x in checkpoint.tensors.items() if n.startswith("model.")}
    if not inside:
        return checkpoint
    beside = {n: x for n, x in checkpoint.tensors.items() if not n.startswith("model.") and n not in inside}
    return replace(checkpoint, tensors={**inside, **beside}, prefix="model.")


def _filled(build: Callable[[Any], Network], config: BaseModel, kind: str, checkpoint: Checkpoint) -> Network:
    """The network of a config with the tensors of an original checkpoint."""
    return load_original(
        build,
        config,
        replace(checkpoint, tensors=_with_counters(checkpoint.tensors)),
        names=lambda ours: published_names(kind, ours),
        drop=drop_rules(config),
        looks_like=looks_like,
    )


def _with_counters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, and zeros for the counters of batch norms, which files of torch before 0.4.1 do not have."""
    means = (name for name in tensors if name.endswith(".running_mean"))
    counters = {f"{name.removesuffix('running_mean')}num_batches_tracked": torch.tensor(0) for name in means}
    return {**counters, **tensors}


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


def _hmr_sizes(tensors: Mapping[str, Tensor], backbone: str, head: str) -> dict[str, Any]:
    betas = size_of(tensors, (f"{head}decshape.weight", 0), (f"{head}init_shape", 1))
    state = size_of(tensors, (f"{head}fc1.weight", 1), default=2048 + 6 * JOINTS + betas + 3)
    return {
        "backbone": _backbone_config(tensors, backbone),
        "feature_size": max(state - 6 * JOINTS - betas - 3, 1),
        "hidden": size_of(tensors, (f"{head}fc1.weight", 0), (f"{head}fc2.weight", 0)),
        "betas": betas,
    }


def _hmr_config(tensors: Mapping[str, Tensor]) -> HMRConfig:
    return HMRConfig(**_hmr_sizes(tensors, "backbone.", "head."))


def _spin_config(tensors: Mapping[str, Tensor]) -> SPINConfig:
    return SPINConfig(**_hmr_sizes(tensors, "", ""))


def _pare_config(tensors: Mapping[str, Tensor]) -> PAREConfig:
    last = "head.smpl_deconv_layers."
    return PAREConfig(
        backbone=_hrnet_config(tensors, "backbone."),
        layers=len({number // 3 for number in numbers_after(tensors, last)}) or 1,
        hidden=size_of(tensors, (f"{last}0.weight", 0), ("head.smpl_final_layer.weight", 1)),
        shape_features=size_of(tensors, ("head.smpl_final_layer.weight", 0)),
        betas=size_of(tensors, ("head.shape_mlp.weight", 0)),
    )


def _graphcmr_config(tensors: Mapping[str, Tensor], body: BodyName) -> GraphCMRConfig:
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


def _graphormer_config(tensors: Mapping[str, Tensor], body: BodyName) -> GraphormerConfig:
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


def _discriminator_config(tensors: Mapping[str, Tensor]) -> DiscriminatorConfig:
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


_BUILDERS: dict[str, tuple[Callable[[Any], Network], Callable[[Mapping[str, Tensor]], BaseModel]]] = {
    "hmr": (HMR, _hmr_config),
    "spin": (SPIN, _spin_config),
    "pare": (PARE, _pare_config),
    "smpl_discriminator": (Discriminator, _discriminator_config),
}


# --- what training starts from ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BackboneReport:
    """What of a backbone came from a file.

    Attributes:
        loaded: how many tensors.
        random: names of the tensors that the file does not have, which stay as they were.
        left_out: names of the file's tensors that the backbone has no use for, each with the rule.
    """

    source: str
    sha256: str
    loaded: int
    random: tuple[str, ...]
    left_out: tuple[str, ...]


def load_backbone(backbone: ResNet | HRNetTrunk, source: Source) -> BackboneReport:
    """Fills a backbone from a file of ImageNet weights or of a network for body keypoints, in place.

    The trunk must be there as a whole. How the maps of an HRNet are joined differs from network to network: those
    layers are loaded where the file has them, and otherwise stay as they are and are reported.

    Raises:
        CheckpointError: the file is missing, damaged, or of another trunk; the backbone is then unchanged.
    """
    checkpoint = read_checkpoint(source)
    tensors = checkpoint.tensors
    if any(name.startswith("backbone.") for name in tensors):
        tensors = {
            n.removeprefix("backbone."): x for n, x in tensors.items() if n.startswith(("backbone.", "keypoint_"))
        }
    own = backbone.state_dict()
    joins = re.compile(BACKBONE_JOINS)
    dropped = {n: BACKBONE_HEADS.name for n in tensors if re.fullmatch(BACKBONE_HEADS.pattern, n)}
    dropped |= {n: "joins maps otherwise" for n in tensors if n not in own and joins.fullmatch(n)}
    tensors = _with_counters({n: x for n, x in tensors.items() if n not in dropped})
    stay = {n: x for n, x in own.items() if n not in tensors and joins.fullmatch(n)}
    load_strict(backbone, {**tensors, **stay}, source=checkpoint.source)
    return BackboneReport(
        checkpoint.source, checkpoint.sha256, len(own) - len(stay), tuple(stay),
        (*checkpoint.dropped, *(f"{name} ({rule})" for name, rule in dropped.items())),
    )  # fmt: skip


def start_from_mean(regressor: IterativeRegressor, source: Source) -> None:
    """Lets an HMR or SPIN start from the user's smpl_mean_params.npz instead of a T-pose, in place.

    The file: `pose` (144,), 24 rotations as two columns each; `shape` (10,); `cam` (3,).

    Raises:
        CheckpointError: an array is missing or has another shape. FormatError, DataError: it cannot be read.
    """
    arrays = read_npz(Path(source), keys=("pose", "shape", "cam"))
    wanted = {"pose": regressor.mean_pose, "shape": regressor.mean_betas, "cam": regressor.mean_camera}
    faults = [
        f"{name}: expected ({mean.numel()},), got {arrays[name].shape if name in arrays else 'nothing'}"
        for name, mean in wanted.items()
        if name not in arrays or arrays[name].size != mean.numel() or arrays[name].dtype.kind != "f"
    ]
    if faults:
        raise CheckpointError(f"{source}: not smpl_mean_params.npz: {'; '.join(faults)}.")
    for name, mean in wanted.items():
        mean.copy_(torch.from_numpy(arrays[name]).reshape(mean.shape))


# --- export -----------------------------------------------------------------------------------------------------------


def export_onnx(network: Network, path: Source, *, overwrite: bool = False) -> ExportReport:
    """Writes an ONNX file that gives what torch gives, and a JSON file beside it on what comes before and after.

    `images` (batch, 3, size, size) -> what the network returns, by name; batch of any size. GraphCMR's `matrices` are
    not rotations yet (ONNX has no singular values): the JSON file says what to do. A body is never written: on SMPL's
    mesh, `reference` (GraphCMR) or `template_joints` and `template_vertices` (Graphormer) are further inputs.

    Raises:
        ConfigError: not ``.onnx``, an existing file, a discriminator, or the packages for ONNX are missing.
        CheckpointError: ONNX and torch disagree; nothing is written.
    """
    if isinstance(network, Discriminator):
        raise ConfigError("export_onnx: a discriminator only serves training. Export the network it belongs to.")
    preparation = network.preparation
    size = preparation.size
    inputs = {"images": torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))}
    module, outputs, after = _exported(network)
    if isinstance(module, _GraphCMRFile | _GraphormerFile):
        inputs |= module.body_inputs
    note = {
        "config": network.config.model_dump(mode="json"),
        "preparation": preparation.model_dump(mode="json"),
        "before": f"{_BEFORE[preparation.crop]} RGB; divide by 255, subtract {list(MEAN)}, divide by {list(STD)}.",
        "after": {**after, "camera": _CAMERA[preparation.camera]},
    }
    return export_verified(
        module, path, inputs=inputs, outputs=outputs, dynamic_axes={"images": {0: "batch"}},
        other_sizes=({"batch": 1}, {"batch": 3}), sidecar=note, overwrite=overwrite,
    )  # fmt: skip


_SQUARE = "A square around the person, enlarge times the longer side of the box of the keypoints"
_BEFORE = {
    "affine": f"{_SQUARE}, sampled bilinearly to size x size; black outside.",
    "pixels": f"{_SQUARE}, its corners cut to whole pixels, resized bilinearly with antialiasing to size x size; black "
    "outside.",
}
_CAMERA = {
    "perspective": "s, tx, ty: the body stands at (tx, ty, 2 f / (size s)) before a camera of focal length f = 5000 "
    "pixels whose centre is the middle of the crop.",
    "orthographic": "s, tx, ty: x, y in the crop, from -1 to 1, are s (X + tx), s (Y + ty).",
}
_ROTATIONS = "(batch, 24, 3, 3), of each of SMPL's joints relative to its parent; the first turns the whole body."


class _GraphCMRFile(nn.Module):
    """A GraphCMR without singular values."""

    def __init__(self, network: GraphCMR) -> None:
        super().__init__()
        self.network = network
        free = network.config.body == "free"
        self.body_inputs = {} if free else {"reference": network.reference}

    def forward(self, images: Tensor, reference: Tensor | None = None) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> vertices at two resolutions and the camera; matrices and betas of the second network."""
        network = self.network
        start = network.reference if reference is None else reference
        feature = network.backbone(images).mean(dim=(2, 3))
        vertices, camera = network.graph(feature, start, network.neighbours)
        mesh = (vertices, network.up(vertices), camera)
        return mesh if network.regressor is None else (*mesh, *network.regressor.matrices(vertices, start))


class _GraphormerFile(nn.Module):
    """A Graphormer without its body's template, unless the body is free."""

    def __init__(self, network: Graphormer) -> None:
        super().__init__()
        self.network = network
        self.body_inputs: dict[str, Tensor] = {}
        if network.config.body != "free":
            generator = torch.Generator().manual_seed(1)
            joints = 0.4 * torch.randn(JOINT_TOKENS, 3, generator=generator)
            vertices = 0.4 * torch.randn(network.config.vertices[-1], 3, generator=generator)
            self.body_inputs = {"template_joints": joints, "template_vertices": vertices}
        else:
            network.template()  # made before the export, not in it

    def forward(
        self, images: Tensor, joints: Tensor | None = None, vertices: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> what the network gives."""
        template = None if joints is None or vertices is None else (joints, vertices)
        mesh: tuple[Tensor, ...] = self.network(images, template)
        return mesh


def _exported(network: HMR | SPIN | PARE | GraphCMR | Graphormer) -> tuple[nn.Module, list[str], dict[str, str]]:
    """What is exported, the names of its outputs, and what they mean."""
    match network:
        case HMR():  # SPIN is one
            return network, ["rotations", "betas", "camera"], {"rotations": _ROTATIONS}
        case PARE():
            parts = "(batch, 25, H / 4, W / 4): where the parts are seen, background first; a softmax makes shares."
            return (
                network, ["rotations", "betas", "camera", "part_logits"],
                {"rotations": _ROTATIONS, "part_logits": parts},
            )  # fmt: skip
        case GraphCMR():
            outputs = ["vertices_sub", "vertices", "camera"]
            after = {"vertices": f"metres, of the body {network.config.body!r}"}
            if network.regressor is not None:
                outputs += ["matrices", "betas"]
                after["matrices"] = (
                    f"{_ROTATIONS} To make rotations: u, _, vt = svd(matrix); rotation = u @ vt; times det(rotation)."
                )
            return _GraphCMRFile(network), outputs, after
        case Graphormer():
            outputs = ["camera", "joints", "vertices_coarse", "vertices_sub", "vertices"]
            after = {
                "joints": f"(batch, {JOINT_TOKENS}, 3): {', '.join(EVALUATED)}",
                "template_joints, template_vertices": "inputs: (14, 3) and (431, 3) of the body at rest turned by "
                f"{UPSIDE_DOWN} about x, relative to its pelvis",
            }
            return _GraphormerFile(network), outputs, after
        case _:
            assert_never(network)
