"""What can be measured, by the names of the published test command. Standard library only, for the command line."""

from __future__ import annotations

from typing import Literal

Metric = Literal["top_k_accuracy", "mean_class_accuracy"]

METRICS: tuple[Metric, ...] = ("top_k_accuracy", "mean_class_accuracy")
