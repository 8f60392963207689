"""Training on annotation files by the published recipe (Duan et al. 2022, sec. 4; the code lines mmaction and pyskl).

SGD with momentum 0.9, weight decay on every weight, gradients clipped to a norm of 40, and a rate that falls with each
step as 0.5 lr0 (1 + cos(pi i / total)). An epoch goes through the data `repeat` times, in an order drawn anew.

Frames, crop and mirroring of a sample follow from the seed, the step and its place in the batch, whatever process
prepares it, so that a run can be continued to bit-equal weights. Each process of a run takes samples of its own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.training import Permutations, TrainSettings, epoch_batch, epoch_steps, place
from poseworks.core.training.random import derived_seed
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.annotation_files import DataSet
from poseworks.skeleton_action.learning.clips import Clips, Prepared, draw, prepared
from poseworks.skeleton_action.learning.evaluation import score_split
from poseworks.skeleton_action.learning.published_recipes import PublishedActions
from poseworks.skeleton_action.loading import Network, build, load
from poseworks.skeleton_action.metrics import measure
from poseworks.skeleton_action.views import Views
from poseworks.skeleton_action.volumes import sample_to_train

_DROP = 0.1  # of the rate, after each of `lr_drops`
ClipKey = tuple[int, int]


class PublishedActionsTask:
    """`PublishedActions` on the annotations of its data.

    Attributes:
        samples: of an epoch.
    """

    def __init__(
        self, recipe: PublishedActions, train: DataSet, test: DataSet | None, class_names: Sequence[str] = ()
    ) -> None:
        """`test` is None where nothing is validated.

        Raises:
            DataError: the training split holds no annotation.
        """
        self.recipe, self.train, self.test = recipe, train, test
        self.places = _places(recipe, train)
        self.samples = len(self.places) * recipe.repeat
        self.order = Permutations(self.samples, recipe.training.seed)
        self.network, self.begun_with = _begin(recipe)
        self.network.preparation = recipe.preparation(tuple(class_names))
        self.clips: Iterator[Clips] | None = None
        self.next_step, self.fetched_at = -1, 0.0
        if test is not None:
            self.validate = self._validate

    def settings(self) -> TrainSettings:
        """The recipe's training with the steps of an epoch and the rate for as many samples as a step has."""
        recipe, training = self.recipe, self.recipe.training
        steps = training.steps_per_epoch or epoch_steps(self.samples, training.batch_size, place())
        rate = training.learning_rate * self._samples_a_step / recipe.lr_batch
        fields: dict[str, Any] = {"steps_per_epoch": steps, "learning_rate": rate}
        if recipe.validation:
            fields["validate_every"] = training.validate_every or steps * -(-recipe.validation_passes // recipe.repeat)
        if recipe.lr_drops:
            fields["schedule"] = "steps"
            fields["boundaries"] = tuple(epoch * steps - 1 for epoch in recipe.lr_drops)
            fields["rates"] = tuple(rate * _DROP ** (number + 1) for number in range(len(recipe.lr_drops)))
        return TrainSettings(**training.model_dump() | fields)

    def notes(self) -> list[str]:
        """What a user has to know before it begins."""
        recipe, settings = self.recipe, self.settings()
        length = f"{recipe.passes} passes over them in {settings.total_steps:,} steps of {self._samples_a_step} samples"
        notes = [f"{len(self.train.annotations):,} recordings, {length}"]
        if settings.learning_rate != recipe.training.learning_rate:
            notes.append(
                f"learning rate {settings.learning_rate:.4g}: {recipe.training.learning_rate:g} is meant for "
                f"{recipe.lr_batch} samples a step, here there are {self._samples_a_step}"
            )
        if recipe.few_passes:
            notes.append(
                f"warning: {recipe.passes} passes over the data are few; the published figures took 240 (120 from "
                "Kinetics weights). Raise training.epochs or repeat"
            )
        return notes

    def depends_on(self) -> dict[str, Any]:
        """The number of samples, and the weights that it began with."""
        return {"samples": self.samples, "begun_with_sha256": self.begun_with}

    def step_loss(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross entropy, the share of right answers, and the share of the step's time that the data were waited for.

        The first step of a run has no other time to compare with, and says 1.
        """
        asked_at = time.perf_counter()
        device = next(self.network.parameters()).device
        clips = self._fetch(step, device)
        now = time.perf_counter()
        share = (now - asked_at) / max(now - (self.fetched_at or asked_at), 1e-9)
        self.fetched_at = now
        logits: Tensor = self.network(draw(clips, self.network.preparation))
        right = (logits.detach().argmax(dim=1) == clips.labels).float().mean()
        loss = functional.cross_entropy(logits.float(), clips.labels)
        return {"loss": loss, "top1_accuracy": right, "data_share": torch.tensor(share, device=device)}

    def _fetch(self, step: int, device: torch.device) -> Clips:
        """The clips of a step; the workers begin anew where steps are not asked in turn."""
        if self.clips is None or step != self.next_step:
            workers = self.recipe.workers
            self.clips = prepared(self._sample, self._keys(step), workers, pinned=device.type == "cuda")
        self.next_step = step + 1
        return next(self.clips).to(device)

    def _keys(self, step: int) -> Iterator[list[ClipKey]]:
        """For each step from this one: the annotations of a batch and the seeds of their clips."""
        training, here = self.recipe.training, place()
        for number in count(step):
            chosen = epoch_batch(self.order, number, training.batch_size, here) % len(self.places)
            yield [
                (int(self.places[item]), derived_seed(training.seed, number, here.rank, row))
                for row, item in enumerate(chosen)
            ]

    def _sample(self, key: ClipKey) -> Prepared:
        """A clip of an annotation, varied as published."""
        chosen, seed = key
        annotation: Annotation = self.train.annotations[chosen]
        p = self.network.preparation
        rng, offsets = np.random.default_rng(seed), random.Random(seed)
        sample = sample_to_train(annotation, p, rng, offsets, size=self.recipe.train_size)
        _label(annotation)  # raises where there is none
        return sample, annotation

    def _validate(self) -> dict[str, float]:
        """The test split with one clip a recording: ``error`` is what is not right by top-1."""
        assert self.test is not None
        scored = score_split(self.network, self.test.annotations, Views(), workers=self.recipe.workers)
        found = measure(scored.results.scores, scored.labels)
        return {"error": 1 - found["top1_accuracy"], **found}

    def finished(self) -> Network:
        """The network itself."""
        self.clips = None  # ends the workers
        return self.network

    @property
    def _samples_a_step(self) -> int:
        """In all processes together."""
        return self.recipe.training.batch_size * place().size


def _places(recipe: PublishedActions, data: DataSet) -> NDArray[np.int64]:
    """The annotations of a pass, those of classes that count more often so many times."""
    everything = np.arange(len(data.annotations))
    if not recipe.repeated_classes:
        return everything
    labels = np.array([_label(annotation) for annotation in data.annotations])
    times = np.ones(len(labels), dtype=np.int64)
    for entry in recipe.repeated_classes:
        times[(labels >= entry.first) & (labels <= entry.last)] = entry.times
    return np.repeat(everything, times)


def _label(annotation: Annotation) -> int:
    if annotation.label is None:
        raise DataError(f"annotation {annotation.identifier!r}: has no label. Only labelled recordings can be learnt.")
    return annotation.label


def _begin(recipe: PublishedActions) -> tuple[Network, str | None]:
    """The network before training, and the SHA-256 of the weights that it begins with.

    Raises:
        ConfigError: those weights are of another network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        network = build(recipe.network)
    if recipe.begin_with is None:
        return network, None
    taught = load(recipe.begin_with)
    sizes, wanted = (part.config.model_dump(exclude={"classes", "dropout"}) for part in (taught, network))
    if sizes != wanted:
        raise ConfigError(f"begin_with: {recipe.begin_with} has the sizes {sizes}, the recipe's network {wanted}.")
    network.backbone.load_state_dict(taught.backbone.state_dict())
    return network, taught.sha256
