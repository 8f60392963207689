"""What `load` and `save` of every method share: folders of ours, sizes told by tensors, contradictions, model cards.

A network here is a torch module with `config` (a frozen pydantic model that rebuilds it), `source` (where its weights
came from) and `sha256` (of their file).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from torch import Tensor, nn

from poseworks.core.checkpoints import load_strict, read_model, save_model
from poseworks.core.config import describe_faults
from poseworks.core.errors import CheckpointError, ConfigError


class Configured(Protocol):
    """What a network of ours has beside the parts of a torch module."""

    @property
    def config(self) -> BaseModel:
        """Rebuilds the network."""
        ...

    source: str
    sha256: str


Network = TypeVar("Network", bound=nn.Module)


def saved_folder(path: Path) -> Path | None:
    """The folder that `save_network` wrote if `path` is one or its model.safetensors, else None."""
    if path.is_dir():
        return path
    if path.name == "model.safetensors" and (path.parent / "config.json").is_file():
        return path.parent
    return None


def load_saved(
    folder: Path,
    kinds: Mapping[str, Callable[[Mapping[str, Any]], Network]],
    *,
    given: Mapping[str, Any],
    looks_like: Callable[[Mapping[str, Tensor]], str | None] | None = None,
    name: str = "",
) -> Network:
    """The network of a folder that `save_network` wrote, in eval mode.

    Args:
        kinds: what builds an untrained network from the content of config.json, by ``config.kind``.
        given: options that the caller stated, as fields of the config; they must agree with it.
        name: what the network is to say of its source; default: the folder.

    Raises:
        CheckpointError: the folder is none of ours, is damaged, or holds another kind of network.
        ConfigError: an option contradicts the config.
    """
    content, tensors = read_model(folder)
    kind = content["config"].get("kind")
    if kind not in kinds:
        raise CheckpointError(f"{folder}: config.json is of kind {kind!r}, expected {' or '.join(kinds)}.")
    try:
        network = kinds[kind](content)
    except ValidationError as error:
        raise CheckpointError(f"{folder}/config.json: {faults_of(error)}") from error
    refuse_contradictions(network.config, given, f"{folder}/config.json says")  # type: ignore[arg-type]
    load_strict(network, tensors, source=str(folder), looks_like=looks_like)
    return ready(network, name or str(folder), content.get("model_sha256") or "")


def ready(network: Network, source: str, sha256: str) -> Network:
    """The same network in eval mode, told where its weights came from."""
    network.source, network.sha256 = source, sha256  # type: ignore[assignment]
    network.eval()
    return network


def save_network(
    network: nn.Module,
    folder: str | os.PathLike[str],
    *,
    title: str,
    readme: str | None = None,
    card: Mapping[str, Any] | None = None,
    extras: Mapping[str, Any] | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> None:
    """Writes ``model.safetensors``, ``config.json`` (config, extras, source, card) and ``README.md``.

    Args:
        network: a torch module with config, source and sha256 (`Configured`).
        title: first line of the README, where `readme` is not given.
        readme: what the weights are, their data and licence, and how to make them again; default: what is known.
        card: fields of `poseworks.core.model_cards.ModelCard`; shipped weights need it.
        extras: further entries of config.json.

    Raises:
        ConfigError: the folder exists. CheckpointError: a weight is not finite. DataError: it cannot be written.
    """
    configured: Configured = network  # type: ignore[assignment]
    beside = dict(extras or {})
    if configured.source:
        beside["source"] = {"name": Path(configured.source).name, "sha256": configured.sha256}
    if card is not None:
        beside["card"] = dict(card)
    text = readme if readme is not None else _readme(network, title)
    save_model(network, folder, configured.config, text, extras=beside, half=half, overwrite=overwrite)


def _readme(network: nn.Module, title: str) -> str:
    """A card with what is known of the weights."""
    configured: Configured = network  # type: ignore[assignment]
    parameters = sum(p.numel() for p in network.parameters())
    lines = [f"# {title}", "", f"- parameters: {parameters:,}"]
    lines += [f"- {name}: {value}" for name, value in configured.config.model_dump().items() if name != "kind"]
    if configured.source:
        lines.append(f"- made from: {Path(configured.source).name}, SHA-256 {configured.sha256}")
    else:
        lines.append("- made from: a network in memory")
    lines += ["- training data and licence: as stated by whoever made the weights", "", "Load: `load(<this folder>)`."]
    return "\n".join(lines)


def refuse_contradictions(known: BaseModel, given: Mapping[str, Any], who: str) -> None:
    """ConfigError if an option says otherwise than `known`, or is none of its fields; `who` ends in a verb."""
    for name, value in given.items():
        if name not in type(known).model_fields:
            raise ConfigError(f"{name}: this is {_article(known)}, which has no such option. Leave it out.")
        if getattr(known, name) != value:
            raise ConfigError(f"{name}: {who} {getattr(known, name)}, the option says {value}. Leave the option out.")


def _article(config: BaseModel) -> str:
    """The name of the network that a config belongs to, with its article."""
    name = type(config).__name__.removesuffix("Config")
    spoken_vowel = name[0] in "AEIO" or (name.isupper() and name[0] in "FHLMNRSX")
    return f"{'an' if spoken_vowel else 'a'} {name}"


def numbers_after(tensors: Mapping[str, Tensor], prefix: str) -> set[int]:
    """The numbers that follow a prefix in the names."""
    rests = (name.removeprefix(prefix).split(".")[0].split("/")[0] for name in tensors if name.startswith(prefix))
    return {int(rest) for rest in rests if rest.isdecimal()}


def size_of(tensors: Mapping[str, Tensor], *places: tuple[str, int], default: int = 1) -> int:
    """The size of the first tensor of these (name, axis) that is there; `default` where none is."""
    for name, axis in places:
        if name in tensors and tensors[name].dim() > axis:
            return int(tensors[name].shape[axis])
    return default


def image_kind(tensors: Mapping[str, Tensor]) -> str | None:
    """What a checkpoint is if it is one that reads images, which methods on joints are sometimes given by mistake."""
    if any(name.startswith(("backbone.", "layer1.", "conv1.")) for name in tensors):
        return "an image network (it has a backbone)"
    if any(name.startswith(("smpl.", "body_model", "regressor.")) or "smpl" in name for name in tensors):
        return "a mesh-recovery network"
    return None


def faults_of(error: ValidationError) -> str:
    """All faults of a config in one phrase."""
    return "; ".join(describe_faults(error, None))
