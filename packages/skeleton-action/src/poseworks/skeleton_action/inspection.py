"""What a file is: poses, annotations, results of a test, or a checkpoint with its variant, sizes and stream."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poseworks.core.inspection import checkpoint_facts, file_facts, is_bare_pickle, network_facts
from poseworks.core.read_options import ReadOptions

_METHODS = {"slowonly": "PoseC3D, SlowOnly", "x3d_shallow": "PoseC3D, X3D-shallow", "c3d_light": "PoseC3D, C3D-light"}


def inspect_file(file: Path, reading: ReadOptions, options: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about a file of poses, annotations or results, a checkpoint or a saved folder, by name.

    Raises:
        PoseworksError: it is none of them, or is damaged.
    """
    if is_bare_pickle(file):
        from poseworks.skeleton_action.data_files import data_facts

        return data_facts(file)
    return file_facts(file, reading, options, _inspect_checkpoint)


def _inspect_checkpoint(file: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    from poseworks.skeleton_action.loading import load, looks_like, shipped_models

    return checkpoint_facts(
        file,
        load=lambda source: load(source, **options),
        looks_like=looks_like,
        network_facts=facts_of,
        shipped=shipped_models(),
    )


def facts_of(network: Any) -> dict[str, Any]:
    """Method, variant, sizes and what the weights of a network expect."""
    from poseworks.skeleton_action.published import published_weights

    published = published_weights().items()
    return network_facts(network, _METHODS, {name: {"kind": "slowonly", **entry.sizes} for name, entry in published})
