"""The examples do what they say, with what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from poseworks.core import COCO_17, H36M_17, read_poses, write_poses
from poseworks.core.testing import run_without_packages, walking_poses
from poseworks.lifting import LCN, EHGFormer, EHGFormerConfig, LCNConfig, export_onnx
from poseworks.lifting.input_forms import PUBLISHED, Preparation
from poseworks.lifting.lifter import lift

pytest.importorskip("onnxruntime")

EXAMPLE = Path(__file__).parents[1] / "examples" / "lift_with_onnxruntime.py"
RAY = Preparation(form="ray", unit_m=0.8, assumed_focal=1.2)
BOX = RAY.model_copy(update={"form": "box"})


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("network", "preparation", "skeleton", "focal"),
    [
        (LCN(LCNConfig(channels=2, layers=1, in_features=2)), PUBLISHED, H36M_17, None),
        (LCN(LCNConfig(channels=2, layers=1, in_features=3)), RAY, COCO_17, 900.0),
        (EHGFormer(EHGFormerConfig(frames=9, width=8, blocks=1, heads=2)), PUBLISHED, COCO_17, None),
        (EHGFormer(EHGFormerConfig(frames=8, width=8, blocks=1, heads=2)), BOX, H36M_17, None),
    ],
    ids=["lcn of 2", "lcn by rays", "ehgformer", "ehgformer by boxes"],
)
def test_onnxruntime_and_numpy_lift_a_file_as_the_package_does(
    tmp_path: Path, network: Any, preparation: Preparation, skeleton: Any, focal: float | None
) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    network.eval().preparation = preparation
    export_onnx(network, tmp_path / "model.onnx")
    poses = walking_poses(30, people=2, dims=2, skeleton=skeleton, rng=np.random.default_rng(3), noise=2)
    missing = poses.positions.copy()
    missing[1, 20:22] = np.nan  # nobody: two pieces, the second shorter than a window
    missing[1, 4, skeleton.index("left_wrist")] = np.nan
    poses = poses.replace(positions=missing)
    write_poses(poses, tmp_path / "poses.npz")
    files = [str(tmp_path / name) for name in ("model.onnx", "poses.npz", "lifted.npz")]
    done = run_without_packages(EXAMPLE, *files, *([] if focal is None else [str(focal)]))
    assert done.returncode == 0, done.stderr
    found = read_poses(tmp_path / "lifted.npz")
    expected = lift(poses, network, max_gap_s=0)
    if focal is not None:
        expected = lift(poses, network, max_gap_s=0, focal=focal)
        expected = expected.replace(positions=expected.positions - expected.positions[:, :, :1], frame="root")
    np.testing.assert_allclose(found.positions, expected.positions, atol=2e-4, rtol=1e-4)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-6)
    assert np.isnan(found.positions[1, 20:22]).all()
    assert (found.skeleton, found.unit, found.frame) == ("h36m17", "normalised", "root")


def test_files_that_the_example_cannot_lift_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"joint_names": H36M_17.joint_names}))
    (tmp_path / "model.onnx").write_bytes(model_of_nothing())
    poses = walking_poses(5, dims=2, skeleton=COCO_17, rng=np.random.default_rng(3))
    rows = [row for row, name in enumerate(COCO_17.joint_names) if "ear" not in name]
    without = poses.replace(
        positions=poses.positions[:, :, rows],
        confidence=None,
        joint_names=tuple(COCO_17.joint_names[row] for row in rows),
        skeleton="custom",
    )
    in_3d = walking_poses(5, rng=np.random.default_rng(3))
    for given, message in ((without, "lacks left_ear, right_ear"), (in_3d, "expected a poses file with keypoints")):
        write_poses(given, tmp_path / "poses.npz", overwrite=True)
        files = [str(tmp_path / name) for name in ("model.onnx", "poses.npz", "lifted.npz")]
        done = run_without_packages(EXAMPLE, *files)
        assert done.returncode == 1
        assert message in done.stderr
        assert not (tmp_path / "lifted.npz").exists()


def model_of_nothing() -> bytes:
    """An ONNX file that gives back what it is given."""
    onnx = pytest.importorskip("onnx")
    kind = onnx.TensorProto.FLOAT
    value = [onnx.helper.make_tensor_value_info(name, kind, [1]) for name in ("pose2d", "pose3d")]
    node = onnx.helper.make_node("Identity", ["pose2d"], ["pose3d"])
    graph = onnx.helper.make_graph([node], "nothing", value[:1], value[1:])
    opset = [onnx.helper.make_opsetid("", 20)]
    return bytes(onnx.helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString())
