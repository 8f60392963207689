"""Export to ONNX: verified before the file appears, quiet, nothing left behind on failure."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poseworks.core import onnx_export
from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.onnx_export import export_verified

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnxscript", reason="the extra onnx is not installed")


class TwoOutputs(nn.Module):
    """(N, C, 4) -> its double and its mean over the last axis."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.scale * x, x.mean(-1)


def export(path: Path, **changes: Any) -> onnx_export.ExportReport:
    arguments: dict[str, Any] = {
        "inputs": {"x": torch.arange(24.0).reshape(2, 3, 4)},
        "outputs": ["double", "mean"],
        "dynamic_axes": {"x": {0: "batch", 1: "channels"}},
        "other_sizes": [{"batch": 1, "channels": 5}, {"batch": 6, "channels": 2}],
        "sidecar": {"before": "subtract the root"},
    }
    return export_verified(TwoOutputs(), path, **{**arguments, **changes})


def test_export_is_verified_at_other_sizes_and_says_how_to_use_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    report = export(tmp_path / "net.onnx")
    assert capfd.readouterr() == ("", "")
    assert report.sizes == (
        {"batch": 2, "channels": 3},
        {"batch": 1, "channels": 5},
        {"batch": 6, "channels": 2},
    )
    assert report.largest_difference < 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.json", "net.onnx"]
    note = json.loads((tmp_path / "net.json").read_text())
    assert note["before"] == "subtract the root"
    assert note["inputs"] == [{"name": "x", "shape": ["batch", "channels", 4], "dtype": "float32"}]
    assert note["outputs"] == ["double", "mean"]
    assert note["opset"] == report.opset
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    double, mean = session.run(None, {"x": np.full((9, 1, 4), 1.5, np.float32)})
    assert double.shape == (9, 1, 4)
    np.testing.assert_allclose(double, 3.0)
    np.testing.assert_allclose(mean, np.full((9, 1), 1.5))
    with pytest.raises(ConfigError, match="already exists"):
        export(tmp_path / "net.onnx")


def test_a_file_that_disagrees_with_torch_does_not_appear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = onnx_export._export

    def export_another(network: nn.Module, *arguments: Any) -> None:
        with torch.no_grad():
            network.scale.add_(0.5)
        real(network, *arguments)
        with torch.no_grad():
            network.scale.sub_(0.5)

    monkeypatch.setattr(onnx_export, "_export", export_another)
    with pytest.raises(CheckpointError, match=r"differ by .* in double"):
        export(tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_faults_of_the_caller_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.onnx"):
        export(tmp_path / "net.pt")
    with pytest.raises(ConfigError, match="at least two, each with batch, channels"):
        export(tmp_path / "net.onnx", other_sizes=[{"batch": 1, "channels": 2}])


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"onnxruntime, which is not installed.*poseworks-core\[onnx\]"):
        export(tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
