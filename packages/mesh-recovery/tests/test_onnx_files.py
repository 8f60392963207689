"""ONNX files give what torch gives, and hold no body."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from poseworks.core.errors import ConfigError
from poseworks.mesh_recovery import GraphCMR, Graphormer, export_onnx
from poseworks.mesh_recovery.loading import Network

Build = Callable[[str], Network]


@pytest.mark.parametrize("name", ["spin", "pare", "graphcmr", "graphormer"])
def test_exports_give_what_torch_gives_and_hold_no_body(name: str, tmp_path: Path, built: Build) -> None:
    network = built(name)
    network.preparation = network.preparation.model_copy(update={"size": 64})  # type: ignore[union-attr]
    report = export_onnx(network, tmp_path / "x.onnx")
    assert report.sizes == ({"batch": 2}, {"batch": 1}, {"batch": 3})
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(1)
    feed = {"images": torch.randn(5, 3, 64, 64, generator=generator)}
    template = None
    if isinstance(network, GraphCMR):
        feed["reference"] = network.reference
    if isinstance(network, Graphormer):
        template = (torch.randn(14, 3, generator=generator), torch.randn(431, 3, generator=generator))
        feed |= {"template_joints": template[0], "template_vertices": template[1]}
    assert [each.name for each in session.get_inputs()] == list(feed)
    names = [each.name for each in session.get_outputs()]
    found = dict(zip(names, session.run(None, {n: x.numpy() for n, x in feed.items()}), strict=True))
    with torch.no_grad():
        expected = network(feed["images"], *(() if template is None else (template,)))._asdict()
    if name == "graphcmr":
        u, _, vt = np.linalg.svd(found.pop("matrices"))
        rotations = u @ vt
        found["rotations"] = rotations * np.linalg.det(rotations)[..., None, None]
    assert set(found) == set(expected)
    for output, value in found.items():
        np.testing.assert_allclose(value, expected[output].numpy(), rtol=1e-3, atol=1e-4)
    note = json.loads((tmp_path / "x.json").read_text())
    assert note["preparation"]["crop"] == ("affine" if name == "pare" else "pixels")
    assert "camera" in note["after"]


def test_an_adversary_is_not_exported(tmp_path: Path, built: Build) -> None:
    with pytest.raises(ConfigError, match="only serves training"):
        export_onnx(built("discriminator"), tmp_path / "x.onnx")
