"""poseworks: chains of methods over a recording, from Python and from the command `poseworks`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poseworks.pipeline.demonstration import Clip, demo, demo_clip
    from poseworks.pipeline.run import RunResult, run_chain
    from poseworks.pipeline.steps import ChainConfig, FilterStep, SmoothStep, Step, build

_HOMES = {
    "demonstration": ("Clip", "demo", "demo_clip"),
    "run": ("RunResult", "run_chain"),
    "steps": ("ChainConfig", "FilterStep", "SmoothStep", "Step", "build"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

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


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, and what the module holds besides."""
    return sorted({*globals(), *__all__})
