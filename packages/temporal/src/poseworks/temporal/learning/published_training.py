"""Training by the papers' recipes: single windows of the published data, the published losses.

Departures from the published code, each for a reason:

- windows are drawn uniformly over all windows of all sequences (`sampling`); there, most come from the last sequence;
- sequences shorter than a window are left out; DeciWatch's code trains on their zero padding;
- an epoch is the number of windows over the batch size, with replacement; there, it goes through its skewed list once;
- of several processes each draws its own windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from poseworks.core.training import TrainSettings
from poseworks.temporal.deciwatch import DeciWatch
from poseworks.temporal.learning.losses import deciwatch_loss, smoothnet_loss
from poseworks.temporal.learning.published_data import PublishedData, PublishedSequence
from poseworks.temporal.learning.published_evaluation import evaluate_published
from poseworks.temporal.learning.recipes import PublishedDeciWatch, PublishedSmoothNet
from poseworks.temporal.learning.sampling import WindowSampler
from poseworks.temporal.loading import Network
from poseworks.temporal.preparation import Preparation
from poseworks.temporal.smoothnet import SmoothNet


class PublishedTask:
    """A published recipe on sequences of its data."""

    network: Network

    def __init__(
        self,
        recipe: PublishedSmoothNet | PublishedDeciWatch,
        sequences: Sequence[PublishedSequence],
        validation: Sequence[PublishedSequence] = (),
    ) -> None:
        self.recipe, self.sequences, self.validation = recipe, list(sequences), list(validation)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.training.seed)
            if isinstance(recipe, PublishedSmoothNet):
                self.network = SmoothNet(recipe.network)
            else:
                self.network = DeciWatch(recipe.network)
        self.network.preparation = preparation(recipe.data)
        self.windows = WindowSampler([len(sequence.noisy) for sequence in self.sequences], self.network.window)

    def settings(self) -> TrainSettings:
        """The recipe's training, with the steps of an epoch counted from the data."""
        settings = self.recipe.training
        if settings.steps_per_epoch is not None:
            return settings
        return settings.model_copy(update={"steps_per_epoch": math.ceil(len(self.windows) / settings.batch_size)})

    def step_loss(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The published loss of a fresh batch."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        noisy, clean = self.batch(rng)
        if isinstance(self.recipe, PublishedSmoothNet):
            parts = smoothnet_loss(self.network(noisy.mT).mT, clean, self.recipe.acceleration_weight)
            return {"loss": parts.loss, "position": parts.position, "acceleration": parts.other}
        recovered, denoised = self.network(noisy)
        parts = deciwatch_loss(recovered, denoised, clean, self.recipe.network.interval, self.recipe.recover_weight)
        return {"loss": parts.loss, "recovered": parts.position, "denoised": parts.other}

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Noisy and clean windows (B, W, C), on the network's device."""
        chosen = self.windows.draw(self.recipe.training.batch_size, rng)
        width = self.network.window
        device = next(self.network.parameters()).device
        noisy, clean = (
            torch.from_numpy(np.stack([getattr(self.sequences[s], side)[t : t + width] for s, t in chosen])).to(device)
            for side in ("noisy", "clean")
        )
        return noisy, clean

    def validate(self) -> dict[str, float]:
        """Errors of the output on the test sequences; the last epoch is kept whatever they are, as published."""
        if not self.validation:
            return {}
        rows = evaluate_published(self.network, self.validation, self.recipe.data)
        return {row.measure: row.after for row in rows}

    def finished(self) -> Network:
        """The network itself."""
        return self.network


def preparation(data: PublishedData) -> Preparation:
    """What weights trained on this data are fed with."""
    if data.representation == "smpl":
        return Preparation(representation="six_d_columns", centring="none")
    if data.representation == "3D":
        return Preparation(scale="metres", centring="root")
    return Preparation(scale="image", image_shift=data.pixel_shift, centring="none")
