"""Training of a small EHGFormer by a full one, as published.

    loss = losses of the label + weight (L_space + L_time + L_generation)        weight 1e-6

The three losses compare features behind the shared norms of paired blocks (`distillation`). The teacher comes from a
checkpoint and never changes: it is in eval mode, takes no gradient and is not part of what is trained and saved. The
distiller is trained along with the student, by the same optimizer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from poseworks.core.errors import ConfigError
from poseworks.core.training import TrainResult, TrainSettings, last_weights
from poseworks.lifting.distillation import Distiller, DistillerConfig
from poseworks.lifting.ehgformer import EHGFormer
from poseworks.lifting.learning.losses import clip_losses
from poseworks.lifting.learning.published_files import write_distiller, write_ehgformer
from poseworks.lifting.learning.published_training import ClipBatches, untrained
from poseworks.lifting.loading import load, save

if TYPE_CHECKING:
    from poseworks.lifting.learning.h36m_files.frames import EHGFormerFrames
    from poseworks.lifting.learning.recipes import Lesson, PublishedDistillation


@dataclass(frozen=True)
class Features:
    """What blocks of an EHGFormer gave, and the answer to all of it.

    Attributes:
        space: (N T, 17, C) of each chosen block, behind its space part and norm.
        time: (N 17, T, C), behind its time part and norm.
        answer: (N, T, 17, 3).
    """

    space: list[Tensor]
    time: list[Tensor]
    answer: Tensor


def features_of(network: EHGFormer, x: Tensor, blocks: Iterable[int]) -> Features:
    """The features of chosen blocks, in their order, of clips (N, T, 17, 3)."""
    stages = list(network.stages(x))
    chosen = [stages[block] for block in blocks]
    return Features(
        space=[spatial.flatten(0, 1) for spatial, _ in chosen],
        time=[tokens.transpose(1, 2).flatten(0, 1) for _, tokens in chosen],
        answer=network.head(network.head_norm(stages[-1][1])),
    )


class Pupil(nn.Module):
    """What is trained: the student, and the distiller beside it."""

    def __init__(self, student: EHGFormer, distiller: Distiller) -> None:
        super().__init__()
        self.student, self.distiller = student, distiller


class DistillationTask:
    """`PublishedDistillation` on the frames of its data."""

    def __init__(self, recipe: PublishedDistillation, frames: EHGFormerFrames, validation: EHGFormerFrames) -> None:
        self.recipe, self.validation = recipe, validation
        self.teacher = teacher_of(recipe)
        student = untrained(recipe)
        self.network = Pupil(student, untrained_distiller(recipe, self.teacher))
        self.batches = ClipBatches(recipe, frames, student)

    def settings(self) -> TrainSettings:
        """See `ClipBatches.settings`."""
        return self.batches.settings()

    def depends_on(self) -> dict[str, Any]:
        """The number of clips, and the file of the teacher."""
        return {**self.batches.depends_on(), "teacher_sha256": self.teacher.sha256}

    def step_loss(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The losses of the label and, weighted, of the features."""
        inputs, labels = self.batches.batch(step, generator)
        lesson, losses = self.recipe.lesson, self.recipe.losses
        with torch.no_grad():
            taught = features_of(self.teacher.to(inputs.device), inputs, lesson.teacher_blocks)
        learned = features_of(self.network.student, inputs, lesson.student_blocks)
        parts = clip_losses(learned.answer, labels, losses)
        distilled = distillation_losses(self.network.distiller, learned, taught)
        return {**parts, "loss": parts["loss"] + lesson.weight * sum(distilled.values()), **distilled}

    def validate(self) -> dict[str, float]:
        """The published evaluation of the student."""
        return self.batches.validate(self.network.student, self.validation)

    def finished(self) -> EHGFormer:
        """The student."""
        return self.network.student

    def save_more(self, folder: Path, run: TrainResult) -> None:
        """The distiller as a folder, and both networks in the published layout, best and latest."""
        save(self.network.distiller.cpu(), folder / "distiller", overwrite=True)
        latest = Pupil(EHGFormer(self.recipe.network), Distiller(self.network.distiller.config))
        latest.load_state_dict(last_weights(folder))
        for name, pupil in (("best", self.network), ("latest", latest)):
            write_ehgformer(pupil.student, folder / f"{name}_epoch.bin")
            write_distiller(pupil.distiller, folder / f"{name}_epoch_distiller.bin")


def distillation_losses(distiller: Distiller, student: Features, teacher: Features) -> dict[str, Tensor]:
    """L_space and L_time of all pairs of features but the last, and L_generation of that one, unweighted."""
    return {
        "space": distiller.space_loss(student.space[:-1], teacher.space[:-1]),
        "time": distiller.time_loss(student.time[:-1], teacher.time[:-1]),
        "generation": distiller.generation_loss(student.time[-1], teacher.time[-1]),
    }


def teacher_of(recipe: PublishedDistillation) -> EHGFormer:
    """The teacher of a recipe, in eval mode, whose weights take no gradient.

    Raises:
        ConfigError: it is no EHGFormer, sees fewer frames than the student or another partition, or lacks a block.
        CheckpointError: it is not found, or damaged.
    """
    network = load(recipe.teacher)
    if not isinstance(network, EHGFormer):
        raise ConfigError(f"teacher: {recipe.teacher} is a {type(network).__name__}, expected an EHGFormer.")
    faults = []
    if network.config.frames < recipe.network.frames:
        faults.append(f"it sees {network.config.frames} frames, the student {recipe.network.frames}")
    if max(recipe.lesson.teacher_blocks) >= network.config.blocks:
        faults.append(f"it has blocks 0 to {network.config.blocks - 1}, lesson.teacher_blocks ask for others")
    if network.config.groups != recipe.network.groups:
        faults.append(f"its partition is {list(network.config.groups)}, the student's {list(recipe.network.groups)}")
    if faults:
        raise ConfigError(f"teacher: {recipe.teacher}: {'; '.join(faults)}. Name another with --set teacher=FILE.")
    return network.requires_grad_(False)


def untrained_distiller(recipe: PublishedDistillation, teacher: EHGFormer) -> Distiller:
    """The distiller between student and teacher with the weights that the recipe's seed gives."""
    lesson: Lesson = recipe.lesson
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed + 1)
        return Distiller(
            DistillerConfig(
                student_width=recipe.network.width,
                teacher_width=teacher.config.width,
                pairs=len(lesson.student_blocks),
                stride=lesson.generation_stride,
            )
        )
