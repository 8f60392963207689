"""The data sets that SmoothNet and DeciWatch were published on, as the networks read them. They must be brought along.

They lie in a folder of POSEWORKS_DATA, or one folder deeper, in one of the two layouts in which they are published:

    SmoothNet   {set}_{estimator}_{3D|2D|smpl}/detected/{set}_{estimator}_{3D|2D|smpl}_{train|test}.npz
                {set}_{estimator}_{3D|2D|smpl}/groundtruth/{set}_gt_{3D|2D|smpl}_{train|test}.npz
    DeciWatch   detected_poses/{set}/{estimator}/{set}_{estimator}_{train|test}.npz
                groundtruth_poses/{set}/{set}_gt_{train|test}.npz

Both files hold the same sequences in the same order, frame by frame alike; what they hold otherwise is told in
`poseworks.core.formats.smoothnet_npz`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from poseworks.core.data_folders import data_roots, where_looked
from poseworks.core.errors import DataError
from poseworks.core.formats.smoothnet_npz import SmoothNetSequence, read_smoothnet_npz

Array = NDArray[np.float32]
Phase = Literal["train", "test"]
Representation = Literal["3D", "2D", "smpl"]

_LARGEST_BYTES = 64 * 2**30  # AIST++ unpacks to several GB
_J14_FROM_H36M = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)  # of the order with the left side first
_COLUMNS = {"3D": 3, "2D": 2}


class PublishedData(BaseModel, frozen=True, extra="forbid"):
    """A published set, and how the network reads it."""

    set: str = Field(description="as in the file names: pw3d, h36m, aist, jhmdb")
    estimator: str = Field(description="as in the file names: spin, fcn, vibe, ...")
    representation: Representation = "3D"
    keep_joints: tuple[int, ...] = Field((), description="joints that the network sees, in its order; empty: all")
    root: tuple[int, ...] = Field((), description="joints, after keep_joints, whose mean is the root in the metrics")
    centre: bool = Field(False, description="subtract the root before the network")
    pixel_scale: float | None = Field(None, gt=0, description="2D: divide by this; None: by width and height")
    pixel_shift: float = Field(0.0, description="2D: subtract this after the division")
    six_d_layout: Literal["columns", "rows"] = Field("columns", description="smpl: the papers' or the toolkit's")

    @model_validator(mode="after")
    def _root_is_known(self) -> PublishedData:
        if self.centre and not self.root:
            raise ValueError("centre needs root joints.")
        return self


@dataclass(frozen=True, eq=False)
class PublishedSequence:
    """One sequence: what the network reads and should give, both (T, C) float32, and the way to pixels.

    Attributes:
        scale, shift: a value v of channel c is v * scale[c] + shift[c] in metres or pixels; ones and zeros for
            rotations.
        box: (T,) max(width, height) of the person's box in pixels, for PCK.
    """

    name: str
    noisy: Array
    clean: Array
    scale: Array
    shift: Array
    box: Array | None = None


def read_published(
    data: PublishedData, phase: Phase, folders: str | os.PathLike[str] | None = None
) -> list[PublishedSequence]:
    """All sequences of a published set, as the network reads them.

    Args:
        folders: one or more folders as in POSEWORKS_DATA (separated as in PATH); None: that variable.

    Raises:
        DataError: the files are not there, or the two do not match; lists what was looked for.
        FormatError: a file is not of this layout.
    """
    detected, truth = find_published(data, phase, folders)
    keys = ("pose",) if data.representation == "smpl" else (f"joints_{data.representation.lower()}", "imgshape", "bbox")
    estimates, truths = (read_smoothnet_npz(path, keys, _LARGEST_BYTES).sequences for path in (detected, truth))
    if len(estimates) != len(truths):
        raise DataError(f"{detected}: {len(estimates)} sequences, but {truth} has {len(truths)}. Both must match.")
    pairs = list(zip(estimates, truths, strict=True))
    faults = [f"{a.name}: {a.num_frames} and {b.num_frames} frames" for a, b in pairs if a.num_frames != b.num_frames]
    if faults:
        raise DataError(f"{detected} and {truth}: lengths differ in {'; '.join(faults[:5])}.")
    return [_sequence(data, estimate, truth_) for estimate, truth_ in pairs if estimate.num_frames]


def find_published(
    data: PublishedData, phase: Phase, folders: str | os.PathLike[str] | None = None
) -> tuple[Path, Path]:
    """(detected, ground truth) files.

    Raises:
        DataError: there are none; says what was looked for.
    """
    roots = data_roots(folders)
    for root in roots:
        for base in (root, *sorted(path for path in root.glob("*") if path.is_dir())):
            for detected, truth in _layouts(data, phase):
                if (base / detected).is_file() and (base / truth).is_file():
                    return base / detected, base / truth
    looked = " or ".join(detected for detected, _ in _layouts(data, phase))
    raise DataError(
        f"data not present: {data.set} {data.estimator} {data.representation} ({phase}). Looked for {looked}, each "
        f"with its ground truth, in {where_looked(roots)}. These sets are fetched from their authors."
    )


def _layouts(data: PublishedData, phase: Phase) -> Iterator[tuple[str, str]]:
    name, kind = f"{data.set}_{data.estimator}", data.representation
    home = f"{name}_{kind}"
    yield f"{home}/detected/{name}_{kind}_{phase}.npz", f"{home}/groundtruth/{data.set}_gt_{kind}_{phase}.npz"
    yield (
        f"detected_poses/{data.set}/{data.estimator}/{name}_{phase}.npz",
        f"groundtruth_poses/{data.set}/{data.set}_gt_{phase}.npz",
    )


def _sequence(data: PublishedData, estimate: SmoothNetSequence, truth: SmoothNetSequence) -> PublishedSequence:
    if data.representation == "smpl":
        noisy, clean = (_six_d(sequence.tables["pose"], data.six_d_layout) for sequence in (estimate, truth))
        ones = np.ones(noisy.shape[1], dtype=np.float32)
        return PublishedSequence(estimate.name, noisy, clean, ones, 0 * ones)
    dims = _COLUMNS[data.representation]
    joints = [_joints(data, sequence, dims) for sequence in (estimate, truth)]
    scale, shift = np.ones(dims), np.zeros(dims)
    if dims == 2:
        size = data.pixel_scale if data.pixel_scale is not None else _image_size(truth)
        scale, shift = (
            np.broadcast_to(np.asarray(size, dtype=float), 2),
            data.pixel_shift * np.asarray(size) * np.ones(2),
        )
    if data.centre:
        joints = [x - x[:, list(data.root)].mean(axis=1, keepdims=True) for x in joints]
    noisy, clean = (((x - shift) / scale).reshape(len(x), -1).astype(np.float32) for x in joints)
    number = noisy.shape[1] // dims
    box = truth.tables.get("bbox")
    return PublishedSequence(
        estimate.name,
        noisy,
        clean,
        np.tile(scale, number).astype(np.float32),
        np.tile(shift, number).astype(np.float32),
        None if box is None else np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]).astype(np.float32),
    )


def _joints(data: PublishedData, sequence: SmoothNetSequence, dims: int) -> NDArray[np.float64]:
    """(T, K, dims); sets stored with 17 joints are reduced where the network knows J14."""
    joints = sequence.joints(dims)
    if not data.keep_joints:
        return joints
    if joints.shape[1] == len(data.keep_joints):  # stored as J14 already
        return joints
    if joints.shape[1] <= max(data.keep_joints):
        raise DataError(f"sequence {sequence.name}: has {joints.shape[1]} joints; keep_joints asks for more.")
    return joints[:, list(data.keep_joints)]


def _image_size(truth: SmoothNetSequence) -> tuple[int, int]:
    if truth.imgshape is None or len(truth.imgshape) < 2:
        raise DataError(f"sequence {truth.name}: the ground truth has no imgshape, which scales its pixels.")
    return truth.imgshape[1], truth.imgshape[0]


def _six_d(pose: NDArray[np.float64], layout: Literal["columns", "rows"]) -> Array:
    """(T, 72) axis-angle -> (T, 144)."""
    import torch

    from poseworks.core.rotations import axis_angle_to_matrix, matrix_to_six_d

    vectors: Any = torch.from_numpy(np.ascontiguousarray(pose)).reshape(len(pose), -1, 3)
    six: Array = matrix_to_six_d(axis_angle_to_matrix(vectors), layout=layout).reshape(len(pose), -1).float().numpy()
    return six
