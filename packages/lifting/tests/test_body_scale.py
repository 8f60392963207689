"""Metres from a height or from bones."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.core.errors import ConfigError
from poseworks.core.testing import walking_poses
from poseworks.lifting.body_scale import (
    BONES,
    bone_length,
    check_sizes,
    metres_per_unit,
    standing_height,
    steady_size,
)


@pytest.fixture
def joints() -> np.ndarray:
    """A person who walks with rigid limbs, in metres: thighs of 0.44 m."""
    poses = walking_poses(80, rng=np.random.default_rng(3))
    return poses.positions[0].astype(np.float64)


def test_the_height_is_the_sum_of_the_chain_and_the_ankle(joints: np.ndarray) -> None:
    # pelvis - spine .25, - thorax .25, - neck (.02, .13), - head top .18, thigh (.01, .44), shin (.01, .42).
    chain = 0.25 + 0.25 + np.hypot(0.02, 0.13) + 0.18 + np.hypot(0.01, 0.44) + np.hypot(0.01, 0.42)
    np.testing.assert_allclose(standing_height(joints), chain / (1 - 0.039), rtol=1e-5)


@pytest.mark.parametrize("unit", [0.3, 1.0, 17.0])
def test_a_stated_height_is_what_the_joints_then_have(joints: np.ndarray, unit: float) -> None:
    factor = metres_per_unit(unit * joints, 1.72, {})
    assert np.median(standing_height(factor * unit * joints)) == pytest.approx(1.72)


def test_bad_frames_do_not_change_the_scale(joints: np.ndarray) -> None:
    clean = metres_per_unit(joints, 1.72, {})
    joints[:15] *= 5
    joints[70:] = np.nan
    assert metres_per_unit(joints, 1.72, {}) == pytest.approx(clean)


def test_a_stated_bone_has_its_length_and_several_agree_in_the_middle(joints: np.ndarray) -> None:
    joints = 0.1 * joints
    assert metres_per_unit(joints, None, {"left_thigh": 0.43}) * np.median(
        bone_length(joints, "left_thigh")
    ) == pytest.approx(0.43)
    bones = {name: 10.0 * float(np.median(bone_length(joints, name))) for name in ("thigh", "forearm", "torso")}
    assert metres_per_unit(joints, None, bones) == pytest.approx(10)
    bones["torso"] *= 3  # mistaken
    assert metres_per_unit(joints, None, bones) == pytest.approx(10)


def test_a_bone_without_a_side_is_the_mean_of_both(joints: np.ndarray) -> None:
    for name in ("thigh", "shin", "upper_arm", "forearm"):
        both = (bone_length(joints, f"left_{name}") + bone_length(joints, f"right_{name}")) / 2
        np.testing.assert_allclose(bone_length(joints, name), both)
    assert {"torso", "shoulders", "hips"} < set(BONES)


def test_nobody_has_no_scale() -> None:
    assert np.isnan(metres_per_unit(np.full((3, 17, 3), np.nan), 1.7, {}))
    assert np.isnan(metres_per_unit(np.zeros((3, 17, 3)), None, {"torso": 0.5}))


def test_a_unit_that_changes_with_the_distance_becomes_one(joints: np.ndarray) -> None:
    approach = np.linspace(0.5, 2, len(joints))[:, None, None]
    steady = steady_size(approach * joints, fps=30)
    np.testing.assert_allclose(standing_height(steady)[15:-15], 1, rtol=1e-5)
    joints[20:40] = np.nan
    steady = steady_size(approach * joints, fps=30)
    assert np.isnan(steady[20:40]).all()
    assert np.isfinite(np.delete(steady, range(20, 40), axis=0)).all()


@pytest.mark.parametrize(
    ("height", "bones", "message"),
    [
        (172.0, {}, "expected metres from 0.4"),
        (1.7, {"thigh": 0.4}, "State one of the two"),
        (None, {"femur": 0.4}, "no bone is called 'femur'; expected one of left_thigh"),
        (None, {"thigh": 43.0}, "thigh: expected metres"),
    ],
)
def test_sizes_that_nobody_has_are_refused(height: float | None, bones: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_sizes(height, bones)
