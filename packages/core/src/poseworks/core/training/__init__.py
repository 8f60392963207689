"""The seeded training loop of every method, with mixed precision, several processes, logs and exact resume."""

from poseworks.core.training.adversary import Adversary
from poseworks.core.training.batch_norm import SharedBatchNorm, share_batch_norms
from poseworks.core.training.files import last_weights
from poseworks.core.training.loop import Task, TrainResult, train
from poseworks.core.training.optimizers import make_optimizer
from poseworks.core.training.processes import Place, place
from poseworks.core.training.recipes import BaseRecipe, RecipeFolder, RecipeTask, RecipeTrainer, Trained
from poseworks.core.training.sampling import Permutations, chained_batch, epoch_batch, epoch_steps
from poseworks.core.training.settings import TrainSettings, average_weight, learning_rate_at

__all__ = [
    "Adversary",
    "BaseRecipe",
    "Permutations",
    "Place",
    "RecipeFolder",
    "RecipeTask",
    "RecipeTrainer",
    "SharedBatchNorm",
    "Task",
    "TrainResult",
    "TrainSettings",
    "Trained",
    "average_weight",
    "chained_batch",
    "epoch_batch",
    "epoch_steps",
    "last_weights",
    "learning_rate_at",
    "make_optimizer",
    "place",
    "share_batch_norms",
    "train",
]
