"""What a chain did, apart for each kind of poses: those in 2D, and the 3D ones that they were lifted to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from poseworks.core import PoseSequence
from poseworks.pipeline.steps import Advance, AnyStep, Runner
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


def run_steps(
    poses: PoseSequence,
    steps: Iterable[tuple[AnyStep, Runner]],
    progress: Callable[[str], AbstractContextManager[Advance]],
) -> tuple[list[Stretch], list[str]]:
    """The stretches of the chain, a new one where lifting made other poses, and the notes of all steps.

    Args:
        poses: what the chain starts from.
        steps: each with what runs it.
        progress: gives, for the name of a step, whom the step tells how much of it is done.
    """
    stretches: list[Stretch] = []
    notes: list[str] = []
    first = compared = result = poses
    worked = False

    def finished() -> Stretch:
        return Stretch(first, result, harm_report(compared, result) if worked else None)

    for number, (step, runner) in enumerate(steps, start=1):
        with progress(f"{number}. {step.kind}") as advance:
            outcome = runner(result, advance)
        notes += outcome.notes
        if outcome.poses.num_dims != result.num_dims:
            stretches.append(finished())
            first = compared = outcome.poses
            worked = False
        else:
            compared = outcome.compared(compared)
            worked = worked or outcome.poses is not result
        result = outcome.poses
    return [*stretches, finished()], notes
