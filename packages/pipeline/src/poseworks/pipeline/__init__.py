"""poseworks: chains of methods over a recording, from Python and from the command `poseworks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poseworks.core.lazy import lazy_names

if TYPE_CHECKING:
    from poseworks.pipeline.demonstration import Clip, demo, demo_clip
    from poseworks.pipeline.run import RunResult, run_chain, run_recording
    from poseworks.pipeline.steps import (
        ChainConfig,
        FillStep,
        FilterStep,
        FitStep,
        LiftStep,
        RecognizeStep,
        SmoothStep,
        Step,
        UnswapStep,
        build,
        default_chain,
    )

_HOMES = {
    "demonstration": ("Clip", "demo", "demo_clip"),
    "run": ("RunResult", "run_chain", "run_recording"),
    "steps": (
        "ChainConfig",
        "FillStep",
        "FilterStep",
        "FitStep",
        "LiftStep",
        "RecognizeStep",
        "SmoothStep",
        "Step",
        "UnswapStep",
        "build",
        "default_chain",
    ),
}

__all__ = [
    "ChainConfig",
    "Clip",
    "FillStep",
    "FilterStep",
    "FitStep",
    "LiftStep",
    "RecognizeStep",
    "RunResult",
    "SmoothStep",
    "Step",
    "UnswapStep",
    "build",
    "default_chain",
    "demo",
    "demo_clip",
    "run_chain",
    "run_recording",
]

__getattr__, __dir__ = lazy_names(globals(), _HOMES)
