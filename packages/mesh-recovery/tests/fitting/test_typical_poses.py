"""Typical poses: what ships, mirrors, and how they are chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.body_models import SMPL
from poseworks.core.errors import ShapeError
from poseworks.core.formats.reading import read_npz
from poseworks.core.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from poseworks.core.skeletons import SMPL_24
from poseworks.mesh_recovery.fitting.typical_poses import (
    UNIT,
    choose_typical,
    mirrored,
    typical_poses,
    without_heading,
    write_typical_poses,
)


def test_the_shipped_poses_stand_on_their_feet_and_have_mirrors(body: SMPL) -> None:
    poses = typical_poses()
    half = len(poses) // 2
    assert half == 400
    assert_close(poses[half:], mirrored(poses[:half]))
    joints = body.joints(torch.zeros(1, 1), poses)
    head, feet = SMPL_24.index("head"), SMPL_24.indices(("left_foot", "right_foot"))
    assert (joints[:, head, 1, None] > joints[:, feet, 1]).all(1).float().mean() > 0.95
    assert poses[:, SMPL_24.indices(("left_hand", "right_hand"))].abs().max() == 0


def test_a_mirrored_pose_has_mirrored_joints(body: SMPL, gestures: Tensor) -> None:
    plain, other = body.joints(torch.zeros(1, 1), gestures), body.joints(torch.zeros(1, 1), mirrored(gestures))
    swapped = other[:, list(SMPL_24.mirrored)] * torch.tensor((-1.0, 1, 1))
    assert_close(swapped, plain[:, :24], atol=1e-4, rtol=0)
    assert_close(mirrored(mirrored(gestures)), gestures)


def test_heading_is_taken_out_and_nothing_else(gestures: Tensor) -> None:
    turn = axis_angle_to_matrix(torch.tensor([0.0, 2.1, 0.0]))
    turned = gestures.clone()
    turned[:, 0] = matrix_to_axis_angle(turn @ axis_angle_to_matrix(gestures[:, 0]))
    assert_close(without_heading(turned), without_heading(gestures), atol=1e-5, rtol=0)
    root = axis_angle_to_matrix(without_heading(turned)[:, 0])
    assert_close(root[:, 0, 2], torch.zeros(len(root)), atol=1e-6, rtol=0)
    assert (root[:, 2, 2] > 0).all()


def test_one_pose_is_chosen_of_each_kind(body: SMPL, gestures: Tensor) -> None:
    kinds = gestures[[3, 16]]  # with their mirrors, and turned: the same kinds
    turned = kinds.clone()
    turned[:, 0, 1] += 1.0
    many = torch.cat((kinds, mirrored(kinds), turned)).repeat(3, 1, 1)
    generator = torch.Generator().manual_seed(2)
    chosen = choose_typical(many, body, 2, generator)
    for kind in without_heading(kinds):
        both = torch.stack((kind, mirrored(kind[None])[0]))
        assert (chosen[:, None] - both).abs().amax((-1, -2)).min() < 1e-4


def test_too_few_poses_are_refused(body: SMPL) -> None:
    with pytest.raises(ShapeError, match=r"expected \(N, 24, 3\) with N >= 5, got \(3, 24, 3\)"):
        choose_typical(torch.zeros(3, 24, 3), body, 5, torch.Generator())


def test_files_hold_the_chosen_joints_in_whole_steps(tmp_path: Path, gestures: Tensor) -> None:
    write_typical_poses(gestures, [0, 1, 4], "public domain", tmp_path / "poses.npz")
    stored = read_npz(tmp_path / "poses.npz")
    assert stored["angles"].dtype == np.int16
    assert str(stored["licence"]) == "public domain"
    assert_close(torch.tensor(stored["angles"]) * UNIT, gestures[:, [0, 1, 4]], atol=UNIT, rtol=0)
