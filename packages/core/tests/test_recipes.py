"""Recipes: found by name or file, run, saved; the options of the verb `train`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pytest
import torch
from pydantic import Field, RootModel
from torch import Tensor, nn

from poseworks.core.errors import ConfigError
from poseworks.core.train_command import TrainOptions, train_verb
from poseworks.core.training import BaseRecipe, RecipeFolder, RecipeTrainer, TrainResult, TrainSettings

RECIPE = """
name = "small"
about = "for a test"
kind = "one"
width = 3
[training]
steps = 4
batch_size = 2
schedule = "constant"
"""


class One(BaseRecipe, frozen=True, extra="forbid"):
    """A kind."""

    kind: Literal["one"]
    width: int = 2


class Other(BaseRecipe, frozen=True, extra="forbid"):
    """Another."""

    kind: Literal["other"]


class Kinds(RootModel[Annotated[One | Other, Field(discriminator="kind")]]):
    """Both."""


class Task:
    """Lets weights shrink."""

    def __init__(self, recipe: One, data: str | None) -> None:
        self.recipe, self.data = recipe, data
        self.network = nn.Linear(recipe.width, 1)
        nn.init.constant_(self.network.weight, 1.0)

    def settings(self) -> TrainSettings:
        return self.recipe.training

    def depends_on(self) -> dict[str, Any]:
        return {"data": self.data}

    def notes(self) -> list[str]:
        return ["a small one"]

    def step_loss(self, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {"loss": self.network.weight.square().sum()}

    def finished(self) -> nn.Linear:
        return self.network

    def save_more(self, folder: Path, run: TrainResult) -> None:
        (folder / "more.txt").write_text(str(run.steps))


def save(network: nn.Linear, folder: Path, readme: str, overwrite: bool) -> None:
    folder.write_text(str(network.in_features))
    folder.with_suffix(".md").write_text(readme)


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecipeFolder[Any]:
    """A package with one recipe."""
    package = tmp_path / "package_with_recipes"
    (package / "recipes").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "recipes" / "small.toml").write_text(RECIPE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "package_with_recipes", raising=False)
    return RecipeFolder("package_with_recipes", Kinds)


def test_a_recipe_is_found_by_name_with_or_without_its_ending(recipes: RecipeFolder[Any], tmp_path: Path) -> None:
    assert recipes.names() == ("small",)
    assert recipes.read("small") == recipes.read("small.toml")
    assert recipes.read("small", ("width=9", "training.steps=7")).training.steps == 7
    Path("small.toml").write_text(RECIPE.replace("width = 3", "width = 5"))
    assert recipes.read("small.toml").width == 5  # a file that is there goes first
    assert recipes.read("small").width == 3
    for unknown in ("large", "elsewhere/small.toml", tmp_path):
        with pytest.raises(ConfigError, match=r"no such recipe or file. Recipes: small\."):
            recipes.read(unknown)
    with pytest.raises(ConfigError, match=r"small.toml: .*widht: no such field \(did you mean width\?\)"):
        recipes.read("small", ("widht=1",))


def test_a_recipe_is_run_saved_and_continued(recipes: RecipeFolder[Any]) -> None:
    train_recipe = RecipeTrainer(recipes, Task, save)
    trained = train_recipe("small", "run", data="here", overrides=("width=4",), quiet=True)
    assert trained.run.steps == 4
    assert trained.network.in_features == 4
    assert trained.folder.read_text() == "4"
    assert Path("run/more.txt").read_text() == "4"
    assert "kept: the weights of step 4 of 4" in Path("run/model.md").read_text()
    again = train_recipe("small", "run", data="here", overrides=("width=4",), resume=True, quiet=True)
    assert torch.equal(again.network.weight, trained.network.weight)
    with pytest.raises(ConfigError, match=r"recipe.data: 'here' then, 'there' now; recipe.width: 4 then, 3 now"):
        train_recipe("small", "run", data="there", resume=True, quiet=True)


def test_notes_are_said_before_it_begins(recipes: RecipeFolder[Any], capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        RecipeTrainer(recipes, Task, save)("small", f"run{quiet}", data="here", quiet=quiet)
    assert capsys.readouterr().err.splitlines() == ["small: a small one"]


def test_the_verb_overrides_the_recipe(
    recipes: RecipeFolder[Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = TrainOptions(set_=("width=6",), seed=5, deterministic=True)
    assert options.overrides == ("width=6", "training.seed=5", "training.deterministic=true")
    monkeypatch.setitem(sys.modules, "trains", SimpleNamespace(train_recipe=RecipeTrainer(recipes, Task, save)))
    train_verb("trains")("small.toml", options=options, json=True)
    assert '"model": "runs/small/model"' in capsys.readouterr().out
    assert Path("runs/small/model").read_text() == "6"
