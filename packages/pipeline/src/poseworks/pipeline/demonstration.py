"""The demo: the shipped clip of a walking woman, from its pixels to 3D and a body, as any other recording."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from poseworks.pipeline.run import RunResult, run_recording
from poseworks.pipeline.steps import ChainConfig

_FOLDER = Path(__file__).parent / "demo"


@dataclass(frozen=True)
class Clip:
    """A recording, and what another detector found in it: a yardstick, which the demo does not read."""

    video: Path
    keypoints: Path


def demo_clip() -> Clip:
    """The shipped clip; its origin and licence are in the README beside it."""
    return Clip(_FOLDER / "walk_side.mp4", _FOLDER / "walk_side_keypoints.npz")


def demo(
    folder: str | os.PathLike[str],
    chain: ChainConfig | None = None,
    *,
    glb: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
) -> RunResult:
    """What `run_recording` makes of the shipped clip.

    Raises:
        ConfigError: the files exist and `overwrite` is false.
        DataError: the folder cannot be written.
    """
    return run_recording(
        demo_clip().video, folder, chain=chain, glb=glb, title="A walking woman", overwrite=overwrite, quiet=quiet
    )
