"""Levels of a mesh: SciPy's products, the free body's, users' files, and what is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from poseworks.core.body_models.free import free_body
from poseworks.core.body_models.levels import MeshLevels, SparseRows, mesh_levels, nested_levels
from poseworks.core.errors import FormatError, ShapeError
from poseworks.core.testing_bodies import csc_parts, foreign_classes, foreign_pickle

# An octahedron, one of whose vertices is cut off in the coarser level.
FINE = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1], [5, 2, 1], [5, 3, 2], [5, 4, 3], [5, 1, 4]])
COARSE = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1], [1, 3, 2], [1, 4, 3]])
CORNERS = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [0.2, 0.1, -0.4]])


def product(rows: SparseRows, x: np.ndarray) -> np.ndarray:
    return (rows.values[..., None] * x[rows.columns]).sum(1)


@pytest.fixture(scope="module")
def small() -> MeshLevels:
    return nested_levels(CORNERS, (FINE, COARSE), "octahedron")


def test_a_small_mesh(small: MeshLevels) -> None:
    assert small.sizes == (6, 5)
    assert_allclose(product(small.down(0), CORNERS), CORNERS[:5])
    back = product(small.up(0), CORNERS[:5])
    assert_allclose(back, [*CORNERS[:5], [0.2, 0.1, 0]], atol=1e-7)  # the nearest point of the coarse surface
    neighbours = [{0, 1, 2, 3, 4}, {0, 1, 2, 4, 5}]
    for row, expected in enumerate(neighbours):
        columns, values = small.adjacency(0).columns[row], small.adjacency(0).values[row]
        assert set(columns[values > 0].tolist()) == expected
        assert_allclose(values[values > 0], 1 / 5)


@pytest.mark.long
def test_the_free_bodys_levels() -> None:
    levels, body = mesh_levels("free"), free_body()
    assert levels.sizes == (6890, 1723, 431)
    vertices = np.asarray(body.v_template, np.float64)
    for level, mean_mm in ((0, 1.1), (1, 3.2)):
        size = levels.sizes[level]
        lower = product(levels.down(level), vertices[:size])
        assert_allclose(lower, vertices[: levels.sizes[level + 1]])
        away = np.linalg.norm(product(levels.up(level), lower) - vertices[:size], axis=1)
        assert 1000 * away.mean() < mean_mm
        assert_allclose(levels.up(level).values.sum(1), 1, rtol=1e-6)
    for level, edges in enumerate((20664, 5163, 1287)):
        adjacency = levels.adjacency(level)
        assert (adjacency.values > 0).sum() == 2 * edges + levels.sizes[level]
        assert_allclose(adjacency.values.sum(1), 1, rtol=1e-6)


def write_hierarchy(path: Path, **changes: Any) -> dict[str, Any]:
    """mesh_downsampling.npz of random matrices of three small levels, with an `M` that nobody may read."""
    generator = np.random.default_rng(0)
    sizes = (12, 6, 3)

    def matrices(shapes: list[tuple[int, int]]) -> list[np.ndarray]:
        return [np.where(generator.random(shape) < 0.4, generator.normal(size=shape), 0) for shape in shapes]

    dense: dict[str, Any] = {
        "A": [(matrix + matrix.T != 0) * 2.0 for matrix in matrices([(size, size) for size in sizes])],
        "D": matrices([(6, 12), (3, 6)]),
        "U": matrices([(12, 6), (6, 3)]),
        "F": [generator.integers(0, size, (2 * size, 3)) for size in sizes],
    }
    with foreign_classes() as (_, _, csc):
        stored = {name: [csc(**csc_parts(matrix)) for matrix in dense[name]] for name in "ADU"}
        stored = {**stored, "F": dense["F"], **changes}
        with zipfile.ZipFile(path, "w") as archive:
            for name, items in stored.items():
                array = np.empty(len(items), dtype=object)
                for place, item in enumerate(items):
                    array[place] = item
                header = io.BytesIO()
                np.lib.format.write_array_header_1_0(
                    header, {"descr": "|O", "fortran_order": False, "shape": array.shape}
                )
                archive.writestr(f"{name}.npy", header.getvalue() + foreign_pickle(array))
            archive.writestr("M.npy", b"not to be touched")
    return dense


def test_a_users_hierarchy(tmp_path: Path) -> None:
    path = tmp_path / "mesh_downsampling.npz"
    dense = write_hierarchy(path)
    levels = mesh_levels(path)
    assert levels.sizes == (12, 6, 3)
    x = np.random.default_rng(1).normal(size=(12, 3))
    for level in (0, 1):
        down, up = dense["D"][level], dense["U"][level]
        assert_allclose(
            product(levels.down(level), x[: down.shape[1]]), down @ x[: down.shape[1]], rtol=1e-5, atol=1e-6
        )
        assert_allclose(product(levels.up(level), x[: up.shape[1]]), up @ x[: up.shape[1]], rtol=1e-5, atol=1e-6)
    pattern = sparse.csr_matrix(((dense["A"][0] != 0) | np.eye(12, dtype=bool)).astype(float))
    assert_allclose(product(levels.adjacency(0), x), sparse.diags(1 / pattern.sum(1).A1) @ pattern @ x, rtol=1e-5)
    assert levels.faces[2].tolist() == dense["F"][2].tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"D": []}, r"D: expected \[\(6, 12\), \(3, 6\)\], got \[\]"),
        ({"A": [np.zeros(3)]}, r"A\[0\]: expected a sparse matrix"),
        ({"F": [np.zeros((2, 3))] * 3}, "whole numbers"),
        ({"F": [np.full((2, 3), 99)] * 3}, "numbers below 12"),
        ({"F": [np.full((2, 3), -1)] * 3}, "negative"),
        ({"U": [print, print]}, "U: pickle: refers to __builtin__.print"),
    ],
)
def test_wrong_hierarchies_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "mesh_downsampling.npz"
    write_hierarchy(path, **changes)
    with pytest.raises(FormatError, match=message):
        mesh_levels(path)


def test_another_npz_and_a_level_that_is_not_there(tmp_path: Path, small: MeshLevels) -> None:
    np.savez(tmp_path / "other.npz", A=np.zeros(3))
    with pytest.raises(FormatError, match=r"misses D, F, U; expected mesh_downsampling.npz"):
        mesh_levels(tmp_path / "other.npz")
    with pytest.raises(ShapeError, match="level: expected 0 to 0 of 1, got 1"):
        small.up(1)
    with pytest.raises(FormatError, match="name vertex 5, of 4"):
        nested_levels(CORNERS[:4], (FINE, COARSE), "octahedron")
