"""The command-line options that say what to look for in a recording; `poseworks run` has the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from poseworks.core.cli import Whole

if TYPE_CHECKING:
    from poseworks.keypoints.settings import DetectSettings


NETWORK_HELP = (
    "BlazePose's landmark network: full, heavy, lite or an ONNX file; rtmlib: lightweight, balanced, performance or a "
    "folder of its files."
)


@Parameter(name="*")
@dataclass(frozen=True)
class DetectOptions:
    """Who is looked for, how often, and by what."""

    people: Annotated[str, Parameter(help="all, or how many to keep: the longest and largest first.")] = "all"
    every: Annotated[int, Whole, Parameter(help="Look at every N-th frame alone, and the last.")] = 1
    detector: Annotated[str, Parameter(help="blazepose, which comes with poseworks, or rtmlib (an extra).")] = (
        "blazepose"
    )
    unswap: Annotated[
        bool, Parameter(negative="--no-unswap", help="Put left and right back where the detector exchanged them.")
    ] = True
    threads: Annotated[int, Whole, Parameter(help="Computing threads of the networks.")] = 1

    def settings(
        self, skeleton: str | None = None, fps: float | None = None, network: str | None = None
    ) -> DetectSettings:
        """What `find_people` takes.

        Raises:
            ConfigError: an option is out of its range.
        """
        from poseworks.keypoints.settings import DetectSettings, parse_people

        return DetectSettings(
            people=parse_people(self.people),
            every=self.every,
            skeleton=skeleton,
            detector=self.detector,  # type: ignore[arg-type]  # checked there
            model=network,
            unswap=self.unswap,
            fps=fps,
            threads=self.threads,
        )
