"""The verbs of `poseworks-mesh-recovery`. Heavy imports stand inside the functions: `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from poseworks.core.cli import Device, Json, Output, Overwrite, Quiet, Verbose, Whole
from poseworks.core.read_options import ReadOptions
from poseworks.core.train_command import train_verb
from poseworks.mesh_recovery.fit_command import FitOptions
from poseworks.mesh_recovery.recover_command import RecoverOptions

Recording = Annotated[Path, Parameter(help="A video, a folder of pictures, or one picture.")]
Source = Annotated[str, Parameter(help="A shipped name, a saved folder, or an original checkpoint file.")]


@Parameter(name="*")
@dataclass(frozen=True)
class LoadOptions:
    """What weights on a mesh (GraphCMR, Graphormer) need beside them."""

    mesh: Annotated[
        Path | None, Parameter(help="GraphCMR, Graphormer: mesh_downsampling.npz. Default with --body free: its own.")
    ] = None
    body: Annotated[
        str | None, Parameter(help="GraphCMR, Graphormer: SMPL_NEUTRAL.pkl or another body file, or free.")
    ] = None

    def given(self) -> dict[str, Any]:
        """The options of `load` that were stated."""
        return {name: value for name, value in (("mesh", self.mesh), ("body", self.body)) if value is not None}


def fit(
    *inputs: Annotated[Path, Parameter(name="INPUT", help="2D keypoints or 3D joints in any known format.")],
    output: Output,
    options: FitOptions = FitOptions(),  # noqa: B008 (frozen)
    report: Annotated[Path | None, Parameter(help="Write this HTML page: keypoints, the body and its joints.")] = None,
    video: Annotated[Path | None, Parameter(help="The recording, for the report and the overlay.")] = None,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Bodies fitted to people's keypoints over a whole clip (SMPLify), or to their joints in space.

    The free body needs no licensed file. From one camera bodies stand in its axes; without --focal or --camera the
    focal length is taken as the diagonal of the image. With one INPUT, or with --cameras, OUTPUT is a file (.npz, .glb,
    .bvh, .obj by its suffix); with several, a folder of .npz files.
    """
    from poseworks.mesh_recovery.fit_command import run_fit

    run_fit(
        inputs, output, options, reading, report=report, video=video, overwrite=overwrite, json=json, quiet=quiet
    )  # fmt: skip


def models(*, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Every model, shipped or published: size, licence, training data, claimed accuracy, where it is."""
    from poseworks.core.verbs import show_models
    from poseworks.mesh_recovery.models import model_cards

    show_models(model_cards(), json=json, quiet=quiet)


def inspect(
    file: Path,
    *,
    options: LoadOptions = LoadOptions(),
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What a file is: poses, a data set, body motion, a body, or a checkpoint with its method and what is left out."""
    from poseworks.core.cli import print_result
    from poseworks.mesh_recovery.inspection import inspect_file

    print_result(inspect_file(file, reading, options.given()), json=json, quiet=quiet)


def convert(
    file: Source,
    *,
    output: Output,
    options: LoadOptions = LoadOptions(),
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """An original checkpoint as a folder of model.safetensors, config.json and README.md.

    A body that lies in the file is left out, as are the adversary and what is never used.
    """
    from poseworks.core.verbs import convert_checkpoint
    from poseworks.mesh_recovery.loading import load, save

    given = options.given()
    convert_checkpoint(
        Path(file), output, lambda: load(file, **given), save, overwrite=overwrite, json=json, quiet=quiet
    )


def export(
    model: Source,
    *,
    output: Output,
    options: LoadOptions = LoadOptions(),
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A model as ONNX, verified against torch at other sizes before the file appears; a .json says how to use it."""
    from poseworks.core.verbs import export_model
    from poseworks.mesh_recovery.loading import load
    from poseworks.mesh_recovery.onnx_files import export_onnx

    given = options.given()
    export_model(output, lambda: load(model, **given), export_onnx, overwrite=overwrite, json=json, quiet=quiet)


def evaluate(
    model: Source,
    *,
    data: Annotated[Path, Parameter(help="The data set: HumanData or SPIN's layout (.npz), such as pw3d_test.npz.")],
    protocol: Annotated[
        Literal["pw3d", "h36m", "mi", "mi-toolbox", "rendered"] | None,
        Parameter(help="Default: that of the data set that the file's name tells."),
    ] = None,
    pictures: Annotated[
        Path | None,
        Parameter(help="Folder that its paths start from. Default: that of DATA, or below POSEWORKS_DATA."),
    ] = None,
    body: Annotated[
        str | None,
        Parameter(
            help="Folder of SMPL's files: SMPL_NEUTRAL, _MALE, _FEMALE and J_regressor_h36m.npy. Default: body_models "
            "in a folder of POSEWORKS_DATA."
        ),
    ] = None,
    mesh: Annotated[Path | None, Parameter(help="GraphCMR, Graphormer: mesh_downsampling.npz.")] = None,
    true_gender: Annotated[
        Literal["stated", "neutral"], Parameter(help="Body of the truth: of the gender that DATA states, or neutral.")
    ] = "stated",
    per_joint: Annotated[bool, Parameter(negative="", help="Also a row for each joint.")] = False,
    batch: Annotated[int, Whole, Parameter(help="Pictures at a time.")] = 32,
    device: Device = "cpu",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A published protocol on 3DPW, Human3.6M or MPI-INF-3DHP: errors beside the claim, with pictures counted.

    Root, joints, gender, box and regressor are printed with every number. Weights for the free body are measured on
    rendered pictures of it, which compares with no claim.
    """
    from poseworks.mesh_recovery.evaluate_command import Options, run_evaluate

    asked = Options(data, pictures, body, mesh, protocol, true_gender, per_joint, batch, device)
    run_evaluate(model, asked, json=json, quiet=quiet)


train = train_verb("poseworks.mesh_recovery.learning.training")


def build(
    *inputs: Annotated[Path, Parameter(name="INPUT", help="Body motion (.npz). None: poses of the free pose prior.")],
    output: Output,
    count: Annotated[int, Whole, Parameter(help="Pictures.")] = 1000,
    size: Annotated[int, Whole, Parameter(help="Side of a picture in pixels.")] = 128,
    seed: Annotated[int, Whole, Parameter(help="Picture n follows from this and n.")] = 0,
    backgrounds: Annotated[
        Path | None, Parameter(help="Folder of photos to show behind people. Default: backgrounds are made up.")
    ] = None,
    workers: Annotated[int, Whole, Parameter(help="Processes that draw. Default: this one alone.")] = 0,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Rendered pictures of the free body, for `train` and `evaluate` without licensed data.

    OUTPUT is a folder with rendered.npz (HumanData, whose pose and betas are the free body's) and the pictures.
    """
    from poseworks.mesh_recovery.build_command import Options, run_build

    asked = Options(output, count, size, seed, backgrounds, workers, overwrite)
    run_build(inputs, asked, json=json, quiet=quiet)


def recover(
    source: Recording,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="Body motion: .npz, .glb, .bvh or .obj.")],
    model: Annotated[
        str | None,
        Parameter(help="A saved folder, an original checkpoint file, or a shipped name. Default: what comes along."),
    ] = None,
    options: RecoverOptions = RecoverOptions(),  # noqa: B008 (frozen)
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    device: Device = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The bodies of the people in a recording, found by one of the networks frame by frame."""
    from poseworks.mesh_recovery.recover_command import run_recover

    run_recover(source, output, model, options, reading, device=device, overwrite=overwrite, json=json, quiet=quiet)
