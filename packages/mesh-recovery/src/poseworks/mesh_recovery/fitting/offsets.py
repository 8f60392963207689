"""Where the joints of others may lie beside the body's: constant distances that a fit finds."""

from __future__ import annotations

from collections.abc import Sequence

TRUNK = ("spine", "belly", "thorax", "mid_shoulder", "neck", "head_top", "face")
_UP_AND_FORWARD = ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

Direction = tuple[int, tuple[float, float, float]]


def offset_directions(names: Sequence[str]) -> list[Direction]:
    """Directions for `FoldedPoints.with_offsets`: those of `names` on the trunk, up and forward in their bone's axes.

    Sets of joints disagree on where the trunk has its own: thorax and head of two sets lie up to 10 cm apart, and a
    body without these freedoms bends its shape to follow.
    """
    return [(place, axis) for place, name in enumerate(names) if name in TRUNK for axis in _UP_AND_FORWARD]
