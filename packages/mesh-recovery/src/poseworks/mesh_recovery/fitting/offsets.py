"""Where the joints of others may lie beside the body's: constant distances that a fit finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TRUNK = ("spine", "belly", "thorax", "mid_shoulder", "neck", "head_top", "face")
_AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

Direction = Mapping[int, tuple[float, float, float]]


def offset_directions(names: Sequence[str], mirrored: Sequence[str] = ("shoulder",)) -> list[Direction]:
    """Directions for `FoldedPoints.with_offsets`: each moves points along an axis of the bone that carries them.

    Sets of joints disagree on where the trunk has its own (thorax and head of two sets lie up to 10 cm apart): up and
    forward for each. And on a pair of joints, left and right as in a mirror.

    Args:
        names: of the points.
        mirrored: pairs that may be moved, without their side.
    """
    index = {name: place for place, name in enumerate(names)}
    directions: list[Direction] = [{index[name]: axis} for name in TRUNK if name in index for axis in _AXES[1:]]
    for pair in mirrored:
        left, right = (index.get(f"{side}_{pair}") for side in ("left", "right"))
        if left is None or right is None:
            continue
        directions += [{left: (x, y, z), right: (-x, y, z)} for x, y, z in _AXES]
    return directions
