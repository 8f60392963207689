"""Timelines as parts of a report page. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

from poseworks.core.report.types import Lane, Span, Table
from poseworks.core.report.types import Timeline as ReportTimeline
from poseworks.skeleton_action.timeline import NOT_SCORED, UNKNOWN, Segment, Timeline

SEGMENT_COLUMNS = ("who", "from s", "to s", "what", "probability")


def report_timeline(timelines: Sequence[Timeline], title: str = "Actions") -> ReportTimeline:
    """A lane for each timeline, a span for each of its segments; what is no class is grey."""
    lanes = tuple(Lane(line.who, tuple(map(_span, line.segments))) for line in timelines)
    several = any(line.num_windows > 1 for line in timelines)
    note = "The mean of all windows that cover a moment." if several else "One answer for the whole."
    return ReportTimeline(title, lanes, note)


def segment_rows(timelines: Sequence[Timeline]) -> list[tuple[str, float, float, str, float | None]]:
    """The segments of all timelines as rows under `SEGMENT_COLUMNS`."""
    return [
        (line.who, segment.begin_s, segment.end_s, segment.label, segment.probability)
        for line in timelines
        for segment in line.segments
    ]


def segment_table(timelines: Sequence[Timeline]) -> Table:
    """The segments as a table of a report."""
    return Table("What was recognised", SEGMENT_COLUMNS, tuple(segment_rows(timelines)))


def _span(segment: Segment) -> Span:
    muted = segment.label in (UNKNOWN, NOT_SCORED)
    return Span(segment.begin_s, segment.end_s, segment.label, segment.probability, muted)
