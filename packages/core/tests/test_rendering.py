"""The renderer: against rays that are traced one by one, and against figures that are known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.rendering import Light, Mesh, face_parts, render

Array = NDArray[np.float64]
CAMERA = Pinhole(50.0, 60.0, 21.0, 14.5)
SIZE = (40, 30)
GREY = Light(ambient=1.0, diffuse=0.0)


def soup(seed: int, count: int, spread: float = 1.0) -> Mesh:
    """Triangles here and there in front of the camera, some of them reaching behind it."""
    random = np.random.default_rng(seed)
    middle = random.normal(0, 1, (count, 1, 3)) * [1, 1, 0.7] + [0, 0, 1.0]
    corners = middle + spread * random.normal(0, 0.7, (count, 3, 3))
    return Mesh(corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3), random.uniform(0, 1, (3 * count, 3)))


def traced(mesh: Mesh, near: float) -> tuple[Array, Array]:
    """Depth and triangle at each pixel's middle, by Moeller and Trumbore's test of every ray with every triangle."""
    width, height = SIZE
    rays = CAMERA.rays(np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1) + 0.5)
    depth, face = np.full((height, width), np.inf), np.full((height, width), -1)
    for number, (a, b, c) in enumerate(mesh.vertices[mesh.faces]):
        ab, ac = b - a, c - a
        h, q = np.cross(rays, ac), np.cross(-a, ab)
        scale = h @ ab
        u, v, z = h @ -a / scale, rays @ q / scale, ac @ q / scale
        hit = (np.minimum(np.minimum(u, v), 1 - u - v) >= 0) & (z >= near) & (z < depth)
        depth[hit], face[hit] = z[hit], number
    return depth, face


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Mesh:
    """A closed box, its triangles counter-clockwise seen from outside."""
    corners = np.array([[(low, high)[i][0], (low, high)[j][1], (low, high)[k][2]] for i, j, k in np.ndindex(2, 2, 2)])
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return Mesh(corners, np.array([[s[a], s[b], s[c]] for s in sides for a, b, c in ((0, 1, 2), (0, 2, 3))]))


@pytest.mark.parametrize("seed", [0, 1])
def test_depth_and_triangles_are_those_of_traced_rays(seed: int) -> None:
    mesh = soup(seed, 8)
    assert (mesh.vertices[:, 2] < 0).any()
    depth, face = traced(mesh, near=0.3)
    got = render(mesh, CAMERA, SIZE, near=0.3, cull=False)
    assert (got.face >= 0).sum() > 100
    np.testing.assert_array_equal(got.face, face)
    np.testing.assert_allclose(got.depth, depth, rtol=1e-5)
    np.testing.assert_array_equal(got.mask, np.isfinite(depth))


def test_insides_are_left_out_and_a_closed_mesh_hides_them_anyway() -> None:
    mesh = box((-0.51, -0.41, 2.0), (0.32, 0.43, 3.0))
    culled, all_sides = (render(mesh, CAMERA, SIZE, cull=cull) for cull in (True, False))
    np.testing.assert_array_equal(culled.face, all_sides.face)
    np.testing.assert_array_equal(culled.color, all_sides.color)
    inside_out = Mesh(mesh.vertices, mesh.faces[:, ::-1])
    assert render(inside_out, CAMERA, SIZE).depth[15, 20] == pytest.approx(3.0)  # the far wall, seen from within


def test_the_middle_of_a_pixel_decides() -> None:
    # In front of pixels 10 to 13 and rows 5 to 7, whose middles lie at half numbers: x from 10.5 to 13.5, y 5.5 to 7.5.
    def place(x: float, y: float) -> list[float]:
        return [(x - CAMERA.cx) / CAMERA.fx * 2, (y - CAMERA.cy) / CAMERA.fy * 2, 2.0]

    corners = [place(10.4, 5.4), place(13.6, 5.4), place(13.6, 7.6), place(10.4, 7.6)]
    mesh = Mesh(np.array(corners), np.array([[0, 2, 1], [0, 3, 2]]))
    seen = render(mesh, CAMERA, SIZE).mask
    expected = np.zeros_like(seen)
    expected[5:8, 10:14] = True
    np.testing.assert_array_equal(seen, expected)


def test_neighbours_leave_no_gap() -> None:
    random = np.random.default_rng(3)
    x, y = np.meshgrid(np.linspace(-1.2, 1.2, 60), np.linspace(-1.2, 1.2, 50))
    points = np.stack([x, y, 1.5 + 0.2 * random.uniform(size=x.shape)], axis=-1).reshape(-1, 3)
    corner = (np.arange(49)[:, None] * 60 + np.arange(59)).ravel()
    faces = np.concatenate(
        [np.stack(t, axis=1) for t in ((corner, corner + 60, corner + 61), (corner, corner + 61, corner + 1))]
    )
    assert render(Mesh(points, faces), Pinhole.from_focal(200, (240, 200)), (240, 200), cull=False).mask.all()


def test_colors_are_interpolated_in_space_not_in_the_picture() -> None:
    slope = np.array([[-1.0, -1, 1], [1, -1, 3], [1, 1, 3], [-1, 1, 1]])
    red = np.array([[0.0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]])
    got = render(Mesh(slope, np.array([[0, 2, 1], [0, 3, 2]]), red), CAMERA, SIZE, light=GREY, cull=False)
    depth = got.depth[got.mask]  # which rises from 1 to 3 as the red from 0 to 1
    np.testing.assert_allclose(got.color[got.mask][:, 0], 255 * (depth - 1) / 2, atol=0.6)


def test_light_falls_by_the_cosine() -> None:
    wall = Mesh(
        np.array([[-1.0, -1, 2], [1, -1, 2], [1, 1, 2], [-1, 1, 2]]), np.array([[0, 2, 1], [0, 3, 2]]), (1, 1, 1)
    )
    for shading in ("smooth", "flat"):
        light = Light(direction=(0, -3, -3), ambient=0.2, diffuse=0.6, color=(1.0, 0.5, 0.0))
        color = render(wall, CAMERA, SIZE, light=light, shading=shading).color[15, 20]
        cosine = np.sqrt(0.5)
        np.testing.assert_allclose(color, 255 * np.array([0.2 + 0.6 * cosine, 0.2 + 0.3 * cosine, 0.2]), atol=0.6)
        behind = render(wall, CAMERA, SIZE, light=Light(direction=(0, 0, 1)), shading=shading)
        assert behind.color[15, 20, 0] == round(255 * 0.35)


def test_of_two_meshes_the_nearer_is_seen() -> None:
    far, near = box((-1, -1, 4), (1, 1, 5)), box((0.01, -0.21, 2), (0.41, 0.19, 3))
    got = render([far, near], CAMERA, SIZE)
    assert set(np.unique(got.mesh)) == {-1, 0, 1}
    alone = render(near, CAMERA, SIZE)
    np.testing.assert_array_equal(got.mesh == 1, alone.mask)
    np.testing.assert_array_equal(got.face[alone.mask], alone.face[alone.mask])
    assert render([], CAMERA, SIZE).mask.sum() == 0


def test_more_points_a_pixel_tell_how_much_of_it_is_covered() -> None:
    wall = box((-0.31, -0.27, 2.0), (0.33, 0.21, 2.5))
    got = render(wall, CAMERA, SIZE, samples=8, light=GREY)
    true = (0.64 * 50 / 2) * (0.48 * 60 / 2)  # pixels of its front, which hides the rest
    assert got.coverage.sum() == pytest.approx(true, rel=0.02)
    assert np.unique(got.color[got.coverage > 0], axis=0).shape == (1, 3)  # no black at the edges
    background = np.full((30, 40, 3), 200, np.uint8)
    over = got.over(background)
    edge = (got.coverage > 0.4) & (got.coverage < 0.6)
    assert edge.any()
    expected = 200 + got.coverage[edge] * (got.color[edge][:, 0].astype(float) - 200)
    np.testing.assert_allclose(over[edge][:, 0], expected, atol=0.6)
    np.testing.assert_array_equal(over[got.coverage == 0], 200)
    np.testing.assert_array_equal(got.over(background, 0.0), background)
    assert (background == 200).all()


def test_many_pixels_at_once_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = soup(2, 12)
    whole = render(mesh, CAMERA, SIZE, cull=False)
    monkeypatch.setattr("poseworks.core.rendering.zbuffer._AT_A_TIME", 50)
    parts = render(mesh, CAMERA, SIZE, cull=False)
    np.testing.assert_array_equal(whole.face, parts.face)
    np.testing.assert_array_equal(whole.color, parts.color)


def test_what_is_outside_of_the_picture_changes_nothing_in_it() -> None:
    mesh = box((-0.31, -0.23, 2.0), (0.33, 0.21, 2.5))
    beside = [box((x, y, 2.0), (x + 0.5, y + 0.3, 2.2)) for x, y in ((-9, 0), (8, 0.1), (0, -7), (0.1, 6))]
    alone, together = render(mesh, CAMERA, SIZE, samples=3), render([mesh, *beside], CAMERA, SIZE, samples=3)
    assert alone.mask.any()
    for name in ("color", "coverage", "mesh", "face"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(together, name))
    for side in beside:
        assert not render(side, CAMERA, SIZE).coverage.any()


def test_parts_of_a_body_are_the_joints_that_move_the_corners_most() -> None:
    weights = np.array([[1.0, 0], [0.6, 0.4], [0.1, 0.9], [0, 1]])
    np.testing.assert_array_equal(face_parts(weights, [[0, 1, 2], [1, 2, 3]]), [0, 1])


def test_what_cannot_be_rendered_is_refused() -> None:
    wall = box((-1, -1, 2), (1, 1, 3))
    with pytest.raises(DataError, match="faces: expected vertices 0 to 7, got 0 to 8"):
        Mesh(wall.vertices, np.array([[0, 1, 8]]))
    with pytest.raises(DataError, match="Leave out a frame in which the body is missing"):
        Mesh(np.full((8, 3), np.nan), wall.faces)
    with pytest.raises(ShapeError, match=r"colors: expected \(3,\) or \(8, 3\), got \(4, 3\)"):
        Mesh(wall.vertices, wall.faces, np.zeros((4, 3)))
    with pytest.raises(DataError, match="colors: expected finite"):
        Mesh(wall.vertices, wall.faces, (np.nan, 0, 0))
    with pytest.raises(ConfigError, match="near: expected a distance above 0, got 0"):
        render(wall, CAMERA, SIZE, near=0)
    with pytest.raises(ConfigError, match="expected 1 or more, got 0 x 30, 1"):
        render(wall, CAMERA, (0, 30))
    with pytest.raises(ConfigError, match="not all 0"):
        Light(direction=(0, 0, 0))
    with pytest.raises(ConfigError, match="shares of 0 or more"):
        Light(ambient=-1)
    got = render(wall, CAMERA, SIZE)
    with pytest.raises(ShapeError, match=r"picture: expected \(30, 40, 3\) uint8"):
        got.over(np.zeros((30, 41, 3), np.uint8))
    with pytest.raises(ConfigError, match="opacity: expected a number from 0 to 1, got 2"):
        got.over(np.zeros((30, 40, 3), np.uint8), 2)
