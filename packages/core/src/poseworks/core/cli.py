"""What the commands of all packages share: a thin layer over cyclopts with one discipline for errors and output.

Exit status: 0 done; 2 the input or the command line is at fault, one ``error:`` line on stderr; 1 a fault of ours;
130 and 143 after Ctrl-C and SIGTERM. Nothing here imports torch, so that ``--help`` answers at once; verbs are
registered as ``"package.module:function"`` and imported when they are called.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json as json_module
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import cyclopts
from cyclopts import Parameter

from poseworks.core.errors import ConfigError, PoseworksError
from poseworks.core.progress import progress as progress

if TYPE_CHECKING:
    import torch
    from rich.table import Table

Output = Annotated[Path, Parameter(name=["--output", "-o"], help="Where the result is written.")]
Model = Annotated[
    str, Parameter(name="--model", help="A shipped name, a saved folder, or an original checkpoint file.")
]
Device = Annotated[str, Parameter(name="--device", help="cpu, cuda, cuda:N, or auto (a GPU if there is one).")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="One JSON object on stdout, and nothing else.")]
Overwrite = Annotated[bool, Parameter(name="--overwrite", negative="", help="Replace an existing output.")]
Quiet = Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", help="No progress and no remarks.")]
Verbose = Annotated[bool, Parameter(name=["--verbose", "-v"], negative="", help="Show the traceback of an error.")]
Override = Annotated[
    tuple[str, ...],
    Parameter(name="--set", negative="", help="A field of the config file and its value: a.b=c. Repeatable."),
]

_LONGEST_NUMBER = 16  # characters: every float of so few digits is exact

_answers: list[TextIO] = []  # where print_result writes while --json keeps everything else off stdout


def whole_number(_: Any, tokens: Sequence[cyclopts.Token]) -> int:
    """The integer that a word of the command line is; cyclopts itself would round 2.5 in silence."""
    text = tokens[0].value
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if len(text) > _LONGEST_NUMBER or not number.is_integer():
        raise ValueError(f"expected a whole number of at most 15 digits, got {text[:40]!r}.")
    return int(number)


Whole = Parameter(converter=whole_number)
"""Stands beside `int` in the annotation of an option."""


def make_app(
    name: str,
    help: str,  # noqa: A002 (cyclopts' word)
    version: str | Callable[[], str],
    commands: str = "",
    verbs: Mapping[str, str] = MappingProxyType({}),
) -> cyclopts.App:
    """An app whose verbs are imported when they are called.

    Args:
        name: of the program.
        help: a line about it.
        version: for ``--version``.
        commands: the module that holds a function for each verb.
        verbs: name and help of each: without the help, ``--help`` of the program would have to import the module.
    """
    app = cyclopts.App(
        name=name,
        help=help,
        version=version,
        help_format="plaintext",
        result_action="return_value",
    )
    for verb, what in verbs.items():
        app.command(f"{commands}:{verb}", name=verb, help=what)
    return app


def main(app: cyclopts.App, arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and leaves the process with the exit status that the contract states."""
    for number in (signal.SIGTERM, signal.SIGHUP) if os.name == "posix" else (signal.SIGTERM,):
        signal.signal(number, _leave)  # an exception, so that temporary files are removed on the way out
    sys.exit(run(app, sys.argv[1:] if arguments is None else arguments))


def run(app: cyclopts.App, arguments: Sequence[str]) -> int:
    """Exit status of one command line; errors are printed on stderr (one line, no traceback without -v)."""
    options = list(arguments[: list(arguments).index("--")] if "--" in arguments else arguments)
    try:
        if "--help" in options or "-h" in options or (not arguments and app.default_command is None):
            from poseworks.core.cli_help import help_text

            print(help_text(app, [word for word in options if word not in ("--help", "-h")]), flush=True)  # noqa: T201
            return 0
        with _answers_alone("--json" in options):
            command, bound, *_ = app.parse_args(list(arguments), print_error=False, exit_on_error=False)
            status = command(*bound.args, **bound.kwargs)
        sys.stdout.flush()
        return status if isinstance(status, int) and not isinstance(status, bool) else 0
    except KeyboardInterrupt:
        return _fail("error: interrupted", 130)
    except BrokenPipeError:  # the reader, `head` for one, has all it wanted
        _silence_stdout()
        return 0
    except Exception as error:
        if "--verbose" in options or "-v" in options:
            import traceback

            traceback.print_exc()
        return _report(error, app)


def _report(error: Exception, app: cyclopts.App) -> int:
    """Prints the one line for an error and returns the exit status."""
    if isinstance(error, PoseworksError):
        return _fail(f"error: {error}", 2)
    if isinstance(error, cyclopts.CycloptsError):
        command = " ".join([app.name[0], *(error.command_chain or ())])
        return _fail(f"error: {_describe(error)} See {command} --help.", 2)
    if isinstance(error, OSError):
        if error.filename is None:
            _silence_stdout()
        where = "output" if error.filename is None else os.fsdecode(error.filename)
        return _fail(f"error: {where}: {error.strerror or type(error).__name__}", 2)
    if isinstance(error, MemoryError):
        return _fail("internal error: out of memory. Process a shorter clip, or fewer at a time.", 1)
    detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return _fail(f"internal error: {detail}. This is a fault of poseworks; run again with -v for the traceback.", 1)


def _describe(error: cyclopts.CycloptsError) -> str:
    """What is wrong with the command line, in one sentence."""
    if isinstance(error, cyclopts.UnusedCliTokensError):
        return f"too many arguments: {' '.join(error.unused_tokens or ())}."
    if isinstance(error.__cause__, ValueError) and hasattr(error.__cause__, "errors"):  # pydantic's: many lines, links
        from poseworks.core.config import describe_faults

        return f"{'; '.join(describe_faults(error.__cause__, None))}."  # type: ignore[arg-type]
    return str(error)


def _fail(message: str, status: int) -> int:
    line = " ".join(message.split())
    print("".join(c if c.isprintable() else "?" for c in line), file=sys.stderr)  # noqa: T201
    return status


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _silence_stdout() -> None:
    """Points stdout to nowhere: what is left in its buffer would fail once more when Python ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def _answers_alone(json: bool) -> Iterator[None]:
    """With `json`: whatever prints goes to stderr, except `print_result`."""
    if not json:
        yield
        return
    _answers.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _answers.pop()


def print_result(
    result: object, *, json: bool, text: str | Table | Sequence[str | Table] | None = None, quiet: bool = False
) -> None:
    """Prints `result` (a mapping, dataclass or pydantic model) as one JSON object, or `text` for people, on stdout.

    NaN and infinity become null: JSON has neither. Without `text`, people get one ``name: value`` line an entry.
    """
    if json:
        data = to_json(result)
        out = _answers[-1] if _answers else sys.stdout
        print(
            json_module.dumps(data if isinstance(data, dict) else {"result": data}, allow_nan=False),
            file=out,
            flush=True,  # who reads a stream gets each line at once
        )
        return
    if quiet:
        return
    if text is None:
        data = to_json(result)
        entries = data.items() if isinstance(data, dict) else [("result", data)]
        text = "\n".join(f"{name}: {value if isinstance(value, str) else _cell(value)}" for name, value in entries)
    for part in [text] if isinstance(text, str) or not isinstance(text, Sequence) else text:
        _print_part(part)


def _print_part(part: str | Table) -> None:
    if isinstance(part, str):
        print(part)  # noqa: T201
        return
    from rich.console import Console

    # Cells must not be cut where the output goes to a file or a pipe.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 220, highlight=False).print(part)


def make_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table for people: numbers to the right with four significant digits, None and NaN as ``-``."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for i, name in enumerate(columns):
        numbers = [row[i] for row in rows if row[i] is not None]
        right = bool(numbers) and not any(isinstance(value, str | bool) for value in numbers)
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    return table


def _cell(value: object) -> str:
    value = to_json(value)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return value if isinstance(value, str) else json_module.dumps(value)


def to_json(value: Any) -> Any:
    """`value` from what JSON knows: arrays and tensors as lists, paths as text, NaN and infinity as None."""
    if value is None or isinstance(value, bool | int | str):
        return value if not isinstance(value, int) or isinstance(value, bool) else int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): to_json(entry) for name, entry in value.items()}
    if isinstance(value, AbstractSet):
        return [to_json(entry) for entry in sorted(value, key=str)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return to_json(value.model_dump())
    if hasattr(value, "tolist"):
        return to_json(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [to_json(entry) for entry in value]
    return str(value)


def remark(message: str, *, quiet: bool = False) -> None:
    """Prints a line about what is being done, on stderr; nothing when `quiet`."""
    if not quiet:
        print(message, file=sys.stderr)  # noqa: T201


def choose_device(name: str) -> torch.device:
    """The device called `name` (``auto``: the first GPU if there is one, else the CPU); imports torch.

    Raises:
        ConfigError: no such device, or it is not here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device).cpu()  # the cpu() refuses "meta", which holds no numbers
    except Exception as error:  # torch raises AssertionError, RuntimeError and others here
        raise ConfigError(f"--device {name}: not on this machine. Use cpu, cuda, cuda:N or auto.") from error
    return device
