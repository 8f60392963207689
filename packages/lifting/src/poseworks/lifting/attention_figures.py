"""Attention maps as figures: a grid of matrices from white to red with one colour bar, as SVG that needs nothing else.

Each map is a small picture inside the SVG, so that a page of 243 x 243 maps stays small; all words are text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from poseworks.core import svg
from poseworks.core.shapes import expect_shape

_PANEL = 170.0  # side of a map, in user units; text is 8 to 15 of them high
_GAP = 14.0


@dataclass(frozen=True)
class Axis:
    """An axis of every map: its name, and words at some of its rows or columns."""

    name: str
    ticks: Sequence[tuple[int, str]]


def attention_figure(
    maps: ArrayLike,
    *,
    title: str,
    row_names: Sequence[str],
    column_names: Sequence[str],
    queries: Axis,
    keys: Axis,
    note: str = "",
) -> str:
    """The text of an SVG file.

    Args:
        maps: (R, C, L, K), rows are queries and columns keys; white is 0, red the largest of all maps.
        row_names, column_names: R and C words that name the maps.
        queries, keys: what L rows and K columns are.
        note: one line under the title.

    Raises:
        ShapeError: the maps have no such shape.
    """
    values = np.asarray(maps, dtype=np.float64)
    expect_shape("maps", values, f"R={len(row_names)} C={len(column_names)} L>=1 K>=1", fix="One map a pair of names.")
    rows, columns, *_ = values.shape
    largest = float(values.max()) or 1.0
    left = 42 + 4.6 * max(len(word) for _, word in queries.ticks)
    below = 34 + 4.4 * max(len(word) for _, word in keys.ticks)
    top = 66 + (18 if note else 0)
    wide, high = (n * (_PANEL + _GAP) - _GAP for n in (columns, rows))
    width = max(left + wide + 100, 40 + 7.2 * len(title), 40 + 6.2 * len(note))
    height = top + high + below
    parts = [svg.text(14, 44, note, size=12, fill="#8a1020")] if note else []
    for column, name in enumerate(column_names):
        parts.append(svg.text(left + column * (_PANEL + _GAP) + _PANEL / 2, top - 8, name, size=11, anchor="middle"))
    for row in range(rows):
        y = top + row * (_PANEL + _GAP)
        for column in range(columns):
            x = left + column * (_PANEL + _GAP)
            parts.append(svg.matrix(values[row, column] / largest, x, y, _PANEL, _PANEL))
        parts += _row_words(row_names[row], queries, values.shape[2], left, y)
        parts.append(svg.text(left + wide + 12, y + _PANEL / 2, row_names[row], size=11, turn=90, anchor="middle"))
    for column in range(columns):
        parts += _column_words(keys, values.shape[3], left + column * (_PANEL + _GAP), top + high)
    parts.append(svg.text(left + wide / 2, height - 8, f"keys: {keys.name}", size=11, anchor="middle"))
    parts += svg.colour_bar(largest, left + wide + 34, top, min(high, 2 * _PANEL))
    return svg.page(width, height, title, parts)


def _row_words(name: str, axis: Axis, length: int, x: float, y: float) -> list[str]:
    step = _PANEL / length
    words = [svg.text(x - 5, y + (n + 0.5) * step + 2.8, word, size=8, anchor="end") for n, word in axis.ticks]
    lines = [svg.line(x - 3, y + (n + 0.5) * step, x, y + (n + 0.5) * step) for n, _ in axis.ticks]
    return [*words, *lines, svg.text(14, y + _PANEL / 2, f"queries: {axis.name}", size=11, turn=-90, anchor="middle")]


def _column_words(axis: Axis, length: int, x: float, y: float) -> list[str]:
    step = _PANEL / length
    words = [
        svg.text(x + (n + 0.5) * step + 2.8, y + 5, word, size=8, turn=-90, anchor="end") for n, word in axis.ticks
    ]
    return [*words, *(svg.line(x + (n + 0.5) * step, y, x + (n + 0.5) * step, y + 3) for n, _ in axis.ticks)]
