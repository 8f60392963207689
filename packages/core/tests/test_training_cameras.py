"""Random cameras: what they see is the same body, through lenses and from places that were asked for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.training.cameras import CameraSampling, View, draw_views


@pytest.fixture(scope="module")
def positions() -> Tensor:
    """(500, 3, 17, 3) upright bodies about 1.7 m tall, z up, walking along x."""
    generator = torch.Generator().manual_seed(0)
    body = torch.rand(500, 1, 17, 3, generator=generator) * torch.tensor([0.5, 0.5, 1.7])
    return body + torch.tensor([0.1, 0, 0]) * torch.arange(3)[:, None, None]


@pytest.fixture(scope="module")
def view(positions: Tensor) -> View:
    return draw_views(positions, CameraSampling(), torch.Generator().manual_seed(1))


def test_a_camera_moves_the_body_rigidly(positions: Tensor, view: View) -> None:
    seen, body = (points.flatten(1, 2)[:, :, None] for points in (view.joints, positions))
    assert_close((seen - seen.transpose(1, 2)).norm(dim=-1), (body - body.transpose(1, 2)).norm(dim=-1))


def test_it_is_no_mirror(positions: Tensor, view: View) -> None:
    """The triple product of three bones keeps its sign."""
    edges = [points[:, 0, 1:4] - points[:, 0, :1] for points in (view.joints, positions)]
    assert_close(torch.linalg.det(edges[0]), torch.linalg.det(edges[1]), atol=1e-5, rtol=1e-4)


def test_slopes_are_the_projection(view: View) -> None:
    assert_close(view.slopes, view.joints[..., :2] / view.joints[..., 2:])
    assert (view.joints[..., 2] > 0.3).all()


def test_distance_focal_length_and_pitch_are_in_their_ranges(positions: Tensor, view: View) -> None:
    sampling = CameraSampling()
    middle = view.joints[:, :, 0].mean(dim=1).norm(dim=-1)
    assert (middle > sampling.distance_m[0] - 1e-3).all()
    assert (middle < sampling.distance_m[1] + 1e-3).all()
    assert (view.focal >= sampling.focal[0] - 1e-6).all()
    assert (view.focal <= sampling.focal[1] + 1e-6).all()
    # World up seen by the camera: a vertical bone of the first body, lifted by a metre.
    taller = positions.clone()
    taller[:, :, 1] = taller[:, :, 0] + torch.tensor([0.0, 0, 1])
    up = draw_views(taller, sampling, torch.Generator().manual_seed(1)).joints
    pitch = torch.rad2deg(torch.asin(-(up[:, 0, 1] - up[:, 0, 0])[:, 2]))  # looking down, the head is nearer
    assert pitch.min() > -5.1
    assert pitch.max() < 25.1
    assert pitch.max() - pitch.min() > 25


def test_most_of_every_body_is_in_the_image(view: View) -> None:
    image = view.slopes * view.focal[:, None, None, None]
    half = torch.stack([torch.full_like(view.aspect, 0.5), view.aspect / 2], dim=-1)[:, None, None]
    assert ((image.abs() > half).any(dim=-1).float().mean()) < 0.03


def test_people_fill_what_was_drawn(positions: Tensor) -> None:
    exact = CameraSampling(fill=(0.5, 0.5), distance_m=(7.9, 8.0), focal=(0.1, 30.0), pitch_deg=(0, 0), aspects=(1.0,))
    view = draw_views(positions, exact, torch.Generator().manual_seed(2))
    image = view.slopes * view.focal[:, None, None, None]
    extent = (image.amax(dim=(1, 2)) - image.amin(dim=(1, 2))).amax(dim=-1)
    assert_close(extent.median(), torch.tensor(0.5), atol=0.03, rtol=0)


def test_the_same_seed_gives_the_same_camera(positions: Tensor) -> None:
    first, second = (draw_views(positions, CameraSampling(), torch.Generator().manual_seed(5)) for _ in range(2))
    assert_close(first.slopes, second.slopes, rtol=0, atol=0)
    assert math.isfinite(float(first.joints.sum()))
