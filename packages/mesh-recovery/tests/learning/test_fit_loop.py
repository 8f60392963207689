"""SPIN's loop: what a network is taught by fits, and how the kept ones change."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.body_models import load_body, pose_prior
from poseworks.core.cameras import perspective_projection
from poseworks.core.errors import DataError
from poseworks.core.keypoint_conventions import flip_pairs, joints_of
from poseworks.core.rotations import axis_angle_to_matrix, geodesic_distance
from poseworks.mesh_recovery.hmr import BodyParameters
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.learning.fit_loop import FitLoop, FitLoopSettings
from poseworks.mesh_recovery.learning.fits import FitStore
from poseworks.mesh_recovery.named_joints import NamedJoints
from poseworks.mesh_recovery.smplify import SMPLifyConfig

NAMES = joints_of("smpl_24")
UPRIGHT = torch.tensor([torch.pi, 0.0, 0.0])
PLACE = torch.tensor([[0.0, 0.1, 45.0]])


@pytest.fixture(scope="module")
def joints() -> NamedJoints:
    return NamedJoints(load_body("free"), NAMES, "conventions")


@pytest.fixture(scope="module")
def people(joints: NamedJoints) -> Batch:
    """Three people who face the camera; the last one's body is known."""
    pose = torch.zeros(3, 24, 3)
    pose[:, 1:] = pose_prior("free").means[:3].reshape(3, 23, 3)
    pose[:, 0] = UPRIGHT
    body, light = joints.light_body()
    pixels = perspective_projection(light(body(torch.zeros(3, 10), pose)), PLACE.expand(3, -1))
    return Batch(
        images=torch.zeros(3, 3, 4, 4),
        keypoints=torch.cat((pixels / 112, joints.known[None, :, None].float().expand(3, -1, 1)), -1),
        joints=torch.zeros(3, len(NAMES), 4),
        pose=pose,
        betas=torch.full((3, 10), 0.5),
        has_body=torch.tensor([False, False, True]),
        data_set=torch.tensor([0, 0, 0]),
        item=torch.tensor([4, 1, 2]),
        flipped=torch.zeros(3, dtype=torch.bool),
        rotation_deg=torch.zeros(3),
        crop=torch.zeros(3, 2, 3),
        parts=None,
        joint_names=NAMES,
    )


def loop_of(joints: NamedJoints, threshold: float = 100.0, steps: int = 30) -> FitLoop:
    start = torch.zeros(24, 3)
    start[0] = UPRIGHT
    settings = FitLoopSettings(threshold=threshold, smplify=SMPLifyConfig(steps=steps))
    return FitLoop(joints, pose_prior("free"), FitStore({"one": 5}, start), settings)


def network_says(people: Batch, noise: float, seed: int = 0) -> BodyParameters:
    """Nearly the people's own bodies, before a camera that sees them nearly where they are."""
    gen = torch.Generator().manual_seed(seed)
    pose = people.pose + noise * torch.randn(people.pose.shape, generator=gen)
    scale = 2 * 5000 / (224 * 45.0)
    return BodyParameters(
        axis_angle_to_matrix(pose), torch.zeros(3, 10), torch.tensor([[scale, 0.0, 0.1]]).expand(3, -1)
    )


def test_the_network_learns_from_fits_and_from_labels_where_there_are_some(people: Batch, joints: NamedJoints) -> None:
    loop = loop_of(joints)
    target, figures = loop(network_says(people, 0.15), people)
    assert target.valid.all()
    assert figures["fits_better"] == 1
    assert figures["fits_valid"] == 1
    wanted = axis_angle_to_matrix(people.pose)
    assert_close(target.rotations[2], wanted[2])
    assert torch.equal(target.betas[2], people.betas[2])
    first = torch.zeros(2, 24, 3)
    first[:, 0] = UPRIGHT
    before = geodesic_distance(axis_angle_to_matrix(first), wanted[:2])[:, 1:].mean()
    assert geodesic_distance(target.rotations, wanted)[:2, 1:].mean() < 0.6 * before
    assert not target.rotations.requires_grad
    kept = loop.store.of(people)[0]
    assert_close(axis_angle_to_matrix(kept[:2]), target.rotations[:2])
    assert torch.equal(kept[2], torch.cat((UPRIGHT[None], torch.zeros(23, 3))))  # a label needs no fit


def test_kept_fits_only_get_better_in_whichever_view_they_are_made(people: Batch, joints: NamedJoints) -> None:
    """Shown as it is, then mirrored: the mirrored view starts from the fit of the first, and both see its gain."""
    loop = loop_of(joints, steps=10)
    partners = torch.arange(len(NAMES))
    for left, right in flip_pairs("smpl_24"):
        partners[left], partners[right] = right, left
    keypoints = people.keypoints[:, partners] * torch.tensor([-1.0, 1.0, 1.0])
    mirrored = replace(people, keypoints=keypoints, flipped=torch.ones(3, dtype=torch.bool))
    losses = [kept_loss(loop, people)]
    for seed, view in enumerate((people, mirrored, people, mirrored)):
        noisy = network_says(people, 0.3, seed)
        loop(noisy, view)
        losses.append(kept_loss(loop, people))
        assert_close(kept_loss(loop, mirrored), losses[-1], rtol=0.01, atol=0.5)  # squared pixels
    assert all((later <= earlier + 0.5).all() for earlier, later in pairwise(losses))
    assert (losses[-1] < 0.7 * losses[0]).all()


def kept_loss(loop: FitLoop, people: Batch) -> Tensor:
    pose, betas = loop.store.of(people)
    place = loop._smplify.translation(pose, betas, people.keypoints)
    return loop._smplify.loss(pose, betas, place, people.keypoints)[:2]


def test_bad_fits_and_unseen_people_teach_nothing(people: Batch, joints: NamedJoints) -> None:
    target, figures = loop_of(joints, threshold=1e-3, steps=2)(network_says(people, 0.2), people)
    assert target.valid.tolist() == [False, False, True]
    assert figures["fits_valid"] == 0
    unseen = people.keypoints.clone()
    unseen[0] = 0
    loop = loop_of(joints, steps=2)
    target, _ = loop(network_says(people, 0.2), replace(people, keypoints=unseen))
    assert not target.valid[0]
    assert torch.equal(loop.store.of(people)[0][0, 1:], torch.zeros(23, 3))


def test_shapes_beyond_three_are_taken_for_average(people: Batch, joints: NamedJoints) -> None:
    loop = loop_of(joints, steps=1)
    wide = network_says(people, 0.05)
    wide = wide._replace(betas=torch.tensor([[5.0] * 10, [1.0] * 10, [0.0] * 10]))
    target, _ = loop(wide, people)
    assert not target.betas[0].any()
    assert target.betas[1].all()
    assert loop.store.of(people)[1][0].max() > 3  # what is kept is what was found


def test_batches_with_labels_alone_are_not_fitted(people: Batch, joints: NamedJoints) -> None:
    everyone = replace(people, has_body=torch.ones(3, dtype=torch.bool))
    loop = loop_of(joints)
    found = BodyParameters(torch.full((3, 24, 3, 3), torch.nan), torch.zeros(3, 10), torch.ones(3, 3))
    target, figures = loop(found, everyone)  # would be refused
    assert target.valid.all()
    assert figures["fits_better"] == 0
    with pytest.raises(DataError, match="pose: not finite in row 0"):
        loop(found, people)


def test_a_camera_behind_the_body_is_moved_before_it(people: Batch, joints: NamedJoints) -> None:
    behind = network_says(people, 0.1)._replace(camera=torch.tensor([[-1.0, 0, 0]]).expand(3, -1))
    target, _ = loop_of(joints, steps=2)(behind, people)
    assert torch.isfinite(target.rotations).all()
