"""The steps that a chain is made of: one config a step, told apart by `kind`, and one `build` for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, assert_never

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, model_validator

from poseworks.core import PoseSequence
from poseworks.core.camera_options import CameraOptions
from poseworks.core.errors import ConfigError
from poseworks.core.poses import HistoryEntry
from poseworks.lifting.body_scale import check_sizes
from poseworks.lifting.settings import LiftSettings, default_model
from poseworks.pipeline import runners
from poseworks.pipeline.runners import Runner
from poseworks.pipeline.sparse import SPARSE_SMOOTHERS, sampled_every
from poseworks.skeleton_action.settings import DEFAULT_MODEL as DEFAULT_RECOGNIZER
from poseworks.skeleton_action.settings import RecognizeSettings
from poseworks.temporal.filters import AnyFilter, Filter
from poseworks.temporal.smoothing import SmoothSettings

DEFAULT_SMOOTHER = "smoothnet-general-w32"


class UnswapStep(BaseModel, frozen=True, extra="forbid"):
    """Left and right exchanged back where the detector exchanged them (`poseworks.core.swaps`)."""

    kind: Literal["unswap"] = "unswap"


class FillStep(BaseModel, frozen=True, extra="forbid"):
    """The frames between those that the detector looked at, on straight lines (`poseworks.pipeline.sparse`).

    Attributes:
        every: frames from one look to the next.
        max_gap_s: a look in which somebody was missed is bridged where looks are at most so far apart.
    """

    kind: Literal["fill"] = "fill"
    every: int = Field(ge=2)
    max_gap_s: NonNegativeFloat = 0.5


class SmoothStep(SmoothSettings, frozen=True, extra="forbid"):
    """Smoothing by a network: `model` is a shipped name, a saved folder or an original checkpoint file."""

    kind: Literal["smooth"] = "smooth"
    model: str = DEFAULT_SMOOTHER


class FilterStep(SmoothSettings, frozen=True, extra="forbid"):
    """Smoothing by a classic filter, with the same treatment of gaps, people and units."""

    kind: Literal["filter"] = "filter"
    filter: AnyFilter


class LiftStep(LiftSettings, frozen=True, extra="forbid"):
    """Lifting to 3D (`poseworks.lifting`): what comes after works on 3D poses.

    Attributes:
        model: a shipped name, a saved folder or an original checkpoint file; None: the shipped weights for a camera
            that is known or not.
        focal: the camera's focal length in pixels; camera: or a JSON file of its intrinsics.
        optional: poses that cannot be lifted (3D ones, an unknown skeleton) stay as they are, and a note says why.
    """

    kind: Literal["lift"] = "lift"
    model: str | None = None
    focal: PositiveFloat | None = None
    camera: Path | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.focal is not None and self.camera is not None:
            raise ValueError("focal: the file of camera states it already; leave one of the two out")
        try:
            check_sizes(self.height, self.bones)
        except ConfigError as error:
            raise ValueError(str(error).rstrip(".")) from error
        return self

    @property
    def weights(self) -> str:
        """Name of the weights."""
        return self.model or default_model(knows_camera=self.scene.knows_camera)

    @property
    def scene(self) -> CameraOptions:
        """What is known of the camera."""
        return CameraOptions(focal=self.focal, camera=self.camera)


class RecognizeStep(RecognizeSettings, frozen=True, extra="forbid"):
    """Recognition of actions in 2D poses (`poseworks.skeleton_action`), which stay what they are.

    Attributes:
        model: a shipped name, a saved folder or an original checkpoint file.
        window_s, stride_s: unlike elsewhere, a timeline is the default.
        optional: poses that nothing can be recognized in (3D ones, an unknown skeleton) are left at that, and a note
            says why.
    """

    kind: Literal["recognize"] = "recognize"
    model: str = DEFAULT_RECOGNIZER
    window_s: PositiveFloat | None = 1.5
    stride_s: PositiveFloat | None = 0.5
    optional: bool = False


class FitStep(BaseModel, frozen=True, extra="forbid"):
    """Bodies fitted to the poses (`poseworks.mesh_recovery.fitting`), which stay what they are: the last of all steps.

    They are fitted to the last 2D poses, and begin with the 3D ones that were lifted from them; a chain that began with
    3D poses has bodies fitted to these.

    Attributes:
        body: ``free``, which comes along, or SMPL's own file or folder.
        height: everybody's in metres; None: that of the mean body. One camera does not tell it.
        ground: feet that hardly move in the picture are held where they are: for a camera that stands still.
        focal: the camera's focal length in pixels; camera: or a JSON file of its intrinsics. Neither: the diagonal of
            the image.
        optional: poses that no body can be fitted to are left at that, and a note says why.
    """

    kind: Literal["fit"] = "fit"
    body: str = "free"
    height: float | None = Field(None, ge=0.5, le=2.6)
    ground: bool = False
    focal: PositiveFloat | None = None
    camera: Path | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.focal is not None and self.camera is not None:
            raise ValueError("focal: the file of camera states it already; leave one of the two out")
        return self

    @property
    def scene(self) -> CameraOptions:
        """What is known of the camera."""
        return CameraOptions(focal=self.focal, camera=self.camera)


AnyStep = UnswapStep | FillStep | SmoothStep | FilterStep | RecognizeStep | LiftStep | FitStep
Step = Annotated[AnyStep, Field(discriminator="kind")]


class ChainConfig(BaseModel, frozen=True, extra="forbid"):
    """The steps of a run, in their order; without any given, what a detector's poses of every frame get."""

    steps: tuple[Step, ...] = Field(
        default=(
            UnswapStep(),
            SmoothStep(),
            RecognizeStep(optional=True),
            LiftStep(optional=True),
            FitStep(optional=True),
        ),
        min_length=1,
    )

    @model_validator(mode="after")
    def _once_and_in_2d(self) -> Self:
        kinds: list[str] = [step.kind for step in self.steps]
        for kind, done in (
            ("lift", "poses are lifted"),
            ("recognize", "actions are recognized"),
            ("fit", "bodies are fitted"),
        ):
            if kinds.count(kind) > 1:
                raise ValueError(f"{done} once; leave out all steps of kind {kind} but one")
        if {"lift", "recognize"} <= set(kinds) and kinds.index("recognize") > kinds.index("lift"):
            raise ValueError("actions are recognized in 2D poses; put the step recognize before the step lift")
        if "fit" in kinds[:-1]:
            raise ValueError("bodies are fitted to what all else has left; put the step fit at the end")
        return self

    @property
    def lifts(self) -> bool:
        """Whether 3D poses come out of 2D ones."""
        return any(isinstance(step, LiftStep) for step in self.steps)

    @property
    def recognizes(self) -> bool:
        """Whether actions are looked for."""
        return any(isinstance(step, RecognizeStep) for step in self.steps)

    @property
    def fits(self) -> bool:
        """Whether bodies are fitted."""
        return any(isinstance(step, FitStep) for step in self.steps)


def default_chain(
    every: int = 1,
    *,
    unswap: bool = True,
    model: str | None = None,
    filter: Filter | None = None,  # noqa: A002 (the word for it)
    guard: bool = False,
    recognize: RecognizeStep | None = RecognizeStep(optional=True),  # noqa: B008 (frozen)
    lift: LiftStep | None = LiftStep(optional=True),  # noqa: B008 (frozen)
    fit: FitStep | None = FitStep(optional=True),  # noqa: B008 (frozen)
) -> ChainConfig:
    """What poses get of which every N-th frame was looked at: the frames between, smoothing, actions, 3D, bodies.

    Left and right are put back first; actions are recognized before lifting, in 2D.

    Args:
        every: N. Without a `model` or a `filter`, the weights made for 5 and 10 recover the frames between; for others
            they stay on straight lines, which the general weights smooth.
        unswap: exchange left and right back first.
        model, filter: smooth with it instead; at most one of the two.
        guard: limit each correction to what the input's own noise explains.
        recognize: how actions are recognized in the smoothed poses; None: not at all.
        lift: how the smoothed poses are lifted; None: not at all.
        fit: how bodies are fitted; None: not at all.
    """
    steps: list[AnyStep] = [UnswapStep()] if unswap else []
    settings: dict[str, float | bool] = {"guard": guard}
    if every > 1:
        steps.append(FillStep(every=every))
        settings["max_gap_s"] = 0.0  # what is still missing was looked for, and is absent
    if filter is not None:
        steps.append(FilterStep.model_validate({"filter": filter.model_dump(), **settings}))
    else:
        chosen = model or SPARSE_SMOOTHERS.get(every, DEFAULT_SMOOTHER)
        steps.append(SmoothStep.model_validate({"model": chosen, **settings}))
    steps += [step for step in (recognize, lift, fit) if step is not None]
    return ChainConfig(steps=tuple(steps))


def chain_for(poses: PoseSequence) -> ChainConfig:
    """The default chain for poses whose history may say that left and right are in order, or frames left out."""
    unswap = not is_repaired(poses.history)
    if poses.num_dims == 3:
        return default_chain(sampled_every(poses.history), unswap=unswap, recognize=None, lift=None, fit=None)
    return default_chain(sampled_every(poses.history), unswap=unswap)


def is_repaired(history: Sequence[HistoryEntry]) -> bool:
    """Whether left and right have been put back already, as `detect` does."""
    return any(entry.get("verb") == "repair_swaps" for entry in history)


def prepared(chain: ChainConfig, every: int) -> ChainConfig:
    """The chain with what has to stand before the first step that smooths, each as a step of its own.

    That is: putting left and right back where a step asks for it, and filling what lies between every N-th frame.
    """
    steps: list[AnyStep] = []
    for step in chain.steps:
        if isinstance(step, SmoothStep | FilterStep | LiftStep) and step.unswap and step.latency_frames is None:
            steps += [UnswapStep(), step.model_copy(update={"unswap": False})]
        else:
            steps.append(step)
    if every > 1 and not any(isinstance(step, FillStep) for step in steps):
        place = next((n for n, step in enumerate(steps) if not isinstance(step, UnswapStep)), len(steps))
        steps.insert(place, FillStep(every=every))
    return ChainConfig(steps=tuple(steps))


def build(step: AnyStep, device: str = "cpu") -> Runner:
    """What runs a step; weights are loaded here, once.

    Raises:
        CheckpointError: the weights of a step cannot be read.
        ConfigError: the device is not there, or the model is unknown.
    """
    match step:
        case UnswapStep():
            return lambda given, _: runners.unswapped(given.poses)
        case FillStep():
            return lambda given, _: runners.filled(given.poses, step)
        case SmoothStep():
            return runners.smoothing(step, device)
        case FilterStep():
            return runners.filtering(step)
        case RecognizeStep():
            return runners.recognizing(step, device)
        case LiftStep():
            return runners.lifting(step, device)
        case FitStep():
            return runners.fitting(step)
        case _:
            assert_never(step)
