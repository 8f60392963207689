"""The verbs of `poseworks`. Heavy imports stand inside the functions, so that `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from poseworks.core.cli import (
    Device,
    Json,
    Output,
    Overwrite,
    Quiet,
    Verbose,
    make_table,
    print_result,
    remark,
)
from poseworks.core.errors import ConfigError

if TYPE_CHECKING:
    from poseworks.core import PoseSequence
    from poseworks.pipeline.run import RunResult
    from poseworks.pipeline.steps import ChainConfig
    from poseworks.temporal.harm import BeforeAfter

DEMO_FOLDER = Path("poseworks-demo")


@Parameter(name="*")
@dataclass(frozen=True)
class Reading:
    """What the file does not say itself; what it does say must agree."""

    format: Annotated[str | None, Parameter(help="Format of the input, where its content does not tell.")] = None
    fps: Annotated[float | None, Parameter(help="Frames per second.")] = None
    image_size: Annotated[str | None, Parameter(help="Size of the image in pixels, such as 1920x1080.")] = None
    skeleton: Annotated[str | None, Parameter(help="Skeleton of the joints in the file, such as coco17.")] = None
    unit: Annotated[str | None, Parameter(help="px, m, mm or normalised.")] = None
    frame: Annotated[str | None, Parameter(help="image, camera, world or root.")] = None
    person: Annotated[int | None, Parameter(help="Read this person alone.")] = None
    people: Annotated[str | None, Parameter(help="by_order: people without numbers keep their place.")] = None
    sequence: Annotated[str | None, Parameter(help="Which of several sequences in the file.")] = None
    first_frame: Annotated[int | None, Parameter(help="Number that the file gives to the first frame.")] = None
    world: Annotated[bool, Parameter(negative="", help="MediaPipe's 3D landmarks instead of the 2D ones.")] = False

    def read(self, path: Path) -> PoseSequence:
        """The poses in `path`, with these hints."""
        from poseworks.core import read_poses

        hints = {name: value for name, value in vars(self).items() if name not in ("format", "world")}
        return read_poses(path, format=self.format, world=self.world or None, **hints)


def demo_command(
    *,
    output: Annotated[
        Path | None,
        Parameter(
            name=["--output", "-o"],
            help=f"Folder of the result. Default: {DEMO_FOLDER}, where an earlier demo is replaced; "
            "another folder's files are replaced only with --overwrite.",
        ),
    ] = None,
    config: Annotated[Path | None, Parameter(help="TOML file with other [[steps]] than smoothing.")] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The shipped clip of a walking woman with its stored detections, smoothed: poses files and report.html."""
    from poseworks.pipeline.demonstration import demo

    folder = DEMO_FOLDER if output is None else output
    result = demo(folder, _chain(config), overwrite=overwrite or output is None, quiet=quiet or json)
    _show(result, json=json, quiet=quiet)


def run_command(
    input: Path,  # noqa: A002 (the contract's word)
    *,
    output: Output,
    video: Annotated[Path | None, Parameter(help="The recording; it becomes part of the report.")] = None,
    config: Annotated[Path | None, Parameter(help="TOML file with the [[steps]] of the chain.")] = None,
    model: Annotated[str | None, Parameter(help="Smooth with this model instead of the general weights.")] = None,
    guard: Annotated[
        bool, Parameter(negative="", help="Limit each correction to what the input's own noise explains.")
    ] = False,
    reading: Reading = Reading(),
    device: Device = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Poses of any known format, smoothed (or through the steps of --config): poses files and report.html."""
    from poseworks.pipeline.run import run_chain

    poses = reading.read(input)
    chain = _chain(config, model, guard)
    result = run_chain(
        poses, output, chain, video=video, title=f"{(video or input).name}, smoothed", overwrite=overwrite,
        device=device, quiet=quiet or json,
    )  # fmt: skip
    _show(result, json=json, quiet=quiet)


def convert_command(
    input: Path,  # noqa: A002 (the contract's word)
    *,
    output: Output,
    to_format: Annotated[str | None, Parameter(help="Format to write; without it, told by the suffix.")] = None,
    to_skeleton: Annotated[str | None, Parameter(help="Skeleton to convert to, such as h36m17.")] = None,
    reading: Reading = Reading(),
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A file of poses in another format (--to-format, or by the suffix) or on another skeleton (--to-skeleton)."""
    from poseworks.core import SKELETONS, convert, write_poses

    poses = reading.read(input)
    if to_skeleton is not None:
        if to_skeleton not in SKELETONS:
            raise ConfigError(f"--to-skeleton {to_skeleton}: unknown; expected one of {', '.join(SKELETONS)}.")
        poses = convert(poses, SKELETONS[to_skeleton])
        approximated = poses.history[-1].get("settings", {}).get("approximated")
        if approximated:
            remark(f"approximated joints: {', '.join(approximated)}", quiet=quiet)
    write_poses(poses, output, format=to_format, overwrite=overwrite)
    print_result({"output": output, **_facts(poses)}, json=json, text=f"{output}: {_line(poses)}", quiet=quiet)


def inspect_command(
    file: Path,
    *,
    reading: Reading = Reading(),
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What a file is: poses of any known format, or a checkpoint."""
    print_result(_inspect(file, reading), json=json, quiet=quiet)


def models_command(*, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Every model of every method, shipped or published."""
    from poseworks.temporal.commands import models

    models(json=json, quiet=quiet, verbose=verbose)


def _chain(config: Path | None, model: str | None = None, guard: bool = False) -> ChainConfig:
    """The chain that the options ask for."""
    from poseworks.core.config import read_config
    from poseworks.pipeline.steps import ChainConfig, SmoothStep

    if config is None:
        chosen = {} if model is None else {"model": model}
        return ChainConfig(steps=(SmoothStep(guard=guard, **chosen),))
    if model is not None or guard:
        raise ConfigError("--config: states the whole chain; drop --model and --guard, or write them into the file.")
    return read_config(config, ChainConfig)


def _show(result: RunResult, *, json: bool, quiet: bool) -> None:
    """A short table of what smoothing did, notes and paths."""
    unit = result.harm.unit
    rows: list[tuple[object, ...]] = []
    for person in result.harm.people:
        who = f"person {person.person}: " if len(result.harm.people) > 1 else ""
        rows += [
            (f"{who}acceleration ({unit}/frame²)", *_pair(person.acceleration)),
            (f"{who}jerk ({unit}/frame³)", *_pair(person.jerk)),
        ]
        if person.bone_length_spread.before is not None:
            rows.append((f"{who}bone-length spread", *_pair(person.bone_length_spread)))
        if person.foot_slide.before is not None:
            rows.append((f"{who}foot slide ({unit}/s)", *_pair(person.foot_slide)))
        kept = None if person.power_kept is None else f"{100 * person.power_kept:.0f} %"
        rows += [
            (f"{who}moved, mean ({unit})", None, person.displacement_mean, ""),
            (f"{who}1-6 Hz power kept", None, kept, ""),
            (f"{who}verdict", None, person.verdict, ""),
        ]
    shown = [
        tuple("" if cell is None else cell if isinstance(cell, str) else f"{cell:.4g}" for cell in row) for row in rows
    ]
    for note in result.notes:
        remark(f"note: {note}", quiet=quiet)
    paths = "\n".join(f"{name:>7}  {path}" for name, path in result.files.items())
    text = [make_table("", ("measure", "before", "after", "change"), shown), paths]
    print_result({"files": result.files, "harm": result.harm, "notes": result.notes}, json=json, text=text, quiet=quiet)


def _pair(pair: BeforeAfter) -> tuple[float | None, float | None, str]:
    from poseworks.temporal.report import change

    return pair.before, pair.after, change(pair)


def _inspect(file: Path, reading: Reading) -> dict[str, Any]:
    """Facts about a poses file of any format, or what temporal says about a checkpoint."""
    from poseworks.core import detect_format
    from poseworks.core.errors import FormatError

    try:
        name = reading.format or detect_format(file)
    except FormatError as unknown:
        return _inspect_checkpoint(file, unknown)
    poses = reading.read(file)
    return {"file": file, "format": name, **_facts(poses)}


def _inspect_checkpoint(file: Path, unknown: Exception) -> dict[str, Any]:
    raise unknown


def _facts(poses: PoseSequence) -> dict[str, Any]:
    seen = poses.observed
    return {
        "people": poses.num_people,
        "frames": poses.num_frames,
        "joints": poses.num_joints,
        "dimensions": poses.num_dims,
        "skeleton": poses.skeleton,
        "fps": poses.fps,
        "seconds": poses.num_frames / poses.fps,
        "unit": poses.unit,
        "frame": poses.frame,
        "image_size": poses.image_size,
        "observed": float(seen.mean()) if seen.size else None,
        "history": poses.history,
    }


def _line(poses: PoseSequence) -> str:
    return (
        f"{poses.num_people} people, {poses.num_frames} frames at {poses.fps:g} fps, {poses.skeleton} "
        f"({poses.num_joints} joints), {poses.num_dims}D {poses.unit}, {poses.frame} frame"
    )
