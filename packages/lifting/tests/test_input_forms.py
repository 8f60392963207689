"""Input forms: what must not matter to a network does not, and the way back leads to the axes of the camera."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.testing import assert_close

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.metrics import pa_mpjpe
from poseworks.lifting import h36m
from poseworks.lifting.input_forms import PUBLISHED, Preparation, prepare, ray_input

RAY = Preparation(form="ray", unit_m=0.5, assumed_focal=1.2)
BOX = RAY.model_copy(update={"form": "box"})
SIZE = (1280, 720)
CAMERA = Pinhole.from_focal(1000, SIZE)
ONES = np.ones((4, 17))


@pytest.fixture
def joints() -> NDArray[np.float64]:
    """(4, 17, 3) people in front of the camera, off its axis."""
    return np.random.default_rng(3).normal(size=(4, 17, 3)) * 0.4 + np.array([1.2, -0.4, 5])


def test_the_image_form_is_the_published_scaling_with_confidence() -> None:
    pixels = np.random.default_rng(0).uniform(0, 700, size=(4, 17, 2))
    confidence = np.random.default_rng(1).uniform(size=(4, 17))
    x = prepare(PUBLISHED, pixels, confidence, SIZE).x
    assert_close(x[..., :2], torch.from_numpy(h36m.normalize(pixels, *SIZE)).float())
    assert_close(x[..., 2], torch.from_numpy(confidence).float())


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_resolution_of_the_image_does_not_matter(joints: NDArray[np.float64], scale: float) -> None:
    pixels = CAMERA.project(joints)
    larger = Pinhole(*(scale * number for number in (CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy)))
    plain = prepare(RAY, pixels, ONES, SIZE, CAMERA)
    scaled = prepare(RAY, scale * pixels, ONES, (int(scale * 1280), int(scale * 720)), larger)
    assert_close(scaled.x, plain.x)
    without = prepare(RAY, pixels, ONES, SIZE)
    assert_close(prepare(RAY, scale * pixels, ONES, (int(scale * 1280), int(scale * 720))).x, without.x)


def test_cropping_and_padding_do_not_matter_where_the_camera_is_known(joints: NDArray[np.float64]) -> None:
    shift = np.array([-300.0, 120.0])
    moved = Pinhole(CAMERA.fx, CAMERA.fy, CAMERA.cx + shift[0], CAMERA.cy + shift[1])
    plain = prepare(RAY, CAMERA.project(joints), ONES, SIZE, CAMERA)
    cropped = prepare(RAY, CAMERA.project(joints) + shift, ONES, (600, 960), moved)
    assert_close(cropped.x, plain.x)
    answer = np.random.default_rng(2).normal(size=(4, 17, 3))
    np.testing.assert_allclose(cropped.restore(answer), plain.restore(answer), atol=1e-9)


def test_a_person_elsewhere_in_view_is_the_same_turned_person() -> None:
    generator = np.random.default_rng(4)
    person = generator.normal(size=(1, 17, 3)) * 0.4
    ahead = person + np.array([0, 0, 5])
    angle = np.deg2rad(25)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    aside = ahead @ turn.T
    first = prepare(RAY, CAMERA.project(ahead), np.ones((1, 17)), SIZE, CAMERA)
    second = prepare(RAY, CAMERA.project(aside), np.ones((1, 17)), SIZE, CAMERA)
    assert_close(second.x, first.x, atol=1e-5, rtol=1e-5)
    answer = generator.normal(size=(1, 17, 3))
    np.testing.assert_allclose(second.restore(answer), first.restore(answer) @ turn.T, atol=1e-6)


def test_the_true_joints_in_turned_axes_come_back(joints: NDArray[np.float64]) -> None:
    prepared = prepare(RAY, CAMERA.project(joints), ONES, SIZE, CAMERA)
    rays = torch.from_numpy(CAMERA.rays(CAMERA.project(joints)))
    _, turn = ray_input(rays, torch.ones(4, 17, dtype=torch.bool))
    answer = joints @ turn.numpy().transpose(0, 2, 1) / RAY.unit_m + 7  # where the network puts the root is no matter
    np.testing.assert_allclose(prepared.restore(answer), joints - joints[:, :1], atol=1e-9)
    assert_close(turn @ turn.mT, torch.eye(3, dtype=torch.float64).expand(4, 3, 3))


def test_the_turned_camera_has_no_roll() -> None:
    rays = torch.tensor([[[0.5, 0.3, 1.0]] * 17], dtype=torch.float64)
    _, turn = ray_input(rays, torch.ones(1, 17, dtype=torch.bool))
    assert abs(float(turn[0, 0, 1])) < 1e-12  # its x axis stays level
    assert_close(turn[0] @ torch.nn.functional.normalize(rays[0, 0], dim=0), torch.tensor([0.0, 0, 1]).double())


def test_a_missing_joint_is_zero_and_the_others_do_not_feel_it(joints: NDArray[np.float64]) -> None:
    pixels = CAMERA.project(joints)
    pixels[:, 16] = np.nan
    x = prepare(RAY, pixels, ONES, SIZE, CAMERA).x
    assert (x[:, 16] == 0).all()
    seen = x[:, :16]
    assert_close(seen[..., :2].mean(dim=1), torch.zeros(4, 2), atol=1e-6, rtol=0)
    assert_close(seen[..., :2].square().sum(dim=-1).mean(dim=1), torch.ones(4), atol=1e-5, rtol=0)
    elsewhere = pixels.copy()
    elsewhere[:, 16] = 1e6, np.nan
    assert_close(prepare(RAY, elsewhere, ONES, SIZE, CAMERA).x, x)
    boxed = prepare(BOX, pixels, ONES, SIZE).x
    assert (boxed[:, 16] == 0).all()
    assert_close(boxed[:, :16, :2].mean(dim=1), torch.zeros(4, 2), atol=1e-6, rtol=0)


def test_nothing_around_the_person_changes_what_the_form_box_shows(joints: NDArray[np.float64]) -> None:
    pixels = CAMERA.project(joints)
    plain = prepare(BOX, pixels, ONES, SIZE)
    answer = np.random.default_rng(2).normal(size=(4, 17, 3))
    for shift, scale, size in (((-300.0, 120.0), 1.0, (600, 960)), ((0.0, 500.0), 0.4, (2000, 300))):
        other = prepare(BOX, scale * pixels + shift, ONES, size)
        assert_close(other.x, plain.x)
        bodies = [prepared.restore(answer) for prepared in (plain, other)]
        assert float(pa_mpjpe(*bodies).max()) < 1e-6  # merely turned
    known = prepare(BOX, pixels, ONES, SIZE, CAMERA)
    assert_close(known.x, plain.x)  # a camera turns the answer, no more
    ray = prepare(RAY, pixels, ONES, SIZE, CAMERA)
    np.testing.assert_allclose(known.restore(answer), ray.restore(answer), atol=1e-9)


def test_a_far_person_looks_the_same_in_the_forms_box_and_ray() -> None:
    person = np.random.default_rng(5).normal(size=(1, 17, 3)) * 0.4 + (0, 0, 500)
    camera = Pinhole.from_focal(1e5, SIZE)
    forms = [prepare(form, camera.project(person), np.ones((1, 17)), SIZE, camera).x for form in (RAY, BOX)]
    assert_close(forms[0][..., :2], forms[1][..., :2], atol=2e-3, rtol=0)
    assert (forms[1][..., 2] == 1).all()


def test_what_cannot_be_prepared_is_refused() -> None:
    pixels = np.zeros((4, 17, 2))
    with pytest.raises(ShapeError, match="h36m17"):
        prepare(RAY, np.zeros((4, 16, 2)), np.ones((4, 16)), SIZE)
    with pytest.raises(ConfigError, match="focal length"):
        prepare(Preparation(form="ray"), pixels, ONES, SIZE)
    pixels[2, 5] = np.nan
    with pytest.raises(DataError, match="frame 2 lacks joint 5"):
        prepare(PUBLISHED, pixels, ONES, SIZE)
    pixels[1] = np.nan
    with pytest.raises(DataError, match="frame 1 has no keypoints"):
        prepare(RAY, pixels, ONES, SIZE)
