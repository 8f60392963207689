"""Networks from names, folders and original checkpoints, and back to folders and ONNX files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from poseworks.core.checkpoints import Checkpoint, DropRule, read_checkpoint
from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.networks import (
    image_kind,
    load_original,
    load_saved,
    numbers_after,
    other_method,
    refuse_contradictions,
    saved_folder,
    size_of,
    sizes_from,
)
from poseworks.core.networks import save_network as save
from poseworks.core.onnx_export import ExportReport, export_verified
from poseworks.core.skeletons import H36M_17
from poseworks.lifting.distillation import Distiller, DistillerConfig
from poseworks.lifting.ehgformer import (
    JOINTS,
    EHGFormer,
    EHGFormerConfig,
    OrdinaryEHGFormer,
    OrdinaryEHGFormerConfig,
)
from poseworks.lifting.graphs import PARTITIONS, MaskType
from poseworks.lifting.input_forms import Preparation
from poseworks.lifting.lcn import LCN, FoldedLCN, LCNConfig
from poseworks.lifting.models import LIBRARY, model_cards, shipped_models
from poseworks.lifting.published import ehgformer_names, lcn_names, published_weights
from poseworks.lifting.tensorflow_files import read_tensorflow, tensorflow_prefix

Network = LCN | EHGFormer | Distiller
_SAVED: dict[str, tuple[Callable[[Any], Network], type[BaseModel]]] = {
    "lcn": (LCN, LCNConfig),
    "ehgformer": (EHGFormer, EHGFormerConfig),
    "ehgformer_ordinary": (OrdinaryEHGFormer, OrdinaryEHGFormerConfig),
    "ehgformer_distiller": (Distiller, DistillerConfig),
}

__all__ = ["Network", "export_onnx", "load", "looks_like", "model_cards", "save", "shipped_models"]


def load(
    source: str | os.PathLike[str],
    *,
    knn: int | None = None,
    mask_type: MaskType | None = None,
    limb_lengths: Sequence[float] | None = None,
    partition: int | Sequence[int] | None = None,
    joint_bias: bool | None = None,
    group_by_query: bool | None = None,
    group_by_bias: bool | None = None,
) -> Network:
    """The network in eval mode, float32, on the CPU: an LCN, an EHGFormer, or the Distiller of a ``*_distiller.bin``.

    Sizes, heads, frames and partition come from the tensors. `network.source` and `network.sha256` say what was read,
    `network.preparation` what the weights are fed with: for original files what was published (a Distiller has none).

    Args:
        source: a shipped name (see `shipped_models`), a folder written by `save`, an original checkpoint file
            (``best_epoch.bin`` and the like; for LCN an ``.npz`` of the variables under their TensorFlow names), or a
            published name whose file lies in a folder of POSEWORKS_WEIGHTS.
        knn: LCN: how far its mask reaches, which an original file does not tell; 3 in all published commands.
        mask_type: LCN: default "locally_connected", or the learnable kind where the file holds a mask.
        limb_lengths: LCN: for the mask type "laplacian".
        partition: EHGFormer: 1, 2 or the group of each joint. It must agree with the file, and is needed only where
            the file lacks its partition.
        joint_bias, group_by_query, group_by_bias: EHGFormer: ablations that the checkpoint was trained with.

    Raises:
        CheckpointError: nothing is found under the name, the file is damaged or of another method, or TensorFlow's.
        ConfigError: knn is not known, or an option contradicts the file or does not apply to it.
    """
    given = _given(
        knn=knn,
        mask_type=mask_type,
        limb_lengths=limb_lengths,
        partition=partition,
        joint_bias=joint_bias,
        group_by_query=group_by_query,
        group_by_bias=group_by_bias,
    )
    if tensorflow_prefix(source) is not None:
        raise CheckpointError(
            f"{source}: a TensorFlow checkpoint. Convert it once: poseworks-lifting convert {source} -o lcn/ --knn 3."
        )
    path = LIBRARY.locate(source)
    folder = saved_folder(path)
    if folder is not None:
        return load_saved(folder, _SAVED, given=given, preparation=Preparation, looks_like=looks_like, name=str(source))
    known = published_weights().get(os.fspath(source))
    for name, value in () if known is None else known.options.items():
        name, value = ("groups", _groups(value)) if name == "partition" else (name, value)
        if given.setdefault(name, value) != value:
            raise ConfigError(f"{name}: {source} has {value}, the option says {given[name]}. Leave the option out.")
    return _original(read_checkpoint(path), given)


def load_tensorflow(source: str | os.PathLike[str], **options: Any) -> Network:
    """As `load`, of a TensorFlow checkpoint: a folder, one of its files, or what their names begin with.

    Raises:
        ConfigError: TensorFlow is not installed, knn is not known, or an option contradicts the file.
        CheckpointError: as `load`.
    """
    return _original(read_tensorflow(source), _given(**options))


def _given(**options: Any) -> dict[str, Any]:
    """The options of `load` that were stated, as fields of a config."""
    given = {name: value for name, value in options.items() if value is not None}
    if "limb_lengths" in given:
        given["limb_lengths"] = tuple(given["limb_lengths"])
    if "partition" in given:
        given["groups"] = _groups(given.pop("partition"))
    return given


def export_onnx(network: Network, path: str | os.PathLike[str], *, overwrite: bool = False) -> ExportReport:
    """Writes an ONNX file that gives what torch gives, and a JSON file beside it on what comes before and after.

    ``pose2d`` -> ``pose3d``: of an LCN (batch, 17, 2 or 3) -> (batch, 17, 3), of an EHGFormer (batch, frames, 17, 3)
    -> the same; batch of any size, frames up to the network's.

    Raises:
        ConfigError: not ``.onnx``, an existing file, a network without frames to try, a Distiller, or the packages for
            ONNX are missing.
        CheckpointError: ONNX and torch disagree; nothing is written.
    """
    if isinstance(network, Distiller):
        raise ConfigError("export_onnx: a Distiller only serves training. Export the student it belongs to.")
    generator = torch.Generator().manual_seed(0)
    form = network.preparation.form
    note = {
        "config": network.config.model_dump(mode="json"),
        "preparation": network.preparation.model_dump(mode="json"),
        "joints": "h36m17",
        "joint_names": H36M_17.joint_names,
        "before": _BEFORE[form],
        "after": _AFTER[form],
        "flip": "Negate x and exchange left and right joints in the input, do so with the answer, and take the mean of "
        "that and the plain answer: a little better, at twice the cost.",
    }
    module: nn.Module
    axes: dict[int, str]
    others: tuple[dict[str, int], ...]
    if isinstance(network, LCN):
        c = network.config
        module, axes, others = FoldedLCN(network), {0: "batch"}, ({"batch": 1}, {"batch": 7})
        x = 0.5 * torch.randn(2, c.joints, c.in_features, generator=generator)
        largest = {}
    else:
        most = network.config.frames
        if most < 3:
            raise ConfigError(f"export_onnx: a network of {most} frames has no other lengths to verify at.")
        module, axes = network, {0: "batch", 1: "frames"}
        others = ({"batch": 1, "frames": most}, {"batch": 3, "frames": 1})
        x = 0.5 * torch.randn(2, min(most - 1, 27), JOINTS, 3, generator=generator)
        largest = {"frames": most}
    return export_verified(
        module,
        path,
        inputs={"pose2d": x},
        outputs=["pose3d"],
        dynamic_axes={"pose2d": axes},
        other_sizes=others,
        largest_sizes=largest,
        sidecar=note,
        overwrite=overwrite,
    )


_RAYS = (
    "Of each frame: r_j = ((x - cx) / fx, (y - cy) / fy, 1) of a joint's pixels x, y; where the camera is not known, "
    "cx, cy is the middle of the image and fx = fy = assumed_focal times its longer side. R has as rows the axes of a "
    "camera without roll that looks along d, the mean of r_j / |r_j|: z = d / |d|, x = (0, 1, 0) cross z, of length 1, "
    "y = z cross x. "
)
_SHAPE = "m is the mean of the s_j, q the root of the mean of |s_j - m|^2. Input: "
_MISSING = (
    ", as many of the three as there are features; 0, 0, 0 for a joint that is missing, which m, q and d leave out. At "
    "least 9 joints must be there."
)
_BEFORE = {
    "image": "x' = 2 x / w - 1, y' = 2 y / w - h / w of pixels x, y in an image of w x h, then the confidence as it "
    "is, where there are three features. No joint may be missing.",
    "ray": f"{_RAYS}s_j = (R r_j)_xy / (R r_j)_z; {_SHAPE}((s_j - m) / q, 5 q){_MISSING}",
    "box": f"{_RAYS}s_j = (r_j)_xy; {_SHAPE}((s_j - m) / q, 1){_MISSING}",
}
_OWN_AFTER = (
    "Joints relative to the pelvis, x right, y down, z away from the camera, in metres of a person as tall as those of "
    "the training data: unit_m R^T (y_j - y_pelvis), with the R of the frame."
)
_AFTER = {
    "image": "x = (x' + 1) w / 2, y = (y' + h / w) w / 2, z = z' w / 2: pixels, z relative to the root's depth.",
    "ray": _OWN_AFTER,
    "box": _OWN_AFTER,
}


def looks_like(tensors: Mapping[str, Tensor]) -> str | None:
    """What a checkpoint is, judged by the names of its tensors; None if nothing is recognised."""
    if any(name.startswith(("STEblocks.", "TTEblocks.")) for name in tensors):
        return "an EHGFormer"
    if any(name.startswith(("spatial_align.", "temporal_align.", "generation_")) for name in tensors):
        return "a Distiller"
    if any(name.startswith("linear_model/") for name in tensors):
        return "an LCN"
    return image_kind(tensors)


def _groups(partition: int | Sequence[int]) -> tuple[int, ...]:
    """The group of each joint."""
    if not isinstance(partition, int):
        return tuple(partition)
    if partition not in PARTITIONS:
        raise ConfigError(f"partition: {partition} is none of {', '.join(map(str, PARTITIONS))}. State 17 groups.")
    return PARTITIONS[partition]


# --- original checkpoints ---------------------------------------------------------------------------------------------

_LCN_DROPPED = (
    DropRule("optimizer state", r".*/Adam(_1)?"),
    DropRule("training state", r"(training/.*|.*global_step|.*beta[12]_power)"),
    DropRule("moving averages of the loss", r"loss/.*|.*/ExponentialMovingAverage"),
)
_EHGFORMER_DROPPED = (
    DropRule(
        "partition, kept in the config", r"STEblocks\.\d+\.hyper_attn_blk\.hyper_edge\.(joint_label|hyper_matrix)"
    ),
    DropRule("never used", r"STEblocks\.\d+\.hyper_attn_blk\.hyper_edge\.merge_weight"),
)


def _original(checkpoint: Checkpoint, given: Mapping[str, Any]) -> Network:
    kind = looks_like(checkpoint.tensors)
    with sizes_from(checkpoint.source):
        if kind == "an EHGFormer":
            config: BaseModel = _ehgformer_config(checkpoint, given)
            return load_original(
                EHGFormer, config, checkpoint, names=ehgformer_names, drop=_EHGFORMER_DROPPED, looks_like=looks_like
            )
        if kind == "an LCN":
            checkpoint = replace(checkpoint, tensors=_tensorflow_names(checkpoint.tensors))
            config = _lcn_config(checkpoint, given)
            return load_original(LCN, config, checkpoint, names=lcn_names, drop=_LCN_DROPPED, looks_like=looks_like)
        if kind == "a Distiller":
            config = _distiller_config(checkpoint.tensors)
            refuse_contradictions(config, given, f"{checkpoint.source} says")
            return load_original(Distiller, config, checkpoint, looks_like=looks_like)
    raise other_method(checkpoint, kind, "neither an LCN nor an EHGFormer")


def _ehgformer_config(checkpoint: Checkpoint, given: Mapping[str, Any]) -> EHGFormerConfig:
    tensors = checkpoint.tensors
    width = size_of(tensors, ("Spatial_pos_embed", 2), ("Temporal_pos_embed", 2), ("head.0.weight", 0))
    space, time = numbers_after(tensors, "STEblocks."), numbers_after(tensors, "TTEblocks.")
    first = f"STEblocks.{min(space, default=0)}"
    joints, groups = f"{first}.common_attn_blk", f"{first}.hyper_attn_blk"
    hidden = size_of(tensors, (f"{joints}.mlp.fc1.weight", 0), (f"{joints}.mlp.fc2.weight", 1), default=2 * width)
    has_groups = any(".hyper_attn_blk." in name for name in tensors)
    config = EHGFormerConfig(
        frames=size_of(tensors, ("Temporal_pos_embed", 1)),
        width=width,
        blocks=max(len(space), len(time), 1),
        heads=size_of(tensors, (f"{joints}.attn.outer", 0), (f"{groups}.attn.w1", 0), default=8),
        mlp_ratio=hidden / width,
        groups=_partition(checkpoint, given.get("groups")) if has_groups else PARTITIONS[1],
        group_block=has_groups,
        **{name: given[name] for name in ("joint_bias", "group_by_query", "group_by_bias") if name in given},
    )
    refuse_contradictions(config, given, f"{checkpoint.source} says")
    return config


def _partition(checkpoint: Checkpoint, stated: tuple[int, ...] | None) -> tuple[int, ...]:
    """The group of each joint that the checkpoint's blocks agree upon; `stated` where they say none."""
    found: dict[str, tuple[int, ...]] = {}
    for name, tensor in checkpoint.tensors.items():
        if re.fullmatch(_EHGFORMER_DROPPED[0].pattern, name):
            one_hot = name.endswith("hyper_matrix")
            ones = tensor.float()
            if one_hot and not (ones.dim() == 2 and ((ones == 0) | (ones == 1)).all() and (ones.sum(dim=1) == 1).all()):
                raise CheckpointError(f"{checkpoint.source}: {name} is no partition: expected one 1 in each row.")
            if not one_hot and tensor.dim() != 1:
                raise CheckpointError(f"{checkpoint.source}: {name} is no partition: expected one group a joint.")
            labels = ones.argmax(dim=1) if one_hot else ones
            found[name] = tuple(int(label) for label in labels.tolist())
    if len(set(found.values())) > 1:
        first = next(iter(found))
        other = next(name for name in found if found[name] != found[first])
        raise CheckpointError(
            f"{checkpoint.source}: its partitions contradict each other: {first} says {list(found[first])}, {other} "
            f"says {list(found[other])}. The file is damaged or put together from two."
        )
    if found:
        return next(iter(found.values()))
    if stated is None:
        raise ConfigError(
            f"{checkpoint.source}: an EHGFormer without joint_label and hyper_matrix: its tensors do not tell its "
            "partition. State it: --partition 1 (in Python: load(file, partition=1))."
        )
    return stated


def _tensorflow_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the output numbers (``:0``), and the mask under the name it has outside of the scope."""
    bare = {name.removesuffix(":0"): tensor for name, tensor in tensors.items()}
    return {"mask" if name == "linear_model/mask" else name: tensor for name, tensor in bare.items()}


def _lcn_config(checkpoint: Checkpoint, given: Mapping[str, Any]) -> LCNConfig:
    tensors = checkpoint.tensors
    learnable = "mask" in tensors
    if "knn" not in given and given.get("mask_type") not in ("ones", "laplacian"):
        raise ConfigError(
            f"{checkpoint.source}: an LCN, whose variables do not tell how far its mask reaches. State it: --knn 3 "
            "(in Python: load(file, knn=3)); all published commands use 3."
        )
    scope = "linear_model"
    first = f"{scope}/two_linear_0"
    hidden = size_of(tensors, (f"{scope}/w4", 0), (f"{scope}/w1", 1), (f"{scope}/b1", 0), (f"{first}/w2_0", 1))
    config = LCNConfig(
        in_features=3 if size_of(tensors, (f"{scope}/w1", 0)) == 3 * JOINTS else 2,
        channels=max(hidden // JOINTS, 1),
        layers=len(numbers_after(tensors, f"{scope}/two_linear_")),
        **{"mask_type": "locally_connected_learnable" if learnable else "locally_connected", **_fields(given)},
    )
    if learnable != (config.mask_type == "locally_connected_learnable"):
        has = "a trained mask" if learnable else "no trained mask"
        raise ConfigError(f"mask_type: {checkpoint.source} holds {has}, the option says {config.mask_type}.")
    refuse_contradictions(config, given, f"{checkpoint.source} says")
    return config


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that LCN has."""
    return {name: value for name, value in given.items() if name in LCNConfig.model_fields}


def _distiller_config(tensors: Mapping[str, Tensor]) -> DistillerConfig:
    pairs = numbers_after(tensors, "spatial_align.") | numbers_after(tensors, "temporal_align.")
    align = "generation_align.weight"
    return DistillerConfig(
        student_width=size_of(tensors, (align, 1), ("spatial_align.0.weight", 1)),
        teacher_width=size_of(tensors, (align, 0), ("mask_token", 2)),
        pairs=max(len(pairs), 1),
    )
