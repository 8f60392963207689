"""Training by a recipe: from its kind to the task that trains it, and to the data that it needs."""

from __future__ import annotations

import os
from typing import Any, assert_never

from poseworks.core.training import RecipeTrainer
from poseworks.mesh_recovery.learning.recipes import (
    RECIPES,
    GraphCMRRecipe,
    GraphormerRecipe,
    HMRRecipe,
    PARERecipe,
    Recipe,
    SPINRecipe,
)
from poseworks.mesh_recovery.learning.spin_task import SPINTask
from poseworks.mesh_recovery.learning.tasks import GraphCMRTask, GraphormerTask, HMRTask, PARETask, PictureTask
from poseworks.mesh_recovery.loading import save


def _task(recipe: Recipe, data: str | os.PathLike[str] | None) -> PictureTask[Any]:
    """The task of a recipe on the data in some folders."""
    match recipe:
        case HMRRecipe():
            return HMRTask(recipe, data)
        case SPINRecipe():
            return SPINTask(recipe, data)
        case PARERecipe():
            return PARETask(recipe, data)
        case GraphCMRRecipe():
            return GraphCMRTask(recipe, data)
        case GraphormerRecipe():
            return GraphormerTask(recipe, data)
        case _:
            assert_never(recipe)


train_recipe = RecipeTrainer(RECIPES, _task, save)
