"""The size of a person, from limbs of known shares."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.core.body_size import person_size
from poseworks.core.testing import walking_poses


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_a_walking_person_is_as_tall_as_their_limbs_tell(rng: np.random.Generator) -> None:
    poses = walking_poses(rng=rng)
    height = person_size(poses.positions[0].astype(float), poses.joint_names)
    assert 1.4 < height < 2.0
    assert person_size(3 * poses.positions[0].astype(float), poses.joint_names) == pytest.approx(3 * height)


def test_a_limb_of_known_length_tells_the_height() -> None:
    names = ("left_hip", "left_knee")
    positions = np.zeros((4, 2, 3))
    positions[:, 1, 2] = 0.245 * 1.8
    assert person_size(positions, names) == pytest.approx(1.8)


def test_without_limbs_the_box_tells_and_without_joints_nothing() -> None:
    positions = np.zeros((4, 2, 2))
    positions[:, 1] = (3, 4)
    assert person_size(positions, ("a", "b")) == pytest.approx(5)
    assert np.isnan(person_size(np.full((4, 2, 2), np.nan), ("a", "b")))
