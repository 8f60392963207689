"""Turning frames upright, as the container's display matrix or a photograph's EXIF orientation says."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame

_EXIF = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


@dataclass(frozen=True)
class Turn:
    """Where a stored pixel (x, y) is shown: at (a x + c y, b x + d y), up to a shift; each of them -1, 0 or 1.

    Attributes:
        matrix: a, b, c, d.
        exact: the file states this very turn; else another angle, of which this is the nearest quarter.
    """

    matrix: tuple[int, int, int, int] = (1, 0, 0, 1)
    exact: bool = True

    @property
    def degrees(self) -> int:
        """0, 90, 180 or 270: clockwise, from stored to upright, after mirroring left to right where `mirrored`."""
        a, b, _, _ = self.matrix
        if self.mirrored:
            a, b = -a, -b
        return round(math.degrees(math.atan2(b, a))) % 360

    @property
    def mirrored(self) -> bool:
        """The stored frame is a mirror image of the upright one."""
        a, b, c, d = self.matrix
        return a * d - b * c < 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the upright frame."""
        return (height, width) if self.matrix[0] == 0 else (width, height)

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) upright and C-contiguous; the input itself where nothing is to be done."""
        a, b, c, d = self.matrix
        if a == 0:
            rgb, x, y = rgb.transpose(1, 0, 2), c, b
        else:
            x, y = a, d
        return np.ascontiguousarray(rgb[::y, ::x])


def stated_turn(frame: VideoFrame) -> Turn:
    """The turn that a decoded frame's display matrix states.

    A frame with side data that this PyAV does not know (EXIF in 18) only tells its angle, not that it is mirrored.
    """
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        data = None
    if data is None:
        angle = math.radians(frame.rotation)  # counter-clockwise
        return _nearest(math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle))
    a, b, _, c, d, *_ = np.frombuffer(data, dtype=np.int32).tolist()
    return _nearest(a, b, c, d)


def _nearest(a: float, b: float, c: float, d: float) -> Turn:
    across, along = max(abs(b), abs(c)), max(abs(a), abs(d))
    if across == along == 0:
        return Turn()
    exact = min(across, along) <= 1e-3 * max(across, along)
    return Turn((0, _sign(b), _sign(c), 0) if across > along else (_sign(a), 0, 0, _sign(d)), exact)


def _sign(value: float) -> int:
    return -1 if value < 0 else 1


def exif_turn(jpeg: bytes) -> Turn:
    """The turn that the EXIF block of a JPEG file states (tag 0x0112); none without such a block or a sound one.

    Args:
        jpeg: the start of the file: the block is in its first 64 KiB and some.
    """
    at = 2
    while jpeg[at : at + 1] == b"\xff" and len(jpeg) >= at + 4:
        kind, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if kind == 0xE1 and jpeg[at + 4 : at + 10] == b"Exif\0\0":
            try:
                return Turn(_EXIF.get(_orientation(jpeg[at + 10 : at + 2 + length]), _EXIF[1]))
            except struct.error:
                return Turn()
        at += 2 + length
    return Turn()


def _orientation(tiff: bytes) -> int:
    """Value of the tag 0x0112 in the first directory, or 1."""
    order = "<" if tiff[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    (entries,) = struct.unpack_from(order + "H", tiff, start)
    for entry in range(entries):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * entry)
        if (tag, kind) == (0x0112, 3):
            return int(value)
    return 1
