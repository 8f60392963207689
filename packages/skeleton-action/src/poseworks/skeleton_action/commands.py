"""The verbs of `poseworks-skeleton-action`. Heavy imports stand inside the functions: `--help` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from poseworks.core.cli import Device, Json, Output, Overwrite, Quiet, Verbose, Whole
from poseworks.core.read_options import ReadOptions
from poseworks.core.train_command import RecipeName, TrainOptions
from poseworks.skeleton_action.build_options import BuildOptions
from poseworks.skeleton_action.load_options import LoadOptions
from poseworks.skeleton_action.metric_names import METRICS, Metric
from poseworks.skeleton_action.recognize_options import RecognizeOptions
from poseworks.skeleton_action.views import Preset

Source = Annotated[
    str, Parameter(help="A shipped name, a saved folder, or an original checkpoint file of mmaction or pyskl.")
]
Confusion = Annotated[Path | None, Parameter(help="Write the confusion matrix as this SVG figure.")]
Form = Annotated[
    Literal["0.x", "1.x"],
    Parameter(help="Of the result file: a list of scores (0.x, pyskl), or of tensors with the true classes (1.x)."),
]


def recognize(
    *inputs: Annotated[Path, Parameter(name="INPUT", help="2D poses in any known format.")],
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Write the timeline: .csv or .json by its suffix.")
    ] = None,
    model: Annotated[
        str | None,
        Parameter(help="A shipped name, a saved folder, or an original checkpoint file. Default: the shipped weights."),
    ] = None,
    recognition: RecognizeOptions = RecognizeOptions(),  # noqa: B008 (frozen)
    report: Annotated[Path | None, Parameter(help="Write this HTML page: keypoints and timeline.")] = None,
    video: Annotated[Path | None, Parameter(help="The recording, shown in the report.")] = None,
    plot: Annotated[Path | None, Parameter(help="Write the timeline as this SVG figure.")] = None,
    options: LoadOptions = LoadOptions(),  # noqa: B008 (frozen)
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    device: Device = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What people do: label, probability, time; "none of these" where the weights know when it is none.

    A clip is 48 frames spread over the whole recording, or over each window. With several INPUTs, OUTPUT, REPORT and
    PLOT are folders.
    """
    from poseworks.core.poses_command import Paths
    from poseworks.skeleton_action.recognize_command import ModelChoice, run_recognize
    from poseworks.skeleton_action.timeline import SUFFIXES

    paths = Paths(inputs, output, report, video, overwrite, suffixes=SUFFIXES, plot=plot)
    run_recognize(paths, ModelChoice(model, options.given(), device), recognition, reading, json=json, quiet=quiet)


def train(
    config: RecipeName,
    *,
    options: TrainOptions = TrainOptions(),  # noqa: B008 (frozen)
    validate: Annotated[
        bool,
        Parameter(negative="", help="Measure the test split every ten passes over the data, one clip a recording."),
    ] = False,
    device: Device = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Trains by a recipe; the model lies in OUTPUT/model, and --model takes it.

    --data names an annotation file, or a folder in which the published files are looked for.
    """
    from poseworks.core.train_command import run_train

    overrides = ("validation=true",) if validate else ()
    run_train(
        "poseworks.skeleton_action.learning.training", config, options, overrides=overrides, device=device,
        overwrite=overwrite, json=json, quiet=quiet,
    )  # fmt: skip


def models(*, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Every model, shipped or published: size, licence, training data, claimed accuracy, where it is."""
    from poseworks.core.verbs import show_models
    from poseworks.skeleton_action.models import model_cards

    show_models(model_cards(), json=json, quiet=quiet)


def inspect(
    file: Path,
    *,
    options: LoadOptions = LoadOptions(),  # noqa: B008 (frozen)
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What a file is: poses, annotations, results, or a checkpoint with its network, sizes and variant."""
    from poseworks.core.cli import print_result
    from poseworks.skeleton_action.inspection import inspect_file

    print_result(inspect_file(file, reading, options.given()), json=json, quiet=quiet)


def convert(
    file: Source,
    *,
    output: Output,
    options: LoadOptions = LoadOptions(),  # noqa: B008 (frozen)
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """An original checkpoint as a folder of model.safetensors, config.json and README.md."""
    from poseworks.core.verbs import convert_checkpoint
    from poseworks.skeleton_action.loading import load, save

    given = options.given()
    convert_checkpoint(
        Path(file), output, lambda: load(file, **given), save, overwrite=overwrite, json=json, quiet=quiet
    )


def export(
    model: Source,
    *,
    output: Output,
    keypoints: Annotated[
        Path | None, Parameter(help="Also write this .onnx file, which takes keypoints: it draws the volumes itself.")
    ] = None,
    options: LoadOptions = LoadOptions(),  # noqa: B008 (frozen)
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A model as ONNX, verified against torch at other sizes before the file appears; a .json says how to use it."""
    from poseworks.core.verbs import export_model
    from poseworks.skeleton_action.export_command import writer
    from poseworks.skeleton_action.loading import load

    given = options.given()
    write = writer(keypoints, overwrite)
    export_model(output, lambda: load(model, **given), write, overwrite=overwrite, json=json, quiet=quiet)


def build(
    tracks: Annotated[Path, Parameter(help="Folder of files of poses, in any known format.")],
    labels: Annotated[
        Path, Parameter(help="CSV table: file, label, and if wanted split, subject, person, begin, end (seconds).")
    ],
    *,
    output: Output,
    preview: Annotated[Path | None, Parameter(help="The sheet. Default: OUTPUT with the ending .svg.")] = None,
    options: BuildOptions = BuildOptions(),  # noqa: B008 (frozen)
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """An annotation file of one's own recordings, checked, for `train` and `evaluate`; with a preview sheet.

    Splits are those of the table, else by its subjects, else drawn class by class. All people of a file share a
    recording and its label, unless the table names a person. The sheet shows a recording of each class as the network
    sees it.
    """
    from poseworks.skeleton_action.build_command import run_build

    run_build(tracks, labels, output, preview, options, reading, overwrite=overwrite, json=json, quiet=quiet)


def evaluate(
    config: RecipeName,
    checkpoint: Annotated[str, Parameter(help="A shipped name, a saved folder, or an original checkpoint file.")],
    *,
    data: Annotated[
        Path | None, Parameter(help="Annotation file, or folder of the data sets. Default: POSEWORKS_DATA.")
    ] = None,
    split: Annotated[str | None, Parameter(help="Instead of the recipe's test split.")] = None,
    preset: Annotated[
        Preset, Parameter(help="accurate: 10 clips and their mirror images, as published. fast: one clip.")
    ] = "accurate",
    metrics: Annotated[
        tuple[Metric, ...], Parameter(consume_multiple=True, negative="", help="What is measured.")
    ] = METRICS,
    out: Annotated[Path | None, Parameter(help="Write a result file, which fuse reads.")] = None,
    form: Form = "0.x",
    confusion: Confusion = None,
    workers: Annotated[int, Whole, Parameter(help="Processes that prepare samples.")] = 0,
    device: Device = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The published protocol on a split of a data set: the accuracy beside the claim, with recordings counted.

    mean_class_accuracy by the published rule counts a class that was only predicted as 0; beside it stands the plain
    mean over classes that have samples.
    """
    from poseworks.skeleton_action.evaluate_command import EvaluateOptions, run_evaluate

    options = EvaluateOptions(data, split, preset, metrics, out, form, confusion, device, workers, overwrite)
    run_evaluate(config, checkpoint, options, json=json, quiet=quiet)


def fuse(
    *files: Annotated[Path, Parameter(name="FILE", help="Result files of joint, limb or other networks.")],
    weights: Annotated[
        tuple[float, ...], Parameter(consume_multiple=True, negative="", help="One a file. Default: 1 each.")
    ] = (),
    tune: Annotated[
        bool, Parameter(negative="", help="Choose the weights that are most often right; the half-half figure is fair.")
    ] = False,
    annotations: Annotated[
        Path | None, Parameter(help="The data set: says true classes and order where the files do not.")
    ] = None,
    split: Annotated[str | None, Parameter(help="Of the data set, such as xsub_val.")] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="Write the fused result file.")] = None,
    form: Form = "0.x",
    confusion: Confusion = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Result files added up with weights: 1 : 1 is the published fusion of joint and limb.

    The order of the recordings is checked by their identifiers, which `evaluate --out` writes beside its file.
    """
    from poseworks.skeleton_action.fuse_command import FuseOptions, run_fuse

    options = FuseOptions(weights, tune, annotations, split, output, form, confusion, overwrite)
    run_fuse(files, options, json=json, quiet=quiet)
