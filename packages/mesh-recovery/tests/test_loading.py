"""Networks from every layout of file, what is left out of them, and the errors for files that are none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import CheckpointError, ConfigError, FormatError, PoseworksError
from poseworks.core.testing import ReferenceCase, mutations
from poseworks.mesh_recovery import (
    HMR,
    Discriminator,
    GraphCMR,
    GraphCMRConfig,
    Graphormer,
    ResNetConfig,
    body_mesh,
    load,
    load_discriminator,
    save,
)
from poseworks.mesh_recovery.backbones import ResNet
from poseworks.mesh_recovery.loading import Network, looks_like
from poseworks.mesh_recovery.names import published_names

Tensors = dict[str, Tensor]
Files = Mapping[str, Any]
Build = Callable[[str], Network]
RESNET = ResNetConfig(width=4, blocks=(1, 1, 2, 1))
# What lies in the published files beside the network: each is left out by a named rule.
BESIDE: dict[str, dict[str, tuple[int, ...]]] = {
    "hmr": {
        "body_model_train.v_template": (6890, 3), "body_model_test.vertex_joint_selector.extra_joints_idxs": (21,),
        "disc.shape_discriminator.fc_blocks.regressor_fc_0.weight": (5, 10),
    },
    "hmr-hrnet": {"backbone.final_layer.weight": (24, 4, 1, 1), "backbone.final_layer.bias": (24,)},
    "spin": {},
    "pare": {
        "head.init_pose": (1, 144), "head.temperature": (), "head.smpl.shapedirs": (6890, 3, 10),
        "smpl.weights": (6, 24), "backbone.final_layer.bias": (24,),
    },
    "graphcmr": {
        "graph_cnn.resnet.fc.weight": (1000, 128), "graph_cnn.gc.2.skip_conv.W": (64, 64),
        "graph_cnn.gc.3.skip_conv.b": (64,), "graph_cnn.shape.0.skip_conv.b": (64,),
    },
    "graphormer": {
        "trans_encoder.0.bert.embeddings.word_embeddings.weight": (30522, 16), "backbone.classifier.bias": (1000,),
        "trans_encoder.2.bert.pooler.dense.bias": (8,),
        "trans_encoder.2.bert.encoder.layer.0.graph_conv.skip_conv.W": (8, 8),
    },
    "discriminator": {"backbone.conv1.weight": (4, 3, 7, 7), "body_model_test.posedirs": (207, 20670)},
}  # fmt: skip


def as_published(network: Network) -> Tensors:
    """Its tensors under the published names."""
    names = published_names(network.config.kind, network.state_dict())
    return {names[name]: x.clone() for name, x in network.state_dict().items()}


def wrapped(name: str, tensors: Tensors) -> Any:
    """The checkpoint as it is published."""
    if name == "graphcmr":
        parts: dict[str, Tensors] = {"graph_cnn": {}, "smpl_param_regressor": {}}
        for full, x in tensors.items():
            part, _, rest = full.partition(".")
            parts[part][rest] = x
        return {**parts, "optimizer": {"state": {}}, "epoch": 50, "checkpoint_batch_idx": 0}
    if name == "spin":
        return {"model": tensors, "optimizer": {"state": {}}, "total_step_count": 12}
    if name == "pare":
        return {"state_dict": {n if n.startswith("smpl.") else f"model.{n}": x for n, x in tensors.items()}}
    return tensors if name == "graphormer" else {"meta": {"epoch": 9}, "state_dict": tensors}


def options(name: str, files: Files) -> dict[str, Any]:
    return dict(files) if name in ("graphcmr", "graphormer") else {}


def outputs(network: Network) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        if isinstance(network, Discriminator):
            return (network(torch.randn(2, 24, 3, 3, generator=generator), torch.randn(2, 10, generator=generator)),)
        images = torch.randn(2, 3, 64, 64, generator=generator)
        if isinstance(network, Graphormer):
            template = (torch.randn(14, 3, generator=generator), torch.randn(431, 3, generator=generator))
            return tuple(network(images, template))
        return tuple(network(images))


def assert_same(one: Network, other: Network) -> None:
    assert type(one) is type(other)
    assert one.config == other.config
    for x, y in zip(outputs(one), outputs(other), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("name", BESIDE)
def test_a_published_file_and_what_is_saved_of_it(name: str, tmp_path: Path, built: Build, body_files: Files) -> None:
    network, file = built(name), tmp_path / "checkpoint.pt"
    beside = {n: torch.ones(shape) for n, shape in BESIDE[name].items()}
    torch.save(wrapped(name, as_published(network) | beside), file)
    read = load_discriminator if name == "discriminator" else load
    found = read(file, **options(name, body_files))
    assert not found.training
    assert (found.source, len(found.sha256)) == (str(file), 64)
    assert_same(found, network)
    save(found, tmp_path / "folder")
    stored = load_file(tmp_path / "folder" / "model.safetensors")
    assert set(stored) == set(network.state_dict())  # no body, no adversary
    assert_same(load(tmp_path / "folder", **options(name, body_files)), network)
    assert json.loads((tmp_path / "folder" / "config.json").read_text())["config"]["kind"] == network.config.kind


def test_files_without_counters_of_batches_are_read(tmp_path: Path, built: Build) -> None:
    network = built("spin")
    tensors = {n: x for n, x in as_published(network).items() if not n.endswith("num_batches_tracked")}
    torch.save({"model": tensors}, tmp_path / "x.pt")
    assert_same(load(tmp_path / "x.pt"), network)


@pytest.mark.parametrize("name", BESIDE)
def test_what_is_missing_or_left_over_is_named(name: str, tmp_path: Path, built: Build, body_files: Files) -> None:
    tensors, file = as_published(built(name)), tmp_path / "x.pt"
    read = load_discriminator if name == "discriminator" else load
    last = [n for n in tensors if n.endswith(("weight", "W"))][-1]
    for changed, message in (
        ({n: x for n, x in tensors.items() if n != last}, r"missing \(1\)"),
        ({**tensors, f"{last}_2": torch.ones(1)}, r"unexpected \(1\)"),
        ({**tensors, last: torch.ones(2, 3, 4, 5, 6, 7, 8)}, r"is \(2, 3, 4, 5, 6, 7, 8\)"),
    ):
        torch.save(wrapped(name, changed), file)
        with pytest.raises(CheckpointError, match=message) as caught:
            read(file, **options(name, body_files))
        assert last.split(".")[-2] in str(caught.value)


def test_what_networks_on_a_mesh_need_is_asked_for(tmp_path: Path, built: Build, body_files: Files) -> None:
    file, folder = tmp_path / "x.pt", tmp_path / "folder"
    network = built("graphcmr")
    torch.save(wrapped("graphcmr", as_published(network)), file)
    save(network, folder)
    for source in (file, folder):
        for given in ({}, {"mesh": body_files["mesh"]}, {"body": body_files["body"]}):
            with pytest.raises(ConfigError, match=r"needs both of its files: mesh=mesh_downsampling.npz and body="):
                load(source, **given)
    with pytest.raises(ConfigError, match=r"of the body 'smpl', the mesh has 1723 of 'free'"):
        load(folder, body="free")
    with pytest.raises(FormatError, match=r"not the levels|misses"):
        load(file, mesh=body_files["body"], body=body_files["body"])
    torch.save(wrapped("hmr", as_published(built("hmr"))), file)
    save(built("hmr"), tmp_path / "hmr")
    for source in (file, tmp_path / "hmr"):
        with pytest.raises(ConfigError, match="of the class HMR, which has no mesh"):
            load(source, **body_files)
        with pytest.raises(ConfigError, match="of the class HMR, which has no mesh"):
            load(source, **body_files, spare=True)
        assert isinstance(load(source, body=body_files["body"], spare=True), HMR)


def test_weights_for_the_free_body_need_no_files(tmp_path: Path) -> None:
    config = GraphCMRConfig(backbone=RESNET, channels=64, layers=0, hidden=8, body="free")
    network = GraphCMR(config, body_mesh(None, "free")).eval()
    save(network, tmp_path / "folder")
    found = load(tmp_path / "folder")
    assert isinstance(found, GraphCMR)
    assert_same(found, network)
    assert_close(found.up(found.reference)[:1723], found.reference)  # the coarser mesh lies on the first vertices


def test_a_graphcmr_without_its_second_network(tmp_path: Path, built: Build, body_files: Files) -> None:
    content = wrapped("graphcmr", as_published(built("graphcmr")))
    del content["smpl_param_regressor"]
    torch.save(content, tmp_path / "x.pt")
    found = load(tmp_path / "x.pt", **body_files)
    assert isinstance(found, GraphCMR)
    assert found.regressor is None


def test_the_adversary_beside_a_network_is_read_by_its_own_function(tmp_path: Path, built: Build) -> None:
    network, adversary = built("hmr"), built("discriminator")
    torch.save({"state_dict": as_published(network) | as_published(adversary)}, tmp_path / "x.pth")
    assert_same(load(tmp_path / "x.pth"), network)
    assert_same(load_discriminator(tmp_path / "x.pth"), adversary)
    save(adversary, tmp_path / "adversary")
    assert_same(load_discriminator(tmp_path / "adversary"), adversary)
    torch.save({"state_dict": as_published(network)}, tmp_path / "y.pth")
    with pytest.raises(CheckpointError, match="missing"):
        load_discriminator(tmp_path / "y.pth")


def test_other_files_are_told_apart(tmp_path: Path, case: Callable[[str], ReferenceCase]) -> None:
    for name, kind in (
        ("hmr_resnet50", "an HMR"), ("spin_resnet50_flat_keys", "a SPIN"), ("pare_hrnet_w32", "a PARE"),
        ("hmr_hrnet_w32_reshape_head", "an HMR"), ("graphormer_hrnet_w64", "a Graphormer"),
        ("smpl_discriminator", "a discriminator"),
        ("hrnet_w32_pose_pretrain_layout", "a backbone alone (in Python: load_backbone)"),
    ):  # fmt: skip
        assert looks_like({n: torch.empty(0) for n in case(name).shapes}) == kind
    torch.save(ResNet(RESNET).state_dict(), tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=r"no network of this package. It looks like a backbone alone"):
        load(tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match="listed by `poseworks-mesh-recovery models`"):
        load("no-such-model")
    with pytest.raises(CheckpointError, match=r"spin-l1: not here; from its authors"):
        load("spin-l1")


def test_damaged_files_give_an_error_or_a_network(tmp_path: Path, built: Build) -> None:
    good, bad = tmp_path / "good.pt", tmp_path / "bad.pt"
    torch.save({"state_dict": as_published(built("discriminator"))}, good)
    messages = []
    for damaged in mutations(good.read_bytes(), np.random.default_rng(3), count=100):
        bad.write_bytes(damaged)
        try:
            load(bad)
        except PoseworksError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert all("bad.pt" in message for message in messages)


def test_sizes_that_a_file_claims_take_no_memory(tmp_path: Path, built: Build) -> None:
    tensors = as_published(built("spin"))
    tensors["fc2.weight"] = torch.zeros(1).expand(10**6, 10**6)
    tensors["fc1.weight"] = torch.zeros(1, 1)
    torch.save({"model": tensors}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"fc2.weight: claims|sizes that no network"):
        load(tmp_path / "x.pt")
