"""A reader of pickles that runs nothing: plain Python values and NumPy arrays, for old data sets.

A pickle is a program for a stack machine (Python's `pickletools` describes its instructions). This is that machine
without its dangerous half: no function is looked up or called. A global may be one of a short list of names, each of
which stands for a rule written in unpickling_rules.py; any other is refused by name. So is everything that would make
an instance of a class or ask for outside data. Instances of classes that the caller names become `StandIn`s: the name
of the class and the attributes, none of its code.

Values: dict, OrderedDict (as dict), list, tuple, set, frozenset, str, bytes, bytearray, int, float, complex, bool,
None, and NumPy arrays, scalars and dtypes (of numbers, text, bytes, times, objects; not structured); torch tensors, as
arrays (unpickling_torch.py). Pickles of Python 2, where text and bytes are one type, are read as latin-1. Protocols 0
to 5.

Memory is bounded: a length is compared with the bytes that are left before anything is made, the number of
instructions is limited, and so is the file. Data sets of gigabytes need little more than what is made of them: the file
is mapped instead of read, the arrays of `restricted_load(..., mapped=True)` are views of it, `restricted_items` hands
the items of a long list over as they come, and equal short texts are one object.
"""

from __future__ import annotations

import math
import mmap
import os
import re
import struct
from codecs import escape_decode
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from poseworks.core.errors import DataError, FormatError, PoseworksError
from poseworks.core.unpickling_rules import (
    CALLS,
    MARK,
    Arguments,
    Global,
    Pending,
    Raw,
    StandIn,
    array_from_state,
    checked_key,
    dtype_with_state,
    finished,
    plain_bytes,
    tuple_of,
)

MAX_BYTES = 1 << 31
MAX_STEPS = 50_000_000  # a data set of 6 million frames has about 20 million
MAX_DIGITS = 1024
MAX_LIVE = 5_000_000  # values on the stack, and values remembered, of a list that is handed over
RAW_BYTES = 1 << 12  # longer bytes are not copied before it is known what they are for
_SHORT_TEXT, _MANY_TEXTS = 64, 1 << 16


def restricted_load(
    path: str | os.PathLike[str],
    *,
    max_bytes: int = MAX_BYTES,
    mapped: bool = False,
    stand_ins: tuple[str, ...] = (),
) -> Any:
    """The value in a pickle file, made without running any code.

    Args:
        max_bytes: of the file.
        mapped: large arrays are views of the file, not copies. Copy what is to outlive a change of the file.
        stand_ins: modules, with those below them, whose classes' instances become `StandIn`s.

    Raises:
        FormatError: it is damaged, too large, or holds anything but plain values and arrays; the message names it.
        DataError: the file cannot be read.
    """
    source = Path(path)
    try:
        return _Machine(_mapped(source, max_bytes), mapped=mapped, stand_ins=stand_ins).run()
    except FormatError as error:
        raise FormatError(f"{source}: {error}") from error


def restricted_items(
    path: str | os.PathLike[str], take: Callable[[list[Any]], None], *, max_bytes: int = MAX_BYTES
) -> None:
    """Hands the items of a pickled list over, some at a time and in their order, without ever holding them all.

    The file is gone through twice: first to learn which values are referred to again, then to make the items.

    Args:
        take: is called with each batch of items (pickle writes a thousand together), and may keep what it likes.
            Arrays may be views of the file: copy what is to outlive a change of it.
        max_bytes: of the file.

    Raises:
        FormatError: as `restricted_load`, or the value is no list.
        DataError: the file cannot be read.
    """
    source = Path(path)
    data = _mapped(source, max_bytes)
    try:
        machine = _Machine(data, mapped=True, take_items=take, remembered=_places_used(data))
        rest = machine.run()
        if type(rest) is not list or not machine.handed_over:
            what = "an empty list" if rest == [] else f"a {type(rest).__name__}"
            raise FormatError(f"pickle: holds {what}, expected a list of items.")
    except FormatError as error:
        raise FormatError(f"{source}: {error}") from error


def _mapped(source: Path, max_bytes: int) -> memoryview:
    """The bytes of a file, which the system reads when they are looked at.

    Raises:
        FormatError: there are too many. DataError: the file cannot be read.
    """
    try:
        if source.is_dir():
            raise DataError(f"{source}: is a folder, expected a pickle file.")
        with source.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > max_bytes:
                raise FormatError(f"{source}: has more than {max_bytes} bytes; allow more with max_bytes.")
            if not size:
                return memoryview(b"")
            # Copy-on-write: arrays that are views of it can be written to like any other, and the file stays as it is.
            return memoryview(mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_COPY))
    except FileNotFoundError as error:
        raise DataError(f"{source}: does not exist. Check the name.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, PoseworksError):
            raise
        raise DataError(f"{source}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error


def restricted_loads(data: bytes | memoryview, *, stand_ins: tuple[str, ...] = ()) -> Any:
    """The value that pickled bytes hold, made without running any code; `stand_ins` as for `restricted_load`.

    Raises:
        FormatError: they are damaged, or hold anything but plain values and arrays; the message names it.
    """
    return _Machine(memoryview(data), stand_ins=stand_ins).run()


class _Machine:
    """The stack machine over one pickle."""

    def __init__(
        self,
        data: memoryview,
        mapped: bool = False,
        take_items: Callable[[list[Any]], None] | None = None,
        remembered: frozenset[int] | None = None,
        stand_ins: tuple[str, ...] = (),
    ) -> None:
        self.stand_ins = stand_ins
        self.data, self.at, self.mapped = data, 0, mapped
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.memoized = 0
        self.texts: dict[str, str] = {}
        self.take_items, self.remembered = take_items, remembered
        self.handed_over, self.seen_over, self.seen_at = 0, 0, 0
        self.reconstruct: Any = self  # once met: the name that arrays begin with; nothing else is this machine
        self.last_read = max(remembered or (), default=-1)
        self.dtypes: dict[bytes, np.dtype[Any] | None] = {}

    def run(self) -> Any:
        """Executes until STOP; the value on top of the stack."""
        # A list that is handed over leaves nothing behind: the file's size is limit enough.
        steps = MAX_STEPS if self.take_items is None else max(MAX_STEPS, len(self.data))
        data, stack, memo = self.data, self.stack, self.memo
        try:
            for number in range(steps):
                if not number & 0xFFFFF and self.take_items is not None:
                    self.check_flow(number)
                at = self.at
                code = data[at]
                # The four that a list of dicts is mostly made of come first, without a call.
                if code == 0x68:  # BINGET
                    value = memo[data[at + 1]]
                    if value is not self.reconstruct or not self.whole_array(at):
                        self.at = at + 2
                        stack.append(value)
                elif code == 0x72:  # LONG_BINPUT
                    self.at = at + 5
                    self.put(_U32.unpack_from(data, at + 1)[0])
                elif code == 0x94:  # MEMOIZE
                    self.at = at + 1
                    self.put(self.memoized)
                elif code == 0x4B:  # BININT1
                    self.at = at + 2
                    stack.append(data[at + 1])
                elif code == 0x2E:  # STOP
                    return self.pop()
                else:
                    self.at = at + 1
                    step = _STEPS.get(code)
                    if step is None:
                        raise FormatError(
                            f"pickle: {_REFUSED.get(code, f'instruction 0x{code:02x}')} refused at byte {at}; "
                            "expected plain values and NumPy arrays."
                        )
                    step(self)
        except (IndexError, KeyError, struct.error) as error:
            raise FormatError(f"pickle: damaged or cut off at byte {self.at}.") from error
        except (ValueError, TypeError, OverflowError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"pickle: damaged at byte {self.at} ({error}).") from error
        raise FormatError(f"pickle: more than {steps} instructions.")

    def check_flow(self, number: int) -> None:
        """Nothing, unless items that are to be handed over pile up instead."""
        if self.stack and type(self.stack[0]) is not list:
            raise FormatError(f"pickle: holds a {type(finished(self.stack[0])).__name__}, expected a list of items.")
        if self.handed_over != self.seen_over:
            self.seen_over, self.seen_at = self.handed_over, number
        if max(len(self.stack), len(self.memo)) > MAX_LIVE or number - self.seen_at > MAX_STEPS:
            raise FormatError(f"pickle: too much in one item at byte {self.at}.")

    # Reading arguments

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size < 0 or size > len(self.data) - self.at:
            raise FormatError(f"pickle: cut off; {size} bytes were announced at byte {self.at}.")
        start, self.at = self.at, self.at + size
        return bytes(self.data[start : self.at])

    def take_raw(self, size: int, kind: type = bytes) -> Any:
        """The next `size` bytes; many of them stay where they are until they are asked for."""
        if size < RAW_BYTES:
            return kind(self.take(size))
        if size > len(self.data) - self.at:
            raise FormatError(f"pickle: cut off; {size} bytes were announced at byte {self.at}.")
        start, self.at = self.at, self.at + size
        return Raw(self.data[start : self.at], kind, self.mapped)

    def text(self, size: int) -> str:
        """The next `size` bytes as text; the same object where a short one was read before."""
        text = _utf8(self.take(size))
        if size > _SHORT_TEXT:
            return text
        if len(self.texts) < _MANY_TEXTS:
            return self.texts.setdefault(text, text)
        return self.texts.get(text, text)

    def unpack(self, code: str) -> Any:
        """The next number, little-endian."""
        kind = _NUMBERS[code]
        value = kind.unpack_from(self.data, self.at)[0]
        self.at += kind.size
        return value

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
        self.memoized += place not in self.memo
        if self.remembered is None or place in self.remembered:
            self.memo[place] = self.stack[-1]
            self.dtypes.clear()

    def extend(self, items: list[Any]) -> None:
        """Adds items to the list on top of the stack, or hands them over if that is the whole pickle's."""
        target = self.top(list)
        if self.take_items is None or len(self.stack) > 1:
            target.extend(items)
        elif items:
            self.handed_over += len(items)
            self.take_items(items)

    def set_items(self, items: list[Any]) -> None:
        """Adds key, value, key, value, ... to the dict on top of the stack."""
        target = self.top(dict)
        if len(items) % 2:
            raise FormatError(f"pickle: a key without a value at byte {self.at}.")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value

    def find(self, module: str, name: str) -> None:
        """Puts a name on the stack if it is on the list."""
        full = f"{module}.{name}"
        for new, old in _RENAMED:
            full = full.replace(new, old)
        if full not in CALLS and full != "numpy.ndarray" and not self.stands_in(full):
            raise FormatError(
                f"pickle: refers to {module[:80]}.{name[:80]}, which is refused; nothing was run. "
                "Expected plain values and arrays."
            )
        self.push(Global(full))
        if full == "numpy.core.multiarray._reconstruct" and self.remembered is not None:
            self.reconstruct = self.stack[-1]

    def stands_in(self, full: str) -> bool:
        """Whether a name is of a class whose instances are replaced, or needed to say so."""
        return bool(self.stand_ins) and (full in _INSTANCE or full.startswith(tuple(f"{m}." for m in self.stand_ins)))

    def instance(self) -> None:
        """NEWOBJ: an instance of a class, without arguments; BUILD gives it its attributes."""
        arguments, kind = self.stack.pop(), self.stack.pop()
        what = kind.name if isinstance(kind, Global) else type(kind).__name__
        if what in _INSTANCE or not self.stands_in(what) or arguments != ():
            raise FormatError(f"pickle: NEWOBJ (an instance of {what[:80]}) refused; nothing was run.")
        self.push(StandIn(what))

    def whole_array(self, at: int) -> bool:
        """Makes the array whose twenty instructions begin here, if they are the usual ones and nothing refers to them.

        Lists of dicts of arrays, a few numbers each, are read twice as fast so. The array is a view of the file.
        """
        found = _ARRAY.match(self.data, at)
        if found is None:
            return False
        short, long, axes, many, few = found.group("short", "long", "axes", "many", "few")
        first = self.memoized if short is long else short[0] if long is None else _U32.unpack(long)[0]
        dtype = self.dtype_of(found["kind"], found["empty"], found["dtype"])
        start = found.end()
        size = few[0] if many is None else _U32.unpack(many)[0]
        after = _AFTER_ARRAY.match(self.data, start + size) if start + size < len(self.data) else None
        shape = tuple(axes[1::2])
        # Places of the memo are given in turn: if the first lies behind all that are read, so do the others.
        if dtype is None or after is None or first <= self.last_read or not size:
            return False
        if math.prod(shape) * dtype.itemsize != size:
            return False
        self.stack.append(np.frombuffer(self.data[start : start + size], dtype).reshape(shape))
        self.memoized += _PLACES
        self.at = after.end()
        return True

    def dtype_of(self, kind: bytes, empty: bytes, dtype: bytes) -> np.dtype[Any] | None:
        """Of an array that begins with these places of the memo; None if they are not what usual arrays begin with."""
        places = kind + empty + dtype
        if places not in self.dtypes:
            array, letter, numbers = (self.memo.get(place) for place in places)
            usual = (
                isinstance(array, Global) and array.name == "numpy.ndarray" and type(letter) is bytes and letter == b"b"
            )
            made = numbers.value if isinstance(numbers, Pending) and numbers.kind == "dtype" else None
            self.dtypes[places] = made if usual and made is not None and made.kind in "fiub" and made.isnative else None
        return self.dtypes[places]

    def find_on_stack(self) -> None:
        """STACK_GLOBAL: module and name are on the stack."""
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise FormatError(f"pickle: damaged at byte {self.at}; a name was expected.")
        self.find(module, name)

    def reduce(self) -> None:
        """REDUCE: a name from the list, applied by the rule that it stands for."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if isinstance(function, Global) and function.name == _INSTANCE[0] and isinstance(arguments, Arguments):
            # (class, object, None): what NEWOBJ is in protocols 0 and 1
            self.stack += [arguments[0], ()]
            self.instance()
            return
        if not isinstance(function, Global) or not isinstance(arguments, tuple) or function.name not in CALLS:
            what = function.name if isinstance(function, Global) else type(function).__name__
            raise FormatError(f"pickle: calls {what}, which is refused; nothing was run.")
        if function.name not in _TAKES_RAW:
            arguments = tuple(map(plain_bytes, arguments))
        self.push(CALLS[function.name](*arguments))

    def build(self) -> None:
        """BUILD: completes an array or a dtype."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, StandIn):
            if type(state) is not dict or not all(type(key) is str for key in state):
                raise FormatError(f"pickle: gives {target.name} a state that is no dict of attributes.")
            target.state = state
            return
        if not isinstance(state, Arguments) or any(isinstance(part, Global) for part in state):
            state = finished(state)
        if not isinstance(target, Pending) or not isinstance(state, tuple):
            raise FormatError(f"pickle: gives a state to a {type(target).__name__}, which is refused.")
        if target.kind == "dtype":
            target.value = dtype_with_state(target.value, tuple(map(plain_bytes, state)))
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


def _reinsert_set(m: _Machine, items: list[Any]) -> None:
    m.top(set).update(map(checked_key, items))


def _tuple_of(m: _Machine, count: int) -> None:
    if len(m.stack) < count:
        raise FormatError(f"pickle: damaged at byte {m.at}.")
    m.stack[-count:] = (tuple_of(m.stack[-count:]),)


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


_U32 = struct.Struct("<I")
_NUMBERS = {code: struct.Struct("<" + code) for code in "BHiIQ"}
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
    # names, calls and states, each by the rules above
    ord("c"): lambda m: m.find(m.line().decode(), m.line().decode()),
    0x93: lambda m: m.find_on_stack(),
    ord("R"): lambda m: m.reduce(),
    0x81: lambda m: m.instance(),
    ord("b"): lambda m: m.build(),
    # protocol and frame: nothing to do
    0x80: lambda m: m.unpack("B"),
    0x95: _frame,
}
# An array of one or two short axes in protocols 3 and 4, up to its bytes, and what follows them. What is made on the
# way is put into the memo, six times, by BINPUT, LONG_BINPUT, or MEMOIZE, which does not say the place.
_PUT = rb"(?:q.|r....|\x94)"
_ARRAY = re.compile(
    rb"h.h(?P<kind>.)K\x00\x85(?:q(?P<short>.)|r(?P<long>....)|\x94)h(?P<empty>.)\x87%(put)sR%(put)s\(K\x01"
    rb"(?P<axes>K.(?=\x85)|K.K.(?=\x86))[\x85\x86]%(put)sh(?P<dtype>.)\x89(?:B(?P<many>....)|C(?P<few>.))"
    % {b"put": _PUT},
    re.DOTALL,
)
_AFTER_ARRAY = re.compile(_PUT + rb"t" + _PUT + rb"b", re.DOTALL)
_PLACES = 6
_RENAMED = (("numpy._core.", "numpy.core."), ("__builtin__.", "builtins."), ("copy_reg.", "copyreg."))
_INSTANCE = ("copyreg._reconstructor", "builtins.object")  # besides the class, in protocols 0 and 1
_TAKES_RAW = ("numpy.core.numeric._frombuffer",)
_REFUSED: Mapping[int, str] = {
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


def _places_used(data: memoryview) -> frozenset[int]:
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
                    used.add(_U32.unpack_from(data, at)[0])
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
    **dict.fromkeys((*b"TXB", 0x8B), _U32),
    **dict.fromkeys((0x8D, 0x8E, 0x96), struct.Struct("<Q")),
}
_LINES: Mapping[int, int] = {**dict.fromkeys(b"ILFSVpg", 1), ord("c"): 2}
