"""Training of our own weights: open recordings, varied, seen by random cameras, with a detector's noise.

Every batch is drawn afresh. The loss is the mean distance of the joints, relative to the root, in the axes in which the
network answers (`input_forms`); clips add the mean distance of their velocities.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.checkpoints import load_strict
from poseworks.core.motion_data import Split, read_clips, read_pairs
from poseworks.core.training import TrainSettings
from poseworks.core.training.cameras import View, draw_views
from poseworks.lifting.ehgformer import EHGFormer
from poseworks.lifting.lcn import LCN, LCNConfig
from poseworks.lifting.learning.motion import MotionPool, Recordings
from poseworks.lifting.learning.own_evaluation import (
    CLEAN,
    NOISY,
    ask,
    errors_of,
    network_lifter,
    see,
    seeded_views,
)
from poseworks.lifting.learning.own_recipes import OwnLifting
from poseworks.lifting.loading import load

_VALIDATION_SEED = 100  # other cameras than the ones that are reported


class OwnLiftingTask:
    """`OwnLifting` on recordings."""

    def __init__(self, recipe: OwnLifting, pool: MotionPool, validation: Sequence[View]) -> None:
        self.recipe, self.pool, self.validation = recipe, pool, validation
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.training.seed)
            self.network = LCN(recipe.network) if isinstance(recipe.network, LCNConfig) else EHGFormer(recipe.network)
        self.network.preparation = recipe.preparation
        self.assumed_focal = recipe.preparation.assumed_focal if recipe.preparation.form == "box" else None
        self.begun_with = ""
        if recipe.begin_with is not None:
            first = load(recipe.begin_with)
            load_strict(self.network, first.state_dict(), source=recipe.begin_with)
            self.begun_with = first.sha256

    def settings(self) -> TrainSettings:
        """The recipe's."""
        return self.recipe.training

    def finished(self) -> LCN | EHGFormer:
        """The network itself."""
        return self.network

    def depends_on(self) -> dict[str, str]:
        """The weights that training began with."""
        return {"begun_with_sha256": self.begun_with}

    def frames_at(self, step: int) -> int:
        """Frames of a clip in update `step`."""
        share = step / self.recipe.training.total_steps
        return next(stage.frames for stage in self.recipe.stages if share < stage.until)

    def step_loss(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Loss of a fresh batch, in mm."""
        recipe = self.recipe
        frames = self.frames_at(step)
        pieces = self.pool.draw(max(recipe.training.batch_size // frames, 1), frames, generator)
        seen = see(draw_views(pieces, recipe.cameras, generator), recipe.noise, generator, self.assumed_focal)
        device = next(self.network.parameters()).device
        truth = (seen.joints @ seen.turn.mT).to(device)
        joints = recipe.preparation.unit_m * ask(self.network, seen.x.to(device))
        position = 1000 * (joints - truth).norm(dim=-1).mean()
        losses = {"loss": position, "mpjpe": position}
        if frames > 1 and recipe.velocity_weight:
            velocity = 1000 * (joints.diff(dim=1) - truth.diff(dim=1)).norm(dim=-1).mean()
            losses |= {"loss": position + recipe.velocity_weight * velocity, "velocity": velocity}
        return losses

    def validate(self) -> dict[str, float]:
        """Errors on the validation clips, in mm."""
        lifter = network_lifter(self.network)
        clean, noisy = (
            errors_of(lifter, self.validation, noise=noise, assumed_focal=self.assumed_focal)
            for noise in (CLEAN, NOISY)
        )
        return {"mpjpe": clean.mpjpe, "pa": clean.pa, "noisy_mpjpe": noisy.mpjpe, "noisy_pa": noisy.pa}


def own_task(recipe: OwnLifting, data: str | os.PathLike[str]) -> OwnLiftingTask:
    """The task on the train and val clips of ``cmu17.npz`` and, where there, the train clips of ``prmd_pairs.npz``.

    Raises:
        FormatError, DataError: a file is not there, or not of its layout.
    """
    folder = Path(data)
    second = Recordings.of([pair.clean for pair in read_pairs(folder / "prmd_pairs.npz", "train")])
    pool = MotionPool(recipe.motion, Recordings.of(motion(folder, "train")), second)
    return OwnLiftingTask(recipe, pool, seeded_views(motion(folder, "val"), recipe.cameras, _VALIDATION_SEED))


def motion(folder: Path, split: Split) -> list[NDArray[np.float32]]:
    """The clips of ``cmu17.npz`` in a folder, (T, 17, 3) metres each."""
    return [clip.positions for clip in read_clips(folder / "cmu17.npz", split)]
