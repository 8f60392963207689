"""A small data set whose two classes can be told apart: which arm waves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poseworks.core.skeletons import COCO_17
from poseworks.core.testing import walking_poses
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.annotation_files import write_annotations

CLASSES = ("left arm waves", "right arm waves")


def waving(number: int) -> Annotation:
    """Even numbers wave with the left arm, odd ones with the right."""
    rng = np.random.default_rng(number)
    label = number % 2
    frames = int(rng.integers(20, 70))
    keypoints = walking_poses(frames, dims=2, skeleton=COCO_17, rng=rng, noise=0.0).positions.astype(np.float64)
    keypoints[:, :, :, 0] -= keypoints[:, :, 11:13, 0].mean(axis=2, keepdims=True) - 600 - 40 * rng.random()
    side = ("left", "right")[label]
    wrist, shoulder = COCO_17.index(f"{side}_wrist"), COCO_17.index(f"{side}_shoulder")
    lifted = 120 + 60 * np.sin(0.5 * np.arange(frames))
    keypoints[:, :, wrist] = keypoints[:, :, shoulder] - np.stack([0 * lifted, lifted], axis=-1)
    return Annotation(
        identifier=f"wave{number:02d}",
        keypoints=keypoints + rng.normal(0, 1, keypoints.shape),
        image_shape=(720, 1280),
        scores=np.ones(keypoints.shape[:3]),
        label=label,
    )


@pytest.fixture(scope="session")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An annotation file of 12 recordings to train on (split train) and 6 to test on (split test)."""
    path = tmp_path_factory.mktemp("waves") / "waves.pkl"
    annotations = [waving(number) for number in range(18)]
    names = [annotation.identifier for annotation in annotations]
    splits = {"train": names[:12], "test": names[12:]}
    write_annotations(annotations, path, splits=splits, label_names=CLASSES)
    return path


@pytest.fixture
def small_recipe(tmp_path: Path) -> Path:
    """A recipe for `waves` that takes a second."""
    text = """
    name = "waves"
    kind = "published_actions"
    about = "A small network on two classes"
    stream = "joint"
    train_size = 16
    test_size = 16
    lr_batch = 8
    workers = 0

    [data]
    set = "own"
    train = "train"
    test = "test"

    [network]
    kind = "x3d_shallow"
    width = 8
    blocks = [1, 1, 1]
    dropout = 0.0

    [training]
    epochs = 6
    batch_size = 4
    optimizer = "sgd"
    momentum = 0.9
    learning_rate = 0.2
    schedule = "cosine"
    weight_decay = 3e-4
    clip_norm = 40.0
    """
    path = tmp_path / "waves.toml"
    path.write_text("\n".join(line.strip() for line in text.splitlines()))
    return path
