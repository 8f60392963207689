"""A small data set of two classes that a mirror does not exchange: people walk, or walk with both hands up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poseworks.core.skeletons import COCO_17
from poseworks.core.testing import walking_poses
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.annotation_files import write_annotations

CLASSES = ("walk", "hands up")


def walking(number: int) -> Annotation:
    """Odd numbers hold their hands up."""
    rng = np.random.default_rng(number)
    frames = int(rng.integers(20, 70))
    keypoints = walking_poses(frames, dims=2, skeleton=COCO_17, rng=rng).positions.astype(np.float64)
    if number % 2:
        for side in ("left", "right"):
            wrist, elbow, shoulder = (COCO_17.index(f"{side}_{part}") for part in ("wrist", "elbow", "shoulder"))
            keypoints[:, :, elbow] = keypoints[:, :, shoulder] - (0, 80)
            keypoints[:, :, wrist] = keypoints[:, :, shoulder] - (0, 160)
    return Annotation(
        identifier=f"walk{number:02d}",
        keypoints=keypoints + rng.normal(0, 1, keypoints.shape),
        image_shape=(720, 1280),
        scores=np.ones(keypoints.shape[:3]),
        label=number % 2,
    )


@pytest.fixture(scope="session")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An annotation file of 12 recordings to train on (split train) and 6 to test on (split test)."""
    path = tmp_path_factory.mktemp("walks") / "walks.pkl"
    annotations = [walking(number) for number in range(18)]
    names = [annotation.identifier for annotation in annotations]
    splits = {"train": names[:12], "test": names[12:]}
    write_annotations(annotations, path, splits=splits, label_names=CLASSES)
    return path


@pytest.fixture
def small_recipe(tmp_path: Path) -> Path:
    """A recipe for `walks` that takes a second."""
    text = """
    name = "walks"
    kind = "published_actions"
    about = "A small network on two classes"
    stream = "joint"
    train_size = 16
    test_size = 16
    lr_batch = 12
    workers = 0

    [data]
    set = "own"
    train = "train"
    test = "test"

    [network]
    kind = "x3d_shallow"
    width = 4
    blocks = [1, 1, 1]
    dropout = 0.0

    [training]
    epochs = 3
    batch_size = 6
    optimizer = "sgd"
    momentum = 0.9
    learning_rate = 0.1
    schedule = "cosine"
    weight_decay = 3e-4
    clip_norm = 40.0
    """
    path = tmp_path / "walks.toml"
    path.write_text("\n".join(line.strip() for line in text.splitlines()))
    return path
