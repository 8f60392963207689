"""Recipes: TOML files that say all that a training run depends on, beside its seed and its data.

One for each row of the published tables, which need the published data sets or any file in their layout
(`published_recipes`), and those of our own weights, which are trained on open motion (`own_recipes`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, RootModel

from poseworks.core.training import RecipeFolder
from poseworks.skeleton_action.learning.own_recipes import OwnActions
from poseworks.skeleton_action.learning.published_recipes import PublishedActions

Recipe = Annotated[PublishedActions | OwnActions, Field(discriminator="kind")]


class _AnyRecipe(RootModel[Recipe]):
    """Whichever kind the file names."""


RECIPES = RecipeFolder("poseworks.skeleton_action.learning", _AnyRecipe)
shipped_recipes = RECIPES.names
read_recipe = RECIPES.read
