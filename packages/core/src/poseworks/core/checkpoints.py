"""Weights in and out: any published checkpoint read safely and strictly, ours as safetensors with a config.

A checkpoint is read in two steps. `read_checkpoint` finds the tensors in the file (nested or bare, with or without a
prefix) and says what it dropped; `load_strict` puts them into a network, or lists everything that does not fit.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from poseworks.core.errors import CheckpointError
from poseworks.core.files import atomic_folder, sha256
from poseworks.core.model_cards import find_weights as find_weights
from poseworks.core.weight_files import read_safetensors_metadata, read_weight_file, write_safetensors

MODEL_FORMAT = "poseworks.model/1"
NESTS = (
    "state_dict", "model_state_dict", "model_state", "model_pos", "model", "network", "net", "weights", "distiller",
)  # fmt: skip
PREFIXES = ("module.", "model.", "_orig_mod.")
_TRAINING = re.compile(r"optim|sched|scaler|rng|random|callbacks|loops|(^|_)(amp|ema)(_|$)", re.IGNORECASE)
_SUFFIXES = {".pth", ".pt", ".tar", ".bin", ".ckpt", ".safetensors", ".onnx", ".npz"}


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file under bare names, on the CPU, and what else was found.

    Attributes:
        tensors: name -> tensor, without the common prefix.
        extras: bookkeeping beside the tensors (epoch, meta, ...), plain values.
        dropped: what was left out, each with its rule.
        prefix: what was stripped from every name, for example ``module.``.
        nest: the entry that held the tensors, ``""`` where they lay bare.
        kind: ``torch``, ``torch-legacy``, ``safetensors`` or ``npz``.
    """

    tensors: dict[str, Tensor]
    extras: dict[str, Any]
    dropped: tuple[str, ...]
    source: str
    sha256: str
    prefix: str = ""
    nest: str = ""
    kind: str = "torch"


@dataclass(frozen=True)
class DropRule:
    """Tensors to leave out on purpose: those whose whole name matches `pattern` (a regular expression)."""

    name: str
    pattern: str


def read_checkpoint(path: str | os.PathLike[str], *, parts: Sequence[str] = ()) -> Checkpoint:
    """The tensors of a checkpoint, from any usual layout; nothing in the file is run.

    Args:
        path: of the file.
        parts: entries that each hold the tensors of one of several networks; these are then named ``part.name``.

    Rules by which things are left out: ``training state`` (optimizer, scheduler, scaler, averages), ``bookkeeping``
    (epoch, meta, performance, ...: kept in `extras`), ``not a tensor`` (inside a state dict).

    Raises:
        CheckpointError: the file is missing, of another kind, damaged, holds no tensors, tensors with NaN or
            infinity, or its name ends in 8 hex digits that its SHA-256 does not begin with.
    """
    file = Path(path)
    content, kind = read_weight_file(file)
    digest = sha256(file)
    _check_hash(file, digest)
    tensors, nest, beside = _find_tensors(_joined(content, parts), str(path))
    extras, dropped = {}, []
    for name, value in beside.items():
        if _TRAINING.search(name):
            dropped.append(f"{name} (training state)")
        else:
            extras[name] = _plain(value)
            dropped.append(f"{name} (bookkeeping)")
    for name in [name for name, value in tensors.items() if not isinstance(value, Tensor)]:
        del tensors[name]
        dropped.append(f"{name} (not a tensor)")
    if kind == "safetensors":
        extras |= read_safetensors_metadata(file)
    _check_tensors(tensors, str(path))
    bare, prefix = strip_prefix(tensors)
    return Checkpoint(bare, extras, tuple(dropped), str(path), digest, prefix, nest, kind)


def strip_prefix(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The tensors without the prefixes (``module.``, ``model.``, ``_orig_mod.``) that all names share, and those."""
    bare, stripped = dict(tensors), ""
    while True:
        prefix = next((p for p in PREFIXES if bare and all(name.startswith(p) for name in bare)), None)
        if prefix is None:
            return bare, stripped
        bare = {name.removeprefix(prefix): tensor for name, tensor in bare.items()}
        stripped += prefix


def load_strict(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    source: str,
    names: Mapping[str, str] | None = None,
    drop: Sequence[DropRule] = (),
    looks_like: Callable[[Mapping[str, Tensor]], str | None] | None = None,
) -> tuple[str, ...]:
    """Puts the tensors into the network, in place; returns the names left out, each with its rule.

    Args:
        names: what the file calls the network's tensors, where that differs; faults are told in the file's names.
        looks_like: may recognise a checkpoint of another method; what it says becomes part of the error.
    Raises:
        CheckpointError: listing every missing, unexpected and misshapen tensor; the network is then unchanged.
    """
    dropped = check_fit(network, tensors, source=source, names=names, drop=drop, looks_like=looks_like)
    called = {name: name for name in network.state_dict()} | dict(names or {})
    network.load_state_dict({name: tensors[called[name]] for name in network.state_dict()})
    return tuple(f"{name} ({rule})" for name, rule in dropped.items())


def check_fit(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    source: str,
    names: Mapping[str, str] | None = None,
    drop: Sequence[DropRule] = (),
    looks_like: Callable[[Mapping[str, Tensor]], str | None] | None = None,
) -> dict[str, str]:
    """What would be left out, each with its rule; the errors of `load_strict`, which nothing is loaded by.

    The network may lie on torch's device ``meta``: so sizes that a file claims are checked before memory is taken.
    """
    dropped = {name: rule.name for name in tensors for rule in drop if re.fullmatch(rule.pattern, name)}
    given = {name: tensor for name, tensor in tensors.items() if name not in dropped}
    called = {name: name for name in network.state_dict()} | dict(names or {})
    own = {called[name]: tensor for name, tensor in network.state_dict().items()}
    faults = []
    missing = [name for name in own if name not in given]
    unexpected = [name for name in given if name not in own]
    misshapen = [
        f"{name} is {_shape(given[name])}, expected {_shape(own[name])}"
        for name in own
        if name in given
        and (own[name].shape != given[name].shape or own[name].is_complex() != given[name].is_complex())
    ]
    for title, which in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen)):
        if which:
            faults.append(f"{title} ({len(which)}): {', '.join(which)}")
    if faults:
        guess = looks_like(tensors) if looks_like is not None else None
        hint = f" It looks like {guess}." if guess else ""
        raise CheckpointError(f"{source}: does not fit {type(network).__name__}.{hint} {'; '.join(faults)}.")
    return dropped


def save_model(
    tensors: Mapping[str, Tensor],
    folder: str | os.PathLike[str],
    config: BaseModel,
    readme: str,
    *,
    extras: Mapping[str, Any] | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> None:
    """Writes a state dict as a folder, or nothing: ``model.safetensors``, ``config.json`` and ``README.md``.

    config.json: ``{"format", "config", **extras, "model_sha256"}``. With `half`, floating tensors are stored as
    float16; `read_model` gives float32 back. Tensors that share memory are stored once.

    Raises:
        ConfigError: the folder exists and `overwrite` is false.
        CheckpointError: a weight is NaN or infinite, or too large for float16.
        DataError: it cannot be written.
    """
    kept, tied = _untied(tensors)
    if half:
        kept = {name: x.half() if x.is_floating_point() else x for name, x in kept.items()}
    _check_tensors(kept, f"{folder}: not written")
    content = {"format": MODEL_FORMAT, "config": config.model_dump(mode="json"), **(extras or {})}
    metadata = {"format": "pt", "config": json.dumps(content["config"])}
    if tied:
        metadata["tied"] = json.dumps(tied)
    with atomic_folder(folder, overwrite) as new:
        write_safetensors(kept, new / "model.safetensors", metadata)
        content["model_sha256"] = sha256(new / "model.safetensors")
        (new / "config.json").write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        (new / "README.md").write_text(readme.rstrip() + "\n", encoding="utf-8")


def read_model(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `save_model` wrote: the content of config.json, and the tensors, floating ones as float32.

    Raises:
        CheckpointError: a file is missing or damaged, or the weights are not those the config was written with.
    """
    home = Path(folder)
    weights, config = home / "model.safetensors", home / "config.json"
    absent = [file.name for file in (weights, config) if not file.is_file()]
    if absent:
        raise CheckpointError(f"{folder}: not a saved model: {' and '.join(absent)} missing.")
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{config}: not JSON ({error}).") from error
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise CheckpointError(f"{config}: expected an object with an entry config.")
    if content.get("format") != MODEL_FORMAT:
        raise CheckpointError(f"{config}: format is {content.get('format')!r}, expected {MODEL_FORMAT!r}.")
    expected = content.get("model_sha256")
    if expected is not None and expected != sha256(weights):
        raise CheckpointError(f"{weights}: damaged or replaced: its SHA-256 is not the one in config.json.")
    tensors, _ = read_weight_file(weights)
    tied = json.loads(read_safetensors_metadata(weights).get("tied", "{}"))
    tensors |= {name: tensors[kept] for name, kept in tied.items() if kept in tensors}
    _check_tensors(tensors, str(weights))
    return content, {name: x.float() if x.is_floating_point() else x for name, x in tensors.items()}


def hash_in_name(path: str | os.PathLike[str]) -> str | None:
    """The hex digits (8 or more) at the end of a file name, in lower case; a date such as 20240131 is none."""
    stem = Path(path).name
    while Path(stem).suffix.lower() in _SUFFIXES:
        stem = Path(stem).stem
    found = re.search(r"(?:^|[-_.])([0-9a-fA-F]{8}|[0-9a-fA-F]{64})$", stem)
    if found is None or re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", found[1]):
        return None
    return found[1].lower()


def _check_hash(path: Path, digest: str) -> None:
    stated = hash_in_name(path)
    if stated is not None and not digest.startswith(stated):
        raise CheckpointError(
            f"{path}: its name says that its SHA-256 begins with {stated}, but it begins with {digest[:8]}. "
            "The file is damaged or another one: fetch it again, or rename it if you know what it is."
        )


def _find_tensors(content: Any, source: str) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """The entries of the state dict, the names that led there, and what lay beside."""
    nests: list[str] = []
    beside: dict[str, Any] = {}
    while isinstance(content, Mapping) and len(nests) < 4:
        nest = next((name for name in NESTS if _holds_tensors(content.get(name), 3)), None)
        if nest is None:
            break
        beside |= {str(name): value for name, value in content.items() if name != nest}
        content = content[nest]
        nests.append(nest)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{source}: holds a {type(content).__name__}, expected a dict of tensors.")
    named = {str(name): value for name, value in content.items()}
    if not any(isinstance(value, Tensor) for value in named.values()):
        held = ", ".join(list(named)[:20]) or "nothing"
        raise CheckpointError(f"{source}: holds no tensors by name. Its entries: {held}.")
    inside = {name: value for name, value in named.items() if isinstance(value, Tensor) or nests}
    beside |= {name: value for name, value in named.items() if name not in inside}
    return inside, ".".join(nests), beside


def _joined(content: Any, parts: Sequence[str]) -> Any:
    """The same with the tensors of its parts side by side, under the name of their part, in one nest."""
    if not isinstance(content, Mapping):
        return content
    found = {part: content[part] for part in parts if _holds_tensors(content.get(part), 1)}
    if not found:
        return content
    tensors = {f"{part}.{name}": value for part, named in found.items() for name, value in named.items()}
    return {**{name: value for name, value in content.items() if name not in found}, NESTS[0]: tensors}


def _holds_tensors(content: Any, depth: int) -> bool:
    """Whether this is a mapping with tensors by name, here or in one of its nests."""
    if not isinstance(content, Mapping) or depth == 0:
        return False
    here = any(isinstance(value, Tensor) for value in content.values())
    return here or any(_holds_tensors(content.get(name), depth - 1) for name in NESTS)


def _check_tensors(tensors: Mapping[str, Tensor], source: str) -> None:
    """Refuses what no weight can be: NaN, infinity, sparse or quantized, larger than its own memory."""
    faults = []
    for name, x in tensors.items():
        if x.layout != torch.strided or x.is_quantized or x.device.type == "meta":
            faults.append(f"{name}: a {'quantized' if x.is_quantized else x.layout} tensor, expected a dense one")
        elif x.numel() * x.element_size() > x.untyped_storage().nbytes():
            faults.append(f"{name}: claims {_shape(x)}, more than the file holds")
        elif (x.is_floating_point() or x.is_complex()) and not bool(
            torch.isfinite(x if x.is_complex() else x.float()).all()
        ):
            faults.append(f"{name}: holds NaN or infinity")
    if faults:
        raise CheckpointError(f"{source}: {'; '.join(faults)}.")


def _untied(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Contiguous tensors without those that are another one under a second name, and which that is."""
    kept: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, x in tensors.items():
        key = (x.device, x.untyped_storage().data_ptr(), x.storage_offset(), tuple(x.shape), x.stride(), x.dtype)
        if x.numel() and key in seen:
            tied[name] = seen[key]
        else:
            seen[key] = name
            kept[name] = x.detach().cpu().clone(memory_format=torch.contiguous_format)
    return kept, tied


def _plain(value: Any, depth: int = 4) -> Any:
    """Bookkeeping as python's own values, short: a hostile file nests without end."""
    if isinstance(value, Tensor):
        return value.item() if value.numel() == 1 else f"tensor {_shape(value)}"
    if isinstance(value, Mapping | list | tuple | set):
        if depth == 0 or len(value) > 1000:
            return f"{type(value).__name__} of {len(value)}"
        if isinstance(value, Mapping):
            return {str(name): _plain(entry, depth - 1) for name, entry in value.items()}
        return [_plain(entry, depth - 1) for entry in value]
    return value if isinstance(value, bool | int | float | str | bytes | None) else type(value).__name__


def _shape(x: Tensor) -> str:
    return f"({', '.join(str(n) for n in x.shape)})"
