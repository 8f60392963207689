"""Joint sets as data: what the channels of a volume are, and which of them change places in a mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, model_validator

from poseworks.core.errors import SkeletonError
from poseworks.core.skeletons import COCO_17, Skeleton

if TYPE_CHECKING:
    from typing import Self

Stream = Literal["joint", "limb"]


def _other_side(name: str) -> str:
    for here, there in (("left_", "right_"), ("right_", "left_")):
        if name.startswith(here):
            return there + name.removeprefix(here)
    return name


class JointLayout(BaseModel, frozen=True, extra="forbid"):
    """V joints and the limbs between them: channels of a joint volume and of a limb volume, in this order.

    Which are left and which right follows from the names (``left_*``, ``right_*``).

    Attributes:
        skeleton: name of a known skeleton with these joints, or ``custom``.
        joint_names: V names in the vocabulary of `poseworks.core.skeletons`.
        limbs: pairs of joints by their place in `joint_names`.
    """

    skeleton: str
    joint_names: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        joints = len(self.joint_names)
        if joints == 0 or len(set(self.joint_names)) != joints:
            raise ValueError("joint_names: expected one or more names, each once")
        if not all(0 <= end < joints for limb in self.limbs for end in limb):
            raise ValueError(f"limbs: expected pairs of joints from 0 to {joints - 1}")
        kinds = {frozenset(limb) for limb in self.limbs}
        if len(kinds) != len(self.limbs) or any(len(kind) != 2 for kind in kinds):
            raise ValueError("limbs: expected two different joints in each, and no limb twice")
        flip = self.joint_flip
        if any(frozenset((flip[a], flip[b])) not in kinds for a, b in self.limbs):
            raise ValueError("limbs: one has no mirror image among the others; list both sides")
        return self

    @property
    def num_joints(self) -> int:
        """V."""
        return len(self.joint_names)

    def channels(self, stream: Stream) -> int:
        """Of a volume."""
        return self.num_joints if stream == "joint" else len(self.limbs)

    @property
    def joint_flip(self) -> NDArray[np.intp]:
        """(V,) for each joint the one that stands in its place in a mirror: itself, or that of the other side."""
        place = {name: number for number, name in enumerate(self.joint_names)}
        return np.array([place.get(_other_side(name), number) for name, number in place.items()], dtype=np.intp)

    @property
    def limb_flip(self) -> NDArray[np.intp]:
        """(limbs,) for each limb the one that stands in its place in a mirror."""
        flip = self.joint_flip
        place = {frozenset(limb): number for number, limb in enumerate(self.limbs)}
        return np.array([place[frozenset((int(flip[a]), int(flip[b])))] for a, b in self.limbs], dtype=np.intp)

    def flip(self, stream: Stream) -> NDArray[np.intp]:
        """The channels of a mirrored volume."""
        return self.joint_flip if stream == "joint" else self.limb_flip


def layout_of(skeleton: Skeleton) -> JointLayout:
    """The layout of a skeleton, its bones as limbs.

    Raises:
        SkeletonError: its bones are not the same on both sides.
    """
    place = {name: number for number, name in enumerate(skeleton.joint_names)}
    limbs = tuple((place[parent], place[child]) for parent, child in skeleton.bones)
    try:
        return JointLayout(skeleton=skeleton.name, joint_names=skeleton.joint_names, limbs=limbs)
    except ValueError as error:
        raise SkeletonError(f"{skeleton.name}: no joint layout can be made of it: {error}") from error


COCO_LAYOUT = JointLayout(
    skeleton=COCO_17.name,
    joint_names=COCO_17.joint_names,
    limbs=(
        (0, 5), (0, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (11, 13), (13, 15), (6, 12), (12, 14), (14, 16),
        (0, 1), (0, 2), (1, 3), (2, 4), (11, 12),
    ),
)  # fmt: skip
"""COCO's 17 joints and the limbs of all published configurations, in the order that published weights need."""
