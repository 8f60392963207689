"""The demo: the shipped clip of a walking woman with its stored detections, through the same chain as any other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from poseworks.core import read_poses
from poseworks.pipeline.run import RunResult, run_chain
from poseworks.pipeline.steps import ChainConfig

_FOLDER = Path(__file__).parent / "demo"


@dataclass(frozen=True)
class Clip:
    """A recording and the file of what was detected in it."""

    video: Path
    keypoints: Path


def demo_clip() -> Clip:
    """The shipped clip; its origin and licence are in the README beside it."""
    return Clip(_FOLDER / "walk_side.mp4", _FOLDER / "walk_side_keypoints.npz")


def demo(
    folder: str | os.PathLike[str], chain: ChainConfig | None = None, *, overwrite: bool = False, quiet: bool = True
) -> RunResult:
    """What `run_chain` makes of the shipped clip.

    Raises:
        ConfigError: the files exist and `overwrite` is false.
        DataError: the folder cannot be written.
    """
    clip = demo_clip()
    return run_chain(
        read_poses(clip.keypoints),
        folder,
        chain,
        video=clip.video,
        title="A walking woman, smoothed",
        overwrite=overwrite,
        quiet=quiet,
    )
