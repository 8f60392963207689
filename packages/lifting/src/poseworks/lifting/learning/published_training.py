"""Training by the papers' recipes, on the published data sets.

LCN: batches are cut from chained permutations of all frames; with `flip` the mirrored frames follow the others. The
loss is the mean square of all outputs; ``training.weight_decay`` is the published optional sum of squares.

EHGFormer: an epoch goes through all clips once, in an order drawn anew; the label's root is static or dynamic.

No sample is made beforehand: LCN's frames stay as they were read and are normalised when a batch is gathered;
EHGFormer's are normalised once and shared by the clips they lie in. For the 1,559,752 training frames that takes,
beside what was read, 0.07 GB (LCN), or 0.5 GB for a moment and 0.35 GB then, when what was read is let go (EHGFormer).

Each process of a run takes its own samples, `batch_size` of them. Departures from the published code: orders and
mirrored clips follow from the seed and the step, so that a run can be continued exactly; the best weights are those of
the lowest mean over the actions that have test frames, where an action without any would make it NaN.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseworks.core.errors import DataError
from poseworks.core.training import (
    Permutations,
    TrainResult,
    TrainSettings,
    chained_batch,
    epoch_batch,
    epoch_steps,
    last_weights,
    place,
)
from poseworks.lifting.ehgformer import EHGFormer
from poseworks.lifting.flipping import flip
from poseworks.lifting.h36m import CAMERA_SIZES, normalize
from poseworks.lifting.lcn import LCN
from poseworks.lifting.learning.ehgformer_protocol import clip_set, evaluate_ehgformer
from poseworks.lifting.learning.h36m_files.frames import CAMERAS
from poseworks.lifting.learning.losses import clip_losses
from poseworks.lifting.learning.published_files import write_ehgformer
from poseworks.lifting.loading import save

if TYPE_CHECKING:
    from poseworks.lifting.learning.h36m_files.frames import EHGFormerFrames, LCNFrames
    from poseworks.lifting.learning.recipes import PublishedDistillation, PublishedEHGFormer, PublishedLCN

_VALIDATION_FRAMES = 4096  # at a time
_SIZES = np.array([CAMERA_SIZES[name] for name in CAMERAS])

Batch = tuple[Tensor, Tensor]


class LCNTask:
    """`PublishedLCN` on the frames of its data."""

    def __init__(self, recipe: PublishedLCN, frames: LCNFrames, validation: LCNFrames) -> None:
        self.recipe, self.frames, self.validation = recipe, frames, validation
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.training.seed)
            self.network = LCN(recipe.network)
        self.samples = len(frames) * (2 if recipe.flip else 1)
        if not self.samples:
            raise DataError("LCN: the training split holds no frame.")
        self.order = Permutations(self.samples, recipe.training.seed)

    def settings(self) -> TrainSettings:
        """The recipe's training; an epoch is all whole batches of the samples, and ends in a validation."""
        training = self.recipe.training
        return _validated_each_epoch(training, max(self.samples // (training.batch_size * place().size), 1))

    def depends_on(self) -> dict[str, Any]:
        """The number of frames."""
        return {"frames": len(self.frames)}

    def step_loss(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean square error of a batch, normalised."""
        inputs, labels = self.batch(step)
        return {"loss": (self.network(inputs) - labels).square().mean()}

    def batch(self, step: int) -> Batch:
        """Inputs (B, 17, 2 or 3) and labels (B, 17, 3) of a step, normalised, on the network's device."""
        rows = chained_batch(self.order, step, self.recipe.training.batch_size, place())
        return self.gather(self.frames, rows)

    def gather(self, frames: LCNFrames, rows: NDArray[np.int64]) -> Batch:
        """As `batch`, of chosen samples; numbers beyond the frames stand for the mirrored ones."""
        count = len(frames)
        mirrored, rows = rows >= count, rows % count
        width, height = _SIZES[frames.camera[rows]].T
        inputs = normalize(frames.keypoints[rows], width, height)
        labels = normalize(frames.joints_image[rows], width, height)
        if self.recipe.network.in_features == 3:
            inputs = np.concatenate([inputs, frames.confidence[rows][..., None]], axis=-1)
        x, y = (_mirrored_where(torch.from_numpy(part).float(), mirrored) for part in (inputs, labels))
        device = next(self.network.parameters()).device
        return x.to(device), y.to(device)

    def validate(self) -> dict[str, float]:
        """The loss on all test frames."""
        total, count = 0.0, len(self.validation)
        for start in range(0, count, _VALIDATION_FRAMES):
            inputs, labels = self.gather(self.validation, np.arange(start, min(start + _VALIDATION_FRAMES, count)))
            total += float((self.network(inputs) - labels).square().mean(dim=(1, 2)).sum(dtype=torch.float64))
        return {"normalised_mse": total / count if count else float("nan")}

    def finished(self) -> LCN:
        """The network itself."""
        return self.network

    def save_more(self, folder: Path, run: TrainResult) -> None:
        """``final``: the weights after the last step, which the published evaluation takes by default."""
        final = copy.deepcopy(self.network)
        final.load_state_dict(last_weights(folder))
        save(final, folder / "final", overwrite=True)


class ClipBatches:
    """Batches of clips of the published frames, which are normalised once."""

    def __init__(
        self, recipe: PublishedEHGFormer | PublishedDistillation, frames: EHGFormerFrames, network: nn.Module
    ) -> None:
        self.recipe, self.network = recipe, network
        # The published code seeds its generator with 0, cuts the training split, and goes on with the test split.
        self.random = np.random.RandomState(0)
        self.clips = clip_set(
            frames, recipe.network.frames, recipe.clip_stride, step=recipe.frame_step, random=self.random
        )
        self.order = Permutations(len(self.clips), recipe.training.seed)

    def settings(self) -> TrainSettings:
        """The recipe's training; an epoch goes through all clips and ends in a validation."""
        training = self.recipe.training
        return _validated_each_epoch(training, epoch_steps(len(self.clips), training.batch_size, place()))

    def depends_on(self) -> dict[str, Any]:
        """The number of clips."""
        return {"clips": len(self.clips)}

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """Inputs and labels (B, T, 17, 3) of a step, some of them mirrored, on the network's device."""
        chosen = epoch_batch(self.order, step, self.recipe.training.batch_size, place())
        inputs, labels = self.gather(chosen)
        if self.recipe.flip:
            mirrored = (torch.rand(len(chosen), generator=generator) < 0.5).numpy()
            inputs, labels = _mirrored_where(inputs, mirrored), _mirrored_where(labels, mirrored)
        device = next(self.network.parameters()).device
        return inputs.to(device), labels.to(device)

    def gather(self, chosen: NDArray[np.int64]) -> Batch:
        """Inputs and labels (B, T, 17, 3) of chosen clips."""
        inputs, labels = (torch.from_numpy(part) for part in self.clips.take(chosen))
        if self.recipe.gt_2d:
            inputs = torch.cat([labels[..., :2], torch.ones_like(labels[..., :1])], dim=-1)
        return inputs, rooted(labels, self.recipe.root)

    def validate(self, network: EHGFormer, frames: EHGFormerFrames) -> dict[str, float]:
        """The published evaluation in mm, means over the actions that have frames: ``mpjpe`` and ``pa_mpjpe``."""
        recipe = self.recipe
        result = evaluate_ehgformer(
            network, frames, static=recipe.root == "static", gt_2d=recipe.gt_2d, step=recipe.frame_step,
            random=copy.deepcopy(self.random),
        )  # fmt: skip
        return {"mpjpe": result.p1_evaluated, "pa_mpjpe": result.p2_evaluated}


class EHGFormerTask:
    """`PublishedEHGFormer` on the frames of its data."""

    def __init__(self, recipe: PublishedEHGFormer, frames: EHGFormerFrames, validation: EHGFormerFrames) -> None:
        self.recipe, self.validation = recipe, validation
        self.network = untrained(recipe)
        self.batches = ClipBatches(recipe, frames, self.network)

    def settings(self) -> TrainSettings:
        """See `ClipBatches.settings`."""
        return self.batches.settings()

    def depends_on(self) -> dict[str, Any]:
        """See `ClipBatches.depends_on`."""
        return self.batches.depends_on()

    def step_loss(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The published losses of a batch."""
        inputs, labels = self.batches.batch(step, generator)
        return clip_losses(self.network(inputs), labels, self.recipe.losses)

    def validate(self) -> dict[str, float]:
        """See `ClipBatches.validate`."""
        return self.batches.validate(self.network, self.validation)

    def finished(self) -> EHGFormer:
        """The network itself."""
        return self.network

    def save_more(self, folder: Path, run: TrainResult) -> None:
        """``best_epoch.bin`` and ``latest_epoch.bin`` in the published layout."""
        write_ehgformer(self.network, folder / "best_epoch.bin")
        latest = copy.deepcopy(self.network)
        latest.load_state_dict(last_weights(folder))
        write_ehgformer(latest, folder / "latest_epoch.bin")


def untrained(recipe: PublishedEHGFormer | PublishedDistillation) -> EHGFormer:
    """The network of a recipe with the weights that its seed gives."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        return EHGFormer(recipe.network)


def rooted(labels: Tensor, root: str) -> Tensor:
    """Normalised labels (N, T, 17, 3) as they are trained on: about the root of each frame, or (dynamic) with depth
    about the first frame's root and x, y as they are."""
    if root == "static":
        return labels - labels[:, :, :1]
    depth = labels[..., 2:] - labels[:, :1, :1, 2:]
    return torch.cat([labels[..., :2], depth], dim=-1)


def _mirrored_where(points: Tensor, mirrored: NDArray[np.bool_]) -> Tensor:
    """(N, ..., 17, C) of which the chosen samples are mirrored."""
    if not mirrored.any():
        return points
    chosen = torch.from_numpy(mirrored).view(-1, *(1,) * (points.dim() - 1))
    return torch.where(chosen, flip(points), points)


def _validated_each_epoch(training: TrainSettings, steps: int) -> TrainSettings:
    """The settings with the steps of an epoch, where the recipe does not state them, and a validation after each."""
    steps = training.steps_per_epoch or steps
    return training.model_copy(update={"steps_per_epoch": steps, "validate_every": training.validate_every or steps})
