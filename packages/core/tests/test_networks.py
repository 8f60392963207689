"""What `load` and `save` of every method share, on a network of one layer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
import torch
from pydantic import BaseModel, PositiveInt
from torch import Tensor, nn

from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.networks import (
    image_kind,
    load_saved,
    numbers_after,
    refuse_contradictions,
    save_network,
    saved_folder,
    size_of,
)


class LayerConfig(BaseModel, frozen=True, extra="forbid"):
    kind: Literal["layer"] = "layer"
    width: PositiveInt = 3


class Layer(nn.Module):
    source = ""
    sha256 = ""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(config.width, 2)


class Feed(BaseModel, frozen=True, extra="forbid"):
    unit: Literal["m", "mm"] = "m"


KINDS = {"layer": (Layer, LayerConfig)}


def test_a_saved_network_comes_back_in_eval_mode_with_its_source(tmp_path: Path) -> None:
    network = Layer(LayerConfig(width=4))
    network.source, network.sha256 = "/somewhere/layer.pth", "ab" * 32
    save_network(network, tmp_path / "m", card={"method": "x"})
    again = load_saved(tmp_path / "m", KINDS, given={"width": 4})
    assert again.config == network.config
    assert not again.training
    assert torch.equal(again.linear.weight, network.linear.weight)
    content = json.loads((tmp_path / "m" / "config.json").read_text())
    assert content["source"] == {"name": "layer.pth", "sha256": "ab" * 32}
    assert content["card"] == {"method": "x"}
    assert "preparation" not in content
    assert again.source == str(tmp_path / "m")
    assert again.sha256 == content["model_sha256"]
    readme = (tmp_path / "m" / "README.md").read_text()
    assert readme.startswith("# Layer\n")
    assert "made from: layer.pth" in readme
    assert saved_folder(tmp_path / "m" / "model.safetensors") == saved_folder(tmp_path / "m") == tmp_path / "m"
    assert saved_folder(tmp_path / "m" / "README.md") is None


def test_folders_and_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save_network(Layer(LayerConfig()), tmp_path / "m")
    with pytest.raises(ConfigError, match=r"width: .*config\.json says 3, the option says 4\. Leave the option out"):
        load_saved(tmp_path / "m", KINDS, given={"width": 4})
    with pytest.raises(ConfigError, match="depth: this is a Layer, which has no such option"):
        load_saved(tmp_path / "m", KINDS, given={"depth": 1})
    config = tmp_path / "m" / "config.json"
    content = json.loads(config.read_text())
    for change, message in (({"kind": "other"}, "of kind 'other', expected layer"), ({"width": 0}, "greater than 0")):
        config.write_text(json.dumps(content | {"config": content["config"] | change}))
        with pytest.raises(CheckpointError, match=message):
            load_saved(tmp_path / "m", KINDS, given={})


def test_what_weights_are_fed_with_is_saved_beside_them(tmp_path: Path) -> None:
    network = Layer(LayerConfig())
    network.preparation = Feed(unit="mm")  # type: ignore[assignment]
    save_network(network, tmp_path / "m")
    assert load_saved(tmp_path / "m", KINDS, given={}, preparation=Feed).preparation == Feed(unit="mm")
    config = tmp_path / "m" / "config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps(content | {"preparation": {"unit": "ft"}}))
    with pytest.raises(CheckpointError, match=r"config\.json: unit: "):
        load_saved(tmp_path / "m", KINDS, given={}, preparation=Feed)


class FirstColumn(Layer):
    """Inference needs the first column of the weight alone."""

    def compact_tensors(self) -> dict[str, Tensor]:
        return {**self.state_dict(), "linear.weight": self.linear.weight[:, :1]}

    def whole_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        weight = torch.zeros_like(self.linear.weight)
        weight[:, : tensors["linear.weight"].shape[1]] = tensors["linear.weight"]
        return {**tensors, "linear.weight": weight}


def test_a_compact_network_is_stored_without_what_inference_does_not_need(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = FirstColumn(LayerConfig(width=500))
    save_network(network, tmp_path / "whole")
    save_network(network, tmp_path / "half", half=True)
    whole, half = (
        load_saved(tmp_path / name, {"layer": (FirstColumn, LayerConfig)}, given={}) for name in ("whole", "half")
    )
    assert torch.equal(whole.linear.weight, network.linear.weight)
    assert torch.equal(half.linear.weight[:, 0], network.linear.weight[:, 0].half().float())
    assert not half.linear.weight[:, 1:].any()
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[0] > 4000 > 1000 > sizes[1]


@pytest.mark.long
def test_an_original_is_loaded_without_code_for_its_sketch() -> None:
    """Random starts of a network without memory make torch import sympy, which takes seconds."""
    code = (
        "import sys, torch\n"
        "from torch import nn\n"
        "from poseworks.core.checkpoints import Checkpoint\n"
        "from poseworks.core.networks import load_original\n"
        "class Started(nn.Module):\n"
        "    def __init__(self, config):\n"
        "        super().__init__()\n"
        "        self.layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 2), nn.Linear(2, 2))\n"
        "        nn.init.kaiming_normal_(self.layers[0].weight)\n"
        "        nn.init.normal_(self.layers[1].weight, std=0.1)\n"
        "        nn.init.xavier_uniform_(self.layers[2].weight)\n"
        "tensors = Started(None).state_dict()\n"
        "checkpoint = Checkpoint(tensors, {}, (), 'x.pt', '0')\n"
        "again = load_original(Started, None, checkpoint)\n"
        "assert all(torch.equal(x, tensors[name]) for name, x in again.state_dict().items())\n"
        "sys.exit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_articles() -> None:
    for name, article in (
        ("LCNConfig", "an LCN"),
        ("EHGFormerConfig", "an EHGFormer"),
        ("SmoothNetConfig", "a SmoothN"),
    ):
        config = type(name, (LayerConfig,), {})()
        with pytest.raises(ConfigError, match=f"this is {article}"):
            refuse_contradictions(config, {"depth": 1}, "")


def test_sizes_and_numbers_in_names() -> None:
    tensors = {"block.0.w": torch.zeros(4, 5), "block.12.w": torch.zeros(4), "block.x.w": torch.zeros(1)}
    tensors |= {"scope/two_3/w": torch.zeros(1)}
    assert numbers_after(tensors, "block.") == {0, 12}
    assert numbers_after(tensors, "scope/two_") == {3}
    assert size_of(tensors, ("absent", 0), ("block.12.w", 1), ("block.0.w", 1)) == 5
    assert size_of(tensors, ("absent", 0), default=7) == 7


def test_networks_on_images_are_recognised() -> None:
    assert image_kind({"backbone.conv1.weight": torch.zeros(1)}) == "an image network (it has a backbone)"
    assert image_kind({"smpl.betas": torch.zeros(1)}) == "a mesh-recovery network"
    assert image_kind({"linear.weight": torch.zeros(1)}) is None
