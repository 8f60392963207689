"""The command, as a stranger would call it: one line for every fault."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core import write_poses
from poseworks.core.cli import run
from poseworks.core.testing import walking_poses
from poseworks.lifting import EHGFormer, EHGFormerConfig, LCNConfig, load, save
from poseworks.lifting.cli import app
from poseworks.lifting.inspection import facts_of
from poseworks.lifting.lcn import LCN
from poseworks.lifting.models import model_cards, shipped_models
from poseworks.lifting.published import ehgformer_names, lcn_names, published_weights


@pytest.fixture
def variables(tmp_path: Path) -> Path:
    """The variables of an untrained LCN."""
    torch.manual_seed(0)
    tensors = LCN(LCNConfig(channels=2, layers=1)).state_dict()
    names = lcn_names(tensors)
    np.savez(tmp_path / "variables.npz", **{names[name]: x.numpy() for name, x in tensors.items()})
    return tmp_path / "variables.npz"


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a faulty command line leaves."""
    assert run(app, [str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, object]:
    assert run(app, [*map(str, arguments), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert isinstance(content, dict)
    return content


def test_models_lists_every_variant_once(capsys: pytest.CaptureFixture[str]) -> None:
    listed = answer(capsys, "models")["models"]
    names = [model["name"] for model in listed]  # type: ignore[index, attr-defined]
    assert names == [*shipped_models(), *published_weights()]
    assert all(card.licence and card.training_data and card.claim and card.where() for card in model_cards())
    assert run(app, ["models"]) == 0
    assert "ehgformer-distilled-p2" in capsys.readouterr().out


def test_inspect_says_what_a_file_is(variables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = answer(capsys, "inspect", variables, "--knn", 3)
    assert (facts["method"], facts["kind"], facts["looks_like"]) == ("LCN", "npz", "an LCN")
    assert facts["missing_or_left_over"] == "nothing"
    facts = answer(capsys, "inspect", variables)
    assert "State it: --knn 3" in str(facts["problem"])
    folder = variables.parent / "m"
    save(EHGFormer(EHGFormerConfig(width=8, blocks=1, heads=2)), folder)
    facts = answer(capsys, "inspect", folder)
    assert (facts["partition"], facts["variant"]) == ("1", "sizes of no published variant")
    with torch.device("meta"):
        sketch = EHGFormer()
    facts = facts_of(sketch)
    assert facts["variant"] == "ehgformer-static-p1 or ehgformer-dynamic-p1"
    assert (facts["window_frames"], facts["expects"]["form"]) == (243, "image")
    assert "no such file" in failure(capsys, "inspect", variables.parent / "nothing.bin")
    walk = variables.parent / "walk.npz"
    write_poses(walking_poses(9, rng=np.random.default_rng(0)), walk)
    facts = answer(capsys, "inspect", walk)
    assert (facts["what"], facts["frames"]) == ("poses", 9)
    assert "knn mean nothing" in failure(capsys, "inspect", walk, "--knn", 3)


def test_inspect_tells_data_from_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = {"joint3d_image": np.zeros((3, 17, 3)), "confidence": np.ones((3, 17, 1))}
    (tmp_path / "h36m_sh_dt_ft.pkl").write_bytes(pickle.dumps({"train": table, "test": table}))
    facts = answer(capsys, "inspect", tmp_path / "h36m_sh_dt_ft.pkl")
    assert (facts["what"], facts["layout"]) == ("data", "LCN, detected keypoints (h36m_sh_dt_ft.pkl)")
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([print]))
    assert "builtins.print" in failure(capsys, "inspect", tmp_path / "x.pkl")
    network = EHGFormer(EHGFormerConfig(width=8, blocks=1, heads=2))
    names = ehgformer_names(network.state_dict())
    state = {names[name]: x for name, x in network.state_dict().items()}
    torch.save(state, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    facts = answer(capsys, "inspect", tmp_path / "old.bin", "--partition", 1)
    assert (facts["what"], facts["kind"], facts["method"]) == ("checkpoint", "torch-legacy", "EHGFormer")


def test_convert_and_export(variables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, onnx = variables.parent / "lcn", variables.parent / "lcn.onnx"
    assert "State it: --knn 3" in failure(capsys, "convert", variables, "-o", folder)
    assert not folder.exists()
    facts = answer(capsys, "convert", variables, "--knn", 2, "-o", folder)
    assert facts["config"]["knn"] == 2  # type: ignore[index]
    assert load(folder).config.knn == 2  # type: ignore[union-attr]
    assert "already exists" in failure(capsys, "convert", variables, "--knn", 2, "-o", folder)
    report = answer(capsys, "export", folder, "-o", onnx)
    assert report["largest_difference"] < 1e-4  # type: ignore[operator]
    assert onnx.with_suffix(".json").is_file()
    assert "ends in .onnx" in failure(capsys, "export", folder, "-o", variables.parent / "lcn.pb")


def test_lists_are_read_with_commas(variables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'1,x': expected numbers with commas" in failure(capsys, "inspect", variables, "--partition", "1,x")
    facts = answer(capsys, "inspect", variables, "--knn", 3, "--partition", "1,2")
    assert "no such option" in str(facts["problem"])
    lengths = ",".join(["0.5"] * 20)
    facts = answer(capsys, "inspect", variables, "--mask-type", "laplacian", "--limb-lengths", lengths)
    assert facts["config"]["mask_type"] == "laplacian"  # type: ignore[index]
