"""What is looked for in a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from poseworks.core import SKELETONS
from poseworks.core.errors import ConfigError
from poseworks.keypoints.sessions import check_threads


@dataclass(frozen=True)
class DetectSettings:
    """What is looked for in a recording.

    Attributes:
        people: how many are kept, the longest and largest first; None: all.
        every: only every N-th frame, and the last, is looked at; the others stay empty.
        skeleton: of the result, any that core can make from the detector's own; None: that one.
        detector: ``blazepose``, which comes with the package, or ``rtmlib``.
        model: BlazePose's landmark network (``full``, ``heavy``, ``lite`` or an ONNX file), or rtmlib's mode
            (``performance``, ``balanced``, ``lightweight``) or folder; None: ``full``, or ``balanced``.
        unswap: exchange left and right back in frames where the detector exchanged them.
        fps: frames per second of a folder of pictures.
        threads: computing threads of the networks.
    """

    people: int | None = None
    every: int = 1
    skeleton: str | None = None
    detector: Literal["blazepose", "rtmlib"] = "blazepose"
    model: str | None = None
    unswap: bool = True
    fps: float | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.people is not None and (self.people < 1 or self.people % 1):
            raise ConfigError(f"people: expected all, or a number from 1 on, got {self.people}.")
        if not self.every >= 1 or self.every % 1:
            raise ConfigError(f"every: expected 1 or more, got {self.every}.")
        if self.skeleton is not None and self.skeleton not in SKELETONS:
            raise ConfigError(f"skeleton: expected one of {', '.join(SKELETONS)}, got {self.skeleton!r}.")
        if self.detector not in ("blazepose", "rtmlib"):
            raise ConfigError(f"detector: expected blazepose or rtmlib, got {self.detector!r}.")
        check_threads(self.threads)


def parse_people(people: int | str | None) -> int | None:
    """A number of people, or None for ``all``.

    Raises:
        ConfigError: neither.
    """
    if people is None or people == "all":
        return None
    text = str(people)
    if isinstance(people, bool) or not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise ConfigError(f"people: expected all, or a number from 1 on, got {people!r}.")
    return int(text)
