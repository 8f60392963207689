"""What a file is: poses, or a checkpoint with its method, variant, sizes, and what is missing or left over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poseworks.core.inspection import checkpoint_facts, file_facts, network_facts
from poseworks.core.read_options import ReadOptions

_METHODS = {"smoothnet": "SmoothNet", "deciwatch": "DeciWatch"}


def inspect_file(file: Path, reading: ReadOptions, options: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about a file of poses, a checkpoint or a saved folder, by name.

    Raises:
        PoseworksError: it is none of them, or is damaged.
    """
    return file_facts(file, reading, options, _inspect_checkpoint)


def _inspect_checkpoint(file: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    from poseworks.temporal.loading import load, looks_like, shipped_models
    from poseworks.temporal.published import published_weights

    known = {name: {"kind": entry.method, **entry.sizes} for name, entry in published_weights().items()}
    return checkpoint_facts(
        file,
        load=lambda source: load(source, **options),
        looks_like=looks_like,
        network_facts=lambda network: network_facts(network, _METHODS, known),
        shipped=shipped_models(),
    )
