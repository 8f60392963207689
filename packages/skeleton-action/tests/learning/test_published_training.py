"""Training on annotation files: the published steps, exact resume, and what is said about it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.training import learning_rate_at
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.annotation_files import DataSet, read_data_set
from poseworks.skeleton_action.geometry import Sample
from poseworks.skeleton_action.learning.clips import collate, draw, draw_densely
from poseworks.skeleton_action.learning.published_recipes import PublishedActions
from poseworks.skeleton_action.learning.published_training import PublishedActionsTask
from poseworks.skeleton_action.learning.recipes import read_recipe
from poseworks.skeleton_action.learning.training import train_recipe
from poseworks.skeleton_action.loading import build, load, save
from poseworks.skeleton_action.preparation import Preparation
from poseworks.skeleton_action.volumes import draw_views, sample_to_test


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: x.clone() for name, x in network.state_dict().items()}


def assert_same(a: torch.nn.Module, b: torch.nn.Module) -> None:
    for name, x in a.state_dict().items():
        assert torch.equal(x, b.state_dict()[name]), name


def recipe_of(path: Path, *overrides: str) -> PublishedActions:
    recipe = read_recipe(path, overrides)
    assert isinstance(recipe, PublishedActions)
    return recipe


def test_a_small_network_learns_two_classes(
    small_recipe: Path, walks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = train_recipe(
        small_recipe,
        tmp_path / "run",
        data=walks,
        overrides=["validation=true", "training.epochs=12", "training.learning_rate=0.6", "training.log_every=4"],
    )
    assert trained.network.config.classes == 2
    assert trained.network.preparation.labels == ("walk", "hands up")
    assert trained.run.steps == 12 * 2
    found = trained.run.validation
    assert found["error"] == 1 - found["top1_accuracy"]
    said = capsys.readouterr().err
    assert "12 recordings, 12 passes over them in 24 steps of 6 samples" in said
    assert "learning rate 0.3: 0.6 is meant for 12 samples a step, here there are 6" in said
    assert "warning: 12 passes over the data are few" in said
    with (tmp_path / "run" / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert set(rows[-1]) >= {"loss", "top1_accuracy", "data_share", "learning_rate", "gradient_norm"}
    assert float(rows[0]["loss"]) > 0.6
    assert np.mean([float(row["loss"]) for row in rows[-2:]]) < 0.3
    assert all(0 <= float(row["data_share"]) <= 1 for row in rows)
    with (tmp_path / "run" / "validation.csv").open() as stream:
        assert [int(row["step"]) for row in csv.DictReader(stream)] == [20, 24]  # every ten passes, and at the end
    assert_same(load(tmp_path / "run" / "model"), trained.network)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_was_cut_short_goes_on_to_equal_weights(
    workers: int, small_recipe: Path, walks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ["training.checkpoint_every=2", "network.dropout=0.5"]
    whole = train_recipe(small_recipe, tmp_path / "whole", data=walks, overrides=changes, quiet=True)

    fetch = PublishedActionsTask._fetch

    def killed(self: PublishedActionsTask, step: int, device: torch.device) -> Any:
        if step == 3:
            raise KeyboardInterrupt
        return fetch(self, step, device)

    changes.append(f"workers={workers}")  # no weight depends on them
    with monkeypatch.context() as patch:
        patch.setattr(PublishedActionsTask, "_fetch", killed)
        with pytest.raises(KeyboardInterrupt):
            train_recipe(small_recipe, tmp_path / "cut", data=walks, overrides=changes, quiet=True)
    again = train_recipe(small_recipe, tmp_path / "cut", data=walks, overrides=changes, resume=True, quiet=True)
    assert again.run.resumed_from == 2
    assert_same(again.network, whole.network)


def test_epochs_repeats_and_drops_of_the_rate(small_recipe: Path, walks: Path) -> None:
    changes = ["repeat=2", "training.schedule='constant'", "lr_drops=[2, 3]", "training.epochs=4", "validation=true"]
    recipe = recipe_of(small_recipe, *changes, "validation_passes=3")
    data = read_data_set(walks, "train")
    task = PublishedActionsTask(recipe, data, data)
    settings = task.settings()
    assert (task.samples, settings.steps_per_epoch, settings.total_steps) == (24, 4, 16)
    assert settings.validate_every == 8  # two epochs of two passes are the first whole ones with three
    rates = [learning_rate_at(step, settings) for step in range(16)]
    assert rates == pytest.approx([0.05] * 8 + [0.005] * 4 + [0.0005] * 4)
    batches = task._keys(0)
    seen = [key[0] for _ in range(4) for key in next(batches)]
    assert sorted(seen) == sorted([*range(12)] * 2)


@pytest.mark.long
def test_few_passes_are_said_unless_it_begins_with_weights(small_recipe: Path, walks: Path, tmp_path: Path) -> None:
    data = read_data_set(walks, "train")

    def warned(*overrides: str) -> bool:
        notes = PublishedActionsTask(recipe_of(small_recipe, *overrides), data, None).notes()
        return any("are few" in note for note in notes)

    assert warned("training.epochs=119")
    assert not warned("training.epochs=12", "repeat=10")
    save(build(recipe_of(small_recipe).network), tmp_path / "weights")
    begin = f"begin_with='{tmp_path / 'weights'}'"
    assert warned("training.epochs=59", begin)
    assert not warned("training.epochs=60", begin)


def test_classes_count_more_often_where_the_recipe_says(small_recipe: Path, walks: Path) -> None:
    recipe = recipe_of(small_recipe, "repeated_classes=[{first=1,last=1,times=3}]")
    task = PublishedActionsTask(recipe, read_data_set(walks, "train"), None)
    assert task.samples == 6 + 18
    assert np.bincount(task.places).tolist() == [1, 3] * 6
    assert not hasattr(task, "validate")


def test_weights_to_begin_with_keep_all_but_the_last_layer(small_recipe: Path, walks: Path, tmp_path: Path) -> None:
    first = train_recipe(small_recipe, tmp_path / "first", data=walks, overrides=["training.epochs=1"], quiet=True)
    recipe = recipe_of(small_recipe, f"begin_with='{first.folder}'", "network.classes=5")
    data = read_data_set(walks, "train")
    task = PublishedActionsTask(recipe, data, None)
    assert_same(task.network.backbone, first.network.backbone)
    assert task.network.cls_head.fc_cls.weight.shape[0] == 5
    assert task.depends_on() == {"samples": 12, "begun_with_sha256": load(first.folder).sha256}
    with pytest.raises(ConfigError, match=r"begin_with: .* has the sizes .* the recipe's network"):
        PublishedActionsTask(recipe_of(small_recipe, f"begin_with='{first.folder}'", "network.width=8"), data, None)


def test_recordings_without_a_label_are_refused(small_recipe: Path, walks: Path) -> None:
    annotation = read_data_set(walks, "train").annotations[0]
    bare = Annotation(identifier="bare", keypoints=annotation.keypoints, image_shape=annotation.image_shape)
    task = PublishedActionsTask(recipe_of(small_recipe), DataSet(annotations=[bare]), None)
    with pytest.raises(DataError, match="annotation 'bare': has no label"):
        task.step_loss(0, torch.Generator())


def test_clips_of_any_number_of_people_are_drawn_as_one_by_one(walks: Path) -> None:
    one, two = read_data_set(walks, "train").annotations[:2]
    keypoints = np.concatenate([two.keypoints, two.keypoints + 40])
    both = Annotation(identifier="both", keypoints=keypoints, image_shape=two.image_shape, label=1)
    preparation = Preparation(size=24, stream="limb")
    samples: list[Sample] = [sample_to_test(annotation, preparation, 1) for annotation in (one, both)]
    clips = collate([(samples[0], one), (samples[1], both)])
    assert clips.keypoints.shape[:2] == (2, 2)
    assert (clips.labels.tolist(), clips.identifiers) == ([0, 1], (one.identifier, "both"))
    expected = [torch.from_numpy(draw_views(sample, preparation)[0]) for sample in samples]
    for drawn in (draw(clips, preparation), draw_densely(clips, preparation)):
        assert_close(drawn, torch.stack(expected), rtol=0, atol=5e-6)


def test_the_published_classes_are_needed_of_a_published_set(walks: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="xsub_train"):
        train_recipe("slowonly_r50_u48_240e_ntu60_xsub_keypoint", tmp_path / "run", data=walks, quiet=True)
    assert not (tmp_path / "run").exists()
