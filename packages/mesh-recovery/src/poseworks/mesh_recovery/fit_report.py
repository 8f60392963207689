"""How well bodies fit, as rows of a table: for the page of a fit and for the terminal. Torch is not imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from poseworks.core.report import Cell, Table

_COLUMNS = {
    "frames": "Frames",
    "median_px": "Off the keypoints: median (px)",
    "mean_px": "mean (px)",
    "jitter_before_px": "Jitter: keypoints (px)",
    "jitter_after_px": "body (px)",
    "mean_mm": "Off the joints: mean (mm)",
    "p95_mm": "95 % within (mm)",
    "stature_m": "Stature (m)",
    "bent_the_wrong_way": "Knees and elbows bent the wrong way (%)",
}
_NOTE = (
    "How far the body's joints lie from those that it was fitted to; jitter is the mean second difference over time. "
    "A picture does not tell how far away somebody is, nor how large: few pixels say little about depth."
)


def figure_rows(figures: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], list[tuple[Cell, ...]]]:
    """Column names, and a row a person with what is told of anybody; None where it is not told of this one.

    Args:
        figures: of a `Fitted`.
    """
    keys = [key for key in _COLUMNS if any(key in person for person in figures)]
    cameras = list(dict.fromkeys(view["camera"] for person in figures for view in person.get("views", ())))
    rows: list[tuple[Cell, ...]] = []
    for person in figures:
        seen = {view["camera"]: view["median_px"] for view in person.get("views", ())}
        told = [_cell(key, person.get(key)) for key in keys]
        rows.append((str(person["person"]), *told, *(seen.get(camera) for camera in cameras)))
    return ("Person", *(_COLUMNS[key] for key in keys), *(f"Camera {camera} (px)" for camera in cameras)), rows


def figures_table(figures: Sequence[Mapping[str, Any]]) -> Table:
    """The same as part of a page."""
    columns, rows = figure_rows(figures)
    return Table("Bodies", columns, tuple(rows), _NOTE)


def _cell(key: str, value: Any) -> Cell:
    if value is None:
        return None
    return 100 * float(value) if key == "bent_the_wrong_way" else int(value) if key == "frames" else float(value)
