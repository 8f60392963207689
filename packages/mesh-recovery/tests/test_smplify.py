"""SMPLify, by what must hold of it: a known body is found again, and only what counts moves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.body_models import load_body, pose_prior
from poseworks.core.cameras import perspective_projection
from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.keypoint_conventions import joints_of
from poseworks.core.metrics import pa_mpjpe
from poseworks.core.rotations import axis_angle_to_matrix, geodesic_distance
from poseworks.mesh_recovery.named_joints import NamedJoints
from poseworks.mesh_recovery.smplify import SMPLify, SMPLifyConfig

NAMES = joints_of("smpl_49")
IGNORED = [1, 9, 12, 27, 28]


@dataclass(frozen=True)
class Scene:
    """Bodies, where they stand, and their keypoints (N, 49, 3)."""

    pose: Tensor
    betas: Tensor
    translation: Tensor
    keypoints: Tensor


@pytest.fixture(scope="module")
def joints() -> NamedJoints:
    return NamedJoints(load_body("free"), NAMES, "conventions")


@pytest.fixture(scope="module")
def smplify(joints: NamedJoints) -> SMPLify:
    return SMPLify(joints, pose_prior("free"))


@pytest.fixture(scope="module")
def scene(joints: NamedJoints) -> Scene:
    """Three people in likely poses, seen from the front, a side and half behind."""
    prior = pose_prior("free")
    pose = torch.zeros(3, 24, 3)
    pose[:, 1:] = prior.means[:3].reshape(3, 23, 3)
    pose[:, 0] = torch.tensor([[3.1, 0.1, 0.0], [2.2, 0.1, -2.1], [2.9, 0.0, 1.0]])
    translation = torch.tensor([[0.0, 0.1, 42.0], [0.2, 0.0, 50.0], [-0.1, 0.2, 45.0]])
    betas = 0.3 * torch.ones(3, 10)
    body, light = joints.light_body()
    pixels = perspective_projection(light(body(betas, pose)), translation)
    keypoints = torch.cat((pixels / 112, joints.known[None, :, None].float().expand(3, -1, 1)), -1)
    return Scene(pose, betas, translation, keypoints)


def test_a_known_body_is_found_again(scene: Scene, smplify: SMPLify, joints: NamedJoints) -> None:
    gen = torch.Generator().manual_seed(0)
    start = scene.pose + 0.25 * torch.randn(scene.pose.shape, generator=gen)
    place = scene.translation + torch.tensor([0.1, -0.1, 1.0])
    before = smplify.loss(start, torch.zeros(3, 10), place, scene.keypoints)
    found = smplify.fit(start, torch.zeros(3, 10), place, scene.keypoints)
    assert (found.loss < 0.02 * before).all()
    assert (found.loss < 5).all()  # squared pixels, of a body of some 200 pixels
    body, light = joints.light_body()
    wanted = light(body(scene.betas, scene.pose))[:, joints.known]
    error = pa_mpjpe(light(body(found.betas, found.pose))[:, joints.known], wanted)
    assert (error < 0.6 * pa_mpjpe(light(body(torch.zeros(3, 10), start))[:, joints.known], wanted)).all()
    turned = geodesic_distance(axis_angle_to_matrix(found.pose[:, 0]), axis_angle_to_matrix(scene.pose[:, 0]))
    assert (turned < 0.3).all()


def test_each_picture_is_fitted_on_its_own_and_nothing_given_is_changed(scene: Scene, joints: NamedJoints) -> None:
    quick = SMPLify(joints, pose_prior("free"), SMPLifyConfig(steps=5))
    start = scene.pose + 0.2  # at the likeliest pose itself steps would follow the last bits
    given = (start.clone(), scene.betas.clone(), scene.translation + 0.1, scene.keypoints.clone())
    together = quick.fit(*given)
    for now, then in zip(given, (start, scene.betas, scene.translation + 0.1, scene.keypoints), strict=True):
        assert torch.equal(now, then)
    alone = quick.fit(*(x[1:2] for x in given))
    for one, all_three in zip(alone, together, strict=True):
        assert_close(one[0], all_three[1], rtol=1e-4, atol=1e-4)
    assert not any(x.requires_grad for x in together)


def test_the_loss_is_that_of_the_paper(scene: Scene, smplify: SMPLify, joints: NamedJoints) -> None:
    """In NumPy, from the body's joints."""
    moved = scene.keypoints.clone()
    moved[..., 0] += torch.linspace(0, 1.5, 49)
    moved[..., 2] *= torch.linspace(0.1, 1, 49)
    body, light = joints.light_body()
    points = (light(body(scene.betas, scene.pose)) + scene.translation[:, None]).numpy().astype(np.float64)
    error = 5000 * points[..., :2] / points[..., 2:] - 112 * moved[..., :2].numpy()
    weights = (moved[..., 2].numpy() ** 2).copy()
    weights[:, IGNORED] = 0
    expected = (weights * (1e4 * error**2 / (1e4 + error**2)).sum(-1)).sum(-1) / 49
    found = smplify.loss(scene.pose, scene.betas, scene.translation, moved)
    assert_close(found.double(), torch.from_numpy(expected), rtol=1e-3, atol=1e-3)


def test_hips_and_the_neck_place_the_body_but_do_not_bend_it(scene: Scene, smplify: SMPLify) -> None:
    moved = scene.keypoints.clone()
    moved[:, IGNORED, 0] += 0.4
    arguments = (scene.pose, scene.betas, scene.translation)
    assert torch.equal(smplify.loss(*arguments, moved), smplify.loss(*arguments, scene.keypoints))
    shifted = smplify.fit(*arguments, moved).translation - smplify.fit(*arguments, scene.keypoints).translation
    assert (shifted[:, 0] > 0.05).all()


def test_annotated_hips_and_shoulders_serve_where_the_detector_missed_one(scene: Scene, smplify: SMPLify) -> None:
    keypoints = scene.keypoints.clone()
    keypoints[:, 2] = 0  # the detector's right shoulder
    keypoints[:, [5, 9, 12], :2] += 0.9  # its others are wrong, and now not looked at
    away = scene.translation + torch.tensor([0.3, 0.3, 0.0])
    found = smplify.fit(scene.pose, scene.betas, away, keypoints)
    assert_close(found.translation, scene.translation, rtol=0, atol=0.02)


def test_what_is_not_seen_becomes_likely(smplify: SMPLify) -> None:
    prior = pose_prior("free")
    pose = torch.zeros(1, 24, 3)
    pose[0, 18, 1], pose[0, 4, 0] = 0.8, -0.8  # an elbow and a knee bent backwards
    assert 3 * 17 + 1 == 52
    keypoints = torch.zeros(1, 49, 3)
    place = torch.tensor([[0.0, 0.0, 45.0]])
    found = smplify.fit(pose, torch.full((1, 10), 0.5), place, keypoints)
    assert prior(found.pose[:, 1:]) < prior(pose[:, 1:]) - 20
    assert found.pose[0, 18, 1] < 0.4
    assert found.pose[0, 4, 0] > -0.4
    assert found.betas.abs().max() < 0.2
    assert torch.equal(found.translation, place)
    assert torch.equal(found.pose[:, 0], pose[:, 0])
    assert torch.isinf(found.loss).all()  # nothing speaks for it


def test_a_body_is_placed_by_least_squares(scene: Scene, smplify: SMPLify) -> None:
    wrong = scene.keypoints.clone()
    wrong[:, :25, :2] += 0.3  # what a detector says is not asked, as long as annotators saw two joints
    found = smplify.translation(scene.pose, scene.betas, wrong)
    assert_close(found, scene.translation, rtol=1e-3, atol=1e-3)
    detected = scene.keypoints.clone()
    detected[:, 25:, 2] = 0
    assert_close(smplify.translation(scene.pose, scene.betas, detected), scene.translation, rtol=1e-2, atol=1e-2)
    nowhere = smplify.translation(scene.pose, scene.betas, torch.zeros_like(wrong))
    assert nowhere.isnan().all()
    assert torch.isinf(smplify.loss(scene.pose, scene.betas, nowhere, scene.keypoints)).all()


def test_faults_are_named(scene: Scene, smplify: SMPLify) -> None:
    pose, betas, translation, keypoints = scene.pose, scene.betas, scene.translation, scene.keypoints
    with pytest.raises(ShapeError, match=r"pose: expected \(N, J=24, C=3\).*matrix_to_axis_angle"):
        smplify.fit(axis_angle_to_matrix(pose), betas, translation, keypoints)
    with pytest.raises(ShapeError, match=r"keypoints: expected \(N=3, J=49, C=3\)"):
        smplify.fit(pose, betas, translation, keypoints[:, :25])
    broken = keypoints.clone()
    broken[1, 30, 0] = torch.nan
    with pytest.raises(DataError, match="keypoints: not finite in row 1"):
        smplify.fit(pose, betas, translation, broken)
    with pytest.raises(DataError, match="pose: not finite in row 0"):
        smplify.loss(pose * torch.inf, betas, translation, keypoints)
    legs = NamedJoints(load_body("free"), ("left_knee", "right_knee", "left_ankle"), "conventions")
    with pytest.raises(ConfigError, match="needs both hips and shoulders"):
        SMPLify(legs, pose_prior("free"))
