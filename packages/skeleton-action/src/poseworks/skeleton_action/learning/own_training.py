"""Training of our own weights: open 3D recordings of exercises and of other motion, before random cameras.

Every batch is drawn afresh. The loss is the cross entropy with the class; of a clip that is none of them, with all
classes alike, so that the network learns to be undecided there (outlier exposure, Hendrycks et al. 2019).
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from poseworks.core.checkpoints import load_strict
from poseworks.core.training import TrainSettings
from poseworks.skeleton_action.drawing import draw_volumes
from poseworks.skeleton_action.learning.own_clips import OpenData, read_open_data
from poseworks.skeleton_action.learning.own_evaluation import calibrated, labels_of, logits_of
from poseworks.skeleton_action.learning.own_recipes import Batch, OwnActions
from poseworks.skeleton_action.learning.own_views import draw_clips, see
from poseworks.skeleton_action.loading import load
from poseworks.skeleton_action.slowonly import SlowOnly, SlowOnlyConfig
from poseworks.skeleton_action.x3d_shallow import X3DShallow


class OwnActionsTask:
    """`OwnActions` on recordings."""

    def __init__(self, recipe: OwnActions, data: OpenData, folder: Path) -> None:
        self.recipe, self.data, self.folder = recipe, data, folder
        config = recipe.network
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.training.seed)
            self.network = SlowOnly(config) if isinstance(config, SlowOnlyConfig) else X3DShallow(config)
        self.network.preparation = recipe.preparation.model_copy(update={"labels": data.class_names})
        self.begun_with = ""
        if recipe.begin_with is not None:
            first = load(recipe.begin_with)
            load_strict(self.network, first.state_dict(), source=recipe.begin_with)
            self.begun_with = first.sha256

    def settings(self) -> TrainSettings:
        """The recipe's."""
        return self.recipe.training

    def finished(self) -> SlowOnly | X3DShallow:
        """The network, calibrated on the split val, unless subjects are held out: then that split has trained it."""
        if not self.recipe.held_out:
            labels = {annotation.identifier: annotation.label for annotation in self.data.validation}
            self.network.preparation = calibrated(self.network, self.folder, self.recipe.cameras, labels)
        return self.network

    def depends_on(self) -> dict[str, str]:
        """The weights that training began with."""
        return {"begun_with_sha256": self.begun_with}

    def batch_at(self, generator: torch.Generator) -> Batch:
        """What the next batch is like."""
        batches = self.recipe.batches
        shares = torch.tensor([batch.share for batch in batches])
        return batches[int(torch.multinomial(shares, 1, generator=generator)) if len(batches) > 1 else 0]

    def step_loss(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross entropy of a fresh batch, and the share of its exercises that are told wrong."""
        recipe, batch, preparation = self.recipe, self.batch_at(generator), self.network.preparation
        clips = draw_clips(
            self.data.exercises, self.data.others, batch.clips, batch.frames, recipe.variation, generator
        )
        keypoints, scores = see(
            clips.joints, recipe.cameras, recipe.noise, recipe.variation, preparation.layout, batch.size, generator
        )
        device = next(self.network.parameters()).device
        volumes = draw_volumes(
            keypoints.to(device), scores.to(device), (batch.size, batch.size), preparation.layout, preparation.stream,
            preparation.sigma,
        )  # fmt: skip
        logits = self.network(volumes)
        labels = clips.labels.to(device)
        known = labels >= 0
        one_class = functional.one_hot(labels.clamp(min=0), logits.shape[1])
        target = torch.where(known[:, None], one_class, 1 / logits.shape[1])
        wrong = (logits.argmax(dim=1) != labels)[known].float()
        return {
            "loss": functional.cross_entropy(logits, target),
            "error": wrong.mean() if len(wrong) else torch.zeros(()),
        }

    def validate(self) -> dict[str, float]:
        """Share of the validation clips told wrong, and their mean negative log-likelihood; one view each."""
        logits = logits_of(self.network, self.data.validation)
        labels = labels_of(self.data.validation)
        wrong = (logits.argmax(dim=1) != labels).float().mean()
        return {"error": float(wrong), "nll": float(functional.cross_entropy(logits, labels))}


def own_task(recipe: OwnActions, data: str | os.PathLike[str]) -> OwnActionsTask:
    """The task on the files of a folder (`read_open_data`).

    Raises:
        FormatError, DataError: a file is not there, or not of its layout.
    """
    return OwnActionsTask(recipe, read_open_data(Path(data), recipe.held_out), Path(data))
