"""Data sets of people in pictures, in memory but for the pictures: HumanData and SPIN's npz, told apart by their keys.

Boxes are as the file has them: published files hold them already enlarged. Rows that nothing can be learnt from are
left out and counted: those whose box is empty, and those of which neither a keypoint, nor a joint, nor a body is known.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.errors import DataError, FormatError
from poseworks.core.formats.human_data import HumanData, is_human_data, read_human_data
from poseworks.core.formats.reading import npz_keys
from poseworks.core.formats.spin_npz import SpinData, is_spin_npz, read_spin_npz
from poseworks.core.keypoint_conventions import convert_keypoints, joints_of
from poseworks.core.video import read_picture
from poseworks.mesh_recovery.crops import REFERENCE_PX, Image

Array = NDArray[Any]

_BETAS = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageData:
    """N people in pictures. Tensors, as workers share them without a copy.

    Attributes:
        name: of the data set, for messages and for augmentations that are for some sets alone.
        folder: that the paths are relative to.
        paths: (N,).
        squares: (N, 3) float64, centre x, y and side in pixels of what is cropped.
        keypoints: (N, J, 3) float32, x, y in pixels and confidence.
        joints: (N, J, 4) metres in camera axes, confidence.
        pose: (N, 24, 3) axis-angle; 0 where has_body is false.
        betas: (N, 10).
        has_body: (N,) bool.
        convention: of the J joints.
        rows: (N,) int64, row of the file.
        file_rows: how many rows the file has.
        body: whose pose and betas these are: ``smpl``, or ``free``.
        notes: sentences on what was left out.
    """

    name: str
    folder: Path
    paths: tuple[str, ...]
    squares: Tensor
    keypoints: Tensor
    joints: Tensor
    pose: Tensor
    betas: Tensor
    has_body: Tensor
    convention: str
    rows: Tensor
    file_rows: int
    body: str = "smpl"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Of the J joints."""
        return joints_of(self.convention)

    def unlabelled(self, share: float) -> ImageData:
        """The same people, of the last of whom, this share of all, the keypoints alone are known."""
        if not share:
            return self
        first = len(self) - round(share * len(self))
        hidden = {name: getattr(self, name).clone() for name in ("joints", "pose", "betas", "has_body")}
        for x in hidden.values():
            x[first:] = 0
        return replace(self, **hidden)

    def image(self, index: int) -> Image:
        """(H, W, 3) RGB, the picture of one person.

        Raises:
            DataError: it is not there or cannot be decoded, or the person's box lies outside of it.
        """
        try:
            picture = read_picture(self.folder / self.paths[index])
        except DataError as error:
            raise DataError(f"{self.name}, row {int(self.rows[index])}: {error}") from error
        height, width = picture.shape[:2]
        x, y, side = self.squares[index].tolist()
        if x + side / 2 <= 0 or y + side / 2 <= 0 or x - side / 2 >= width or y - side / 2 >= height:
            raise DataError(
                f"{self.name}, row {int(self.rows[index])}: the box around ({x:.0f}, {y:.0f}), side {side:.0f}, lies "
                f"outside of {self.paths[index]} ({width} x {height}). Are these the file's pictures?"
            )
        return picture

    def known(self, index: int) -> NDArray[np.float64]:
        """(K, 2) pixels of the keypoints of one person that have a confidence above 0."""
        keypoints = self.keypoints[index]
        seen: NDArray[np.float64] = keypoints[keypoints[:, 2] > 0, :2].double().numpy()
        return seen


def read_image_data(
    path: str | os.PathLike[str], folder: str | os.PathLike[str], convention: str, name: str | None = None
) -> ImageData:
    """The people of a HumanData file or of one in SPIN's layout.

    Args:
        path: of the file.
        folder: that its picture paths are relative to.
        convention: of `poseworks.core.keypoint_conventions`, that keypoints and joints are wanted in.
        name: of the data set; None: of the file, without its ending.

    Raises:
        FormatError: the file is in neither layout, or something in it is wrong; all faults are listed.
        DataError: it cannot be read, has no pictures or boxes, or nothing can be learnt from any row.
        SkeletonError: the convention is unknown.
    """
    source = Path(path)
    joints_of(convention)
    keys = npz_keys(source)
    if is_spin_npz(keys):
        fields = _of_spin(read_spin_npz(source), convention)
    elif is_human_data(keys):
        fields = _of_human_data(read_human_data(source), source, convention)
    else:
        raise FormatError(
            f"{source}: neither HumanData (image_path, bbox_xywh, keypoints2d, smpl, ...) nor SPIN's layout (imgname, "
            f"center, scale, ...); has {', '.join(keys[:12]) or 'nothing'}."
        )
    return _useful(name or source.stem, source, Path(folder), convention, fields)


def _of_human_data(data: HumanData, source: Path, convention: str) -> dict[str, Any]:
    if data.image_path is None or data.bbox_xywh is None:
        missing = [key for key in ("image_path", "bbox_xywh") if getattr(data, key) is None]
        raise DataError(f"{source}: {' and '.join(missing)} missing: no pictures to train on. (Motion alone?)")
    rows = data.num_rows
    boxes = np.asarray(data.bbox_xywh, np.float64)
    side = np.where((boxes[:, 2:4] > 0).all(axis=1), boxes[:, 2:4].max(axis=1), 0)
    fields: dict[str, Any] = {
        "paths": data.image_path,
        "squares": np.concatenate([boxes[:, :2] + boxes[:, 2:4] / 2, side[:, None]], axis=1),
        "keypoints": _converted(data, "keypoints2d", convention),
        "joints": _converted(data, "keypoints3d", convention),
        "body": data.body,
    }
    if {"global_orient", "body_pose", "betas"} <= data.smpl.keys():
        has = data.other.get("has_smpl")
        fields["has_body"] = np.ones(rows, bool) if has is None else np.asarray(has).reshape(-1) != 0
        fields["pose"] = np.concatenate([data.smpl["global_orient"][:, None], data.smpl["body_pose"]], axis=1)
        fields["betas"] = data.smpl["betas"]
    return fields


def _converted(data: HumanData, kind: str, convention: str) -> Array | None:
    return None if getattr(data, kind) is None else data.keypoints(kind, convention)[0]


def _of_spin(data: SpinData, convention: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "paths": data.image_path,
        "squares": np.concatenate([data.center, REFERENCE_PX * data.scale[:, None]], axis=1),
        "keypoints": _merged({"smpl_24": data.part, "openpose_25": data.openpose}, convention),
        "joints": _merged({"smpl_24": data.joints}, convention),
    }
    if data.pose is not None and data.betas is not None:
        fields |= {"pose": data.pose, "betas": data.betas, "has_body": data.has_smpl}
    return fields


def _merged(sources: Mapping[str, Array | None], convention: str) -> Array | None:
    """(N, J, C) joints of the convention, each from the first source that has it."""
    merged: Array | None = None
    taken = np.zeros(len(joints_of(convention)), bool)
    for source, keypoints in sources.items():
        if keypoints is None:
            continue
        converted, mask = convert_keypoints(keypoints, source, convention)
        if merged is None:
            merged = np.zeros_like(converted)
        new = (mask != 0) & ~taken
        merged[:, new] = converted[:, new]
        taken |= new
    return merged


def _useful(name: str, source: Path, folder: Path, convention: str, fields: Mapping[str, Any]) -> ImageData:
    """The rows that something can be learnt from."""
    rows, count = len(fields["paths"]), len(joints_of(convention))
    shapes = MappingProxyType({"keypoints": (count, 3), "joints": (count, 4), "pose": (24, 3), "betas": (_BETAS,)})
    arrays: dict[str, Array] = {}
    for key, shape in shapes.items():
        given = fields.get(key)
        arrays[key] = np.zeros((rows, *shape), np.float32)
        if given is not None:
            given = given[:, :_BETAS] if key == "betas" else given
            arrays[key][:, : given.shape[1]] = given
    has_body: NDArray[np.bool_] = fields.get("has_body", np.zeros(rows, bool))
    for key in ("pose", "betas"):
        arrays[key][~has_body] = 0
    for key in ("keypoints", "joints"):  # what is not known has no place
        arrays[key][arrays[key][..., -1] <= 0] = 0
    empty = ~(fields["squares"][:, 2] > 0)
    known = arrays["keypoints"][..., -1].any(axis=1) | arrays["joints"][..., -1].any(axis=1) | has_body
    kept = np.flatnonzero(~empty & known)
    reasons = {"an empty box": int(empty.sum()), "nothing known about the person": int((~known & ~empty).sum())}
    left_out = ", ".join(f"{reason} ({number})" for reason, number in reasons.items() if number)
    if not len(kept):
        raise DataError(
            f"{source}: no row can be learnt from: {left_out or 'it has none'}. Joints are wanted in the convention "
            f"{convention}."
        )
    return ImageData(
        name=name,
        folder=folder,
        paths=tuple(fields["paths"][row] for row in kept),
        squares=torch.from_numpy(np.asarray(fields["squares"][kept], np.float64)),
        has_body=torch.from_numpy(has_body[kept]),
        convention=convention,
        rows=torch.from_numpy(kept.astype(np.int64)),
        file_rows=rows,
        body=fields.get("body", "smpl"),
        notes=(f"{name}: {rows - len(kept)} of {rows} rows left out: {left_out}",) if left_out else (),
        **{key: torch.from_numpy(array[kept]) for key, array in arrays.items()},
    )
