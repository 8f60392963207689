"""Timelines as an SVG figure: for each person the segments in colour, and over them how likely their classes were."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from poseworks.core import svg
from poseworks.skeleton_action.timeline import NOT_SCORED, UNKNOWN, Moment, Timeline

_WIDTH, _LEFT, _RIGHT = 960.0, 100.0, 20.0
_CURVES, _STRIP, _LANE = 70.0, 22.0, 118.0  # heights
_LETTER = 6.2  # width of one
_GREYS = {UNKNOWN: "#bbbbbb", NOT_SCORED: "#eeeeee"}
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_MOST_TICKS = 12


def plot_timelines(timelines: Sequence[Timeline], title: str) -> str:
    """The text of an SVG file. All lanes have one time axis; classes that win nowhere are not drawn."""
    end = max(float(timeline.ends_s[-1]) for timeline in timelines)
    begin = min(float(timeline.begins_s[0]) for timeline in timelines)
    scale = (_WIDTH - _LEFT - _RIGHT) / max(end - begin, 1e-9)
    found = {segment.label for timeline in timelines for segment in timeline.segments}
    won = [number for number, label in enumerate(timelines[0].labels) if label in found]
    colours = {timelines[0].labels[number]: svg.colour_of(place) for place, number in enumerate(won)} | _GREYS
    parts = []
    top = 40.0
    for timeline in timelines:
        parts += _lane(timeline, won, colours, top, begin, scale)
        top += _LANE
    parts += _axis(begin, end, top, scale)
    legend, height = _legend([label for label in colours if label in found], colours, top + 44)
    return svg.page(_WIDTH, height, title, [*parts, *legend])


def _lane(
    timeline: Timeline, won: Sequence[int], colours: dict[str, str], top: float, begin: float, scale: float
) -> list[str]:
    """One timeline: curves between 0 and 1, and under them the strip of segments."""

    def across(seconds: float) -> float:
        return _LEFT + (seconds - begin) * scale

    parts = [svg.text(_LEFT - 10, top + _CURVES + 15, timeline.who, size=11, anchor="end")]
    for level in (0.0, 0.5, 1.0):
        y = top + _CURVES * (1 - level)
        parts += [
            svg.line(_LEFT, y, _WIDTH - _RIGHT, y, stroke="#ddd"),
            svg.text(_LEFT - 10, y + 3, f"{level:g}", size=9, anchor="end"),
        ]
    for number in won:
        colour = colours[timeline.labels[number]]
        for run in _runs(timeline):
            points = [
                (across((m.begin_s + m.end_s) / 2), top + _CURVES * (1 - float(m.probabilities[number]))) for m in run
            ]
            parts.append(
                svg.polyline(points, stroke=colour) if len(points) > 1 else svg.circle(*points[0], 3, fill=colour)
            )
    for segment in timeline.segments:
        x, width = across(segment.begin_s), (segment.end_s - segment.begin_s) * scale
        certain = "" if segment.probability is None else f", {segment.probability:.2f}"
        hint = f"{segment.label}{certain}: {segment.begin_s:.2f} to {segment.end_s:.2f} s"
        colour = colours[segment.label]
        parts.append(svg.box(x, top + _CURVES + 4, width, _STRIP, fill=colour, stroke="#fff", hint=hint))
        if width > _LETTER * len(segment.label):
            fill = "#222" if segment.label in _GREYS else "#fff"
            parts.append(svg.text(x + 4, top + _CURVES + 19, segment.label, size=11, fill=fill))
    return parts


def _runs(timeline: Timeline) -> list[list[Moment]]:
    """Moments that follow one another without one between in which nothing was scored."""
    return [list(run) for scored, run in groupby(timeline.moments, key=lambda moment: not moment.fault) if scored]


def _axis(begin: float, end: float, top: float, scale: float) -> list[str]:
    """Seconds under the last lane."""
    step = next((step for step in _STEPS if (end - begin) / step <= _MOST_TICKS), _STEPS[-1])
    parts = [svg.line(_LEFT, top, _WIDTH - _RIGHT, top)]
    first = int(np.ceil(begin / step - 1e-9))
    for number in range(first, int(end / step + 1e-9) + 1):
        x = _LEFT + (number * step - begin) * scale
        parts += [svg.line(x, top, x, top + 4), svg.text(x, top + 16, f"{number * step:g}", size=10, anchor="middle")]
    parts.append(svg.text((_LEFT + _WIDTH - _RIGHT) / 2, top + 30, "seconds", size=10, anchor="middle"))
    return parts


def _legend(labels: Sequence[str], colours: dict[str, str], top: float) -> tuple[list[str], float]:
    """What the colours stand for, in as many lines as it takes, and the height of the page."""
    parts, x = [], _LEFT
    for label in labels:
        width = 26 + _LETTER * len(label)
        if x + width > _WIDTH - _RIGHT and x > _LEFT:
            x, top = _LEFT, top + 18
        parts += [svg.box(x, top - 9, 10, 10, fill=colours[label]), svg.text(x + 14, top, label, size=11)]
        x += width
    return parts, top + 16
