"""The verb evaluate: what it prints, measures and writes is what the network answers to each recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from poseworks.core.cli import run
from poseworks.core.skeletons import COCO_17
from poseworks.core.testing import walking_poses
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.annotation_files import read_annotations, write_annotations
from poseworks.skeleton_action.cli import app
from poseworks.skeleton_action.learning.evaluation import score_split
from poseworks.skeleton_action.loading import build, save
from poseworks.skeleton_action.metrics import average_clips, measure
from poseworks.skeleton_action.preparation import Flavour, Preparation
from poseworks.skeleton_action.results import read_results
from poseworks.skeleton_action.slowonly import SlowOnly
from poseworks.skeleton_action.views import Views
from poseworks.skeleton_action.volumes import test_volumes as volumes_of
from poseworks.skeleton_action.x3d_shallow import X3DShallowConfig

RECIPE = """
name = "small"
kind = "published_actions"
about = "A small network"
stream = "limb"
flavour = "pyskl"
test_size = 16
lr_batch = 8
[data]
set = "gym"
train = "train"
test = "val"
[network]
kind = "x3d_shallow"
width = 4
blocks = [1, 1, 1]
classes = 5
[training]
epochs = 1
batch_size = 8
[[claims]]
source = "somebody"
measure = "mean_class_accuracy"
percent = 91.5
fused_percent = 93.0
"""


def walk(number: int, *, seen: bool = True) -> Annotation:
    poses = walking_poses(50, dims=2, skeleton=COCO_17, rng=np.random.default_rng(number), people=1 + number % 2)
    scores = np.ones(poses.positions.shape[:3]) if seen else np.zeros(poses.positions.shape[:3])
    return Annotation(
        identifier=f"walk{number}", keypoints=poses.positions, image_shape=(720, 1280), scores=scores, label=number % 5
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe, weights for it, and four recordings, one of which shows nobody."""
    (tmp_path / "small.toml").write_text(RECIPE)
    torch.manual_seed(0)
    network = build(X3DShallowConfig(width=4, blocks=(1, 1, 1), classes=5))
    torch.nn.init.normal_(network.cls_head.fc_cls.weight)
    network.preparation = Preparation(stream="limb", flavour="pyskl", size=16)
    save(network, tmp_path / "weights")
    annotations = [walk(0), walk(1), walk(2), walk(3, seen=False)]
    (tmp_path / "data").mkdir()
    write_annotations(
        annotations,
        tmp_path / "data" / "gym_hrnet.pkl",
        splits={"val": [annotation.identifier for annotation in annotations], "one": ["walk1"]},
    )
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: object) -> dict[str, Any]:
    words = ["evaluate", folder / "small.toml", folder / "weights", "--data", folder / "data", *arguments, "--json"]
    assert run(app, [str(word) for word in words]) == 0
    content = json.loads(capsys.readouterr().out)
    assert isinstance(content, dict)
    return content


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(app, ["evaluate", *map(str, arguments)]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("flavour", ["mmaction", "pyskl"])
def test_scores_are_the_mean_over_the_published_views(flavour: Flavour, small_network: SlowOnly) -> None:
    preparation = small_network.preparation.model_copy(update={"flavour": flavour, "clip_len": 8, "size": 20})
    small_network.preparation = preparation
    annotations = [walk(0), walk(1), walk(2, seen=False)]
    scored = score_split(small_network, annotations, Views(3, True))
    for annotation, row in zip(annotations, scored.results.scores, strict=True):
        views = volumes_of(annotation, "joint", 3, True, flavour, clip_len=8, size=20)
        with torch.no_grad():
            logits = small_network(torch.from_numpy(views)).numpy()
        np.testing.assert_allclose(row, average_clips(logits, 6)[0], atol=1e-5)
    assert scored.empty == ("walk2",)
    assert scored.frames == 150
    assert scored.labels.tolist() == [0, 1, 2]


def test_figures_stand_beside_the_claim(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, figure = folder / "result.pkl", folder / "confusion.svg"
    found = answer(capsys, folder, "--preset", "fast", "--out", out, "--confusion", figure)
    assert (found["recordings"], found["frames"], found["views"]) == (4, 200, 1)
    assert found["empty"] == ["walk3"]
    assert found["claims"][0]["percent"] == 91.5
    results = read_results(out)
    assert results.identifiers == ("walk0", "walk1", "walk2", "walk3")
    assert results.labels is not None
    assert found["accuracy"] == measure(results.scores, results.labels)
    assert figure.read_text().startswith("<svg")
    few = answer(capsys, folder, "--preset", "fast", "--split", "one", "--metrics", "mean_class_accuracy")
    assert list(few["accuracy"]) == ["mean_class_accuracy", "mean_class_accuracy_true"]
    assert few["recordings"] == 1
    words = [folder / "small.toml", folder / "weights", "--data", folder / "data", "--preset", "fast"]
    assert "already exists" in failure(capsys, *words, "--out", out)
    assert run(app, ["evaluate", *map(str, words)]) == 0
    text = capsys.readouterr().out
    assert "mean class accuracy, claimed by somebody (with the other stream 93)" in text
    assert "4 recordings with 200 frames counted: split val of" in text
    assert "Preset fast: 1 view a recording. Claims are for 20." in text
    assert "nothing was drawn of 1 recordings, which say nothing: walk3" in text


def test_what_does_not_fit_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, weights = folder / "small.toml", folder / "weights"
    assert "gym_val.pkl or gym.pkl" in failure(capsys, recipe, weights, "--data", folder / "weights")
    data = ("--data", folder / "data")
    assert "--workers -1: expected 0 or more" in failure(capsys, recipe, weights, *data, "--workers", -1)
    recipe.write_text(RECIPE.replace('"limb"', '"joint"'))
    assert "limb" in failure(capsys, recipe, weights, *data)
    recipe.write_text(RECIPE.replace("width = 4", "width = 6"))
    assert "has the sizes" in failure(capsys, recipe, weights, *data)


def test_splits_without_labels_cannot_be_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "data" / "gym_hrnet.pkl"
    annotation = read_annotations(path)[0]
    bare = Annotation(identifier="bare", keypoints=annotation.keypoints, image_shape=annotation.image_shape)
    write_annotations([bare], path, splits={"val": ["bare"]}, overwrite=True)
    words = (folder / "small.toml", folder / "weights", "--data", path, "--preset", "fast")
    assert "not all recordings of the split have a label" in failure(capsys, *words)
