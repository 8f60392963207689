"""What poses and checkpoints are, as facts for `inspect` and for the commands that write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseworks.core.errors import DataError, PoseworksError
from poseworks.core.poses import PoseSequence

if TYPE_CHECKING:
    from torch import Tensor


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
) -> dict[str, Any]:
    """Layout, method, variant and sizes of a checkpoint; `problem` says what keeps it from being loaded.

    Args:
        load, looks_like: of the package.
        network_facts: method, variant and sizes of a loaded network.
        shipped: names of the package's own models.

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
    checkpoint = read_checkpoint(file)
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
