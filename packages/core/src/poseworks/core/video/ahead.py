"""An iterable that works ahead in a thread of its own, so that decoding uses a second core."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

from poseworks.core.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class _End:
    """The source has ended: with `error`, if it raised one."""

    error: BaseException | None = None


def ahead(iterable: Iterable[T], depth: int = 4) -> Generator[T, None, None]:
    """The items of `iterable` in their order, made in another thread, at most `depth` + 1 of them in advance.

    The thread starts with the first item that is asked for. It ends, and a generator that it reads is closed, when
    the items end, when the source raises (the error comes out here), and when this iterator is closed or left.

    Raises:
        ConfigError: `depth` is below 1.
    """
    if depth < 1:
        raise ConfigError(f"depth: expected 1 or more, got {depth}.")
    return _ahead(iterable, depth)


def _ahead(iterable: Iterable[T], depth: int) -> Generator[T, None, None]:
    waiting: queue.Queue[T | _End] = queue.Queue(depth)
    left = threading.Event()

    def work() -> None:
        error: BaseException | None = None
        try:
            source = iter(iterable)
            try:
                for item in source:
                    waiting.put(item)
                    if left.is_set():
                        break
            finally:
                close = getattr(source, "close", None)
                if close is not None:
                    close()
        except BaseException as raised:  # it belongs to who reads the items
            error = raised
        waiting.put(_End(error))

    thread = threading.Thread(target=work, name="poseworks-ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        left.set()
        while thread.is_alive():  # a full queue would keep the thread waiting
            try:
                waiting.get(timeout=0.01)
            except queue.Empty:
                continue
