"""The stack machine of `unpickling.py`, which describes it: its memory, and the names that it lets through."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from poseworks.core.errors import FormatError
from poseworks.core.unpickling_arrays import whole_array
from poseworks.core.unpickling_instructions import REFUSED, STEPS, U32
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
)

MAX_STEPS = 50_000_000  # a data set of 6 million frames has about 20 million
MAX_LIVE = 5_000_000  # values on the stack, and values remembered, of a list that is handed over
RAW_BYTES = 1 << 12  # longer bytes are not copied before it is known what they are for
_SHORT_TEXT, _MANY_TEXTS = 64, 1 << 16
_NUMBERS = {code: struct.Struct("<" + code) for code in "BHiIQ"}
_RENAMED = (("numpy._core.", "numpy.core."), ("__builtin__.", "builtins."), ("copy_reg.", "copyreg."))
_INSTANCE = ("copyreg._reconstructor", "builtins.object")  # besides the class, in protocols 0 and 1
_TAKES_RAW = ("numpy.core.numeric._frombuffer",)


class Machine:
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
                    if value is not self.reconstruct or not whole_array(self, at):
                        self.at = at + 2
                        stack.append(value)
                elif code == 0x72:  # LONG_BINPUT
                    self.at = at + 5
                    self.put(U32.unpack_from(data, at + 1)[0])
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
                    step = STEPS.get(code)
                    if step is None:
                        raise FormatError(
                            f"pickle: {REFUSED.get(code, f'instruction 0x{code:02x}')} refused at byte {at}; "
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
        text = self.take(size).decode("utf-8", "surrogatepass")  # Python pickles lone surrogates too
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
