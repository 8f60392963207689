"""What a file is: poses, a published data file, or a checkpoint with its method, variant, sizes and partition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poseworks.core.inspection import checkpoint_facts, file_facts, is_bare_pickle, network_facts
from poseworks.core.read_options import ReadOptions
from poseworks.lifting.graphs import PARTITIONS

_METHODS = {
    "lcn": "LCN",
    "ehgformer": "EHGFormer",
    "ehgformer_ordinary": "EHGFormer with ordinary group attention",
    "ehgformer_distiller": "extra layers of EHGFormer's distillation",
}


def inspect_file(file: Path, reading: ReadOptions, options: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about a file of poses, a published data file, a checkpoint or a saved folder, by name.

    Raises:
        PoseworksError: it is none of them, or is damaged.
    """
    from poseworks.lifting.tensorflow_files import tensorflow_facts, tensorflow_prefix

    prefix = tensorflow_prefix(file)
    if prefix is not None:
        return tensorflow_facts(file, prefix)
    if is_bare_pickle(file):
        from poseworks.lifting.learning.h36m_files.facts import data_facts

        return data_facts(file)
    return file_facts(file, reading, options, _inspect_checkpoint)


def _inspect_checkpoint(file: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    from poseworks.lifting.loading import load, looks_like, shipped_models

    return checkpoint_facts(
        file,
        load=lambda source: load(source, **options),
        looks_like=looks_like,
        network_facts=facts_of,
        shipped=shipped_models(),
    )


def facts_of(network: Any) -> dict[str, Any]:
    """Method, variant, sizes and partition of a network."""
    from poseworks.lifting.published import published_weights

    published = published_weights().items()
    facts = network_facts(network, _METHODS, {name: {"kind": entry.kind, **entry.sizes} for name, entry in published})
    groups = facts["config"].get("groups")
    if groups is not None:
        known = [str(number) for number, partition in PARTITIONS.items() if partition == groups]
        facts["partition"] = known[0] if known else "of its own"
    return facts
