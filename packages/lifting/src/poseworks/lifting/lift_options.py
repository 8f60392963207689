"""The command-line options of lifting, the same wherever a command lifts. Torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from poseworks.core.cli import Whole

if TYPE_CHECKING:
    from poseworks.core.cameras import Pinhole
    from poseworks.lifting.settings import LiftSettings


@Parameter(name="*")
@dataclass(frozen=True)
class CameraOptions:
    """What is known of the camera."""

    focal: Annotated[
        float | None, Parameter(help="Focal length in pixels: places the root in front of the camera.")
    ] = None
    camera: Annotated[
        Path | None,
        Parameter(help="Or a JSON file of intrinsics in pixels: fx, fy, cx, cy, or focal; and image_size."),
    ] = None

    @property
    def knows_camera(self) -> bool:
        """Whether a focal length is stated."""
        return self.focal is not None or self.camera is not None

    def pinhole(self, image_size: tuple[int, int] | None) -> Pinhole | None:
        """The camera that is stated, for an image of that size.

        Raises:
            ConfigError: it is stated twice, or needs an image size that is not known, or contradicts it.
            FormatError: the file is no camera.
        """
        from poseworks.core.camera_files import read_camera
        from poseworks.core.cameras import Pinhole
        from poseworks.core.errors import ConfigError

        if self.camera is not None:
            if self.focal is not None:
                raise ConfigError("--focal: the file of --camera states it already. Leave one of the two out.")
            return read_camera(self.camera, image_size)
        if self.focal is None:
            return None
        if image_size is None:
            raise ConfigError("--focal: needs the size of the image, which is not stated: --image-size 1920x1080.")
        return Pinhole.from_focal(self.focal, image_size)


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
