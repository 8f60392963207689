"""The filter on regions against its formulas, number by number in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from poseworks.keypoints.one_euro import CircleFilter


def slow_filter(circles: list[list[float]], frames: list[int]) -> list[list[float]]:
    """The formulas of the module's docstring for the four numbers of each circle."""

    def gain(cutoff: float, dt: float) -> float:
        return 1 / (1 + 1 / (2 * math.pi * cutoff * dt))

    smooth, speed = list(circles[0]), [0.0] * 4
    out = [list(smooth)]
    for before, now, count in zip(circles[:-1], circles[1:], frames[1:], strict=True):
        dt = count / 30
        diameter = 2 * math.hypot(now[0] - now[2], now[1] - now[3])
        for i in range(4):
            f = gain(1.0, dt)
            speed[i] = f * (now[i] - before[i]) / (diameter * dt) + (1 - f) * speed[i]
            a = gain(0.01 + 10 * abs(speed[i]), dt)
            smooth[i] = a * now[i] + (1 - a) * smooth[i]
        out.append(list(smooth))
    return out


@pytest.mark.parametrize(
    "steps", [(1, 1, 1, 1, 1, 1, 1, 1), (5, 5, 5, 5, 5, 5, 5, 5), (1, 2, 3, 1, 7, 1, 1, 2)], ids=str
)
def test_it_is_what_the_formulas_say(steps: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    circles = np.array([300.0, 200.0, 310.0, 80.0]) + np.cumsum(rng.normal(0, 6, (8, 4)), axis=0)
    expected = slow_filter(circles.tolist(), list(steps))
    subject = CircleFilter()
    got = [
        subject.push(circle.reshape(2, 2).astype(np.float32), count)
        for circle, count in zip(circles, steps, strict=True)
    ]
    assert_allclose(np.reshape(got, (8, 4)), expected, atol=2e-3)  # float32 at 300


def test_what_stands_still_stays() -> None:
    subject, circle = CircleFilter(), np.float32([[100.5, 50.25], [100.5, 10.0]])
    for _ in range(50):
        assert_allclose(subject.push(circle), circle, rtol=1e-5)


def test_a_jump_is_followed_late_and_fully() -> None:
    subject = CircleFilter()
    subject.push(np.float32([[0, 0], [0, -50]]))
    path = [float(subject.push(np.float32([[10, 0], [10, -50]]))[0, 0]) for _ in range(200)]
    assert 3 < path[0] < 7
    assert np.all(np.diff(path) >= -1e-4)
    assert path[-1] == pytest.approx(10, abs=0.1)


def test_a_circle_of_no_size_gives_finite_numbers() -> None:
    subject = CircleFilter()
    for value in (0, 0, 1):
        assert np.isfinite(subject.push(np.full((2, 2), value, np.float32))).all()
