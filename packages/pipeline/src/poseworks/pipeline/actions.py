"""What the commands `run` and `demo` are told about recognizing actions. Torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from poseworks.core.errors import ConfigError

if TYPE_CHECKING:
    from poseworks.pipeline.steps import RecognizeStep


@Parameter(name="*")
@dataclass(frozen=True)
class ActionChoice:
    """Whether actions are recognized, and by what."""

    recognize: Annotated[
        bool | None,
        Parameter(
            negative="--no-recognize",
            help="Recognize actions, over time: the default, where the poses are such as can be.",
        ),
    ] = None
    action_model: Annotated[
        str | None, Parameter(help="Recognize actions with this model instead of the shipped weights.")
    ] = None

    def step(self) -> RecognizeStep | None:
        """The step before lifting; None: no actions are looked for.

        Raises:
            ConfigError: options that exclude one another.
        """
        from poseworks.pipeline.steps import RecognizeStep

        if self.recognize is False:
            if self.action_model is not None:
                raise ConfigError("--no-recognize: leaves out what --action-model speaks of. Drop one or the other.")
            return None
        optional = self.recognize is None and self.action_model is None
        return RecognizeStep(optional=optional, **({} if self.action_model is None else {"model": self.action_model}))
