"""Candidates seen from anywhere and turned anyhow; and which frames need them."""

from __future__ import annotations

import math

import torch
from torch.testing import assert_close

from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.mesh_recovery.fitting.anyhow import (
    MISSED_M,
    NEAR_S,
    TURNED_COST,
    explains_more,
    match_anyhow,
    missed_frames,
)
from poseworks.mesh_recovery.fitting.matching import Candidates, Placed, centred, rolled, views_from

UP = torch.tensor((0.0, -1.0, 0.0))  # of a level camera


def test_turned_people_are_found_with_their_place(upright: Candidates) -> None:
    some = Candidates(*(part[::80] for part in (upright.root, upright.angles, upright.points)))
    true = torch.tensor([2, 7])
    # Two of the directions that are tried: from far above and from below; and any roll.
    views = views_from(torch.asin(1 - torch.tensor([0.15, 1.45])), torch.tensor([7.5, 72.5]) * _GOLDEN)
    turn = torch.stack((rolled(200.0), rolled(-75.0))) @ views
    seen = some.points[true] @ turn.mT
    shift = torch.tensor([[0.05, -0.1], [-0.2, 0.0]])
    weight = torch.rand(2, 17, generator=torch.Generator().manual_seed(0)) + 0.2
    found = match_anyhow(0.2 * seen[..., :2] + shift[:, None], weight, some, UP, kept=3)
    assert found.cost.shape == (2, 3)
    assert_close(found.missed[:, 0], torch.zeros(2), atol=1e-5, rtol=0)
    assert_close(found.root[:, 0], turn @ some.root[true], atol=1e-4, rtol=0)
    assert_close(found.angles[:, 0], some.angles[true])
    assert_close(found.points[:, 0], centred(seen), atol=1e-4, rtol=0)
    assert_close(found.scale[:, 0], torch.full((2,), 0.2), rtol=1e-4, atol=0)
    assert_close(found.shift[:, 0], shift, atol=1e-4, rtol=0)
    leaning = (turn[:, :, 1] @ UP).acos()  # of the world's vertical, for this camera
    assert_close(found.cost[:, 0], TURNED_COST * (1 - leaning.cos()), atol=1e-2, rtol=0)


_GOLDEN = math.pi * (3 - math.sqrt(5))


def test_what_is_not_observed_does_not_count(upright: Candidates) -> None:
    some = Candidates(*(part[::80] for part in (upright.root, upright.angles, upright.points)))
    turn = axis_angle_to_matrix(torch.tensor([[math.pi, 0.0, 0.3]]))
    slopes = (some.points[3:4] @ turn.mT)[..., :2] * 0.2
    weight = torch.ones(1, 17)
    weight[:, :5] = 0
    wild = slopes.clone()
    wild[:, :5] = 9.0
    one, other = (match_anyhow(each, weight, some, UP, kept=2) for each in (slopes, wild))
    assert_close(one.cost, other.cost)
    assert_close(one.shift, other.shift)


def test_frames_around_one_that_is_missed_are_taken_too() -> None:
    missed = torch.full((11, 2), MISSED_M**2 / 2)
    nothing = torch.zeros(11, 2)
    placed = Placed(nothing, missed, *[nothing] * 5)
    seconds = torch.arange(11) * 0.49 * NEAR_S
    assert not missed_frames(placed, seconds).any()
    missed[5, 0] *= 4
    assert not missed_frames(placed, seconds).any()
    missed[5, 1] *= 4
    assert missed_frames(placed, seconds).nonzero().flatten().tolist() == [3, 4, 5, 6, 7]


def test_others_are_believed_where_they_leave_much_less() -> None:
    nothing = torch.zeros(3, 2)
    usual, little, much = (
        Placed(nothing, torch.full((3, 2), share * MISSED_M**2), *[nothing] * 5) for share in (1.0, 0.9, 0.1)
    )
    assert explains_more(much, usual)
    assert not explains_more(little, usual)
