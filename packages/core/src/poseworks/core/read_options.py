"""The command-line options with which every verb reads poses: what a file may not say itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from poseworks.core.cli import Whole
from poseworks.core.errors import MissingHint

if TYPE_CHECKING:
    from poseworks.core.poses import PoseSequence

ASSUMED_FPS = 30.0


@Parameter(name="*")
@dataclass(frozen=True)
class ReadOptions:
    """What the file does not say itself; what it does say must agree."""

    format: Annotated[str | None, Parameter(help="Format of the input, where its content does not tell.")] = None
    fps: Annotated[
        float | None, Parameter(help="Frames per second. Where neither this nor the file says: 30, with a remark.")
    ] = None
    image_size: Annotated[str | None, Parameter(help="Size of the image in pixels, such as 1920x1080.")] = None
    skeleton: Annotated[str | None, Parameter(help="Skeleton of the joints in the file, such as coco17.")] = None
    unit: Annotated[str | None, Parameter(help="px, m, mm or normalised.")] = None
    frame: Annotated[str | None, Parameter(help="image, camera, world or root.")] = None
    person: Annotated[int | None, Whole, Parameter(help="Read this person alone.")] = None
    people: Annotated[str | None, Parameter(help="by_order: people without numbers keep their place.")] = None
    sequence: Annotated[str | None, Parameter(help="Which of several sequences in the file.")] = None
    first_frame: Annotated[int | None, Whole, Parameter(help="Number that the file gives to the first frame.")] = None
    world: Annotated[bool, Parameter(negative="", help="MediaPipe's 3D landmarks instead of the 2D ones.")] = False

    def read(self, path: Path) -> PoseSequence:
        """The poses in `path`, with these hints.

        A frame rate that neither the file nor the user states is taken as 30, and the history says so: most
        detectors' files lack it, and it scales times and speeds but never the positions.

        Raises:
            PoseworksError: as `read_poses`.
        """
        from poseworks.core.formats import read_poses
        from poseworks.core.formats.hints import ASSUMED
        from poseworks.core.poses import history_entry

        hints = {name: value for name, value in vars(self).items() if name not in ("format", "world")}
        hints["world"] = self.world or None
        try:
            return read_poses(path, format=self.format, **hints)
        except MissingHint as missing:
            if missing.hint != "fps":
                raise
        poses = read_poses(path, format=self.format, **{**hints, "fps": ASSUMED_FPS})
        return poses.with_step(history_entry(ASSUMED, "poseworks-core", {"fps": ASSUMED_FPS}))
