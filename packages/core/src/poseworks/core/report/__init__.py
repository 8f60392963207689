"""One self-contained page that shows poses: the video with the skeletons over it, curves, tables, provenance."""

from poseworks.core.report.build import write_report
from poseworks.core.report.types import (
    Cell,
    Colour,
    Figure,
    Lane,
    Report,
    ReportBody,
    ReportTrack,
    Span,
    Table,
    Timeline,
    Tone,
    Verdict,
)

__all__ = [
    "Cell",
    "Colour",
    "Figure",
    "Lane",
    "Report",
    "ReportBody",
    "ReportTrack",
    "Span",
    "Table",
    "Timeline",
    "Tone",
    "Verdict",
    "write_report",
]
