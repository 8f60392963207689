"""What the commands `run` and `demo` are told about bodies. Torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from poseworks.core.errors import ConfigError

if TYPE_CHECKING:
    from poseworks.pipeline.lifting import LiftChoice
    from poseworks.pipeline.steps import FitStep


@Parameter(name="*")
@dataclass(frozen=True)
class BodyChoice:
    """Whether bodies are fitted to the poses, and which."""

    body: Annotated[
        bool | None,
        Parameter(
            negative="--no-body",
            help="Fit a body with a skin to everybody, as body.npz and on the page: the default where poses are 2D.",
        ),
    ] = None
    body_model: Annotated[
        str | None,
        Parameter(help="Fit this body: SMPL's own file or folder, or free (the default), which comes along."),
    ] = None
    ground: Annotated[
        bool,
        Parameter(
            negative="", help="Hold feet of bodies that hardly move in the picture: for a camera that stands still."
        ),
    ] = False
    glb: Annotated[
        bool, Parameter(negative="", help="Write the bodies as body.glb too: glTF, as Blender and others read it.")
    ] = False

    @property
    def given(self) -> tuple[str, ...]:
        """What was stated of how to fit, as it is written."""
        names = ("body_model", "ground", "glb")
        return tuple(f"--{name.replace('_', '-')}" for name in names if getattr(self, name) not in (None, False))

    def step(self, lifting: LiftChoice) -> FitStep | None:
        """The step at the end of a chain, with what is known of the camera and the person; None: no bodies.

        Raises:
            ConfigError: options that exclude one another, or are out of their range.
        """
        from pydantic import ValidationError

        from poseworks.core.config import describe_faults
        from poseworks.pipeline.steps import FitStep

        if self.body is False:
            if self.given:
                raise ConfigError(
                    f"--no-body: leaves out what {', '.join(self.given)} speak of. Drop one or the other."
                )
            return None
        of_scene = {name: getattr(lifting, name) for name in ("height", "focal", "camera")}
        stated = {"body": self.body_model, "ground": self.ground or None, **of_scene}
        stated["optional"] = (self.body is None and not self.given) or None
        try:
            return FitStep.model_validate({name: value for name, value in stated.items() if value is not None})
        except ValidationError as error:
            raise ConfigError(f"{'; '.join(describe_faults(error, FitStep))}.") from error
