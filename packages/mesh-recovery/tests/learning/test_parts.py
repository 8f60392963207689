from __future__ import annotations

import pickle
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch

from poseworks.core.body_models import SMPL, load_body
from poseworks.core.cameras import CROP_FOCAL_PX
from poseworks.core.errors import ConfigError
from poseworks.core.keypoint_conventions import joints_of
from poseworks.mesh_recovery.crops import Preparation
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.learning.parts import UNKNOWN, RenderedParts
from poseworks.mesh_recovery.named_joints import NamedJoints

SIZE, LABELS, SCALE = 64, 96, 0.7  # halves of the crop a metre
NAMES = joints_of("smpl_24")


@pytest.fixture(scope="module")
def body() -> SMPL:
    return load_body("free")


def standing(body: SMPL, preparation: Preparation) -> Batch:
    """Two people upright in the middle of a crop, seen from the front."""
    pose = torch.zeros(2, 24, 3)
    pose[:, 0, 0] = torch.pi  # from y up to y down
    named = NamedJoints(body, NAMES, "conventions")
    joints = named(body(torch.zeros(1, 10), pose))
    away = joints + torch.tensor([0.0, 0.0, 2 * CROP_FOCAL_PX / (SIZE * SCALE)])
    pixels = CROP_FOCAL_PX * away[..., :2] / away[..., 2:] + SIZE / 2
    keypoints = 2 * (pixels - 0.5) / (SIZE - 1) - 1 if preparation.crop == "affine" else 2 * pixels / SIZE - 1
    known = named.known.float().expand(2, -1)[..., None]
    blank = torch.zeros(2, dtype=torch.int64)
    return Batch(
        images=torch.zeros(2, 3, SIZE, SIZE), keypoints=torch.cat([keypoints, known], dim=-1),
        joints=torch.cat([joints, known], dim=-1), pose=pose, betas=torch.zeros(2, 10),
        has_body=torch.ones(2, dtype=torch.bool), data_set=blank, item=blank, flipped=blank.bool(),
        rotation_deg=torch.zeros(2), crop=torch.zeros(2, 2, 3), parts=None, joint_names=NAMES,
    )  # fmt: skip


@pytest.mark.parametrize("crop", ["affine", "pixels"])
def test_parts_lie_around_their_joints(body: SMPL, crop: str) -> None:
    preparation = Preparation.model_validate({"crop": crop, "size": SIZE})
    batch = standing(body, preparation)
    labels = RenderedParts(body, LABELS, preparation, NAMES)(batch)[0].numpy()
    assert set(np.unique(labels)) <= set(range(25))
    assert not labels[0].any()  # background above the head
    joints = body.joints(batch.betas[0], batch.pose[0]).numpy()
    # The mean of a lower leg's pixels lies between knee and ankle, and so on.
    for part, ends in ((4, (4, 7)), (5, (5, 8)), (18, (18, 20)), (19, (19, 21))):
        rows, columns = np.nonzero(labels == part + 1)
        assert len(rows) > 3
        expected = LABELS / 2 * (1 + SCALE * joints[list(ends), :2].mean(axis=0))
        assert columns.mean() + 0.5 == pytest.approx(expected[0], abs=2.5)
        assert rows.mean() + 0.5 == pytest.approx(expected[1], abs=2.5)


def test_people_who_cannot_be_placed_are_unknown(body: SMPL) -> None:
    preparation = Preparation(size=SIZE)
    batch = standing(body, preparation)
    keypoints = batch.keypoints.clone()
    keypoints[0, :, 2] = 0
    parts = RenderedParts(body, LABELS, preparation, NAMES)
    labels = parts(replace(batch, keypoints=keypoints))
    assert (labels[0] == UNKNOWN).all()
    assert (labels[1] > 0).any()
    nobody = parts(replace(batch, has_body=torch.tensor([True, False])))
    assert (nobody[1] == UNKNOWN).all()
    assert (nobody[0] > 0).any()


def test_other_processes_can_be_sent_them(body: SMPL) -> None:
    preparation = Preparation(size=SIZE)
    batch, parts = standing(body, preparation), RenderedParts(body, LABELS, preparation, NAMES)
    labels = parts(batch)
    sent: RenderedParts = pickle.loads(pickle.dumps(parts))
    ForkingPickler.dumps(parts)  # as workers are sent them: tensors move to shared memory
    assert torch.equal(sent(batch), labels)
    assert torch.equal(parts(batch), labels)


def test_sizes_and_joints_that_do_not_do_are_refused(body: SMPL) -> None:
    with pytest.raises(ConfigError, match="expected a size of 1 pixel"):
        RenderedParts(body, 0, Preparation(), NAMES)
    with pytest.raises(ConfigError, match="Choose another convention"):
        RenderedParts(body, LABELS, Preparation(), ("nosebridge_1", "nosebridge_2"))
