"""The joint names of 27 data sets and toolboxes, in one vocabulary, and the index tables between them.

The vocabulary is HumanData's: 190 names, `human_data`. A joint that several sources define differently has a variant
for each, told apart by an ending: `left_hip` (SMPL's), `left_hip_extra` (regressed), `left_hip_openpose`. The names
stand in keypoint_conventions.json. (`poseworks.core.skeletons` has the skeletons of poses files.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ShapeError, SkeletonError

Array = NDArray[Any]
Indices = NDArray[np.intp]

_VARIANTS = ("_openpose", "_extra", "_3dhp", "_h36m")


@cache
def conventions() -> Mapping[str, tuple[str, ...]]:
    """Joint names of each convention, in its order."""
    text = (files("poseworks.core") / "keypoint_conventions.json").read_text(encoding="utf-8")
    return MappingProxyType({name: tuple(joints) for name, joints in json.loads(text).items()})


def joints_of(convention: str) -> tuple[str, ...]:
    """Joint names of one convention.

    Raises:
        SkeletonError: there is none of this name.
    """
    if convention not in conventions():
        raise SkeletonError(f"convention {convention!r}: unknown; expected one of {', '.join(conventions())}.")
    return conventions()[convention]


def index_table(source: str, destination: str, *, approximate: bool = False) -> tuple[Indices, Indices]:
    """(places in the destination, places in the source) of the joints that both have.

    Args:
        source: a convention.
        destination: another.
        approximate: where the source lacks a joint, take a variant of it: the plain name, then OpenPose's, then the
            regressed one, those of MPI-INF-3DHP and Human3.6M. (`head`, SMPL's joint, and `head_extra`, the middle of
            the head, are no variants of each other.)

    Raises:
        SkeletonError: an unknown convention.
    """
    place = {name: number for number, name in enumerate(joints_of(source))}
    pairs = []
    for number, name in enumerate(joints_of(destination)):
        names = (name, *(_variants(name) if approximate else ()))
        found = next((place[other] for other in names if other in place), None)
        if found is not None:
            pairs.append((number, found))
    table = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def convert_keypoints(
    keypoints: Array, source: str, destination: str, *, mask: Array | None = None, approximate: bool = False
) -> tuple[Array, Array]:
    """((..., J', C) keypoints, (J',) uint8 mask) in another convention; joints that are not there are 0 in both.

    Args:
        keypoints: (..., J, C).
        source: their convention.
        destination: the one to convert to.
        mask: (J,) 1 where a joint is there; None: all are.
        approximate: see `index_table`.

    Raises:
        ShapeError: another number of joints than the convention has.
        SkeletonError: an unknown convention.
    """
    count = len(joints_of(source))
    if keypoints.ndim < 2 or keypoints.shape[-2] != count or (mask is not None and mask.shape != (count,)):
        shapes = f"{keypoints.shape}" + ("" if mask is None else f" and a mask {mask.shape}")
        raise ShapeError(f"keypoints: {source} has {count} joints, expected (..., {count}, C), got {shapes}.")
    to, start = index_table(source, destination, approximate=approximate)
    there = np.ones(count, np.uint8) if mask is None else (mask != 0).astype(np.uint8)
    size = len(joints_of(destination))
    converted = np.zeros((*keypoints.shape[:-2], size, keypoints.shape[-1]), keypoints.dtype)
    converted[..., to, :] = keypoints[..., start, :] * there[start, None].astype(keypoints.dtype)
    new_mask = np.zeros(size, np.uint8)
    new_mask[to] = there[start]
    return converted, new_mask


def flip_pairs(convention: str) -> tuple[tuple[int, int], ...]:
    """(left, right) places of the joints that a mirror exchanges.

    Raises:
        SkeletonError: an unknown convention.
    """
    names = joints_of(convention)
    place = {name: number for number, name in enumerate(names)}
    sides = ((name, name.replace("left_", "right_", 1)) for name in names if name.startswith("left_"))
    return tuple((place[left], place[right]) for left, right in sides if right in place)


def _variants(name: str) -> tuple[str, ...]:
    """Names of what is nearly the same joint, best first."""
    base = next((name.removesuffix(ending) for ending in _VARIANTS if name.endswith(ending)), name)
    if base == "head":
        return ("head_extra",) if name == "head_h36m" else ()
    return tuple(other for other in (base, *(base + ending for ending in _VARIANTS)) if other != name)
