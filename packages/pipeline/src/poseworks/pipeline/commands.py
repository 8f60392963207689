"""The verbs of `poseworks`. Heavy imports stand inside the functions, so that `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from poseworks.core.body_options import BodyOptions
from poseworks.core.cli import (
    Device,
    Json,
    Output,
    Overwrite,
    Quiet,
    Verbose,
    print_result,
    remark,
)
from poseworks.core.errors import ConfigError
from poseworks.core.read_options import ReadOptions
from poseworks.pipeline.actions import ActionChoice
from poseworks.pipeline.bodies import BodyChoice
from poseworks.pipeline.inputs import InputOptions
from poseworks.pipeline.lifting import LiftChoice

if TYPE_CHECKING:
    from poseworks.pipeline.run import RunResult
    from poseworks.pipeline.steps import ChainConfig

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
    config: Annotated[Path | None, Parameter(help="TOML file with other [[steps]] than these.")] = None,
    actions: ActionChoice = ActionChoice(),  # noqa: B008 (frozen)
    lifting: LiftChoice = LiftChoice(),  # noqa: B008 (frozen)
    bodies: BodyChoice = BodyChoice(),  # noqa: B008 (frozen)
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A shipped clip of a walking woman: found, smoothed, her actions, 3D, a body; files and report.html."""
    from poseworks.pipeline.demonstration import demo as run_demo
    from poseworks.pipeline.showing import show

    folder = DEMO_FOLDER if output is None else output
    chain = _Wanted(config, None, None, False, actions, lifting, bodies).chain(1.0, 1, unswap=False)
    result = run_demo(folder, chain, glb=bodies.glb, overwrite=overwrite or output is None, quiet=quiet or json)
    show(result, json=json, quiet=quiet)


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
    actions: ActionChoice = ActionChoice(),  # noqa: B008 (frozen)
    lifting: LiftChoice = LiftChoice(),  # noqa: B008 (frozen)
    bodies: BodyChoice = BodyChoice(),  # noqa: B008 (frozen)
    asked: InputOptions = InputOptions(),  # noqa: B008 (frozen)
    device: Device = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The people in a recording, or poses of any known format: smoothed, actions, in 3D; files and report.html."""
    from poseworks.pipeline.showing import show

    wanted = _Wanted(config, model, filter, guard, actions, lifting, bodies)
    options = {"overwrite": overwrite, "device": device, "quiet": quiet or json, "glb": bodies.glb}
    if asked.kind(input) == "recording":
        result = _run_recording(input, output, video, wanted, asked, options)
    else:
        result = _run_poses(Path(input), output, video, wanted, asked, options)
    show(result, json=json, quiet=quiet)


def convert(
    input: Path,  # noqa: A002 (the contract's word)
    *,
    output: Output,
    to_format: Annotated[str | None, Parameter(help="Format to write; without it, told by the suffix.")] = None,
    to_skeleton: Annotated[str | None, Parameter(help="Skeleton to convert to, such as h36m17.")] = None,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    motion: BodyOptions = BodyOptions(),  # noqa: B008 (frozen)
    mesh: Annotated[
        Path | None, Parameter(help="Weights of GraphCMR, Graphormer: mesh_downsampling.npz, beside --body.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Poses in another format (--to-format, or by the suffix) or on another skeleton; a checkpoint as a folder.

    Body motion (a body file, AMASS, HumanData) as glTF (.glb), BVH, OBJ, a body file (.npz), AMASS or HumanData.
    """
    from poseworks.core import SKELETONS, write_poses
    from poseworks.core import convert as convert_skeleton
    from poseworks.core.body_models.motion_files import convert_motion, motion_facts, motion_format
    from poseworks.core.files import refuse_existing
    from poseworks.core.inspection import poses_facts
    from poseworks.core.verbs import convert_checkpoint
    from poseworks.pipeline.showing import line_of
    from poseworks.pipeline.weights import is_named_as_weights, load_weights

    if motion_format(input) is not None:
        unused = [name for name, value in vars(reading).items() if value and name not in ("fps", "person")]
        if unused or to_skeleton is not None:
            raise ConfigError(
                f"{input}: is body motion, of which only --person, --fps, --to-format and what is said about "
                "body motion can be asked. Leave the others out."
            )
        written, notes = convert_motion(
            input, output, motion, to_format=to_format, fps=reading.fps, person=reading.person, overwrite=overwrite
        )
        for note in notes:
            remark(f"note: {note}", quiet=quiet or json)
        data = {"output": output, "notes": notes, **motion_facts(written)}
        text = f"{output}: {written.num_people} people, {written.num_frames} frames, {written.body} body"
        print_result(data, json=json, text=text, quiet=quiet)
        return
    weights = is_named_as_weights(str(input))
    not_of_motion = [name for name in motion.given if not (weights and name == "--body")]
    if not_of_motion:
        raise ConfigError(f"{', '.join(not_of_motion)}: for body motion, which {input} is not. Leave it out.")
    if mesh is not None and not weights:
        raise ConfigError(f"--mesh: for weights of networks on a mesh, which {input} is not. Leave it out.")
    if weights:
        if to_format is not None or to_skeleton is not None:
            raise ConfigError(f"--to-format, --to-skeleton: for poses, and {input} holds weights. Leave them out.")
        refuse_existing(output, overwrite)
        network, save = load_weights(input, mesh=mesh, body=motion.body)
        convert_checkpoint(input, output, lambda: network, save, overwrite=overwrite, json=json, quiet=quiet)
        return
    poses = reading.read(input)
    if to_skeleton is not None:
        if to_skeleton not in SKELETONS:
            raise ConfigError(f"--to-skeleton {to_skeleton}: unknown; expected one of {', '.join(SKELETONS)}.")
        poses = convert_skeleton(poses, SKELETONS[to_skeleton])
        approximated = poses.history[-1].get("settings", {}).get("approximated")
        if approximated:
            remark(f"approximated joints: {', '.join(approximated)}", quiet=quiet)
    write_poses(poses, output, format=to_format, overwrite=overwrite)
    print_result({"output": output, **poses_facts(poses)}, json=json, text=f"{output}: {line_of(poses)}", quiet=quiet)


def inspect(
    file: str,
    *,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What a file is: a recording, poses of any known format, body motion, or weights of any method."""
    from poseworks.pipeline.inspection import inspect_file

    print_result(inspect_file(file, reading), json=json, quiet=quiet)


def models(*, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Every model of every method, shipped or published."""
    from poseworks.core.verbs import show_models
    from poseworks.keypoints.models import model_cards as detectors
    from poseworks.lifting.models import model_cards as lifters
    from poseworks.mesh_recovery.models import model_cards as recoverers
    from poseworks.skeleton_action.models import model_cards as recognizers
    from poseworks.temporal.models import model_cards as smoothers

    show_models([*detectors(), *smoothers(), *lifters(), *recognizers(), *recoverers()], json=json, quiet=quiet)


@dataclass(frozen=True)
class _Wanted:
    """What the options say about the chain."""

    config: Path | None
    model: str | None
    filter: str | None
    guard: bool
    actions: ActionChoice
    lifting: LiftChoice
    bodies: BodyChoice

    def chain(self, fps: float, every: int, unswap: bool, dims: int = 2) -> ChainConfig:
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
            if self.lifting != LiftChoice():
                raise ConfigError(
                    "--config: states the whole chain; drop what you say about lifting, or write a step of kind lift "
                    "into the file."
                )
            if self.actions != ActionChoice():
                raise ConfigError(
                    "--config: states the whole chain; drop what you say about recognizing actions, or write a step of "
                    "kind recognize into the file."
                )
            if replace(self.bodies, glb=False) != BodyChoice():
                raise ConfigError(
                    "--config: states the whole chain; drop what you say about bodies, or write a step of kind fit "
                    "into the file."
                )
            return read_config(self.config, ChainConfig)
        recognize, lift = self.actions.step(), self.lifting.step(bodies=self.bodies.body is not False)
        fit = self.bodies.step(self.lifting)
        if dims == 3:  # what is not asked for is left out: two are not for 3D poses, and these need no body
            recognize = None if recognize is not None and recognize.optional else recognize
            lift = None if lift is not None and lift.optional else lift
            fit = None if fit is not None and fit.optional else fit
        if self.model is not None and self.filter is not None:
            raise ConfigError("--filter: takes the place of a model; drop --model or --filter.")
        return default_chain(
            every,
            unswap=unswap,
            model=self.model,
            filter=None if self.filter is None else parse_filter(self.filter, fps),
            guard=self.guard,
            recognize=recognize,
            lift=lift,
            fit=fit,
        )


def _run_recording(
    path: str, output: Path, video: Path | None, wanted: _Wanted, asked: InputOptions, options: dict[str, Any]
) -> RunResult:
    """People first, then the chain; left and right are put back by the detector."""
    from poseworks.core.video import open_video
    from poseworks.pipeline.run import run_recording

    if video is not None:
        raise ConfigError(f"--video: {path} is a recording itself, and becomes part of the report. Leave --video out.")
    settings = asked.looking()
    with open_video(path, fps=settings.fps) as opened:
        chain = wanted.chain(opened.info.fps, settings.every, unswap=False)
    return run_recording(path, output, settings, chain, world=asked.world, **options)


def _run_poses(
    path: Path, output: Path, video: Path | None, wanted: _Wanted, asked: InputOptions, options: dict[str, Any]
) -> RunResult:
    """Poses of any detector through the chain."""
    from poseworks.pipeline.run import run_chain
    from poseworks.pipeline.sparse import sampled_every
    from poseworks.pipeline.steps import is_repaired

    if wanted.config is not None and asked.unswap is not None:
        raise ConfigError(
            "--config: states the whole chain; drop --unswap and --no-unswap, or write a step of kind unswap into it."
        )
    poses = asked.reading().read(path)
    unswap = not is_repaired(poses.history) if asked.unswap is None else asked.unswap
    chain = wanted.chain(poses.fps, sampled_every(poses.history), unswap, poses.num_dims)
    return run_chain(poses, output, chain, video=video, title=(video or path).name, **options)
