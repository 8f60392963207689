"""The examples do what they say, with what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core import COCO_17, read_poses, write_poses
from poseworks.core.testing import run_without_packages, walking_poses
from poseworks.skeleton_action import Preparation, X3DShallow, X3DShallowConfig, export_onnx, recognize
from poseworks.skeleton_action.layouts import Stream
from poseworks.skeleton_action.preparation import Flavour, UnknownRule

pytest.importorskip("onnxruntime")

EXAMPLE = Path(__file__).parents[1] / "examples" / "recognize_with_onnxruntime.py"


@pytest.fixture(scope="module")
def network() -> X3DShallow:
    torch.manual_seed(0)
    network = X3DShallow(X3DShallowConfig(classes=3, width=2, blocks=(1, 1, 1)))
    torch.nn.init.normal_(network.cls_head.fc_cls.weight)
    return network.eval()


@pytest.fixture(scope="module")
def model(network: X3DShallow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "action.onnx"
    export_onnx(network, path)
    return path


@pytest.mark.long
@pytest.mark.parametrize(
    ("stream", "flavour", "frames", "threshold"),
    [("joint", "mmaction", 30, None), ("limb", "pyskl", 60, 9.0), ("joint", "pyskl", 120, -9.0)],
)
def test_onnxruntime_and_numpy_recognise_as_the_package_does(
    network: X3DShallow,
    model: Path,
    tmp_path: Path,
    stream: Stream,
    flavour: Flavour,
    frames: int,
    threshold: float | None,
) -> None:
    rule = None if threshold is None else UnknownRule(kind="energy", threshold=threshold)
    network.preparation = Preparation(
        stream=stream, flavour=flavour, size=32, labels=("sit", "stand", "walk"), temperature=0.5, unknown=rule
    )
    (tmp_path / "action.onnx").write_bytes(model.read_bytes())
    note = {"preparation": network.preparation.model_dump(mode="json")}
    (tmp_path / "action.json").write_text(json.dumps(note))
    poses = walking_poses(frames, people=3, dims=2, skeleton=COCO_17, rng=np.random.default_rng(3), noise=2)
    positions = poses.positions.copy()
    positions[1, 3:9, 5:9] = np.nan
    positions[2] = np.nan
    write_poses(poses.replace(positions=positions), tmp_path / "poses.npz")
    done = run_without_packages(EXAMPLE, tmp_path / "action.onnx", tmp_path / "poses.npz")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    expected = recognize(read_poses(tmp_path / "poses.npz"), network).timelines
    assert [answer["person"] for answer in answers] == [0, 1, 2]
    for answer, timeline in zip(answers[:2], expected, strict=False):
        np.testing.assert_allclose(answer["probabilities"], timeline.probabilities[0], rtol=1e-4)
        best = timeline.labels[timeline.probabilities[0].argmax()]
        assert answer["label"] == ("none of these" if timeline.unknown[0] else best)
    assert answers[2] == {"person": 2, "label": None}
    assert expected[2].faults[0]


def test_files_that_the_example_cannot_read_are_named(model: Path, tmp_path: Path) -> None:
    rows = [row for row, name in enumerate(COCO_17.joint_names) if "ear" not in name]
    poses = walking_poses(5, dims=2, skeleton=COCO_17, rng=np.random.default_rng(3))
    without = poses.replace(
        positions=poses.positions[:, :, rows],
        confidence=None,
        joint_names=tuple(COCO_17.joint_names[row] for row in rows),
        skeleton="custom",
    )
    in_3d = walking_poses(5, rng=np.random.default_rng(3))
    for given, message in ((without, "lacks left_ear, right_ear"), (in_3d, "expected a poses file with keypoints")):
        write_poses(given, tmp_path / "poses.npz", overwrite=True)
        done = run_without_packages(EXAMPLE, model, tmp_path / "poses.npz")
        assert done.returncode == 1
        assert message in done.stderr
