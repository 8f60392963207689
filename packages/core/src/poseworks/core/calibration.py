"""Several cameras that stand in one world: their files, and from pixels to rays without the lens's distortion.

A point X of the world, in metres, lies at x = R X + t in a camera's axes (x right, y down, z away). OpenCV's distortion
k1 k2 p1 p2 k3 of the slopes a = x / z, b = y / z, with r^2 = a^2 + b^2 and f = 1 + k1 r^2 + k2 r^4 + k3 r^6:

    a' = f a + 2 p1 a b + p2 (r^2 + 2 a^2)      b' = f b + p1 (r^2 + 2 b^2) + 2 p2 a b

Files:

    .npz    K (V, 3, 3), R (V, 3, 3), t (V, 3), and where known dist (V, 4 or 5), size_wh (V, 2), camera (V,) names
    .json   a list of objects with the same entries, one a camera
    .toml   Pose2Sim's: tables with matrix, rotation (a Rodrigues vector), translation, distortions, size, name
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, FormatError
from poseworks.core.formats.reading import parse_json, read_npz, read_text
from poseworks.core.shapes import expect_shape

Array = NDArray[np.float64]

_KEYS = ("K", "R", "t", "dist", "size_wh", "camera")
_POSE2SIM = {
    "matrix": "K",
    "rotation": "R",
    "translation": "t",
    "distortions": "dist",
    "size": "size_wh",
    "name": "camera",
}
_ROUNDS = 20  # of the inverse distortion, whose error shrinks tenfold in each for usual lenses


@dataclass(frozen=True, eq=False)
class PlacedCamera:
    """A camera in a world.

    Attributes:
        lens: focal lengths and principal point.
        rotation: (3, 3) R, from the world's axes to the camera's.
        translation: (3,) t, metres.
        distortion: k1 k2 p1 p2 k3.
        image_size: (width, height), where it is known.
        name: of the camera, where it has one.

    Raises:
        ConfigError: with everything that is wrong.
    """

    lens: Pinhole
    rotation: Array
    translation: Array
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    image_size: tuple[int, int] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        faults = []
        if self.rotation.shape != (3, 3) or not np.isfinite(self.rotation).all():
            faults.append("R: expected 3 x 3 finite numbers")
        elif abs(self.rotation @ self.rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(self.rotation) < 0:
            faults.append("R: expected a rotation (orthonormal rows, determinant 1)")
        if self.translation.shape != (3,) or not np.isfinite(self.translation).all():
            faults.append("t: expected 3 finite numbers")
        if len(self.distortion) != 5 or not np.isfinite(self.distortion).all():
            faults.append("dist: expected 5 finite numbers, k1 k2 p1 p2 k3")
        if self.image_size is not None and (len(self.image_size) != 2 or min(self.image_size) <= 0):
            faults.append("size_wh: expected width and height above 0")
        if faults:
            raise ConfigError(f"camera {self.name}: {'; '.join(faults)}.")

    def project(self, points: ArrayLike) -> Array:
        """Pixels (..., 2) of points (..., 3) of the world; NaN where not in front of it.

        Raises:
            ShapeError: the last axis is not 3.
        """
        array = np.asarray(points, dtype=np.float64)
        expect_shape("points", array, "... C=3", fix="The last axis is x, y, z of the world.")
        placed = array @ self.rotation.T + self.translation
        slopes = placed[..., :2] / np.where(placed[..., 2:] > 0, placed[..., 2:], np.nan)
        lens = self.lens
        pixels: Array = self._distorted(slopes) * (lens.fx, lens.fy) + (lens.cx, lens.cy)
        return pixels

    def slopes(self, pixels: ArrayLike) -> Array:
        """(..., 2) x / z and y / z of what is seen at pixels (..., 2), the distortion taken out.

        Raises:
            ShapeError: the last axis is not 2.
        """
        wanted = self.lens.rays(pixels)[..., :2]
        slopes = wanted.copy()
        for _ in range(_ROUNDS):
            slopes = slopes + (wanted - self._distorted(slopes))
        return slopes

    def _distorted(self, slopes: Array) -> Array:
        k1, k2, p1, p2, k3 = self.distortion
        a, b = slopes[..., 0], slopes[..., 1]
        r2 = a * a + b * b
        factor = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        return np.stack(
            [
                factor * a + 2 * p1 * a * b + p2 * (r2 + 2 * a * a),
                factor * b + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b,
            ],
            axis=-1,
        )


def read_cameras(path: str | os.PathLike[str]) -> tuple[PlacedCamera, ...]:
    """The cameras in a file, in its order.

    Raises:
        FormatError: the file is not of one of the layouts above; lists every fault.
        DataError: it cannot be read.
    """
    source = Path(path)
    rows = _READERS.get(source.suffix.lower(), _no_format)(source)
    if not rows:
        raise FormatError(f"{source}: no camera.")
    cameras, faults = [], []
    for number, row in enumerate(rows):
        try:
            cameras.append(_camera(row, str(row.get("camera", number))))
        except (ConfigError, KeyError, TypeError, ValueError, OverflowError) as error:
            missing = f"no {error.args[0]}" if isinstance(error, KeyError) else str(error)
            faults.append(f"camera {number}: {missing}" if not isinstance(error, ConfigError) else str(error))
    if faults:
        raise FormatError(f"{source}: {'; '.join(fault.rstrip('.') for fault in faults)}.")
    return tuple(cameras)


def _camera(row: Mapping[str, Any], name: str) -> PlacedCamera:
    """A camera from the entries of one.

    Raises:
        ConfigError, KeyError, TypeError, ValueError, OverflowError: they are none.
    """
    matrix, rotation, translation = (np.asarray(row[key], dtype=np.float64) for key in ("K", "R", "t"))
    if matrix.shape != (3, 3):
        raise ValueError(f"K: expected 3 x 3 numbers, got {matrix.shape}")
    if rotation.shape == (3,):
        rotation = _rodrigues(rotation)
    dist = np.asarray(row.get("dist", ()), dtype=np.float64)
    if dist.ndim != 1 or len(dist) > 5:
        raise ValueError("dist: expected k1 k2 p1 p2 k3; longer models are not read")
    size = row.get("size_wh")
    return PlacedCamera(
        Pinhole(*(float(matrix[place]) for place in ((0, 0), (1, 1), (0, 2), (1, 2)))),
        rotation,
        translation.reshape(-1),
        tuple(np.pad(dist, (0, 5 - len(dist))).tolist()),
        None if size is None else tuple(int(length) for length in size),  # type: ignore[arg-type]
        name,
    )


def _rodrigues(vector: Array) -> Array:
    """(3, 3) rotation of a rotation vector."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / angle if angle else vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotation


def _from_npz(path: Path) -> Sequence[Mapping[str, Any]]:
    arrays = read_npz(path, _KEYS)
    missing = [key for key in ("K", "R", "t") if key not in arrays]
    if missing:
        raise FormatError(f"{path}: has no {', '.join(missing)}. Expected K, R and t of several cameras.")
    counts = {array.shape[0] if array.ndim else 0 for array in arrays.values()}
    if len(counts) != 1:
        raise FormatError(f"{path}: {', '.join(arrays)}: expected one row a camera in each.")
    return [{key: array[row] for key, array in arrays.items()} for row in range(counts.pop())]


def _from_json(path: Path) -> Sequence[Mapping[str, Any]]:
    data = parse_json(read_text(path), str(path))
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise FormatError(f"{path}: expected a JSON list of objects with K, R and t, one a camera.")
    return data


def _from_toml(path: Path) -> Sequence[Mapping[str, Any]]:
    try:
        data = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: is not TOML ({error}).") from None
    tables = [value for value in data.values() if isinstance(value, dict) and "matrix" in value]
    return [{_POSE2SIM[key]: value for key, value in table.items() if key in _POSE2SIM} for table in tables]


def _no_format(path: Path) -> Sequence[Mapping[str, Any]]:
    raise FormatError(f"{path}: expected a file of cameras, {', '.join(_READERS)}.")


_READERS = {".npz": _from_npz, ".json": _from_json, ".toml": _from_toml}
