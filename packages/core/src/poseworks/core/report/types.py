"""What a report holds. NumPy only: a page about keypoints must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.poses import PoseSequence

Colour = Literal["orange", "blue", "green", "pink"]
Tone = Literal["good", "warn", "bad", "plain"]


@dataclass(frozen=True)
class Verdict:
    """A judgement in a table or a figure; the tone colours it and gives it a sign, so colour is not all it has."""

    text: str
    tone: Tone = "plain"


Cell: TypeAlias = str | int | float | Verdict | None


@dataclass(frozen=True)
class Figure:
    """One headline number: `label` over `value`, with a line of explanation under it."""

    label: str
    value: str
    detail: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """Rows under column names. Numbers are shown with four significant digits, None as a dash."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, eq=False)
class ReportTrack:
    """Poses to draw, under a label: by habit orange and thin before a step, blue and bold after it."""

    label: str
    poses: PoseSequence
    colour: Colour = "blue"
    bold: bool = True


@dataclass(frozen=True, eq=False)
class ReportBody:
    """Body motion to show with its skin, in 3D and, where the motion states the camera's focal length, over the video.

    It is drawn on the free body, so that no page holds a licensed mesh: of SMPL's body rotations and places hold, the
    shape is the free body's mean one.
    """

    label: str
    motion: BodyMotion
    colour: Colour = "pink"


@dataclass(frozen=True)
class Span:
    """What was going on from `begin_s` until `end_s`, in seconds of the recording.

    Attributes:
        label: spans of one label have one colour.
        value: 0..1, how certain that is; None where nothing says.
        muted: drawn in grey, for what is no finding.
        detail: a line more, shown where the pointer rests.
    """

    begin_s: float
    end_s: float
    label: str
    value: float | None = None
    muted: bool = False
    detail: str = ""


@dataclass(frozen=True)
class Lane:
    """Spans of one person, say, one after the other."""

    title: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Timeline:
    """Lanes under the picture, with a cursor in step with it."""

    title: str
    lanes: tuple[Lane, ...]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """Everything on one page.

    Attributes:
        title: heading of the page. There is at least one track or one body.
        tracks: 2D ones lie over the video, 3D ones get a view that can be turned.
        video: the recording that 2D tracks in pixels belong to, or None for a plain background.
        bodies: people with a skin; beside them, the 3D tracks are shown at a click.
        subtitle: a line under the title.
        summary: headline numbers.
        timelines: what was going on when.
        tables: for instance the harm report.
        notes: sentences that a reader has to know: gaps, short clips, what was not done.
    """

    title: str
    tracks: tuple[ReportTrack, ...]
    video: Path | None = None
    bodies: tuple[ReportBody, ...] = ()
    subtitle: str = ""
    summary: tuple[Figure, ...] = ()
    timelines: tuple[Timeline, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
