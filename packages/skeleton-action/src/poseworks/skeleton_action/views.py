"""How often a recording is looked at. Standard library only: the command line asks for it before anything else."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Preset = Literal["fast", "accurate"]


@dataclass(frozen=True)
class Views:
    """How often a recording or a window is looked at; the answer is the mean.

    Attributes:
        clips: repeats with other frames of it.
        mirror: each clip once more in a mirror.
    """

    clips: int = 1
    mirror: bool = False

    @property
    def count(self) -> int:
        """Runs of the network."""
        return 2 * self.clips if self.mirror else self.clips


PRESETS = MappingProxyType({"fast": Views(1, False), "accurate": Views(10, True)})
"""What the presets stand for; ``accurate`` is the published test."""
