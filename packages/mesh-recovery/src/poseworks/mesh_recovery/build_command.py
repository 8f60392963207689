"""The verb `build`: pictures of the free body, rendered, as a data set to train with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from poseworks.core.body_models.motion_files import motion_format, read_motion
from poseworks.core.cli import print_result, remark
from poseworks.core.config import describe_faults
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import refuse_existing
from poseworks.core.progress import progress
from poseworks.core.video.sources import PICTURES
from poseworks.mesh_recovery.learning.people import RenderSettings, world_poses
from poseworks.mesh_recovery.learning.rendered import FILE, write_rendered


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    output: Path
    count: int
    size: int
    seed: int
    backgrounds: Path | None
    workers: int
    overwrite: bool


def run_build(inputs: Sequence[Path], options: Options, *, json: bool, quiet: bool) -> None:
    """Writes the data set and prints what it holds.

    Raises:
        ConfigError: a number out of its range, or the output exists.
        PoseworksError: a file cannot be read, or holds no motion or picture.
    """
    refuse_existing(options.output, options.overwrite)
    for name, least in (("count", 1), ("seed", 0), ("workers", 0)):
        if getattr(options, name) < least:
            raise ConfigError(f"--{name} {getattr(options, name)}: expected {least} or more.")
    try:
        settings = RenderSettings(size=options.size)
    except ValidationError as error:
        raise ConfigError(f"--{'; --'.join(describe_faults(error, RenderSettings))}.") from error
    poses = [_poses(path) for path in inputs]
    if not poses:
        remark("poses are drawn from the free pose prior; give body files (.npz) for those of a motion.", quiet=quiet)
    photos = () if options.backgrounds is None else _photos(options.backgrounds)
    with progress(options.count, "rendering", quiet=quiet) as advance:
        data = write_rendered(
            options.output, options.count, np.concatenate(poses) if poses else None, settings=settings,
            seed=options.seed, backgrounds=photos, workers=options.workers, overwrite=options.overwrite,
            advance=advance,
        )  # fmt: skip
    result = {
        "output": options.output,
        "file": FILE,
        "body": "free",
        "pictures": data.num_rows,
        "size": options.size,
        "poses": sum(map(len, poses)) or "free pose prior",
        "backgrounds": len(photos) or "made up",
        "seed": options.seed,
    }
    print_result(result, json=json, quiet=quiet)


def _poses(path: Path) -> np.ndarray:
    found = motion_format(path)
    if found is None:
        raise DataError(
            f"{path}: not a file of body motion. Give a body file, such as `fit` writes, an AMASS or a HumanData file."
        )
    return world_poses(read_motion(path, fps=1.0 if found == "human_data" else None))  # poses have no speed


def _photos(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise DataError(f"--backgrounds {folder}: expected a folder of pictures.")
    found = tuple(sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES))
    if not found:
        raise DataError(f"--backgrounds {folder}: holds no picture ({', '.join(PICTURES)}).")
    return found
