"""What a pickle may refer to, and what it stands for: the rules of `unpickling.py`, which describes them.

No function here calls what a pickle names: arrays, dtypes and sets are made from their checked parts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import FormatError
from poseworks.core.unpickling_torch import rebuilt, storage_from_bytes

MARK = object()
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[SU][0-9]{0,9}|[mM]8|O8?|O4|\?)")
_FINISHED = frozenset((int, float, bool, str, bytes, type(None), list, dict, tuple, np.ndarray))
_KEYS = (str, bytes, int, float, bool, type(None), np.generic)


class Pending:
    """A value that a later BUILD completes: the memo and the stack share it."""

    __slots__ = ("kind", "value")

    def __init__(self, kind: str, value: Any) -> None:
        self.kind, self.value = kind, value


class Global:
    """A name that an instruction looked up; it stands for itself and is never called."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class StandIn:
    """An instance of a class that is not made: the class's name, and the attributes that the pickle gives it."""

    __slots__ = ("name", "state")

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: dict[str, Any] = {}


class Raw:
    """Many bytes where they lie in the file: an array is made from them directly, and else `plain_bytes`."""

    __slots__ = ("data", "kind", "shared")

    def __init__(self, data: memoryview, kind: type, shared: bool) -> None:
        self.data, self.kind, self.shared = data, kind, shared


class Arguments(tuple[Any, ...]):
    """A tuple that holds a `Global`, good for a call by the rules below and nothing else; or one that holds `Raw`."""

    __slots__ = ()


def tuple_of(items: Sequence[Any]) -> tuple[Any, ...]:
    """A tuple of finished values, `Arguments` if a name or raw bytes are among them."""
    if _FINISHED.issuperset(map(type, items)):
        return tuple(items)
    if any(isinstance(item, Global | Raw) for item in items):
        return Arguments(item if isinstance(item, Global | Raw) else finished(item) for item in items)
    return tuple(map(finished, items))


def plain_bytes(value: Any) -> Any:
    """Raw bytes as bytes or bytearray; anything else as it is."""
    return value.kind(value.data) if isinstance(value, Raw) else value


def finished(value: Any) -> Any:
    """A value without its wrapper."""
    if type(value) in _FINISHED:
        return value
    if isinstance(value, Pending):
        if value.value is None:
            raise FormatError("pickle: an array is used before it is complete.")
        return value.value
    if isinstance(value, Raw):
        return plain_bytes(value)
    if isinstance(value, Arguments) and not any(isinstance(item, Global) for item in value):
        return tuple(map(finished, value))
    if isinstance(value, Global | Arguments):
        name = next(item.name for item in (value if isinstance(value, Arguments) else [value]) if type(item) is Global)
        raise FormatError(f"pickle: {name} as a value is refused; expected plain values and arrays.")
    if value is MARK:
        raise FormatError("pickle: damaged; a mark where a value was expected.")
    return value


def shown(value: Any) -> str:
    """A short text for a message; the text of a container may be endless."""
    return repr(value[:40]) if isinstance(value, str | bytes) else type(value).__name__


def checked_key(value: Any) -> Hashable:
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
    raw = data.data if isinstance(data, Raw) else _raw(data)
    if len(raw) != count * dtype.itemsize:
        raise FormatError(f"pickle: an array of {shape} {dtype} has {len(raw)} bytes.")
    if not raw:
        return np.zeros(shape, dtype)
    shared = isinstance(data, Raw) and data.shared
    array = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="), copy=not shared)
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
        for start in range(0, len(codes), 1 << 22):  # in parts: the comparisons take memory of their own
            part = codes[start : start + (1 << 22)]
            if ((part > 0x10FFFF) | ((part >= 0xD800) & (part < 0xE000))).any():
                raise FormatError("an array of text holds numbers that are no characters")


def array_from_state(state: tuple[Any, ...]) -> NDArray[Any]:
    """ndarray.__setstate__: (version, shape, dtype, Fortran order?, bytes or list of objects)."""
    if len(state) != 5:
        raise FormatError("pickle: an array has an unknown state.")
    _, shape, dtype, fortran, data = state
    return _values(dtype, _shape(shape), "F" if fortran in (True, 1) else "C", data)


def dtype_with_state(dtype: np.dtype[Any], state: tuple[Any, ...]) -> np.dtype[Any]:
    """dtype.__setstate__: (version, byte order, subdtype, names, fields, size, alignment, flags, ...)."""
    if len(state) < 8 or any(part is not None for part in state[2:5]):
        raise FormatError("pickle: a structured dtype is refused.")
    order = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]
    if not isinstance(order, str) or order not in ("<", ">", "|", "="):
        raise FormatError(f"pickle: a dtype has the byte order {shown(order)}.")
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
        raise FormatError(f"pickle: a time dtype has the unit {shown(name)}.")
    return dtype if name == "generic" else np.dtype(f"{dtype.kind}8[{unit[1]}{name}]")


def _call_dtype(code: Any, *_flags: Any) -> Pending:
    """numpy.dtype(code, align, copy)."""
    name = code.decode("latin-1") if isinstance(code, bytes) else code
    if not isinstance(name, str) or not _DTYPE.fullmatch(name):
        raise FormatError(f"pickle: the dtype {shown(name)} is refused.")
    return Pending("dtype", np.dtype("O" if name[:1] == "O" else name))


def _call_reconstruct(kind: Any, _shape: Any, _code: Any) -> Pending:
    """numpy.core.multiarray._reconstruct(ndarray, (0,), b"b"): an empty array, which BUILD fills."""
    if not isinstance(kind, Global) or kind.name != "numpy.ndarray":
        raise FormatError("pickle: an array of another type than ndarray is refused.")
    return Pending("array", None)


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
    return [checked_key(item) for item in items]


def _call_dict(items: Any = ()) -> dict[Any, Any]:
    """collections.OrderedDict, empty or of [[key, value], ...]."""
    if not isinstance(items, list | tuple) or not all(isinstance(i, list | tuple) and len(i) == 2 for i in items):
        raise FormatError("pickle: an OrderedDict of something else than pairs is refused.")
    return {checked_key(key): value for key, value in items}


# The only names that a pickle may refer to (numpy._core counts as numpy.core), and what is done instead of a call.
CALLS: Mapping[str, Callable[..., Any]] = {
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
    "torch._utils._rebuild_tensor_v2": rebuilt,
    "torch.storage._load_from_bytes": storage_from_bytes,
}
