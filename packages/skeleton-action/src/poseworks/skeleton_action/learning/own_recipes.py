"""Recipes of our own weights: a network taught by open 3D motion before random cameras."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveInt

from poseworks.core.training import BaseRecipe
from poseworks.core.training.cameras import CameraSampling
from poseworks.core.training.keypoint_noise import KeypointNoise
from poseworks.skeleton_action.preparation import Preparation
from poseworks.skeleton_action.slowonly import SlowOnlyConfig
from poseworks.skeleton_action.x3d_shallow import X3DShallowConfig

Share = float


class Batch(BaseModel, frozen=True, extra="forbid"):
    """A size that batches may have: volumes as the preparation's, or others that the network shall bear too."""

    share: float = Field(1.0, gt=0, le=1, description="of the updates")
    clips: PositiveInt
    frames: PositiveInt
    size: PositiveInt


class ClipVariation(BaseModel, frozen=True, extra="forbid"):
    """How recordings of the exercises, and of other motion, are varied. Shares are probabilities a clip.

    Attributes:
        other_share: of clips that are none of the classes.
        still_share: of those, the ones in which somebody stands still in a pose of an exercise.
        cut_share, shortest_cut: a recording is cut to a part of it, down to this share of its frames.
        crop_share, crop_area, crop_aspect: the image is cropped and stretched as published (`RandomResizedCrop`).
        mirror_share: the image is mirrored, left and right exchanged.
        face_spread_m: standard deviation of where the face's points lie on the head.
        score_share, lowest_score: keypoints have scores below 1, down to this.
    """

    other_share: Share = Field(0.25, ge=0, le=1)
    still_share: Share = Field(0.2, ge=0, le=1)
    cut_share: Share = Field(0.5, ge=0, le=1)
    shortest_cut: Share = Field(0.6, gt=0, le=1)
    crop_share: Share = Field(0.5, ge=0, le=1)
    crop_area: tuple[float, float] = (0.56, 1.0)
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    mirror_share: Share = Field(0.5, ge=0, le=1)
    face_spread_m: NonNegativeFloat = 0.015
    score_share: Share = Field(0.5, ge=0, le=1)
    lowest_score: float = Field(0.4, gt=0, le=1)


class OwnActions(BaseRecipe, frozen=True, extra="forbid"):
    """A network taught by open 3D motion.

    Attributes:
        begin_with: weights (a shipped name or a folder) to go on from.
        held_out: subjects that are kept out of training, and validated on; none: the published split.
        batches: number and size of the volumes, drawn for every update; `training.batch_size` is that of the first.
    """

    kind: Literal["own_actions"]
    network: Annotated[X3DShallowConfig | SlowOnlyConfig, Field(discriminator="kind")]
    preparation: Preparation = Preparation()
    begin_with: str | None = None
    held_out: tuple[PositiveInt, ...] = ()
    batches: tuple[Batch, ...] = Field(min_length=1)
    variation: ClipVariation = ClipVariation()
    cameras: CameraSampling = CameraSampling()
    noise: KeypointNoise = KeypointNoise(converted_share=0.0)
