"""What is rendered, the light on it, and the picture that comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.shapes import expect_shape

Array = NDArray[np.float64]
Colors = NDArray[np.float32]
Indices = NDArray[np.int64]
Picture = NDArray[np.uint8]

SKIN = (0.68, 0.74, 0.82)
"""Colour of a mesh that has none: a light blue grey, which no skin and few clothes have."""


class Mesh:
    """Triangles in the axes of a camera.

    Attributes:
        vertices: (V, 3) in any unit; what lies behind the camera is not seen.
        faces: (F, 3) numbers of vertices, counter-clockwise seen from outside.
        colors: (V, 3) red, green, blue in 0..1 of each vertex.
    """

    def __init__(self, vertices: ArrayLike, faces: ArrayLike, colors: ArrayLike = SKIN) -> None:
        """A mesh whose vertices have the given colours, (V, 3), or one colour, (3,).

        Raises:
            ShapeError: a shape is another.
            DataError: a vertex or a colour is not finite, or a face names a vertex that is not there.
        """
        self.vertices: Array = np.asarray(vertices, dtype=np.float64)
        self.faces: Indices = np.asarray(faces, dtype=np.int64)
        expect_shape("vertices", self.vertices, "V C=3")
        expect_shape("faces", self.faces, "F C=3")
        count = len(self.vertices)
        given = np.asarray(colors, dtype=np.float32)
        if given.shape not in ((3,), (count, 3)):
            raise ShapeError(f"colors: expected (3,) or ({count}, 3), got {given.shape}.")
        self.colors: Colors = np.broadcast_to(given, (count, 3))
        if not np.isfinite(self.vertices).all():
            raise DataError("vertices: expected finite numbers. Leave out a frame in which the body is missing.")
        if not np.isfinite(given).all():
            raise DataError("colors: expected finite numbers from 0 to 1.")
        if len(self.faces) and not (self.faces.min() >= 0 and self.faces.max() < count):
            raise DataError(
                f"faces: expected vertices 0 to {count - 1}, got {self.faces.min()} to {self.faces.max()}. "
                "The triangles are those of another mesh."
            )


@dataclass(frozen=True)
class Light:
    """Light from one direction and from everywhere.

    Attributes:
        direction: x, y, z towards the light, in the axes of the camera; any length.
        ambient: share of a colour that is seen where no light falls.
        diffuse: share that is added where it falls straight on the surface.
        color: red, green, blue in 0..1 of the light that falls.

    Raises:
        ConfigError: the direction is zero or not finite, or a share is negative.
    """

    direction: tuple[float, float, float] = (-0.4, -0.7, -1.0)
    ambient: float = 0.35
    diffuse: float = 0.65
    color: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        length = float(np.linalg.norm(self.direction))
        if not (np.isfinite(length) and length > 0):
            raise ConfigError(f"light: expected a direction of finite numbers, not all 0, got {self.direction}.")
        if not (self.ambient >= 0 and self.diffuse >= 0):
            raise ConfigError(f"light: expected shares of 0 or more, got {self.ambient} and {self.diffuse}.")

    def on(self, normals: Array) -> Colors:
        """(N, 3): what a white surface with these normals (N, 3), of any length, looks like."""
        towards = np.asarray(self.direction) / np.linalg.norm(self.direction)
        length = np.sqrt((normals**2).sum(axis=-1))
        cosine = np.clip(normals @ towards / np.maximum(length, 1e-30), 0, 1)
        lit: Colors = (self.ambient + self.diffuse * cosine[:, None] * self.color).astype(np.float32)
        return lit


@dataclass(frozen=True, eq=False)
class Rendered:
    """A picture of meshes.

    Attributes:
        color: (H, W, 3) uint8; black where nothing is.
        coverage: (H, W) float32 in 0..1: how much of a pixel the meshes fill.
        depth: (H, W) float32, z of what is seen in the middle of a pixel; infinite where nothing is.
        mesh: (H, W) int32, number of the mesh seen there; -1 where none is.
        face: (H, W) int32, number of the triangle within its mesh; -1 where none is.
    """

    color: Picture
    coverage: NDArray[np.float32]
    depth: NDArray[np.float32]
    mesh: NDArray[np.int32]
    face: NDArray[np.int32]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W): a mesh is seen in the middle of the pixel."""
        return np.asarray(self.mesh >= 0)

    def over(self, picture: Picture, opacity: float = 1.0) -> Picture:
        """(H, W, 3): a picture of the same size with the meshes over it.

        Raises:
            ShapeError: the picture has another size or is not uint8.
            ConfigError: the opacity is not in 0..1.
        """
        if picture.shape != self.color.shape or picture.dtype != np.uint8:
            raise ShapeError(f"picture: expected {self.color.shape} uint8, got {picture.shape} {picture.dtype}.")
        if not 0 <= opacity <= 1:
            raise ConfigError(f"opacity: expected a number from 0 to 1, got {opacity}.")
        out = picture.copy()
        rows, columns = (np.flatnonzero(self.coverage.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            return out
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        share = opacity * self.coverage[part][..., None]
        out[part] = np.rint(picture[part] + share * (self.color[part].astype(np.float32) - picture[part]))
        return out


@dataclass(frozen=True, eq=False)
class Scene:
    """Meshes in one list of vertices and one of triangles."""

    vertices: Array  # (V, 3)
    colors: Colors  # (V, 3)
    faces: Indices  # (F, 3)
    mesh: NDArray[np.int32]  # (F,) number of the mesh
    face: NDArray[np.int32]  # (F,) number within it

    def names_of(self, faces: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Of each triangle its mesh and its number in it; -1 where it is -1."""
        nothing = np.array([-1], dtype=np.int32)  # which is the last entry, where -1 points
        return np.concatenate((self.mesh, nothing))[faces], np.concatenate((self.face, nothing))[faces]


def joined(meshes: Sequence[Mesh]) -> Scene:
    """The meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    counts = [len(mesh.faces) for mesh in meshes]
    return Scene(
        np.concatenate([np.zeros((0, 3)), *(mesh.vertices for mesh in meshes)]),
        np.concatenate([np.zeros((0, 3), np.float32), *(mesh.colors for mesh in meshes)]),
        np.concatenate(
            [np.zeros((0, 3), np.int64), *(mesh.faces + start for mesh, start in zip(meshes, starts, strict=False))]
        ),
        np.repeat(np.arange(len(meshes), dtype=np.int32), counts),
        np.concatenate([np.zeros(0, np.int32), *(np.arange(count, dtype=np.int32) for count in counts)]),
    )
