"""Putting the page together: one HTML file with its style, its code, its data and, if it fits, the video inside.

The page forbids itself every network request by a content security policy, and runs no script but its own (by hash),
so that a joint named ``</script>`` is text and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from poseworks.core.errors import DataError
from poseworks.core.files import atomic_path, refuse_existing
from poseworks.core.report.embed import Blob, embed_tracks, embed_video, is_exact
from poseworks.core.report.embed_bodies import embed_bodies
from poseworks.core.report.types import Cell, Figure, Report, Table, Timeline, Verdict

_SCRIPTS = (
    "tracks.js",
    "clock.js",
    "bodies.js",
    "view.js",
    "raster.js",
    "skins.js",
    "space.js",
    "stage.js",
    "hands.js",
    "space_stage.js",
    "curves.js",
    "timeline.js",
    "page.js",
)
_SIGNS = {"good": "✓", "warn": "!", "bad": "✕", "plain": ""}


def write_report(path: str | os.PathLike[str], report: Report, overwrite: bool = False) -> None:
    """Nothing; the page is at `path`, one HTML file that opens offline. Same report, same bytes.

    Embedded are positions (float32, or int16 where all tracks together take more than 16 MB; the page states the
    rounding), confidence (8 bits) and the video (up to 60 MB; a larger one is linked by its path relative to the page).

    Raises:
        ConfigError: `path` exists and `overwrite` is false.
        DataError: there is nothing to show, a span cannot be drawn, the video cannot be read, or the page cannot be
            written.
    """
    target = Path(path)
    refuse_existing(target, overwrite)
    text = render(report, target)
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render(report: Report, page: Path) -> str:
    """The page as text; `page` is where it will lie (a video that is too large to embed is linked from there).

    Raises:
        DataError: there is nothing to show, a span cannot be drawn, or the video cannot be read.
    """
    if not report.tracks and not report.bodies:
        raise DataError("report: expected at least one track of poses or one body, got none.")
    _check_timelines(report.timelines)
    style = _asset("page.css")
    script = "\n".join(_asset(name) for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    exact = is_exact(report)
    tracks, blobs = embed_tracks(report.tracks, exact)
    bodies, body_blobs = embed_bodies(report.bodies, exact)
    blobs += body_blobs
    video: dict[str, Any] | None = None
    if report.video is not None:
        video, video_blobs = embed_video(Path(report.video), page)
        blobs += video_blobs
    return Template(_asset("page.html")).substitute(
        policy=_policy(style, script, linked=video is not None and "href" in video),
        title=_text(report.title),
        subtitle=_text(report.subtitle),
        style=style,
        script=script,
        summary=_summary(report.summary),
        notes=_notes(report.notes),
        tables="\n".join(_table(table) for table in report.tables),
        history=_history(report),
        data=_json(
            {"tracks": tracks, "video": video, "timelines": [asdict(each) for each in report.timelines], **bodies}
        ),
        blobs="\n".join(_blob(blob) for blob in blobs),
    )


def _check_timelines(timelines: tuple[Timeline, ...]) -> None:
    """Spans that a page can draw, or DataError."""
    for timeline in timelines:
        for lane in timeline.lanes:
            for number, span in enumerate(lane.spans, start=1):
                times = math.isfinite(span.begin_s) and math.isfinite(span.end_s) and span.begin_s < span.end_s
                if not times or not (span.value is None or 0 <= span.value <= 1):
                    raise DataError(
                        f"{timeline.title}: span {number} of lane {lane.title}: expected begin_s before end_s and a "
                        f"value of 0 to 1, got {span.begin_s}, {span.end_s}, {span.value}."
                    )


def _asset(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str, linked: bool) -> str:
    """Own style and script by hash, the video from memory (or, linked, from a file): nothing else may load or run."""
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    media = "blob: file: 'self'" if linked else "blob:"
    return (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; media-src {media}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _json(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _blob(blob: Blob) -> str:
    return f'<script type="text/plain" id="{blob.key}">{blob.text}</script>'


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)


def _summary(figures: tuple[Figure, ...]) -> str:
    items = [
        f'<div class="figure {figure.tone}"><dt>{_text(figure.label)}</dt>'
        f'<dd class="value">{_text(figure.value)}</dd><dd class="detail">{_text(figure.detail)}</dd></div>'
        for figure in figures
    ]
    return f'<dl class="summary">{"".join(items)}</dl>' if items else ""


def _notes(notes: tuple[str, ...]) -> str:
    items = "".join(f"<li>{_text(note)}</li>" for note in notes)
    return f'<section class="card"><h2>Notes</h2><ul class="notes">{items}</ul></section>' if items else ""


def _cell(value: Cell) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return '<td class="number">–</td>'
    if isinstance(value, Verdict):
        sign = f'<span aria-hidden="true">{_SIGNS[value.tone]}</span> ' if _SIGNS[value.tone] else ""
        return f'<td><span class="verdict {value.tone}">{sign}{_text(value.text)}</span></td>'
    if isinstance(value, float):
        return f'<td class="number">{_number(value)}</td>'
    return f'<td class="number">{value}</td>' if isinstance(value, int) else f"<td>{_text(value)}</td>"


def _number(value: float) -> str:
    """Four significant digits, never an exponent between 0.0001 and a million."""
    if 1000 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _table(table: Table) -> str:
    """One section; a column is set to the right where its first cell is a number."""
    first = table.rows[0] if table.rows else ()
    numeric = [isinstance(cell, int | float) or cell is None for cell in first] + [False] * len(table.columns)
    head = "".join(
        f'<th scope="col"{" class=number" if right else ""}>{_text(name)}</th>'
        for name, right in zip(table.columns, numeric, strict=False)
    )
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in table.rows)
    note = f'<p class="note">{_text(table.note)}</p>' if table.note else ""
    return (
        f'<section class="card"><h2>{_text(table.title)}</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{note}</section>"
    )


def _history(report: Report) -> str:
    """What made each track and body, step by step, as their files tell it."""
    parts = []
    histories = [(track.label, track.poses.history) for track in report.tracks]
    for label, history in histories + [(body.label, body.motion.history) for body in report.bodies]:
        steps = "".join(f"<li>{_step(dict(entry))}</li>" for entry in history)
        steps = f"<ol>{steps}</ol>" if steps else "<p>Nothing is recorded about how these poses were made.</p>"
        parts.append(f"<h3>{_text(label)}</h3>{steps}")
    return "".join(parts)


def _step(entry: dict[str, Any]) -> str:
    """One entry of the history: the verb and its package first, then whatever else it holds."""
    head = " ".join(str(entry.pop(key)) for key in ("verb", "package", "version") if key in entry)
    pairs = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in _flat(entry))
    return f"<strong>{_text(head)}</strong>" + (f"<dl>{pairs}</dl>" if pairs else "")


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(name, value) of everything in nested mappings; settings lose that word, for they are most of it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            inside = "" if key == "settings" and not name else f"{name}.{key}" if name else str(key)
            yield from _flat(inner, inside)
    else:
        yield name, "–" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
