"""Pinhole cameras: projecting and its inverse, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, ShapeError


def test_a_point_on_the_axis_falls_on_the_principal_point_and_slopes_grow_by_the_focal_length() -> None:
    camera = Pinhole(1000, 500, 320, 240)
    pixels = camera.project([[0, 0, 3], [0.3, 0.3, 3]])
    np.testing.assert_allclose(pixels, [[320, 240], [420, 290]])


def test_rays_lead_back_to_the_points() -> None:
    generator = np.random.default_rng(0)
    camera = Pinhole.from_focal(900, (1280, 720))
    points = generator.normal(size=(5, 17, 3)) + np.array([0, 0, 6])
    rays = camera.rays(camera.project(points))
    np.testing.assert_allclose(rays * points[..., 2:], points, atol=1e-12)


def test_what_is_behind_the_camera_has_no_pixel() -> None:
    assert np.isnan(Pinhole(1, 1, 0, 0).project([[0, 0, -1.0], [1, 1, 0]])).all()


@pytest.mark.parametrize("numbers", [(0, 1, 0, 0), (1, -1, 0, 0), (1, 1, float("nan"), 0)])
def test_impossible_cameras_are_refused(numbers: tuple[float, float, float, float]) -> None:
    with pytest.raises(ConfigError, match="focal lengths above 0"):
        Pinhole(*numbers)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="points"):
        Pinhole(1, 1, 0, 0).project(np.zeros((4, 2)))
    with pytest.raises(ShapeError, match="pixels"):
        Pinhole(1, 1, 0, 0).rays(np.zeros((4, 3)))
