"""A reader of pickles that runs nothing: plain Python values and NumPy arrays, for old data sets.

A pickle is a program for a stack machine (Python's `pickletools` describes its instructions). This is that machine
(unpickling_machine.py, its instructions in unpickling_instructions.py) without its dangerous half: no function is
looked up or called. A global may be one of a short list of names, each of which stands for a rule written in
unpickling_rules.py; any other is refused by name. So is everything that would make an instance of a class or ask for
outside data. Instances of classes that the caller names become `StandIn`s: the name of the class and the attributes,
none of its code.

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

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from poseworks.core.errors import DataError, FormatError, PoseworksError
from poseworks.core.unpickling_instructions import places_used
from poseworks.core.unpickling_machine import Machine

MAX_BYTES = 1 << 31


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
        return Machine(_mapped(source, max_bytes), mapped=mapped, stand_ins=stand_ins).run()
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
        machine = Machine(data, mapped=True, take_items=take, remembered=places_used(data))
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
    return Machine(memoryview(data), stand_ins=stand_ins).run()
