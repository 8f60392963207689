"""A confusion matrix as an SVG figure: rows are true classes, columns what was answered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from poseworks.core import svg
from poseworks.core.shapes import expect_shape

_SIDE = 560.0  # of the matrix, in user units
_LARGEST_CELL, _SMALLEST_NAMED = 40.0, 8.0
_NAMED = 120  # classes whose names are written
_COUNTED = 20  # classes whose counts have room in the cells


def confusion_figure(counts: ArrayLike, labels: Sequence[str] = (), *, title: str, note: str = "") -> str:
    """The text of an SVG file; the colour of a cell is its share of the row, counts are written into large cells.

    Args:
        counts: (classes, classes) of `confusion_matrix`.
        labels: names of the classes; their numbers where there are none.
        note: one line under the title.

    Raises:
        ShapeError: the counts have no such shape, or there is another number of labels.
    """
    values = np.asarray(counts, dtype=np.int64)
    classes = expect_shape("counts", values, "classes>=1 classes")["classes"]
    expect_shape("labels", np.asarray(labels), f"classes={classes}" if labels else "none=0")
    cell = min(_LARGEST_CELL, max(_SIDE / classes, _SMALLEST_NAMED if classes <= _NAMED else 0))
    side = cell * classes
    names = [f"{number} {name}".strip() for number, name in enumerate(labels or [""] * classes)]
    size = min(11.0, 0.9 * cell) if classes <= _NAMED else 0.0
    left = 36 + 0.58 * size * max(map(len, names))
    top, below = 66.0, 40 + 0.45 * size * max(map(len, names))
    totals = values.sum(axis=1)
    shares = values / np.maximum(totals, 1)[:, None]
    parts = [svg.text(14, 44, note, size=12)] if note else []
    parts.append(svg.matrix(shares, left, top, side, side))
    for number, name in enumerate(names if size else []):
        middle = (number + 0.5) * cell
        parts.append(svg.text(left - 5, top + middle + 0.35 * size, name, size=size, anchor="end"))
        at = left + middle + 0.35 * size, top + side + 6
        parts.append(svg.text(*at, name, size=size, anchor="end", turn=-60 if classes <= _COUNTED else -90))
    if classes <= _COUNTED:
        for row, column in np.argwhere(values).tolist():
            place = left + (column + 0.5) * cell, top + (row + 0.5) * cell + 4
            dark = shares[row, column] > 0.5
            count = str(values[row, column])
            parts.append(svg.text(*place, count, size=10, anchor="middle", fill="#fff" if dark else "#222"))
    parts.append(svg.text(14, top + side / 2, "true class", size=12, turn=-90, anchor="middle"))
    parts.append(svg.text(left + side / 2, top + side + below, "answer", size=12, anchor="middle"))
    parts += svg.colour_bar(1.0, left + side + 20, top, min(side, 200))
    parts.append(svg.text(left + side + 20, top - 8, "share of the row", size=10))
    width = max(left + side + 120, 40 + 7.2 * len(title), 40 + 6.2 * len(note))
    return svg.page(width, top + side + below + 16, title, parts)
