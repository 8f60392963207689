"""poseworks: chains of methods over a recording, from Python and from the command `poseworks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poseworks.core.lazy import lazy_names

if TYPE_CHECKING:
    from poseworks.pipeline.demonstration import Clip, demo, demo_clip
    from poseworks.pipeline.run import RunResult, run_chain
    from poseworks.pipeline.steps import ChainConfig, FilterStep, SmoothStep, Step, build

_HOMES = {
    "demonstration": ("Clip", "demo", "demo_clip"),
    "run": ("RunResult", "run_chain"),
    "steps": ("ChainConfig", "FilterStep", "SmoothStep", "Step", "build"),
}

__all__ = [
    "ChainConfig",
    "Clip",
    "FilterStep",
    "RunResult",
    "SmoothStep",
    "Step",
    "build",
    "demo",
    "demo_clip",
    "run_chain",
]

__getattr__, __dir__ = lazy_names(globals(), _HOMES)
