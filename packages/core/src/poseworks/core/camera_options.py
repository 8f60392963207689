"""The command-line options that say what is known of the camera, the same in every command. Torch is not imported."""

# No annotations as text: a command's own options may inherit from these, and cyclopts would look their types up there.
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from poseworks.core.cameras import Pinhole


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

    def pinhole(self, image_size: tuple[int, int] | None) -> "Pinhole | None":
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
