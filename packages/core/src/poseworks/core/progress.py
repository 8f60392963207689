"""A progress bar with rate and time left: on stderr, only to a terminal, only for what takes more than 2 seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Advance = Callable[..., None]
"""`advance(n=1, note="")`: n more are done; the note stands at the end of the line."""


@contextmanager
def progress(total: float | None, label: str, *, quiet: bool = False, delay_s: float = 2.0) -> Iterator[Advance]:
    """A function `advance(n=1, note="")` that moves a bar of `total` steps on stderr.

    Nothing is shown when `quiet`, when stderr is no terminal, or before `delay_s` seconds have passed.
    """
    if quiet or not sys.stderr.isatty():
        yield _ignore
        return
    bar = _Bar(total, label, delay_s)
    try:
        yield bar.advance
    finally:
        bar.stop()


def _ignore(n: float = 1, note: str = "") -> None:
    """What `advance` does where no bar is shown."""


class _Bar:
    """A rich bar that starts late: rich itself is imported only when it is shown."""

    def __init__(self, total: float | None, label: str, delay_s: float) -> None:
        self.total, self.label = total, label
        self.shows_at = time.monotonic() + delay_s
        self.done = 0.0
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def advance(self, n: float = 1, note: str = "") -> None:
        self.done += n
        if self.bar is None:
            if time.monotonic() < self.shows_at:
                return
            self._start()
        assert self.bar is not None
        assert self.task is not None
        rate = self.bar.tasks[0].speed
        self.bar.update(self.task, completed=self.done, note=note, rate=f"{rate:.4g}/s" if rate else "")

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        plain = {"markup": False}  # a file name may hold square brackets
        self.bar = Progress(
            TextColumn("{task.description}", **plain),  # type: ignore[arg-type]
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", **plain),  # type: ignore[arg-type]
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", **plain),  # type: ignore[arg-type]
            console=Console(stderr=True),
            transient=True,
        )
        self.task = self.bar.add_task(self.label, total=self.total, note="", rate="")
        self.bar.start()

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
