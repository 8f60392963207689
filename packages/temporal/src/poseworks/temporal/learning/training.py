"""Training by a recipe: this package's own weights on open motion, and the published configurations.

Own weights are trained as they are used: windows at the stride of inference are run and merged by the mean where they
overlap (with a look-ahead: those alone that end in time), and the loss is taken on the merged clip, accelerations
across windows included. The published recipes (`published_training`) take the loss inside single windows.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.motion_data import Clip, read_clips
from poseworks.core.skeletons import H36M_17
from poseworks.core.training import RecipeTask, RecipeTrainer, TrainSettings
from poseworks.temporal.deciwatch import DeciWatch, normalised, zero_output_layers
from poseworks.temporal.learning.equivariant import EquivariantSmoothNet, folded
from poseworks.temporal.learning.evaluation import Figures, measure, network_smoother, noisy_clips, sparse
from poseworks.temporal.learning.losses import clip_loss
from poseworks.temporal.learning.published_data import read_published
from poseworks.temporal.learning.published_training import PublishedTask
from poseworks.temporal.learning.recipes import (
    RECIPES,
    OwnDeciWatch,
    OwnSmoothNet,
    PublishedDeciWatch,
    PublishedSmoothNet,
    Recipe,
)
from poseworks.temporal.learning.sampling import MotionBatch, MotionSampler
from poseworks.temporal.loading import Network, save
from poseworks.temporal.preparation import Preparation

_PELVIS = (H36M_17.index("pelvis"), H36M_17.index("left_hip"), H36M_17.index("right_hip"))
_VALIDATION_DRAWS = (6, 7)  # other draws of the noise than the ones that are reported
NOISE = "detections in video: 20 mm an axis in 3D, 0.8 % of height in 2D, correlated over about 130 ms, with bursts"


def merged(windows: Tensor, stride: int, look_ahead: int | None = None) -> tuple[Tensor, Tensor]:
    """The mean of windows (N, n, W) where they overlap, (N, T), and how many cover each frame, (T,).

    T = (n - 1) stride + W. With a look-ahead of k frames only windows count that end by then: positions W - 1 - k
    and later. Frames that none covers are 0. The differentiable form of `windows.apply_windows`.
    """
    _, number, width = windows.shape
    used = windows.new_zeros(width)
    used[0 if look_ahead is None else max(0, width - 1 - look_ahead) :] = 1
    frames = (number - 1) * stride + width

    def summed(x: Tensor) -> Tensor:
        return F.fold(x.mT, (1, frames), (1, width), stride=(1, stride))[:, 0, 0]

    counts = summed(used.expand(1, number, width))[0]
    return summed(windows * used) / counts.clamp(min=1), counts


class _OwnTask(ABC):
    """What both own recipes share: noisy pieces in, a loss on the merged clip."""

    network: nn.Module

    def __init__(self, recipe: OwnSmoothNet | OwnDeciWatch, clips: Sequence[Clip], validation: Sequence[Clip]) -> None:
        self.recipe = recipe
        self.validation = validation
        streams = isinstance(recipe, OwnSmoothNet) and recipe.look_ahead is not None
        self.sampler = MotionSampler(
            [clip.positions for clip in clips],
            recipe.sampling,
            _PELVIS,
            lead_in=recipe.network.window - 1 if streams else 0,
        )

    @abstractmethod
    def run(self, channels: Tensor, clean: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Merged (N, T), cover (T,) and further losses of channels (N, T)."""

    def settings(self) -> TrainSettings:
        """The recipe's training."""
        return self.recipe.training

    @abstractmethod
    def finished(self) -> Network:
        """The network as it is used."""

    def step_loss(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Loss of a fresh batch, lengths in millimetres."""
        seed = int(torch.randint(2**62, (), generator=generator))
        batch = self.sampler.draw(self.recipe.training.batch_size, np.random.default_rng(seed))
        device = next(self.network.parameters()).device
        clean, noisy = batch.clean.to(device), batch.noisy.to(device)
        frames = clean.shape[-1]
        smoothed, cover, further = self.run(noisy.reshape(-1, frames), clean.reshape(-1, frames))
        weights = self._frame_weights(batch, cover)
        parts = clip_loss(smoothed.view_as(clean), clean, weights, self.recipe.acceleration_weight)
        losses = {"loss": 1000 * (parts.loss + sum(further.values())), "mpjpe": 1000 * parts.position}
        return losses | {"acceleration": 1000 * parts.other} | {n: 1000 * x for n, x in further.items()}

    def _frame_weights(self, batch: MotionBatch, cover: Tensor) -> Tensor:
        ends = torch.full_like(cover, self.recipe.end_weight)
        by_cover = torch.where(cover == cover.max(), torch.ones_like(cover), ends)
        return batch.weights.to(cover.device) * torch.where(cover > 0, by_cover, torch.zeros_like(cover))

    @abstractmethod
    def figures(self) -> Figures:
        """The network, as it is used, on the validation clips."""

    def validate(self) -> dict[str, float]:
        """Figures on the validation clips, in mm."""
        figures = self.figures()
        names = ("mpjpe", "acceleration", "harm", "kept")
        return {name: getattr(figures, name) for name in names}


class SmoothNetTask(_OwnTask):
    """`OwnSmoothNet` on clips."""

    def __init__(self, recipe: OwnSmoothNet, clips: Sequence[Clip], validation: Sequence[Clip]) -> None:
        super().__init__(recipe, clips, validation)
        self.look_ahead = recipe.look_ahead
        generator = torch.Generator().manual_seed(recipe.training.seed)
        self.network = self.trained = EquivariantSmoothNet(recipe.network, recipe.trend_degree, generator=generator)

    def run(self, channels: Tensor, clean: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Windows at every frame."""
        smoothed = self.trained(channels.unfold(1, self.recipe.network.window, 1))
        return *merged(smoothed, 1, self.look_ahead), {}

    def finished(self) -> Network:
        """A plain SmoothNet."""
        network = folded(self.trained)
        network.preparation = Preparation(
            scale="any", centring="root", fps=30, noise=NOISE, latency_frames=self.look_ahead
        )
        return network

    def figures(self) -> Figures:
        """Whole clips, or with the look-ahead."""
        smoother = network_smoother(self.finished(), look_ahead=self.look_ahead, unit_m=1e-3)
        return measure(smoother, noisy_clips(self.validation, draws=_VALIDATION_DRAWS))


class DeciWatchTask(_OwnTask):
    """`OwnDeciWatch` on clips."""

    def __init__(self, recipe: OwnDeciWatch, clips: Sequence[Clip], validation: Sequence[Clip]) -> None:
        super().__init__(recipe, clips, validation)
        self.denoise_weight = recipe.denoise_weight
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.training.seed)
            self.network = self.trained = zero_output_layers(DeciWatch(recipe.network))

    def run(self, channels: Tensor, clean: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Windows at every sampled frame; besides, the L1 of the denoised sampled frames."""
        config = self.trained.config
        windows = channels.unfold(1, config.window, config.interval)
        shape = windows.shape
        relative, mean, spread = normalised(windows.reshape(-1, config.window, 1), config.interval)
        recovered, denoised = (x * spread + mean for x in self.trained(relative))
        target = clean.unfold(1, config.window, config.interval).reshape(-1, config.window, 1)
        denoise = (denoised - target)[:, :: config.interval].abs().mean()
        further = {"denoise": self.denoise_weight * denoise}
        return *merged(recovered.reshape(shape), config.interval), further

    def finished(self) -> Network:
        """The network itself."""
        self.trained.preparation = Preparation(scale="any", centring="root", fps=30, noise=NOISE)
        return self.trained

    def figures(self) -> Figures:
        """Clips of which only the sampled frames are known."""
        smoother = sparse(network_smoother(self.finished(), unit_m=1e-3), self.trained.config.interval)
        return measure(smoother, noisy_clips(self.validation, draws=_VALIDATION_DRAWS[:1]))


def own_task(recipe: OwnSmoothNet | OwnDeciWatch, data: str | os.PathLike[str]) -> SmoothNetTask | DeciWatchTask:
    """The task of an own recipe on the train and val clips of a motion file such as ``cmu17.npz``."""
    clips, validation = read_clips(data, "train"), read_clips(data, "val")
    if isinstance(recipe, OwnSmoothNet):
        return SmoothNetTask(recipe, clips, validation)
    return DeciWatchTask(recipe, clips, validation)


def _task(recipe: Recipe, data: str | os.PathLike[str] | None) -> RecipeTask[Network]:
    """The task of a recipe on its data."""
    if isinstance(recipe, PublishedSmoothNet | PublishedDeciWatch):
        try:
            validation = read_published(recipe.data, "test", data)
        except DataError:  # trains without it
            validation = []
        return PublishedTask(recipe, read_published(recipe.data, "train", data), validation)
    if data is None:
        raise ConfigError(f"{recipe.name}: needs a motion file. Give --data benchmarks/data/cmu17.npz.")
    return own_task(recipe, data)


train_recipe = RecipeTrainer(RECIPES, _task, save)
