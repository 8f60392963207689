"""Training as published: schedules, order of samples, flips, labels, and runs that are continued, on small data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.testing import assert_close

from poseworks.core.errors import DataError
from poseworks.core.testing import seeded_input
from poseworks.core.training import TrainResult, TrainSettings, learning_rate_at, train
from poseworks.lifting.flipping import flip
from poseworks.lifting.h36m import normalize, split_clips
from poseworks.lifting.learning.h36m_files.frames import CAMERAS, EHGFormerFrames, LCNFrames
from poseworks.lifting.learning.published_training import EHGFormerTask, LCNTask, rooted
from poseworks.lifting.learning.recipes import read_recipe, shipped_recipes
from poseworks.lifting.published import published_weights

SMALL_LCN = ("network.channels=4", "network.layers=1", "training.batch_size=4", "training.epochs=2")
SMALL_EHGFORMER = ("network.width=16", "network.blocks=2", "network.frames=9", "clip_stride=3", "training.epochs=2")


def lcn_frames(count: int = 11, seed: str = "lcn") -> LCNFrames:
    """Frames whose joints are random; confidence tells which frame it is."""
    joints = 500 + seeded_input(seed, (count, 17, 3), 100)
    return LCNFrames(
        keypoints=joints[..., :2] + 1,
        confidence=np.repeat(np.arange(count, dtype=np.float32)[:, None], 17, axis=1),
        joints_image=joints,
        joints_camera_mm=joints,
        box=np.zeros((count, 4), np.float32),
        root_depth=np.ones(count, np.float32),
        focal=np.ones((count, 2), np.float32),
        centre=np.ones((count, 2), np.float32),
        camera=(np.arange(count) % 4).astype(np.int32),
        subject=np.ones(count, np.int32),
        action=np.full(count, 2, np.int32),
    )


def ehgformer_frames(lengths: tuple[int, ...] = (60, 50), seed: str = "ehgformer") -> EHGFormerFrames:
    """Recordings of random joints; the confidence of each frame is its number."""
    count = sum(lengths)
    joints = 500 + seeded_input(seed, (count, 17, 3), 100)
    return EHGFormerFrames(
        keypoints=joints[..., :2] + 1,
        confidence=np.repeat(np.arange(count, dtype=np.float32)[:, None], 17, axis=1),
        joints_image=joints,
        camera=np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
        recording=np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
        recordings=tuple(f"s_09_act_{number + 2:02d}_subact_01_ca_01" for number in range(len(lengths))),
    )


def lcn_task(*overrides: str, recipe: str = "h36m_gt_lcn", frames: LCNFrames | None = None) -> LCNTask:
    read: Any = read_recipe(recipe, (*SMALL_LCN, *overrides))
    return LCNTask(read, lcn_frames() if frames is None else frames, lcn_frames(5, "other"))


def ehgformer_task(*overrides: str, recipe: str = "ehgformer_dynamic_p1") -> EHGFormerTask:
    read: Any = read_recipe(recipe, (*SMALL_EHGFORMER, *overrides))
    return EHGFormerTask(read, ehgformer_frames(), ehgformer_frames((40,), "other"))


def rows_of(inputs: torch.Tensor) -> NDArray[np.int64]:
    """Which frame each sample is of, by its confidence."""
    numbers: NDArray[np.int64] = inputs[..., 0, 2].round().long().numpy()
    return numbers


# Recipes


def test_every_row_of_the_published_tables_has_its_recipe() -> None:
    lcn = ("h36m_gt_lcn", "h36m_gt_flip_lcn", "h36m_dt_ft_lcn", "h36m_dt_ft_flip_lcn", "h36m_dt_ft_confidence_lcn")
    ehgformer = [
        f"{kind}_{root}_p{p}" for kind in ("ehgformer", "distil") for root in ("static", "dynamic") for p in (1, 2)
    ]
    assert {*lcn, *ehgformer} <= set(shipped_recipes())
    for name in (*lcn, *ehgformer):
        assert read_recipe(f"{name}.toml").name == name


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.startswith("h36m_")])
def test_lcn_is_trained_as_published(name: str) -> None:
    recipe: Any = read_recipe(name)
    published = published_weights()["lcn-gt" if recipe.mode == "gt" else "lcn-sh"]
    sizes = {**published.sizes, "in_features": 3 if "confidence" in name else 2}
    assert {field: getattr(recipe.network, field) for field in sizes} == sizes
    assert (recipe.mode == "gt", recipe.flip) == ("_gt_" in name, "flip" in name)
    training = recipe.training
    assert (training.epochs, training.batch_size, training.optimizer) == (200, 200, "adam_tensorflow")
    assert recipe.network.dropout == 0.25
    for step in (0, 999, 32_000, 1_559_752):
        assert learning_rate_at(step, training) == pytest.approx(1e-3 * 0.96 ** (step / 32_000), rel=1e-12)
    assert published.claim.split()[1] in recipe.about


def test_lcn_has_the_other_published_schedule_as_well() -> None:
    boundaries = "boundaries=[250000, 500000, 1000000, 1350000], rates=[7e-4, 4e-4, 2e-4, 1e-4]"
    override = f"training={{epochs=200, batch_size=200, schedule='steps', {boundaries}}}"
    recipe = read_recipe("h36m_gt_lcn", (override,))
    steps = (0, 250_000, 250_001, 600_000, 1_000_001, 1_400_000)
    assert [learning_rate_at(step, recipe.training) for step in steps] == [1e-3, 1e-3, 7e-4, 4e-4, 2e-4, 1e-4]


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.startswith(("ehgformer_", "distil_"))])
def test_ehgformer_is_trained_as_published(name: str) -> None:
    recipe: Any = read_recipe(name)
    method, root, partition = name.split("_")
    distilled = method == "distil"
    row = published_weights()[f"ehgformer-{'distilled' if distilled else root}-{partition}"]
    assert {field: getattr(recipe.network, field) for field in row.sizes} == dict(row.sizes)
    assert (recipe.root, recipe.frame_step, recipe.clip_stride, recipe.flip, recipe.gt_2d) == (
        root,
        2,
        81,
        True,
        False,
    )
    assert recipe.losses.model_dump() == {"velocity": 2.0, "consistency": 0.5, "scale": 0.0}
    training = recipe.training
    assert (training.epochs, training.batch_size, training.optimizer) == (200 if distilled else 120, 4, "adamw_all")
    assert (training.weight_decay, training.warmup_steps, training.clip_norm) == (0.01, 0, None)
    known = training.model_copy(update={"steps_per_epoch": 10})
    rate = 3e-4 if distilled else 8e-5
    rates = [learning_rate_at(step, known) for step in (0, 9, 10, 1000)]
    assert rates == pytest.approx([rate, rate, rate * 0.99, rate * 0.99**100], rel=1e-12)
    if not distilled:
        assert row.claim.split()[1] in recipe.about
    else:
        assert (recipe.teacher, recipe.lesson.weight) == (f"ehgformer-{root}-{partition}", 1e-6)


# LCN


def test_lcns_batches_are_cut_from_chained_permutations_of_all_frames() -> None:
    task = lcn_task("network.in_features=3")
    settings = task.settings()
    assert settings.steps_per_epoch == settings.validate_every == 11 // 4
    seen = np.concatenate([rows_of(task.batch(step)[0]) for step in range(11)])
    for number in range(4):
        assert sorted(seen[11 * number : 11 * number + 11]) == list(range(11))
    again = lcn_task("network.in_features=3")
    np.testing.assert_array_equal(rows_of(again.batch(7)[0]), seen[28:32])  # from its number alone


def test_lcns_flip_doubles_the_frames_mirrored_ones_last() -> None:
    task = lcn_task("network.in_features=3", recipe="h36m_gt_flip_lcn")
    assert task.settings().steps_per_epoch == 22 // 4
    plain, mirrored = (task.gather(task.frames, np.arange(11) + first) for first in (0, 11))
    for one, other in zip(plain, mirrored, strict=True):
        assert torch.equal(flip(one), other)
    one_batch = task.gather(task.frames, np.array([3, 14]))[1]
    assert torch.equal(one_batch[1], flip(one_batch[0]))
    assert sorted(task.order[0:22]) == list(range(22))


def test_lcn_sees_pixels_by_the_width_of_each_frames_camera() -> None:
    task, frames = lcn_task(), lcn_frames()
    inputs, labels = task.gather(frames, np.arange(11))
    assert inputs.shape == (11, 17, 2)
    for row, name in enumerate(CAMERAS[camera] for camera in frames.camera):
        height = 1002 if name in ("54138969", "60457274") else 1000
        for found, pixels in ((inputs, frames.keypoints), (labels, frames.joints_image)):
            expected = torch.from_numpy(normalize(pixels[row].astype(np.float64), 1000, height))
            assert_close(found[row].double(), expected, atol=1e-6, rtol=0)


def test_lcns_loss_is_the_mean_square_and_its_validation_that_of_all_test_frames() -> None:
    task = lcn_task("network.dropout=0.0")
    inputs, labels = task.batch(0)
    losses = task.step_loss(0, torch.Generator())
    assert_close(losses["loss"], ((task.network(inputs) - labels) ** 2).mean(), rtol=1e-5, atol=0)
    task.network.eval()
    everything = task.gather(task.validation, np.arange(5))
    with torch.no_grad():
        expected = float((task.network(everything[0]) - everything[1]).square().mean())
        assert task.validate() == {"normalised_mse": pytest.approx(expected, rel=1e-6)}


# EHGFormer


def test_labels_are_static_or_dynamic() -> None:
    labels = torch.from_numpy(seeded_input("labels", (2, 9, 17, 3)))
    static, dynamic = rooted(labels, "static"), rooted(labels, "dynamic")
    assert torch.equal(static[:, :, 0], torch.zeros(2, 9, 3))
    assert torch.equal(static[1, 4, 7], labels[1, 4, 7] - labels[1, 4, 0])
    assert torch.equal(dynamic[..., :2], labels[..., :2])
    assert torch.equal(dynamic[..., 2], labels[..., 2] - labels[:, :1, :1, 2])
    assert (dynamic[:, 0, 0, 2] == 0).all()
    assert (dynamic[:, 5, 0, 2] != 0).all()
    assert torch.equal(flip(rooted(labels, "static")), rooted(flip(labels), "static"))  # in either order


def test_an_epoch_takes_each_clip_once_in_an_order_of_its_own() -> None:
    task = ehgformer_task("flip=false")
    clips = split_clips(np.repeat([0, 1], (30, 25)), 9, 3) * 2
    np.testing.assert_array_equal(task.batches.clips.indices * 2, clips)
    assert len(clips) == 8 + 6
    settings = task.settings()
    assert settings.steps_per_epoch == settings.validate_every == 4  # 14 clips in fours, the last batch of two
    generator, epochs = torch.Generator(), []
    for epoch in range(2):
        batches = [task.batches.batch(4 * epoch + number, generator)[0] for number in range(4)]
        assert [len(batch) for batch in batches] == [4, 4, 4, 2]
        frames = torch.cat(batches)[..., 0, 2].round().long().numpy()
        assert sorted(map(tuple, frames)) == sorted(map(tuple, clips))
        epochs.append(frames)
    assert not np.array_equal(*epochs)


def test_clips_are_normalised_by_camera_with_their_confidence() -> None:
    task = ehgformer_task("flip=false")
    inputs, labels = task.batches.gather(np.arange(14))
    for clip, rows in enumerate(task.batches.clips.indices * 2):
        height = 1002 if rows[0] < 60 else 1000  # cameras 0 and 1
        expected = normalize(ehgformer_frames().keypoints[rows], 1000, height)
        assert_close(inputs[clip, ..., :2], torch.from_numpy(expected).float(), atol=1e-6, rtol=0)
        label = torch.from_numpy(normalize(ehgformer_frames().joints_image[rows], 1000, height)).float()
        assert_close(labels[clip][None], rooted(label[None], "dynamic"), atol=1e-6, rtol=0)
    true = ehgformer_task("flip=false", "gt_2d=true").batches.gather(np.arange(2))
    assert_close(true[0][..., :2], true[1][..., :2])
    assert (true[0][..., 2] == 1).all()


def test_half_of_the_clips_are_mirrored_with_their_labels() -> None:
    plain, flipping = ehgformer_task("flip=false").batches, ehgformer_task().batches
    mirrored = 0
    for step in range(40):
        generator = torch.Generator().manual_seed(step)
        inputs, labels = flipping.batch(step, generator)
        plain_inputs, plain_labels = plain.batch(step, generator)
        for x, y, x0, y0 in zip(inputs, labels, plain_inputs, plain_labels, strict=True):
            turned = not torch.equal(x, x0)
            assert torch.equal(x, flip(x0) if turned else x0)
            assert torch.equal(y, flip(y0) if turned else y0)
            mirrored += turned
    assert 50 < mirrored < 90  # of 140


def test_a_split_without_a_clip_is_refused() -> None:
    read: Any = read_recipe("ehgformer_dynamic_p1", SMALL_EHGFORMER)
    with pytest.raises(DataError, match="give no clip of 9"):
        EHGFormerTask(read, ehgformer_frames((10,)), ehgformer_frames())


# Runs


class Killed(Exception):
    """Stands for whatever ends a run."""


def run(task: Any, folder: Path, *, kill_at: int | None = None, **options: Any) -> TrainResult:
    step_loss = task.step_loss

    def until(step: int, generator: torch.Generator) -> Any:
        if step == kill_at:
            raise Killed
        return step_loss(step, generator)

    task.step_loss = until
    settings: TrainSettings = task.settings().model_copy(update={"checkpoint_every": 2, "keep": "last"})
    task.validate = dict
    return train(task, settings, folder, quiet=True, **options)


def assert_equal_weights(a: nn.Module, b: nn.Module) -> None:
    for name, x in a.state_dict().items():
        assert torch.equal(x, b.state_dict()[name]), name


@pytest.mark.parametrize("make", [lcn_task, ehgformer_task])
def test_a_run_that_was_killed_continues_to_bit_equal_weights(make: Any, tmp_path: Path) -> None:
    whole, killed, rest = make(), make(), make()
    total = run(whole, tmp_path / "whole").steps
    with pytest.raises(Killed):
        run(killed, tmp_path / "killed", kill_at=total - 1)
    result = run(rest, tmp_path / "killed", resume=True)
    assert 0 < result.resumed_from < total
    assert_equal_weights(whole.network, rest.network)
    assert not torch.equal(next(iter(make().network.parameters())), next(iter(whole.network.parameters())))
