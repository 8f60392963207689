"""Torch tensors inside a plain pickle, as NumPy arrays; torch itself is not imported.

There a tensor is ``torch._utils._rebuild_tensor_v2(storage, offset, size, stride, ...)``, and its storage
``torch.storage._load_from_bytes(bytes)``, where the bytes are those of ``torch.save`` in its old layout: pickles of a
magic number, the layout's version and the machine, one that names type, key, device and length of the storage, one of
the keys; then the length as int64, and the numbers.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import FormatError

LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, pickled
_DTYPES = {
    b"Float": np.float32, b"Double": np.float64, b"Half": np.float16, b"BFloat16": np.uint16, b"Long": np.int64,
    b"Int": np.int32, b"Short": np.int16, b"Char": np.int8, b"Byte": np.uint8, b"Bool": np.bool_,
}  # fmt: skip
_STORAGE = re.compile(
    rb"X\x07\x00\x00\x00storageq.ctorch\n(?P<kind>[A-Za-z0-9]+)Storage\nq."
    rb"X.\x00\x00\x00[0-9]+q.X.\x00\x00\x00[a-z]+(?::[0-9]+)?q."
    rb"(?:K(?P<byte>.)|M(?P<short>..)|J(?P<int>....)|\x8a.(?P<long>.{1,8}))Nt",
    re.DOTALL,
)
_HEAD = 4096  # bytes within which a storage is described


def storage_from_bytes(data: Any) -> NDArray[Any]:
    """(numbers,): what ``torch.storage._load_from_bytes`` stands for.

    Raises:
        FormatError: the bytes are not those of one storage.
    """
    found = _STORAGE.search(data[:_HEAD]) if isinstance(data, bytes) and data.startswith(LEGACY_MAGIC) else None
    if found is None or found["kind"] not in _DTYPES:
        raise FormatError("pickle: the storage of a torch tensor is damaged, or of another kind than numbers.")
    length = int.from_bytes(found["byte"] or found["short"] or found["int"] or found["long"], "little")
    dtype = np.dtype(_DTYPES[found["kind"]])
    start = len(data) - length * dtype.itemsize
    if start < found.end() + 8 or data[start - 8 : start] != length.to_bytes(8, "little"):
        raise FormatError(f"pickle: the storage of a torch tensor claims {length} numbers, which it does not hold.")
    numbers = np.frombuffer(data, dtype.newbyteorder("<"), offset=start)
    if found["kind"] == b"BFloat16":  # the upper half of a float32
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    elif found["kind"] == b"Bool":
        numbers = np.frombuffer(data, np.uint8, offset=start) != 0
    return numbers.astype(numbers.dtype.newbyteorder("="))


def rebuilt(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> NDArray[Any]:
    """What ``torch._utils._rebuild_tensor_v2`` stands for.

    Raises:
        FormatError: the tensor does not lie within its storage.
    """
    if not isinstance(storage, np.ndarray) or storage.ndim != 1 or type(offset) is not int or offset < 0:
        raise FormatError("pickle: a torch tensor without a storage.")
    if not all(
        isinstance(axes, tuple) and len(axes) <= 32 and all(type(axis) is int and axis >= 0 for axis in axes)
        for axes in (size, stride)
    ) or len(size) != len(stride):
        raise FormatError("pickle: a torch tensor has a shape that is none.")
    count = math.prod(size)
    last = offset + sum((axis - 1) * step for axis, step in zip(size, stride, strict=True))
    if count > len(storage) or (count and last >= len(storage)):
        raise FormatError(f"pickle: a torch tensor of {size} does not lie within its {len(storage)} numbers.")
    if not count:
        return np.zeros(size if math.prod(max(axis, 1) for axis in size) <= 1 << 20 else 0, storage.dtype)
    steps = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()
