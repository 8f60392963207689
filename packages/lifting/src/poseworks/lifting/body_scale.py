"""How large a lifted person is: from a stated height, or the stated length of bones, to metres.

Standing height from joints, frame by frame (Drillis and Contini 1966 for the last term):

    H = |head_top - neck| + |neck - thorax| + |thorax - spine| + |spine - pelvis|
      + mean of both legs (|hip - knee| + |knee - ankle|)  +  0.039 H, the ankle above the sole

Bones do not change their length, so H is the same in whatever pose the person is, and the median over frames is
robust. One factor holds for a person's whole track. Only where the network's unit itself changes with the distance to
the camera (the form ``image``: half image widths) the factor follows the person's apparent size, slowly.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_size import ANKLE_HEIGHT_SHARE
from poseworks.core.errors import ConfigError
from poseworks.core.gaps import runs
from poseworks.core.running import running_median
from poseworks.core.skeletons import H36M_17

Array = NDArray[np.float64]

_CHAIN = ("pelvis", "spine", "thorax", "neck", "head_top")
_LEG = ("hip", "knee", "ankle")
_SIDED = {
    "thigh": ("hip", "knee"),
    "shin": ("knee", "ankle"),
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
}
_SLOW_S = 1.0  # how slowly the apparent size follows the person: longer than a step, shorter than a walk across


def _bones() -> dict[str, tuple[tuple[str, str], ...]]:
    """Name of a bone -> the joints at its ends, on both sides where the name states none."""
    bones: dict[str, tuple[tuple[str, str], ...]] = {}
    for name, (upper, lower) in _SIDED.items():
        both = {side: (f"{side}_{upper}", f"{side}_{lower}") for side in ("left", "right")}
        bones |= {f"{side}_{name}": (ends,) for side, ends in both.items()}
        bones[name] = tuple(both.values())
    bones["torso"] = (("pelvis", "thorax"),)
    bones["shoulders"] = (("left_shoulder", "right_shoulder"),)
    bones["hips"] = (("left_hip", "right_hip"),)
    return bones


BONES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(_bones())
"""Bones that may be stated: thigh (hip to knee), shin (knee to ankle), upper_arm, forearm, each with left_ or right_ in
front, or alone for the mean of both; torso (pelvis to the base of the neck), shoulders and hips (left to right)."""

HEIGHTS_M = (0.4, 2.6)
LENGTHS_M = (0.03, 1.2)


def check_sizes(height: float | None, bones: Mapping[str, float]) -> None:
    """Nothing, unless what is stated about a person cannot be.

    Raises:
        ConfigError: both a height and bones, an unknown bone, or a length that no person has in metres.
    """
    if height is not None and bones:
        raise ConfigError("height: a height and bones both say how large the person is. State one of the two.")
    if height is not None and not HEIGHTS_M[0] <= height <= HEIGHTS_M[1]:
        raise ConfigError(
            f"height: expected metres from {HEIGHTS_M[0]} to {HEIGHTS_M[1]}, such as 1.72, got {height:g}."
        )
    for name, length in bones.items():
        if name not in BONES:
            raise ConfigError(f"bone: no bone is called {name!r}; expected one of {', '.join(BONES)}.")
        if not LENGTHS_M[0] <= length <= LENGTHS_M[1]:
            raise ConfigError(
                f"bone: {name}: expected metres from {LENGTHS_M[0]} to {LENGTHS_M[1]}, such as 0.43, got {length:g}."
            )


def standing_height(joints: Array) -> Array:
    """The height (T,) that the joints (T, 17, 3) of h36m17 tell, in their unit; NaN where a joint is missing."""
    above = sum((_distance(joints, a, b) for a, b in pairwise(_CHAIN)), np.zeros(len(joints)))
    legs = [_distance(joints, f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in pairwise(_LEG)]
    height: Array = (above + sum(legs, np.zeros(len(joints))) / 2) / (1 - ANKLE_HEIGHT_SHARE)
    return height


def bone_length(joints: Array, bone: str) -> Array:
    """The length (T,) of one of `BONES` in joints (T, 17, 3)."""
    ends = BONES[bone]
    length: Array = sum((_distance(joints, a, b) for a, b in ends), np.zeros(len(joints))) / len(ends)
    return length


def metres_per_unit(joints: Array, height: float | None, bones: Mapping[str, float]) -> float:
    """What 1 of the joints' unit is in metres, for the whole track (T, 17, 3).

    From the median of the height over frames, or the median over bones of stated length / median length. NaN where no
    frame was lifted, or the joints lie in one point.
    """
    if height is not None:
        return height / _median(standing_height(joints))
    ratios = [length / _median(bone_length(joints, name)) for name, length in bones.items()]
    return float(np.median(ratios))


def steady_size(joints: Array, fps: float) -> Array:
    """Joints (T, 17, 3) whose unit changes slowly, brought to one unit: 1.0 is the person's standing height.

    The height that each frame tells is smoothed by a median over about a second, in each stretch of lifted frames.
    """
    tells = standing_height(joints)
    result = np.full(joints.shape, np.nan)
    frames = 2 * int(_SLOW_S * fps / 2) + 1
    for start, stop in runs(np.asarray(tells > 0)):
        slow = running_median(tells[start:stop, None], min(frames, 2 * ((stop - start) // 2) + 1))
        result[start:stop] = joints[start:stop] / slow[:, :, None]
    return result


def _distance(joints: Array, a: str, b: str) -> Array:
    distance: Array = np.linalg.norm(joints[:, H36M_17.index(a)] - joints[:, H36M_17.index(b)], axis=-1)
    return distance


def _median(values: Array) -> float:
    """The median of what is above 0; NaN where nothing is."""
    positive = values[values > 0]
    return float(np.median(positive)) if len(positive) else float("nan")
