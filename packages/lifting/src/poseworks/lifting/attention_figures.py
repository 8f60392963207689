"""Attention maps as figures: a grid of matrices from white to red with one colour bar, as SVG that needs nothing else.

Each map is a small picture inside the SVG, so that a page of 243 x 243 maps stays small; all words are text.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.shapes import expect_shape

_WHITE, _RED = np.array([255.0, 255.0, 255.0]), np.array([178.0, 24.0, 43.0])
_PANEL = 170.0  # side of a map, in user units; text is 8 to 15 of them high
_GAP = 14.0
_BAR = 14.0  # width of the colour bar
_TICKS_OF_BAR = 5


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
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif" fill="#222">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        _text(14, 24, title, size=15, weight="bold"),
    ]
    if note:
        parts.append(_text(14, 44, note, size=12, fill="#8a1020"))
    for column, name in enumerate(column_names):
        parts.append(_text(left + column * (_PANEL + _GAP) + _PANEL / 2, top - 8, name, size=11, anchor="middle"))
    for row in range(rows):
        y = top + row * (_PANEL + _GAP)
        for column in range(columns):
            x = left + column * (_PANEL + _GAP)
            parts.append(_map(values[row, column] / largest, x, y))
        parts += _row_words(row_names[row], queries, values.shape[2], left, y)
        parts.append(_text(left + wide + 12, y + _PANEL / 2, row_names[row], size=11, turn=90, anchor="middle"))
    for column in range(columns):
        parts += _column_words(keys, values.shape[3], left + column * (_PANEL + _GAP), top + high)
    parts.append(_text(left + wide / 2, height - 8, f"keys: {keys.name}", size=11, anchor="middle"))
    parts += _colour_bar(largest, left + wide + 34, top, min(high, 2 * _PANEL))
    return "\n".join([*parts, "</svg>", ""])


def _map(shares: NDArray[np.float64], x: float, y: float) -> str:
    """One matrix of 0..1 as a picture with a frame."""
    places = f'x="{x:.1f}" y="{y:.1f}" width="{_PANEL}" height="{_PANEL}"'
    picture = base64.b64encode(_png(shares)).decode()
    return (
        f'<image {places} preserveAspectRatio="none" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{picture}"/><rect {places} fill="none" stroke="#999" stroke-width="0.6"/>'
    )


def _png(shares: NDArray[np.float64]) -> bytes:
    """A PNG of 256 colours: (H, W) of 0..1, small ones enlarged so that viewers which smooth do no harm."""
    larger = max(1, 136 // max(shares.shape))
    levels = np.clip(np.rint(shares * 255), 0, 255).astype(np.uint8)
    levels = levels.repeat(larger, axis=0).repeat(larger, axis=1)
    height, width = levels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), levels], axis=1)  # each begins with its filter: none
    palette = np.rint(_colours(np.arange(256) / 255)).astype(np.uint8)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""),
    )  # fmt: skip
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _colours(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(...) of 0..1 -> (..., 3) of 0..255."""
    mixed: NDArray[np.float64] = _WHITE + shares[..., None] * (_RED - _WHITE)
    return mixed


def _row_words(name: str, axis: Axis, length: int, x: float, y: float) -> list[str]:
    step = _PANEL / length
    words = [_text(x - 5, y + (n + 0.5) * step + 2.8, word, size=8, anchor="end") for n, word in axis.ticks]
    lines = [_line(x - 3, y + (n + 0.5) * step, x, y + (n + 0.5) * step) for n, _ in axis.ticks]
    return [*words, *lines, _text(14, y + _PANEL / 2, f"queries: {axis.name}", size=11, turn=-90, anchor="middle")]


def _column_words(axis: Axis, length: int, x: float, y: float) -> list[str]:
    step = _PANEL / length
    words = [_text(x + (n + 0.5) * step + 2.8, y + 5, word, size=8, turn=-90, anchor="end") for n, word in axis.ticks]
    return [*words, *(_line(x + (n + 0.5) * step, y, x + (n + 0.5) * step, y + 3) for n, _ in axis.ticks)]


def _colour_bar(largest: float, x: float, y: float, height: float) -> list[str]:
    white, red = (f"rgb({','.join(str(int(part)) for part in colour)})" for colour in (_WHITE, _RED))
    stops = f'<stop offset="0" stop-color="{white}"/><stop offset="1" stop-color="{red}"/>'
    parts = [
        f'<defs><linearGradient id="bar" x1="0" y1="1" x2="0" y2="0">{stops}</linearGradient></defs>',
        f'<rect x="{x}" y="{y}" width="{_BAR}" height="{height}" fill="url(#bar)" stroke="#999" stroke-width="0.6"/>',
    ]
    for number in range(_TICKS_OF_BAR):
        share = number / (_TICKS_OF_BAR - 1)
        at = y + height * (1 - share)
        parts += [_line(x + _BAR, at, x + _BAR + 3, at), _text(x + _BAR + 6, at + 3, f"{share * largest:.2g}", size=9)]
    return parts


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: float,
    anchor: str = "start",
    turn: float = 0,
    weight: str = "normal",
    fill: str = "#222",
) -> str:
    turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="{fill}"{turned}>{escape(words)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#666" stroke-width="0.6"/>'
