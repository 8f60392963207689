"""Losses of a batch: a network that is right has none, and what each of them looks at."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.body_models import load_body
from poseworks.core.keypoint_conventions import joints_of
from poseworks.core.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from poseworks.mesh_recovery.crops import AFFINE_224, PIXELS_224, PIXELS_ORTHOGRAPHIC_224, Preparation
from poseworks.mesh_recovery.graphcmr import MeshAndBody
from poseworks.mesh_recovery.graphormer import Mesh
from poseworks.mesh_recovery.hmr import BodyParameters
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.learning.body_losses import (
    EVALUATED_24,
    MeshTargets,
    NamedBody,
    graphcmr_losses,
    graphormer_losses,
    known_bodies,
    parameter_losses,
    seen,
    weighted_sum,
)
from poseworks.mesh_recovery.learning.losses import LossSettings, Term
from poseworks.mesh_recovery.meshes import SparseMap, body_mesh
from poseworks.mesh_recovery.pare import PartAwareBody

NAMES = joints_of("smpl_24")
ONE = Term(weight=1)
ALL = LossSettings(joints=ONE, keypoints=ONE, vertices=ONE, pose=ONE, betas=ONE, camera=1, parts=1)
PEOPLE = 3


@pytest.fixture(scope="module")
def body() -> NamedBody:
    return NamedBody(load_body("free"), NAMES)


@pytest.fixture(scope="module")
def truth() -> BodyParameters:
    """Bodies that stand stiff, seen from all sides: their meshes tell where their joints are."""
    generator = torch.Generator().manual_seed(0)
    pose = torch.zeros(PEOPLE, 24, 3)
    pose[:, 0] = torch.randn(PEOPLE, 3, generator=generator)
    camera = torch.tensor([0.9, 0, 0]) + 0.1 * torch.randn(PEOPLE, 3, generator=generator)
    return BodyParameters(axis_angle_to_matrix(pose), torch.randn(PEOPLE, 10, generator=generator), camera)


def batch_of(truth: BodyParameters, body: NamedBody, preparation: Preparation) -> Batch:
    """What is known of bodies, were they seen through these cameras."""
    joints = body.joints(truth.rotations, truth.betas)
    sure = body.known.expand(PEOPLE, -1).float()[..., None]
    entries: dict[str, Tensor] = {
        "images": torch.zeros(PEOPLE, 3, 32, 32),
        "keypoints": torch.cat([seen(joints, truth.camera, preparation), sure], dim=2),
        "joints": torch.cat([joints + 7, sure], dim=2),  # about whatever the data set takes
        "pose": matrix_to_axis_angle(truth.rotations),
        "betas": truth.betas,
        "has_body": torch.ones(PEOPLE, dtype=torch.bool),
        **{name: torch.zeros(PEOPLE, dtype=torch.int64) for name in ("data_set", "item")},
        "flipped": torch.zeros(PEOPLE, dtype=torch.bool),
        "rotation_deg": torch.zeros(PEOPLE),
        "crop": torch.zeros(PEOPLE, 2, 3),
    }
    return Batch(**entries, parts=None, joint_names=NAMES)


def test_joints_are_seen_in_the_units_of_keypoints() -> None:
    joints = torch.tensor([[[0.1, -0.2, 0.0]]])
    camera = torch.tensor([[0.8, 0.3, 0.4]])
    flat = torch.tensor([[[0.8 * 0.4, 0.8 * 0.2]]])
    assert_close(seen(joints, camera, PIXELS_ORTHOGRAPHIC_224), flat)
    assert_close(seen(joints, camera, PIXELS_224), flat)  # in the plane of the body the camera is the same
    assert_close(seen(joints, camera, AFFINE_224), flat * 224 / 223)
    nearer = seen(joints - torch.tensor([0.0, 0.0, 1.0]), camera, PIXELS_224)
    assert (nearer.abs() > flat.abs()).all()


@pytest.mark.parametrize("preparation", [AFFINE_224, PIXELS_224])
def test_bodies_that_are_right_cost_nothing(truth: BodyParameters, body: NamedBody, preparation: Preparation) -> None:
    parts = parameter_losses(truth, batch_of(truth, body, preparation), body, ALL, preparation)
    assert set(parts) == {"joints", "keypoints", "vertices", "pose", "betas", "camera"}
    assert all(float(loss) < 1e-6 for loss in parts.values()), parts
    wrong = truth._replace(camera=truth.camera + 0.1, betas=truth.betas + 1)
    parts = parameter_losses(wrong, batch_of(truth, body, preparation), body, ALL, preparation)
    assert float(parts["pose"]) < 1e-9
    assert float(parts["betas"]) == pytest.approx(1)
    assert min(float(parts[name]) for name in ("joints", "keypoints", "vertices")) > 1e-4


def test_losses_without_weight_are_not_computed(truth: BodyParameters, body: NamedBody) -> None:
    batch = batch_of(truth, body, AFFINE_224)
    assert set(parameter_losses(truth, batch, body, LossSettings(betas=ONE), AFFINE_224)) == {"betas"}


def test_people_without_a_body_teach_by_their_keypoints_alone(truth: BodyParameters, body: NamedBody) -> None:
    batch = batch_of(truth, body, AFFINE_224)
    batch.has_body[1], batch.joints[1, :, 3], batch.pose[1] = False, 0, 9.0
    camera, betas = (truth.camera + 0.1).requires_grad_(), (truth.betas + 0.1).requires_grad_()
    found = BodyParameters(truth.rotations, betas, camera)
    parts = parameter_losses(found, batch, body, ALL, AFFINE_224)
    assert float(parts["pose"]) < 1e-9
    (gradient,) = torch.autograd.grad(parts["betas"] + parts["vertices"] + parts["joints"], betas, retain_graph=True)
    assert not gradient[1].any()
    assert gradient[[0, 2]].any(dim=1).all()
    (gradient,) = torch.autograd.grad(parts["keypoints"], camera)
    assert gradient.any(dim=1).all()


def test_other_bodies_may_be_asked_for(truth: BodyParameters, body: NamedBody) -> None:
    batch = batch_of(truth, body, AFFINE_224)
    known = replace(known_bodies(batch), betas=truth.betas + 2)
    assert float(parameter_losses(truth, batch, body, ALL, AFFINE_224, known)["betas"]) == pytest.approx(4)


def test_parts_count_where_they_are_labelled(truth: BodyParameters, body: NamedBody) -> None:
    logits = torch.zeros(PEOPLE, 25, 4, 4)
    found = PartAwareBody(*truth, logits)
    batch = batch_of(truth, body, AFFINE_224)
    assert "parts" not in parameter_losses(found, batch, body, ALL, AFFINE_224)
    labelled = replace(batch, parts=torch.full((PEOPLE, 4, 4), 3))
    loss = parameter_losses(found, labelled, body, ALL, AFFINE_224)["parts"]
    assert float(loss) == pytest.approx(torch.tensor(25.0).log().item())


def test_meshes_of_graphcmr_that_are_right_cost_nothing(truth: BodyParameters, body: NamedBody) -> None:
    preparation = PIXELS_ORTHOGRAPHIC_224
    batch = batch_of(truth, body, preparation)
    vertices = body.body(truth.betas, truth.rotations).vertices
    found = MeshAndBody(vertices[:, :1723], vertices, truth.camera, truth.rotations, truth.betas)
    parts = graphcmr_losses(found, batch, body, ALL, preparation)
    assert set(parts) == {"joints", "keypoints", "vertices", "pose", "betas"}
    assert all(float(loss) < 1e-6 for loss in parts.values()), parts
    moved = found._replace(vertices=vertices + 0.1)
    both = graphcmr_losses(moved, batch, body, ALL, preparation)
    alone = graphcmr_losses(moved._replace(rotations=None, betas=None), batch, body, ALL, preparation)
    assert set(alone) == {"joints", "keypoints", "vertices"}
    assert float(both["vertices"]) == pytest.approx(float(alone["vertices"]), rel=1e-3)
    # what the second network shows is no news about the camera
    camera = (truth.camera + 0.1).requires_grad_()
    gradients = [
        torch.autograd.grad(graphcmr_losses(each, batch, body, ALL, preparation)["keypoints"], camera)[0]
        for each in (found._replace(camera=camera), found._replace(camera=camera, rotations=None, betas=None))
    ]
    assert_close(*gradients)


def test_meshes_of_graphormer_that_are_right_cost_nothing(truth: BodyParameters, body: NamedBody) -> None:
    preparation = PIXELS_ORTHOGRAPHIC_224
    levels = body_mesh(None, "free").levels
    targets = MeshTargets(body, [SparseMap(levels.down(0)), SparseMap(levels.down(1))])
    posed = body.body(truth.betas, truth.rotations)
    pelvis = posed.joints[:, :1]
    batch = batch_of(truth, body, preparation)
    # its mesh lies about the pelvis, where its camera sees it
    shown = seen(body.joints(truth.rotations, truth.betas) - pelvis, truth.camera, preparation)
    batch.keypoints[..., :2] = shown
    full, sub, coarse = targets(known_bodies(batch))
    assert (full.shape[1], sub.shape[1], coarse.shape[1]) == levels.sizes
    chosen = [NAMES.index(name) for name in EVALUATED_24]
    joints = (body.joints(truth.rotations, truth.betas) - pelvis)[:, chosen]
    found = Mesh(truth.camera, joints, coarse, sub, full)
    parts = graphormer_losses(found, batch, targets, ALL, preparation)
    assert set(parts) == {"joints", "keypoints", "vertices"}
    assert all(float(loss) < 1e-6 for loss in parts.values()), parts
    l1 = LossSettings(vertices=Term(kind="l1", weight=1))
    for name in ("vertices", "vertices_sub", "vertices_coarse"):
        moved = found._replace(**{name: getattr(found, name) + 0.5})
        assert float(graphormer_losses(moved, batch, targets, l1, preparation)["vertices"]) == pytest.approx(0.5)


def test_the_loss_is_the_weighted_sum_of_losses_and_not_of_figures() -> None:
    settings = LossSettings(pose=Term(weight=3), camera=0.5)
    parts = {"pose": torch.tensor(2.0), "camera": torch.tensor(4.0), "fits_better": torch.tensor(100.0)}
    assert float(weighted_sum(parts, settings)) == pytest.approx(8)
