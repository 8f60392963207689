"""The adversary against the published one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.testing import assert_close

from poseworks.core.errors import ShapeError
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.testing import ReferenceCase, seeded_input
from poseworks.mesh_recovery import Discriminator
from poseworks.mesh_recovery.names import published_names


@torch.no_grad()
def test_answers_equal_the_published_network(case: Callable[[str], ReferenceCase]) -> None:
    published = case("smpl_discriminator")
    network = Discriminator().eval()
    tensors = published.state_dict()
    network.load_state_dict(
        {n: tensors[t] for n, t in published_names("smpl_discriminator", network.state_dict()).items()}
    )
    assert sum(p.numel() for p in network.parameters()) == published.manifest["parameters"]
    pose = torch.from_numpy(seeded_input("disc_pose", (3, 72), 0.5)).view(3, 24, 3)
    betas = torch.from_numpy(seeded_input("disc_betas", (3, 10), 1.0))
    rotations = axis_angle_to_matrix(pose)
    assert_close(rotations, published.outputs["rotmat"], rtol=1e-4, atol=1e-5)
    found = network(rotations, betas)
    assert_close(found, published.outputs["output"], rtol=1e-4, atol=1e-4)
    rotations[:, 0] = torch.eye(3)  # which way the body faces is not judged
    assert_close(network(rotations, betas), found)


def test_axis_angles_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"rotations: expected \(N, J=24, R=3, C=3\), got \(2, 24, 3\). Axis-angles"):
        Discriminator()(torch.zeros(2, 24, 3), torch.zeros(2, 10))
    with pytest.raises(ShapeError, match=r"betas: expected \(N, B=10\)"):
        Discriminator()(torch.zeros(2, 24, 3, 3), torch.zeros(2, 9))
