"""Verbs that take files of poses and make poses of them: paths, progress, files, pages and what is printed.

One input gives one file, with a page if it is asked for; several give a folder of files, and one of pages. Nothing is
written when anything is at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from poseworks.core.cli import print_result, progress, remark
from poseworks.core.errors import ConfigError, PoseworksError
from poseworks.core.files import atomic_folder, refuse_existing
from poseworks.core.formats import write_poses
from poseworks.core.formats.detection import BY_SUFFIX
from poseworks.core.poses import PoseSequence
from poseworks.core.read_options import ReadOptions

if TYPE_CHECKING:
    from poseworks.core.report import Report


class Made(Protocol):
    """What a verb makes of poses."""

    @property
    def poses(self) -> PoseSequence:
        """The poses."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a reader has to know."""
        ...


Result = TypeVar("Result", bound=Made)
Advance = Callable[[float], None]


@dataclass(frozen=True)
class Paths:
    """What the command line says about files.

    Raises:
        ConfigError: they cannot work; said before any work.
    """

    inputs: Sequence[Path]
    output: Path
    report: Path | None = None
    video: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        inputs, output, report, video = self.inputs, self.output, self.report, self.video
        if not inputs:
            raise ConfigError("INPUT: expected at least one file of poses, got none.")
        if video is not None and report is None:
            raise ConfigError("--video: is shown in the report; name one with --report report.html.")
        if video is not None and not video.is_file():
            raise ConfigError(f"--video {video}: no such file. Name the recording that the poses were found in.")
        for path in filter(None, (output, report)):
            refuse_existing(path, self.overwrite)
            if any(path.resolve() == source.resolve() for source in inputs):
                raise ConfigError(f"{path}: is an input. Name another output.")
        if report is not None and report.resolve() == output.resolve():
            raise ConfigError(f"{report}: is the output as well. Name another report.")
        if len(inputs) == 1:
            if output.suffix.lower() not in BY_SUFFIX:
                raise ConfigError(
                    f"{output}: the suffix {output.suffix!r} names no format; expected {', '.join(BY_SUFFIX)}. "
                    "For example -o poses.npz."
                )
            for path in filter(None, (output, report)):
                if not path.parent.is_dir():
                    raise ConfigError(f"{path}: the folder {path.parent} does not exist. Create it first.")
            return
        if video is not None:
            raise ConfigError("--video: belongs to one input. Take the inputs one by one, or drop it.")
        names = [path.stem for path in inputs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"INPUT: two inputs would be written to {twice[0]}.npz. Take them one by one.")


@dataclass(frozen=True)
class Job(Generic[Result]):
    """What a verb does with one input.

    Attributes:
        verb: its name, for the progress bar.
        make: poses and `advance` (called with shares of the work) to a result.
        page: the report of one input: path, poses, result, video.
        facts: entries of the JSON object beside paths, counts, notes and history.
        text: what people read under the line of the paths.
    """

    verb: str
    make: Callable[[PoseSequence, Advance], Result]
    page: Callable[[Path, PoseSequence, Result, Path | None], Report]
    facts: Callable[[Result], dict[str, Any]]
    text: Callable[[Result], Sequence[Any]]


def run_job(job: Job[Result], paths: Paths, reading: ReadOptions, *, json: bool, quiet: bool) -> None:
    """Reads, works, writes and prints.

    Raises:
        PoseworksError: an input, an option or an output is at fault.
    """
    done: list[tuple[Path, PoseSequence, Result]] = []
    with progress(len(paths.inputs), job.verb, quiet=quiet or json) as advance:
        for path in paths.inputs:
            poses = reading.read(path)
            try:
                made = job.make(poses, advance)
            except PoseworksError as error:
                raise type(error)(f"{path}: {error}") from error
            done.append((path, poses, made))
    written = [_write_one(job, done[0], paths)] if len(done) == 1 else _write_many(job, done, paths)
    _show(job, done, written, json=json, quiet=quiet)


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    """A new file does not stay when what follows it fails."""
    is_new = not path.exists()
    try:
        yield
    except BaseException:
        if is_new:
            path.unlink(missing_ok=True)
        raise


def _write_one(job: Job[Result], result: tuple[Path, PoseSequence, Result], paths: Paths) -> tuple[Path, Path | None]:
    """The file, and the page if it is asked for."""
    path, poses, made = result
    with _removed_on_failure(paths.output):
        write_poses(made.poses, paths.output, overwrite=paths.overwrite)
        if paths.report is not None:
            from poseworks.core.report import write_report

            write_report(paths.report, job.page(path, poses, made, paths.video), overwrite=paths.overwrite)
    return paths.output, paths.report


def _write_many(
    job: Job[Result], results: Sequence[tuple[Path, PoseSequence, Result]], paths: Paths
) -> list[tuple[Path, Path | None]]:
    """A folder with a file for each input, and one with their pages."""
    from poseworks.core.report import write_report

    output, report = paths.output, paths.report
    with atomic_folder(output, paths.overwrite) as folder:
        for path, _, made in results:
            write_poses(made.poses, folder / f"{path.stem}.npz")
        if report is not None:
            with atomic_folder(report, paths.overwrite) as pages:
                for path, poses, made in results:
                    write_report(pages / f"{path.stem}.html", job.page(path, poses, made, None))
    return [
        (output / f"{path.stem}.npz", None if report is None else report / f"{path.stem}.html")
        for path, _, _ in results
    ]


def _show(
    job: Job[Result],
    done: Sequence[tuple[Path, PoseSequence, Result]],
    written: Sequence[tuple[Path, Path | None]],
    *,
    json: bool,
    quiet: bool,
) -> None:
    """What was made of each input: paths, notes and what the verb adds."""
    results = [
        {
            "input": path,
            "output": output,
            "report": report,
            "people": made.poses.num_people,
            "frames": made.poses.num_frames,
            "joints": made.poses.num_joints,
            "notes": made.notes,
            **job.facts(made),
            "history": made.poses.history[-1],
        }
        for (path, _, made), (output, report) in zip(done, written, strict=True)
    ]
    text: list[Any] = []
    for (path, _, made), (output, report) in zip(done, written, strict=True):
        text.append(f"{path} -> {output}{'' if report is None else f', {report}'}")
        text.extend(job.text(made))
    if not json:
        for _, _, made in done:
            for note in made.notes:
                remark(f"note: {note}", quiet=quiet)
    data = results[0] if len(results) == 1 else {"files": results}
    print_result(data, json=json, text=text, quiet=quiet)
