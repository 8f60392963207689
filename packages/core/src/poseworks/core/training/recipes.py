"""Recipes: TOML files that say all that a training run depends on, beside its seed and its data; and runs by them.

A method brings its kinds of recipe, the tasks that train by them, and `save`; names, files and runs are the same for
all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from pydantic import BaseModel, RootModel
from torch import nn

from poseworks.core.cli import remark
from poseworks.core.config import read_config
from poseworks.core.errors import ConfigError
from poseworks.core.training.loop import Task, TrainResult, train
from poseworks.core.training.processes import place
from poseworks.core.training.settings import TrainSettings


class BaseRecipe(BaseModel, frozen=True, extra="forbid"):
    """What all recipes have."""

    name: str
    about: str
    training: TrainSettings


AnyRecipe = TypeVar("AnyRecipe", bound=BaseRecipe)
Trainable = TypeVar("Trainable", bound=nn.Module)
TrainableOut = TypeVar("TrainableOut", bound=nn.Module, covariant=True)


class RecipeFolder(Generic[AnyRecipe]):
    """The recipes that come with a package, and TOML files of the same kinds.

    A file may say ``base = "FILE"``, seen from its own folder, and then only what differs; a base that is no recipe by
    itself lies in a folder below, where `names` does not look.
    """

    def __init__(self, package: str, kinds: type[RootModel[AnyRecipe]]) -> None:
        """`package` holds a folder ``recipes``; `kinds` is the union of what its files may be."""
        self.package, self.kinds = package, kinds

    def names(self) -> tuple[str, ...]:
        """Of the recipes that come with the package."""
        return tuple(sorted(path.stem for path in self._folder().glob("*.toml")))

    def read(self, source: str | os.PathLike[str], overrides: Sequence[str] = ()) -> AnyRecipe:
        """The recipe of a TOML file, or of a name (see `names`) with or without ``.toml``, after the overrides.

        Args:
            overrides: such as ``training.steps=100``.

        Raises:
            ConfigError: no such recipe, or listing every fault in it.
        """
        name, path = os.fspath(source), Path(source)
        shipped = path.name.removesuffix(".toml")
        if not path.is_file() and path.name == name and shipped in self.names():
            path = self._folder() / f"{shipped}.toml"
        if not path.is_file():
            raise ConfigError(f"{name}: no such recipe or file. Recipes: {', '.join(self.names())}.")
        return read_config(path, self.kinds, overrides, inherit=True).root

    def _folder(self) -> Path:
        return Path(str(resources.files(self.package))) / "recipes"


class RecipeTask(Task, Protocol[TrainableOut]):
    """A task that a recipe describes. There may be as well:

    - ``depends_on() -> dict``: what the weights depend on beside recipe and data, as JSON; the same on resume;
    - ``notes() -> list of sentences``: what a user has to know before it begins, printed on stderr;
    - ``save_more(folder, run)``: writes what is kept beside the network.
    """

    def settings(self) -> TrainSettings:
        """The recipe's training, with what only the data tell: the steps of an epoch."""
        ...

    def finished(self) -> TrainableOut:
        """The network as it is used."""
        ...


@dataclass(frozen=True)
class Trained(Generic[Trainable]):
    """What a recipe came to: the network ready for use, its folder, and the run."""

    network: Trainable
    folder: Path
    run: TrainResult


@dataclass(frozen=True)
class RecipeTrainer(Generic[AnyRecipe, Trainable]):
    """The function ``train_recipe`` of a method.

    Attributes:
        recipes: what it may train by.
        task: of a recipe and the place of its data.
        save: writes a network to a folder, told ``readme`` and ``overwrite``.
    """

    recipes: RecipeFolder[AnyRecipe]
    task: Callable[[AnyRecipe, str | os.PathLike[str] | None], RecipeTask[Trainable]]
    save: Callable[..., None]

    def __call__(
        self,
        source: str | os.PathLike[str],
        folder: str | os.PathLike[str],
        *,
        data: str | os.PathLike[str] | None = None,
        overrides: Sequence[str] = (),
        resume: bool = False,
        overwrite: bool = False,
        device: torch.device | str = "cpu",
        quiet: bool = False,
    ) -> Trained[Trainable]:
        """Trains by a recipe and saves the network to ``folder/model``; `load` reads it.

        Args:
            source: name of a shipped recipe, or a TOML file.
            folder: log, checkpoint and model.
            data: own recipes: the file of motion; published ones: the folder of the data sets, by default
                POSEWORKS_DATA.
            overrides: such as ``training.steps=100``.

        Raises:
            ConfigError: a fault in the recipe, data missing, or the folder is in use; further as `train`.
        """
        recipe = self.recipes.read(source, overrides)
        task = self.task(recipe, data)
        described: dict[str, Any] = recipe.model_dump(mode="json", exclude={"training"})
        depends_on = getattr(task, "depends_on", dict)
        if place().rank == 0:
            for note in getattr(task, "notes", list)():
                remark(f"{recipe.name}: {note}", quiet=quiet)
        run = train(
            task, task.settings(), folder, resume=resume, overwrite=overwrite, recipe=described | depends_on(),
            device=device, quiet=quiet,
        )  # fmt: skip
        network = task.finished().cpu()
        target = Path(folder) / "model"
        if place().rank == 0:  # of several processes one writes
            self.save(network, target, readme=_readme(network, recipe, run), overwrite=True)
            more = getattr(task, "save_more", None)
            if more is not None:
                more(Path(folder), run)
        return Trained(network, target, run)


def _readme(network: nn.Module, recipe: BaseRecipe, run: TrainResult) -> str:
    """What the weights are and how to make them again."""
    parameters = sum(parameter.numel() for parameter in network.parameters())
    figures = ", ".join(f"{name} {value:.6g}" for name, value in run.validation.items())
    lines = [
        f"# {recipe.name}",
        "",
        f"{recipe.about}.",
        "",
        f"- network: {type(network).__name__}, {parameters:,} parameters",
        f"- made by: the recipe {recipe.name}, seed {recipe.training.seed}",
        f"- kept: the weights of step {run.kept_step} of {run.steps}",
        *([f"- validation after the last step: {figures}"] if figures else []),
        "- training data and licence: of the data set that the recipe names",
        "",
        "All settings, with the changes to the recipe, stand in settings.json of the run. Load: `load(<this folder>)`.",
    ]
    return "\n".join(lines)
