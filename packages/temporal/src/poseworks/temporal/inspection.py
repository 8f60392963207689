"""What a file is: poses, or a checkpoint with its method, variant, sizes, and what is missing or left over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poseworks.core import detect_format
from poseworks.core.errors import ConfigError, FormatError, PoseworksError
from poseworks.core.inspection import checkpoint_facts, poses_facts
from poseworks.core.read_options import ReadOptions

_METHODS = {"smoothnet": "SmoothNet", "deciwatch": "DeciWatch"}
_NO_POSES = (".pth", ".pt", ".tar", ".bin", ".ckpt", ".safetensors")


def inspect_file(file: Path, reading: ReadOptions, options: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about a file of poses, a checkpoint or a saved folder, by name.

    Raises:
        PoseworksError: it is none of them, or is damaged.
    """
    if (file / "config.json").is_file() or not file.exists() or file.suffix.lower() in _NO_POSES:
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


def inspect_checkpoint(file: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Method, variant and sizes of a checkpoint; `problem` says what keeps it from being loaded.

    Raises:
        CheckpointError: there is no such file, or no tensors in it.
    """
    from poseworks.temporal.loading import load, looks_like
    from poseworks.temporal.models import shipped_models

    return checkpoint_facts(
        file,
        load=lambda source: load(source, **options),
        looks_like=looks_like,
        network_facts=_network_facts,
        shipped=shipped_models(),
    )


def _network_facts(network: Any) -> dict[str, Any]:
    """Method, variant, sizes and what the weights expect."""
    config = network.config.model_dump(mode="json")
    preparation = network.preparation
    return {
        "method": _METHODS[config["kind"]],
        "variant": _variant(config),
        "config": config,
        "window_frames": network.window,
        "parameters": sum(p.numel() for p in network.parameters()),
        "expects": None if preparation is None else preparation.model_dump(mode="json"),
        "model_sha256": network.sha256,
    }


def _variant(config: Mapping[str, Any]) -> str:
    """Names of the published variants that have these sizes."""
    from poseworks.temporal.published import published_weights

    same = [
        name
        for name, entry in published_weights().items()
        if entry.method == config["kind"]
        and all(config.get(field) == size for field, size in entry.sizes.items() if field != "dropout")
    ]
    return " or ".join(same) or "sizes of no published variant"
