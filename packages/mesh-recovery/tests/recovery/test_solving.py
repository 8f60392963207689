"""Bodies from their vertices."""

from __future__ import annotations

import pytest
import torch

from poseworks.core.body_models import load_body
from poseworks.core.errors import ShapeError
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.mesh_recovery.recovery.solving import body_of_vertices


def test_a_body_is_found_again_from_its_vertices() -> None:
    body = load_body("free")
    generator = torch.Generator().manual_seed(0)
    pose = 0.3 * torch.randn(2, 24, 3, generator=generator)
    pose[:, 0] = torch.tensor([[3.0, 0.2, -0.1], [0.3, 1.5, 0.2]])
    betas, transl = torch.randn(2, 10, generator=generator), torch.randn(2, 3, generator=generator)
    posed = body(betas, pose, transl)
    found = body_of_vertices(body, posed.vertices)
    assert found.distance.max() < 2e-3
    again = body(found.betas, found.rotations, found.transl)
    torch.testing.assert_close(found.distance, (again.vertices - posed.vertices).norm(dim=-1).mean(dim=-1))
    assert (again.joints - posed.joints).norm(dim=-1).mean() < 3e-3
    relative = found.rotations.mT @ axis_angle_to_matrix(pose)
    degrees = torch.rad2deg(torch.acos(((relative.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1)))
    assert degrees[:, [0, 1, 2, 4, 5, 18, 19, 20, 21]].max() < 3  # of the limbs
    torch.testing.assert_close(torch.linalg.det(found.rotations), torch.ones(2, 24))


def test_vertices_of_another_mesh_are_refused() -> None:
    with pytest.raises(ShapeError, match="vertices: expected"):
        body_of_vertices(load_body("free"), torch.zeros(1, 1723, 3))
