from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from poseworks.core.errors import ShapeError
from poseworks.mesh_recovery.crops import POSE_MIRROR, mirror_pose, turn_pose
from poseworks.mesh_recovery.learning.batches import Batch, augmented_pose, joined, original_pose


def batch(size: int = 2, names: tuple[str, ...] = ("left_knee", "right_knee"), parts: bool = False) -> Batch:
    numbers = torch.arange(size)
    return Batch(
        images=torch.zeros(size, 3, 8, 8), keypoints=torch.zeros(size, len(names), 3),
        joints=torch.zeros(size, len(names), 4), pose=torch.zeros(size, 24, 3), betas=torch.zeros(size, 10),
        has_body=torch.ones(size, dtype=torch.bool), data_set=numbers, item=numbers, flipped=numbers > 0,
        rotation_deg=torch.zeros(size), crop=torch.zeros(size, 2, 3),
        parts=torch.zeros(size, 4, 4, dtype=torch.int64) if parts else None, joint_names=names,
    )  # fmt: skip


def test_batches_are_joined_in_their_order() -> None:
    whole = joined([batch(2, parts=True), batch(3, parts=True)])
    assert len(whole) == 5
    assert whole.item.tolist() == [0, 1, 0, 1, 2]
    assert whole.parts is not None
    assert whole.to("cpu").images.shape == (5, 3, 8, 8)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"batch.pose: expected \(B=2, P=24, C=3\), got \(2, 72\)"):
        replace(batch(), pose=torch.zeros(2, 72))
    with pytest.raises(ShapeError, match=r"batch.keypoints: expected \(B=2, J=2, C=3\)"):
        replace(batch(), keypoints=torch.zeros(2, 3, 3))
    with pytest.raises(ShapeError, match=r"batch.parts"):
        replace(batch(), parts=torch.zeros(2, 4))
    with pytest.raises(ShapeError, match="expected one or more"):
        joined([])
    with pytest.raises(ShapeError, match="of different joints"):
        joined([batch(), batch(names=("nose", "neck"))])
    with pytest.raises(ShapeError, match="some have none"):
        joined([batch(), batch(parts=True)])


@pytest.fixture(scope="module")
def augmented() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(64, 24, 3, generator=generator)
    flipped = torch.rand(64, generator=generator) < 0.5
    rotation = 30 * torch.randn(64, generator=generator)
    rotation[::3] = 0
    return pose, flipped, rotation


def test_a_pose_is_mirrored_then_turned(augmented: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    pose, flipped, rotation = augmented
    shown = augmented_pose(pose, flipped, rotation)
    for k in range(len(pose)):
        expected = mirror_pose(pose[k].flatten()) if flipped[k] else pose[k].flatten()
        expected = turn_pose(expected, float(rotation[k]))
        wanted = Rotation.from_rotvec(expected.reshape(24, 3).numpy())
        found = Rotation.from_rotvec(shown[k].numpy())
        assert (wanted.inv() * found).magnitude().max() < 1e-5


def test_the_way_back_is_exact(augmented: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    pose, flipped, rotation = augmented
    back = original_pose(augmented_pose(pose, flipped, rotation), flipped, rotation)
    apart = Rotation.from_rotvec(pose.reshape(-1, 3)).inv() * Rotation.from_rotvec(back.reshape(-1, 3).numpy())
    assert np.degrees(apart.magnitude()).max() < 1e-3
    untouched = rotation == 0
    assert torch.equal(back[untouched], pose[untouched])  # to the last bit


def test_mirroring_exchanges_the_sides(augmented: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    pose, _, _ = augmented
    always, never = torch.ones(64, dtype=torch.bool), torch.zeros(64)
    shown = augmented_pose(pose, always, never)
    assert torch.equal(shown[:, :, 0], pose[:, list(POSE_MIRROR), 0])
    assert torch.equal(shown[:, :, 1:], -pose[:, list(POSE_MIRROR), 1:])


def test_the_way_back_wants_one_angle_a_person() -> None:
    with pytest.raises(ShapeError, match="rotation_deg"):
        original_pose(torch.zeros(2, 24, 3), torch.zeros(2, dtype=torch.bool), torch.zeros(3))
    with pytest.raises(ShapeError, match="flipped"):
        augmented_pose(torch.zeros(2, 24, 3), torch.zeros(3, dtype=torch.bool), torch.zeros(2))
