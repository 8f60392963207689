"""A chain of steps over poses, written as a folder: the poses before and after, and a page that shows both."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from poseworks.core import PoseSequence, write_poses
from poseworks.core.errors import DataError
from poseworks.core.files import atomic_folder, refuse_existing
from poseworks.core.progress import progress
from poseworks.core.report import Report, write_report
from poseworks.pipeline.steps import ChainConfig, build
from poseworks.temporal.harm import HarmReport, harm_report
from poseworks.temporal.report import smoothing_report

REPORT = "report.html"


@dataclass(frozen=True)
class RunResult:
    """What a run made.

    Attributes:
        files: path of each file written, by what it is: ``poses``, ``smooth``, ``report``.
        before, after: the poses of the two poses files.
        harm: what the chain did to the motion.
        notes: sentences that a reader has to know.
    """

    files: dict[str, Path]
    before: PoseSequence
    after: PoseSequence
    harm: HarmReport
    notes: tuple[str, ...]


def run_chain(
    poses: PoseSequence,
    folder: str | os.PathLike[str],
    chain: ChainConfig | None = None,
    *,
    video: str | os.PathLike[str] | None = None,
    title: str = "Smoothed motion",
    overwrite: bool = False,
    device: str = "cpu",
    quiet: bool = True,
) -> RunResult:
    """The poses after every step of `chain`, in `folder`: ``poses2d.npz``, ``poses2d.smooth.npz`` (3D: ``poses3d``)
    and ``report.html``.

    Args:
        poses: what a detector or a capture gave.
        folder: made if it is not there; of an existing one only these three files are touched.
        chain: None: smoothing by the general weights.
        video: the recording that 2D poses in pixels belong to; it becomes part of the report.
        title: heading of the report.
        overwrite: replace these files where they exist.
        device: where networks run.
        quiet: no progress on stderr.

    Raises:
        ConfigError: a file exists and `overwrite` is false; settings that do not fit.
        DataError: the poses, the video or the folder cannot be used.
        CheckpointError: the weights of a step cannot be read.
    """
    target = Path(folder)
    names = _names(poses)
    for name in names.values():
        refuse_existing(target / name, overwrite)
    if target.exists() and not target.is_dir():
        raise DataError(f"{target}: is a file; expected a folder to write into.")
    if video is not None and not Path(video).is_file():
        raise DataError(f"{video}: there is no such video file.")
    result = poses
    notes: list[str] = []
    for number, step in enumerate((chain or ChainConfig()).steps, start=1):
        runner = build(step, device)
        with progress(1.0, f"{number}. {step.kind}", quiet=quiet) as advance:
            outcome = runner(result, advance)
        result = outcome.poses
        notes += outcome.notes
    harm = harm_report(poses, result)
    report = smoothing_report(
        poses, result, harm, title=title, notes=notes, video=None if video is None else Path(video)
    )
    _write(target, names, poses, result, report)
    return RunResult({what: target / name for what, name in names.items()}, poses, result, harm, tuple(notes))


def _names(poses: PoseSequence) -> dict[str, str]:
    stem = f"poses{poses.num_dims}d"
    return {"poses": f"{stem}.npz", "smooth": f"{stem}.smooth.npz", "report": REPORT}


def _write(target: Path, names: dict[str, str], before: PoseSequence, after: PoseSequence, report: Report) -> None:
    """A new folder appears as a whole; in an existing one nothing is replaced before everything is written."""
    if not target.exists():
        with atomic_folder(target) as temporary:
            write_poses(before, temporary / names["poses"])
            write_poses(after, temporary / names["smooth"])
            write_report(temporary / names["report"], report)
        return
    try:
        with tempfile.TemporaryDirectory(prefix=".run-", dir=target) as name:
            temporary = Path(name)
            write_poses(before, temporary / names["poses"])
            write_poses(after, temporary / names["smooth"])
            write_report(target / names["report"], report, overwrite=True)
            for what in ("poses", "smooth"):
                (temporary / names[what]).replace(target / names[what])
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror or type(error).__name__}).") from error
