"""Networks from names, folders and original checkpoints, and back to folders and ONNX files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from torch import Tensor

from poseworks.core.checkpoints import Checkpoint, DropRule, read_checkpoint
from poseworks.core.errors import ConfigError
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
from poseworks.skeleton_action.c3d_light import C3DLight, C3DLightConfig
from poseworks.skeleton_action.export import export_onnx
from poseworks.skeleton_action.head import HeatmapNetwork
from poseworks.skeleton_action.label_names import label_names
from poseworks.skeleton_action.layouts import COCO_LAYOUT, JointLayout, Stream
from poseworks.skeleton_action.models import LIBRARY, model_cards, shipped_models
from poseworks.skeleton_action.preparation import Flavour, Preparation
from poseworks.skeleton_action.published import DEFAULT_LIMBS, Published, published_weights
from poseworks.skeleton_action.slowonly import SlowOnly, SlowOnlyConfig
from poseworks.skeleton_action.x3d_shallow import X3DShallow, X3DShallowConfig

Network = SlowOnly | X3DShallow | C3DLight
NETWORKS: dict[str, tuple[Callable[[Any], Network], type[BaseModel]]] = {
    "slowonly": (SlowOnly, SlowOnlyConfig),
    "x3d_shallow": (X3DShallow, X3DShallowConfig),
    "c3d_light": (C3DLight, C3DLightConfig),
}
_DROPPED = (DropRule("input statistics of the 1.x wrapper, which volumes have none of", r"data_preprocessor\..*"),)

__all__ = ["NETWORKS", "Network", "build", "export_onnx", "load", "looks_like", "model_cards", "save", "shipped_models"]


def build(config: SlowOnlyConfig | X3DShallowConfig | C3DLightConfig) -> Network:
    """A new network of a config."""
    network, _ = NETWORKS[config.kind]
    return network(config)


def load(
    source: str | os.PathLike[str],
    *,
    stream: Stream | None = None,
    flavour: Flavour | None = None,
    layout: JointLayout | None = None,
) -> Network:
    """The network in eval mode, float32, on the CPU: a SlowOnly, an X3DShallow or a C3DLight.

    Sizes come from the tensors. `network.source` and `network.sha256` say what was read, `network.preparation` what
    the weights are fed with. Of original files it is what the option says, the configuration in the file, or the name
    of a published file; where none does: joints, as in mmaction, on COCO's 17.

    Args:
        source: a shipped name (see `shipped_models`), a folder written by `save`, an original checkpoint file of
            mmaction 0.x, 1.x or pyskl, or a published name whose file lies in a folder of POSEWORKS_WEIGHTS.
        stream: what a channel of the volumes is, a joint or a limb, which tensors do not tell.
        flavour: the code line whose geometry the weights were trained with, which tensors do not tell.
        layout: joints and limbs, where they are not COCO's.

    Raises:
        CheckpointError: nothing is found under the name, or the file is damaged or of another method.
        ConfigError: an option contradicts what the file or the folder says.
    """
    stated = {"stream": stream, "flavour": flavour, "layout": layout}
    given = {name: value for name, value in stated.items() if value is not None}
    path = LIBRARY.locate(source)
    folder = saved_folder(path)
    if folder is not None:
        network = load_saved(
            folder, NETWORKS, given={}, preparation=Preparation, looks_like=looks_like, name=str(source)
        )
        refuse_contradictions(network.preparation, given, f"{folder}/config.json says")
        return network
    return _original(read_checkpoint(path), given)


def looks_like(tensors: Mapping[str, Tensor]) -> str | None:
    """What a checkpoint is, judged by the names of its tensors; None if nothing is recognised."""
    kind = _kind(tensors)
    if kind is not None:
        return {"slowonly": "a SlowOnly on heatmaps", "x3d_shallow": "an X3D-shallow", "c3d_light": "a C3D-light"}[kind]
    if any(name.startswith(("backbone.rgb_path.", "backbone.pose_path.")) for name in tensors):
        return "a network of two streams, images and poses (RGBPose-Conv3D)"
    if any(".gcn." in name or ".gcn1." in name for name in tensors):
        return "a graph network on skeletons"
    return image_kind(tensors)


def _kind(tensors: Mapping[str, Tensor]) -> str | None:
    """Of the config, or None."""
    names = set(tensors)
    if "backbone.conv1_s.conv.weight" in names:
        return "x3d_shallow"
    if "backbone.conv1a.conv.weight" in names:
        return "c3d_light"
    blocks = any(name.startswith("backbone.layer1.0.conv3.") for name in names)
    images = any(name.startswith("backbone.layer4.") for name in names)
    return "slowonly" if "backbone.conv1.conv.weight" in names and blocks and not images else None


# --- original checkpoints ---------------------------------------------------------------------------------------------


def _original(checkpoint: Checkpoint, given: Mapping[str, Any]) -> Network:
    kind = _kind(checkpoint.tensors)
    if kind is None:
        raise other_method(checkpoint, looks_like(checkpoint.tensors), "no PoseC3D network")
    with sizes_from(checkpoint.source):
        config = NETWORKS[kind][1](**_sizes(kind, checkpoint.tensors))
    network = load_original(NETWORKS[kind][0], config, checkpoint, drop=_DROPPED, looks_like=looks_like)
    network.preparation = _preparation(checkpoint, network, given)
    return network


def _sizes(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Fields of the config."""
    first = {"slowonly": "conv1", "x3d_shallow": "conv1_s", "c3d_light": "conv1a"}[kind]
    stem = f"backbone.{first}.conv.weight"
    sizes: dict[str, Any] = {
        "width": size_of(tensors, (stem, 0)),
        "in_channels": size_of(tensors, (stem, 1)),
        "classes": size_of(tensors, ("cls_head.fc_cls.weight", 0), ("cls_head.fc_cls.bias", 0)),
    }
    if kind != "c3d_light":
        sizes["blocks"] = tuple(max(len(numbers_after(tensors, f"backbone.layer{n}.")), 1) for n in (1, 2, 3))
    return sizes


def _preparation(checkpoint: Checkpoint, network: HeatmapNetwork, given: Mapping[str, Any]) -> Preparation:
    """What the weights are fed with: as stated, or as the file or its name says."""
    entry = _published_file(Path(checkpoint.source).name)
    with sizes_from(checkpoint.source):
        known = _told(checkpoint, network.config.classes)
    if entry is not None:
        known = {"stream": entry.stream, "flavour": "mmaction", "size": entry.size, **known}
        if network.config.classes == len(label_names(entry.data_set)):
            known = {"labels": label_names(entry.data_set), **known}
    for name, value in given.items():
        if known.setdefault(name, value) != value:
            raise ConfigError(f"{name}: {checkpoint.source} says {known[name]}, the option says {value}. Leave it out.")
    return Preparation(**known)


def _published_file(name: str) -> Published | None:
    """The published weights whose file has this name, with or without the digits that end it."""
    return next((entry for entry in published_weights().values() if name in (entry.file, f"{entry.name}.pth")), None)


def _told(checkpoint: Checkpoint, classes: int) -> dict[str, Any]:
    """What the bookkeeping of a checkpoint tells: the stream and its limbs in the text of the configuration, classes.

    Raises:
        ValidationError: the limbs are not possible ones.
    """
    meta = checkpoint.extras.get("meta")
    if not isinstance(meta, dict):
        return {}
    told: dict[str, Any] = {}
    text = meta.get("config") or meta.get("cfg")
    if isinstance(text, str):
        drawn = {what for what, yes in re.findall(r"with_(kp|limb)\s*=\s*(True|False)", text) if yes == "True"}
        if len(drawn) == 1:
            told["stream"] = "limb" if drawn == {"limb"} else "joint"
        if drawn == {"limb"}:
            told["layout"] = JointLayout(**{**COCO_LAYOUT.model_dump(), "limbs": _limbs(text)})
    dataset_meta = meta.get("dataset_meta")
    names = meta.get("CLASSES") or (dataset_meta.get("classes") if isinstance(dataset_meta, dict) else None)
    if isinstance(names, list) and len(names) == classes and all(isinstance(name, str) for name in names):
        told["labels"] = tuple(names)
    return told


def _limbs(text: str) -> tuple[tuple[int, int], ...]:
    """The pairs that a configuration lists as ``skeletons``, or those that the published code then draws."""
    listed = re.search(r"skeletons\s*=\s*[\[(]((?:\s*[\[(]\s*\d+\s*,\s*\d+\s*[\])]\s*,?)+)", text)
    if listed is None:
        return DEFAULT_LIMBS
    return tuple((int(a), int(b)) for a, b in re.findall(r"(\d+)\s*,\s*(\d+)", listed[1]))
