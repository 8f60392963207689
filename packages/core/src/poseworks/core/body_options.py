"""The command-line options with which body motion is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from poseworks.core.cli import Whole


@Parameter(name="*")
@dataclass(frozen=True)
class BodyOptions:
    """How body motion is written; None: the usual way of the format."""

    body: Annotated[
        str | None,
        Parameter(help="Body motion: free, or SMPL's file or folder. Default: the body that the file names."),
    ] = None
    to_up: Annotated[str | None, Parameter(help="Body motion: axis that points up, y or z. Default: y.")] = None
    to_unit: Annotated[str | None, Parameter(help="Body motion: m, cm or mm. Default: m, in BVH cm.")] = None
    at_frame: Annotated[
        int | None, Whole, Parameter(help="Body motion to OBJ: number of the frame, from 0. Default: the first.")
    ] = None

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the options that say something, as they are written."""
        return tuple(f"--{name.replace('_', '-')}" for name, value in vars(self).items() if value is not None)
