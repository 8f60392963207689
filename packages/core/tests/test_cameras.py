"""Cameras: the reference vectors, projecting and its inverse, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.cameras import (
    Pinhole,
    crop_camera_translation,
    crop_transform,
    estimated_translation,
    full_image_translation,
    orthographic_projection,
    perspective_projection,
)
from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.testing import ReferenceCase, reference_cases, seeded_input


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


def test_a_crop_turns_about_its_centre() -> None:
    """The published vectors are tested where crops are made, in mesh-recovery."""
    matrix = crop_transform((50, 30), 100, 90, 200)
    np.testing.assert_allclose(matrix @ [50, 30, 1], [100, 100])
    np.testing.assert_allclose(matrix @ [50, 10, 1], [60, 100], atol=1e-9)  # what is above it goes to the left
    with pytest.raises(ConfigError, match=r"scale and size above 0, got .* scale -1"):
        crop_transform((50, 30), -1, 0, 200)


@pytest.mark.parametrize("numbers", [(0, 1, 0, 0), (1, -1, 0, 0), (1, 1, float("nan"), 0)])
def test_impossible_cameras_are_refused(numbers: tuple[float, float, float, float]) -> None:
    with pytest.raises(ConfigError, match="focal lengths above 0"):
        Pinhole(*numbers)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="points"):
        Pinhole(1, 1, 0, 0).project(np.zeros((4, 2)))
    with pytest.raises(ShapeError, match="pixels"):
        Pinhole(1, 1, 0, 0).rays(np.zeros((4, 3)))


@pytest.fixture(scope="module")
def case() -> ReferenceCase:
    return reference_cases(Path(__file__).parent / "reference", "camera_rotation")[0]


@pytest.fixture(scope="module")
def camera() -> Tensor:
    """(4, 3) s, tx, ty."""
    camera = torch.from_numpy(seeded_input("camera_cam", (4, 3), 0.1))
    camera[:, 0] = camera[:, 0].abs() + 0.8
    return camera


class TestCrops:
    @pytest.mark.parametrize("size", [224, 256])
    def test_perspective_as_published(self, case: ReferenceCase, camera: Tensor, size: int) -> None:
        pixels = perspective_projection(case.inputs["points"], crop_camera_translation(camera, size))
        assert_close(pixels, case.outputs[f"project_{size}"], rtol=1e-5, atol=1e-4)
        if size == 224:
            assert_close(crop_camera_translation(camera, size), case.outputs["cam_t_224"], rtol=1e-6, atol=0)
            assert_close(2 * pixels / (size - 1), case.outputs["norm_224"], rtol=1e-5, atol=1e-6)

    def test_orthographic_as_published(self, case: ReferenceCase, camera: Tensor) -> None:
        found = orthographic_projection(case.inputs["points"], camera)
        assert_close(found, case.outputs["orthographic"], rtol=1e-6, atol=1e-7)

    def test_estimated_translation_as_published(self, case: ReferenceCase) -> None:
        pixels = case.outputs["project_224"] + 112
        confidence = torch.ones(4, 20)
        confidence[:, ::4] = 0.3
        found = estimated_translation(case.inputs["points"], pixels, confidence, center=(112, 112))
        assert_close(found, case.outputs["estimated_translation"].float(), rtol=1e-4, atol=1e-4)

    def test_estimated_translation_ignores_what_is_not_seen_and_needs_two_points(self) -> None:
        generator = torch.Generator().manual_seed(0)
        points = torch.randn(3, 17, 3, generator=generator)
        wanted = torch.tensor([[0.2, -0.1, 6.0], [1.0, 0.5, 9.0], [0.0, 0.0, 4.0]])
        pixels = perspective_projection(points, wanted, 900, (640, 360))
        confidence = torch.ones(3, 17)
        pixels[:, 3] += 200
        confidence[:, 3] = 0
        confidence[2, 1:] = 0
        found = estimated_translation(points, pixels, confidence, 900, (640, 360))
        assert_close(found[:2], wanted[:2], rtol=1e-4, atol=1e-4)
        assert found[2].isnan().all()

    def test_a_person_is_seen_at_the_same_pixels_by_the_crop_and_by_the_whole_picture(self) -> None:
        """Both cameras agree where the depth of the body does not matter: for a flat person before a long lens."""
        points = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.5, 0.5, 0.0])
        camera = torch.tensor([[0.9, 0.1, -0.2], [1.2, 0.0, 0.3]])
        center, size = torch.tensor([[300.0, 410.0], [900.0, 200.0]]), torch.tensor([350.0, 180.0])
        in_crop = orthographic_projection(points, camera)  # -1 to 1 over the box
        expected = center[:, None] + in_crop * size[:, None, None] / 2
        placed = full_image_translation(camera, center, size, (1280, 720), 1500.0)
        found = perspective_projection(points, placed, 1500.0, (640, 360))
        assert_close(found, expected, rtol=1e-5, atol=1e-3)

    def test_gradients_flow(self) -> None:
        camera = torch.tensor([[0.9, 0.1, -0.2]], dtype=torch.float64, requires_grad=True)
        points = torch.randn(1, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        assert torch.autograd.gradcheck(
            lambda c: perspective_projection(points, crop_camera_translation(c, 224, 500)), (camera,)
        )
        seen = perspective_projection(points, crop_camera_translation(camera, 224, 500), 500).detach()
        assert torch.autograd.gradcheck(
            lambda p: estimated_translation(p, seen, torch.ones(1, 5, dtype=torch.float64), 500),
            (points.clone().requires_grad_(),),
        )

    def test_impossible_cameras_and_shapes_are_refused(self) -> None:
        camera, points = torch.ones(2, 3), torch.zeros(2, 4, 3)
        with pytest.raises(ConfigError, match="focal_px: expected a number above 0, got 0"):
            crop_camera_translation(camera, 224, 0)
        with pytest.raises(ConfigError, match="crop_size"):
            crop_camera_translation(camera, 0)
        with pytest.raises(ConfigError, match="above 0"):
            full_image_translation(camera, torch.ones(2, 2), torch.tensor([1.0, 0.0]), (10, 10), 1000.0)
        with pytest.raises(ConfigError, match="focal_px"):
            estimated_translation(points, points[..., :2], points[..., 0], 0)
        with pytest.raises(ShapeError, match="camera"):
            crop_camera_translation(torch.ones(2, 4), 224)
        with pytest.raises(ShapeError, match="box_center"):
            full_image_translation(camera, torch.ones(2, 3), torch.ones(2), (10, 10), 1000.0)
        with pytest.raises(ShapeError, match="confidence"):
            estimated_translation(points, points[..., :2], torch.ones(2, 3))
        with pytest.raises(ShapeError, match="one leading shape"):
            estimated_translation(points, points[:1, :, :2], points[..., 0])
        with pytest.raises(ShapeError, match="points"):
            perspective_projection(points[..., :2], camera)
        with pytest.raises(ShapeError, match="camera"):
            orthographic_projection(points, camera[:, :2])
