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
from poseworks.core.read_options import ReadOptions
from poseworks.pipeline.inputs import InputOptions

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
    """A shipped clip of a walking woman: found in its pixels, smoothed, written as poses files and report.html."""
    from poseworks.core.config import read_config
    from poseworks.pipeline.demonstration import demo as run_demo
    from poseworks.pipeline.steps import ChainConfig

    folder = DEMO_FOLDER if output is None else output
    chain = None if config is None else read_config(config, ChainConfig)
    result = run_demo(folder, chain, overwrite=overwrite or output is None, quiet=quiet or json)
    _show(result, json=json, quiet=quiet)


def run(
    input: Annotated[  # noqa: A002 (the contract's word)
        str, Parameter(help="A video, a folder of pictures, a picture, or poses of any known format.")
    ],
    *,
    output: Output,
    video: Annotated[
        Path | None, Parameter(help="Poses: the recording that they were found in; it becomes part of the report.")
    ] = None,
    config: Annotated[Path | None, Parameter(help="TOML file with the [[steps]] of the chain.")] = None,
    model: Annotated[str | None, Parameter(help="Smooth with this model instead of the general weights.")] = None,
    filter: Annotated[  # noqa: A002 (the word for it)
        str | None, Parameter(help="Smooth with a filter instead of a model, such as gaussian:sigma_frames=3.")
    ] = None,
    guard: Annotated[
        bool, Parameter(negative="", help="Limit each correction to what the input's own noise explains.")
    ] = False,
    asked: InputOptions = InputOptions(),  # noqa: B008 (frozen)
    device: Device = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The people in a recording, or poses of any known format, smoothed: poses files and report.html."""
    smoothing = _Smoothing(config, model, filter, guard)
    options = {"overwrite": overwrite, "device": device, "quiet": quiet or json}
    if asked.kind(input) == "recording":
        result = _run_recording(input, output, video, smoothing, asked, options)
    else:
        result = _run_poses(Path(input), output, video, smoothing, asked, options)
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
    from poseworks.core.inspection import poses_facts

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
    file: str,
    *,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What a file is: a recording, poses of any known format, or weights of any method."""
    from poseworks.pipeline.inspection import inspect_file

    print_result(inspect_file(file, reading), json=json, quiet=quiet)


def models(*, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Every model of every method, shipped or published."""
    from poseworks.core.verbs import show_models
    from poseworks.keypoints.models import model_cards as networks
    from poseworks.temporal.models import model_cards as smoothers

    show_models([*networks(), *smoothers()], json=json, quiet=quiet)


@dataclass(frozen=True)
class _Smoothing:
    """What the options say about the chain."""

    config: Path | None
    model: str | None
    filter: str | None
    guard: bool

    def chain(self, fps: float, every: int, unswap: bool) -> ChainConfig:
        """The chain for poses of every N-th frame, in which left and right may have to be put back.

        Raises:
            ConfigError: options that exclude one another, or a file that cannot be read.
        """
        from poseworks.core.config import read_config
        from poseworks.pipeline.steps import ChainConfig, default_chain
        from poseworks.temporal.filter_options import parse_filter

        if self.config is not None:
            if self.model is not None or self.filter is not None or self.guard:
                raise ConfigError(
                    "--config: states the whole chain; drop --model, --filter and --guard, or write them into the file."
                )
            return read_config(self.config, ChainConfig)
        if self.filter is None:
            return default_chain(every, unswap=unswap, model=self.model, guard=self.guard)
        if self.model is not None:
            raise ConfigError("--filter: takes the place of a model; drop --model or --filter.")
        return default_chain(every, unswap=unswap, filter=parse_filter(self.filter, fps), guard=self.guard)


def _run_recording(
    path: str, output: Path, video: Path | None, smoothing: _Smoothing, asked: InputOptions, options: dict[str, Any]
) -> RunResult:
    """People first, then the chain; left and right are put back by the detector."""
    from poseworks.core.video import open_video
    from poseworks.pipeline.run import run_recording

    if video is not None:
        raise ConfigError(f"--video: {path} is a recording itself, and becomes part of the report. Leave --video out.")
    settings = asked.looking()
    with open_video(path, fps=settings.fps) as opened:
        chain = smoothing.chain(opened.info.fps, settings.every, unswap=False)
    return run_recording(path, output, settings, chain, world=asked.world, **options)


def _run_poses(
    path: Path, output: Path, video: Path | None, smoothing: _Smoothing, asked: InputOptions, options: dict[str, Any]
) -> RunResult:
    """Poses of any detector through the chain."""
    from poseworks.pipeline.run import run_chain
    from poseworks.pipeline.sparse import sampled_every
    from poseworks.pipeline.steps import is_repaired

    if smoothing.config is not None and asked.unswap is not None:
        raise ConfigError(
            "--config: states the whole chain; drop --unswap and --no-unswap, or write a step of kind unswap into it."
        )
    poses = asked.reading().read(path)
    unswap = not is_repaired(poses.history) if asked.unswap is None else asked.unswap
    chain = smoothing.chain(poses.fps, sampled_every(poses.history), unswap)
    return run_chain(poses, output, chain, video=video, title=f"{(video or path).name}, smoothed", **options)


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
