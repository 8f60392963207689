"""The command line: exit statuses, one line on stderr, one JSON object on stdout, nothing heavy imported for help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from cyclopts import App, Parameter
from pydantic import BaseModel, Field

from poseworks.core import cli
from poseworks.core.cli import Json, Output, Overwrite, Quiet, Verbose, Whole, make_app, print_result, run, to_json
from poseworks.core.errors import ConfigError, FormatError


class Options(BaseModel, extra="forbid", frozen=True):
    rate: float = Field(1.0, gt=0)


def smooth(
    path: Path,
    *,
    output: Output,
    method: Literal["gaussian", "median"] = "gaussian",
    options: Annotated[Options, Parameter(name="*")] = Options(),  # noqa: B008 (frozen)
    json: Json = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Smooths a file."""
    print("a library that chatters")  # noqa: T201
    result = {"path": path, "error": float("nan"), "frames": np.int64(3), "rate": np.float32(0.5)}
    print_result(result, json=json, text="smoothed 3 frames", quiet=quiet)


def app_with(function: Callable[..., Any] = smooth) -> App:
    app = make_app("poseworks-test", "Tests.", "1.2.3")
    app.command(function, name="smooth")
    return app


def failing(error: BaseException) -> App:
    def fail(*, verbose: Verbose = False) -> None:
        raise error

    return app_with(fail)


def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app_with(), ["smooth", "a.npz", "-o", "b.npz", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"path": "a.npz", "error": None, "frames": 3, "rate": 0.5}
    assert out.count("\n") == 1
    assert err == "a library that chatters\n"


def test_people_get_text_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app_with(), ["smooth", "a.npz", "-o", "b.npz"]) == 0
    assert capsys.readouterr().out.endswith("smoothed 3 frames\n")
    assert run(app_with(), ["smooth", "a.npz", "-o", "b.npz", "-q"]) == 0
    assert "smoothed" not in capsys.readouterr().out
    print_result({"frames": 12345, "error": None, "ok": True}, json=False)
    assert capsys.readouterr().out == "frames: 12,345\nerror: -\nok: yes\n"


def test_help_lists_every_option_with_its_choices_and_defaults(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert run(app_with(), ["smooth", "--help"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "Usage: poseworks-test smooth PATH --output PATH [OPTIONS]"
    assert lines[2] == "Smooths a file."
    assert "--method gaussian|median Default: gaussian." in lines
    assert "--rate X Default: 1.0." in lines
    assert "--output, -o PATH Where the result is written. Required." in lines
    assert "--json One JSON object on stdout, and nothing else." in lines
    assert run(app_with(), ["-h"]) == 0
    assert "  smooth" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["smoth"], 'Did you mean "smooth"?'),
        (["smoth", "--help"], 'Did you mean "smooth"?'),
        (["smooth", "a"], "--output requires an argument"),
        (["smooth", "a", "-o", "b", "--overwrit"], "Did you mean --overwrite?"),
        (["smooth", "a", "-o", "b", "--method", "mean"], "gaussian"),
        (["smooth", "a", "b", "c", "-o", "d"], "too many arguments: b c. See poseworks-test smooth --help."),
        (["smooth", "a", "-o", "b", "--rate", "-1"], "rate: input should be greater than 0, got '-1'."),
        (["smooth", "a", "-o", "b", "--rate"], "--rate requires an argument"),
    ],
)
def test_a_bad_command_line_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert run(app_with(), arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert says in err.replace('"--', "--").replace('" requires', " requires").replace('--overwrite"', "--overwrite")
    assert "http" not in err


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (FormatError("a.npz: two\nfaults\x1b[31m"), 2, "error: a.npz: two faults?[31m"),
        (FileNotFoundError(2, "No such file or directory", "a.npz"), 2, "error: a.npz: No such file or directory"),
        (ZeroDivisionError("division by zero"), 1, "internal error: ZeroDivisionError: division by zero. "),
        (MemoryError(), 1, "internal error: out of memory"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_errors_are_one_line_with_the_status_of_the_contract(
    capfd: pytest.CaptureFixture[str], error: BaseException, status: int, line: str
) -> None:
    assert run(failing(error), ["smooth"]) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == bool(line)
    if status == 1 and not isinstance(error, MemoryError):
        assert "-v" in err


def test_the_traceback_comes_with_v(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(failing(ZeroDivisionError("x")), ["smooth", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_verb_may_give_its_own_status() -> None:
    assert run(app_with(lambda: 2), ["smooth"]) == 2
    assert run(app_with(lambda: True), ["smooth"]) == 0


@dataclass
class Point:
    x: float
    where: Path


def test_whatever_a_result_holds_becomes_json() -> None:
    value = {
        "array": np.array([[1.0, np.inf], [np.nan, 2.0]], np.float32),
        "scalars": (np.float64(0.5), np.bool_(True), np.int32(4)),
        "set": {"b", "a"},
        "point": Point(float("-inf"), Path("a/b")),
        "model": Options(rate=2),
        3: None,
    }
    assert to_json(value) == {
        "array": [[1.0, None], [None, 2.0]],
        "scalars": [0.5, True, 4],
        "set": ["a", "b"],
        "point": {"x": None, "where": "a/b"},
        "model": {"rate": 2.0},
        "3": None,
    }


def test_tables_align_numbers_and_keep_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    table = cli.make_table("", ["name", "error"], [("a [b]", 1.23456), ("c", None), ("d", 10000.4)])
    print_result({}, json=False, text=["first", table])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "first"
    rows = [line.split() for line in lines if line.strip()]
    assert ["a", "[b]", "1.235"] in rows
    assert ["c", "-"] in rows
    assert ["d", "10,000"] in rows


def test_devices_are_checked() -> None:
    assert cli.choose_device("cpu").type == "cpu"
    assert cli.choose_device("auto").type in {"cpu", "cuda"}
    for name in ("warp", "cuda:99", "meta"):
        with pytest.raises(ConfigError, match=f"--device {name}: not on this machine"):
            cli.choose_device(name)


def test_progress_is_silent_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with cli.progress(3, "frames", delay_s=0) as advance:
        for _ in range(3):
            advance(1, note="loss 1")
    assert capfd.readouterr() == ("", "")


def test_progress_shows_rate_and_time_left_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with cli.progress(4, "frames [1]", delay_s=0) as advance:
        for _ in range(4):
            advance(1, note="loss 0.5")
            time.sleep(0.01)
    out, err = capsys.readouterr()
    assert out == ""
    for part in ("frames [1]", "4/4", "/s", "loss 0.5"):
        assert part in err
    with cli.progress(4, "frames", quiet=True, delay_s=0) as advance:
        advance(4)
    assert capsys.readouterr().err == ""


SCRIPT = """
import sys
from pathlib import Path
from poseworks.core.cli import make_app, main
app = make_app("poseworks-test", "Tests.", "1.2.3")
app.command("verbs:work", name="work", help="Works.")
app.command("no_such_module:gone", name="gone", help="Is not imported.")
try:
    main(app)
finally:
    heavy = {"torch", "scipy", "pydantic", "numpy", "rich.console"} & set(sys.modules)
    if heavy:
        print("imported", heavy, file=sys.stderr)
"""

VERBS = """
import time
from pathlib import Path
from poseworks.core.cli import Output
from poseworks.core.files import atomic_path
def work(*, output: Output, how: str = "print"):
    '''Works hard.'''
    if how == "print":
        print("x" * 1_000_000)
        return
    with atomic_path(output) as path:
        path.write_text("half")
        Path("ready").touch()
        time.sleep(60)
"""


def start(folder: Path, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    (folder / "script.py").write_text(SCRIPT)
    (folder / "verbs.py").write_text(VERBS)
    return subprocess.Popen(
        [sys.executable, "script.py", *arguments],
        cwd=folder,
        stdout=options.get("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--help"], "work  Works."),
        (["work", "--help"], "Usage: poseworks-test work"),
        ([], "work  Works."),
    ],
)
def test_help_imports_nothing_heavy(tmp_path: Path, arguments: list[str], says: str) -> None:
    process = start(tmp_path, *arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert says in out
    assert err == ""


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app_with(), ["--version"]) == 0
    assert capsys.readouterr().out == "1.2.3\n"


def test_a_reader_that_closes_early_is_no_error(tmp_path: Path) -> None:
    process = start(tmp_path, "work", "-o", "x")
    assert process.stdout is not None
    assert process.stdout.read(5) == "xxxxx"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_stdout_is_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = start(tmp_path, "work", "-o", "x", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == "error: output: No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_command_leaves_no_file(tmp_path: Path, number: signal.Signals, status: int) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # what is ignored here, as in the background, is ignored there
    try:
        process = start(tmp_path, "work", "-o", "result.txt", "--how", "write")
    finally:
        signal.signal(number, before)
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == status
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ready", "script.py", "verbs.py"]


@pytest.mark.parametrize(("text", "number"), [("5", 5), ("-3", -3), ("1e3", 1000), ("30.0", 30)])
def test_whole_numbers_are_taken(text: str, number: int, capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app("tool", "A tool.", "1")

    @app.command(help="Counts.")
    def count(*, times: Annotated[int | None, Whole, Parameter(help="How often.")] = None) -> None:
        print(repr(times))  # noqa: T201 (what a command does)

    assert run(app, ["count", "--times", text]) == 0
    assert capsys.readouterr().out.strip() == repr(number)


@pytest.mark.parametrize("text", ["2.5", "five", "nan", "inf", "9" * 5000, ""])
def test_numbers_that_are_not_whole_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app("tool", "A tool.", "1")

    @app.command(help="Counts.")
    def count(*, times: Annotated[int, Whole] = 1) -> None:
        raise AssertionError(times)

    assert run(app, ["count", "--times", text]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert "--times" in error
