"""Training by a recipe: from its kind to the task that trains it, and to the data that it needs."""

from __future__ import annotations

import os
from typing import assert_never

from poseworks.core.errors import ConfigError
from poseworks.core.training import RecipeTask, RecipeTrainer
from poseworks.skeleton_action.learning.data_sets import class_names, find_split, read_split
from poseworks.skeleton_action.learning.own_recipes import OwnActions
from poseworks.skeleton_action.learning.own_training import own_task
from poseworks.skeleton_action.learning.published_recipes import PublishedActions
from poseworks.skeleton_action.learning.published_training import PublishedActionsTask
from poseworks.skeleton_action.learning.recipes import RECIPES, Recipe
from poseworks.skeleton_action.loading import Network, save


def _task(recipe: Recipe, data: str | os.PathLike[str] | None) -> RecipeTask[Network]:
    """The task of a recipe on its data."""
    match recipe:
        case PublishedActions():
            return _published_task(recipe, data)
        case OwnActions():
            if data is None:
                raise ConfigError(f"{recipe.name}: needs the folder of prmd_pairs.npz. Give --data benchmarks/data.")
            return own_task(recipe, data)
        case other:
            assert_never(other)


def _published_task(recipe: PublishedActions, data: str | os.PathLike[str] | None) -> PublishedActionsTask:
    """On the training split and, where it is validated, the test split."""
    own = recipe.data.set == "own"
    where = find_split(recipe.data, recipe.data.train, recipe.flavour, data)
    train = read_split(where, None if own else recipe.network.classes)
    if own:
        classes = len(train.label_names) or 1 + max(annotation.label or 0 for annotation in train.annotations)
        recipe = recipe.model_copy(update={"network": recipe.network.model_copy(update={"classes": classes})})
    test = None
    if recipe.validation:
        where = find_split(recipe.data, recipe.data.test, recipe.flavour, data)
        test = read_split(where, recipe.network.classes)
    return PublishedActionsTask(recipe, train, test, class_names(recipe.data, train, recipe.network.classes))


def _save(network: Network, folder: str | os.PathLike[str], *, readme: str, overwrite: bool) -> None:
    """Our own weights, which alone have a rule for other motion, in half precision, as they are shipped."""
    save(network, folder, readme=readme, half=network.preparation.unknown is not None, overwrite=overwrite)


train_recipe = RecipeTrainer(RECIPES, _task, _save)
