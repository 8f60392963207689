"""What weights expect of their input, and bringing a person's positions there and back.

Networks know one representation, scale and origin: millimetres or pixels give nonsense (SmoothNet is neither shift nor
scale invariant). `Preparation` states what a set of weights was made for and is saved beside them. Pixels become
something like metres through the size of the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt, PositiveFloat

from poseworks.core import PoseSequence, skeleton_from_names
from poseworks.core.body_size import STANDARD_HEIGHT_M, person_size
from poseworks.core.errors import DataError, SkeletonError

Array = NDArray[np.float64]


class Preparation(BaseModel, frozen=True, extra="forbid"):
    """What weights expect of their input.

    Attributes:
        representation: joint positions, or rotations as 6D in one of the two layouts.
        scale: ``metres``; ``image``: pixels divided by (width, height), minus `image_shift`; ``any``: scale-free,
            and made for any origin. Pixels reach ``metres`` through the person's size (`person_size`), taken as 1.7 m.
        image_shift: subtracted after the division by the image size (published: 0.5 for SmoothNet, 0 for DeciWatch).
        centring: ``root``: the root is subtracted, and smoothed as a track of its own; ``root_removed``: as the pose
            toolkit, the root neither enters nor is smoothed; ``none``: positions stay where they are. With the scale
            ``any``, ``root`` is a wish: without a root, positions stay where they are.
        root: joints whose mean is the root; empty = the root of the skeleton.
        fps: frame rate of the training data, if known.
        noise: the noise the weights were made for, in words.
        latency_frames: for streaming weights, the frames of look-ahead they were made for.
    """

    representation: Literal["positions", "six_d_rows", "six_d_columns"] = "positions"
    scale: Literal["metres", "image", "any"] = "metres"
    image_shift: float = 0.5
    centring: Literal["root", "root_removed", "none"] = "root"
    root: tuple[str, ...] = ()
    fps: PositiveFloat | None = None
    noise: str | None = None
    latency_frames: NonNegativeInt | None = None


@dataclass(frozen=True)
class Scaling:
    """Prepared = position * factor - shift, for each axis; `note` says what was assumed, if anything."""

    factor: Array
    shift: Array
    note: str | None = None

    def apply(self, positions: Array) -> Array:
        """Positions (..., D) in what the weights expect."""
        return positions * self.factor - self.shift

    def undo(self, prepared: Array) -> Array:
        """Prepared values (..., D) in the unit of the poses."""
        return (prepared + self.shift) / self.factor


def scaling(poses: PoseSequence, person: int, preparation: Preparation) -> Scaling:
    """How the positions of one person (a row) reach the scale that the weights expect.

    Raises:
        DataError: the unit does not tell the size, or the image size that is needed is not known.
    """
    dims = poses.num_dims
    same = Scaling(np.ones(dims), np.zeros(dims))
    if preparation.scale == "any":
        return same
    if preparation.scale == "image":
        return _image_scaling(poses, preparation.image_shift)
    if poses.unit in ("m", "mm"):
        return Scaling(np.full(dims, 1.0 if poses.unit == "m" else 1e-3), np.zeros(dims))
    if dims == 3:
        raise DataError(
            f"poses: 3D positions in the unit {poses.unit} do not tell their size, and these weights expect metres. "
            "State the unit (--unit m or --unit mm), or use a filter (--filter)."
        )
    return _person_scaling(poses, person)


def _image_scaling(poses: PoseSequence, shift: float) -> Scaling:
    """Published 2D recipes: divided by the image size, minus a shift."""
    if poses.num_dims != 2 or poses.unit not in ("px", "normalised"):
        raise DataError(
            f"poses: these weights expect 2D positions divided by the image size, got {poses.num_dims}D in "
            f"{poses.unit}. Use weights for metres, such as smoothnet-general-w32."
        )
    if poses.unit == "normalised":
        return Scaling(np.ones(2), np.full(2, shift))
    if poses.image_size is None:
        raise DataError(
            "poses: these weights expect positions divided by the image size, which this file does not state. "
            "Give it: --image-size 1920x1080."
        )
    return Scaling(1.0 / np.asarray(poses.image_size, dtype=np.float64), np.full(2, shift))


def _person_scaling(poses: PoseSequence, person: int) -> Scaling:
    """2D by the person's size: the height their limbs tell counts as 1.7 m."""
    # Normalised values are shares of width and height; without the image size both axes count as equal.
    pixels = np.ones(2)
    if poses.unit == "normalised" and poses.image_size is not None:
        pixels = np.asarray(poses.image_size, dtype=np.float64)
    size = person_size(poses.positions[person].astype(np.float64) * pixels, poses.joint_names)
    if not np.isfinite(size) or size <= 0:
        return Scaling(pixels, np.zeros(2))  # nothing observed, or all joints in one place: nothing to smooth either
    unit = "px" if poses.unit == "px" or poses.image_size is not None else "of the image"
    note = f"2D positions scaled by the person's size ({size:.4g} {unit} taken as {STANDARD_HEIGHT_M} m)"
    return Scaling(pixels * (STANDARD_HEIGHT_M / size), np.zeros(2), note)


def root_rows(poses: PoseSequence, root: Sequence[str] = ()) -> tuple[int, ...]:
    """Rows of the joints whose mean is the root: those named, else the skeleton's, else what the names tell.

    Raises:
        SkeletonError: a named joint is not there, or no root can be told from the names.
    """
    index = {name: row for row, name in enumerate(poses.joint_names)}
    unknown = [name for name in root if name not in index]
    if unknown:
        raise SkeletonError(
            f"root: no joint named {', '.join(unknown)}; this skeleton has {', '.join(poses.joint_names)}."
        )
    skeleton = poses.known_skeleton() or skeleton_from_names(poses.joint_names)
    names = tuple(root) or skeleton.root
    if names:
        return tuple(index[name] for name in names)
    raise SkeletonError(
        "root: these weights expect positions relative to the root, and no joint is called pelvis, or left_hip and "
        f"right_hip. Name the root joints (--root), among {', '.join(poses.joint_names)}."
    )


def default_preparation(num_dims: int) -> Preparation:
    """What published weights are given where nothing says otherwise: 3D root-relative in metres, 2D by image size."""
    return Preparation() if num_dims == 3 else Preparation(scale="image", centring="none")
