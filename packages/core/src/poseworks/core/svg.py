"""Figures as SVG that needs nothing else: words, lines, boxes, matrices as small pictures, a colour bar. NumPy only.

All words are text, and each matrix is one picture inside the SVG, so that a page of large ones stays small. Places and
sizes are in user units, x to the right and y down.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Literal
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.shapes import expect_shape

Anchor = Literal["start", "middle", "end"]

_WHITE, _RED = np.array([255.0, 255.0, 255.0]), np.array([178.0, 24.0, 43.0])
_BAR = 14.0  # width of the colour bar
_TICKS_OF_BAR = 5
_BASE_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#e07b39", "#3b8f88", "#7a5195")


def page(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """The text of an SVG file: a white page with its heading, and the parts on it in their order."""
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif" fill="#222">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        text(14, 24, title, size=15, weight="bold"),
    ]
    return "\n".join([*head, *parts, "</svg>", ""])


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: float,
    anchor: Anchor = "start",
    turn: float = 0,
    weight: Literal["normal", "bold"] = "normal",
    fill: str = "#222",
) -> str:
    """Words whose base line begins, has its middle or ends at (x, y); `turn` is in degrees, clockwise."""
    turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="{fill}"{turned}>{escape(words)}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, *, stroke: str = "#666", width: float = 0.6) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="{width:g}"/>'


def polyline(points: Sequence[tuple[float, float]], *, stroke: str, width: float = 1.5, opacity: float = 1.0) -> str:
    """A line through points in their order."""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{places}" fill="none" stroke="{stroke}" stroke-width="{width:g}" '
        f'stroke-opacity="{opacity:g}" stroke-linejoin="round"/>'
    )


def circle(x: float, y: float, radius: float, *, fill: str, opacity: float = 1.0) -> str:
    """A filled circle."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}" fill-opacity="{opacity:g}"/>'


def box(
    x: float, y: float, width: float, height: float, *, fill: str = "none", stroke: str = "#999", hint: str = ""
) -> str:
    """A rectangle; `hint` is shown where the pointer rests."""
    places = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    opened = f'<rect {places} fill="{fill}" stroke="{stroke}" stroke-width="0.6"'
    return f"{opened}><title>{escape(hint)}</title></rect>" if hint else f"{opened}/>"


def matrix(shares: ArrayLike, x: float, y: float, width: float, height: float) -> str:
    """(rows, columns) of 0..1, white to red, as one picture with a frame.

    Raises:
        ShapeError: it has no such shape.
    """
    values = np.asarray(shares, dtype=np.float64)
    expect_shape("shares", values, "R>=1 C>=1")
    places = f'x="{x:.1f}" y="{y:.1f}" width="{width:g}" height="{height:g}"'
    picture = base64.b64encode(_png(values)).decode()
    return (
        f'<image {places} preserveAspectRatio="none" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{picture}"/>{box(x, y, width, height)}'
    )


def colour_bar(largest: float, x: float, y: float, height: float) -> list[str]:
    """What the colours of `matrix` stand for: white is 0, red `largest`."""
    white, red = (f"rgb({','.join(str(int(part)) for part in colour)})" for colour in (_WHITE, _RED))
    stops = f'<stop offset="0" stop-color="{white}"/><stop offset="1" stop-color="{red}"/>'
    parts = [
        f'<defs><linearGradient id="bar" x1="0" y1="1" x2="0" y2="0">{stops}</linearGradient></defs>',
        box(x, y, _BAR, height, fill="url(#bar)"),
    ]
    for number in range(_TICKS_OF_BAR):
        share = number / (_TICKS_OF_BAR - 1)
        at = y + height * (1 - share)
        parts += [line(x + _BAR, at, x + _BAR + 3, at), text(x + _BAR + 6, at + 3, f"{share * largest:.2g}", size=9)]
    return parts


def colour_of(number: int) -> str:
    """The colour of the `number`-th of several things, as ``#rrggbb``; after nine, darker and darker ones follow."""
    turn, place = divmod(number, len(_BASE_COLOURS))
    parts = bytes.fromhex(_BASE_COLOURS[place][1:])
    return "#" + bytes(round(part * 0.7**turn) for part in parts).hex()


def _png(shares: NDArray[np.float64]) -> bytes:
    """A PNG of 256 colours: (H, W) of 0..1, small ones enlarged so that viewers which smooth do no harm."""
    larger = max(1, 136 // max(shares.shape))
    levels = np.clip(np.rint(shares * 255), 0, 255).astype(np.uint8)
    levels = levels.repeat(larger, axis=0).repeat(larger, axis=1)
    height, width = levels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), levels], axis=1)  # each begins with its filter: none
    palette = np.rint(_WHITE + (np.arange(256) / 255)[:, None] * (_RED - _WHITE)).astype(np.uint8)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""),
    )  # fmt: skip
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
