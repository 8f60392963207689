"""How tracks are lifted, and with which weights where none are named. Torch is not imported."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, ValidationError

from poseworks.core.config import describe_faults
from poseworks.core.errors import ConfigError
from poseworks.lifting.body_scale import check_sizes

DEFAULT_MODEL = "lcn-open"
DEFAULT_MODEL_FOCAL = "lcn-open-focal"


class LiftSettings(BaseModel, frozen=True, extra="forbid"):
    """How 2D tracks are lifted, whatever the network.

    Attributes:
        flip: average with the answer to the mirrored input, at twice the cost.
        overlap: share of a window that the next one covers again; at 0.5 and more windows are blended without a seam.
        height: the person's standing height in metres; bones: lengths of `body_scale.BONES` in metres. Either makes
            metres of the result, and holds for everybody in it.
        max_gap_s: longest gap, in seconds, that is interpolated. A network of one frame leaves out frames in which
            nobody is seen, whatever the gap; with a latency nothing is interpolated.
        min_confidence: joints below it count as missing.
        unswap: first exchange left and right back where the detector exchanged them (`poseworks.core.swaps`).
        latency_frames: None, or how many frames of the future a frame may know: what `LiftStream` gives.
    """

    flip: bool = True
    overlap: float = Field(0.5, ge=0, lt=1)
    height: PositiveFloat | None = None
    bones: dict[str, PositiveFloat] = {}
    max_gap_s: NonNegativeFloat = 0.5
    min_confidence: float = Field(0.0, ge=0, le=1)
    unswap: bool = False
    latency_frames: NonNegativeInt | None = None


def checked_settings(**fields: Any) -> LiftSettings:
    """The settings; a value out of its range is a ConfigError that names it."""
    try:
        settings = LiftSettings(**fields)
    except ValidationError as error:
        raise ConfigError(f"{'; '.join(describe_faults(error, LiftSettings))}.") from error
    check_sizes(settings.height, settings.bones)
    return settings


def default_model(*, knows_camera: bool) -> str:
    """The shipped weights for a camera whose focal length is known, or not."""
    return DEFAULT_MODEL_FOCAL if knows_camera else DEFAULT_MODEL
