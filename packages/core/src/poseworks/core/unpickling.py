"""A reader of pickles that runs nothing: plain Python values and NumPy arrays, for old data sets.

A pickle is a program for a stack machine (Python's `pickletools` describes its instructions). This is that machine
without its dangerous half: no function is looked up or called. A global may be one of a short list of names, each of
which stands for a rule written here (`_CALLS`); any other is refused by name. So is everything that would make an
instance of a class or ask for outside data.

Values: dict, OrderedDict (as dict), list, tuple, set, frozenset, str, bytes, bytearray, int, float, complex, bool,
None, and NumPy arrays, scalars and dtypes (of numbers, text, bytes, times, objects; not structured). Pickles of Python
2, where text and bytes are one type, are read as latin-1. Protocols 0 to 5.

Memory is bounded: a length is compared with the bytes that are left before anything is made, the number of
instructions is limited, and so is the file.
"""

from __future__ import annotations

import math
import os
import re
import struct
from codecs import escape_decode
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError, FormatError, PoseworksError

MAX_BYTES = 1 << 31
MAX_STEPS = 50_000_000  # a data set of 6 million frames has about 20 million
MAX_DIGITS = 1024

_MARK = object()
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[SU][0-9]{0,9}|[mM]8|O8?|O4|\?)")
_KEYS = (str, bytes, int, float, bool, type(None), np.generic)


class _Pending:
    """A value that a later BUILD completes: the memo and the stack share it."""

    __slots__ = ("kind", "value")

    def __init__(self, kind: str, value: Any) -> None:
        self.kind, self.value = kind, value


class _Global:
    """A name that an instruction looked up; it stands for itself and is never called."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


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
        return _finished(self.stack.pop())

    def since_mark(self) -> list[Any]:
        """Takes everything above the last MARK, and the MARK."""
        items: list[Any] = []
        while (value := self.stack.pop()) is not _MARK:
            items.append(_finished(value))
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
        if self.stack[-1] is _MARK:
            raise FormatError(f"pickle: damaged at byte {self.at}.")
        self.memo[place] = self.stack[-1]

    def set_items(self, items: list[Any]) -> None:
        """Adds key, value, key, value, ... to the dict on top of the stack."""
        target = self.top(dict)
        if len(items) % 2:
            raise FormatError(f"pickle: a key without a value at byte {self.at}.")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    def find(self, module: str, name: str) -> None:
        """Puts a name on the stack if it is on the list."""
        full = f"{module}.{name}".replace("numpy._core.", "numpy.core.").replace("__builtin__.", "builtins.")
        if full not in _CALLS and full != "numpy.ndarray":
            raise FormatError(
                f"pickle: refers to {module[:80]}.{name[:80]}, which is refused; nothing was run. "
                "Expected plain values and arrays."
            )
        self.push(_Global(full))

    def find_on_stack(self) -> None:
        """STACK_GLOBAL: module and name are on the stack."""
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise FormatError(f"pickle: damaged at byte {self.at}; a name was expected.")
        self.find(module, name)

    def reduce(self) -> None:
        """REDUCE: a name from the list, applied by the rule that it stands for."""
        arguments, function = self.pop(), self.stack.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple) or function.name not in _CALLS:
            what = function.name if isinstance(function, _Global) else type(function).__name__
            raise FormatError(f"pickle: calls {what}, which is refused; nothing was run.")
        self.push(_CALLS[function.name](*arguments))

    def build(self) -> None:
        """BUILD: completes an array or a dtype."""
        state, target = self.pop(), self.stack[-1]
        if not isinstance(target, _Pending) or not isinstance(state, tuple):
            raise FormatError(f"pickle: gives a state to a {type(target).__name__}, which is refused.")
        if target.kind == "dtype":
            target.value = _dtype_with_state(target.value, state)
        else:
            target.value = _array_from_state(state)


def _finished(value: Any) -> Any:
    """A value without its wrapper."""
    if isinstance(value, _Pending):
        if value.value is None:
            raise FormatError("pickle: an array is used before it is complete.")
        return value.value
    if value is _MARK:
        raise FormatError("pickle: damaged; a mark where a value was expected.")
    return value


def _shown(value: Any) -> str:
    """A short text for a message; the text of a container may be endless."""
    return repr(value[:40]) if isinstance(value, str | bytes) else type(value).__name__


def _key(value: Any) -> Hashable:
    """A dict key or set member: of a plain type, or a flat tuple of those (hashing nested ones may take for ever)."""
    flat = type(value) is tuple and len(value) <= 64 and all(isinstance(part, _KEYS) for part in value)
    if not flat and not isinstance(value, _KEYS):
        raise FormatError(f"pickle: a {type(value).__name__} as a key is refused; expected text or numbers.")
    key: Hashable = value
    return key


def _raw(value: Any) -> bytes:
    """The bytes of an array; Python 2 stored them as text."""
    if isinstance(value, str):
        return value.encode("latin-1")
    if not isinstance(value, bytes | bytearray):
        raise FormatError(f"pickle: the bytes of an array are {type(value).__name__}.")
    return bytes(value)


def _shape(value: Any) -> tuple[int, ...]:
    """The shape of an array."""
    axes = (value,) if type(value) is int else value
    if not isinstance(axes, tuple) or not all(type(axis) is int and axis >= 0 for axis in axes):
        raise FormatError("pickle: an array has a shape that is none.")
    if len(axes) > 32 or (math.prod(axes) == 0 and math.prod(max(axis, 1) for axis in axes) > 1 << 20):
        raise FormatError("pickle: an array has a shape that is none.")
    return axes


def _values(dtype: Any, shape: tuple[int, ...], order: str, data: Any) -> NDArray[Any]:
    """An array from its parts, whose sizes must agree."""
    if not isinstance(dtype, np.dtype):
        raise FormatError(f"pickle: the dtype of an array is a {type(dtype).__name__}.")
    count = math.prod(shape)
    if dtype == np.dtype(object):
        if type(data) is not list or len(data) != count:
            raise FormatError(f"pickle: an array of {count} objects holds other than these.")
        array = np.empty(count, dtype=object)
        for place, item in enumerate(data):
            array[place] = item
        return array.reshape(shape, order=order)  # type: ignore[call-overload,no-any-return]
    raw = _raw(data)
    if len(raw) != count * dtype.itemsize:
        raise FormatError(f"pickle: an array of {shape} {dtype} has {len(raw)} bytes.")
    if not raw:
        return np.zeros(shape, dtype)
    array = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
    check_text(array)
    return array.reshape(shape, order=order)  # type: ignore[call-overload,no-any-return]


def check_text(array: NDArray[Any]) -> None:
    """Nothing, unless an array of text holds numbers that are no characters (asking for such a text is an error).

    Raises:
        FormatError: it does.
    """
    if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        flat = np.ascontiguousarray(array).reshape(-1)
        codes = flat.view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise FormatError("an array of text holds numbers that are no characters")


def _array_from_state(state: tuple[Any, ...]) -> NDArray[Any]:
    """ndarray.__setstate__: (version, shape, dtype, Fortran order?, bytes or list of objects)."""
    if len(state) != 5:
        raise FormatError("pickle: an array has an unknown state.")
    _, shape, dtype, fortran, data = state
    return _values(dtype, _shape(shape), "F" if fortran in (True, 1) else "C", data)


def _dtype_with_state(dtype: np.dtype[Any], state: tuple[Any, ...]) -> np.dtype[Any]:
    """dtype.__setstate__: (version, byte order, subdtype, names, fields, size, alignment, flags, ...)."""
    if len(state) < 8 or any(part is not None for part in state[2:5]):
        raise FormatError("pickle: a structured dtype is refused.")
    order = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]
    if not isinstance(order, str) or order not in ("<", ">", "|", "="):
        raise FormatError(f"pickle: a dtype has the byte order {_shown(order)}.")
    if dtype.kind in "SU" and type(state[5]) is int and dtype.itemsize != state[5]:
        unit = 4 if dtype.kind == "U" else 1
        if not 0 <= state[5] < 1 << 30 or state[5] % unit:
            raise FormatError("pickle: a text dtype has a size out of range.")
        dtype = np.dtype(f"{dtype.kind}{state[5] // unit}")
    if dtype.kind in "mM" and len(state) > 8:
        dtype = _time_dtype(dtype, state[8])
    return dtype if order == "|" else dtype.newbyteorder("<" if order == "<" else ">" if order == ">" else "=")


def _time_dtype(dtype: np.dtype[Any], metadata: Any) -> np.dtype[Any]:
    """A time dtype with its unit; metadata: ({}, (unit, count, 1, 1))."""
    unit = metadata[1] if isinstance(metadata, tuple) and len(metadata) == 2 else None
    if not isinstance(unit, tuple) or len(unit) < 2 or type(unit[1]) is not int:
        raise FormatError("pickle: a time dtype has no unit.")
    name = unit[0].decode("latin-1") if isinstance(unit[0], bytes) else unit[0]
    if not isinstance(name, str) or name not in ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "generic"):
        raise FormatError(f"pickle: a time dtype has the unit {_shown(name)}.")
    return dtype if name == "generic" else np.dtype(f"{dtype.kind}8[{unit[1]}{name}]")


def _call_dtype(code: Any, *_flags: Any) -> _Pending:
    """numpy.dtype(code, align, copy)."""
    name = code.decode("latin-1") if isinstance(code, bytes) else code
    if not isinstance(name, str) or not _DTYPE.fullmatch(name):
        raise FormatError(f"pickle: the dtype {_shown(name)} is refused.")
    return _Pending("dtype", np.dtype("O" if name[:1] == "O" else name))


def _call_reconstruct(kind: Any, _shape: Any, _code: Any) -> _Pending:
    """numpy.core.multiarray._reconstruct(ndarray, (0,), b"b"): an empty array, which BUILD fills."""
    if not isinstance(kind, _Global) or kind.name != "numpy.ndarray":
        raise FormatError("pickle: an array of another type than ndarray is refused.")
    return _Pending("array", None)


def _call_frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    """numpy.core.numeric._frombuffer: an array in protocol 5."""
    return _values(dtype, _shape(shape), "F" if order == "F" else "C", data)


def _call_scalar(dtype: Any, data: Any) -> Any:
    """numpy.core.multiarray.scalar(dtype, bytes)."""
    if isinstance(dtype, np.dtype) and dtype.hasobject:
        raise FormatError("pickle: a scalar of objects is refused.")
    return _values(dtype, (1,), "C", data)[0]


def _call_encode(text: Any, encoding: Any = "latin1") -> bytes:
    """_codecs.encode(text, "latin1"): bytes in protocols 0 to 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise FormatError("pickle: an encoding other than latin1 is refused.")
    return text.encode("latin-1")


def _call_bytes(*arguments: Any) -> bytes:
    """builtins.bytes(): empty bytes in protocols 0 to 2."""
    if arguments and arguments != ((),) and arguments != ([],):
        raise FormatError("pickle: bytes of something are refused.")
    return b""


def _call_bytearray(data: Any = b"", encoding: Any = "latin-1") -> bytearray:
    """builtins.bytearray(bytes), or (text, "latin-1") in protocols 0 to 2."""
    if encoding not in ("latin-1", "latin1"):
        raise FormatError("pickle: an encoding other than latin1 is refused.")
    return bytearray(_raw(data))


def _call_complex(real: Any, imaginary: Any) -> complex:
    """builtins.complex(real, imaginary)."""
    if type(real) is not float or type(imaginary) is not float:
        raise FormatError("pickle: a complex number of something else than floats is refused.")
    return complex(real, imaginary)


def _members(items: Any = ()) -> list[Hashable]:
    """What a set is made of."""
    if not isinstance(items, list | tuple):
        raise FormatError("pickle: a set of something else than a list is refused.")
    return [_key(item) for item in items]


def _call_dict(items: Any = ()) -> dict[Any, Any]:
    """collections.OrderedDict, empty or of [[key, value], ...]."""
    if not isinstance(items, list | tuple) or not all(isinstance(i, list | tuple) and len(i) == 2 for i in items):
        raise FormatError("pickle: an OrderedDict of something else than pairs is refused.")
    return {_key(key): value for key, value in items}


# The only names that a pickle may refer to (numpy._core counts as numpy.core), and what is done instead of a call.
_CALLS: Mapping[str, Callable[..., Any]] = {
    "numpy.dtype": _call_dtype,
    "numpy.core.multiarray._reconstruct": _call_reconstruct,
    "numpy.core.multiarray.scalar": _call_scalar,
    "numpy.core.numeric._frombuffer": _call_frombuffer,
    "_codecs.encode": _call_encode,
    "builtins.bytes": _call_bytes,
    "builtins.bytearray": _call_bytearray,
    "builtins.complex": _call_complex,
    "builtins.set": lambda items=(): set(_members(items)),
    "builtins.frozenset": lambda items=(): frozenset(_members(items)),
    "collections.OrderedDict": _call_dict,
}


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
    m.top(set).update(map(_key, items))


def _tuple_of(m: _Machine, count: int) -> None:
    if len(m.stack) < count:
        raise FormatError(f"pickle: damaged at byte {m.at}.")
    m.stack[-count:] = [tuple(map(_finished, m.stack[-count:]))]


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
    ord("("): lambda m: m.push(_MARK),
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
    ord("t"): lambda m: m.push(tuple(m.since_mark())),
    0x85: lambda m: _tuple_of(m, 1),
    0x86: lambda m: _tuple_of(m, 2),
    0x87: lambda m: _tuple_of(m, 3),
    ord("}"): lambda m: m.push({}),
    ord("d"): _dict_of,
    ord("s"): lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    ord("u"): lambda m: m.set_items(m.since_mark()),
    0x8F: lambda m: m.push(set()),
    0x90: lambda m: _reinsert_set(m, m.since_mark()),
    0x91: lambda m: m.push(frozenset(map(_key, m.since_mark()))),
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
