"""The seeded training loop of every method, with mixed precision, several processes, logs and exact resume."""

from poseworks.core.training.loop import (
    Task,
    TrainResult,
    TrainSettings,
    average_weight,
    learning_rate_at,
    make_optimizer,
    train,
)

__all__ = [
    "Task",
    "TrainResult",
    "TrainSettings",
    "average_weight",
    "learning_rate_at",
    "make_optimizer",
    "train",
]
