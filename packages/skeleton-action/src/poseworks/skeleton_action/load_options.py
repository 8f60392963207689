"""The command-line options of every verb that loads weights: what tensors do not tell. Torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True)
class LoadOptions:
    """What tensors do not tell; where a file or a published name does, an option must agree."""

    stream: Annotated[
        Literal["joint", "limb"] | None, Parameter(help="What a channel of the volumes is, a joint or a limb.")
    ] = None
    flavour: Annotated[
        Literal["mmaction", "pyskl"] | None, Parameter(help="The code line that the weights were trained with.")
    ] = None

    def given(self) -> dict[str, Any]:
        """The options of `load` that were stated."""
        return {name: value for name, value in vars(self).items() if value is not None}
