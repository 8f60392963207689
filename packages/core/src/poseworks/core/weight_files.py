"""What a weight file holds, read without running anything it says: torch zips, legacy torch pickles, safetensors, npz.

Pickles go through torch's own interpreter for weights (``weights_only=True``), which builds tensors and plain
containers alone. NumPy scalars, which published checkpoints hold among their bookkeeping, become python numbers.
"""

from __future__ import annotations

import json
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from poseworks.core.errors import CheckpointError, PoseworksError
from poseworks.core.formats.reading import read_npz
from poseworks.core.unpickling_torch import LEGACY_MAGIC

LARGEST_HEADER = 100_000_000  # bytes; safetensors' own bound
_OTHER_KINDS = (
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"7z\xbc\xaf", "a 7-zip archive: unpack it first"),
    (b"Rar!", "a rar archive: unpack it first"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs", "a git-lfs pointer: the real file was not fetched (git lfs pull)"),
    (b"<", "a web page or XML: the download went wrong"),
    (b"{", "JSON text"),
    (b"[", "JSON text"),
)


def read_weight_file(path: Path) -> tuple[Any, str]:
    """The object in the file, with every tensor on the CPU, and the kind of file.

    Kinds are ``torch``, ``torch-legacy``, ``safetensors``, and ``npz``: arrays under the names of another framework.

    Raises:
        CheckpointError: no such file, another kind of file, damaged, or it asks for more than data.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
        size = path.stat().st_size
    except OSError as error:
        hint = " It is a folder." if path.is_dir() else ""
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}).{hint}") from error
    if size == 0:
        raise CheckpointError(f"{path}: empty. Fetch it again.")
    if head.startswith(b"PK") and _is_npz(path):
        return _read_npz(path), "npz"
    if head.startswith(b"PK"):
        _check_zip(path, size)
        return _read_torch(path), "torch"
    if head.startswith(LEGACY_MAGIC):
        return _read_torch(path), "torch-legacy"
    if len(head) > 8 and head[8:9] == b"{":
        return _read_safetensors(path), "safetensors"
    if head[:1] == b"\x80":
        raise CheckpointError(f"{path}: a python pickle, but not one that torch.save wrote.{_WANTED}")
    for magic, kind in _OTHER_KINDS:
        if head.lstrip().startswith(magic):
            raise CheckpointError(f"{path}: {kind}, not weights.{_WANTED}")
    raise CheckpointError(f"{path}: not a weight file that is known here, or damaged at its start.{_WANTED}")


_WANTED = " Expected a checkpoint of torch.save (.pth, .pt, .pth.tar), a .safetensors file or an .npz of arrays."


def _is_npz(path: Path) -> bool:
    """Whether it is a zip of arrays alone."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # a damaged archive: whoever reads it says so
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        arrays = read_npz(path)
    except PoseworksError as error:
        raise CheckpointError(str(error)) from error
    odd = [name for name, array in arrays.items() if array.dtype.kind not in "fiub"]
    if odd:
        raise CheckpointError(f"{path}: {', '.join(odd)}: not numbers, so no weights.{_WANTED}")
    native = {name: array.astype(array.dtype.newbyteorder("="), order="C") for name, array in arrays.items()}
    try:
        return {name: torch.from_numpy(array) for name, array in native.items()}
    except TypeError as error:
        raise CheckpointError(f"{path}: numbers of a type that weights do not have ({error}).") from error


def _check_zip(path: Path, size: int) -> None:
    """Refuses damaged archives, other archives, and those that would grow when read."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if not any(name.endswith("/data.pkl") for name in names):
                raise CheckpointError(f"{path}: a zip archive, not weights.{_WANTED}")
            if any(name.endswith("/constants.pkl") for name in names):
                raise CheckpointError(f"{path}: a TorchScript program, not weights. Export its state_dict with torch.")
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or (
                sum(entry.file_size for entry in entries) > size
            ):
                raise CheckpointError(f"{path}: its parts claim to be larger than the file; torch.save stores them.")
            damaged = archive.testzip()
    except CheckpointError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds on damaged archives
        raise CheckpointError(f"{path}: truncated or damaged archive ({error}). Fetch it again.") from error
    if damaged:
        raise CheckpointError(f"{path}: damaged: {damaged} does not match its checksum. Fetch it again.")


def _read_torch(path: Path) -> Any:
    try:
        with _inert_numpy(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about its own old storages
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what its parsers raise: a dozen kinds
        forbidden = re.search(r"GLOBAL ([\w.]+)", str(error)) or re.search(
            r"`([\w.]+)`? was not an allowed", str(error)
        )
        if forbidden:
            raise CheckpointError(
                f"{path}: asks for {forbidden[1]}, which is code and not data; nothing of it was run. Load the file "
                "where it comes from, if you trust it, and save its state_dict alone."
            ) from error
        raise CheckpointError(
            f"{path}: damaged, or not a checkpoint ({type(error).__name__}). Fetch it again."
        ) from error


class _PickledDtype:
    """Stands for numpy.dtype in a pickle: remembers the name and the byte order."""

    def __init__(self, name: str, align: bool = False, copy: bool = False) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = {"<": "<", ">": ">"}.get(state[1], "=")


def _pickled_scalar(dtype: _PickledDtype, data: bytes) -> float | int | bool:
    """Stands for numpy's scalar in a pickle: the number as python's own."""
    if not re.fullmatch(r"[biuf][1-8]", dtype.name):
        raise ValueError(f"a NumPy scalar of type {dtype.name}")
    number: float | int | bool = np.frombuffer(data, np.dtype(dtype.order + dtype.name), count=1)[0].item()
    return number


def _as_numpy(what: Any, module: str, name: str) -> Any:
    """A function that a pickle finds under NumPy's name: torch 2.4 knows no other way to say this."""

    def call(*arguments: Any) -> Any:
        return what(*arguments)

    call.__module__, call.__name__, call.__qualname__ = module, name, name
    return call


@contextmanager
def _inert_numpy() -> Iterator[None]:
    """Lets `torch.load` meet NumPy scalars, in the names of NumPy 1 and 2."""
    stand_ins = [
        _PickledDtype,
        _as_numpy(_PickledDtype, "numpy", "dtype"),
        _as_numpy(_pickled_scalar, "numpy.core.multiarray", "scalar"),
        _as_numpy(_pickled_scalar, "numpy._core.multiarray", "scalar"),
    ]
    if hasattr(torch.serialization, "safe_globals"):
        with torch.serialization.safe_globals(stand_ins):
            yield
    else:  # torch 2.4
        torch.serialization.add_safe_globals(stand_ins)
        yield


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    read_safetensors_metadata(path)
    try:
        # Cloned: the tensors are else a window on the file, and change or crash with it.
        return {name: tensor.clone() for name, tensor in load_file(path, device="cpu").items()}
    except Exception as error:
        raise CheckpointError(f"{path}: damaged safetensors file ({error}). Fetch it again.") from error


def read_safetensors_metadata(path: Path) -> dict[str, str]:
    """The free text entries in the header of a safetensors file.

    Raises:
        CheckpointError: the header is larger than the file or than 100 MB, or is not JSON.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        header_size = int.from_bytes(stream.read(8), "little")
        if header_size > min(size - 8, LARGEST_HEADER):
            raise CheckpointError(f"{path}: truncated, or not safetensors: a header of {header_size} bytes in {size}.")
        try:
            header = json.loads(stream.read(header_size))
            return {str(k): str(v) for k, v in (header.get("__metadata__") or {}).items()}
        except (ValueError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{path}: damaged safetensors header ({error}). Fetch it again.") from error


def write_safetensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """The tensors as a safetensors file: the same content, the same bytes."""
    from safetensors.torch import save

    data = save(dict(tensors), dict(metadata))
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(metadata.items()))  # the library's order differs from process to process
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.write(memoryview(data)[8 + size :])
