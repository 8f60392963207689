"""The published evaluation protocol on the published data: input and output error, for comparison with the claim.

All frames of all sequences are pooled (a mean over frames, not over sequences). The acceleration error is given
unpadded (T - 2 values a sequence, as DeciWatch and the toolkit report it) and padded (two zeros a sequence, as
SmoothNet does). Frames behind the last window are dropped, with their truth, as in the papers. Two things differ from
them: a sequence shorter than a window is padded with zeros for the network, but its padding is not counted; and
rotations are compared as angles, as the body model that turns them into joints is not part of this package.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.metrics import accel_error, mpjpe, pa_mpjpe
from poseworks.core.rotations import geodesic_distance, six_d_to_matrix
from poseworks.core.windows import WindowNetwork, apply_windows
from poseworks.temporal.learning.published_data import PublishedData, PublishedSequence, read_published
from poseworks.temporal.learning.recipes import PublishedDeciWatch, PublishedSmoothNet, read_recipe
from poseworks.temporal.published import published_weights

PCK_THRESHOLDS = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Row:
    """One measure of the input and of the output: mm, mm per frame squared, px, degrees, or percent for pck."""

    measure: str
    before: float
    after: float
    frames: int


def evaluate_published(
    network: WindowNetwork, sequences: Sequence[PublishedSequence], data: PublishedData, stride: int | None = None
) -> list[Row]:
    """All measures that the representation has, over all sequences.

    Args:
        stride: frames between windows; None: the network's own.

    Raises:
        DataError: there are no sequences.
    """
    if not sequences:
        raise DataError(f"{data.set} {data.estimator}: no sequences to evaluate.")
    values: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
    frames = 0
    for sequence in sequences:
        smoothed = apply_windows(
            network, sequence.noisy, stride=network.stride if stride is None else stride, tail="drop", short="zero"
        )
        frames += len(smoothed)
        for side, output in enumerate((sequence.noisy[: len(smoothed)], smoothed)):
            for name, errors in _errors(output, sequence, data).items():
                values.setdefault(name, ([], []))[side].append(errors)
    means = {name: [float(torch.cat(errors).mean()) for errors in both] for name, both in values.items()}
    return [Row(name, before, after, frames) for name, (before, after) in means.items()]


def _errors(output: NDArray[np.float32], sequence: PublishedSequence, data: PublishedData) -> dict[str, Tensor]:
    """Errors of one sequence by measure, to be pooled."""
    truth = sequence.clean[: len(output)]
    if data.representation == "smpl":
        matrices = [
            six_d_to_matrix(
                torch.from_numpy(np.ascontiguousarray(x)).reshape(len(x), -1, 6).double(), layout=data.six_d_layout
            )
            for x in (output, truth)
        ]
        return {"rotation_error_deg": geodesic_distance(*matrices).rad2deg().mean(dim=1)}
    dims = 3 if data.representation == "3D" else 2
    predicted, target = (
        torch.from_numpy(x * sequence.scale + sequence.shift).reshape(len(x), -1, dims) for x in (output, truth)
    )
    if sequence.box is not None and dims == 2:
        return {f"pck_{a:g}": _pck(predicted, target, sequence, a) for a in PCK_THRESHOLDS}
    unit = 1000.0 if dims == 3 else 1.0
    errors = {"mpjpe": mpjpe(predicted, target, root=data.root or None)}
    if dims == 3:
        errors["pa_mpjpe"] = pa_mpjpe(predicted, target)
    acceleration = accel_error(*_rooted(predicted, target, data)) if len(predicted) >= 3 else predicted.new_empty(0)
    ends = acceleration.new_zeros(min(2, len(predicted)))
    errors |= {"accel": acceleration, "accel_padded": torch.cat([acceleration, ends])}
    return {name: unit * error for name, error in errors.items()}


def _rooted(predicted: Tensor, target: Tensor, data: PublishedData) -> tuple[Tensor, Tensor]:
    if not data.root:
        return predicted, target
    root = list(data.root)
    return tuple(x - x[:, root].mean(dim=1, keepdim=True) for x in (predicted, target))  # type: ignore[return-value]


def _pck(predicted: Tensor, target: Tensor, sequence: PublishedSequence, threshold: float) -> Tensor:
    """Percent of hits of one sequence, (1,): the papers average over frames, joints, then sequences."""
    distance = torch.linalg.vector_norm(predicted - target, dim=-1)
    box = torch.from_numpy(np.asarray(sequence.box, dtype=np.float32))[: len(distance), None]
    hits: Tensor = distance <= threshold * box
    return 100 * hits.float().mean().reshape(1)


@dataclass(frozen=True)
class Comparison:
    """The rows of an evaluation, and what was claimed for the same data: (measure, before, after, definition)."""

    recipe: str
    rows: list[Row]
    claims: list[tuple[str, float, float, str]]


def evaluate_recipe(
    source: str | os.PathLike[str], network: WindowNetwork, folders: str | os.PathLike[str] | None = None
) -> Comparison:
    """The network on the test part of a published recipe's data, and the claim.

    Args:
        source: a published recipe, such as ``smoothnet-3DPW-SPIN-3D``.
        folders: of the data sets; None: POSEWORKS_DATA.

    Raises:
        ConfigError: not a published recipe. DataError: the data are not present.
    """
    recipe = read_recipe(source)
    if not isinstance(recipe, PublishedSmoothNet | PublishedDeciWatch):
        raise ConfigError(f"{recipe.name}: is evaluated on open data: `nox -s benchmark -- temporal`.")
    sequences = read_published(recipe.data, "test", folders)
    stride = recipe.evaluation_stride if isinstance(recipe, PublishedDeciWatch) else None
    rows = evaluate_published(network, sequences, recipe.data, stride)
    claims = [
        (f"{claim.measure} ({claim.data})", claim.before, claim.after, claim.definition)
        for claim in published_weights()[recipe.claims_of].claims
        if claim.data.startswith(recipe.claim_data)
    ]
    return Comparison(recipe.name, rows, claims)
