"""How a network is trained, as data: length, optimizer, schedule of the rate, what is kept."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from poseworks.core.errors import ConfigError


class TrainSettings(BaseModel, frozen=True, extra="forbid"):
    """How a network is trained; what it is trained on is the task's.

    Say how long with `steps`, or with `epochs` of `steps_per_epoch` steps each. The published recipes: SmoothNet and
    DeciWatch ``adam_amsgrad``, ``per_epoch``, `lr_decay` 0.95, no weight decay, the last epoch kept; LCN
    ``adam_tensorflow``, ``exponential``, 0.96 in 32,000 steps; EHGFormer ``adamw_all``, ``per_epoch``, 0.99; PoseC3D
    ``sgd``, ``cosine``, `momentum` 0.9; HMR ``adam``, ``constant``.

    Optimizers: ``adamw`` decays matrices alone, not biases and norms; ``adamw_all`` and ``sgd`` decay every weight.
    ``adam_tensorflow`` adds epsilon (1e-8) to the root before its bias is corrected. Schedules: ``constant``;
    ``per_epoch`` multiplies the rate by `lr_decay` after each epoch; ``exponential`` is rate lr_decay^(step /
    decay_steps), falling at every step; ``steps`` takes the next of `rates` after each of `boundaries`
    (updates, or whole epochs); ``cosine`` falls to 0.
    """

    steps: PositiveInt | None = None
    epochs: PositiveInt | None = None
    steps_per_epoch: PositiveInt | None = None
    batch_size: PositiveInt
    optimizer: Literal["adam", "adam_amsgrad", "adam_tensorflow", "adamw", "adamw_all", "sgd"] = "adam_amsgrad"
    momentum: float | None = Field(None, ge=0, lt=1, description="sgd: share of the last update that the next keeps")
    learning_rate: PositiveFloat = 1e-3
    schedule: Literal["constant", "per_epoch", "exponential", "steps", "cosine"] = "per_epoch"
    lr_decay: float = Field(0.95, gt=0, le=1, description="per_epoch and exponential: factor of the rate")
    decay_steps: PositiveInt | None = Field(None, description="exponential: steps that lr_decay is the factor of")
    boundaries: tuple[PositiveInt, ...] | None = Field(None, description="steps: the last update at the rate before")
    boundaries_in: Literal["steps", "epochs"] = Field("steps", description="steps: what boundaries are counted in")
    rates: tuple[PositiveFloat, ...] | None = Field(None, description="steps: the rate after each boundary")
    warmup_steps: NonNegativeInt = Field(0, description="the rate rises linearly over these first steps")
    weight_decay: NonNegativeFloat = 0.0
    clip_norm: PositiveFloat | None = Field(None, description="largest norm of the gradient; None: not clipped")
    ema_decay: float | None = Field(None, gt=0, lt=1, description="exponential moving average of the weights")
    keep: Literal["last", "best"] = "last"
    best_by: str | None = Field(None, description="the validation value, lower is better; None: the first one")
    amp: Literal["off", "bf16", "fp16"] = "off"
    sync_batch_norm: bool = Field(False, description="batch norms over the samples of all processes")
    seed: NonNegativeInt = 0
    deterministic: bool = False
    log_every: PositiveInt = 50
    validate_every: PositiveInt | None = Field(None, description="steps; None: at the end alone")
    checkpoint_every: PositiveInt = 500
    tensorboard: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> TrainSettings:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        if (self.optimizer == "sgd") != (self.momentum is not None):
            raise ValueError("momentum is needed by the optimizer sgd, and by no other")
        if (self.schedule == "exponential") != (self.decay_steps is not None):
            raise ValueError("decay_steps is needed by the schedule exponential, and by no other")
        if (self.schedule == "steps") != (self.boundaries is not None) or (self.rates is None) != (
            self.boundaries is None
        ):
            raise ValueError("boundaries and rates are needed by the schedule steps, and by no other")
        if self.boundaries_in == "epochs" and self.schedule != "steps":
            raise ValueError("boundaries_in is of the schedule steps alone")
        if self.boundaries is not None and self.rates is not None:
            if len(self.boundaries) != len(self.rates):
                raise ValueError(f"{len(self.boundaries)} boundaries, but {len(self.rates)} rates: give one after each")
            if any(later <= earlier for earlier, later in pairwise(self.boundaries)):
                raise ValueError("boundaries must rise")
        return self

    @property
    def total_steps(self) -> int:
        """Number of optimizer steps.

        Raises:
            ConfigError: `epochs` or a schedule per epoch without `steps_per_epoch`.
        """
        in_epochs = self.steps is None or self.schedule == "per_epoch" or self.boundaries_in == "epochs"
        if self.steps_per_epoch is None and in_epochs:
            raise ConfigError("training.steps_per_epoch: missing; epochs and schedules per epoch are counted in it.")
        return self.steps if self.steps is not None else (self.epochs or 0) * (self.steps_per_epoch or 0)


def learning_rate_at(step: int, settings: TrainSettings) -> float:
    """The rate of update `step` (0 is the first): warm-up, then what the schedule says (see `TrainSettings`)."""
    rate = settings.learning_rate
    if step < settings.warmup_steps:
        return rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "per_epoch":
        return float(rate * settings.lr_decay ** (step // (settings.steps_per_epoch or 1)))
    if settings.schedule == "exponential":
        return float(rate * settings.lr_decay ** (step / (settings.decay_steps or 1)))
    if settings.schedule == "steps":
        if settings.boundaries_in == "epochs":
            passed = sum(step // (settings.steps_per_epoch or 1) >= boundary for boundary in settings.boundaries or ())
        else:  # as TensorFlow's piecewise_constant
            passed = sum(step > boundary for boundary in settings.boundaries or ())
        return (rate, *(settings.rates or ()))[passed]
    if settings.schedule == "cosine":
        length = max(settings.total_steps - settings.warmup_steps, 1)
        return rate * 0.5 * (1 + math.cos(math.pi * (step - settings.warmup_steps) / length))
    return rate


def average_weight(step: int, decay: float) -> float:
    """Share of the old average kept at update `step`: small at first, so that the initial weights soon fade."""
    return min(decay, (1 + step) / (10 + step))
