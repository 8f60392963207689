"""What every fit gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from poseworks.core.body_models import BodyMotion
from poseworks.core.poses import PoseSequence


@dataclass(frozen=True, eq=False)
class Fitted:
    """Bodies fitted to poses.

    Attributes:
        motion: the bodies; NaN in frames that could not be fitted.
        poses: the joints of these bodies under the names of the input, in its frame and unit; NaN where the body has no
            such joint.
        notes: sentences that a reader has to know.
        figures: of each person, as JSON can hold them.
    """

    motion: BodyMotion
    poses: PoseSequence
    notes: tuple[str, ...]
    figures: tuple[Mapping[str, Any], ...]
