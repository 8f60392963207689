"""An annotation file taken apart by the example and built again holds what it held."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.testing import assert_array_equal

from poseworks.core.cli import run
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.annotation_files import read_data_set, write_annotations
from poseworks.skeleton_action.cli import app

EXAMPLE = Path(__file__).parents[1] / "examples" / "tracks_from_annotations.py"


def test_a_data_set_is_taken_apart_and_built_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    annotations = []
    for number in range(4):
        keypoints = rng.uniform(50, 400, (1 + number % 2, 12, 17, 2)).astype(np.float16)
        scores = rng.uniform(0.5, 1, keypoints.shape[:3]).astype(np.float16)
        annotations.append(
            Annotation(
                identifier=f"clip {number}",
                keypoints=keypoints,
                scores=scores,
                image_shape=(480, 640),
                label=number % 2,
            )
        )
    splits = {"train": ["clip 0", "clip 1"], "val": ["clip 2", "clip 3"]}
    write_annotations(annotations, tmp_path / "set.pkl", splits=splits, label_names=["bow", "wave"])
    command = [sys.executable, EXAMPLE, "set.pkl", "tracks", "labels.csv"]
    subprocess.run(command, cwd=tmp_path, check=True)
    built = [str(tmp_path / name) for name in ("tracks", "labels.csv", "mine.pkl")]
    assert run(app, ["build", *built[:2], "-o", built[2], "-q"]) == 0

    again = read_data_set(tmp_path / "mine.pkl")
    assert again.label_names == ("bow", "wave")
    assert {split: len(members) for split, members in again.splits.items()} == {"train": 2, "val": 2}
    for before, after in zip(annotations, again.annotations, strict=True):
        assert (after.label, after.image_shape) == (before.label, before.image_shape)
        assert_array_equal(after.keypoints, before.keypoints)
        assert_array_equal(after.scores, before.scores)
