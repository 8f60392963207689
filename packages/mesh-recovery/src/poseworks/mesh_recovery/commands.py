"""The verbs of `poseworks-mesh-recovery`. Heavy imports stand inside the functions: `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from poseworks.core.cli import Json, Output, Overwrite, Quiet, Verbose
from poseworks.core.read_options import ReadOptions

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
    """What a file is: poses, or a checkpoint with its method, variant, sizes, and what of it is left out."""
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
    from poseworks.mesh_recovery.loading import export_onnx, load

    given = options.given()
    export_model(output, lambda: load(model, **given), export_onnx, overwrite=overwrite, json=json, quiet=quiet)
