"""The examples do what they say, with what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poseworks.core import read_poses, write_poses
from poseworks.core.testing import run_without_packages, walking_poses
from poseworks.temporal import apply_windows, export_onnx, load

EXAMPLE = Path(__file__).parents[1] / "examples" / "smooth_with_onnxruntime.py"


@pytest.mark.long
@pytest.mark.timeout(120)
def test_onnxruntime_and_numpy_smooth_a_file_as_the_package_does(tmp_path: Path) -> None:
    network = load("smoothnet-general-w32")
    export_onnx(network, tmp_path / "model.onnx")
    poses = walking_poses(70, people=2, rng=np.random.default_rng(3), noise=0.01)
    missing = poses.positions.copy()
    missing[0, :5, 4] = np.nan
    poses = poses.replace(positions=missing)
    write_poses(poses, tmp_path / "poses.npz")
    files = [str(tmp_path / name) for name in ("model.onnx", "poses.npz", "smooth.npz")]
    done = run_without_packages(EXAMPLE, *files)
    assert done.returncode == 0, done.stderr
    smoothed = read_poses(tmp_path / "smooth.npz").positions
    expected = apply_windows(network, poses.positions[1].reshape(70, -1)).reshape(70, 17, 3)
    np.testing.assert_allclose(smoothed[1], expected, atol=2e-5)
    np.testing.assert_allclose(smoothed[0, 5:, 4], apply_windows(network, missing[0, 5:, 4]), atol=2e-5)
    assert np.isnan(smoothed[0, :5, 4]).all()
