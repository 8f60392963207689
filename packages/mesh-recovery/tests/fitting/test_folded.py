"""Points folded onto the joints: the body's own, and derivatives by small differences."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from poseworks.core.body_models import SMPL
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.skeletons import BLAZEPOSE_33, H36M_17
from poseworks.core.testing_bodies import synthetic_body
from poseworks.mesh_recovery.fitting.folded import FoldedPoints
from poseworks.mesh_recovery.named_joints import NamedJoints

NAMES = (*H36M_17.joint_names, "nose", "left_heel", "spine2")


@pytest.fixture(scope="module")
def placing() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    shape, pose, transl = (torch.randn(*size, generator=generator) for size in ((10,), (3, 24, 3), (3, 3)))
    return shape, axis_angle_to_matrix(0.5 * pose), transl


@pytest.mark.parametrize("with_correctives", [False, True])
def test_points_are_where_the_body_has_them(
    body: SMPL, placing: tuple[torch.Tensor, ...], with_correctives: bool
) -> None:
    body = SMPL(synthetic_body()) if with_correctives else body
    named = NamedJoints(body, NAMES)
    points = FoldedPoints(body, named)
    shape, rotations, transl = placing
    expected = named(body(shape[None], rotations, transl))
    assert_close(points.place(shape, rotations, transl).points, expected, atol=1e-5, rtol=0)


def test_points_move_with_the_shape_as_foretold(body: SMPL, placing: tuple[torch.Tensor, ...]) -> None:
    points = FoldedPoints(body, NamedJoints(body, NAMES)).with_offsets([(8, (0.0, 1.0, 0.0))])
    shape, rotations, transl = placing
    shape = torch.cat((shape, torch.zeros(1)))
    slopes = points.by_shape(points.place(shape, rotations, transl))
    for direction in (0, 7, 10):
        step = torch.zeros(11)
        step[direction] = 0.1  # linear: the step may be large
        moved = points.place(shape + step, rotations, transl).points - points.place(shape, rotations, transl).points
        assert_close(slopes[..., direction], 10 * moved, atol=1e-4, rtol=0)


@pytest.mark.parametrize("joint", [0, 2, 9, 18])
def test_points_turn_about_a_joint_as_foretold(body: SMPL, placing: tuple[torch.Tensor, ...], joint: int) -> None:
    points = FoldedPoints(body, NamedJoints(body, NAMES))
    shape, rotations, transl = placing
    placed = points.place(shape, rotations, transl)
    levers = points.by_turns(placed, [joint])[:, :, 0]
    turn = 1e-2 * torch.tensor([0.3, -0.5, 0.8])
    parent = placed.turned[:, body.parents[joint]] if joint else torch.eye(3).expand(3, 3, 3)
    moved = []
    for sign in (1, -1):
        turned = rotations.clone()
        turned[:, joint] = parent.mT @ axis_angle_to_matrix(sign * turn) @ parent @ rotations[:, joint]
        moved.append(points.place(shape, turned, transl).points)
    assert_close((moved[0] - moved[1]) / 2, torch.linalg.cross(turn.expand_as(levers), levers), atol=2e-5, rtol=0)


def test_an_offset_moves_its_point_alone_and_with_its_bone(body: SMPL, placing: tuple[torch.Tensor, ...]) -> None:
    plain = FoldedPoints(body, NamedJoints(body, NAMES))
    wide = plain.with_offsets([(3, (0.0, 0.0, 1.0))])
    shape, rotations, transl = placing
    before = plain.place(shape, rotations, transl)
    moved = wide.place(torch.cat((shape, torch.tensor([0.2]))), rotations, transl).points - before.points
    assert_close(moved[:, 3], 0.2 * before.turned[:, 8, :, 2])  # the right ankle
    assert moved[:, [0, 1, 2, 4, 5, 6, 7]].abs().max() < 1e-6


def test_joints_that_move_no_point_are_told(body: SMPL) -> None:
    moved_by = FoldedPoints(body, NamedJoints(body, H36M_17.joint_names)).moved_by
    assert {0, 1, 4, 16, 18} <= set(moved_by)
    assert not {10, 11, 20, 21, 22, 23} & set(moved_by)  # feet and hands
    hands = FoldedPoints(body, NamedJoints(body, BLAZEPOSE_33.joint_names)).moved_by
    assert {20, 21} <= set(hands)
