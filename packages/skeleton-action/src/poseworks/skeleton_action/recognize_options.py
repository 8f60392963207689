"""The command-line options of recognition, the same wherever a command recognises. Torch is not imported."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from poseworks.core.errors import ConfigError
from poseworks.skeleton_action.views import Preset

if TYPE_CHECKING:
    from poseworks.skeleton_action.settings import RecognizeSettings

_UNITS = {"ms": 1e-3, "min": 60.0, "s": 1.0}  # "s" last: the others may end in it


@Parameter(name="*")
@dataclass(frozen=True)
class RecognizeOptions:
    """How often, where and for whom answers are given."""

    preset: Annotated[
        Preset,
        Parameter(
            help="fast: one clip of 48 frames, spread over the whole. accurate: ten of them and their mirror images."
        ),
    ] = "fast"
    window: Annotated[
        str | None,
        Parameter(help="Length of a sliding window, such as 2s: a timeline. Without it the whole gets one answer."),
    ] = None
    stride: Annotated[str | None, Parameter(help="From one window to the next, such as 0.5s. Default: a quarter.")] = (
        None
    )
    together: Annotated[
        bool,
        Parameter(negative="", help="One answer for all people, who share a volume. Default: one for each person."),
    ] = False
    hold_box: Annotated[
        float,
        Parameter(
            help="How much larger than a window needs the drawn box may be to stay from window to window, which saves "
            "work and costs accuracy where people move about. 1: each window has its own box."
        ),
    ] = 1.0
    min_seen: Annotated[float, Parameter(help="Share of a window's frames in which somebody must be seen.")] = 0.25
    min_confidence: Annotated[float, Parameter(help="Keypoints below it count as missing.")] = 0.0

    def settings(self) -> RecognizeSettings:
        """What `recognize` takes.

        Raises:
            ConfigError: a value is out of its range, or is no length of time.
        """
        from poseworks.skeleton_action.settings import checked_settings

        return checked_settings(
            preset=self.preset,
            people="together" if self.together else "each",
            window_s=seconds_of("--window", self.window),
            stride_s=seconds_of("--stride", self.stride),
            hold_box=self.hold_box,
            min_seen=self.min_seen,
            min_confidence=self.min_confidence,
        )


def seconds_of(option: str, text: str | None) -> float | None:
    """Seconds that a length of time is, such as 2s, 500ms, 1.5min or 2; None as it is.

    Raises:
        ConfigError: it is no length of time.
    """
    if text is None:
        return None
    unit = next((unit for unit in _UNITS if text.strip().endswith(unit)), "")
    try:
        seconds = float(text.strip().removesuffix(unit)) * _UNITS.get(unit, 1.0)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(f"{option} {text}: expected a length of time above 0, such as 2s or 500ms.")
    return seconds
