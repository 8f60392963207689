"""The verb `train` of every package: its options and what it does. Light, as `--help` imports it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from poseworks.core.cli import (
    Device,
    Json,
    Override,
    Overwrite,
    Quiet,
    Verbose,
    Whole,
    choose_device,
    print_result,
)

RecipeName = Annotated[str, Parameter(help="Name of a recipe of this package, or a TOML file.")]


@Parameter(name="*")
@dataclass(frozen=True)
class TrainOptions:
    """How a recipe is run."""

    output: Annotated[
        Path | None,
        Parameter(name=["--output", "-o"], help="Folder of log, checkpoint and model. Default: runs/CONFIG."),
    ] = None
    data: Annotated[
        Path | None,
        Parameter(
            name="--data", help="File or folder of training data. Default: the published layout in POSEWORKS_DATA."
        ),
    ] = None
    set_: Override = ()
    resume: Annotated[
        bool,
        Parameter(name="--resume", negative="", help="Continue a run that was cut short, to bit-equal weights."),
    ] = False
    seed: Annotated[int | None, Whole, Parameter(name="--seed", help="Instead of the recipe's.")] = None
    deterministic: Annotated[
        bool,
        Parameter(name="--deterministic", negative="", help="Only algorithms that give the same result each time."),
    ] = False

    @property
    def overrides(self) -> tuple[str, ...]:
        """Of the recipe, those of the flags last."""
        seed = () if self.seed is None else (f"training.seed={self.seed}",)
        return (*self.set_, *seed, *(("training.deterministic=true",) if self.deterministic else ()))


def train_verb(training: str) -> Callable[..., None]:
    """The function of the verb.

    Args:
        training: see `run_train`.
    """

    def train(
        config: RecipeName,
        *,
        options: TrainOptions = TrainOptions(),
        device: Device = "cpu",
        overwrite: Overwrite = False,
        json: Json = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        """Trains by a recipe; the model lies in OUTPUT/model, and --model takes it."""
        run_train(training, config, options, device=device, overwrite=overwrite, json=json, quiet=quiet)

    return train


def run_train(
    training: str,
    config: str,
    options: TrainOptions,
    *,
    overrides: Sequence[str] = (),
    device: str,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Trains by a recipe and prints what came of it.

    Args:
        training: the module whose ``train_recipe`` (`poseworks.core.training.RecipeTrainer`) it calls; it is imported
            when training begins.
        overrides: of the recipe, for flags that only this package has.
    """
    train_recipe = import_module(training).train_recipe
    folder = Path("runs") / Path(config).stem if options.output is None else options.output
    trained = train_recipe(
        config, folder, data=options.data, overrides=(*options.overrides, *overrides), resume=options.resume,
        overwrite=overwrite, device=choose_device(device), quiet=quiet or json,
    )  # fmt: skip
    if os.environ.get("RANK", "0") == "0":  # of several processes one answers
        print_result({"model": trained.folder, "run": trained.run}, json=json, quiet=quiet)
