"""Networks from names, folders and original checkpoints, and back to folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel
from torch import Tensor

from poseworks.core.checkpoints import Checkpoint, read_checkpoint
from poseworks.core.errors import ConfigError
from poseworks.core.networks import image_kind, load_original, load_saved, other_method, saved_folder, sizes_from
from poseworks.core.networks import save_network as save
from poseworks.mesh_recovery.checkpoint_sizes import (
    discriminator_config,
    graphcmr_config,
    graphormer_config,
    hmr_config,
    pare_config,
    spin_config,
)
from poseworks.mesh_recovery.crops import Preparation
from poseworks.mesh_recovery.discriminator import Discriminator, DiscriminatorConfig
from poseworks.mesh_recovery.graphcmr import GraphCMR, GraphCMRConfig
from poseworks.mesh_recovery.graphormer import Graphormer, GraphormerConfig
from poseworks.mesh_recovery.hmr import HMR, HMRConfig
from poseworks.mesh_recovery.meshes import BodyMesh, BodyName, body_mesh
from poseworks.mesh_recovery.models import LIBRARY, shipped_models
from poseworks.mesh_recovery.names import drop_rules, published_names, with_counters
from poseworks.mesh_recovery.pare import PARE, PAREConfig
from poseworks.mesh_recovery.spin import SPIN, SPINConfig

Network = HMR | SPIN | PARE | GraphCMR | Graphormer | Discriminator
Source = str | os.PathLike[str]

__all__ = [
    "Network",
    "load",
    "load_discriminator",
    "looks_like",
    "save",
    "shipped_models",
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
        config = discriminator_config(checkpoint.tensors)
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
                config = graphcmr_config(tensors, given.name)
                return _filled(lambda c: GraphCMR(c, given), config, kind, checkpoint)
            return _filled(lambda c: Graphormer(c, given), graphormer_config(tensors, given.name), kind, checkpoint)
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
        replace(checkpoint, tensors=with_counters(checkpoint.tensors)),
        names=lambda ours: published_names(kind, ours),
        drop=drop_rules(config),
        looks_like=looks_like,
    )


_BUILDERS: dict[str, tuple[Callable[[Any], Network], Callable[[Mapping[str, Tensor]], BaseModel]]] = {
    "hmr": (HMR, hmr_config),
    "spin": (SPIN, spin_config),
    "pare": (PARE, pare_config),
    "smpl_discriminator": (Discriminator, discriminator_config),
}
