"""Points about their mean, against automatic differentiation; sums of terms."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from poseworks.mesh_recovery.fitting.terms import NearPoints
from poseworks.mesh_recovery.fitting.thought_points import ThoughtPoints, Together

ALL = slice(None)


def random(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def test_gradient_and_curvature_of_thought_points() -> None:
    term = ThoughtPoints(random(3, 5, 3), random(3, 5, seed=1).square())
    points = random(3, 5, 3, seed=2).requires_grad_()
    bent = term(points, ALL)
    (gradient,) = torch.autograd.grad(bent.cost.sum(), points)
    assert_close(bent.gradient, gradient)
    # The curvature bounds from above: the parabola lies over the cost at any step.
    step = 0.3 * random(3, 5, 3, seed=3)
    parabola = bent.cost + (bent.gradient * step).sum((1, 2)) + 0.5 * (bent.curvature * step.square().sum(-1)).sum(1)
    assert (term(points + step, ALL).cost <= parabola + 1e-5).all()


def test_thought_points_do_not_tell_the_place() -> None:
    target = random(2, 4, 3)
    term = ThoughtPoints(target, torch.ones(2, 4))
    moved = term(target + torch.tensor((3.0, -1.0, 2.0)), ALL)
    assert_close(moved.cost, torch.zeros(2), atol=1e-9, rtol=0)
    nothing = ThoughtPoints(target, torch.zeros(2, 4))(random(1, 4, 3, seed=1), slice(1, 2))
    assert_close(nothing.cost, torch.zeros(1))


def test_terms_add_up() -> None:
    points, weight = random(2, 4, 3), random(2, 4, seed=1).square()
    near, thought = NearPoints(random(2, 4, 3, seed=2), weight, 0.1, 2.0), ThoughtPoints(random(2, 4, 3), weight)
    both, one, other = (term(points, ALL) for term in (Together(near, thought), near, thought))
    assert_close(both.cost, one.cost + other.cost)
    assert_close(both.gradient, one.gradient + other.gradient)
    assert_close(both.curvature, (one.curvature + other.curvature)[..., None, None] * torch.eye(3))
