"""What a file is: poses, a data set, a body, or a checkpoint with its method, variant and sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poseworks.core.errors import ConfigError
from poseworks.core.inspection import checkpoint_facts, file_facts, network_facts
from poseworks.core.read_options import ReadOptions
from poseworks.mesh_recovery.data_inspection import data_facts
from poseworks.mesh_recovery.published import Published, published_weights

_METHODS = {
    "hmr": "HMR",
    "spin": "SPIN",
    "pare": "PARE",
    "graphcmr": "GraphCMR",
    "graphormer": "Graphormer",
    "smpl_discriminator": "adversary of HMR",
}


def inspect_file(file: Path, reading: ReadOptions, options: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about a file of poses, a data set, body motion, a body, a checkpoint or a saved folder, by name.

    Raises:
        PoseworksError: it is none of them, or is damaged.
    """
    facts = None if reading.format else data_facts(file)
    if facts is not None:
        if options:
            raise ConfigError(f"{file}: no checkpoint, to which {', '.join(options)} mean nothing. Leave them out.")
        return facts
    return file_facts(file, reading, options, _inspect_checkpoint)


def _inspect_checkpoint(file: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    from poseworks.mesh_recovery.loading import PARTS, load, looks_like, shipped_models

    return checkpoint_facts(
        file,
        load=lambda source: load(source, **options),
        looks_like=looks_like,
        network_facts=facts_of,
        shipped=shipped_models(),
        parts=PARTS,
    )


def facts_of(network: Any) -> dict[str, Any]:
    """Method, sizes and backbone of a network, and the published variants of its sizes, which no file tells apart."""
    facts = network_facts(network, _METHODS, {})
    facts["backbone"] = _backbone(facts["config"].get("backbone"))
    facts["variant"] = " or ".join(entry.name for entry in same_sizes(network)) or "sizes of no published variant"
    return facts


def same_sizes(network: Any) -> list[Published]:
    """The published variants of a network's method and backbone, which no file tells apart."""
    facts = network_facts(network, _METHODS, {})
    backbone = _backbone(facts["config"].get("backbone"))
    return [e for e in published_weights().values() if (e.method, e.backbone) == (facts["method"], backbone)]


def _backbone(config: Mapping[str, Any] | None) -> str | None:
    """What a backbone of these sizes is called."""
    if config is None:
        return None
    if config["kind"] == "hrnet":
        return f"hrnet-w{config['width']}"
    depth = {(3, 4, 6, 3): 50, (3, 4, 23, 3): 101, (3, 8, 36, 3): 152}.get(tuple(config["blocks"]))
    return f"resnet{depth}" if depth and config["width"] == 64 else "resnet of other sizes"
