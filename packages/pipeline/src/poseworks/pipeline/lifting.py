"""What the commands `run` and `demo` are told about lifting. Torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: F401 (the command line looks here for the types of inherited options)
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from poseworks.core.errors import ConfigError
from poseworks.lifting.lift_options import SceneOptions

if TYPE_CHECKING:
    from poseworks.pipeline.steps import LiftStep


@Parameter(name="*")
@dataclass(frozen=True)
class LiftChoice(SceneOptions):
    """Whether 3D is made of 2D, by what, and what is known of the camera and the person."""

    lift: Annotated[
        bool | None,
        Parameter(negative="--no-lift", help="Lift to 3D at the end: the default, where the poses are such as can be."),
    ] = None
    lift_model: Annotated[str | None, Parameter(help="Lift with this model instead of the shipped weights.")] = None

    @property
    def given(self) -> tuple[str, ...]:
        """What was stated of how to lift, as it is written."""
        names = ("lift_model", "height", "bone", "focal", "camera")
        return tuple(f"--{name.replace('_', '-')}" for name in names if getattr(self, name) not in (None, ()))

    def step(self, *, bodies: bool = False) -> LiftStep | None:
        """The step at the end of a chain; None: poses stay 2D.

        Args:
            bodies: camera and height are of use without lifting too, to fit bodies.

        Raises:
            ConfigError: options that exclude one another, or are out of their range.
        """
        from pydantic import ValidationError

        from poseworks.core.config import describe_faults
        from poseworks.lifting.settings import checked_settings
        from poseworks.pipeline.steps import LiftStep

        if self.lift is False:
            of_no_use = [option for option in self.given if not bodies or option in ("--lift-model", "--bone")]
            if of_no_use:
                raise ConfigError(f"--no-lift: leaves out what {', '.join(of_no_use)} speak of. Drop one or the other.")
            return None
        if self.focal is not None and self.camera is not None:
            raise ConfigError("--focal: the file of --camera states it already. Leave one of the two out.")
        settings = checked_settings(height=self.height, bones=self.bones())
        try:
            return LiftStep(
                **settings.model_dump(),
                model=self.lift_model,
                focal=self.focal,
                camera=self.camera,
                optional=self.lift is None and not self.given,
            )
        except ValidationError as error:
            raise ConfigError(f"{'; '.join(describe_faults(error, LiftStep))}.") from error
