"""From meshes to a picture: what is seen where, lit and averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError
from poseworks.core.rendering.scene import (
    Array,
    Colors,
    Indices,
    Light,
    Mesh,
    Picture,
    Rendered,
    Scene,
    joined,
)
from poseworks.core.rendering.zbuffer import at_pixels, cross, inverse_corners, nearest_triangles
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
    corners = np.ascontiguousarray(scene.vertices[scene.faces].T)  # (3 axes, 3 corners, F)
    left, top, right, end = _window(corners, camera, (width, height), near)
    size = (samples * (right - left), samples * (end - top))
    view = Pinhole(samples * camera.fx, samples * camera.fy, samples * (camera.cx - left), samples * (camera.cy - top))
    seen, inverses = inverse_corners(corners, view, near, cull)
    nearest = nearest_triangles(corners[:, :, seen], inverses, view, size, near)
    hit = np.flatnonzero(nearest >= 0)
    chosen = nearest[hit]
    face = seen[chosen]
    shares = at_pixels(inverses[:, :, chosen], hit % size[0] + 0.5, hit // size[0] + 0.5)
    z = (1 / (shares[0] + shares[1] + shares[2])).astype(np.float32)
    lit = _lit(scene, corners, light, face, shares.astype(np.float32) * z, shading, cull)

    grid = (end - top, samples, right - left, samples)
    points = np.zeros((len(nearest), 3), np.uint8)
    points[hit] = np.rint(255 * np.clip(lit, 0, 1))
    distance, number = np.full(len(nearest), np.inf, np.float32), np.full(len(nearest), -1, np.int32)
    distance[hit], number[hit] = z, face
    part = np.s_[top:end, left:right]
    middle = np.s_[:, samples // 2, :, samples // 2]
    color, coverage = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.float32)
    depth = np.full((height, width), np.inf, np.float32)
    mesh, inside = (np.full((height, width), -1, np.int32) for _ in range(2))
    color[part], coverage[part] = _averaged(points.reshape(*grid, 3), (nearest >= 0).reshape(grid))
    depth[part] = distance.reshape(grid)[middle]
    mesh[part], inside[part] = scene.names_of(number.reshape(grid)[middle])
    return Rendered(color, coverage, depth, mesh, inside)


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


def _window(corners: Array, camera: Pinhole, size: tuple[int, int], near: float) -> tuple[int, int, int, int]:
    """First column and row, end column and row of the part of the picture outside which nothing is seen."""
    x, y, z = corners
    if not z.size or z.min() < near:
        return 0, 0, *size
    bounds = []
    for focal, center, axis, most in ((camera.fx, camera.cx, x, size[0]), (camera.fy, camera.cy, y, size[1])):
        pixels = focal * axis / z + center
        low = min(max(math.floor(pixels.min()) - 1, 0), most - 1)
        bounds.append((low, min(max(math.ceil(pixels.max()) + 1, low + 1), most)))
    return bounds[0][0], bounds[1][0], bounds[0][1], bounds[1][1]


def _lit(
    scene: Scene, corners: Array, light: Light, face: Indices, weights: Colors, shading: Shading, cull: bool
) -> Colors:
    """(N, 3): colours of points on triangles `face`, weights (3, N) of whose corners are given."""
    first = corners[:, 0]
    normals = cross(corners[:, 1] - first, corners[:, 2] - first)
    # The side that is seen is lit.
    inner = np.zeros(1, np.int64) if cull else ((normals * first).sum(axis=0) > 0)[face].astype(np.int64)
    sides = (1.0,) if cull else (1.0, -1.0)
    if shading == "flat":
        base = scene.colors[scene.faces].mean(axis=1)
        of_faces = np.stack([base * light.on(side * normals.T) for side in sides])
        colored: Colors = of_faces[inner, face]
        return colored
    corner = scene.faces.ravel()
    # Sums of the normals of the triangles around each vertex, each as long as its triangle is large.
    around: Array = np.stack([np.bincount(corner, np.repeat(axis, 3), len(scene.vertices)) for axis in normals], axis=1)
    of_vertices = np.stack([scene.colors * light.on(side * around) for side in sides])
    mixed: Colors = sum(weight[:, None] * of_vertices[inner, scene.faces[face, i]] for i, weight in enumerate(weights))
    return mixed


def _averaged(points: Picture, covered: NDArray[np.bool_]) -> tuple[Picture, NDArray[np.float32]]:
    """Colour and coverage of pixels from n x n points in each, (H, n, W, n, 3) and (H, n, W, n).

    The colour is the mean of the points that are covered.
    """
    if covered.shape[1] == 1:
        return points[:, 0, :, 0], covered[:, 0, :, 0].astype(np.float32)
    share = covered.mean(axis=(1, 3), dtype=np.float32)
    mean = points.mean(axis=(1, 3), dtype=np.float32)
    filled: Picture = np.rint(mean / np.maximum(share, 1e-6)[..., None]).clip(0, 255).astype(np.uint8)
    return filled, share
