"""What networks from pictures to a body are trained on: a batch of crops with what is known about the people in them.

In every batch a picture was first mirrored (where `flipped`), then turned by `rotation_deg` anticlockwise on screen,
whichever way it was cropped; keypoints, joints and poses follow it. A pose therefore goes to and fro exactly:
    shown = turned(mirrored(pose)),   pose = mirrored(turned back(shown))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from poseworks.core.errors import ShapeError
from poseworks.core.shapes import expect_shape
from poseworks.mesh_recovery.crops import mirror_pose, turn_pose

_SHAPES = {
    "images": "B C=3 R R", "keypoints": "B J C=3", "joints": "B J C=4", "pose": "B P=24 C=3", "betas": "B K=10",
    "has_body": "B", "data_set": "B", "item": "B", "flipped": "B", "rotation_deg": "B", "crop": "B R=2 C=3",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Batch:
    """B people, each in a crop of a picture.

    Attributes:
        images: (B, 3, R, R) normalised, as the backbones read them.
        keypoints: (B, J, 3) x, y of the crop, -1 to 1, and confidence. Of pixel p they are 2 p / (R - 1) - 1 for
            affine crops, 2 p / R - 1 for SPIN's, as the methods have it. Confidence 0: unknown, x and y are 0.
        joints: (B, J, 4) metres in camera axes, relative to whatever the data set's are, and confidence likewise.
        pose: (B, 24, 3) axis-angles of the body, the first in camera axes; 0 without a body.
        betas: (B, 10).
        has_body: (B,) bool: pose and betas are known.
        data_set: (B,) int64: which of the sets that are mixed.
        item: (B,) int64: which row of it.
        flipped: (B,) bool.
        rotation_deg: (B,) float32.
        crop: (B, 2, 3) pixels of the picture -> pixels of the crop, mirrored and turned.
        parts: (B, H, W) int64, 0 the background, 1 to 24 the joint that a pixel's body part hangs on, and -1 where a
            person's are not known; None: not asked for.
        joint_names: of the J, in the vocabulary of `poseworks.core.keypoint_conventions`.

    Raises:
        ShapeError: a shape is another, or batch sizes differ.
    """

    images: Tensor
    keypoints: Tensor
    joints: Tensor
    pose: Tensor
    betas: Tensor
    has_body: Tensor
    data_set: Tensor
    item: Tensor
    flipped: Tensor
    rotation_deg: Tensor
    crop: Tensor
    parts: Tensor | None
    joint_names: tuple[str, ...]

    def __post_init__(self) -> None:
        size, joints = len(self.images), len(self.joint_names)
        for name, pattern in _SHAPES.items():
            wanted = pattern.replace("B", f"B={size}", 1).replace(" J ", f" J={joints} ")
            expect_shape(f"batch.{name}", getattr(self, name), wanted)
        if self.parts is not None:
            expect_shape("batch.parts", self.parts, f"B={size} H W")

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        moved: dict[str, Any] = {name: x.to(device, non_blocking=True) for name, x in self.tensors().items()}
        return replace(self, **moved)

    def with_parts(self, parts: Tensor) -> Batch:
        """The same with part labels; raises as building one does."""
        return replace(self, parts=parts)

    def tensors(self) -> dict[str, Tensor]:
        """Everything but the names."""
        entries = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: x for name, x in entries.items() if isinstance(x, Tensor)}


def joined(batches: Sequence[Batch]) -> Batch:
    """One batch of several, in their order.

    Raises:
        ShapeError: none is given, their joints differ, or only some have parts.
    """
    if not batches:
        raise ShapeError("batches: expected one or more.")
    first = batches[0]
    if any(each.joint_names != first.joint_names for each in batches):
        raise ShapeError("batches: of different joints. Make them with one convention.")
    if len({each.parts is None for each in batches}) > 1:
        raise ShapeError("batches: some have part labels, some have none. Ask for them in all, or in none.")
    tensors = [each.tensors() for each in batches]
    together: dict[str, Any] = {name: torch.cat([each[name] for each in tensors]) for name in tensors[0]}
    return replace(first, **together)


def augmented_pose(pose: Tensor, flipped: Tensor, rotation_deg: Tensor) -> Tensor:
    """(B, 24, 3): axis-angles of people whose pictures are mirrored, then turned.

    Args:
        pose: (B, 24, 3), the first in camera axes.
        flipped: (B,) bool.
        rotation_deg: (B,) anticlockwise on screen.

    Raises:
        ShapeError: other shapes.
    """
    return _turned(_mirrored(pose, flipped), flipped, rotation_deg)


def original_pose(pose: Tensor, flipped: Tensor, rotation_deg: Tensor) -> Tensor:
    """(B, 24, 3): the way back of `augmented_pose`.

    Raises:
        ShapeError: other shapes.
    """
    return _mirrored(_turned(pose, flipped, -rotation_deg), flipped)


def _mirrored(pose: Tensor, flipped: Tensor) -> Tensor:
    size = expect_shape("pose", pose, "B P=24 C=3")["B"]
    expect_shape("flipped", flipped, f"B={size}")
    return torch.where(flipped[:, None, None], mirror_pose(pose.flatten(1)).reshape_as(pose), pose)


def _turned(pose: Tensor, flipped: Tensor, rotation_deg: Tensor) -> Tensor:
    """The first rotation turned about the line of sight; where the angle is 0 its numbers stay as they are."""
    expect_shape("pose", pose, f"B={len(flipped)} P=24 C=3")
    expect_shape("rotation_deg", rotation_deg, f"B={len(flipped)}")
    turned = turn_pose(pose.flatten(1), rotation_deg).reshape_as(pose)
    return torch.where(rotation_deg[:, None, None] == 0, pose, turned)
