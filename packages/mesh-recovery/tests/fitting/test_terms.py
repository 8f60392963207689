"""Terms of a fit: gradients by automatic differentiation, and their bends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.body_models import pose_prior
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.mesh_recovery.fitting.camera_terms import SeenPoints
from poseworks.mesh_recovery.fitting.least_squares import Bent
from poseworks.mesh_recovery.fitting.terms import Likely, NearPoints, TowardsRest, rest_pulls, wrong_bends

ALL = slice(None)


def random(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def seen_points() -> SeenPoints:
    turns = axis_angle_to_matrix(0.2 * random(2, 3, seed=1))
    return SeenPoints(
        0.2 * random(2, 5, 4, 2, seed=2),
        random(2, 5, 4, seed=3).abs(),
        torch.full((2, 5), 3.0),
        turns,
        torch.tensor([[0.0, 0, 3], [0.1, 0, 4]]),
        scale=0.1,
        reach=0.5,
    )


@pytest.mark.parametrize(
    ("term", "at"),
    [
        (lambda x: NearPoints(torch.zeros(5, 4, 3), random(5, 4).abs(), 0.5, 1.0)(x, ALL), random(5, 4, 3, seed=9)),
        (lambda x: seen_points()(x, ALL), 0.3 * random(5, 4, 3, seed=9)),
        (TowardsRest(rest_pulls(range(24))), random(5, 69, seed=9)),
        (Likely(pose_prior(), 0.7), 0.5 * random(5, 69, seed=9)),
    ],
    ids=["near", "seen", "rest", "likely"],
)
def test_the_gradient_is_that_of_the_cost(term: Callable[[Tensor], Bent], at: Tensor) -> None:
    at.requires_grad_()
    bent = term(at)
    (expected,) = torch.autograd.grad(bent.cost.sum(), at)
    assert_close(bent.gradient, expected, rtol=1e-3, atol=1e-4)
    assert bent.cost.shape == (5,)


def test_a_prior_counts_as_its_energy() -> None:
    pose = 0.3 * random(6, 69)
    assert_close(Likely(pose_prior(), 2.0)(pose).cost, 2 * pose_prior()(pose.reshape(6, 23, 3)))


def test_far_points_count_linearly_and_what_is_not_seen_not_at_all() -> None:
    target = torch.zeros(1, 3, 3)
    target[0, 2] = torch.nan
    term = NearPoints(target, torch.ones(1, 3), 0.1, 2.0)
    near, far = (term(torch.tensor([[[x, 0, 0], [0.0, 0, 0], [5.0, 5, 5]]]), ALL).cost for x in (0.1, 1.0))
    assert_close(near, torch.tensor([0.5]))
    assert_close(far, torch.tensor([2.0 * (10 - 1)]))


def test_a_keypoint_far_off_hardly_pulls() -> None:
    def pull(offset: float) -> float:
        slopes = torch.tensor([[[[offset / 3, 0.0]]]])
        cameras = (torch.eye(3)[None], torch.tensor([[0.0, 0, 3]]))
        term = SeenPoints(slopes, torch.ones(1, 1, 1), torch.full((1, 1), 3.0), *cameras, scale=0.02, reach=0.1)
        return float(term(torch.zeros(1, 1, 3), ALL).gradient.norm())

    assert pull(0.05) > 20 * pull(1.0)


def test_hinges_that_bend_the_wrong_way_cost_more_and_are_counted() -> None:
    term = TowardsRest(rest_pulls(range(24)))
    pose = torch.zeros(2, 69)
    pose[0, 9], pose[1, 9] = 0.5, -0.5
    right, wrong = term(pose).cost
    assert wrong > 100 * right
    assert wrong_bends(pose) == pytest.approx(1 / 8)
    assert wrong_bends(pose, least_deg=40) == 0


def test_what_no_point_shows_is_held_at_rest() -> None:
    weight = rest_pulls([0, 1, 4, 16, 18]).reshape(23, 3)
    assert weight[9].tolist() == [20, 20, 20]  # left foot
    assert weight[0].max() < 1  # left hip
    assert weight[17].tolist() == pytest.approx([5, 0.02, 10])  # left elbow: twist, bend
    assert rest_pulls([18, 20]).reshape(23, 3)[17, 0] < 1  # with a hand, the twist shows
