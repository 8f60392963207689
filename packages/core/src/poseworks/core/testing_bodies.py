"""Bodies for the tests of every package: one that is made of formulas, and files as users have them. NumPy only."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_models.data import SMPL_EXTRA_VERTICES, SMPL_PARENTS, BodyData, BodyInfo
from poseworks.core.body_models.motion import BodyFrame, BodyMotion
from poseworks.core.testing import seeded_input

Array = NDArray[Any]

VERTICES = 6890


def synthetic_body() -> BodyData:
    """A body of SMPL's sizes and no sense: the one that the reference vectors were computed on."""
    i = np.arange(VERTICES)
    u = (i + 0.5) / VERTICES
    angle = 2 * np.pi * (i * 0.6180339887498949 % 1)
    width = np.sqrt(1 - (2 * u - 1) ** 2)
    template = np.stack((0.25 * width * np.cos(angle), 0.85 * (1 - 2 * u), 0.15 * width * np.sin(angle)), axis=1)
    weights = np.zeros((VERTICES, 24), np.float32)
    np.add.at(weights, (i, i % 24), 0.7)
    np.add.at(weights, (i, (7 * i + 3) % 24), 0.3)
    return BodyData(
        v_template=template.astype(np.float32),
        shapedirs=seeded_input("smpl_shapedirs", (VERTICES, 3, 10), 0.01),
        posedirs=seeded_input("smpl_posedirs", (VERTICES, 3, 207), 0.002),
        J_regressor=synthetic_regressor(24, 287, 13, 10),
        weights=weights,
        faces=_closed_surface(),
        extra_vertices=SMPL_EXTRA_VERTICES,
        info=BodyInfo("smpl", source="synthetic"),
    )


def synthetic_regressor(rows: int, row_step: int, step: int, entries: int) -> NDArray[np.float32]:
    """(rows, 6890): in row r the mean of the vertices row_step r + step k, k below `entries`."""
    matrix = np.zeros((rows, VERTICES), np.float32)
    for row in range(rows):
        matrix[row, (row_step * row + step * np.arange(entries)) % VERTICES] = 1 / entries
    return matrix


def random_motion(
    frames: int = 6, people: int = 1, *, frame: BodyFrame = "world", gaps: bool = False, seed: int = 0
) -> BodyMotion:
    """People numbered 2, 9, 16, ... of the free body who turn every joint at random, 3 m away or up.

    With `gaps` the first is gone in frames 2 and 3, the others in the first and the last frame.
    """
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {
        "global_orient": rng.normal(size=(people, frames, 3)),
        "body_pose": 0.6 * rng.normal(size=(people, frames, 23, 3)),
        "transl": rng.normal((0, 0, 3), size=(people, frames, 3)),
    }
    if gaps:
        for array in arrays.values():
            array[0, 2:4] = np.nan
            array[1:, [0, -1]] = np.nan
    return BodyMotion(
        **arrays,
        betas=rng.normal(size=(people, 10)).astype(np.float32),
        fps=30,
        body="free",
        frame=frame,
        person_ids=2 + 7 * np.arange(people),
        history=({"verb": "test"},),
    )


def body_arrays(data: BodyData) -> dict[str, Array]:
    """What an official file of this body holds, dense."""
    parents = np.array(SMPL_PARENTS, dtype=np.int64)
    return {
        "v_template": np.asarray(data.v_template, np.float64),
        "shapedirs": np.asarray(data.shapedirs, np.float64),
        "posedirs": np.asarray(data.posedirs, np.float64)
        if data.posedirs is not None
        else np.zeros((VERTICES, 3, 207)),
        "J_regressor": np.asarray(data.J_regressor, np.float64),
        "weights": np.asarray(data.weights, np.float64),
        "kintree_table": np.stack((parents.astype(np.uint32), np.arange(24, dtype=np.uint32))),
        "f": np.asarray(data.faces, np.uint32),
        "J": np.asarray(data.J_regressor @ data.v_template, np.float64),
    }


def write_body_pickle(path: Path, arrays: Mapping[str, Any], protocol: int = 2) -> None:
    """An official .pkl of these arrays: the regressor sparse, float arrays as chumpy's objects, one of them a view."""
    with foreign_classes() as (ch, select, csc):
        stored: dict[str, Any] = {"bs_type": "lrotmin", "bs_style": "lbs", **arrays}
        for name in ("v_template", "posedirs", "weights", "J"):
            stored[name] = ch(x=arrays[name], _dirty_vars=set(), _itr=None, _depends_on_deps={})
        shapedirs = np.asarray(arrays["shapedirs"])
        stored["shapedirs"] = select(
            a=ch(x=shapedirs), idxs=np.arange(shapedirs.size), preferred_shape=shapedirs.shape, _dirty_vars={"a"}
        )
        stored["J_regressor"] = csc(**csc_parts(np.asarray(arrays["J_regressor"])), maxprint=50)
        path.write_bytes(foreign_pickle(stored, protocol))


def csc_parts(matrix: Array) -> dict[str, Any]:
    """Attributes of scipy's csc_matrix."""
    columns, rows = np.nonzero(matrix.T)
    counts = np.bincount(columns, minlength=matrix.shape[1])
    return {
        "_shape": matrix.shape,
        "data": matrix[rows, columns],
        "indices": rows.astype(np.int32),
        "indptr": np.concatenate(([0], np.cumsum(counts))).astype(np.int32),
    }


class _Attributes:
    """An object that is its attributes, as the foreign ones are in a pickle."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


# Classes pickle by the name of a module that exists; the pickle then gets the name that is meant, of equal length.
_NAMES = {"chumpy_ch": "Ch", "chumpy_reordering": "Select", "scipy_sparse_csc": "csc_matrix"}


@contextmanager
def foreign_classes() -> Iterator[tuple[type[_Attributes], ...]]:
    """Classes that `foreign_pickle` stores as chumpy's Ch and Select and scipy's csc_matrix."""
    try:
        made = []
        for module, name in _NAMES.items():
            sys.modules[module] = ModuleType(module)
            made.append(type(name, (_Attributes,), {"__module__": module}))
            setattr(sys.modules[module], name, made[-1])
        yield tuple(made)
    finally:
        for module in _NAMES:
            sys.modules.pop(module, None)


def foreign_pickle(value: Any, protocol: int = 2) -> bytes:
    """The pickle of a value that holds instances of `foreign_classes`, within their block."""
    data = pickle.dumps(value, protocol)
    for module in _NAMES:
        data = data.replace(module.encode(), module.replace("_", ".").encode())
    return data


def _closed_surface() -> NDArray[np.int32]:
    """(13776, 3) triangles of a closed surface on 6890 vertices: a pole, 84 rings of 82, a pole."""
    rings, around = 84, 82
    ring = 1 + np.arange(rings * around).reshape(rings, around)
    following = np.roll(ring, -1, axis=1)
    above, below = ring[:-1], ring[1:]
    next_above, next_below = following[:-1], following[1:]
    sides = [np.stack((above, next_above, below), -1), np.stack((next_above, next_below, below), -1)]
    top = np.stack((np.zeros(around, np.int64), following[0], ring[0]), -1)
    bottom = np.stack((np.full(around, VERTICES - 1), ring[-1], following[-1]), -1)
    return np.concatenate([top, *(part.reshape(-1, 3) for part in sides), bottom]).astype(np.int32)
