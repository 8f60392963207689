"""Points from several cameras: exact ones, with one that errs, and too few."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.mesh_recovery.fitting.triangulation import misses, triangulated

Rig = tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def rig() -> Rig:
    """Four cameras around the origin, 4 m away."""
    turns = axis_angle_to_matrix(torch.tensor([[0.0, angle, 0] for angle in (0.0, 1.2, 2.4, 4.0)]))
    return turns, torch.tensor([[0.0, 0.0, 4.0]]).expand(4, 3)


@pytest.fixture(scope="module")
def points() -> Tensor:
    return torch.rand(5, 6, 3, generator=torch.Generator().manual_seed(0)) - 0.5


def seen(points: Tensor, rig: Rig) -> Tensor:
    placed = torch.einsum("vij,tnj->vtni", rig[0], points) + rig[1][:, None, None]
    return placed[..., :2] / placed[..., 2:]


def test_exact_points_are_found(points: Tensor, rig: Rig) -> None:
    slopes = seen(points, rig)
    found = triangulated(slopes, torch.ones(slopes.shape[:3]), *rig)
    assert_close(found, points, atol=1e-4, rtol=0)
    assert misses(found, slopes, *rig).max() < 1e-3


def test_a_view_that_errs_is_left_aside(points: Tensor, rig: Rig) -> None:
    slopes = seen(points, rig)
    slopes[2, :, 1] += 0.3
    slopes[0, :, 4] -= 0.2
    assert_close(triangulated(slopes, torch.ones(slopes.shape[:3]), *rig), points, atol=5e-3, rtol=0)


def test_one_view_is_too_few_and_a_weight_of_0_is_no_view(points: Tensor, rig: Rig) -> None:
    slopes = seen(points, rig)
    weight = torch.ones(slopes.shape[:3])
    weight[1:, 0, 0] = 0
    weight[:, 1, 1] = 0
    found = triangulated(slopes, weight, *rig)
    assert found[0, 0].isnan().all()
    assert found[1, 1].isnan().all()
    assert found.isnan().any(-1).sum() == 2


def test_a_point_behind_a_camera_misses_without_end(rig: Rig) -> None:
    behind = torch.tensor([[[0.0, 0.0, -9.0]]])
    assert misses(behind, torch.zeros(4, 1, 1, 2), *rig)[0].isinf().all()
