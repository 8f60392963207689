"""What a checkpoint is: method, variant, sizes, partition, and what is missing or left over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poseworks.core.inspection import checkpoint_facts
from poseworks.lifting.graphs import PARTITIONS
from poseworks.lifting.published import published_weights

_METHODS = {
    "lcn": "LCN",
    "ehgformer": "EHGFormer",
    "ehgformer_ordinary": "EHGFormer with ordinary group attention",
    "ehgformer_distiller": "extra layers of EHGFormer's distillation",
}


def inspect_checkpoint(file: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Method, variant and sizes of a checkpoint; `problem` says what keeps it from being loaded.

    Raises:
        CheckpointError: there is no such file, or no tensors in it.
    """
    from poseworks.lifting.loading import load, looks_like, shipped_models

    return checkpoint_facts(
        file,
        load=lambda source: load(source, **options),
        looks_like=looks_like,
        network_facts=_network_facts,
        shipped=shipped_models(),
    )


def _network_facts(network: Any) -> dict[str, Any]:
    config = network.config.model_dump(mode="python")
    facts = {
        "method": _METHODS[config["kind"]],
        "variant": _variant(config),
        "config": config,
        "parameters": sum(p.numel() for p in network.parameters()),
        "model_sha256": network.sha256,
    }
    if "groups" in config:
        known = [str(number) for number, groups in PARTITIONS.items() if groups == config["groups"]]
        facts["partition"] = known[0] if known else "of its own"
    return facts


def _variant(config: Mapping[str, Any]) -> str:
    """Names of the published variants that have these sizes."""
    kinds = {"LCN": "lcn", "EHGFormer": "ehgformer"}
    same = [
        name
        for name, entry in published_weights().items()
        if kinds[entry.method] == config["kind"]
        and all(config.get(field) == size for field, size in entry.sizes.items())
    ]
    return " or ".join(same) or "sizes of no published variant"
