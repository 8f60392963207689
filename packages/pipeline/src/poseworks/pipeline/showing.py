"""What the commands `run` and `demo` print of a result: short tables for people, one object for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from poseworks.core.cli import make_table, print_result, remark

if TYPE_CHECKING:
    from rich.table import Table

    from poseworks.core import PoseSequence
    from poseworks.core.body_models.motion import BodyMotion
    from poseworks.pipeline.run import RunResult
    from poseworks.skeleton_action.timeline import Timeline
    from poseworks.temporal.harm import BeforeAfter, HarmReport


def show(result: RunResult, *, json: bool, quiet: bool) -> None:
    """Prints short tables of what smoothing did and of actions, what was lifted, notes and paths."""
    from poseworks.core.body_models.motion_files import motion_facts
    from poseworks.core.inspection import poses_facts
    from poseworks.skeleton_action.timeline import timelines_as_tree

    for note in result.notes:
        remark(f"note: {note}", quiet=quiet)
    harms = {"": result.harm, " in 3D": result.lifted_harm}
    text: list[Any] = [_harm_table(harm, where) for where, harm in harms.items() if harm is not None]
    if result.timelines:
        text.append(_actions_table(result.timelines))
    if result.lifted is not None:
        text.append(f"in 3D: {line_of(result.lifted)}")
    if result.body is not None:
        text += [_bodies_table(result.body_figures), f"bodies: {body_line(result.body)}"]
    text.append("\n".join(f"{name:>13}  {path}" for name, path in result.files.items()))
    lifted = None if result.lifted is None else {**poses_facts(result.lifted), "harm": result.lifted_harm}
    actions = None if result.timelines is None else timelines_as_tree(result.timelines)
    body = None if result.body is None else {**motion_facts(result.body), "figures": result.body_figures}
    values = {
        "files": result.files,
        "harm": result.harm,
        "lifted": lifted,
        "actions": actions,
        "body": body,
        "notes": result.notes,
    }
    print_result(values, json=json, text=text, quiet=quiet)


def _harm_table(harm: HarmReport, where: str) -> Table:
    """What smoothing did to each person."""
    unit = harm.unit
    rows: list[tuple[object, ...]] = []
    for person in harm.people:
        who = f"person {person.person}: " if len(harm.people) > 1 else ""
        rows += [
            (f"{who}acceleration ({unit}/frame²)", *_pair(person.acceleration)),
            (f"{who}jerk ({unit}/frame³)", *_pair(person.jerk)),
        ]
        if person.bone_length_spread.before is not None:
            rows.append((f"{who}bone-length spread", *_pair(person.bone_length_spread)))
        if person.foot_slide.before is not None:
            rows.append((f"{who}foot slide ({unit}/s)", *_pair(person.foot_slide)))
        kept = None if person.power_kept is None else f"{100 * person.power_kept:.0f} %"
        rows += [
            (f"{who}moved, mean ({unit})", None, person.displacement_mean, ""),
            (f"{who}1-6 Hz power kept", None, kept, ""),
            (f"{who}verdict", None, person.verdict, ""),
        ]
    shown = [
        tuple("" if cell is None else cell if isinstance(cell, str) else f"{cell:.4g}" for cell in row) for row in rows
    ]
    return make_table(where.strip(), ("measure", "before", "after", "change"), shown)


def _actions_table(timelines: Sequence[Timeline]) -> Table:
    """What was recognized when."""
    from poseworks.skeleton_action.report import SEGMENT_COLUMNS, segment_rows

    shown = [
        (who, f"{begin:.1f}", f"{end:.1f}", label, "" if value is None else f"{value:.2f}")
        for who, begin, end, label, value in segment_rows(timelines)
    ]
    return make_table("actions", SEGMENT_COLUMNS, shown)


def _bodies_table(figures: Sequence[Mapping[str, Any]]) -> Table:
    """How well bodies fit."""
    from poseworks.mesh_recovery.fit_report import figure_rows

    columns, rows = figure_rows(figures)
    measures = list(zip(columns, *rows, strict=True))  # a column a person: many measures, mostly few people
    shown = [
        tuple("" if cell is None else f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row)
        for row in measures[1:]
    ]
    return make_table("bodies", ("measure", *(f"person {row[0]}" for row in rows)), shown)


def _pair(pair: BeforeAfter) -> tuple[float | None, float | None, str]:
    from poseworks.temporal.report import change

    return pair.before, pair.after, change(pair)


def line_of(poses: PoseSequence) -> str:
    """Poses in a line: who, how many frames, of which skeleton, in what unit."""
    people = "1 person" if poses.num_people == 1 else f"{poses.num_people} people"
    return (
        f"{people}, {poses.num_frames} frames at {poses.fps:g} fps, {poses.skeleton} "
        f"({poses.num_joints} joints), {poses.num_dims}D {poses.unit}, {poses.frame} frame"
    )


def body_line(motion: BodyMotion) -> str:
    """Bodies in a line: who, how many frames, which body."""
    people = "1 person" if motion.num_people == 1 else f"{motion.num_people} people"
    return f"{people}, {motion.num_frames} frames, {motion.body} body, {motion.frame} frame"
