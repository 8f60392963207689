"""The verbs of `poseworks-temporal`. Heavy imports stand inside the functions, so that `--help` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from poseworks.core.cli import Device, Json, Output, Overwrite, Quiet, Verbose, Whole
from poseworks.core.read_options import ReadOptions
from poseworks.core.train_command import train_verb

if TYPE_CHECKING:
    from poseworks.temporal.smoothing import SmoothSettings

Source = Annotated[Path, Parameter(help="A shipped name, a saved folder, or an original checkpoint file.")]
Interval = Annotated[
    int | None, Whole, Parameter(help="DeciWatch: frames between sampled ones, where the file name is silent.")
]
Q = Annotated[int | None, Whole, Parameter(name="--q", help="DeciWatch: sampled frames of a window - 1, likewise.")]
CrossAttention = Annotated[
    Literal["masked", "additive"] | None, Parameter(help="DeciWatch: what its decoder sees of unsampled frames.")
]


def smooth(
    *inputs: Annotated[Path, Parameter(name="INPUT", help="Poses in any known format.")],
    output: Output,
    model: Annotated[
        str | None,
        Parameter(
            help="A shipped name, a saved folder, or an original checkpoint file. Default: smoothnet-general-w32; with "
            "--latency the shipped weights made for it."
        ),
    ] = None,
    filter: Annotated[  # noqa: A002 (the word for it)
        str | None,
        Parameter(
            help="A filter instead of a model: gaussian:sigma_frames=3, savitzky_golay:window=11,order=2, "
            "median:window=7+gaussian:sigma_frames=2, one_euro:min_cutoff_hz=1.5,beta=1, "
            "butterworth:cutoff_hz=6,order=2, or a published set such as gaussian_paper."
        ),
    ] = None,
    unswap: Annotated[
        bool, Parameter(negative="", help="First exchange left and right back where the detector exchanged them.")
    ] = False,
    guard: Annotated[
        bool, Parameter(negative="", help="Limit each correction to what the input's own noise explains.")
    ] = False,
    latency: Annotated[
        int | None, Whole, Parameter(help="Frames of the future that a frame may know, as in a stream.")
    ] = None,
    max_gap: Annotated[float | None, Parameter(help="Longest gap, in seconds, that is filled. Default 0.5.")] = None,
    min_confidence: Annotated[float, Parameter(help="Joints below it count as missing.")] = 0.0,
    stride: Annotated[int | None, Whole, Parameter(help="Frames between windows. Default: as published.")] = None,
    short: Annotated[
        Literal["pad", "zero", "identity"], Parameter(help="What happens to a clip shorter than a window.")
    ] = "pad",
    root: Annotated[str, Parameter(help="Root joints, such as left_hip,right_hip. Default: the skeleton's.")] = "",
    report: Annotated[Path | None, Parameter(help="Write this HTML page: skeletons, curves, harm report.")] = None,
    video: Annotated[Path | None, Parameter(help="The recording, shown in the report.")] = None,
    interval: Interval = None,
    q: Q = None,
    cross_attention: CrossAttention = None,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    device: Device = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Poses smoothed by a network or a filter, and what that did to the motion.

    With one INPUT, OUTPUT is a file (.npz, .json, .csv, .trc by its suffix); with several, a folder of .npz files, and
    REPORT a folder of pages.
    """
    from poseworks.core.poses_command import Paths
    from poseworks.temporal.smooth_command import ModelChoice, run_smooth

    settings = _settings(
        **({} if max_gap is None else {"max_gap_s": max_gap}),
        min_confidence=min_confidence,
        unswap=unswap,
        guard=guard,
        latency_frames=latency,
        stride=stride,
        short=short,
        root=tuple(name.strip() for name in root.split(",") if name.strip()),
    )
    choice = ModelChoice(model, filter, _given(interval, q, cross_attention), device)
    run_smooth(Paths(inputs, output, report, video, overwrite), choice, settings, reading, json=json, quiet=quiet)


def models(*, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Every model, shipped or published: size, licence, training data, claimed accuracy, where it is."""
    from poseworks.core.verbs import show_models
    from poseworks.temporal.models import model_cards

    show_models(model_cards(), json=json, quiet=quiet)


def inspect(
    file: Path,
    *,
    interval: Interval = None,
    q: Q = None,
    cross_attention: CrossAttention = None,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What a file is: poses of any known format, or a checkpoint with its method, variant and sizes."""
    from poseworks.core.cli import print_result
    from poseworks.temporal.inspection import inspect_file

    print_result(inspect_file(file, reading, _given(interval, q, cross_attention)), json=json, quiet=quiet)


def convert(
    file: Source,
    *,
    output: Output,
    interval: Interval = None,
    q: Q = None,
    cross_attention: CrossAttention = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """An original checkpoint as a folder of model.safetensors, config.json and README.md."""
    from poseworks.core.verbs import convert_checkpoint
    from poseworks.temporal.loading import load, save

    options = _given(interval, q, cross_attention)
    convert_checkpoint(
        file, output, lambda: load(str(file), **options), save, overwrite=overwrite, json=json, quiet=quiet
    )


def export(
    model: Annotated[str, Parameter(help="A shipped name, a saved folder, or an original checkpoint file.")],
    *,
    output: Output,
    interval: Interval = None,
    q: Q = None,
    cross_attention: CrossAttention = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A model as ONNX, verified against torch at other sizes before the file appears; a .json says how to use it."""
    from poseworks.core.verbs import export_model
    from poseworks.temporal.loading import export_onnx, load

    options = _given(interval, q, cross_attention)
    export_model(output, lambda: load(model, **options), export_onnx, overwrite=overwrite, json=json, quiet=quiet)


train = train_verb("poseworks.temporal.learning.training")


def evaluate(
    recipe: Annotated[str, Parameter(help="A published recipe, such as smoothnet-3DPW-SPIN-3D: it names the data.")],
    *,
    model: Annotated[
        str | None, Parameter(help="What is evaluated. Default: the published weights of the recipe.")
    ] = None,
    data: Annotated[Path | None, Parameter(help="Folder of the data sets. Default: POSEWORKS_DATA.")] = None,
    interval: Interval = None,
    q: Q = None,
    cross_attention: CrossAttention = None,
    device: Device = "cpu",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The published protocol on published data: the error of input and output beside the claim."""
    from poseworks.core.cli import choose_device, make_table, print_result
    from poseworks.core.errors import ConfigError
    from poseworks.temporal.learning.published_evaluation import evaluate_recipe
    from poseworks.temporal.learning.recipes import read_recipe
    from poseworks.temporal.loading import load

    name = model or getattr(read_recipe(recipe), "claims_of", None)
    if name is None:
        raise ConfigError(f"{recipe}: not a published recipe; its data are open: `nox -s benchmark -- temporal`.")
    network = load(name, **_given(interval, q, cross_attention)).to(choose_device(device))
    result = evaluate_recipe(recipe, network, data)
    rows = [(row.measure, row.before, row.after, row.frames) for row in result.rows]
    text = [
        make_table(f"{name} on {result.recipe}", ("measure", "input", "output", "frames"), rows),
        make_table("Claimed", ("measure", "input", "output", "definition"), result.claims),
    ]
    print_result({"model": name, **vars(result)}, json=json, text=text, quiet=quiet)


def _settings(**fields: Any) -> SmoothSettings:
    """How to smooth; ConfigError for a value out of its range."""
    from pydantic import ValidationError

    from poseworks.core.config import describe_faults
    from poseworks.core.errors import ConfigError
    from poseworks.temporal.smoothing import SmoothSettings

    try:
        return SmoothSettings(**fields)
    except ValidationError as error:
        raise ConfigError(f"{'; '.join(describe_faults(error, SmoothSettings))}.") from error


def _given(interval: int | None, q: int | None, cross_attention: str | None) -> dict[str, Any]:
    """The options of `load` that were stated."""
    options = {"interval": interval, "q": q, "cross_attention": cross_attention}
    return {name: value for name, value in options.items() if value is not None}
