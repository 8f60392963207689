from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from poseworks.core.body_models import SMPL, load_body
from poseworks.core.errors import ConfigError
from poseworks.core.keypoint_conventions import joints_of
from poseworks.core.video import write_picture
from poseworks.mesh_recovery.crops import MEAN, STD, Preparation
from poseworks.mesh_recovery.learning.augmentation import NOT_AUGMENTED, Augmentation
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.learning.image_data import ImageData
from poseworks.mesh_recovery.learning.samples import Sampler
from poseworks.mesh_recovery.named_joints import NamedJoints

CONVENTION = "smpl_24"
SIZE = 64
CROPS = [Preparation(size=SIZE), Preparation(crop="pixels", size=SIZE)]
ALL = Augmentation(channel_noise=0, rotation_probability=1, rotation_deg=25)


@pytest.fixture(scope="module")
def body() -> SMPL:
    return load_body("free")


@pytest.fixture(scope="module")
def people(body: SMPL, tmp_path_factory: pytest.TempPathFactory) -> ImageData:
    """Six pictures, each with one bright spot where the person's right ankle is; SPIN's 24 joints, of a real body."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(2)
    generator = torch.Generator().manual_seed(0)
    named = NamedJoints(body, joints_of(CONVENTION), "conventions")
    pose = 0.3 * torch.randn(6, 24, 3, generator=generator)
    joints = named(body(torch.zeros(1, 10), pose))
    known = named.known.float().expand(6, -1)[..., None]
    pixels = 45 * joints[..., :2] + 80 + torch.randn(6, 1, 2, generator=generator)
    y, x = np.mgrid[0:150, 0:170]
    for number, spot in enumerate(pixels[:, 0].tolist()):
        distance = (x - spot[0]) ** 2 + (y - spot[1]) ** 2
        spots = 200 * np.exp(-distance / 18)[..., None] + rng.uniform(0, 0.4, (150, 170, 3))
        write_picture(folder / f"{number}.png", spots.astype(np.uint8))
    return ImageData(
        name="made", folder=folder, paths=tuple(f"{number}.png" for number in range(6)),
        squares=torch.tensor([[82.3, 74.8, 100.0]], dtype=torch.float64).repeat(6, 1),
        keypoints=torch.cat([pixels * known, known], dim=-1), joints=torch.cat([joints * known, known], dim=-1),
        pose=pose, betas=torch.zeros(6, 10), has_body=torch.ones(6, dtype=torch.bool), convention=CONVENTION,
        rows=torch.arange(6) + 10, file_rows=20, body="free",
    )  # fmt: skip


def made(people: ImageData, preparation: Preparation, settings: Augmentation = ALL, **more: Any) -> Batch:
    sampler = Sampler([people], preparation, settings, **more)
    return sampler.batch([(0, k % 6) for k in range(24)], np.random.default_rng(1))


def pixels_of(batch: Batch, preparation: Preparation) -> torch.Tensor:
    last = SIZE - 1 if preparation.crop == "affine" else SIZE
    return (batch.keypoints[..., :2] + 1) / 2 * last


@pytest.mark.parametrize("preparation", CROPS)
def test_keypoints_stay_on_what_they_mark(people: ImageData, preparation: Preparation) -> None:
    batch = made(people, preparation)
    names = batch.joint_names
    ankle = torch.where(batch.flipped, names.index("left_ankle"), names.index("right_ankle"))
    marked = pixels_of(batch, preparation)[torch.arange(24), ankle]
    light = batch.images * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    light = (light.mean(dim=1) - 0.02).clamp(min=0)
    places = torch.arange(SIZE) + (0.0 if preparation.crop == "affine" else 0.5)  # where a pixel's middle is
    total = light.sum(dim=(1, 2))
    found = torch.stack([(light.sum(dim=1) * places).sum(1) / total, (light.sum(dim=2) * places).sum(1) / total], dim=1)
    inside = ((marked > 6) & (marked < SIZE - 6)).all(dim=1) & (total > 0)
    assert inside.sum() > 12
    assert batch.flipped[inside].any()
    assert not batch.flipped[inside].all()
    # SPIN's crop is one of whole pixels of the picture.
    assert (found - marked)[inside].abs().max() < (0.15 if preparation.crop == "affine" else 1.0)


@pytest.mark.parametrize("preparation", CROPS)
def test_joints_are_turned_and_mirrored_like_keypoints(people: ImageData, preparation: Preparation) -> None:
    batch = made(people, preparation)
    keypoints, joints = pixels_of(batch, preparation), batch.joints
    known = torch.nonzero(batch.joints[0, :, 3] > 0).flatten()
    scale = 45 * batch.crop[:, 0, :2].norm(dim=1)[:, None, None]  # pixels of the crop a metre
    first = known[0]
    apart = (keypoints - keypoints[:, first : first + 1])[:, known]
    assert_close(apart, scale * (joints[..., :2] - joints[:, first : first + 1, :2])[:, known], rtol=0, atol=1e-3)
    assert_close(joints[..., 3], batch.keypoints[..., 2])
    assert not batch.keypoints[batch.keypoints[..., 2] == 0].any()


@pytest.mark.parametrize("preparation", CROPS)
def test_the_pose_makes_the_joints(body: SMPL, people: ImageData, preparation: Preparation) -> None:
    batch = made(people, preparation)
    named = NamedJoints(body, batch.joint_names, "conventions")
    again = named(body(batch.betas, batch.pose))[:, named.known]
    joints = batch.joints[:, named.known, :3]
    assert_close(again - again.mean(1, keepdim=True), joints - joints.mean(1, keepdim=True), rtol=0, atol=1e-4)


def test_a_batch_says_whom_it_holds(people: ImageData) -> None:
    batch = made(people, CROPS[0])
    assert batch.item.tolist() == [10 + k % 6 for k in range(24)]  # rows of the file
    assert batch.data_set.tolist() == [0] * 24
    one = Sampler([people], CROPS[0]).batch([(0, 3)], np.random.default_rng(0))
    assert len(one) == 1
    assert not one.flipped.any()
    assert not one.rotation_deg.any()
    assert_close(one.pose[0], people.pose[3])
    whole = torch.cat([people.keypoints[3, :, :2], torch.ones(24, 1)], dim=1) @ one.crop[0].mT
    seen = people.keypoints[3, :, 2] > 0
    assert_close(pixels_of(one, CROPS[0])[0][seen], whole[seen], rtol=0, atol=1e-4)


def test_part_labels_are_put_into_the_batch(people: ImageData) -> None:
    batch = made(people, CROPS[0], NOT_AUGMENTED, parts=lambda batch: torch.ones(len(batch), 5, 5, dtype=torch.int64))
    assert batch.parts is not None
    assert batch.parts.shape == (24, 5, 5)


def test_sets_of_different_joints_are_not_mixed(people: ImageData) -> None:
    other = ImageData(**{**vars(people), "convention": "smpl_49"})
    with pytest.raises(ConfigError, match="expected one convention for all, got smpl_24, smpl_49"):
        Sampler([people, other], CROPS[0])
