"""From meshes to a picture: what is seen where, lit and averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError
from poseworks.core.rendering.scene import Array, Indices, Light, Mesh, Picture, Rendered, Scene, joined
from poseworks.core.rendering.zbuffer import at_pixels, inverse_corners, nearest_triangles
from poseworks.core.shapes import expect_shape

Shading = Literal["smooth", "flat"]


def render(
    meshes: Mesh | Sequence[Mesh],
    camera: Pinhole,
    image_size: tuple[int, int],
    *,
    light: Light = Light(),  # noqa: B008 (frozen)
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
    scene = joined([meshes] if isinstance(meshes, Mesh) else meshes)
    columns, rows = width * samples, height * samples
    finer = Pinhole(samples * camera.fx, samples * camera.fy, samples * camera.cx, samples * camera.cy)
    corners = scene.vertices[scene.faces]
    seen, inverses = inverse_corners(corners, finer, near, cull)
    nearest = nearest_triangles(corners[seen], inverses, finer, (columns, rows), near)
    hit = np.flatnonzero(nearest >= 0)
    chosen = nearest[hit]
    face = seen[chosen]
    shares = at_pixels(inverses[chosen], hit % columns + 0.5, hit // columns + 0.5)
    z = (1 / shares.sum(axis=1)).astype(np.float32)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # The side that is seen is lit.
    inner = (
        np.zeros(len(face), np.int64) if cull else ((normals * corners[:, 0]).sum(axis=1) > 0)[face].astype(np.int64)
    )
    if shading == "flat":
        base = scene.colors[scene.faces].mean(axis=1)
        shaded = (base * np.stack((light.on(normals), light.on(-normals))))[inner, face]
    else:
        around = _vertex_normals(normals, scene)
        lit = scene.colors * np.stack((light.on(around), light.on(-around)))
        weights = shares.astype(np.float32) * z[:, None]
        shaded = sum(weights[:, i, None] * lit[inner, scene.faces[face, i]] for i in range(3))
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


def _vertex_normals(normals: Array, scene: Scene) -> Array:
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
