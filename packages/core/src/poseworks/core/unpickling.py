"""A reader of pickles that runs nothing: plain Python values and NumPy arrays, for old data sets.

A pickle is a program for a stack machine (Python's `pickletools` describes its instructions). This is that machine
without its dangerous half: no function is looked up or called. A global may be one of a short list of names, each of
which stands for a rule written in unpickling_rules.py; any other is refused by name. So is everything that would make
an instance of a class or ask for outside data.

Values: dict, OrderedDict (as dict), list, tuple, set, frozenset, str, bytes, bytearray, int, float, complex, bool,
None, and NumPy arrays, scalars and dtypes (of numbers, text, bytes, times, objects; not structured). Pickles of Python
2, where text and bytes are one type, are read as latin-1. Protocols 0 to 5.

Memory is bounded: a length is compared with the bytes that are left before anything is made, the number of
instructions is limited, and so is the file.
"""

from __future__ import annotations

import os
import struct
from codecs import escape_decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from poseworks.core.errors import DataError, FormatError, PoseworksError
from poseworks.core.unpickling_rules import (
    CALLS,
    MARK,
    Global,
    Pending,
    array_from_state,
    checked_key,
    dtype_with_state,
    finished,
    tuple_of,
)

MAX_BYTES = 1 << 31
MAX_STEPS = 50_000_000  # a data set of 6 million frames has about 20 million
MAX_DIGITS = 1024


def restricted_load(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Any:
    """The value in a pickle file, made without running any code.

    Raises:
        FormatError: it is damaged, too large, or holds anything but plain values and arrays; the message names it.
        DataError: the file cannot be read.
    """
    source = Path(path)
    try:
        if source.is_dir():
            raise DataError(f"{source}: is a folder, expected a pickle file.")
        if source.stat().st_size > max_bytes:
            raise FormatError(f"{source}: has more than {max_bytes} bytes; allow more with max_bytes.")
        data = source.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{source}: does not exist. Check the name.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, PoseworksError):
            raise
        raise DataError(f"{source}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    try:
        return restricted_loads(data)
    except FormatError as error:
        raise FormatError(f"{source}: {error}") from error


def restricted_loads(data: bytes | memoryview) -> Any:
    """The value that pickled bytes hold, made without running any code.

    Raises:
        FormatError: they are damaged, or hold anything but plain values and arrays; the message names it.
    """
    return _Machine(memoryview(data)).run()


class _Machine:
    """The stack machine over one pickle."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Executes until STOP; the value on top of the stack."""
        try:
            for _ in range(MAX_STEPS):
                code = self.data[self.at]
                self.at += 1
                if code == 0x2E:  # STOP
                    return self.pop()
                step = _STEPS.get(code)
                if step is None:
                    raise FormatError(
                        f"pickle: {_REFUSED.get(code, f'instruction 0x{code:02x}')} refused at byte {self.at - 1}; "
                        "expected plain values and NumPy arrays."
                    )
                step(self)
        except (IndexError, KeyError, struct.error) as error:
            raise FormatError(f"pickle: damaged or cut off at byte {self.at}.") from error
        except (ValueError, TypeError, OverflowError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"pickle: damaged at byte {self.at} ({error}).") from error
        raise FormatError(f"pickle: more than {MAX_STEPS} instructions.")

    # Reading arguments

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size < 0 or size > len(self.data) - self.at:
            raise FormatError(f"pickle: cut off; {size} bytes were announced at byte {self.at}.")
        start, self.at = self.at, self.at + size
        return bytes(self.data[start : self.at])

    def unpack(self, code: str) -> Any:
        """The next number, little-endian."""
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def line(self) -> bytes:
        """The bytes up to the next line feed."""
        size = 16
        while size < 16 * (len(self.data) - self.at + 1):
            size *= 16
            end = bytes(self.data[self.at : self.at + size]).find(b"\n")
            if end >= 0:
                start, self.at = self.at, self.at + end + 1
                return bytes(self.data[start : start + end])
        raise FormatError(f"pickle: cut off in the line at byte {self.at}.")

    # The stack

    def push(self, value: Any) -> None:
        """Puts a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Takes a finished value from the stack."""
        return finished(self.stack.pop())

    def since_mark(self) -> list[Any]:
        """Takes everything above the last MARK, and the MARK."""
        return list(map(finished, self.raw_since_mark()))

    def raw_since_mark(self) -> list[Any]:
        """The same, with the wrappers on."""
        items: list[Any] = []
        while (value := self.stack.pop()) is not MARK:
            items.append(value)
        items.reverse()
        return items

    def top(self, kind: type) -> Any:
        """The value on top of the stack, which must be of this type; it stays there."""
        value = self.stack[-1]
        if type(value) is not kind:
            raise FormatError(f"pickle: expected a {kind.__name__} at byte {self.at}, got {type(value).__name__}.")
        return value

    def put(self, place: int) -> None:
        """Remembers the value on top of the stack."""
        if self.stack[-1] is MARK:
            raise FormatError(f"pickle: damaged at byte {self.at}.")
        self.memo[place] = self.stack[-1]

    def set_items(self, items: list[Any]) -> None:
        """Adds key, value, key, value, ... to the dict on top of the stack."""
        target = self.top(dict)
        if len(items) % 2:
            raise FormatError(f"pickle: a key without a value at byte {self.at}.")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value

    def find(self, module: str, name: str) -> None:
        """Puts a name on the stack if it is on the list."""
        full = f"{module}.{name}".replace("numpy._core.", "numpy.core.").replace("__builtin__.", "builtins.")
        if full not in CALLS and full != "numpy.ndarray":
            raise FormatError(
                f"pickle: refers to {module[:80]}.{name[:80]}, which is refused; nothing was run. "
                "Expected plain values and arrays."
            )
        self.push(Global(full))

    def find_on_stack(self) -> None:
        """STACK_GLOBAL: module and name are on the stack."""
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise FormatError(f"pickle: damaged at byte {self.at}; a name was expected.")
        self.find(module, name)

    def reduce(self) -> None:
        """REDUCE: a name from the list, applied by the rule that it stands for."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Global) or not isinstance(arguments, tuple) or function.name not in CALLS:
            what = function.name if isinstance(function, Global) else type(function).__name__
            raise FormatError(f"pickle: calls {what}, which is refused; nothing was run.")
        self.push(CALLS[function.name](*arguments))

    def build(self) -> None:
        """BUILD: completes an array or a dtype."""
        state, target = self.pop(), self.stack[-1]
        if not isinstance(target, Pending) or not isinstance(state, tuple):
            raise FormatError(f"pickle: gives a state to a {type(target).__name__}, which is refused.")
        if target.kind == "dtype":
            target.value = dtype_with_state(target.value, state)
        else:
            target.value = array_from_state(state)


def _integer_line(m: _Machine) -> int | bool:
    """INT, LONG: a line of digits; 00 and 01 are False and True."""
    text = m.line().rstrip(b"L")
    if text in (b"00", b"01"):
        return text == b"01"
    if len(text) > MAX_DIGITS:
        raise FormatError("pickle: an integer has too many digits.")
    return int(text)


def _integer_bytes(m: _Machine, size: int) -> int:
    """LONG1, LONG4: a little-endian integer of `size` bytes."""
    if size > MAX_DIGITS:
        raise FormatError("pickle: an integer has too many digits.")
    return int.from_bytes(m.take(size), "little", signed=True)


def _string_line(m: _Machine) -> str:
    """STRING: a quoted text of Python 2."""
    text = m.line()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
        raise FormatError(f"pickle: damaged at byte {m.at}; a quoted text was expected.")
    return escape_decode(text[1:-1])[0].decode("latin-1")


def _utf8(data: bytes) -> str:
    """Text; Python pickles lone surrogates too."""
    return data.decode("utf-8", "surrogatepass")


def _reinsert_list(m: _Machine, items: list[Any]) -> None:
    m.top(list).extend(items)


def _reinsert_set(m: _Machine, items: list[Any]) -> None:
    m.top(set).update(map(checked_key, items))


def _tuple_of(m: _Machine, count: int) -> None:
    if len(m.stack) < count:
        raise FormatError(f"pickle: damaged at byte {m.at}.")
    m.stack[-count:] = [tuple_of(m.stack[-count:])]


def _dict_of(m: _Machine) -> None:
    items = m.since_mark()
    m.push({})
    m.set_items(items)


def _pop_one(m: _Machine) -> None:
    m.stack.pop()


def _pop_to_mark(m: _Machine) -> None:
    m.since_mark()


def _frame(m: _Machine) -> None:
    if m.unpack("Q") > len(m.data) - m.at:
        raise FormatError("pickle: cut off.")


_STEPS: Mapping[int, Callable[[_Machine], None]] = {
    ord("("): lambda m: m.push(MARK),
    ord("0"): _pop_one,
    ord("1"): _pop_to_mark,
    ord("2"): lambda m: m.push(m.stack[-1]),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    # numbers
    ord("I"): lambda m: m.push(_integer_line(m)),
    ord("L"): lambda m: m.push(_integer_line(m)),
    ord("J"): lambda m: m.push(m.unpack("i")),
    ord("K"): lambda m: m.push(m.unpack("B")),
    ord("M"): lambda m: m.push(m.unpack("H")),
    0x8A: lambda m: m.push(_integer_bytes(m, m.unpack("B"))),
    0x8B: lambda m: m.push(_integer_bytes(m, m.unpack("i"))),
    ord("F"): lambda m: m.push(float(m.line())),
    ord("G"): lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    # text and bytes
    ord("S"): lambda m: m.push(_string_line(m)),
    ord("T"): lambda m: m.push(m.take(m.unpack("i")).decode("latin-1")),
    ord("U"): lambda m: m.push(m.take(m.unpack("B")).decode("latin-1")),
    ord("V"): lambda m: m.push(m.line().decode("raw-unicode-escape")),
    ord("X"): lambda m: m.push(_utf8(m.take(m.unpack("I")))),
    0x8C: lambda m: m.push(_utf8(m.take(m.unpack("B")))),
    0x8D: lambda m: m.push(_utf8(m.take(m.unpack("Q")))),
    ord("B"): lambda m: m.push(m.take(m.unpack("I"))),
    ord("C"): lambda m: m.push(m.take(m.unpack("B"))),
    0x8E: lambda m: m.push(m.take(m.unpack("Q"))),
    0x96: lambda m: m.push(bytearray(m.take(m.unpack("Q")))),
    # containers
    ord("]"): lambda m: m.push([]),
    ord("l"): lambda m: m.push(m.since_mark()),
    ord("a"): lambda m: _reinsert_list(m, [m.pop()]),
    ord("e"): lambda m: _reinsert_list(m, m.since_mark()),
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple_of(m.raw_since_mark())),
    0x85: lambda m: _tuple_of(m, 1),
    0x86: lambda m: _tuple_of(m, 2),
    0x87: lambda m: _tuple_of(m, 3),
    ord("}"): lambda m: m.push({}),
    ord("d"): _dict_of,
    ord("s"): lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    ord("u"): lambda m: m.set_items(m.since_mark()),
    0x8F: lambda m: m.push(set()),
    0x90: lambda m: _reinsert_set(m, m.since_mark()),
    0x91: lambda m: m.push(frozenset(map(checked_key, m.since_mark()))),
    # memo
    ord("p"): lambda m: m.put(int(m.line())),
    ord("q"): lambda m: m.put(m.unpack("B")),
    ord("r"): lambda m: m.put(m.unpack("I")),
    0x94: lambda m: m.put(len(m.memo)),
    ord("g"): lambda m: m.push(m.memo[int(m.line())]),
    ord("h"): lambda m: m.push(m.memo[m.unpack("B")]),
    ord("j"): lambda m: m.push(m.memo[m.unpack("I")]),
    # names, calls and states, each by the rules above
    ord("c"): lambda m: m.find(m.line().decode(), m.line().decode()),
    0x93: lambda m: m.find_on_stack(),
    ord("R"): lambda m: m.reduce(),
    ord("b"): lambda m: m.build(),
    # protocol and frame: nothing to do
    0x80: lambda m: m.unpack("B"),
    0x95: _frame,
}
_REFUSED: Mapping[int, str] = {
    ord("i"): "INST (a class instance)",
    ord("o"): "OBJ (a class instance)",
    0x81: "NEWOBJ (a class instance)",
    0x92: "NEWOBJ_EX (a class instance)",
    ord("P"): "PERSID (outside data)",
    ord("Q"): "BINPERSID (outside data)",
    0x82: "EXT1 (a registered class)",
    0x83: "EXT2 (a registered class)",
    0x84: "EXT4 (a registered class)",
    0x97: "NEXT_BUFFER (outside data)",
    0x98: "READONLY_BUFFER (outside data)",
}
