"""How recordings are recognised, and with which weights where none are named. Torch is not imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, PositiveFloat, ValidationError, model_validator

from poseworks.core.config import describe_faults
from poseworks.core.errors import ConfigError
from poseworks.skeleton_action.views import PRESETS, Preset, Views

if TYPE_CHECKING:
    from typing import Self

DEFAULT_MODEL = "x3d-shallow-open"


class RecognizeSettings(BaseModel, frozen=True, extra="forbid"):
    """How actions are recognised, whatever the network.

    Attributes:
        preset: ``fast`` looks once, ``accurate`` at ten clips and their mirror images.
        people: ``each`` gives each person an answer, from volumes of their own; ``together`` gives one answer for all,
            who share a volume.
        window_s: seconds of a sliding window; None: the whole recording gets one answer.
        stride_s: seconds from one window to the next; None: a quarter of the window.
        hold_box: 1: each window is drawn in its own box, as if it were a recording. More: the box stays from window to
            window as long as everybody is inside it and it is at most so many times as large as the window's own;
            frames that windows share are then drawn and computed once, but people are no longer in the middle.
        min_seen: share of a window's frames in which somebody must be seen for it to be scored.
        min_confidence: keypoints below it count as missing.
    """

    preset: Preset = "fast"
    people: Literal["each", "together"] = "each"
    window_s: PositiveFloat | None = None
    stride_s: PositiveFloat | None = None
    hold_box: float = Field(1.0, ge=1)
    min_seen: float = Field(0.25, ge=0, le=1)
    min_confidence: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _windows(self) -> Self:
        if self.stride_s is not None and self.window_s is None:
            raise ValueError("stride_s: without a window there is nothing to move; state the window too")
        return self

    @property
    def views(self) -> Views:
        """What the preset stands for."""
        return PRESETS[self.preset]

    def frames(self, fps: float) -> tuple[int, int] | None:
        """Frames of a window, and from one to the next; None without windows.

        Raises:
            ConfigError: that is less than one frame, or frames would lie between two windows.
        """
        if self.window_s is None:
            return None
        stride_s = self.window_s / 4 if self.stride_s is None else self.stride_s
        window, stride = round(self.window_s * fps), round(stride_s * fps)
        if window < 1 or stride < 1:
            raise ConfigError(
                f"window and stride: {self.window_s:g} s and {stride_s:g} s are less than one frame at {fps:g} frames "
                "per second. Take longer ones."
            )
        if stride > window:
            raise ConfigError(
                f"stride: {stride_s:g} s is longer than the window of {self.window_s:g} s, and would leave frames out. "
                "Take a shorter one."
            )
        return window, stride


def checked_settings(**fields: Any) -> RecognizeSettings:
    """The settings; a value out of its range is a ConfigError that names it."""
    try:
        return RecognizeSettings(**fields)
    except ValidationError as error:
        raise ConfigError(f"{'; '.join(describe_faults(error, RecognizeSettings))}.") from error
