"""A body's mesh at several resolutions, and the ways between them: for networks whose outputs are vertices.

Level 0 is the full mesh. Of SMPL's, 6890, 1723 and 431 vertices, users have ``mesh_downsampling.npz``: object arrays
`A` (adjacency of each level), `D` and `U` (to the next coarser level and back), sparse matrices, and `F` (triangles).
Its fourth, `M`, holds objects of a package that is not needed, and is never read. The free body's levels are made
here: `D` picks its first vertices, `U` places a vertex on the nearest triangle of the coarser mesh.

Matrices are given as `SparseRows`: a few columns and values for each row. So no sparse type is needed, and they can be
exported.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_models.foreign_objects import FOREIGN, SparseMatrix, plain_array, sparse_matrix
from poseworks.core.body_models.free import free_body
from poseworks.core.errors import FormatError, ShapeError
from poseworks.core.formats.reading import read_npz
from poseworks.core.unpickling import restricted_loads

Array = NDArray[Any]

_NEAR = 10  # coarse vertices whose triangles are looked at for the nearest


class SparseRows(NamedTuple):
    """A matrix (R, C) with at most K entries a row: out[r] = sum_k values[r, k] x[columns[r, k]].

    Rows with fewer entries are filled with zeros in column 0.
    """

    columns: NDArray[np.int64]  # (R, K)
    values: NDArray[np.float32]  # (R, K)


class MeshLevels:
    """Meshes of one body from fine to coarse.

    Attributes:
        sizes: vertices of each level.
        faces: (F, 3) triangles of each level.
        source: name of the file, or ``free``.
    """

    def __init__(
        self,
        faces: Sequence[Array],
        down: Sequence[SparseMatrix],
        up: Sequence[SparseMatrix],
        adjacency: Sequence[SparseMatrix],
        source: str,
    ) -> None:
        """L levels: L triangle lists and adjacency matrices, L - 1 matrices down and up.

        Raises:
            FormatError: their sizes do not fit together.
        """
        self.source = source
        self.sizes = tuple(matrix.shape[0] for matrix in adjacency)
        self.faces = tuple(np.asarray(triangles, dtype=np.int64) for triangles in faces)
        self._down, self._up, self._adjacency = tuple(down), tuple(up), tuple(adjacency)
        faults = self._faults()
        if faults:
            raise FormatError(f"{source}: not the levels of a mesh: {'; '.join(faults)}.")

    def down(self, level: int) -> SparseRows:
        """From `level` to the next coarser one.

        Raises:
            ShapeError: there is no such level.
        """
        return _rows(self._down[self._expect(level, len(self._down))])

    def up(self, level: int) -> SparseRows:
        """To `level` from the next coarser one; raises as `down`."""
        return _rows(self._up[self._expect(level, len(self._up))])

    def adjacency(self, level: int) -> SparseRows:
        """Which vertices share an edge, and each itself; a row's entries are equal and sum to 1. Raises as `down`."""
        matrix = self._adjacency[self._expect(level, len(self.sizes))]
        size = matrix.shape[0]
        itself = np.arange(size)
        pairs = np.unique(np.concatenate((matrix.rows * size + matrix.columns, itself * size + itself)))
        rows, columns = np.divmod(pairs, size)
        return _rows(SparseMatrix(rows, columns, 1 / np.bincount(rows)[rows], matrix.shape))

    def _expect(self, level: int, count: int) -> int:
        if not 0 <= level < count:
            raise ShapeError(f"level: expected 0 to {count - 1} of {count}, got {level}.")
        return level

    def _faults(self) -> list[str]:
        levels = len(self.sizes)
        faults = []
        if not levels or any(size < 1 for size in self.sizes) or list(self.sizes) != sorted(self.sizes, reverse=True):
            faults.append(f"A: expected at least one level, from fine to coarse, got sizes {self.sizes}")
        if len(self.faces) != levels:
            faults.append(f"F: expected {levels} lists of triangles, got {len(self.faces)}")
        for number, (triangles, size) in enumerate(zip(self.faces, self.sizes, strict=False)):
            if triangles.ndim != 2 or triangles.shape[1] != 3 or (triangles.size and triangles.max() >= size):
                faults.append(f"F[{number}]: expected (F, 3) numbers below {size}, got {triangles.shape}")
            elif triangles.size and triangles.min() < 0:
                faults.append(f"F[{number}]: holds negative numbers")
        named = {"A": (self._adjacency, [(size, size) for size in self.sizes])}
        named["D"] = (self._down, list(zip(self.sizes[1:], self.sizes[:-1], strict=True)))
        named["U"] = (self._up, list(zip(self.sizes[:-1], self.sizes[1:], strict=True)))
        for name, (matrices, shapes) in named.items():
            found = [matrix.shape for matrix in matrices]
            if found != shapes:
                faults.append(f"{name}: expected {shapes}, got {found}")
            elif not all(np.isfinite(matrix.values).all() for matrix in matrices):
                faults.append(f"{name}: holds NaN or infinite numbers")
        return faults


def mesh_levels(source: str | os.PathLike[str] = "free") -> MeshLevels:
    """The levels of a body's mesh.

    Args:
        source: ``free``: those of the free body; else a user's mesh_downsampling.npz.

    Raises:
        FormatError: the file holds something else, or more than data.
        DataError: it cannot be read.
    """
    if os.fspath(source) == "free":
        return _free_levels()
    path = Path(source)
    arrays = read_npz(path, keys=("A", "D", "F", "U"), objects=_objects)
    missing = [name for name in "ADFU" if name not in arrays]
    if missing:
        raise FormatError(
            f"{path}: misses {', '.join(missing)}; expected mesh_downsampling.npz, as GraphCMR and Graphormer use it."
        )
    try:
        matrices = {
            name: [sparse_matrix(each, f"{name}[{place}]") for place, each in enumerate(_items(arrays[name], name))]
            for name in "ADU"
        }
        faces = [plain_array(each, f"F[{place}]") for place, each in enumerate(_items(arrays["F"], "F"))]
    except FormatError as error:
        raise FormatError(f"{path}: {error}.") from error
    wrong = [place for place, each in enumerate(faces) if each.dtype.kind not in "iu"]
    if wrong:
        raise FormatError(f"{path}: F[{wrong[0]}]: expected whole numbers, got {faces[wrong[0]].dtype}.")
    return MeshLevels(faces, matrices["D"], matrices["U"], matrices["A"], path.name)


@cache
def _free_levels() -> MeshLevels:
    body = free_body()
    return nested_levels(body.v_template, (body.faces, *body.lower_faces), "free")


def nested_levels(vertices: Array, faces: Sequence[Array], source: str) -> MeshLevels:
    """Levels of a mesh (V, 3) whose coarser meshes lie on its first vertices.

    Args:
        vertices: of the full mesh.
        faces: (F, 3) triangles of each level, from fine to coarse; a level has the vertices that they name.
        source: name for messages.

    Raises:
        FormatError: the levels do not get coarser, or a triangle names a vertex that is not there.
    """
    sizes = [int(triangles.max()) + 1 for triangles in faces]
    if sizes[0] > len(vertices):
        raise FormatError(f"{source}: triangles name vertex {sizes[0] - 1}, of {len(vertices)}.")
    steps = list(pairwise(sizes))
    down = [SparseMatrix(np.arange(few), np.arange(few), np.ones(few), (few, many)) for many, few in steps]
    up = [_placed(vertices[:many], triangles, few) for (many, few), triangles in zip(steps, faces[1:], strict=True)]
    adjacency = [_edges(triangles, size) for triangles, size in zip(faces, sizes, strict=True)]
    return MeshLevels(faces, down, up, adjacency, source)


def _edges(faces: Array, size: int) -> SparseMatrix:
    """Both directions of every edge."""
    pairs = np.concatenate([faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2))])
    rows, columns = np.unique(pairs.astype(np.int64), axis=0).T
    return SparseMatrix(rows, columns, np.ones(len(rows)), (size, size))


def _placed(vertices: Array, faces: Array, few: int) -> SparseMatrix:
    """Each vertex as a weighted mean of the corners of the triangle nearest to it; the first `few` are corners."""
    around: list[list[int]] = [[] for _ in range(few)]
    for number, triangle in enumerate(faces.tolist()):
        for corner in triangle:
            around[corner].append(number)
    most = max(map(len, around))
    table = np.array([numbers + numbers[:1] * (most - len(numbers)) if numbers else [0] * most for numbers in around])
    corners = vertices[:few].astype(np.float64)
    rest = vertices[few:].astype(np.float64)
    squares = (rest**2).sum(1)[:, None] - 2 * rest @ corners.T + (corners**2).sum(1)
    near = np.argpartition(squares, min(_NEAR, few) - 1, axis=1)[:, :_NEAR]
    candidates = table[near].reshape(len(rest), -1)  # triangles
    shares = _nearest_shares(rest[:, None], corners[faces[candidates]])
    distance = np.linalg.norm((shares[..., None] * corners[faces[candidates]]).sum(-2) - rest[:, None], axis=-1)
    best = distance.argmin(1)[:, None]
    columns = faces[np.take_along_axis(candidates, best, 1)[:, 0]]
    values = np.take_along_axis(shares, best[..., None], 1)[:, 0]
    rows = np.repeat(np.arange(few, len(vertices)), 3)
    return SparseMatrix(
        np.concatenate((np.arange(few), rows)),
        np.concatenate((np.arange(few), columns.reshape(-1))),
        np.concatenate((np.ones(few), values.reshape(-1))),
        (len(vertices), few),
    )


def _nearest_shares(points: Array, triangles: Array) -> Array:
    """(..., 3) weights of the corners whose mean is the nearest point of (..., 3, 3) triangles to (..., 3) points."""
    a, b, c = np.moveaxis(triangles, -2, 0)
    ab, ac, ap = b - a, c - a, points - a
    aa, bb, mixed = _dot(ab, ab), _dot(ac, ac), _dot(ab, ac)
    pb, pc = _dot(ap, ab), _dot(ap, ac)
    area = np.maximum(aa * bb - mixed**2, 1e-30)
    v, w = (bb * pb - mixed * pc) / area, (aa * pc - mixed * pb) / area
    inside = np.stack((1 - v - w, v, w), -1)

    on_ab, on_ac, on_bc = _share(ap, ab), _share(ap, ac), _share(points - b, c - b)
    zero = np.zeros_like(on_ab)
    edges = np.stack(
        (
            np.stack((1 - on_ab, on_ab, zero), -1),
            np.stack((1 - on_ac, zero, on_ac), -1),
            np.stack((zero, 1 - on_bc, on_bc), -1),
        ),
        axis=-2,
    )
    away = np.linalg.norm(edges @ triangles - points[..., None, :], axis=-1)
    edge = np.take_along_axis(edges, away.argmin(-1)[..., None, None], -2)[..., 0, :]
    shares: Array = np.where((inside >= 0).all(-1, keepdims=True), inside, edge)
    return shares


def _dot(x: Array, y: Array) -> Array:
    """Products of (..., 3) vectors."""
    product: Array = (x * y).sum(-1)
    return product


def _share(vectors: Array, edge: Array) -> Array:
    """How far along an edge, 0 to 1, the point of it lies that is nearest to the end of a vector from its start."""
    return np.clip(_dot(vectors, edge) / np.maximum(_dot(edge, edge), 1e-30), 0, 1)


def _rows(matrix: SparseMatrix) -> SparseRows:
    """The entries, a row of the table for each row of the matrix."""
    height = matrix.shape[0]
    order = np.lexsort((matrix.columns, matrix.rows))
    rows = matrix.rows[order]
    counts = np.bincount(rows, minlength=height)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    width = int(counts.max(initial=1))
    columns, values = np.zeros((height, width), np.int64), np.zeros((height, width), np.float32)
    columns[rows, place] = matrix.columns[order]
    values[rows, place] = matrix.values[order]
    return SparseRows(columns, values)


def _objects(data: memoryview) -> Array:
    """A pickled array, read without running code; sparse matrices in it are stand-ins."""
    array = restricted_loads(data, stand_ins=FOREIGN)
    if not isinstance(array, np.ndarray):
        raise FormatError(f"pickle: expected an array of objects, got {type(array).__name__}")
    return array


def _items(array: Array, name: str) -> list[Any]:
    """What an object array holds, one for each level."""
    if array.ndim < 1:
        raise FormatError(f"{name}: expected one entry for each level")
    return list(array)
