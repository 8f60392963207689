"""Pictures of meshes, by a z-buffer on the CPU. NumPy only.

Q holds a triangle's corners in homogeneous pixels, one a column; pixel (x, y) sees its plane (Olano & Greer 1997) at

    b = Q^-1 (x, y, 1)       inside where b >= 0;   1 / z = b_1 + b_2 + b_3;   weights of the corners: b z

which is linear in x and y, also for a triangle that reaches behind the camera, so that nothing is clipped: on each row
of pixels the triangle is the interval where all b are at least 0 (and z at least the near plane's). The intervals of
all triangles are found at once, and of the pixels in them the nearest stays.

Axes of a camera: x right, y down, z away from it. Pixel (column i, row j) has its middle at (i + 0.5, j + 0.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.shapes import expect_shape

Array = NDArray[np.float64]
Colors = NDArray[np.float32]
Indices = NDArray[np.int64]
Picture = NDArray[np.uint8]
Shading = Literal["smooth", "flat"]

SKIN = (0.68, 0.74, 0.82)
"""Colour of a mesh that has none: a light blue grey, which no skin and few clothes have."""

_AT_A_TIME = 1 << 22  # pixels of triangles that are held at once
_SLACK = 1e-9  # pixels by which neighbours overlap, so that rounding leaves no gap between them


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in the axes of a camera.

    Attributes:
        vertices: (V, 3) in any unit; what lies behind the camera is not seen.
        faces: (F, 3) numbers of vertices, counter-clockwise seen from outside.
        colors: (V, 3) red, green, blue in 0..1 of each vertex, or (3,) of all.

    Raises:
        ShapeError: a shape is another.
        DataError: a vertex or a colour is not finite, or a face names a vertex that is not there.
    """

    vertices: Array
    faces: Indices
    colors: Colors = None  # type: ignore[assignment]  # __post_init__ fills it

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertices", np.asarray(self.vertices, dtype=np.float64))
        object.__setattr__(self, "faces", np.asarray(self.faces, dtype=np.int64))
        expect_shape("vertices", self.vertices, "V C=3")
        expect_shape("faces", self.faces, "F C=3")
        count = len(self.vertices)
        colors = np.asarray(SKIN if self.colors is None else self.colors, dtype=np.float32)
        if colors.shape not in ((3,), (count, 3)):
            raise ShapeError(f"colors: expected (3,) or ({count}, 3), got {colors.shape}.")
        object.__setattr__(self, "colors", np.broadcast_to(colors, (count, 3)))
        if not np.isfinite(self.vertices).all():
            raise DataError("vertices: expected finite numbers. Leave out a frame in which the body is missing.")
        if not np.isfinite(colors).all():
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


def render(
    meshes: Mesh | Sequence[Mesh],
    camera: Pinhole,
    image_size: tuple[int, int],
    *,
    light: Light = Light(),
    shading: Shading = "smooth",
    samples: int = 1,
    near: float = 0.01,
    cull: bool = True,
) -> Rendered:
    """The meshes as the camera sees them.

    Args:
        meshes: one or several.
        camera: of pictures of this size.
        image_size: width and height in pixels.
        light: that falls on them.
        shading: ``smooth``: of the corners, between which colours change gradually; ``flat``: of each triangle.
        samples: n: colour and coverage are means of n x n points in each pixel, which smooths edges and costs n x n.
        near: what lies nearer is not seen, in the unit of the vertices.
        cull: whether the insides of surfaces are left out; for closed meshes nothing changes but the time.

    Raises:
        ConfigError: a size or the near distance is not above 0.
    """
    width, height = image_size
    if not (width >= 1 and height >= 1 and samples >= 1):
        raise ConfigError(f"image_size, samples: expected 1 or more, got {width} x {height}, {samples}.")
    if not near > 0:
        raise ConfigError(f"near: expected a distance above 0, got {near}.")
    scene = _joined([meshes] if isinstance(meshes, Mesh) else meshes)
    columns, rows = width * samples, height * samples
    finer = Pinhole(samples * camera.fx, samples * camera.fy, samples * camera.cx, samples * camera.cy)
    corners = scene.vertices[scene.faces]
    seen, inverses = _inverses(corners, finer, near, cull)
    nearest = _nearest(corners[seen], inverses, finer, (columns, rows), near)
    hit = np.flatnonzero(nearest >= 0)
    chosen = nearest[hit]
    face = seen[chosen]
    shares = _at_pixels(inverses[chosen], hit % columns + 0.5, hit // columns + 0.5)
    z = (1 / shares.sum(axis=1)).astype(np.float32)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    if not cull:  # the side that is seen is lit
        normals *= -np.sign((normals * corners[:, 0]).sum(axis=1, keepdims=True))
    if shading == "flat":
        shaded = (scene.colors[scene.faces].mean(axis=1) * light.on(normals))[face]
    else:
        lit = scene.colors * light.on(_vertex_normals(normals, scene))
        weights = shares.astype(np.float32) * z[:, None]
        shaded = sum(weights[:, i, None] * lit[scene.faces[face, i]] for i in range(3))
    color = np.zeros((rows * columns, 3), np.uint8)
    color[hit] = np.rint(255 * np.clip(shaded, 0, 1))
    color, coverage = _averaged(color.reshape(rows, columns, 3), nearest.reshape(rows, columns) >= 0, samples)

    depth = np.full(rows * columns, np.inf, np.float32)
    faces = np.full(rows * columns, -1, np.int32)
    depth[hit], faces[hit] = z, face
    middle = np.s_[samples // 2 :: samples, samples // 2 :: samples]
    number = faces.reshape(rows, columns)[middle]
    return Rendered(
        color, coverage, np.ascontiguousarray(depth.reshape(rows, columns)[middle]), *scene.names_of(number)
    )


def face_parts(weights: ArrayLike, faces: ArrayLike) -> Indices:
    """(F,): of each triangle the joint that moves it most, by the skinning weights (V, J) of its corners.

    Raises:
        ShapeError: other shapes.
    """
    w, f = np.asarray(weights, dtype=np.float64), np.asarray(faces, dtype=np.int64)
    expect_shape("weights", w, "V J")
    expect_shape("faces", f, "F C=3")
    part: Indices = w[f].sum(axis=1).argmax(axis=1)
    return part


@dataclass(frozen=True, eq=False)
class _Scene:
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


def _joined(meshes: Sequence[Mesh]) -> _Scene:
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    counts = [len(mesh.faces) for mesh in meshes]
    return _Scene(
        np.concatenate([np.zeros((0, 3)), *(mesh.vertices for mesh in meshes)]),
        np.concatenate([np.zeros((0, 3), np.float32), *(mesh.colors for mesh in meshes)]),
        np.concatenate(
            [np.zeros((0, 3), np.int64), *(mesh.faces + start for mesh, start in zip(meshes, starts, strict=False))]
        ),
        np.repeat(np.arange(len(meshes), dtype=np.int32), counts),
        np.concatenate([np.zeros(0, np.int32), *(np.arange(count, dtype=np.int32) for count in counts)]),
    )


def _inverses(corners: Array, camera: Pinhole, near: float, cull: bool) -> tuple[Indices, Array]:
    """Numbers of the triangles that can be seen, and Q^-1 (N, 3, 3) of each."""
    x, y, z = np.moveaxis(corners, -1, 0)
    q0, q1, q2 = np.moveaxis(np.stack((camera.fx * x + camera.cx * z, camera.fy * y + camera.cy * z, z), -1), 1, 0)
    rows = np.stack((np.cross(q1, q2), np.cross(q2, q0), np.cross(q0, q1)), axis=1)
    determinant = (rows[:, 0] * q0).sum(axis=1)  # below 0: seen from outside
    seen = np.flatnonzero((z.max(axis=1) > near) & ((determinant < 0) if cull else (determinant != 0)))
    return seen, rows[seen] / determinant[seen, None, None]


def _at_pixels(inverses: Array, x: NDArray[Any], y: NDArray[Any]) -> Array:
    """(N, 3): b of each triangle at a point of its own."""
    b: Array = inverses[..., 0] * x[:, None] + inverses[..., 1] * y[:, None] + inverses[..., 2]
    return b


def _nearest(corners: Array, inverses: Array, camera: Pinhole, size: tuple[int, int], near: float) -> Indices:
    """(H W,): number of the triangle that is seen in each pixel, -1 where there is none."""
    columns, rows = size
    # The larger, the nearer: 1 / z as bits, which order positive numbers as the numbers, then the triangle's number.
    best = np.zeros(rows * columns, dtype=np.int64)
    for triangle, row, start, count in _spans(corners, inverses, camera, size, near):
        slope = inverses[..., 0].sum(axis=1)[triangle]
        first = _at_pixels(inverses[triangle], start + 0.5, row + 0.5).sum(axis=1)
        along = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        near_by = np.maximum(np.repeat(first, count) + np.repeat(slope, count) * along, 0)
        key = near_by.astype(np.float32).view(np.int32).astype(np.int64) << 32 | np.repeat(triangle + 1, count)
        np.maximum.at(best, np.repeat(row * columns + start, count) + along, key)
    found: Indices = (best & 0xFFFFFFFF) - 1
    return found


def _spans(
    corners: Array, inverses: Array, camera: Pinhole, size: tuple[int, int], near: float
) -> Iterator[tuple[Indices, Indices, Indices, Indices]]:
    """Intervals of pixels that triangles fill: triangle, row, first column, how many columns, (N,) each, in pieces."""
    columns, rows = size
    z = corners[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        y = camera.fy * corners[..., 1] / z + camera.cy
        whole = z.min(axis=1) >= near  # in front of the camera; else any row may see it
        top = np.ceil(np.where(whole, y.min(axis=1), 0) - 0.5 - _SLACK)
        end = np.floor(np.where(whole, y.max(axis=1), rows) - 0.5 + _SLACK) + 1
    first = np.clip(top, 0, rows).astype(np.int64)
    height = np.clip(end, 0, rows).astype(np.int64) - first
    kept = np.flatnonzero(height > 0)
    ends = np.cumsum(height[kept])
    for piece in np.split(kept, np.searchsorted(ends, np.arange(_AT_A_TIME, ends[-1] if len(ends) else 0, _AT_A_TIME))):
        triangle = np.repeat(piece, height[piece])
        row = np.arange(len(triangle)) - np.repeat(
            np.cumsum(height[piece]) - height[piece] - first[piece], height[piece]
        )
        slope, base = inverses[..., 0][triangle], _at_pixels(inverses[triangle], np.zeros(len(row)), row + 0.5)
        # And 1 / z no more than at the near plane.
        slope = np.concatenate((slope, -slope.sum(axis=1, keepdims=True)), axis=1)
        base = np.concatenate((base, 1 / near - base.sum(axis=1, keepdims=True)), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            edge = -base / slope
        low = np.where(slope > 0, edge, np.where((slope == 0) & (base < 0), np.inf, -np.inf)).max(axis=1)
        high = np.where(slope < 0, edge, np.inf).min(axis=1)
        start = np.clip(np.ceil(low - 0.5 - _SLACK), 0, columns).astype(np.int64)
        count = np.clip(np.floor(high - 0.5 + _SLACK) + 1, 0, columns).astype(np.int64) - start
        filled = np.flatnonzero(count > 0)
        total = np.cumsum(count[filled])
        cuts = np.searchsorted(total, np.arange(_AT_A_TIME, total[-1] if len(total) else 0, _AT_A_TIME))
        for part in np.split(filled, cuts):
            yield triangle[part], row[part], start[part], count[part]


def _vertex_normals(normals: Array, scene: _Scene) -> Array:
    """(V, 3): sums of the normals of the triangles around each vertex, each as long as its triangle is large."""
    corner = scene.faces.ravel()
    sums = [np.bincount(corner, np.repeat(normals[:, axis], 3), len(scene.vertices)) for axis in range(3)]
    return np.stack(sums, axis=1)


def _averaged(color: Picture, covered: NDArray[np.bool_], samples: int) -> tuple[Picture, NDArray[np.float32]]:
    """Colour and coverage of pixels from n x n points in each; the colour is the mean of those that are covered."""
    if samples == 1:
        return color, covered.astype(np.float32)
    rows, columns = (size // samples for size in covered.shape)
    share = covered.reshape(rows, samples, columns, samples).mean(axis=(1, 3), dtype=np.float32)
    mean = color.reshape(rows, samples, columns, samples, 3).mean(axis=(1, 3), dtype=np.float32)
    filled: Picture = np.rint(mean / np.maximum(share, 1e-6)[..., None]).clip(0, 255).astype(np.uint8)
    return filled, share
