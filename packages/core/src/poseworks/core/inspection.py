"""What poses, checkpoints and networks are, as facts for `inspect` and for the commands that write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.poses import PoseSequence

if TYPE_CHECKING:
    from torch import Tensor

    from poseworks.core.read_options import ReadOptions

_WEIGHTS = (".pth", ".pt", ".tar", ".bin", ".ckpt", ".safetensors")  # suffixes that poses never have


def file_facts(
    file: Path,
    reading: ReadOptions,
    options: Mapping[str, Any],
    inspect_checkpoint: Callable[[Path, Mapping[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    """Facts about a file of poses, a checkpoint or a saved folder, by name; `what` says which it is.

    Args:
        reading: what the file of poses does not say itself.
        options: of the package's `load`: what the tensors do not tell.
        inspect_checkpoint: of the package.

    Raises:
        PoseworksError: it is none of them, or is damaged.
    """
    from poseworks.core.formats import detect_format

    if (file / "config.json").is_file() or not file.exists() or file.suffix.lower() in _WEIGHTS:
        return inspect_checkpoint(file, options)
    try:
        found = reading.format or detect_format(file)
    except FormatError as not_poses:
        if file.is_dir():
            raise
        try:
            return inspect_checkpoint(file, options)
        except PoseworksError as not_weights:
            raise FormatError(f"{not_poses} As a checkpoint: {not_weights}") from not_weights
    if options:
        raise ConfigError(f"{file}: poses, to which {', '.join(options)} mean nothing. Leave {', '.join(options)} out.")
    return {"file": file, "what": "poses", "format": found, **poses_facts(reading.read(file))}


def is_bare_pickle(file: Path) -> bool:
    """Whether it is a pickle, of any protocol that data sets come in, but not one that torch wrote."""
    from poseworks.core.unpickling_torch import LEGACY_MAGIC

    try:
        with file.open("rb") as stream:
            head = stream.read(len(LEGACY_MAGIC))
    except OSError:  # a name, or a folder; whoever reads it says so
        return False
    return head.startswith((b"\x80", b"(l")) and head != LEGACY_MAGIC


def poses_facts(poses: PoseSequence) -> dict[str, Any]:
    """Sizes, units and how much was observed."""
    seen = poses.observed
    return {
        "people": poses.num_people,
        "person_ids": poses.person_ids,
        "frames": poses.num_frames,
        "joints": poses.num_joints,
        "dimensions": poses.num_dims,
        "skeleton": poses.skeleton,
        "joint_names": poses.joint_names,
        "fps": poses.fps,
        "seconds": poses.num_frames / poses.fps,
        "unit": poses.unit,
        "frame": poses.frame,
        "image_size": poses.image_size,
        "observed": float(seen.mean()) if seen.size else None,
        "history": poses.history,
    }


def checkpoint_facts(
    file: Path,
    *,
    load: Callable[[Path | str], Any],
    looks_like: Callable[[Mapping[str, Tensor]], str | None],
    network_facts: Callable[[Any], Mapping[str, Any]],
    shipped: Sequence[str],
    parts: Sequence[str] = (),
) -> dict[str, Any]:
    """Layout, method, variant and sizes of a checkpoint; `problem` says what keeps it from being loaded.

    Args:
        load, looks_like: of the package.
        network_facts: method, variant and sizes of a loaded network.
        shipped: names of the package's own models.
        parts: entries of networks side by side, as in `read_checkpoint`.

    Raises:
        CheckpointError: there is no such file, or no tensors in it.
    """
    from poseworks.core.checkpoints import read_checkpoint

    facts: dict[str, Any] = {"file": file, "what": "checkpoint"}
    if str(file) in shipped or file.is_dir():
        return {**facts, **network_facts(load(str(file)))}
    if not file.exists():
        known = f" ({', '.join(shipped)})" if shipped else ""
        raise DataError(f"{file}: no such file, and no shipped model of this name{known}.")
    checkpoint = read_checkpoint(file, parts=parts)
    facts |= {
        "kind": checkpoint.kind,
        "sha256": checkpoint.sha256,
        "nested_in": checkpoint.nest or None,
        "prefix": checkpoint.prefix or None,
        "left_out": checkpoint.dropped,
        "tensors": len(checkpoint.tensors),
        "numbers": sum(tensor.numel() for tensor in checkpoint.tensors.values()),
        "looks_like": looks_like(checkpoint.tensors) or "nothing known",
    }
    try:
        return {**facts, **network_facts(load(file)), "missing_or_left_over": "nothing"}
    except PoseworksError as error:
        some = {name: list(tensor.shape) for name, tensor in list(checkpoint.tensors.items())[:8]}
        return {**facts, "problem": str(error), "first_tensors": some}


def network_facts(
    network: Any, methods: Mapping[str, str], published: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Method, variant, sizes and what the weights of a network expect (see `poseworks.core.networks`).

    Args:
        methods: what each kind of config is called.
        published: fields of the config, `kind` among them, of every published variant.
    """
    config = network.config.model_dump(mode="python")
    preparation = getattr(network, "preparation", None)
    window = getattr(network, "window", None)
    same = [
        name
        for name, sizes in published.items()
        if all(config.get(field) == size for field, size in sizes.items() if field != "dropout")
    ]
    return {
        "method": methods[config["kind"]],
        "variant": " or ".join(same) or "sizes of no published variant",
        "config": config,
        **({} if window is None else {"window_frames": window}),
        "parameters": sum(p.numel() for p in network.parameters()),
        "expects": None if preparation is None else preparation.model_dump(mode="json"),
        "model_sha256": network.sha256,
    }
