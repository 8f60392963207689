"""Recipes of our own weights: a network for the forms ray or box, trained on open motion before random cameras."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveInt

from poseworks.core.training import BaseRecipe
from poseworks.core.training.cameras import CameraSampling
from poseworks.core.training.keypoint_noise import KeypointNoise
from poseworks.lifting.ehgformer import EHGFormerConfig
from poseworks.lifting.input_forms import Preparation
from poseworks.lifting.lcn import LCNConfig
from poseworks.lifting.learning.motion import MotionSampling


class Stage(BaseModel, frozen=True, extra="forbid"):
    """A part of training with clips of one length: short ones are more varied, long ones teach motion."""

    until: float = Field(gt=0, le=1, description="share of all steps")
    frames: PositiveInt


class OwnLifting(BaseRecipe, frozen=True, extra="forbid"):
    """A network for the forms ray or box, trained on open motion.

    Attributes:
        begin_with: weights (a shipped name or a folder) to go on from.
        stages: by clip length; a batch holds `training.batch_size` frames in all.
        velocity_weight: of the velocities' part of the loss.
    """

    kind: Literal["own_lifting"]
    network: Annotated[LCNConfig | EHGFormerConfig, Field(discriminator="kind")]
    preparation: Preparation
    begin_with: str | None = None
    stages: tuple[Stage, ...] = (Stage(until=1, frames=1),)
    velocity_weight: NonNegativeFloat = 0.0
    motion: MotionSampling = MotionSampling()
    cameras: CameraSampling = CameraSampling()
    noise: KeypointNoise = KeypointNoise()
