"""What keys of an npz file must be, as a table, and every fault of a file found by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from poseworks.core.errors import FormatError
from poseworks.core.formats.reading import parse_json


class NpzField(NamedTuple):
    """What stands under a key.

    Attributes:
        kinds: of the dtype, such as ``f`` or ``iu``.
        size: bytes of one number; None: any.
        axes: how many.
        needed: must be there.
    """

    kinds: str
    size: int | None
    axes: int
    needed: bool = True


_KINDS = {"U": "text", "f": "floats", "iu": "whole numbers", "fiu": "a number"}


def read_fields(
    arrays: Mapping[str, NDArray[Any]], fields: Mapping[str, NpzField], stated_format: str
) -> tuple[dict[str, Any], list[str]]:
    """(values of the right type and number of axes, faults of all the others).

    A value without axes is a Python one. ``format`` is compared and left out; ``history`` is parsed as JSON.
    """
    faults = _keys(arrays, fields, stated_format)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in arrays:
            continue
        array = arrays[name]
        right = array.dtype.kind in field.kinds and field.size in (None, array.dtype.itemsize)
        if not right or array.ndim != field.axes:
            expected = _KINDS[field.kinds] + (f" of {8 * field.size} bits" if field.size else "")
            faults.append(f"{name}: expected {expected} with {field.axes} axes, got {array.dtype} {array.shape}")
        elif name == "image_size" and array.shape != (2,):
            faults.append(f"image_size: expected (2,), got {array.shape}")
        elif name == "history":
            try:
                values[name] = _history(str(array))
            except FormatError as error:
                faults.append(str(error))
        elif name != "format":
            values[name] = array if field.axes else array.item()
    return values, faults


def _keys(arrays: Mapping[str, NDArray[Any]], fields: Mapping[str, NpzField], stated_format: str) -> list[str]:
    """Missing and unknown keys, another format."""
    faults = []
    missing = [name for name, field in fields.items() if field.needed and name not in arrays]
    unknown = [name for name in arrays if name not in fields]
    if missing:
        faults.append(f"missing keys: {', '.join(missing)}")
    if unknown:
        faults.append(f"unknown keys: {', '.join(unknown)}; expected none but {', '.join(fields)}")
    stated = arrays.get("format")
    if stated is not None and stated.dtype.kind == "U" and stated.ndim == 0 and str(stated) != stated_format:
        faults.append(f"format: expected {stated_format!r}, got {str(stated)[:80]!r}")
    return faults


def _history(text: str) -> tuple[dict[str, Any], ...]:
    """The entries."""
    entries = parse_json(text, "history")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FormatError("history: expected a JSON list of objects")
    return tuple(entries)
