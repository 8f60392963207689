"""The optimizers that the published recipes name."""

from __future__ import annotations

import math
from typing import Any, assert_never

import torch
from torch import nn

from poseworks.core.training.settings import TrainSettings


class TensorFlowAdam(torch.optim.Adam):
    """Adam as TensorFlow has it: epsilon beside the root of the uncorrected second moment ("epsilon hat").

        w -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)        (Kingma and Ba 2015, end of sec. 2)

    torch adds epsilon after it has corrected the root, so that it counts less in the first thousand steps.
    """

    def __init__(self, weights: Any, lr: float, epsilon: float = 1e-8, weight_decay: float = 0.0) -> None:
        super().__init__(weights, lr=lr, eps=epsilon, weight_decay=weight_decay)
        self.epsilon = epsilon

    def step(self, closure: Any = None) -> Any:
        """One update."""
        done = next((int(state["step"]) for state in self.state.values()), 0)
        for group in self.param_groups:
            group["eps"] = self.epsilon / math.sqrt(1 - group["betas"][1] ** (done + 1))
        return super().step(closure)


def make_optimizer(network: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimizer of the settings over all weights that ask for a gradient."""
    weights = [p for p in network.parameters() if p.requires_grad]
    rate, decay = settings.learning_rate, settings.weight_decay
    match settings.optimizer:
        case "adam":
            return torch.optim.Adam(weights, lr=rate, weight_decay=decay)
        case "adam_amsgrad":
            return torch.optim.Adam(weights, lr=rate, weight_decay=decay, amsgrad=True)
        case "adam_tensorflow":
            return TensorFlowAdam(weights, lr=rate, weight_decay=decay)
        case "adamw_all":
            return torch.optim.AdamW(weights, lr=rate, weight_decay=decay)
        case "adamw":
            groups = [
                {"params": [p for p in weights if p.ndim >= 2], "weight_decay": decay},
                {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
            ]
            return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate)
        case "sgd":
            return torch.optim.SGD(weights, lr=rate, momentum=settings.momentum or 0.0, weight_decay=decay)
        case other:
            assert_never(other)
