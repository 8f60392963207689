"""Numbers of people through crossings, absence and change of size, on people that are drawn here."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.core.errors import DataError, ShapeError
from poseworks.keypoints.association import MEMORY_S, Association, Motion
from poseworks.keypoints.region import Floats

FPS = 30
HEIGHT = 200.0  # pixels: shoulder width 50, so that the diagonal of a person is 206


def person(x: float, y: float = 300.0, scale: float = 1.0) -> Floats:
    """(6, 2): head, shoulders, hip centre and feet of somebody who stands at x."""
    shape = np.array([(0, -100), (-25, -70), (25, -70), (0, 0), (-20, 100), (20, 100)])
    return (shape * scale + (x, y)).astype(np.float32)


def push(association: Association, people: list[Floats], time: float) -> list[int]:
    keypoints = np.stack(people) if people else np.empty((0, 6, 2), np.float32)
    return association.push(keypoints, np.ones(keypoints.shape[:2], np.float32), time)


def test_people_keep_their_numbers_in_whatever_order_they_come() -> None:
    association = Association()
    assert push(association, [person(100), person(400)], 0.0) == [0, 1]
    assert push(association, [person(402), person(98)], 1 / FPS) == [1, 0]
    assert push(association, [person(700), person(96), person(404)], 2 / FPS) == [2, 0, 1]


@pytest.mark.parametrize("fps", [30, 10])
def test_people_who_cross_are_told_apart_by_where_they_are_heading(fps: int) -> None:
    association = Association()
    for frame in range(3 * fps):
        time = frame / fps
        people = [person(100 + 200 * time), person(700 - 200 * time, 320)]  # they meet at 1.5 s
        assert push(association, people, time) == [0, 1]


def test_a_crossing_that_is_wrong_without_the_velocity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two of these frames each comes nearer to where the other was."""
    steps = [[person(100 + 40 * n), person(560 - 40 * n, 305)] for n in range(12)]

    def ids() -> list[list[int]]:
        association = Association()
        return [push(association, people, n / 10) for n, people in enumerate(steps)]

    assert ids() == [[0, 1]] * 12
    monkeypatch.setattr(Motion, "expected", lambda motion, time: np.zeros(2, np.float32))
    assert ids() != [[0, 1]] * 12


def test_one_who_is_hidden_while_another_passes_gets_the_old_number() -> None:
    association = Association()
    for frame in range(90):
        time = frame / FPS
        walks = 100 + 200 * time
        hidden = 1.2 < time < 1.8
        people = [person(walks)] if hidden else [person(walks), person(400, 310)]
        assert push(association, people, time) == ([0] if hidden else [0, 1])


@pytest.mark.parametrize(("absence", "same"), [(0.5, True), (MEMORY_S - 0.1, True), (MEMORY_S + 0.1, False)])
def test_absence_is_bridged_while_the_memory_lasts(absence: float, same: bool) -> None:
    association = Association()
    for frame in range(FPS):
        push(association, [person(300)], frame / FPS)
    last = (FPS - 1) / FPS
    assert push(association, [], last + 0.05) == []
    assert push(association, [person(310)], last + absence) == [0 if same else 1]


def test_somebody_elsewhere_or_of_another_size_is_somebody_new() -> None:
    association = Association()
    assert push(association, [person(300)], 0.0) == [0]
    assert push(association, [person(300 + 0.6 * HEIGHT)], 0.1) == [1]
    assert push(association, [person(300, scale=0.4)], 0.2) == [2]


def test_keypoints_that_were_not_seen_say_nothing() -> None:
    association = Association()
    confidence = np.array([[0.9, 0.9, 0.9, 0.9, 0.0, 0.0]], np.float32)
    assert association.push(person(300)[None], np.ones((1, 6), np.float32), 0.0) == [0]
    wild = person(301)
    wild[4:] = (-5000, 9000)
    assert association.push(wild[None], confidence, 0.1) == [0]


def test_half_a_body_is_no_other_body() -> None:
    association = Association()
    upper = np.array([[1, 1, 1, 0, 0, 0]], np.float32)  # head and shoulders
    assert association.push(person(300)[None], np.ones((1, 6), np.float32), 0.0) == [0]
    assert association.push(person(302)[None], upper, 0.1) == [0]
    assert association.push(person(304)[None], np.ones((1, 6), np.float32), 0.2) == [0]


def test_expected_steps_are_straight_on_for_half_a_second() -> None:
    motion = Motion(0.0)
    motion.moved(np.array([10, 0], np.float32), 0.1)  # 100 px a second, of which 0.3 is taken
    np.testing.assert_allclose(motion.velocity, (30, 0), rtol=1e-6)
    np.testing.assert_allclose(motion.expected(0.3), (6, 0), rtol=1e-5)
    np.testing.assert_allclose(motion.expected(5.0), (15, 0), rtol=1e-5)


def test_arguments_are_checked() -> None:
    association = Association()
    with pytest.raises(ShapeError, match=r"keypoints: expected \(P, J, 2\) with confidence \(P, J\), got \(6, 2\) and"):
        association.push(person(0), np.ones(6, np.float32), 0.0)
    push(association, [], 1.0)
    for time in (1.0, 0.5, float("nan")):
        with pytest.raises(DataError, match=r"time: expected seconds that rise from push to push, got .* after 1\.0"):
            push(association, [], time)
