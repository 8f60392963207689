"""The steps that a chain is made of: one config a step, told apart by `kind`, and one `build` for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, assert_never

from pydantic import BaseModel, Field

from poseworks.core import PoseSequence
from poseworks.temporal.filters import AnyFilter
from poseworks.temporal.smoothing import Smoothed, SmoothSettings, smooth

DEFAULT_SMOOTHER = "smoothnet-general-w32"

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Outcome:
    """What a step made, and sentences that a reader has to know."""

    poses: PoseSequence
    notes: tuple[str, ...]


Runner = Callable[[PoseSequence, Advance], Outcome]


class SmoothStep(SmoothSettings, frozen=True, extra="forbid"):
    """Smoothing by a network: `model` is a shipped name, a saved folder or an original checkpoint file."""

    kind: Literal["smooth"] = "smooth"
    model: str = DEFAULT_SMOOTHER


class FilterStep(SmoothSettings, frozen=True, extra="forbid"):
    """Smoothing by a classic filter, with the same treatment of gaps, people and units."""

    kind: Literal["filter"] = "filter"
    filter: AnyFilter


Step = Annotated[SmoothStep | FilterStep, Field(discriminator="kind")]


class ChainConfig(BaseModel, frozen=True, extra="forbid"):
    """The steps of a run, in their order; without any given, smoothing by the general weights."""

    steps: tuple[Step, ...] = Field(default=(SmoothStep(),), min_length=1)


def build(step: SmoothStep | FilterStep, device: str = "cpu") -> Runner:
    """What runs a step; weights are loaded here, once.

    Raises:
        CheckpointError: the weights of a step cannot be read.
        ConfigError: the device is not there, or the model is unknown.
    """
    match step:
        case SmoothStep():
            return _network_runner(step, device)
        case FilterStep():
            return lambda poses, advance: _outcome(smooth(poses, step.filter, _settings(step), advance=advance))
        case _:
            assert_never(step)


def _network_runner(step: SmoothStep, device: str) -> Runner:
    from poseworks.core.cli import choose_device
    from poseworks.temporal import load

    network = load(step.model)
    digest = network.sha256
    network = network.to(choose_device(device))

    def run(poses: PoseSequence, advance: Advance) -> Outcome:
        return _outcome(smooth(poses, network, _settings(step), model=step.model, model_sha256=digest, advance=advance))

    return run


def _settings(step: SmoothStep | FilterStep) -> SmoothSettings:
    return SmoothSettings(**{name: getattr(step, name) for name in SmoothSettings.model_fields})


def _outcome(smoothed: Smoothed) -> Outcome:
    return Outcome(smoothed.poses, smoothed.notes)
