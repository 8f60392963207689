"""The faults of a file, gathered for one message."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from poseworks.core.errors import FormatError
from poseworks.lifting.learning.h36m_files.frames import CAMERAS
from poseworks.lifting.learning.h36m_files.values import length

SHOWN = 12  # faults


class Faults:
    """What is wrong with a file, each kind once, with the number of times and the first place."""

    def __init__(self) -> None:
        self.total = 0
        self._kinds: dict[str, list[Any]] = {}

    def add(self, message: str, where: str = "", count: int = 1) -> None:
        """Counts a fault."""
        self.total += count
        if message in self._kinds or len(self._kinds) < 1000:
            self._kinds.setdefault(message, [where, 0])[1] += count

    def text(self) -> str:
        """All of them in a line; empty if there are none."""
        shown = [
            message + (f" ({where}{f' and {count - 1} more' if count > 1 else ''})" if where else "")
            for message, (where, count) in list(self._kinds.items())[:SHOWN]
        ]
        more = len(self._kinds) - len(shown)
        return "; ".join(shown) + (f"; and {more} more kinds of faults" if more else "")

    def raise_any(self, path: str | os.PathLike[str]) -> None:
        """Nothing, unless there is one.

        Raises:
            FormatError: there is; lists them all.
        """
        if self._kinds:
            raise FormatError(f"{os.fspath(path)}: {self.text()}. Expected the layout described in h36m_files.")


def described(value: Any) -> str:
    """What was found: shape and type of an array, a short value itself, else its type."""
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    if isinstance(value, str | int | float) and len(str(value)[:61]) <= 60:
        return repr(value)
    size = length(value)
    return type(value).__name__ + ("" if size is None else f" of {size}")


def listed(content: Mapping[Any, Any]) -> str:
    """The first keys of a dict."""
    names = [str(key)[:40] for key in list(content)[:SHOWN]]
    return (", ".join(names) or "nothing") + (", ..." if len(content) > SHOWN else "")


def unknown_camera(name: str | None) -> str:
    """The fault of a camera that Human3.6M does not have."""
    shown = "no name" if name is None else repr(name[:40])
    return f"unknown camera {shown}, expected one of {', '.join(CAMERAS)}"
