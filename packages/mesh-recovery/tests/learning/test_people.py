from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch

from poseworks.core.body_models import BodyMotion
from poseworks.core.errors import DataError
from poseworks.core.keypoint_conventions import joints_of
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.mesh_recovery.learning.people import People, RenderSettings, take_picture, turned, world_poses


def poses() -> np.ndarray:
    return 0.2 * np.random.default_rng(0).standard_normal((7, 24, 3))


def test_people_are_seen_where_the_labels_say() -> None:
    """Before black, every joint inside the body lies on something that is not black."""
    people = People(poses(), RenderSettings(size=128))
    inner = [joints_of("human_data").index(name) for name in ("pelvis", "spine_2", "left_knee", "right_elbow")]
    for seed in range(4):
        rng = np.random.default_rng(seed)
        person = people.draw(rng)
        picture = take_picture(people, person, np.zeros((128, 128, 3), np.uint8), rng)
        light = picture.max(axis=2)
        x, y = np.rint(person.keypoints[inner, :2]).astype(int).T
        assert (person.keypoints[inner, 2] == 1).all()
        assert light[y, x].min() > np.median(light)
        across = np.ptp(person.vertices[:, :2] / person.vertices[:, 2:], axis=0).max()
        assert 0.5 * 128 < person.focal_px * across < 0.9 * 128


def test_poses_are_those_that_are_given() -> None:
    still = RenderSettings(mixed=0, unseen=False, roll_deg=0, pitch_deg=(0, 0), shape=0)
    given = poses()
    people = People(given, still)
    for seed in range(5):
        person = people.draw(np.random.default_rng(seed))
        body = [int(np.abs(each[1:] - person.pose[1:]).max(axis=1).max() < 1e-9) for each in given]
        assert sum(body) == 1
        assert not person.betas.any()
    prior = People(None, RenderSettings()).draw(np.random.default_rng(0))
    assert 0.05 < np.abs(prior.pose[1:]).mean() < 1


def test_standing_people_stand_upright_in_the_picture() -> None:
    people = People(np.zeros((1, 24, 3)), RenderSettings(size=64, unseen=False))
    names = joints_of("human_data")
    for seed in range(8):
        joints = people.draw(np.random.default_rng(seed)).joints
        head, feet = joints[names.index("head")], joints[names.index("left_ankle")]
        assert feet[1] - head[1] > 1.0  # y points down


def test_the_camera_may_stand_where_people_face() -> None:
    turns = np.array([0.0, 0.7, 2.0, 3.0, -2.5])
    given = np.zeros((5, 24, 3))
    given[:, 0, 1] = turns
    settings = RenderSettings(size=64, unseen=False, mixed=0, roll_deg=0, pitch_deg=(0, 0))
    for facing_deg, widest in ((0.0, 1e-6), (30.0, 30.0), (180.0, 180.0)):
        people = People(given, settings.model_copy(update={"facing_deg": facing_deg}))
        roots = np.stack([people.draw(np.random.default_rng(seed)).pose[0] for seed in range(12)])
        front = axis_angle_to_matrix(torch.from_numpy(roots))[:, :, 2].numpy()
        aside = np.degrees(np.abs(np.arctan2(front[:, 0], -front[:, 2])))  # who faces the camera faces -z
        assert 0.5 * widest - 1e-6 < aside.max() <= widest + 1e-6


@pytest.mark.parametrize(("pitch", "nearer", "further"), [(40.0, "head", "left_ankle"), (-40.0, "left_ankle", "head")])
def test_a_camera_that_looks_down_is_above(pitch: float, nearer: str, further: str) -> None:
    settings = RenderSettings(size=64, unseen=False, pitch_deg=(pitch, pitch), roll_deg=0)
    joints = People(np.zeros((1, 24, 3)), settings).draw(np.random.default_rng(0)).joints
    names = joints_of("human_data")
    assert joints[names.index(further), 2] - joints[names.index(nearer), 2] > 0.5


def test_motion_of_a_camera_is_turned_upright() -> None:
    there = np.array([1.0, np.nan], np.float32)[None, :, None]  # in the first of two frames
    motion = BodyMotion(
        global_orient=there * np.array([np.pi, 0, 0], np.float32),
        body_pose=there[..., None] * np.full((23, 3), 0.1, np.float32),
        betas=np.zeros((1, 10), np.float32), transl=there * np.ones(3, np.float32), fps=30, body="free", frame="camera",
    )  # fmt: skip
    upright = world_poses(motion)
    assert upright.shape == (1, 24, 3)
    assert np.abs(turned(torch.eye(3, dtype=torch.float64), upright[:, 0])).max() < 1e-6


def test_other_processes_can_be_sent_them() -> None:
    people = People(poses(), RenderSettings(size=64))
    before = people.draw(np.random.default_rng(0)).vertices, people.faces.copy()
    sent: People = pickle.loads(pickle.dumps(people))
    ForkingPickler.dumps(people)  # as workers are sent them: tensors move to shared memory
    for each in (people, sent):
        assert np.array_equal(each.draw(np.random.default_rng(0)).vertices, before[0])
        assert np.array_equal(each.faces, before[1])


def test_poses_that_do_not_do_are_refused() -> None:
    with pytest.raises(DataError, match=r"poses: expected finite numbers \(N, 24, 3\)"):
        People(np.full((2, 24, 3), np.nan), RenderSettings())
    with pytest.raises(DataError, match=r"got \(0, 24, 3\)"):
        People(np.zeros((0, 24, 3)), RenderSettings())
