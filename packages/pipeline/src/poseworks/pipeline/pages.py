"""The page of a run: what was found over the recording, what smoothing did, 3D poses and bodies beside it, actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from poseworks.core import PoseSequence
from poseworks.core.report import Figure, Report, ReportBody, ReportTrack
from poseworks.mesh_recovery.fit_report import figures_table
from poseworks.pipeline.stretches import Done, Stretch
from poseworks.skeleton_action.report import report_timeline, segment_table
from poseworks.temporal.report import smoothing_report


def run_report(done: Done, *, title: str, notes: Sequence[str] = (), video: Path | None = None) -> Report:
    """A `Report` of what a chain did, for `write_report`."""
    first, *lifted = done.stretches
    actions = done.timelines or ()
    pages = [_page(first, ("Detected", "Smoothed")), *map(_lifted_page, lifted)]
    steps = (
        ["smoothed"] * (first.harm is not None)
        + ["lifted to 3D"] * bool(lifted)
        + ["actions recognized"] * bool(actions)
        + ["bodies fitted"] * (done.bodies is not None)
    )
    source = f", from {video.name}" if video is not None and video.name != title else ""
    subtitle = f"{', '.join(steps) or 'detected'}{source}"
    return Report(
        title=title,
        tracks=tuple(track for page in pages for track in page.tracks),
        video=video,
        bodies=() if done.bodies is None else (ReportBody("Body", done.bodies.fitted.motion),),
        subtitle=subtitle[:1].upper() + subtitle[1:],
        summary=tuple(figure for page in pages for figure in page.summary),
        timelines=(report_timeline(actions),) if actions else (),
        tables=(
            *(table for page in pages for table in page.tables),
            *((segment_table(actions),) if actions else ()),
            *((figures_table(done.bodies.fitted.figures),) if done.bodies else ()),
        ),
        notes=tuple(notes),
    )


def _page(stretch: Stretch, labels: tuple[str, str]) -> Report:
    """What one stretch adds to the page."""
    if stretch.harm is None:
        return Report("", (ReportTrack(labels[0], stretch.after),))
    return smoothing_report(stretch.before, stretch.after, stretch.harm, title="", labels=labels)


def _lifted_page(stretch: Stretch) -> Report:
    """As `_page`, with colours and titles of its own; its unit stands for the headline numbers."""
    page = _page(stretch, ("Lifted", "Lifted, smoothed"))
    return replace(
        page,
        tracks=tuple(replace(track, colour="green" if track.bold else "pink") for track in page.tracks),
        summary=(_unit_figure(stretch.after),),
        tables=tuple(replace(table, title=f"{table.title} in 3D") for table in page.tables),
    )


def _unit_figure(lifted: PoseSequence) -> Figure:
    """What 1 of the 3D positions is, and what they are relative to."""
    where = {"root": "relative to the pelvis", "camera": "in front of the camera"}.get(lifted.frame, "in the world")
    if lifted.unit == "normalised":
        return Figure("Unit in 3D", "No metres", f"{where}; a stated height makes metres", "warn")
    return Figure("Unit in 3D", {"m": "Metres", "mm": "Millimetres"}.get(lifted.unit, lifted.unit), where)
