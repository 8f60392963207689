"""Safe reading of the containers: bytes, text, JSON, npy and npz; every size is checked before memory is taken.

And the writing of npz, whose bytes depend on the arrays alone.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from poseworks.core.errors import DataError, FormatError, PoseworksError
from poseworks.core.files import atomic_path
from poseworks.core.poses import PoseSequence
from poseworks.core.unpickling_rules import check_text

MAX_TEXT_BYTES = 1 << 29  # 512 MiB: 1.5 million frames of 17 joints as JSON
MAX_ARRAY_BYTES = 1 << 31  # 2 GiB unpacked: 10 million frames of 17 joints in 3D

ZIP_MAGIC, NPY_MAGIC = b"PK\x03\x04", b"\x93NUMPY"

# The header of an npy file, a Python dict in text; older Pythons write 3L for 3.
MAX_HEADER_BYTES = 1 << 16
_KEY = rb"'(?:descr|fortran_order|shape)'"
_VALUE = rb"'[^'\\]{1,20}'|True|False|\([0-9Ll, ]*\)"
_ENTRY = re.compile(rb"(%b):\s*(%b)" % (_KEY, _VALUE))
_HEADER = re.compile(rb"\{(?:\s*%b:\s*(?:%b)\s*,?){3}\s*\}\s*" % (_KEY, _VALUE))

# What zipfile and zlib raise on damaged archives.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    KeyError,
    IndexError,
    OverflowError,
    struct.error,
    OSError,
)


def read_bytes(path: Path, limit: int = MAX_TEXT_BYTES) -> bytes:
    """The bytes of a file that is no larger than `limit`.

    Raises:
        DataError: it is missing, a folder or unreadable.
        FormatError: it is empty or larger than `limit`.
    """
    try:
        if path.is_dir():
            raise DataError(f"{path}: is a folder, expected a file.")
        if path.stat().st_size > limit:
            raise FormatError(f"{path}: has {path.stat().st_size} bytes, more than {limit}. Split the file.")
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path}: does not exist. Check the name.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, PoseworksError):
            raise
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if not data:
        raise FormatError(f"{path}: is empty.")
    if len(data) > limit:
        raise FormatError(f"{path}: has more than {limit} bytes. Split the file.")
    return data


def read_head(path: Path, size: int = 1 << 16) -> bytes:
    """The first bytes of a file.

    Raises:
        DataError: it is missing, a folder or unreadable.
        FormatError: it is empty.
    """
    with _open(path) as stream:
        try:
            head = stream.read(size)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    if not head:
        raise FormatError(f"{path}: is empty.")
    return head


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        DataError: it cannot be read.
        FormatError: it is empty or not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: is not UTF-8 text (byte {error.start}).") from error


def read_json(path: Path) -> Any:
    """The JSON value that a file holds; NaN and Infinity, which JSON lacks, are refused.

    Raises:
        DataError: the file cannot be read.
        FormatError: it is not JSON, or nested too deeply.
    """
    return parse_json(read_text(path), str(path))


def parse_json(text: str, name: str) -> Any:
    """The JSON value in `text`; `name` stands in the messages.

    Raises:
        FormatError: it is not JSON, holds NaN or Infinity, or is nested too deeply.
    """

    def refuse(constant: str) -> NoReturn:
        raise FormatError(f"{name}: holds {constant}, which is not JSON. Write null, or 0 with confidence 0.")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise FormatError(f"{name}: is nested too deeply.") from error
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"{name}: is not JSON ({error}).") from error


def numbers(values: object, what: str) -> NDArray[np.float64]:
    """(N,) float64 of a JSON list of finite numbers.

    Raises:
        FormatError: it is not a list, or something in it is not a finite number; `what` stands in the message.
    """
    if not isinstance(values, list):
        raise FormatError(f"{what}: expected a list of numbers, got {type(values).__name__}.")
    if not set(map(type, values)) <= {int, float}:
        raise FormatError(f"{what}: expected numbers alone.")
    try:
        array = np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise FormatError(f"{what}: a number is too large.") from error
    # What does not fit into float32 would turn infinite later.
    if not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise FormatError(f"{what}: a number is infinite or too large.")
    return array


def number(value: object, what: str) -> float:
    """A finite JSON number.

    Raises:
        FormatError: it is none.
    """
    return float(numbers([value], what)[0])


ObjectReader = Callable[[memoryview], NDArray[Any]]


def read_npz(
    path: Path,
    keys: Sequence[str] | None = None,
    objects: ObjectReader | None = None,
    limit: int = MAX_ARRAY_BYTES,
) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file by name (only `keys`, if given), without running pickled code.

    Args:
        path: a zip of npy files.
        keys: which of them to read; None: all.
        objects: makes the array of the pickled bytes of an array of Python objects; None: such arrays are refused.
        limit: bytes that the arrays together may take.

    Raises:
        DataError: the file cannot be read.
        FormatError: the archive is damaged, too large, or holds something else than arrays; all faults are listed.
    """
    arrays: dict[str, NDArray[Any]] = {}
    faults: list[str] = []
    try:
        with _open(path) as stream, zipfile.ZipFile(stream) as archive:
            members = [m for m in archive.infolist() if keys is None or m.filename.removesuffix(".npy") in keys]
            if sum(member.file_size for member in members) > limit:
                raise FormatError(f"{path}: would unpack to more than {limit} bytes; refused.")
            for member in members:
                key = member.filename.removesuffix(".npy")
                if key in arrays:
                    faults.append(f"{key}: stored twice")
                    continue
                try:
                    arrays[key] = _member(archive, member, objects)
                except FormatError as error:
                    faults.append(f"{key}: {error}")
    except ZIP_ERRORS as error:
        if isinstance(error, PoseworksError):
            raise
        raise FormatError(f"{path}: is not a readable npz ({error or type(error).__name__}).") from error
    if faults:
        raise FormatError(f"{path}: {'; '.join(faults)}.")
    return arrays


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes an npz as `numpy.savez_compressed` does, packed less tightly in a third of the time.

    Raises:
        DataError: the file cannot be written.
    """
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy_format.write_array(member, np.asanyarray(array), allow_pickle=True)


def npz_keys(path: Path) -> tuple[str, ...]:
    """Names of the arrays in an npz file; nothing is unpacked.

    Raises:
        DataError: the file cannot be read.
        FormatError: it is no zip archive.
    """
    try:
        with _open(path) as stream, zipfile.ZipFile(stream) as archive:
            return tuple(name.removesuffix(".npy") for name in archive.namelist())
    except ZIP_ERRORS as error:
        if isinstance(error, PoseworksError):
            raise
        raise FormatError(f"{path}: is not a readable npz ({error or type(error).__name__}).") from error


def read_npy(path: Path, limit: int = MAX_ARRAY_BYTES) -> NDArray[Any]:
    """The array of an npy file.

    Raises:
        DataError: the file cannot be read.
        FormatError: it is damaged, too large, or an array of objects.
    """
    try:
        return read_array(read_bytes(path, limit))
    except FormatError as error:
        raise FormatError(f"{path}: {str(error).removeprefix(f'{path}: ').removesuffix('.')}.") from error


def read_array(data: bytes, objects: ObjectReader | None = None) -> NDArray[Any]:
    """The npy array in `data`, whose header must claim exactly the bytes that follow it.

    Raises:
        FormatError: not an npy array, or its header and its size contradict each other.
    """
    shape, order, dtype, start = array_header(data)
    rest = memoryview(data)[start:]
    if dtype.hasobject:
        if objects is None or dtype != np.dtype(object):
            raise FormatError("holds Python objects, which this format has none of")
        return objects(rest)
    count = math.prod(shape)
    if count * dtype.itemsize != len(rest):
        raise FormatError(f"its header claims {shape} of {dtype}, but {len(rest)} bytes follow")
    if not len(rest):
        if math.prod(max(axis, 1) for axis in shape) > 1 << 20:
            raise FormatError(f"its header claims {shape}, but nothing follows")
        return np.zeros(shape, dtype)
    array = np.frombuffer(rest, dtype).reshape(shape, order="F" if order == "F" else "C").copy()
    check_text(array)
    return array


def array_header(data: bytes) -> tuple[tuple[int, ...], str, np.dtype[Any], int]:
    """(shape, order C or F, dtype, bytes of the header) at the beginning of npy bytes.

    Raises:
        FormatError: not an npy array of version 1, 2 or 3 with a plain dtype.
    """
    if data[:6] != NPY_MAGIC or len(data) < 12 or data[6] not in (1, 2, 3):
        raise FormatError("is not an npy array")
    start = 10 if data[6] == 1 else 12
    size = int.from_bytes(data[8:start], "little")
    text = data[start : start + size]
    entries = _HEADER.fullmatch(text) if size <= MAX_HEADER_BYTES and len(text) == size else None
    found = {key.strip(b"'").decode(): value for key, value in _ENTRY.findall(text)} if entries else {}
    if set(found) != {"descr", "fortran_order", "shape"}:
        raise FormatError("is not an npy array of numbers or text: its header is damaged or of a structured type")
    try:
        shape = tuple(int(axis.rstrip(b" Ll")) for axis in found["shape"].strip(b"()").split(b",") if axis.strip())
        dtype = np.dtype(found["descr"].decode("latin-1").strip("'"))
    except (ValueError, TypeError, SyntaxError) as error:
        raise FormatError(f"is not an npy array ({error})") from error
    if dtype.names or dtype.subdtype or len(shape) > 32 or any(axis > 1 << 60 for axis in shape):
        raise FormatError(f"its header claims {len(shape)} axes of {dtype}")
    return shape, "F" if found["fortran_order"] == b"True" else "C", dtype, start + size


def _open(path: Path) -> BinaryIO:
    """An open file, or the errors of `read_bytes`."""
    try:
        if path.is_dir():
            raise DataError(f"{path}: is a folder, expected a file.")
        return path.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{path}: does not exist. Check the name.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, PoseworksError):
            raise
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, objects: ObjectReader | None) -> NDArray[Any]:
    """The array of one member of an npz; only the compressions that NumPy writes are unpacked."""
    if not member.filename.endswith(".npy"):
        raise FormatError("is not an npy array")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FormatError("is packed in a way that NumPy does not write")
    with archive.open(member) as stream:
        data = stream.read(member.file_size)
        if len(data) != member.file_size or stream.read(1):
            raise FormatError(f"has another size than the {member.file_size} bytes that its entry claims")
    return read_array(data, objects)


def shown(value: object) -> str:
    """A short text for a message; the text of a nested container may be endless."""
    return repr(value)[:60] if isinstance(value, str | int | float | None) else type(value).__name__


def built(path: Path, **fields: Any) -> PoseSequence:
    """A PoseSequence whose faults are reported with the path of the file that they come from.

    Raises:
        FormatError: the fields contradict one another.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return PoseSequence(**fields)
    except PoseworksError as error:
        raise FormatError(f"{path}: {str(error).removeprefix('poses: ')}.") from error
