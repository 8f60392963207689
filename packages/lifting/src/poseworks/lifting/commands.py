"""The verbs of `poseworks-lifting`. Heavy imports stand inside the functions, so that `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from poseworks.core.cli import Json, Output, Overwrite, Quiet, Verbose, Whole
from poseworks.core.read_options import ReadOptions
from poseworks.core.train_command import train_verb
from poseworks.lifting.graphs import MaskType

Source = Annotated[Path, Parameter(help="A shipped name, a saved folder, or an original checkpoint file.")]


@Parameter(name="*")
@dataclass(frozen=True)
class LoadOptions:
    """What tensors do not tell; where they do, an option must agree."""

    knn: Annotated[int | None, Whole, Parameter(help="LCN: how far its mask reaches, 3 in all published commands.")] = (
        None
    )
    mask_type: Annotated[MaskType | None, Parameter(help="LCN: the kind of its mask.")] = None
    limb_lengths: Annotated[str, Parameter(help="LCN, mask type laplacian: mean limb lengths, comma-separated.")] = ""
    partition: Annotated[str, Parameter(help="EHGFormer: 1, 2 or the groups of the 17 joints, comma-separated.")] = ""
    joint_bias: Annotated[bool | None, Parameter(help="EHGFormer: trained with the learned joint relation.")] = None
    group_by_query: Annotated[bool | None, Parameter(help="EHGFormer: groups weighed by queries.")] = None
    group_by_bias: Annotated[bool | None, Parameter(help="EHGFormer: groups weighed by a learned bias.")] = None

    def given(self) -> dict[str, Any]:
        """The options of `load` that were stated.

        Raises:
            ConfigError: something in a list is no number.
        """
        groups = _numbers("--partition", self.partition, int)
        lengths = _numbers("--limb-lengths", self.limb_lengths, float)
        options = {
            "knn": self.knn,
            "mask_type": self.mask_type,
            "limb_lengths": lengths or None,
            "partition": groups[0] if len(groups) == 1 else groups or None,
            "joint_bias": self.joint_bias,
            "group_by_query": self.group_by_query,
            "group_by_bias": self.group_by_bias,
        }
        return {name: value for name, value in options.items() if value is not None}


def _numbers(option: str, text: str, kind: type[int] | type[float]) -> list[Any]:
    from poseworks.core.errors import ConfigError

    try:
        return [kind(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ConfigError(f"{option}: {text!r}: expected numbers with commas between.") from error


def models(*, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Every model, shipped or published: size, licence, training data, claimed accuracy, where it is."""
    from poseworks.core.verbs import show_models
    from poseworks.lifting.models import model_cards

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
    """What a file is: poses, published data, or a checkpoint with its method, variant, sizes and partition."""
    from poseworks.core.cli import print_result
    from poseworks.lifting.inspection import inspect_file

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

    LCN's TensorFlow checkpoints (a folder with NAME.index and NAME.data-...) need the extra tensorflow.
    """
    from poseworks.core.verbs import convert_checkpoint
    from poseworks.lifting.loading import load, load_tensorflow, save
    from poseworks.lifting.tensorflow_files import tensorflow_prefix

    given = options.given()
    read = load if tensorflow_prefix(file) is None else load_tensorflow
    convert_checkpoint(
        file, output, lambda: read(str(file), **given), save, overwrite=overwrite, json=json, quiet=quiet
    )


def export(
    model: Annotated[str, Parameter(help="A shipped name, a saved folder, or an original checkpoint file.")],
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
    from poseworks.lifting.loading import export_onnx, load

    given = options.given()
    export_model(output, lambda: load(model, **given), export_onnx, overwrite=overwrite, json=json, quiet=quiet)


train = train_verb("poseworks.lifting.learning.training")
