"""SPIN's task: what the fits are taken from, how they teach the network, and that a run goes on with them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import ConfigError, FormatError
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.training import Trained
from poseworks.mesh_recovery import HMR, SPIN, HMRConfig, load, save
from poseworks.mesh_recovery.learning.reading import find_data
from poseworks.mesh_recovery.learning.recipes import SPINRecipe, read_recipe
from poseworks.mesh_recovery.learning.spin_task import SPINTask
from poseworks.mesh_recovery.learning.training import train_recipe

SMALL = (
    "network.backbone.width=4", "network.feature_size=128", "network.hidden=16", "network.dropout=0.0",
    "training.batch_size=4", "training.steps=4", "training.warmup_steps=0", "training.checkpoint_every=2",
    "fits.smplify.steps=4", "fits.threshold=1e9", "training.log_every=1",
)  # fmt: skip


def small(*changes: str) -> SPINRecipe:
    recipe = read_recipe("rendered-spin", [*SMALL, *changes])
    assert isinstance(recipe, SPINRecipe)
    return recipe


@pytest.fixture(scope="module")
def task(rendered_folder: Path) -> SPINTask:
    return SPINTask(small(), rendered_folder)


def test_people_without_labels_are_taught_by_fits(task: SPINTask) -> None:
    batch = task.reader.batch(0)
    assert batch.has_body.any()
    assert not batch.has_body.all()
    found = task.network.eval()(batch.images)
    known, figures = task.known_bodies(found, batch)
    assert set(figures) == {"fits_better", "fits_valid"}
    labels = axis_angle_to_matrix(batch.pose)
    assert_close(known.rotations[batch.has_body], labels[batch.has_body])
    kept = axis_angle_to_matrix(task.store.of(batch)[0])
    once = torch.tensor([(batch.item == item).sum() == 1 for item in batch.item]) & ~batch.has_body
    assert once.any()
    assert_close(known.rotations[once], kept[once])
    losses = task.step_loss(0, torch.Generator())
    assert {"loss", "keypoints", "pose", "camera", "fits_valid"} <= set(losses)
    terms = ("joints", "keypoints", "pose", "betas")
    expected = sum(getattr(task.losses, name).weight * losses[name] for name in terms)
    expected += task.losses.camera * losses["camera"]
    assert_close(losses["loss"], expected)  # figures are no losses


def test_of_a_share_of_the_people_the_keypoints_alone_are_known(rendered_folder: Path) -> None:
    """0.6 of 12 people: the last 7."""
    settings = small().data
    (hidden,) = find_data(settings, rendered_folder)
    shown = settings.sets[0].model_copy(update={"unlabelled": 0.0})
    (told,) = find_data(settings.model_copy(update={"sets": (shown,)}), rendered_folder)
    assert hidden.has_body.tolist() == 5 * [True] + 7 * [False]
    assert told.has_body.all()
    for name in ("joints", "pose", "betas"):
        assert torch.equal(getattr(hidden, name)[:5], getattr(told, name)[:5])
        assert not getattr(hidden, name)[5:].any()
    assert torch.equal(hidden.keypoints, told.keypoints)


def test_fits_begin_with_the_mean_pose_of_the_network(rendered_folder: Path) -> None:
    task = SPINTask(small(), rendered_folder)
    batch = task.reader.batch(0)
    plain = replace(batch, flipped=torch.zeros_like(batch.flipped), rotation_deg=torch.zeros_like(batch.rotation_deg))
    start = task.network.regressor(torch.zeros(1, 128), iterations=0).rotations
    assert_close(axis_angle_to_matrix(task.store.of(plain)[0]), start.expand(len(batch), -1, -1, -1))


def test_fits_of_a_folder_and_those_of_a_run(rendered_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(rendered_folder, data)
    (data / "static").mkdir()
    fits = np.random.default_rng(0).normal(size=(12, 82))
    np.save(data / "static" / "rendered_fits.npy", fits)
    task = SPINTask(small('static_fits="static"'), data)
    assert "fits of rendered come from static" in task.notes()
    batch = task.reader.batch(0)
    assert_close(task.store.of(batch)[1], torch.from_numpy(fits[batch.item, 72:]).float())
    trained = train_recipe("rendered-spin", tmp_path / "run", data=data, overrides=small_changes(steps=1), quiet=True)
    assert isinstance(trained.network, SPIN)
    assert type(load(trained.folder)) is SPIN
    assert np.load(tmp_path / "run" / "fits" / "rendered_fits.npy").shape == (12, 82)
    np.save(data / "static" / "rendered_fits.npy", fits[:5])
    with pytest.raises(FormatError, match=r"expected floats \(12, 82\)"):
        SPINTask(small('static_fits="static"'), data)
    (data / "static" / "rendered_fits.npy").unlink()
    notes = SPINTask(small('static_fits="static"'), data).notes()
    assert any("fits of no data set come from static; those of rendered start from the mean pose" in n for n in notes)


def small_changes(**training: int) -> list[str]:
    return [*SMALL, *(f"training.{name}={value}" for name, value in training.items())]


@pytest.mark.long
def test_a_run_goes_on_with_equal_weights_and_fits(
    rendered_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, resume: bool = False) -> Trained[Any]:
        return train_recipe(
            "rendered-spin", tmp_path / name, data=rendered_folder, overrides=SMALL, resume=resume, quiet=True
        )

    whole = run("whole")
    with monkeypatch.context() as patched:
        step_loss = SPINTask.step_loss

        def broken_off(task: SPINTask, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
            if step == 3:  # after the checkpoint of step 2
                raise KeyboardInterrupt
            return step_loss(task, step, generator)

        patched.setattr(SPINTask, "step_loss", broken_off)
        with pytest.raises(KeyboardInterrupt):
            run("halves")
    again = run("halves", resume=True)
    assert again.run.resumed_from == 2
    for name, x in whole.network.state_dict().items():
        assert torch.equal(x, again.network.state_dict()[name]), name
    fits = [np.load(tmp_path / name / "fits" / "rendered_fits.npy") for name in ("whole", "halves")]
    assert np.array_equal(*fits)
    assert len(np.unique(fits[0], axis=0)) > 1  # not the mean pose alone


def test_an_adversary_is_refused(rendered_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"rendered-spin: losses.adversary: SPIN has no adversary"):
        SPINTask(small("losses.adversary=1.0"), rendered_folder)


def test_each_variant_starts_from_the_hmr_of_the_same_switches(rendered_folder: Path, tmp_path: Path) -> None:
    assert read_recipe("spin_r50_l1_coco").chosen_network == "pretrained/hmr_r50_l1_coco"
    data = tmp_path / "data"
    shutil.copytree(rendered_folder, data)
    config = small().network
    torch.manual_seed(5)
    hmr = HMR(HMRConfig(**config.model_dump(exclude={"kind"})))
    save(hmr, data / "hmr_l1", readme="")
    task = SPINTask(small('start.network="hmr{variant}"', "variant.l1=true"), data)
    assert "starts from hmr_l1" in task.notes()
    for name, x in hmr.state_dict().items():
        assert torch.equal(task.network.state_dict()[name], x)
    with pytest.raises(ConfigError, match="names one network for all variants"):
        SPINTask(small('start.network="hmr_l1"', "variant.coco=true"), data)
