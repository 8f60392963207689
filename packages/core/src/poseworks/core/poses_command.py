"""Verbs that take files of poses: paths, progress, files, pages and what is printed.

One input gives one file, with a page and a figure if they are asked for; several give a folder of each. Nothing is
written when anything is at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from poseworks.core.cli import print_result, progress, remark
from poseworks.core.errors import ConfigError, PoseworksError
from poseworks.core.files import atomic_folder, atomic_path, refuse_existing
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

    Attributes:
        output: None: the result is printed alone.
        suffixes: of the formats that the verb can write; the first one is written where several inputs make a folder.
        plot: an SVG figure.

    Raises:
        ConfigError: they cannot work; said before any work.
    """

    inputs: Sequence[Path]
    output: Path | None
    report: Path | None = None
    video: Path | None = None
    overwrite: bool = False
    suffixes: Sequence[str] = tuple(BY_SUFFIX)
    plot: Path | None = None

    def __post_init__(self) -> None:
        inputs, output, report, video = self.inputs, self.output, self.report, self.video
        if not inputs:
            raise ConfigError("INPUT: expected at least one file of poses, got none.")
        if video is not None and report is None:
            raise ConfigError("--video: is shown in the report; name one with --report report.html.")
        if video is not None and not video.is_file():
            raise ConfigError(f"--video {video}: no such file. Name the recording that the poses were found in.")
        named: list[Path] = []
        for path in self.written:
            refuse_existing(path, self.overwrite)
            if any(path.resolve() == source.resolve() for source in inputs):
                raise ConfigError(f"{path}: is an input. Name another output.")
            if path.resolve() in named:
                raise ConfigError(f"{path}: is another output as well. Name one of the two otherwise.")
            named.append(path.resolve())
        if len(inputs) == 1:
            if output is not None and output.suffix.lower() not in self.suffixes:
                raise ConfigError(
                    f"{output}: the suffix {output.suffix!r} names no format; expected {', '.join(self.suffixes)}. "
                    f"For example -o result{self.suffixes[0]}."
                )
            for path in self.written:
                if not path.parent.is_dir():
                    raise ConfigError(f"{path}: the folder {path.parent} does not exist. Create it first.")
            return
        if video is not None:
            raise ConfigError("--video: belongs to one input. Take the inputs one by one, or drop it.")
        names = [path.stem for path in inputs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"INPUT: two inputs are called {twice[0]}, as their results would. Take them one by one.")

    @property
    def written(self) -> tuple[Path, ...]:
        """What will be written."""
        return tuple(path for path in (self.output, self.report, self.plot) if path is not None)


def _write_poses(made: Made, path: Path, overwrite: bool) -> None:
    write_poses(made.poses, path, overwrite=overwrite)


@dataclass(frozen=True)
class Job(Generic[Result]):
    """What a verb does with one input.

    Attributes:
        verb: its name, for the progress bar.
        make: poses and `advance` (called with shares of the work) to a result.
        page: the report of one input: path, poses, result, video.
        facts: entries of the JSON object beside paths, counts, notes and history.
        text: what people read under the line of the paths.
        write: the result to a file; what is there may be replaced or not. Default: its poses.
        plot: path of the input and result to the text of an SVG figure, where the verb has one.
    """

    verb: str
    make: Callable[[PoseSequence, Advance], Result]
    page: Callable[[Path, PoseSequence, Result, Path | None], Report]
    facts: Callable[[Result], dict[str, Any]]
    text: Callable[[Result], Sequence[Any]]
    write: Callable[[Result, Path, bool], None] = _write_poses
    plot: Callable[[Path, Result], str] | None = None


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
    products = _products(job, paths)
    if len(done) == 1:
        _write_one(products, done[0], paths.overwrite)
    else:
        _write_many(products, done, paths.overwrite)
    _show(job, done, products, json=json, quiet=quiet)


@dataclass(frozen=True)
class _Product(Generic[Result]):
    """One of the things that are written.

    Attributes:
        name: in the JSON object.
        path: of the file, or of the folder of several.
        suffix: of the files in a folder.
        write: path of the input, its poses, the result, the path to write to, whether to overwrite.
    """

    name: str
    path: Path
    suffix: str
    write: Callable[[Path, PoseSequence, Result, Path, bool], None]

    def place(self, source: Path, several: bool) -> Path:
        """Where the result for one input stands."""
        return self.path / f"{source.stem}{self.suffix}" if several else self.path


def _products(job: Job[Result], paths: Paths) -> list[_Product[Result]]:
    """What is to be written, in this order."""

    def output(source: Path, poses: PoseSequence, made: Result, path: Path, overwrite: bool) -> None:
        job.write(made, path, overwrite)

    def page(source: Path, poses: PoseSequence, made: Result, path: Path, overwrite: bool) -> None:
        from poseworks.core.report import write_report

        write_report(path, job.page(source, poses, made, paths.video), overwrite=overwrite)

    def plot(source: Path, poses: PoseSequence, made: Result, path: Path, overwrite: bool) -> None:
        assert job.plot is not None  # a verb without a figure has no option for one
        refuse_existing(path, overwrite)
        with atomic_path(path) as temporary:
            temporary.write_text(job.plot(source, made), encoding="utf-8")

    wanted = (
        ("output", paths.output, paths.suffixes[0], output),
        ("report", paths.report, ".html", page),
        ("plot", paths.plot, ".svg", plot),
    )
    return [_Product(name, path, suffix, write) for name, path, suffix, write in wanted if path is not None]


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


def _write_one(
    products: Sequence[_Product[Result]], result: tuple[Path, PoseSequence, Result], overwrite: bool
) -> None:
    """A file each; none stays if a later one fails."""
    with ExitStack() as stack:
        for product in products:
            stack.enter_context(_removed_on_failure(product.path))
            product.write(*result, product.path, overwrite)


def _write_many(
    products: Sequence[_Product[Result]], results: Sequence[tuple[Path, PoseSequence, Result]], overwrite: bool
) -> None:
    """A folder each, with a file for each input."""
    with ExitStack() as stack:
        for product in products:
            folder = stack.enter_context(atomic_folder(product.path, overwrite))
            for source, poses, made in results:
                product.write(source, poses, made, folder / f"{source.stem}{product.suffix}", False)


def _show(
    job: Job[Result],
    done: Sequence[tuple[Path, PoseSequence, Result]],
    products: Sequence[_Product[Result]],
    *,
    json: bool,
    quiet: bool,
) -> None:
    """What was made of each input: paths, notes and what the verb adds."""
    written = [{product.name: product.place(path, len(done) > 1) for product in products} for path, _, _ in done]
    absent = {"output": None, "report": None, **({} if job.plot is None else {"plot": None})}
    results = [
        {
            "input": path,
            **absent,
            **places,
            "people": made.poses.num_people,
            "frames": made.poses.num_frames,
            "joints": made.poses.num_joints,
            "notes": made.notes,
            **job.facts(made),
            "history": made.poses.history[-1],
        }
        for (path, _, made), places in zip(done, written, strict=True)
    ]
    text: list[Any] = []
    for (path, _, made), places in zip(done, written, strict=True):
        text.append(f"{path} -> {', '.join(map(str, places.values()))}" if places else str(path))
        text.extend(job.text(made))
    if not json:
        for _, _, made in done:
            for note in made.notes:
                remark(f"note: {note}", quiet=quiet)
    data = results[0] if len(results) == 1 else {"files": results}
    print_result(data, json=json, text=text, quiet=quiet)
