"""The command-line options of building a data set. Torch and pydantic are not imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from poseworks.core.cli import Whole


@Parameter(name="*")
@dataclass(frozen=True)
class BuildOptions:
    """Classes, splits, joints, and what to do with recordings at fault."""

    classes: Annotated[
        str | None,
        Parameter(
            help="Names of the classes in their order: a text file with one a line, or a published data set such as "
            "ntu60. Default: those in the table, sorted."
        ),
    ] = None
    val: Annotated[
        float, Parameter(help="Share of the recordings for the split val, where the table states no splits.")
    ] = 0.15
    test: Annotated[float, Parameter(help="The same for the split test.")] = 0.15
    seed: Annotated[int, Whole, Parameter(help="Of splits that are drawn.")] = 0
    joints: Annotated[
        str, Parameter(help="Skeleton of the data set, to which all poses are converted; published networks: coco17.")
    ] = "coco17"
    skip: Annotated[bool, Parameter(negative="", help="Leave out recordings at fault, and say which.")] = False
