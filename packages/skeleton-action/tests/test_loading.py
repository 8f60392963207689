"""Loading, saving, exporting and inspecting networks."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core import COCO_17, write_poses
from poseworks.core.checkpoints import read_checkpoint
from poseworks.core.errors import CheckpointError, ConfigError, FormatError, PoseworksError
from poseworks.core.files import sha256
from poseworks.core.onnx_export import open_onnx
from poseworks.core.read_options import ReadOptions
from poseworks.core.testing import mutations, walking_poses
from poseworks.skeleton_action.c3d_light import C3DLight, C3DLightConfig
from poseworks.skeleton_action.drawing import draw_volumes
from poseworks.skeleton_action.inspection import inspect_file
from poseworks.skeleton_action.label_names import label_names
from poseworks.skeleton_action.layouts import COCO_LAYOUT, JointLayout
from poseworks.skeleton_action.loading import (
    Network,
    build,
    export_onnx,
    load,
    looks_like,
    model_cards,
    save,
    shipped_models,
)
from poseworks.skeleton_action.preparation import Preparation, UnknownRule
from poseworks.skeleton_action.published import published_weights
from poseworks.skeleton_action.slowonly import SlowOnly, SlowOnlyConfig
from poseworks.skeleton_action.x3d_shallow import X3DShallowConfig

Tensors = dict[str, Tensor]
CONFIGS: list[SlowOnlyConfig | X3DShallowConfig | C3DLightConfig] = [
    SlowOnlyConfig(in_channels=5, classes=3, width=2, blocks=(1, 2, 1)),
    X3DShallowConfig(in_channels=5, classes=3, width=4, blocks=(2, 1, 1)),
    C3DLightConfig(in_channels=5, classes=3, width=2),
]
LAYOUTS: dict[str, Callable[[Tensors], Any]] = {
    "0.x": lambda tensors: {
        "meta": {"epoch": 240, "config": "dict(sigma=0.6, with_kp=False, with_limb=True)", "CLASSES": ["a", "b", "c"]},
        "state_dict": tensors,
        "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
    },
    "1.x": lambda tensors: {
        "meta": {"cfg": "with_kp=True,\nwith_limb=False", "dataset_meta": {"classes": ["x", "y", "z"]}},
        "state_dict": {"data_preprocessor.mean": torch.zeros(3), **tensors},
        "message_hub": {"log_scalars": {}},
    },
    "of several processes": lambda tensors: {"state_dict": {f"module.{name}": x for name, x in tensors.items()}},
    "bare": lambda tensors: tensors,
}


def tiny(config: SlowOnlyConfig | X3DShallowConfig | C3DLightConfig) -> Network:
    torch.manual_seed(0)
    network = build(config)
    for name, x in network.named_parameters():
        if name.endswith("bn.weight"):
            torch.nn.init.uniform_(x, 0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_original_checkpoints_of_any_layout(
    tmp_path: Path, config: SlowOnlyConfig | X3DShallowConfig | C3DLightConfig, layout: str
) -> None:
    network = tiny(config)
    torch.save(LAYOUTS[layout](network.state_dict()), tmp_path / "x.pth")
    again = load(tmp_path / "x.pth")
    assert again.config == config
    assert (again.source, again.sha256) == (str(tmp_path / "x.pth"), sha256(tmp_path / "x.pth"))
    assert not again.training
    x = torch.rand(2, 5, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again(x), network(x))
    assert again.preparation.stream == ("limb" if layout == "0.x" else "joint")
    assert again.preparation.labels == {"0.x": ("a", "b", "c"), "1.x": ("x", "y", "z")}.get(layout, ())


def test_options_say_what_tensors_do_not(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    tensors = tiny(CONFIGS[0]).state_dict()
    torch.save(LAYOUTS["bare"](tensors), file)
    layout = JointLayout(skeleton="custom", joint_names=("nose", "left_hip", "right_hip"), limbs=((0, 1), (0, 2)))
    assert load(file).preparation == Preparation()
    network = load(file, stream="limb", flavour="pyskl", layout=layout)
    assert network.preparation == Preparation(stream="limb", flavour="pyskl", layout=layout)
    save(network, tmp_path / "folder")
    assert load(tmp_path / "folder", stream="limb").preparation == network.preparation
    with pytest.raises(ConfigError, match=r"stream: .*config.json says limb, the option says joint. Leave the option"):
        load(tmp_path / "folder", stream="joint")
    torch.save(LAYOUTS["0.x"](tensors), file)
    with pytest.raises(ConfigError, match=r"stream: .*x.pth says limb, the option says joint. Leave it out"):
        load(file, stream="joint")


def test_limbs_that_the_configuration_lists_are_taken(tmp_path: Path) -> None:
    tensors = tiny(SlowOnlyConfig(classes=3, width=2, blocks=(1, 1, 1))).state_dict()
    published = "skeletons=[[0, 5], [0, 6], [5, 7], [7, 9], [6, 8], [8, 10], [5, 11], [11, 13], [13, 15], [6, 12], "
    published += "[12, 14], [14, 16], [0, 1], [0, 2], [1, 3], [2, 4], [11, 12]]"
    file = tmp_path / "x.pth"
    for text, limbs in (
        (f"with_limb=True, {published}", COCO_LAYOUT.limbs),
        ("with_limb=True", ((0, 1), (0, 2), (1, 3), (2, 4), (0, 5))),
        ("with_limb=True, skeletons=[(5, 7), (6, 8)]", ((5, 7), (6, 8))),
        (f"with_kp=True, {published}", COCO_LAYOUT.limbs),
    ):
        torch.save({"meta": {"config": text}, "state_dict": tensors}, file)
        found = load(file).preparation.layout.limbs
        assert found[: len(limbs)] == limbs
    torch.save({"meta": {"config": "with_limb=True, skeletons=[[0, 99]]"}, "state_dict": tensors}, file)
    with pytest.raises(CheckpointError, match="limbs: expected pairs of joints from 0 to 16"):
        load(file)


def test_published_files_are_known_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "slowonly_r50_u48_240e_ntu60_xsub_limb"
    with pytest.raises(CheckpointError, match=rf"{name}: not here; from the model table .*{name}-1d69006a.pth"):
        load(name)
    monkeypatch.setenv("POSEWORKS_WEIGHTS", str(tmp_path))
    torch.save({"state_dict": tiny(SlowOnlyConfig(width=2, blocks=(1, 1, 1))).state_dict()}, tmp_path / "x.pth")
    (tmp_path / "x.pth").rename(tmp_path / f"{name}-1d69006a.pth")
    with pytest.raises(CheckpointError, match="its name says that its SHA-256 begins with 1d69006a"):
        load(name)
    (tmp_path / f"{name}-1d69006a.pth").rename(tmp_path / f"{name}.pth")
    network = load(tmp_path / f"{name}.pth")
    assert network.preparation == Preparation(stream="limb", labels=label_names("ntu60"))
    with pytest.raises(ConfigError, match=r"stream: .* says limb"):
        load(tmp_path / f"{name}.pth", stream="joint")


def test_parameter_counts_of_the_published() -> None:
    assert len(published_weights()) == 9
    for entry in published_weights().values():
        with torch.device("meta"):
            network = SlowOnly(SlowOnlyConfig(**entry.sizes))
        assert sum(p.numel() for p in network.parameters()) == entry.parameters
        assert network.config.classes == len(label_names(entry.data_set))
    cards = {card.name: card for card in model_cards()}
    assert cards["slowonly_r50_u48_240e_gym_limb"].claim == "FineGYM-99 94.0 % mean class accuracy"
    assert set(shipped_models()) <= set(cards)


def test_other_networks_are_named(tmp_path: Path) -> None:
    x = torch.zeros(4, 3, 1, 7, 7)
    for names, kind in (
        (["backbone.gcn.0.gcn.conv.weight"], "a graph network on skeletons"),
        (["backbone.conv1.conv.weight", "backbone.layer4.0.conv3.conv.weight"], "an image network"),
        (["backbone.rgb_path.conv1.conv.weight"], "a network of two streams, images and poses"),
        (["smpl.weight"], "a mesh-recovery network"),
        (["w1"], "something else"),
    ):
        torch.save(dict.fromkeys(names, x), tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match=f"no PoseC3D network. It looks like {kind}"):
            load(tmp_path / "x.pth")
    for config, kind in zip(CONFIGS, ("a SlowOnly on heatmaps", "an X3D-shallow", "a C3D-light"), strict=True):
        assert looks_like(tiny(config).state_dict()) == kind


def test_tensors_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    tensors = tiny(CONFIGS[0]).state_dict()
    del tensors["backbone.layer2.1.conv2.conv.weight"]
    tensors["cls_head.fc_cls.bias"] = torch.zeros(7)
    tensors["extra"] = torch.zeros(1)
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"missing \(1\): backbone.layer2.1.*unexpected \(1\): extra; misshapen"):
        load(tmp_path / "x.pth")
    huge = dict(tensors)
    huge["backbone.conv1.conv.weight"] = torch.zeros(1).expand(10**6, 10**6, 1, 1, 1)
    torch.save(huge, tmp_path / "x.pth")
    with pytest.raises(CheckpointError):
        load(tmp_path / "x.pth")


@pytest.mark.parametrize("half", [False, True])
def test_saved_networks_come_back(tmp_path: Path, half: bool) -> None:
    for config in CONFIGS:
        network = tiny(config)
        network.preparation = Preparation(
            labels=("a", "b", "c"), temperature=1.5, unknown=UnknownRule(kind="energy", threshold=2.0)
        )
        folder = tmp_path / config.kind
        save(network, folder, half=half)
        again = load(folder)
        assert type(again) is type(network)
        assert (again.config, again.preparation) == (network.config, network.preparation)
        x = torch.rand(1, 5, 4, 16, 16, generator=torch.Generator().manual_seed(0))
        assert_close(again(x), network(x), atol=2e-3 if half else 0, rtol=1e-2 if half else 0)
    (folder / "config.json").write_text(
        (folder / "config.json").read_text().replace("c3d_light", "lcn"), encoding="utf-8"
    )
    with pytest.raises(CheckpointError, match="is of kind 'lcn', expected slowonly or x3d_shallow or c3d_light"):
        load(folder)


def test_damaged_checkpoints_are_errors(tmp_path: Path) -> None:
    torch.save({"state_dict": tiny(CONFIGS[1]).state_dict()}, tmp_path / "x.pth")
    refused = 0
    for damaged in mutations((tmp_path / "x.pth").read_bytes(), np.random.default_rng(0)):
        (tmp_path / "y.pth").write_bytes(damaged)
        try:
            load(tmp_path / "y.pth")
        except PoseworksError:
            refused += 1
    assert refused > 100


@pytest.mark.long
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_onnx_gives_what_torch_gives(
    tmp_path: Path, config: SlowOnlyConfig | X3DShallowConfig | C3DLightConfig
) -> None:
    pytest.importorskip("onnxruntime")
    network = tiny(config)
    report = export_onnx(network, tmp_path / "x.onnx")
    assert report.largest_difference < 1e-5
    assert len({tuple(sizes.values()) for sizes in report.sizes}) == 3
    volumes = torch.rand(1, 5, 48, 32, 40, generator=torch.Generator().manual_seed(0))
    (found,) = open_onnx(tmp_path / "x.onnx").run(["logits"], {"volumes": volumes.numpy()})
    assert_close(torch.from_numpy(found), network(volumes).detach(), atol=1e-5, rtol=1e-5)
    note = json.loads((tmp_path / "x.json").read_text())
    assert note["inputs"] == [
        {"name": "volumes", "shape": ["batch", 5, "frames", "height", "width"], "dtype": "float32"}
    ]
    assert Preparation.model_validate(note["preparation"]) == network.preparation
    with pytest.raises(ConfigError, match="exists"):
        export_onnx(network, tmp_path / "x.onnx")


@pytest.mark.long
@pytest.mark.parametrize("stream", ["joint", "limb"])
def test_onnx_that_takes_keypoints(tmp_path: Path, stream: Any) -> None:
    pytest.importorskip("onnxruntime")
    network = tiny(X3DShallowConfig(classes=3, width=2, blocks=(1, 1, 1)))
    network.preparation = Preparation(stream=stream, size=24)
    export_onnx(network, tmp_path / "x.onnx", takes="keypoints")
    generator = torch.Generator().manual_seed(1)
    keypoints, scores = 24 * torch.rand(2, 1, 12, 17, 2, generator=generator), torch.rand(2, 1, 12, 17)
    expected = network(draw_volumes(keypoints, scores, (24, 24), COCO_LAYOUT, stream)).detach()
    given = {"keypoints": keypoints.numpy(), "scores": scores.numpy()}
    (found,) = open_onnx(tmp_path / "x.onnx").run(["logits"], given)
    assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=1e-5)


def test_inspect_says_what_a_file_is(tmp_path: Path) -> None:
    network = tiny(CONFIGS[0])
    torch.save(LAYOUTS["0.x"](network.state_dict()), tmp_path / "x.pth")
    facts = inspect_file(tmp_path / "x.pth", ReadOptions(), {})
    assert (facts["what"], facts["method"]) == ("checkpoint", "PoseC3D, SlowOnly")
    assert facts["variant"] == "sizes of no published variant"
    assert facts["expects"]["stream"] == "limb"
    assert facts["missing_or_left_over"] == "nothing"
    poses = walking_poses(9, dims=2, skeleton=COCO_17, rng=np.random.default_rng(0))
    write_poses(poses, tmp_path / "poses.npz")
    assert inspect_file(tmp_path / "poses.npz", ReadOptions(), {})["what"] == "poses"
    (tmp_path / "bad.pkl").write_bytes(b"\x80\x04K\x07.")
    with pytest.raises(FormatError):
        inspect_file(tmp_path / "bad.pkl", ReadOptions(), {})


def test_a_checkpoint_keeps_its_bookkeeping_and_drops_training(tmp_path: Path) -> None:
    torch.save(LAYOUTS["0.x"](tiny(CONFIGS[2]).state_dict()), tmp_path / "x.pth")
    checkpoint = read_checkpoint(tmp_path / "x.pth")
    assert checkpoint.nest == "state_dict"
    assert checkpoint.dropped == ("meta (bookkeeping)", "optimizer (training state)")
    network = load(tmp_path / "x.pth")
    assert isinstance(network, C3DLight)
    assert isinstance(copy.deepcopy(network), C3DLight)
