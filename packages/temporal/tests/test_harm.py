"""The harm report: figures by hand, and verdicts that follow the stated rule."""

from __future__ import annotations

import json

import numpy as np
import pytest

from poseworks.core import COCO_17, PoseSequence
from poseworks.core.errors import DataError
from poseworks.core.testing import walking_poses
from poseworks.temporal import Gaussian, harm_report, smooth
from poseworks.temporal.harm import RULE, worst


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def one_joint(values: np.ndarray, **fields: object) -> PoseSequence:
    positions = np.zeros((1, len(values), 1, 3), dtype=np.float32)
    positions[0, :, 0, 0] = values
    settings = {"skeleton": "custom", "fps": 30, "unit": "m", "frame": "world", **fields}
    return PoseSequence(positions=positions, joint_names=("thing",), **settings)  # type: ignore[arg-type]


def test_displacement_acceleration_and_jerk_by_hand() -> None:
    before = one_joint(np.array([0.0, 1.0, 0.0, 1.0, 0.0]))
    after = one_joint(np.array([0.0, 0.5, 0.0, 0.5, 0.0]))
    person = harm_report(before, after).people[0]
    assert person.displacement_mean == pytest.approx(0.2)
    assert person.displacement_max == pytest.approx(0.5)
    assert person.displacement_p95 == pytest.approx(0.5)
    assert (person.acceleration.before, person.acceleration.after) == (pytest.approx(2.0), pytest.approx(1.0))
    assert (person.jerk.before, person.jerk.after) == (pytest.approx(4.0), pytest.approx(2.0))
    assert person.acceleration.ratio == pytest.approx(0.5)


def test_power_kept_is_the_square_of_the_gain() -> None:
    time = np.arange(300) / 30
    before = one_joint(np.sin(2 * np.pi * 3 * time))
    person = harm_report(before, one_joint(0.6 * np.sin(2 * np.pi * 3 * time))).people[0]
    assert person.power_kept == pytest.approx(0.36, rel=1e-4)
    outside = one_joint(np.sin(2 * np.pi * 3 * time) + 5 * np.sin(2 * np.pi * 12 * time))
    assert harm_report(outside, before).people[0].power_kept == pytest.approx(1.0, rel=1e-3)


def test_power_is_not_measured_where_the_rate_is_too_low_or_the_clip_too_short() -> None:
    values = np.sin(np.arange(60.0))
    assert harm_report(one_joint(values, fps=4), one_joint(values, fps=4)).people[0].power_kept is None
    assert harm_report(one_joint(values[:10]), one_joint(values[:10])).people[0].power_kept is None


def test_bones_and_feet(rng: np.random.Generator) -> None:
    poses = walking_poses(90, rng=rng)
    stretched = poses.positions.copy()
    stretched[0, ::2, 3] += (0, 0, 0.1)  # the right ankle's bone grows and shrinks
    person = harm_report(poses, poses.replace(positions=stretched)).people[0]
    assert person.bone_length_spread.before == pytest.approx(0, abs=1e-5)
    assert person.bone_length_spread.after is not None
    assert person.bone_length_spread.after > 0.005
    assert person.verdict == "harm"


def test_a_standing_foot_that_is_moved_slides() -> None:
    positions = np.zeros((1, 40, 4, 3), dtype=np.float32)
    positions[0, :, :, 2] = (0.9, 0.5, 0.1, 1.7)
    before = PoseSequence(
        positions=positions, joint_names=("left_hip", "left_knee", "left_ankle", "nose"), skeleton="custom", fps=30,
        unit="m", frame="world",
    )  # fmt: skip
    moved = positions.copy()
    moved[0, :, 2, 0] = 0.01 * np.arange(40)
    person = harm_report(before, before.replace(positions=moved)).people[0]
    assert person.foot_slide.before == 0
    assert person.foot_slide.after == pytest.approx(0.3, rel=1e-3)
    relative = before.replace(frame="root")
    assert harm_report(relative, relative).people[0].foot_slide.before is None


def test_flat_poses_have_no_bone_lengths(rng: np.random.Generator) -> None:
    poses = walking_poses(60, dims=2, rng=rng)
    person = harm_report(poses, poses).people[0]
    assert person.bone_length_spread.before is None
    assert person.verdict == "no visible effect"


def test_missing_values_are_left_out(rng: np.random.Generator) -> None:
    poses = walking_poses(90, rng=rng, missing=0.1, noise=0.01)
    filled = smooth(poses, Gaussian(sigma_frames=1))
    person = filled.harm.people[0]
    seen = np.isfinite(poses.positions[0]).all(axis=-1) & np.isfinite(filled.poses.positions[0]).all(axis=-1)
    moved = np.linalg.norm(filled.poses.positions[0] - poses.positions[0], axis=-1)[seen]
    assert person.displacement_mean == pytest.approx(moved.mean(), rel=1e-5)
    assert person.acceleration.before is not None


def test_verdicts_follow_the_rule(rng: np.random.Generator) -> None:
    clean = walking_poses(150, rng=rng)
    noisy = clean.replace(positions=clean.positions + rng.normal(0, 0.01, clean.positions.shape))
    assert smooth(noisy, Gaussian(sigma_frames=1.5)).harm.people[0].verdict == "smoother, motion kept"
    assert smooth(clean, Gaussian(sigma_frames=8)).harm.people[0].verdict == "over-smoothed"
    assert harm_report(clean, noisy).people[0].verdict == "harm"
    assert harm_report(clean, clean.replace(positions=clean.positions + 1e-4)).people[0].verdict == "no visible effect"
    assert harm_report(clean, clean.replace(positions=clean.positions + 0.1)).people[0].verdict == "changed"
    for verdict in ("harm", "over-smoothed", "no visible effect", "smoother, motion kept", "changed"):
        assert f"{verdict}:" in RULE


def test_the_report_is_json_and_a_table(rng: np.random.Generator) -> None:
    poses = walking_poses(60, people=2, rng=rng, skeleton=COCO_17).replace(person_ids=np.array([9, 3]))
    report = harm_report(poses, poses)
    content = json.loads(report.model_dump_json())
    assert [person["person"] for person in content["people"]] == [9, 3]
    assert all(len(row) == len(report.columns()) for row in report.rows())
    assert worst(report.people) == "no visible effect"
    assert worst(()) == "nothing to compare"


def test_versions_of_different_poses_are_refused(rng: np.random.Generator) -> None:
    poses = walking_poses(20, rng=rng)
    with pytest.raises(DataError, match="two versions of the same poses"):
        harm_report(poses, poses.replace(unit="mm"))
