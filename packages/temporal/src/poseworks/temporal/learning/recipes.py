"""Recipes: TOML files that say all that a training run depends on, beside its seed and its data.

Recipes of this package's own weights (`OwnSmoothNet`, `OwnDeciWatch`) train on open motion with fitted noise; recipes
of the papers (`PublishedSmoothNet`, `PublishedDeciWatch`) on the published data sets, which must be brought along.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, RootModel

from poseworks.core.training import BaseRecipe, RecipeFolder
from poseworks.temporal.deciwatch import DeciWatchConfig
from poseworks.temporal.learning.published_data import PublishedData
from poseworks.temporal.learning.sampling import MotionSampling
from poseworks.temporal.smoothnet import SmoothNetConfig


class OwnSmoothNet(BaseRecipe, frozen=True, extra="forbid"):
    """A SmoothNet for any skeleton, trained through the mean of overlapping windows on noisy motion."""

    kind: Literal["own_smoothnet"]
    network: SmoothNetConfig = Field(description="without the hidden units that carry the trend")
    trend_degree: Literal[0, 1] = 1
    look_ahead: NonNegativeInt | None = Field(None, description="frames of latency; None: whole clips")
    acceleration_weight: NonNegativeFloat = 0.5
    end_weight: PositiveFloat = Field(0.35, description="weight of frames that fewer than W windows cover")
    sampling: MotionSampling = MotionSampling()


class OwnDeciWatch(BaseRecipe, frozen=True, extra="forbid"):
    """A DeciWatch of one channel, trained through the mean of overlapping windows on noisy motion."""

    kind: Literal["own_deciwatch"]
    network: DeciWatchConfig
    acceleration_weight: NonNegativeFloat = 0.5
    denoise_weight: NonNegativeFloat = 0.5
    end_weight: PositiveFloat = 0.35
    sampling: MotionSampling = MotionSampling()


class _Published(BaseRecipe, frozen=True, extra="forbid"):
    """A configuration of a paper."""

    data: PublishedData
    claims_of: str = Field(description="the published weights whose claims are printed beside ours")
    claim_data: str = Field(description="the row of their claims, as its `data`")


class PublishedSmoothNet(_Published, frozen=True, extra="forbid"):
    """SmoothNet as published (Zeng et al. 2022)."""

    kind: Literal["published_smoothnet"]
    network: SmoothNetConfig
    acceleration_weight: NonNegativeFloat = 0.1


class PublishedDeciWatch(_Published, frozen=True, extra="forbid"):
    """DeciWatch as published (Zeng et al. 2022)."""

    kind: Literal["published_deciwatch"]
    network: DeciWatchConfig
    recover_weight: NonNegativeFloat = Field(1.0, description="lambda")
    evaluation_stride: PositiveInt | None = Field(None, description="frames between windows; None: the interval")


Recipe = Annotated[OwnSmoothNet | OwnDeciWatch | PublishedSmoothNet | PublishedDeciWatch, Field(discriminator="kind")]


class _AnyRecipe(RootModel[Recipe]):
    """Whichever kind the file names."""


RECIPES = RecipeFolder("poseworks.temporal.learning", _AnyRecipe)
shipped_recipes = RECIPES.names
read_recipe = RECIPES.read
