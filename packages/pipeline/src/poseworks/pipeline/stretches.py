"""What a chain did, apart for each kind of poses (those in 2D, and the 3D ones lifted from them), and what it read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from poseworks.core import PoseSequence
from poseworks.pipeline.runners import Advance, Bodies, Given, Runner
from poseworks.pipeline.steps import AnyStep
from poseworks.skeleton_action.timeline import Timeline
from poseworks.temporal.harm import HarmReport, harm_report


@dataclass(frozen=True)
class Stretch:
    """Steps that left poses what they are.

    Attributes:
        before, after: the poses that the first step got and the last one made.
        harm: what the steps did to the motion; None where there were none.
    """

    before: PoseSequence
    after: PoseSequence
    harm: HarmReport | None


@dataclass(frozen=True)
class Done:
    """What all steps did.

    Attributes:
        stretches: one, or a new one where lifting made other poses.
        timelines: of actions, one a person; None where no step recognizes any.
        bodies: that were fitted; None where no step does that.
        notes: of all steps.
    """

    stretches: tuple[Stretch, ...]
    timelines: tuple[Timeline, ...] | None
    bodies: Bodies | None
    notes: tuple[str, ...]


def run_steps(
    poses: PoseSequence,
    steps: Iterable[tuple[AnyStep, Runner]],
    progress: Callable[[str], AbstractContextManager[Advance]],
) -> Done:
    """What the steps of a chain make of poses.

    Args:
        poses: what the chain starts from.
        steps: each with what runs it.
        progress: gives, for the name of a step, whom the step tells how much of it is done.
    """
    stretches: list[Stretch] = []
    timelines: tuple[Timeline, ...] | None = None
    bodies: Bodies | None = None
    notes: list[str] = []
    first = compared = result = poses
    flat = poses if poses.num_dims == 2 else None
    worked = False

    def finished() -> Stretch:
        return Stretch(first, result, harm_report(compared, result) if worked else None)

    for number, (step, runner) in enumerate(steps, start=1):
        with progress(f"{number}. {step.kind}") as advance:
            outcome = runner(Given(result, flat), advance)
        notes += outcome.notes
        bodies = outcome.bodies or bodies
        timelines = timelines if outcome.timelines is None else outcome.timelines
        if outcome.poses.num_dims != result.num_dims:
            stretches.append(finished())
            first = compared = outcome.poses
            worked = False
        else:
            compared = outcome.compared(compared)
            worked = worked or outcome.poses is not result
        result = outcome.poses
        flat = result if result.num_dims == 2 else flat
    return Done((*stretches, finished()), timelines, bodies, tuple(notes))
