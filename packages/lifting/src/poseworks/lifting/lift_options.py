"""The command-line options of lifting, the same wherever a command lifts. Torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from poseworks.core.camera_options import CameraOptions
from poseworks.core.cli import Whole

if TYPE_CHECKING:
    from poseworks.lifting.settings import LiftSettings


@Parameter(name="*")
@dataclass(frozen=True)
class SceneOptions(CameraOptions):
    """What is known of the camera and the person."""

    height: Annotated[
        float | None, Parameter(help="The person's height in metres, such as 1.72: makes metres of the result.")
    ] = None
    bone: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="Or the length of a bone in metres, such as left_thigh=0.43 (hip to knee). Repeatable. Bones: thigh, "
            "shin, upper_arm, forearm, each with left_ or right_ or for the mean of both; torso, shoulders, hips.",
        ),
    ] = ()

    def bones(self) -> dict[str, float]:
        """Metres of each bone that is stated.

        Raises:
            ConfigError: one is not stated as NAME=METRES.
        """
        from poseworks.core.errors import ConfigError

        bones = {}
        for text in self.bone:
            name, equals, length = (part.strip() for part in text.partition("="))
            try:
                bones[name] = float(length)
            except ValueError:
                raise ConfigError(f"--bone {text}: expected NAME=METRES, such as left_thigh=0.43.") from None
            if not equals:
                raise ConfigError(f"--bone {text}: expected NAME=METRES, such as left_thigh=0.43.")
        return bones


@Parameter(name="*")
@dataclass(frozen=True)
class LiftOptions(SceneOptions):
    """What is known of the camera and the person, and how windows are cut."""

    flip: Annotated[bool, Parameter(help="Average with the answer to the mirrored input, at twice the cost.")] = True
    overlap: Annotated[float, Parameter(help="Share of a window that the next one covers again.")] = 0.5
    latency: Annotated[
        int | None, Whole, Parameter(help="Frames of the future that a frame may know, as in a stream.")
    ] = None
    max_gap: Annotated[float, Parameter(help="Longest gap, in seconds, that is filled.")] = 0.5
    min_confidence: Annotated[float, Parameter(help="Joints below it count as missing.")] = 0.0
    unswap: Annotated[
        bool, Parameter(negative="", help="First exchange left and right back where the detector exchanged them.")
    ] = False

    def settings(self) -> LiftSettings:
        """What `lift_people` takes.

        Raises:
            ConfigError: a value is out of its range, or a bone is not stated as NAME=METRES.
        """
        from poseworks.lifting.settings import checked_settings

        return checked_settings(
            flip=self.flip,
            overlap=self.overlap,
            height=self.height,
            bones=self.bones(),
            max_gap_s=self.max_gap,
            min_confidence=self.min_confidence,
            unswap=self.unswap,
            latency_frames=self.latency,
        )
