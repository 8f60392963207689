"""Values as pickles hold them, in the forms that the readers want."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.lifting.learning.h36m_files.frames import JOINTS, Floats

LARGEST = 1e30  # of a number that float32 holds


def ones(rows: int) -> Floats:
    """(N, 17) ones that take no memory."""
    return np.broadcast_to(np.float32(1), (rows, JOINTS))


def length(value: Any) -> int | None:
    """Of an array, a list or a tuple; None: it has none."""
    if isinstance(value, np.ndarray):
        return len(value) if value.ndim else None
    return len(value) if isinstance(value, list | tuple) else None


def as_array(value: Any) -> NDArray[Any] | None:
    """A list of numbers, of short lists of numbers, or of small arrays of one shape, as an array; else None."""
    if not isinstance(value, list | tuple) or not value:
        return None
    first = value[0]
    if isinstance(first, np.ndarray):
        alike = first.size <= 256 and all(isinstance(x, np.ndarray) and x.shape == first.shape for x in value)
        return np.stack(value) if alike else None
    rows = value if isinstance(first, list | tuple) else [value]
    width = len(rows[0])
    for row in rows:
        if not isinstance(row, list | tuple) or len(row) != width or (row is not value and width > 256):
            return None
        if not all(map(is_number, row)):
            return None
    return np.array(value, dtype=np.float64)


def is_number(value: Any) -> bool:
    """A finite real number that float32 holds."""
    real = isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)
    return real and bool(-LARGEST < value < LARGEST)


def text_of(value: Any) -> str | None:
    """Texts, also those of Python 2; a number as its digits."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, int | np.integer) and is_number(value):
        return str(int(value))
    return str(value) if isinstance(value, str) else None
