"""The store of fits: what goes in comes out, however the pictures are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.body_models import load_body
from poseworks.core.errors import CheckpointError, ConfigError, FormatError, ShapeError
from poseworks.core.keypoint_conventions import flip_pairs, joints_of
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.mesh_recovery.crops import mirror_joints, turn_joints
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.learning.fits import FitStore

SIZES = {"first": 4, "second": 3}


def a_batch(data_set: list[int], item: list[int], flipped: list[bool], rotation_deg: list[float]) -> Batch:
    size = len(item)
    return Batch(
        images=torch.zeros(size, 3, 4, 4),
        keypoints=torch.zeros(size, 2, 3),
        joints=torch.zeros(size, 2, 4),
        pose=torch.zeros(size, 24, 3),
        betas=torch.zeros(size, 10),
        has_body=torch.zeros(size, dtype=torch.bool),
        data_set=torch.tensor(data_set),
        item=torch.tensor(item),
        flipped=torch.tensor(flipped),
        rotation_deg=torch.tensor(rotation_deg),
        crop=torch.zeros(size, 2, 3),
        parts=None,
        joint_names=("left_hip", "right_hip"),
    )


def poses(count: int, seed: int = 0) -> Tensor:
    return 0.5 * torch.randn(count, 24, 3, generator=torch.Generator().manual_seed(seed))


def everything(store: FitStore) -> tuple[Tensor, Tensor]:
    """All fits, as the pictures lie on disk."""
    return store.of(a_batch([0] * 4 + [1] * 3, [0, 1, 2, 3, 0, 1, 2], [False] * 7, [0.0] * 7))


@pytest.fixture
def store() -> FitStore:
    return FitStore(SIZES, torch.zeros(24, 3))


YES = torch.ones(4, dtype=torch.bool)
SHOWN = ([0, 0, 1, 1], [3, 0, 0, 2], [True, False, True, False], [40.0, -25.0, -60.0, 0.0])


def test_a_fit_comes_out_as_it_went_in_for_the_same_view(store: FitStore) -> None:
    batch, pose, betas = a_batch(*SHOWN), poses(4), torch.randn(4, 10)
    store.keep(batch, YES, pose, betas, torch.zeros(4))
    again, shape = store.of(batch)
    assert_close(axis_angle_to_matrix(again), axis_angle_to_matrix(pose), rtol=0, atol=1e-6)
    assert torch.equal(shape, betas)
    assert torch.equal(again[3], pose[3])  # neither mirrored nor turned: to the last bit


def test_other_views_of_a_picture_show_the_same_person(store: FitStore) -> None:
    """Kept from a mirrored and turned view, a fit is seen in another as the joints, mirrored and turned, tell."""
    body, names = load_body("free"), joints_of("smpl")
    partners = np.arange(len(names))
    for left, right in flip_pairs("smpl"):
        partners[[left, right]] = right, left

    def joints(batch: Batch) -> Tensor:
        found: Tensor = body.joints(torch.zeros(10), store.of(batch)[0])[:, :24]
        return found - found[:, :1]

    store.keep(a_batch(*SHOWN), YES, poses(4), torch.zeros(4, 10), torch.zeros(4))
    plain = joints(a_batch(*SHOWN[:2], [False] * 4, [0.0] * 4))
    angles = torch.tensor([70.0, 10.0, -30.0, 45.0])
    shown = joints(a_batch(*SHOWN[:2], [False, True, True, False], angles.tolist()))
    mirrored = torch.where(
        torch.tensor([False, True, True, False])[:, None, None], mirror_joints(plain, partners), plain
    )
    assert_close(shown, turn_joints(mirrored, angles), rtol=0, atol=1e-5)


def test_only_what_is_better_is_kept_and_of_two_the_best(store: FitStore) -> None:
    batch = a_batch([0, 0, 0, 1], [1, 1, 1, 1], [False] * 4, [0.0] * 4)
    pose, loss = poses(4), torch.tensor([3.0, 1.0, 2.0, 5.0])
    store.keep(batch, torch.tensor([True, True, True, False]), pose, torch.zeros(4, 10), loss)
    found = everything(store)[0]
    assert torch.equal(found[1], pose[1])
    assert not found[[0, 2, 3, 4, 5, 6]].any()


def test_all_processes_keep_what_any_of_them_found(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that has the same batch, its items one further on."""

    def gathered(into: list[Tensor], rows: Tensor) -> None:
        into[0].copy_(rows)
        into[1].copy_(rows)
        into[1][:, 0] += 1

    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_gather", gathered)
    pose = poses(2)
    batch = a_batch([0, 1], [0, 0], [False] * 2, [0.0] * 2)
    store.keep(batch, torch.tensor([True, False]), pose, torch.ones(2, 10), torch.zeros(2))
    found, betas = everything(store)
    assert torch.equal(found[:2], pose[:1].expand(2, -1, -1))
    assert betas.sum(1).tolist() == [10, 10, 0, 0, 0, 0, 0]


def test_fits_are_read_and_written_in_the_published_layout(store: FitStore, tmp_path: Path) -> None:
    published = np.random.default_rng(0).normal(size=(4, 82))
    np.save(tmp_path / "first_fits.npy", published)
    assert store.read(tmp_path) == ("first",)
    pose, betas = everything(store)
    assert_close(torch.cat((pose.flatten(1), betas), 1)[:4], torch.from_numpy(published).float())
    assert not pose[4:].any()
    store.write(tmp_path / "out")
    again = FitStore(SIZES, torch.ones(24, 3))
    assert again.read(tmp_path / "out") == ("first", "second")
    assert torch.equal(everything(again)[0], pose)


def test_a_run_goes_on_with_its_fits(store: FitStore) -> None:
    store.keep(a_batch(*SHOWN), YES, poses(4), torch.ones(4, 10), torch.zeros(4))
    other = FitStore(SIZES, torch.zeros(24, 3))
    other.restore(store.state())
    assert torch.equal(everything(other)[0], everything(store)[0])
    with pytest.raises(CheckpointError, match="those of 7 items, the data sets hold 4"):
        FitStore({"first": 4}, torch.zeros(24, 3)).restore(store.state())


def test_faults_are_named(store: FitStore, tmp_path: Path) -> None:
    np.save(tmp_path / "first_fits.npy", np.zeros((5, 82)))
    with pytest.raises(FormatError, match=r"first_fits.npy: expected floats \(4, 82\).*got float64 \(5, 82\)"):
        store.read(tmp_path)
    broken = np.zeros((4, 82))
    broken[2] = np.nan
    np.save(tmp_path / "first_fits.npy", broken)
    with pytest.raises(FormatError, match="1 of 4 fits are not finite, the first in row 2"):
        store.read(tmp_path)
    np.save(tmp_path / "first_fits.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match=r"first_fits.npy"):
        store.read(tmp_path)
    with pytest.raises(ConfigError, match="data sets with items"):
        FitStore({"first": 0}, torch.zeros(24, 3))
    with pytest.raises(ShapeError, match=r"pose: expected \(J=24, C=3\)"):
        FitStore(SIZES, torch.zeros(72))
    batch = a_batch(*SHOWN)
    for wrong in (replace(batch, item=batch.item + 3), replace(batch, data_set=batch.data_set + 1)):
        with pytest.raises(ShapeError, match="is not among the fits"):
            store.of(wrong)
    with pytest.raises(ShapeError, match=r"betas: expected \(B=4, K=10\)"):
        store.keep(batch, YES, poses(4), torch.zeros(4, 82), torch.zeros(4))
