"""What the command `run` is given: a recording or poses, and which options say something about which of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.read_options import ReadOptions
from poseworks.keypoints.options import NETWORK_HELP, DetectOptions

if TYPE_CHECKING:
    from poseworks.keypoints import DetectSettings

Kind = Literal["recording", "poses"]

_OF_POSES = ("format", "image_size", "unit", "frame", "person", "sequence", "first_frame")
_OF_RECORDINGS = ("every", "detector", "network", "threads")


def kind_of(path: str) -> Kind:
    """Whether a file or folder holds poses or is a recording, told by its content.

    Raises:
        DataError: it is not there, is damaged, or is neither; the message then says why not, for both.
    """
    from poseworks.core.formats import detect_format
    from poseworks.core.video import open_video

    source = Path(path)
    try:
        if _is_there(source):
            detect_format(source)
            return "poses"
        not_poses = None
    except FormatError as error:
        not_poses = error
    try:
        with open_video(path):
            return "recording"
    except DataError as not_recording:
        if not_poses is None:
            raise
        reasons = [str(error).removeprefix(f"{path}: ") for error in (not_recording, not_poses)]
        raise DataError(
            f"{path}: neither a recording nor poses. As a recording: {reasons[0]} As poses: {reasons[1]}"
        ) from not_recording


def _is_there(path: Path) -> bool:
    """Whether it exists; a name that no file can have does not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@Parameter(name="*")
@dataclass(frozen=True)
class InputOptions:
    """What INPUT does not say itself, and how people are looked for where it is a recording."""

    people: Annotated[
        str | None,
        Parameter(
            help="Recordings: all (the default), or how many to keep, the longest and largest first. Poses: by_order, "
            "where people without numbers keep their place."
        ),
    ] = None
    every: Annotated[
        int | None,
        Parameter(help="Recordings: look at every N-th frame alone, and the last; those between are recovered."),
    ] = None
    skeleton: Annotated[
        str | None,
        Parameter(help="Recordings: of the result, such as coco17 (default: the detector's own). Poses: of the file."),
    ] = None
    detector: Annotated[
        str | None, Parameter(help="Recordings: blazepose, which comes with poseworks, or rtmlib (an extra).")
    ] = None
    network: Annotated[str | None, Parameter(help=f"Recordings: {NETWORK_HELP}")] = None
    threads: Annotated[int | None, Parameter(help="Recordings: computing threads of the detector.")] = None
    unswap: Annotated[
        bool | None,
        Parameter(
            negative="--no-unswap", help="Put left and right back where the detector exchanged them: the default."
        ),
    ] = None
    world: Annotated[
        bool,
        Parameter(
            negative="",
            help="Recordings: also write the network's own 3D guess, poses3d.world.npz. Poses: MediaPipe's 3D "
            "landmarks instead of the 2D ones.",
        ),
    ] = False
    fps: Annotated[
        float | None,
        Parameter(help="Frames per second of pictures, or of poses that do not say. Default: 30, with a remark."),
    ] = None
    format: Annotated[str | None, Parameter(help="Poses: their format, where the content does not tell.")] = None
    image_size: Annotated[str | None, Parameter(help="Poses: size of the image in pixels, such as 1920x1080.")] = None
    unit: Annotated[str | None, Parameter(help="Poses: px, m, mm or normalised.")] = None
    frame: Annotated[str | None, Parameter(help="Poses: image, camera, world or root.")] = None
    person: Annotated[int | None, Parameter(help="Poses: read this person alone.")] = None
    sequence: Annotated[str | None, Parameter(help="Poses: which of several sequences in the file.")] = None
    first_frame: Annotated[int | None, Parameter(help="Poses: number that the file gives to the first frame.")] = None

    def kind(self, path: str) -> Kind:
        """What INPUT is; a stated format makes it poses.

        Raises:
            DataError: neither a recording nor poses. ConfigError: an option that says nothing about what it is.
        """
        kind: Kind = "poses" if self.format is not None else kind_of(path)
        without_use = _OF_POSES if kind == "recording" else _OF_RECORDINGS
        given = [f"--{name.replace('_', '-')}" for name in without_use if getattr(self, name) is not None]
        if given:
            is_one, other = ("a recording", "poses") if kind == "recording" else ("poses", "recordings")
            raise ConfigError(f"{', '.join(given)}: for {other}, and {path} is {is_one}. Leave {', '.join(given)} out.")
        return kind

    def reading(self) -> ReadOptions:
        """How poses are read."""
        return ReadOptions(**{field.name: getattr(self, field.name) for field in fields(ReadOptions)})

    def looking(self) -> DetectSettings:
        """Who is looked for in a recording.

        Raises:
            ConfigError: an option is out of its range.
        """
        own = {field.name: getattr(self, field.name) for field in fields(DetectOptions)}
        options = DetectOptions(**{name: value for name, value in own.items() if value is not None})
        return options.settings(self.skeleton, self.fps, self.network)
