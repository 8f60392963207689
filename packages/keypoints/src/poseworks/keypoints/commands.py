"""The verbs of `poseworks-keypoints`. Heavy imports stand inside the functions, so that `--help` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from poseworks.core.cli import Json, Overwrite, Quiet, Verbose, make_table, print_result, progress, remark
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import refuse_existing
from poseworks.core.read_options import ReadOptions
from poseworks.keypoints.options import NETWORK_HELP, DetectOptions

if TYPE_CHECKING:
    from poseworks.keypoints.assembly import Detected

_UNFIT = {2: (".trc",), 3: (".trc", ".json")}  # formats that hold no pixels, and none of 3D about the hips


def detect(
    source: Annotated[
        str, Parameter(help="A video, a folder of pictures, or one picture; with --live also a camera's number.")
    ],
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Poses file (.npz), or any format that core writes.")
    ] = None,
    skeleton: Annotated[
        str | None, Parameter(help="Of the result, such as coco17. Default: the detector's own, blazepose33.")
    ] = None,
    looking: DetectOptions = DetectOptions(),  # noqa: B008 (frozen)
    fps: Annotated[float | None, Parameter(help="Frames per second of a folder of pictures.")] = None,
    model: Annotated[str | None, Parameter(help=NETWORK_HELP)] = None,
    world: Annotated[
        bool,
        Parameter(
            negative="", help="Also write the network's own 3D guess (metres about the hips): OUTPUT with .world in it."
        ),
    ] = False,
    live: Annotated[
        bool,
        Parameter(
            negative="",
            help="Follow a camera, or a video as if it were one, and print people as they come until Ctrl-C; with "
            "--json a JSON object a frame, each on a line.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The people in a recording, or before a camera, and their keypoints."""
    from poseworks.keypoints.detection import find_people

    settings = looking.settings(skeleton, fps, model)
    if live:
        from poseworks.keypoints.live import follow_live

        if world:
            raise ConfigError("--world: is written from a recording. Drop it, or drop --live.")
        if output is not None:
            _check_output(output, overwrite)
        follow_live(source, settings, output=output, overwrite=overwrite, json=json, quiet=quiet)
        return
    if source.isascii() and source.isdigit() and not Path(source).exists():
        raise DataError(f"{source}: does not exist. If a camera is meant, add --live; else name a recording.")
    if output is None:
        raise ConfigError("--output: expected the file to write, such as -o tracks.npz.")
    if world and settings.detector != "blazepose":
        raise ConfigError("--world: this detector gives no 3D. Drop it, or use the detector blazepose.")
    _check_output(output, overwrite)
    second = output.with_name(f"{output.stem}.world{output.suffix}") if world else None
    if second is not None:
        _check_output(second, overwrite, dims=3)
    with progress(_stated_frames(source, fps), "detect", quiet=quiet or json) as advance:
        found = find_people(source, settings, advance=advance)
    _write(found, output, second, overwrite)
    for note in found.notes:
        remark(f"note: {note}", quiet=quiet or json)
    _show(found, output, second, json=json, quiet=quiet)


def models(*, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Every network, shipped or published: size, licence, training data, where it is."""
    from poseworks.core.verbs import show_models
    from poseworks.keypoints.models import model_cards

    show_models(model_cards(), json=json, quiet=quiet)


def convert(
    file: Path,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="The ONNX file.")],
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A published landmark network (.tflite) as the ONNX file that `detect` runs."""
    from poseworks.keypoints.tflite_to_onnx import convert_network

    print_result(convert_network(file, output, overwrite=overwrite), json=json, quiet=quiet)


def inspect(
    file: Path,
    *,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What a file is: a recording, poses of any known format, or a pose network."""
    from poseworks.keypoints.inspection import inspect_file

    print_result(inspect_file(file, reading), json=json, quiet=quiet)


def _check_output(path: Path, overwrite: bool, dims: Literal[2, 3] = 2) -> None:
    """ConfigError for a path that cannot work, before any work."""
    from poseworks.core.formats.detection import BY_SUFFIX

    refuse_existing(path, overwrite)
    suffixes = [suffix for suffix in BY_SUFFIX if suffix not in _UNFIT[dims]]
    if path.suffix.lower() not in suffixes:
        raise ConfigError(
            f"{path}: the suffix {path.suffix!r} names no format for {dims}D poses; expected {', '.join(suffixes)}. "
            "For example -o tracks.npz."
        )
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist. Create it first.")


def _stated_frames(source: str, fps: float | None) -> int | None:
    """How many frames the recording says it has, for the progress bar."""
    from poseworks.core.video import open_video

    with open_video(source, fps=fps) as video:
        return video.info.stated_frames


def _write(found: Detected, output: Path, world: Path | None, overwrite: bool) -> None:
    """Both files; the first does not stay, if it is new, when the second cannot be written."""
    from poseworks.core import write_poses

    is_new = not output.exists()
    write_poses(found.poses, output, overwrite=overwrite)
    if world is None:
        return
    assert found.world is not None
    try:
        write_poses(found.world, world, overwrite=overwrite)
    except BaseException:
        if is_new:
            output.unlink(missing_ok=True)
        raise


def _show(found: Detected, output: Path, world: Path | None, *, json: bool, quiet: bool) -> None:
    """Who was found, and where it is written."""
    poses = found.poses
    assert poses.person_ids is not None
    seconds = poses.seconds
    people = []
    for row, number in enumerate(poses.person_ids.tolist()):
        frames = poses.observed[row].any(axis=1).nonzero()[0]
        people.append(
            {
                "id": number,
                "frames": len(frames),
                "first_s": float(seconds[frames[0]]),
                "last_s": float(seconds[frames[-1]]),
                "confidence": float(poses.confidence[row, frames].mean()),
            }
        )
    result = {
        "output": output,
        "world": world,
        "frames": poses.num_frames,
        "frames_looked_at": found.looked_at,
        "fps": poses.fps,
        "image_size": poses.image_size,
        "skeleton": poses.skeleton,
        "people": people,
        "notes": found.notes,
        "history": poses.history,
    }
    columns = ("person", "frames seen", "from (s)", "to (s)", "mean confidence")
    table = make_table("", columns, [tuple(person.values()) for person in people])
    size = "x".join(map(str, poses.image_size or ()))
    line = f"{output}: {poses.num_frames} frames of {size} at {poses.fps:.4g} fps, {poses.skeleton}"
    print_result(
        result, json=json, text=[line, *([f"{world}: the network's own 3D"] if world else []), table], quiet=quiet
    )
