"""The short cut of `unpickling.py`'s machine through small arrays, of which old data sets hold millions."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from poseworks.core.unpickling_instructions import U32
from poseworks.core.unpickling_rules import Global, Pending

if TYPE_CHECKING:
    from poseworks.core.unpickling_machine import Machine

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


def whole_array(machine: Machine, at: int) -> bool:
    """Makes the array whose twenty instructions begin here, if they are the usual ones and nothing refers to them.

    Lists of dicts of arrays, a few numbers each, are read twice as fast so. The array is a view of the file.
    """
    found = _ARRAY.match(machine.data, at)
    if found is None:
        return False
    short, long, axes, many, few = found.group("short", "long", "axes", "many", "few")
    first = machine.memoized if short is long else short[0] if long is None else U32.unpack(long)[0]
    dtype = _dtype_of(machine, found["kind"], found["empty"], found["dtype"])
    start = found.end()
    size = few[0] if many is None else U32.unpack(many)[0]
    after = _AFTER_ARRAY.match(machine.data, start + size) if start + size < len(machine.data) else None
    shape = tuple(axes[1::2])
    # Places of the memo are given in turn: if the first lies behind all that are read, so do the others.
    if dtype is None or after is None or first <= machine.last_read or not size:
        return False
    if math.prod(shape) * dtype.itemsize != size:
        return False
    machine.stack.append(np.frombuffer(machine.data[start : start + size], dtype).reshape(shape))
    machine.memoized += _PLACES
    machine.at = after.end()
    return True


def _dtype_of(machine: Machine, kind: bytes, empty: bytes, dtype: bytes) -> np.dtype[Any] | None:
    """Of an array that begins with these places of the memo; None if they are not what usual arrays begin with."""
    places = kind + empty + dtype
    if places not in machine.dtypes:
        array, letter, numbers = (machine.memo.get(place) for place in places)
        usual = isinstance(array, Global) and array.name == "numpy.ndarray" and type(letter) is bytes and letter == b"b"
        made = numbers.value if isinstance(numbers, Pending) and numbers.kind == "dtype" else None
        machine.dtypes[places] = made if usual and made is not None and made.kind in "fiub" and made.isnative else None
    return machine.dtypes[places]
