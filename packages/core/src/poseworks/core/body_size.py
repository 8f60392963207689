"""How large a person is: body height from the lengths of limbs, and shares of body height. NumPy only.

It turns pixels into something like metres, makes displacements comparable between people, and tells how a stated height
is spread over a body. Shares are those of Drillis and Contini (1966), as Winter's textbook gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STANDARD_HEIGHT_M = 1.7
"""Height, in metres, that a person measured in pixels is given."""

SEGMENT_SHARES: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("hip", "knee"): 0.245,
        ("knee", "ankle"): 0.246,
        ("shoulder", "elbow"): 0.186,
        ("elbow", "wrist"): 0.146,
    }
)
"""Length of a limb segment as a share of body height."""

ANKLE_HEIGHT_SHARE = 0.039
"""Height of the ankle joint above the ground that a person stands on, as a share of body height."""


def person_size(positions: Array, joint_names: Sequence[str]) -> float:
    """Standing height that a person's limbs (T, J, D) tell, in the unit of the positions; NaN if nothing was observed.

    The median over thighs, shanks, upper arms and forearms of (typical length) / (share of body height). Typical is
    the median over frames in 3D, and the 90th percentile in 2D, where limbs are foreshortened. Without any of these
    joints, the 90th percentile of the diagonal of the box around the joints.
    """
    index = {name: row for row, name in enumerate(joint_names)}
    quantile = 0.5 if positions.shape[-1] == 3 else 0.9
    heights = []
    for (upper, lower), share in SEGMENT_SHARES.items():
        for side in ("left", "right"):
            a, b = index.get(f"{side}_{upper}"), index.get(f"{side}_{lower}")
            if a is None or b is None:
                continue
            lengths = np.linalg.norm(positions[:, a] - positions[:, b], axis=-1)
            lengths = lengths[np.isfinite(lengths)]
            if lengths.size:
                heights.append(float(np.quantile(lengths, quantile)) / share)
    if heights:
        return float(np.median(heights))
    finite = np.asarray(np.isfinite(positions).all(axis=-1, keepdims=True))
    seen = positions[finite[..., 0].any(axis=1)]
    if not len(seen):
        return float("nan")
    return float(np.quantile(np.linalg.norm(np.nanmax(seen, axis=1) - np.nanmin(seen, axis=1), axis=-1), 0.9))
