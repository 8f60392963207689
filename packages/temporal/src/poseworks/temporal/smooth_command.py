"""The verb `smooth`: from files to files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseworks.core import PoseSequence, write_poses
from poseworks.core.cli import choose_device, make_table, print_result, progress, remark
from poseworks.core.errors import ConfigError, PoseworksError
from poseworks.core.files import atomic_folder, refuse_existing
from poseworks.core.formats.detection import BY_SUFFIX
from poseworks.core.read_options import ReadOptions
from poseworks.temporal.filters import Filter
from poseworks.temporal.harm import HarmReport
from poseworks.temporal.smoothing import Smoothed, SmoothSettings, smooth

if TYPE_CHECKING:
    from rich.table import Table

    from poseworks.core.report import Report
    from poseworks.core.windows import WindowNetwork

DEFAULT_MODEL = "smoothnet-general-w32"
STREAMING_MODELS = (
    (8, DEFAULT_MODEL),
    (4, "smoothnet-stream-k4"),
    (1, "smoothnet-stream-k1"),
    (0, "smoothnet-stream-k0"),
)
"""Which weights a latency of at least so many frames gets."""


_SIDE_BY_SIDE = 4


@dataclass(frozen=True)
class ModelChoice:
    """What the command line says about the smoother: a model or a filter, options of `load`, the device."""

    model: str | None
    filter: str | None
    options: Mapping[str, Any]
    device: str = "cpu"

    def name(self, latency_frames: int | None) -> str:
        """The model's name or path."""
        if self.model is not None:
            return self.model
        if latency_frames is None:
            return DEFAULT_MODEL
        return next(name for least, name in STREAMING_MODELS if latency_frames >= least)

    def network(self, latency_frames: int | None) -> WindowNetwork | None:
        """The network on its device, or None where a filter was asked for.

        Raises:
            ConfigError: both a filter and something about a model; CheckpointError: the model cannot be read.
        """
        if self.filter is not None:
            given = ["--model"] * (self.model is not None) + [f"--{name.replace('_', '-')}" for name in self.options]
            if given:
                raise ConfigError(f"--filter: takes the place of a model; drop {', '.join(given)}, or drop --filter.")
            return None
        from poseworks.temporal.loading import load

        network = load(self.name(latency_frames), **self.options)
        return network.to(choose_device(self.device))


def run_smooth(
    inputs: Sequence[Path],
    output: Path,
    choice: ModelChoice,
    settings: SmoothSettings,
    reading: ReadOptions,
    *,
    report: Path | None,
    video: Path | None,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Reads, smooths, writes and prints; nothing is written when anything is at fault.

    Raises:
        PoseworksError: an input, an option or an output is at fault.
    """
    _check_paths(inputs, output, report, video, overwrite)
    network = choice.network(settings.latency_frames)
    done: list[tuple[Path, PoseSequence, Smoothed]] = []
    with progress(len(inputs), "smooth", quiet=quiet or json) as advance:
        for path in inputs:
            poses = reading.read(path)
            try:
                smoothed = _smooth(poses, network, choice, settings, advance)
            except PoseworksError as error:
                raise type(error)(f"{path}: {error}") from error
            done.append((path, poses, smoothed))
    if len(inputs) == 1:
        written = [_write_one(done[0], output, report, video, overwrite)]
    else:
        written = _write_many(done, output, report, overwrite)
    _show(done, written, json=json, quiet=quiet)


def _smooth(
    poses: PoseSequence, network: WindowNetwork | None, choice: ModelChoice, settings: SmoothSettings, advance: Any
) -> Smoothed:
    """One sequence."""
    if network is None:
        from poseworks.temporal.filter_options import parse_filter

        smoother: Filter = parse_filter(choice.filter or "", poses.fps)
        return smooth(poses, smoother, settings, advance=advance)
    name = choice.name(settings.latency_frames)
    digest = getattr(network, "sha256", None)
    return smooth(poses, network, settings, model=name, model_sha256=digest, advance=advance)


def _check_paths(
    inputs: Sequence[Path], output: Path, report: Path | None, video: Path | None, overwrite: bool
) -> None:
    """ConfigError for paths that cannot work, before any work."""
    if not inputs:
        raise ConfigError("INPUT: expected at least one file of poses, got none.")
    if video is not None and report is None:
        raise ConfigError("--video: is shown in the report; name one with --report report.html.")
    if video is not None and not video.is_file():
        raise ConfigError(f"--video {video}: no such file. Name the recording that the poses were found in.")
    for path in filter(None, (output, report)):
        refuse_existing(path, overwrite)
        if any(path.resolve() == source.resolve() for source in inputs):
            raise ConfigError(f"{path}: is an input. Name another output.")
    if report is not None and report.resolve() == output.resolve():
        raise ConfigError(f"{report}: is the output as well. Name another report.")
    if len(inputs) == 1:
        if output.suffix.lower() not in BY_SUFFIX:
            raise ConfigError(
                f"{output}: the suffix {output.suffix!r} names no format; expected {', '.join(BY_SUFFIX)}. "
                "For example -o smooth.npz."
            )
        for path in filter(None, (output, report)):
            if not path.parent.is_dir():
                raise ConfigError(f"{path}: the folder {path.parent} does not exist. Create it first.")
        return
    if video is not None:
        raise ConfigError("--video: belongs to one input. Smooth the inputs one by one, or drop it.")
    names = [path.stem for path in inputs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"INPUT: two inputs would be written to {twice[0]}.npz. Smooth them one by one.")


def _write_one(
    result: tuple[Path, PoseSequence, Smoothed], output: Path, report: Path | None, video: Path | None, overwrite: bool
) -> tuple[Path, Path | None]:
    """The file, and the page if it is asked for; a new file does not stay when the page cannot be written."""
    path, poses, smoothed = result
    is_new = not output.exists()
    write_poses(smoothed.poses, output, overwrite=overwrite)
    if report is not None:
        from poseworks.core.report import write_report

        try:
            write_report(report, _page(path, poses, smoothed, video), overwrite=overwrite)
        except BaseException:
            if is_new:
                output.unlink(missing_ok=True)
            raise
    return output, report


def _write_many(
    results: Sequence[tuple[Path, PoseSequence, Smoothed]], output: Path, report: Path | None, overwrite: bool
) -> list[tuple[Path, Path | None]]:
    """A folder with a file for each input, and one with their pages."""
    from poseworks.core.report import write_report

    with atomic_folder(output, overwrite) as folder:
        for path, _, smoothed in results:
            write_poses(smoothed.poses, folder / f"{path.stem}.npz")
        if report is not None:
            with atomic_folder(report, overwrite) as pages:
                for path, poses, smoothed in results:
                    write_report(pages / f"{path.stem}.html", _page(path, poses, smoothed, None))
    return [
        (output / f"{path.stem}.npz", None if report is None else report / f"{path.stem}.html")
        for path, _, _ in results
    ]


def _page(path: Path, poses: PoseSequence, smoothed: Smoothed, video: Path | None) -> Report:
    """The report of one input."""
    from poseworks.temporal.report import smoothing_report

    title = f"{(video or path).name}, smoothed"
    return smoothing_report(poses, smoothed.poses, smoothed.harm, title=title, notes=smoothed.notes, video=video)


def _show(
    done: Sequence[tuple[Path, PoseSequence, Smoothed]],
    written: Sequence[tuple[Path, Path | None]],
    *,
    json: bool,
    quiet: bool,
) -> None:
    """What was made of each input: paths, notes and the harm report."""
    results = [
        {
            "input": path,
            "output": output,
            "report": report,
            "people": poses.num_people,
            "frames": poses.num_frames,
            "joints": poses.num_joints,
            "notes": smoothed.notes,
            "harm": smoothed.harm,
            "history": smoothed.poses.history[-1],
        }
        for (path, poses, smoothed), (output, report) in zip(done, written, strict=True)
    ]
    text: list[Any] = []
    for (path, _, smoothed), (output, report) in zip(done, written, strict=True):
        text.append(f"{path} -> {output}{'' if report is None else f', {report}'}")
        text.append(_table(smoothed.harm))
    if not json:
        for _, _, smoothed in done:
            for note in smoothed.notes:
                remark(f"note: {note}", quiet=quiet)
    data = results[0] if len(results) == 1 else {"files": results}
    print_result(data, json=json, text=text, quiet=quiet)


def _table(harm: HarmReport) -> Table:
    """A row a person; few people stand side by side, so that it fits a terminal."""
    columns, rows = harm.columns(), harm.rows()
    if len(rows) > _SIDE_BY_SIDE:
        return make_table("", columns, rows)
    names = [f"person {row[0]}" for row in rows]
    shown = [
        ["-" if cell is None else cell if isinstance(cell, str) else f"{cell:.4g}" for cell in row] for row in rows
    ]
    return make_table("", ("measure", *names), list(zip(columns[1:], *(row[1:] for row in shown), strict=True)))
