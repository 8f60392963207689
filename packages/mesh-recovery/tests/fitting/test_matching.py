"""Candidates in front of a camera: found again, turned, and put in order over time as counting all ways does."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.skeletons import COCO_17
from poseworks.mesh_recovery.fitting.matching import (
    Candidates,
    Placed,
    Trellis,
    camera_tilt,
    centred,
    from_all_sides,
    match,
    rolled,
    seen_turned,
    trellis,
    turned_towards,
)


def random(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def small() -> Trellis:
    """Three frames of two candidates, the last step certain in one direction."""
    return Trellis(random(3, 2), random(2, 2, 2))


def placed(cost: Tensor, points: Tensor, scale: Tensor) -> Placed:
    """Candidates of which only this matters."""
    size = cost.shape
    unused = (torch.zeros(*size, 2), torch.zeros(*size, 3, 3), torch.zeros(*size, 24, 3))
    return Placed(cost, torch.zeros(size), scale, *unused, points)


def ways(trellis: Trellis) -> dict[tuple[int, ...], float]:
    """What each way costs."""
    frames, kept = trellis.cost.shape
    found = {}
    for way in product(range(kept), repeat=frames):
        cost = sum(float(trellis.cost[t, k]) for t, k in enumerate(way))
        found[way] = cost + sum(float(trellis.step[t, way[t], way[t + 1]]) for t in range(frames - 1))
    return found


def test_the_best_path_is_the_cheapest_of_all(small: Trellis) -> None:
    costs = ways(small)
    assert tuple(small.best_path().tolist()) == min(costs, key=costs.__getitem__)


def test_shares_are_those_of_all_ways(small: Trellis) -> None:
    weights = {way: math.exp(-cost) for way, cost in ways(small).items()}
    total = sum(weights.values())
    shares = [[sum(w for way, w in weights.items() if way[t] == k) / total for k in range(2)] for t in range(3)]
    assert_close(small.shares(), torch.tensor(shares))


def test_one_frame_has_its_cheapest_candidate() -> None:
    alone = Trellis(torch.tensor([[2.0, 1.0]]), torch.zeros(0, 2, 2))
    assert alone.best_path().tolist() == [1]
    assert_close(alone.shares(), torch.tensor([[-2.0, -1.0]]).softmax(1))


def test_steps_cost_by_distance_scale_and_time() -> None:
    points = centred(random(2, 2, 5, 3))
    points[1, 0], points[1, 1] = points[0, 0], points[0, 1]
    still = placed(torch.zeros(2, 2), points, torch.full((2, 2), 0.2))
    near = trellis(still, torch.tensor([0.0, 0.1]), points[:0, 0]).step[0]
    later = trellis(still, torch.tensor([0.0, 0.2]), points[:0, 0]).step[0]
    assert near.diagonal().abs().max() < 1e-3 < near[0, 1]
    assert_close(later, near / 4, atol=1e-3, rtol=1e-4)
    scaled = replace(still, scale=torch.tensor([[0.2, 0.2], [0.1, 0.1]]))
    assert trellis(scaled, torch.tensor([0.0, 0.1]), points[:0, 0]).step[0, 0, 0] > 1


def test_known_frames_draw_candidates_to_them() -> None:
    points = centred(random(1, 2, 5, 3))
    cost = trellis(placed(torch.zeros(1, 2), points, torch.ones(1, 2)), torch.zeros(1), points[:, 1]).cost[0]
    assert cost[1] == 0 < cost[0]


def test_others_come_in_where_they_are_cheaper_in_the_frames_that_they_are_of() -> None:
    ones = placed(torch.tensor([[1.0, 4.0], [1.0, 4.0]]), torch.zeros(2, 2, 5, 3), torch.full((2, 2), 0.2))
    others = placed(torch.tensor([[2.0, 3.0, 5.0]]), torch.ones(1, 3, 5, 3), torch.full((1, 3), 0.1))
    mixed = ones.with_others(torch.tensor([False, True]), others)
    assert_close(mixed.cost, torch.tensor([[1.0, 4.0], [1.0, 2.0]]))
    assert_close(mixed.scale, torch.tensor([[0.2, 0.2], [0.2, 0.1]]))
    assert_close(mixed.points[:, :, 0, 0], torch.tensor([[0.0, 0.0], [0.0, 1.0]]))


def test_a_camera_turned_towards_a_point_sees_it_on_its_axis() -> None:
    slopes = torch.tensor([[0.4, -0.2], [0.0, 0.0], [-0.6, 0.5]])
    turn = turned_towards(slopes)
    assert_close(seen_turned(slopes[:, None], turn)[:, 0], torch.zeros(3, 2), atol=1e-6, rtol=0)
    assert_close(turn @ turn.mT, torch.eye(3).expand(3, 3, 3), atol=1e-6, rtol=0)
    points = random(3, 4, 3) + torch.tensor((0.0, 0.0, 6.0))
    seen, turned = points[..., :2] / points[..., 2:], points @ turn.mT
    assert_close(seen_turned(seen, turn), turned[..., :2] / turned[..., 2:])


def test_upright_people_are_seen_from_all_sides(upright: Candidates) -> None:
    seen = from_all_sides(upright, (0.0, 10.0))
    count = len(upright.points)
    assert len(seen.points) == len(seen.root) == len(seen.angles) == 48 * count
    ankle, nose = COCO_17.index("left_ankle"), COCO_17.index("nose")
    assert (seen.points[:, nose, 1] < seen.points[:, ankle, 1]).float().mean() > 0.95  # y down: heads are up
    faces_us = seen.points[:count]  # the first view is from the front
    left, right = COCO_17.index("left_shoulder"), COCO_17.index("right_shoulder")
    assert (faces_us[:, left, 0] > faces_us[:, right, 0]).float().mean() > 0.9


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (20.0, -15.0)])
def test_the_tilt_of_a_camera_is_found(upright: Candidates, pitch: float, roll: float) -> None:
    people = upright.points[::100]  # from the pelvis, y up
    turn = axis_angle_to_matrix(torch.tensor([[0.0, 0.9, 0.0]]))
    tilted = axis_angle_to_matrix(torch.tensor([math.radians(pitch), 0, 0])) @ turn
    seen = people @ (rolled(roll) @ torch.diag(torch.tensor((1.0, -1, -1))) @ tilted).mT
    placed = seen + torch.tensor((0.0, 0.0, 8.0))
    slopes = placed[..., :2] / placed[..., 2:]
    assert camera_tilt(slopes, torch.ones(slopes.shape[:2]), upright) == (pitch, roll)


def test_a_candidate_is_found_with_its_place(upright: Candidates) -> None:
    candidates = from_all_sides(upright, (10.0,)).points
    true = torch.tensor([17, 1200])
    shift = torch.tensor([[0.05, -0.1], [-0.2, 0.0]])
    far = 0.2 * candidates[true, :, :2] + shift[:, None]
    matches = match(far, torch.ones(2, 17), candidates, kept=3)
    assert matches.which[:, 0].tolist() == true.tolist()
    assert_close(matches.scale[:, 0], torch.full((2,), 0.2))
    assert_close(matches.shift[:, 0], shift, atol=1e-5, rtol=0)


def test_a_near_camera_sees_what_lies_before_larger(upright: Candidates) -> None:
    candidates = from_all_sides(upright, (20.0,)).points
    true = torch.tensor([17, 1200])
    place = torch.tensor([[0.1, -0.2, 3.0], [0.0, 0.3, 2.5]])
    placed = candidates[true] + place[:, None]
    slopes, weight = placed[..., :2] / placed[..., 2:], 0.5 + random(2, 17).abs()
    near = match(slopes, weight, candidates, kept=3, nearness=1 / place[:, 2])
    assert near.which[:, 0].tolist() == true.tolist()
    assert_close(near.scale[:, 0], 1 / place[:, 2], rtol=1e-3, atol=0)
    assert_close(near.shift[:, 0], place[:, :2] / place[:, 2:], rtol=0, atol=1e-3)
    assert near.cost[:, 0].max() < 1e-2
    assert match(slopes, weight, candidates[true], kept=1).cost.min() > 0.1  # taken for far away
