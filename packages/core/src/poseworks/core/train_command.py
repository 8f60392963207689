"""The verb `train` of every package: its options and what it does. Light, as `--help` imports it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from poseworks.core.cli import Override, Whole, choose_device, print_result

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


def train_model(
    train_recipe: Callable[..., Any],
    recipe: str,
    options: TrainOptions,
    *,
    device: str,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Trains by a recipe (`poseworks.core.training.RecipeTrainer`) and prints where the model is and how it went."""
    folder = Path("runs") / Path(recipe).stem if options.output is None else options.output
    trained = train_recipe(
        recipe, folder, data=options.data, overrides=options.overrides, resume=options.resume, overwrite=overwrite,
        device=choose_device(device), quiet=quiet or json,
    )  # fmt: skip
    print_result({"model": trained.folder, "run": trained.run}, json=json, quiet=quiet)
