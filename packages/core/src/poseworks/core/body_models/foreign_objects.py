"""Objects of chumpy and scipy.sparse in pickles of body models, as arrays; neither package is imported.

Read with ``restricted_load(path, stand_ins=FOREIGN)``, an instance is a `StandIn`: the name of its class and its
attributes. Those that hold data are these.

- ``chumpy...Ch``: `x`, the array. ``chumpy...Select``: `a`, another object, flat; `idxs` into it; `preferred_shape`.
- ``scipy.sparse...csc_matrix`` and ``csr_matrix``: `data`, `indices`, `indptr`, and `shape` or `_shape`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import FormatError
from poseworks.core.unpickling_rules import StandIn

FOREIGN = ("chumpy", "scipy.sparse")
_DEEPEST = 8  # views of views


class SparseMatrix(NamedTuple):
    """Entries of a matrix: (E,) rows, columns and values, in no order; entries of one place add up."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[Any]
    shape: tuple[int, int]

    def dense(self) -> NDArray[Any]:
        """The matrix."""
        matrix = np.zeros(self.shape, self.values.dtype)
        np.add.at(matrix, (self.rows, self.columns), self.values)
        return matrix


def plain_array(value: Any, name: str) -> NDArray[Any]:
    """The array that `value` is or stands for; a sparse matrix is filled up.

    Raises:
        FormatError: it is neither, or damaged; `name` stands in the message.
    """
    if isinstance(value, StandIn) and value.name.startswith("scipy."):
        return sparse_matrix(value, name).dense()
    array = _chumpy_array(value, name, _DEEPEST)
    if array.dtype.kind not in "fiub":
        raise FormatError(f"{name}: expected numbers, got {array.dtype}")
    return array


def sparse_matrix(value: Any, name: str) -> SparseMatrix:
    """The entries of a sparse matrix.

    Raises:
        FormatError: it is none, or its parts contradict each other; `name` stands in the message.
    """
    layout = value.name.rsplit(".", 1)[-1] if isinstance(value, StandIn) else type(value).__name__
    if layout not in ("csc_matrix", "csc_array", "csr_matrix", "csr_array"):
        raise FormatError(f"{name}: expected a sparse matrix (csc or csr), got {layout[:60]}")
    parts = {key: value.state.get(key) for key in ("data", "indices", "indptr")}
    shape = value.state.get("_shape", value.state.get("shape"))
    damaged = FormatError(f"{name}: a sparse matrix whose parts are missing or contradict each other")
    arrays = [part for part in parts.values() if isinstance(part, np.ndarray) and part.ndim == 1]
    if len(arrays) != 3 or not isinstance(shape, tuple) or len(shape) != 2:
        raise damaged
    data, indices, pointers = arrays
    if not all(isinstance(axis, int | np.integer) and 0 <= axis <= 1 << 20 for axis in shape):
        raise damaged
    if data.dtype.kind not in "fiub" or indices.dtype.kind not in "iu" or pointers.dtype.kind not in "iu":
        raise damaged
    height, width = int(shape[0]), int(shape[1])
    by_column = layout.startswith("csc")
    lines, across = (width, height) if by_column else (height, width)
    ends = pointers.astype(np.int64)
    counts: NDArray[np.int64] = np.diff(ends)
    if len(pointers) != lines + 1 or ends[0] != 0 or (counts < 0).any() or counts.sum() != len(data):
        raise damaged
    if len(indices) != len(data) or (len(indices) and not (indices.min() >= 0 and indices.max() < across)):
        raise damaged
    line = np.repeat(np.arange(lines), counts)
    other = indices.astype(np.int64)
    rows, columns = (other, line) if by_column else (line, other)
    return SparseMatrix(rows, columns, data, (height, width))


def _chumpy_array(value: Any, name: str, deepest: int) -> NDArray[Any]:
    """The array of a chumpy object, or an array as it is."""
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, StandIn) or not value.name.startswith("chumpy."):
        what = value.name if isinstance(value, StandIn) else type(value).__name__
        raise FormatError(f"{name}: expected an array, got {what[:60]}")
    if "x" in value.state and deepest:
        return _chumpy_array(value.state["x"], name, deepest - 1)
    if value.name.endswith(".Select") and deepest:
        base = _chumpy_array(value.state.get("a"), name, deepest - 1).reshape(-1)
        ids, shape = value.state.get("idxs"), value.state.get("preferred_shape")
        if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
            flat = ids.reshape(-1)
            if flat.size and not (flat.min() >= 0 and flat.max() < base.size):
                raise FormatError(f"{name}: a view beyond the end of its array")
            try:
                return base[ids] if shape is None else base[flat].reshape(tuple(shape))
            except (TypeError, ValueError) as error:
                raise FormatError(f"{name}: a view whose shape is none ({error})") from error
    raise FormatError(f"{name}: a {value.name[:60]} object that holds no array")
