"""The report page of a smoothed motion: both versions drawn over the video, the harm report as figures and tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from poseworks.core import PoseSequence
from poseworks.core.report import Cell, Figure, Report, ReportTrack, Table, Tone, Verdict
from poseworks.temporal.harm import BeforeAfter, HarmReport, PersonHarm, worst

TONES: dict[str, Tone] = {
    "harm": "bad",
    "over-smoothed": "bad",
    "changed": "warn",
    "no visible effect": "plain",
    "nothing to compare": "plain",
    "smoother, motion kept": "good",
}
_MANY = 3  # from this many people on, one row a person instead of one table a person


def smoothing_report(
    before: PoseSequence,
    after: PoseSequence,
    harm: HarmReport,
    *,
    title: str,
    notes: Sequence[str] = (),
    video: Path | None = None,
    labels: tuple[str, str] = ("Detected", "Smoothed"),
) -> Report:
    """A `Report` with two tracks, `before` thin in orange and `after` bold in blue, for `write_report`."""
    return Report(
        title=title,
        tracks=(ReportTrack(labels[0], before, "orange", bold=False), ReportTrack(labels[1], after)),
        video=video,
        subtitle=f"Before and after smoothing{', over ' + video.name if video else ''}",
        summary=_figures(harm),
        tables=_tables(harm),
        notes=tuple(notes),
    )


def change(pair: BeforeAfter) -> str:
    """``−84 %``, ``+3 %``; empty where it cannot be told."""
    if pair.ratio is None:
        return ""
    percent = 100 * (pair.ratio - 1)
    return f"{'−' if percent < 0 else '+'}{abs(percent):.0f} %"


def _figures(harm: HarmReport) -> tuple[Figure, ...]:
    """Headline numbers of the person with the most frames, and the gravest verdict of all."""
    if not harm.people:
        return ()
    person = max(harm.people, key=lambda each: each.frames)
    whose = f"person {person.person}: " if len(harm.people) > 1 else ""
    verdict = worst(harm.people)
    figures = [Figure("Verdict", verdict[:1].upper() + verdict[1:], "by the rule under the table", TONES[verdict])]
    if person.acceleration.ratio is not None:
        detail = f"{whose}{_short(person.acceleration.before)} → {_short(person.acceleration.after)} {harm.unit}/frame²"
        fell = person.acceleration.ratio < 0.9
        figures.append(
            Figure("Jitter (acceleration)", change(person.acceleration), detail, "good" if fell else "plain")
        )
    if person.displacement_mean is not None:
        share = person.displacement_of_height
        detail = f"{whose}mean over joints" + (f", {100 * share:.2g} % of height" if share is not None else "")
        figures.append(Figure("Joints moved by", f"{_short(person.displacement_mean)} {harm.unit}", detail))
    if person.power_kept is not None:
        noise = person.noise_share
        detail = f"{whose}of the power between 1 and 6 Hz" + (f"; {100 * noise:.0f} % was noise" if noise else "")
        figures.append(Figure("Motion kept", f"{100 * person.power_kept:.0f} %", detail))
    return tuple(figures)


def _tables(harm: HarmReport) -> tuple[Table, ...]:
    if len(harm.people) >= _MANY:
        rows = tuple((*row[:-1], Verdict(str(row[-1]), TONES[str(row[-1])])) for row in harm.rows())
        return (Table("Harm report", harm.columns(), rows, harm.rule),)
    return tuple(
        _table(person, harm, f": person {person.person}" if len(harm.people) > 1 else "") for person in harm.people
    )


def _table(person: PersonHarm, harm: HarmReport, whose: str) -> Table:
    """Measures down, before and after across."""
    unit = harm.unit
    rows: list[tuple[Cell, ...]] = [
        _pair("Acceleration", person.acceleration, f"{unit}/frame²", "mean second difference: jitter"),
        _pair("Jerk", person.jerk, f"{unit}/frame³", "mean third difference"),
        _pair("Bone-length spread", person.bone_length_spread, "% of length", "limbs are rigid", 100),
        _pair("Foot slide", person.foot_slide, f"{unit}/s", "speed of feet that stand"),
        ("Moved, mean", "", person.displacement_mean, "", unit, "distance between both versions of a joint"),
        ("Moved, 95th percentile", "", person.displacement_p95, "", unit, "one in twenty moved more"),
        ("Moved, most", "", person.displacement_max, "", unit, "often a single wrong detection"),
        ("Power kept, 1 to 6 Hz", "", _percent(person.power_kept), "", "%", "where human motion lies"),
        ("Noise in the input", person.noise, "", "", unit, "on each axis, estimated from the input itself"),
    ]
    measured: list[tuple[Cell, ...]] = [row for row in rows if isinstance(row[1], float) or isinstance(row[2], float)]
    measured.append((Verdict(person.verdict, TONES[person.verdict]), "", "", "", "", "the verdict, by the rule below"))
    columns = ("Measure", "Before", "After", "Change", "Unit", "What it tells")
    return Table(f"Harm report{whose}", columns, tuple(measured), harm.rule)


def _pair(name: str, pair: BeforeAfter, unit: str, meaning: str, factor: float = 1.0) -> tuple[Cell, ...]:
    values = [None if value is None else factor * value for value in (pair.before, pair.after)]
    return (name, *values, change(pair), unit, meaning)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
