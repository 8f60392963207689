"""What runs the steps of a chain: poses in, and what became of them. Weights are loaded when a runner is made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from poseworks.core import PoseSequence
from poseworks.core.camera_files import read_camera
from poseworks.core.errors import ConfigError, DataError, SkeletonError
from poseworks.core.swaps import exchange_sides, repair_swaps
from poseworks.core.threads import one_thread
from poseworks.lifting.settings import LiftSettings
from poseworks.pipeline.sparse import SPARSE_SMOOTHERS, fill_between, ordinal, sampled_every
from poseworks.skeleton_action.settings import RecognizeSettings
from poseworks.skeleton_action.timeline import Timeline
from poseworks.temporal.smoothing import Smoothed, SmoothSettings, smooth

if TYPE_CHECKING:
    from poseworks.core.body_models import SMPL
    from poseworks.mesh_recovery.fitting.fitted import Fitted
    from poseworks.pipeline.steps import FillStep, FilterStep, FitStep, LiftStep, RecognizeStep, SmoothStep

Advance = Callable[[float], None]


def _same(poses: PoseSequence) -> PoseSequence:
    return poses


@dataclass(frozen=True, eq=False)
class Bodies:
    """Bodies that were fitted, and the body model that their numbers are about."""

    fitted: Fitted
    body: SMPL


@dataclass(frozen=True)
class Outcome:
    """What a step made, and sentences that a reader has to know.

    Attributes:
        timelines: of actions, from a step that recognizes them.
        bodies: from a step that fits them.
        compared: does to the poses before the chain what the harm report must not count as a change of the motion:
            labels put right, and frames that nobody looked at.
    """

    poses: PoseSequence
    notes: tuple[str, ...]
    compared: Callable[[PoseSequence], PoseSequence] = _same
    timelines: tuple[Timeline, ...] | None = None
    bodies: Bodies | None = None


@dataclass(frozen=True)
class Given:
    """What a step works on.

    Attributes:
        poses: what the step before it made, or what the chain began with.
        flat: the last 2D poses of the chain; None where it began with 3D ones.
    """

    poses: PoseSequence
    flat: PoseSequence | None


Runner = Callable[[Given, Advance], Outcome]


def unswapped(poses: PoseSequence) -> Outcome:
    """Left and right put back; the poses before the chain are compared likewise."""
    repaired = repair_swaps(poses)
    ids = range(poses.num_people) if poses.person_ids is None else poses.person_ids.tolist()
    notes = [
        f"person {number}: left and right were exchanged in {len(frames)} frame{'s' if len(frames) > 1 else ''}: "
        "exchanged back, and the harm report compares with that"
        for number, frames in zip(ids, repaired.changed, strict=True)
        if len(frames)
    ]
    return Outcome(repaired.poses, tuple(notes), lambda before: exchange_sides(before, repaired.changed))


def filled(poses: PoseSequence, step: FillStep) -> Outcome:
    """Straight lines between the frames that were looked at; the poses before the chain are compared likewise."""
    note = (
        f"every {ordinal(step.every)} frame was looked at, and the last: the harm report compares with straight lines "
        "between them"
    )

    def fill(given: PoseSequence) -> PoseSequence:
        return fill_between(given, step.every, step.max_gap_s)

    return Outcome(fill(poses), (note,), fill)


def filtering(step: FilterStep) -> Runner:
    """Smooths with a filter."""

    def run(given: Given, advance: Advance) -> Outcome:
        return _outcome(smooth(given.poses, step.filter, _settings(step), advance=advance))

    return run


def smoothing(step: SmoothStep, device: str) -> Runner:
    """Smooths with a network; says so where it also recovers frames."""
    from poseworks.core.cli import choose_device
    from poseworks.temporal import load

    network = load(step.model)
    digest = network.sha256
    network = network.to(choose_device(device))

    def run(given: Given, advance: Advance) -> Outcome:
        poses = given.poses
        every = sampled_every(poses.history, filled=True)
        with one_thread():
            smoothed = smooth(poses, network, _settings(step), model=step.model, model_sha256=digest, advance=advance)
        outcome = _outcome(smoothed)
        if every == 1:
            return outcome
        if network.stride == every:
            how = f"{step.model} recovers the frames between"
        else:
            made = SPARSE_SMOOTHERS.get(every)
            others = made or f"weights for every {' or '.join(map(ordinal, SPARSE_SMOOTHERS))} frame"
            how = f"the frames between are straight lines, smoothed by {step.model}; {others} would recover them"
        return Outcome(outcome.poses, (how, *outcome.notes))

    return run


def lifting(step: LiftStep, device: str) -> Runner:
    """Lifts to 3D."""
    from poseworks.core.cli import choose_device
    from poseworks.lifting.lifter import lift_people
    from poseworks.lifting.loading import load

    if step.camera is not None:
        _check_camera(step.camera)
    network = load(step.weights).to(choose_device(device))
    settings = LiftSettings(**{name: getattr(step, name) for name in LiftSettings.model_fields})

    def run(given: Given, advance: Advance) -> Outcome:
        poses = given.poses
        camera = step.scene.pinhole(poses.image_size)
        try:
            with one_thread():
                lifted = lift_people(poses, network, settings, camera=camera, model=step.weights, advance=advance)
        except (DataError, SkeletonError) as error:
            if not step.optional:
                raise
            return Outcome(poses, (f"not lifted to 3D: {str(error).removeprefix('poses: ')}",))
        return Outcome(lifted.poses, lifted.notes)

    return run


def recognizing(step: RecognizeStep, device: str) -> Runner:
    """Recognizes actions, and leaves the poses."""
    from poseworks.core.cli import choose_device
    from poseworks.skeleton_action.loading import load
    from poseworks.skeleton_action.recognition import recognize

    network = load(step.model).to(choose_device(device))
    settings = RecognizeSettings(**{name: getattr(step, name) for name in RecognizeSettings.model_fields})

    def run(given: Given, advance: Advance) -> Outcome:
        poses = given.poses
        try:
            found = recognize(poses, network, settings, model=step.model, advance=advance)
        except (DataError, SkeletonError) as error:
            if not step.optional:
                raise
            return Outcome(poses, (f"no actions recognized: {str(error).removeprefix('poses: ')}",))
        return Outcome(poses, found.notes, timelines=found.timelines)

    return run


def _settings(step: SmoothStep | FilterStep) -> SmoothSettings:
    return SmoothSettings(**{name: getattr(step, name) for name in SmoothSettings.model_fields})


def _outcome(smoothed: Smoothed) -> Outcome:
    return Outcome(smoothed.poses, smoothed.notes)


def fitting(step: FitStep) -> Runner:
    """Fits bodies, and leaves the poses."""
    from poseworks.core.body_models import load_body
    from poseworks.mesh_recovery.fitting.fit import FitSettings, fit

    if step.camera is not None:
        _check_camera(step.camera)
    body = load_body(step.body)
    stated = step.model_fields_set & FitSettings.model_fields.keys()
    settings = FitSettings(**{name: getattr(step, name) for name in stated})

    def run(given: Given, advance: Advance) -> Outcome:
        poses = given.poses if given.flat is None else given.flat
        lifted = None if given.poses is poses else given.poses
        try:
            camera = step.scene.pinhole(poses.image_size)
            with one_thread():
                found = fit(poses, body, camera=camera, lifted=lifted, settings=settings, advance=advance)
        except (ConfigError, DataError, SkeletonError) as error:  # ConfigError: the size of the image is not known
            if not step.optional:
                raise
            return Outcome(given.poses, (f"no bodies fitted: {str(error).removeprefix('poses: ')}",))
        return Outcome(given.poses, found.notes, bodies=Bodies(found, body))

    return run


def _check_camera(path: Path) -> None:
    """Nothing, unless the file is no camera; what needs the size of the image, which is not known yet, is left."""
    with suppress(ConfigError):
        read_camera(path)
