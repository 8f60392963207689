"""The verbs of `poseworks`. Heavy imports stand inside the functions, so that `--help` answers at once."""

from __future__ import annotations

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
from poseworks.core.read_options import ReadOptions

if TYPE_CHECKING:
    from poseworks.core import PoseSequence
    from poseworks.pipeline.run import RunResult
    from poseworks.pipeline.steps import ChainConfig
    from poseworks.temporal.harm import BeforeAfter

DEMO_FOLDER = Path("poseworks-demo")


def demo(
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
    from poseworks.pipeline.demonstration import demo as run_demo

    folder = DEMO_FOLDER if output is None else output
    result = run_demo(folder, _chain(config), overwrite=overwrite or output is None, quiet=quiet or json)
    _show(result, json=json, quiet=quiet)


def run(
    input: Path,  # noqa: A002 (the contract's word)
    *,
    output: Output,
    video: Annotated[Path | None, Parameter(help="The recording; it becomes part of the report.")] = None,
    config: Annotated[Path | None, Parameter(help="TOML file with the [[steps]] of the chain.")] = None,
    model: Annotated[str | None, Parameter(help="Smooth with this model instead of the general weights.")] = None,
    filter: Annotated[  # noqa: A002 (the word for it)
        str | None, Parameter(help="Smooth with a filter instead of a model, such as gaussian:sigma_frames=3.")
    ] = None,
    guard: Annotated[
        bool, Parameter(negative="", help="Limit each correction to what the input's own noise explains.")
    ] = False,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    device: Device = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Poses of any known format, smoothed (or through the steps of --config): poses files and report.html."""
    from poseworks.pipeline.run import run_chain

    poses = reading.read(input)
    chain = _chain(config, model, filter, guard, poses.fps)
    result = run_chain(
        poses, output, chain, video=video, title=f"{(video or input).name}, smoothed", overwrite=overwrite,
        device=device, quiet=quiet or json,
    )  # fmt: skip
    _show(result, json=json, quiet=quiet)


def convert(
    input: Path,  # noqa: A002 (the contract's word)
    *,
    output: Output,
    to_format: Annotated[str | None, Parameter(help="Format to write; without it, told by the suffix.")] = None,
    to_skeleton: Annotated[str | None, Parameter(help="Skeleton to convert to, such as h36m17.")] = None,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A file of poses in another format (--to-format, or by the suffix) or on another skeleton (--to-skeleton)."""
    from poseworks.core import SKELETONS, write_poses
    from poseworks.core import convert as convert_skeleton
    from poseworks.temporal.inspection import poses_facts

    poses = reading.read(input)
    if to_skeleton is not None:
        if to_skeleton not in SKELETONS:
            raise ConfigError(f"--to-skeleton {to_skeleton}: unknown; expected one of {', '.join(SKELETONS)}.")
        poses = convert_skeleton(poses, SKELETONS[to_skeleton])
        approximated = poses.history[-1].get("settings", {}).get("approximated")
        if approximated:
            remark(f"approximated joints: {', '.join(approximated)}", quiet=quiet)
    write_poses(poses, output, format=to_format, overwrite=overwrite)
    print_result({"output": output, **poses_facts(poses)}, json=json, text=f"{output}: {_line(poses)}", quiet=quiet)


def inspect(
    file: Path,
    *,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What a file is: poses of any known format, or a checkpoint."""
    from poseworks.temporal.inspection import inspect_file

    print_result(inspect_file(file, reading, {}), json=json, quiet=quiet)


def models(*, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Every model of every method, shipped or published."""
    from poseworks.temporal.commands import models as models_of_temporal

    models_of_temporal(json=json, quiet=quiet, verbose=verbose)


def _chain(
    config: Path | None,
    model: str | None = None,
    filter: str | None = None,  # noqa: A002 (the word for it)
    guard: bool = False,
    fps: float = 30.0,
) -> ChainConfig:
    """The chain that the options ask for."""
    from poseworks.core.config import read_config
    from poseworks.pipeline.steps import DEFAULT_SMOOTHER, ChainConfig, FilterStep, SmoothStep
    from poseworks.temporal.filter_options import parse_filter

    if config is not None:
        if model is not None or filter is not None or guard:
            raise ConfigError(
                "--config: states the whole chain; drop --model, --filter and --guard, or write them into the file."
            )
        return read_config(config, ChainConfig)
    if filter is None:
        return ChainConfig(steps=(SmoothStep(model=model or DEFAULT_SMOOTHER, guard=guard),))
    if model is not None:
        raise ConfigError("--filter: takes the place of a model; drop --model or --filter.")
    chosen = parse_filter(filter, fps).model_dump()
    return ChainConfig(steps=(FilterStep.model_validate({"filter": chosen, "guard": guard}),))


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
    text: list[Any] = [make_table("", ("measure", "before", "after", "change"), shown), paths]
    print_result({"files": result.files, "harm": result.harm, "notes": result.notes}, json=json, text=text, quiet=quiet)


def _pair(pair: BeforeAfter) -> tuple[float | None, float | None, str]:
    from poseworks.temporal.report import change

    return pair.before, pair.after, change(pair)


def _line(poses: PoseSequence) -> str:
    return (
        f"{poses.num_people} people, {poses.num_frames} frames at {poses.fps:g} fps, {poses.skeleton} "
        f"({poses.num_joints} joints), {poses.num_dims}D {poses.unit}, {poses.frame} frame"
    )
