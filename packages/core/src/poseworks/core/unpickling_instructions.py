"""The instructions of a pickle: what each does to the machine of `unpickling.py`, which are refused, their lengths."""

from __future__ import annotations

import struct
from codecs import escape_decode
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from poseworks.core.errors import FormatError
from poseworks.core.unpickling_rules import MARK, checked_key, tuple_of

if TYPE_CHECKING:
    from poseworks.core.unpickling_machine import Machine

MAX_DIGITS = 1024
U32 = struct.Struct("<I")


def _integer_line(m: Machine) -> int | bool:
    """INT, LONG: a line of digits; 00 and 01 are False and True."""
    text = m.line().rstrip(b"L")
    if text in (b"00", b"01"):
        return text == b"01"
    if len(text) > MAX_DIGITS:
        raise FormatError("pickle: an integer has too many digits.")
    return int(text)


def _integer_bytes(m: Machine, size: int) -> int:
    """LONG1, LONG4: a little-endian integer of `size` bytes."""
    if size > MAX_DIGITS:
        raise FormatError("pickle: an integer has too many digits.")
    return int.from_bytes(m.take(size), "little", signed=True)


def _string_line(m: Machine) -> str:
    """STRING: a quoted text of Python 2."""
    text = m.line()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
        raise FormatError(f"pickle: damaged at byte {m.at}; a quoted text was expected.")
    return escape_decode(text[1:-1])[0].decode("latin-1")


def _reinsert_set(m: Machine, items: list[Any]) -> None:
    m.top(set).update(map(checked_key, items))


def _tuple_of(m: Machine, count: int) -> None:
    if len(m.stack) < count:
        raise FormatError(f"pickle: damaged at byte {m.at}.")
    m.stack[-count:] = (tuple_of(m.stack[-count:]),)


def _dict_of(m: Machine) -> None:
    items = m.since_mark()
    m.push({})
    m.set_items(items)


def _pop_one(m: Machine) -> None:
    m.stack.pop()


def _pop_to_mark(m: Machine) -> None:
    m.since_mark()


def _frame(m: Machine) -> None:
    if m.unpack("Q") > len(m.data) - m.at:
        raise FormatError("pickle: cut off.")


STEPS: Mapping[int, Callable[[Machine], None]] = {
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
    ord("X"): lambda m: m.push(m.text(m.unpack("I"))),
    0x8C: lambda m: m.push(m.text(m.unpack("B"))),
    0x8D: lambda m: m.push(m.text(m.unpack("Q"))),
    ord("B"): lambda m: m.push(m.take_raw(m.unpack("I"))),
    ord("C"): lambda m: m.push(m.take(m.unpack("B"))),
    0x8E: lambda m: m.push(m.take_raw(m.unpack("Q"))),
    0x96: lambda m: m.push(m.take_raw(m.unpack("Q"), bytearray)),
    # containers
    ord("]"): lambda m: m.push([]),
    ord("l"): lambda m: m.push(m.since_mark()),
    ord("a"): lambda m: m.extend([m.pop()]),
    ord("e"): lambda m: m.extend(m.since_mark()),
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
    ord("g"): lambda m: m.push(m.memo[int(m.line())]),
    ord("j"): lambda m: m.push(m.memo[m.unpack("I")]),
    # names, calls and states, each by its rule
    ord("c"): lambda m: m.find(m.line().decode(), m.line().decode()),
    0x93: lambda m: m.find_on_stack(),
    ord("R"): lambda m: m.reduce(),
    0x81: lambda m: m.instance(),
    ord("b"): lambda m: m.build(),
    # protocol and frame: nothing to do
    0x80: lambda m: m.unpack("B"),
    0x95: _frame,
}
REFUSED: Mapping[int, str] = {
    ord("i"): "INST (a class instance)",
    ord("o"): "OBJ (a class instance)",
    0x92: "NEWOBJ_EX (a class instance)",
    ord("P"): "PERSID (outside data)",
    ord("Q"): "BINPERSID (outside data)",
    0x82: "EXT1 (a registered class)",
    0x83: "EXT2 (a registered class)",
    0x84: "EXT4 (a registered class)",
    0x97: "NEXT_BUFFER (outside data)",
    0x98: "READONLY_BUFFER (outside data)",
}


def places_used(data: memoryview) -> frozenset[int]:
    """The places of the memo that are read. What is damaged ends the search: the machine will say it."""
    used: set[int] = set()
    at, size = 0, len(data)
    with suppress(IndexError, struct.error, ValueError):
        while True:
            code = data[at]
            at += 1
            fixed = _FIXED.get(code)
            if fixed is not None:
                if code == 0x68:  # BINGET
                    used.add(data[at])
                elif code == 0x6A:  # LONG_BINGET
                    used.add(U32.unpack_from(data, at)[0])
                at += fixed
            elif code in _COUNTED:
                count = _COUNTED[code]
                at += count.size + count.unpack_from(data, at)[0]
            elif code in _LINES:
                for _ in range(_LINES[code]):
                    start, end = at, -1
                    while end < 0 and at < size:
                        end = bytes(data[at : at + 256]).find(b"\n")
                        at += 256 if end < 0 else end + 1
                if code == 0x67:  # GET
                    used.add(int(bytes(data[start:at])))
            else:
                break
    return frozenset(used)


# How long the arguments of each instruction are: so many bytes, a count and so many bytes, so many lines.
_FIXED: Mapping[int, int] = {
    **dict.fromkeys(b"(012N]lae)t}dsuRb", 0),
    **dict.fromkeys((0x81, 0x88, 0x89, 0x85, 0x86, 0x87, 0x8F, 0x90, 0x91, 0x93, 0x94), 0),
    **dict.fromkeys((*b"Khq", 0x80), 1),
    ord("M"): 2,
    **dict.fromkeys(b"Jrj", 4),
    **dict.fromkeys((ord("G"), 0x95), 8),
}
_COUNTED: Mapping[int, struct.Struct] = {
    **dict.fromkeys((*b"UC", 0x8A, 0x8C), struct.Struct("<B")),
    **dict.fromkeys((*b"TXB", 0x8B), U32),
    **dict.fromkeys((0x8D, 0x8E, 0x96), struct.Struct("<Q")),
}
_LINES: Mapping[int, int] = {**dict.fromkeys(b"ILFSVpg", 1), ord("c"): 2}
