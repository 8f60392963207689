"""Training by a recipe: from its kind to the task that trains it, and to the data that it needs."""

from __future__ import annotations

import os
from typing import assert_never

from poseworks.core.errors import ConfigError
from poseworks.core.training import RecipeTask, RecipeTrainer
from poseworks.lifting.input_forms import PUBLISHED
from poseworks.lifting.learning.distillation_training import DistillationTask
from poseworks.lifting.learning.h36m_files.places import DETECTED_FILE, LCN_FILES, find_ehgformer, find_lcn
from poseworks.lifting.learning.h36m_files.reading import read_ehgformer, read_lcn
from poseworks.lifting.learning.own_recipes import OwnLifting
from poseworks.lifting.learning.own_training import own_task
from poseworks.lifting.learning.published_training import EHGFormerTask, LCNTask
from poseworks.lifting.learning.recipes import (
    RECIPES,
    PublishedDistillation,
    PublishedEHGFormer,
    PublishedLCN,
    Recipe,
)
from poseworks.lifting.loading import Network, save


def _task(recipe: Recipe, data: str | os.PathLike[str] | None) -> RecipeTask[Network]:
    """The task of a recipe on its data: the training split, and the test split for the validation."""
    match recipe:
        case PublishedLCN():
            wanted = [*LCN_FILES.values(), *([DETECTED_FILE] if recipe.mode == "dt_ft" else [])]
            folder = find_lcn(data, wanted)
            return LCNTask(recipe, *(read_lcn(folder, split, recipe.mode) for split in ("train", "test")))
        case PublishedEHGFormer():
            path = find_ehgformer(data)
            return EHGFormerTask(recipe, *(read_ehgformer(path, split) for split in ("train", "test")))
        case PublishedDistillation():
            path = find_ehgformer(data)
            return DistillationTask(recipe, *(read_ehgformer(path, split) for split in ("train", "test")))
        case OwnLifting():
            if data is None:
                raise ConfigError(f"{recipe.name}: needs the folder of cmu17.npz. Give --data benchmarks/data.")
            return own_task(recipe, data)
        case other:
            assert_never(other)


def _save(network: Network, folder: str | os.PathLike[str], *, readme: str, overwrite: bool) -> None:
    """Our own weights in half precision, as they are shipped; others as they were trained."""
    own = getattr(network, "preparation", PUBLISHED) != PUBLISHED
    save(network, folder, readme=readme, half=own, overwrite=overwrite)


train_recipe = RecipeTrainer(RECIPES, _task, _save)
