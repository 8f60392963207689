"""Training on rendered pictures: each network learns, is saved and read again; the variants; what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from poseworks.core.errors import CheckpointError, ConfigError, DataError
from poseworks.core.formats.human_data import HumanData, read_human_data, write_human_data
from poseworks.mesh_recovery import load, save
from poseworks.mesh_recovery.backbones import ResNet, ResNetConfig
from poseworks.mesh_recovery.learning.recipes import Recipe, read_recipe
from poseworks.mesh_recovery.learning.tasks import GraphCMRTask, HMRTask, PARETask
from poseworks.mesh_recovery.learning.training import train_recipe

SMALL_RESNET = "network.backbone.width=4"
SMALL = {
    "hmr": (SMALL_RESNET, "network.feature_size=128", "network.hidden=32", "adversary.network.pose_hidden=16"),
    "pare": ("network.backbone.width=4", "network.backbone.stem=8", "network.hidden=8", "network.shape_features=4"),
    "graphcmr": (SMALL_RESNET, "network.layers=0", "network.hidden=8"),
    "graphormer": (
        "network.backbone.width=4", "network.backbone.stem=8", "network.backbone.head_width=2",
        "network.hidden=[16, 8, 8]", "network.outputs=[8, 8, 3]", "network.heads=2",
    ),
}  # fmt: skip
SHORT = ("training.steps=2", "training.batch_size=2", "training.warmup_steps=0", "training.log_every=1")


def small(method: str, *overrides: str) -> Recipe:
    return read_recipe(f"rendered-{method}", (*SMALL[method], *SHORT, *overrides))


@pytest.mark.long
@pytest.mark.parametrize("method", SMALL)
def test_a_network_is_trained_measured_and_saved(method: str, rendered_folder: Path, tmp_path: Path) -> None:
    trained = train_recipe(
        f"rendered-{method}", tmp_path, data=rendered_folder, overrides=(*SMALL[method], *SHORT), quiet=True
    )
    assert set(trained.run.validation) == {"pa_mpjpe_mm", "mpjpe_mm"}
    assert 0 < trained.run.validation["pa_mpjpe_mm"] < trained.run.validation["mpjpe_mm"]
    again: Any = load(trained.folder)
    assert type(again) is type(trained.network)
    assert again.preparation.size == 64
    assert again.config.body == "free"
    images = torch.zeros(1, 3, 64, 64)
    assert torch.equal(again(images).camera, trained.network.eval()(images).camera)
    assert rendered_folder.name not in (trained.folder / "README.md").read_text()


def test_a_graphcmr_that_starts_by_its_inputs_sees_its_vertices(rendered_folder: Path) -> None:
    spread = {}
    for initial in ("published", "inputs"):
        recipe: Any = small("graphcmr", f"initial={initial}")
        network = GraphCMRTask(recipe, rendered_folder).network
        vertices, _ = network.graph(torch.zeros(1, 128), network.reference, network.neighbours)
        spread[initial] = float(vertices.detach().std(dim=1).mean())
    assert 10 * spread["published"] < spread["inputs"]


@pytest.fixture(scope="module")
def hmr(rendered_folder: Path) -> Callable[..., HMRTask]:
    """A task of the small HMR with some overrides."""

    def task(*overrides: str) -> HMRTask:
        recipe: Any = small("hmr", *overrides)
        return HMRTask(recipe, rendered_folder)

    return task


@pytest.mark.long
def test_an_hmr_learns_and_its_adversary_too(hmr: Callable[..., HMRTask]) -> None:
    task = hmr("training.batch_size=8", "network.dropout=0")
    task.network.train()
    optimizer = torch.optim.Adam(task.network.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for step in range(25):
        parts = task.step_loss(step % 2, generator)
        optimizer.zero_grad()
        parts["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append({name: float(x.detach()) for name, x in parts.items()})
    first, last = (np.mean([each["loss"] for each in part]) for part in (losses[:2], losses[-2:]))
    assert last < 0.6 * first
    assert losses[-1]["adversary_own"] < losses[0]["adversary_own"]
    assert set(losses[0]) == {"loss", "joints", "keypoints", "pose", "betas", "adversary", "adversary_own"}


def test_the_variants_differ_in_losses_start_and_augmentation(
    hmr: Callable[..., HMRTask], rendered_folder: Path
) -> None:
    backbone = ResNet(ResNetConfig(width=4, blocks=(1, 1, 1, 1)))
    torch.save({"state_dict": backbone.state_dict()}, rendered_folder / "keypoints.pth")
    normal = hmr()
    everything = hmr("variant={l1 = true, coco = true, aug = true}", "start.coco=keypoints.pth")
    assert normal.losses.joints.kind == "smooth_l1"
    assert everything.losses.joints.kind == "l1"
    assert normal.notes()[0] == "the backbone starts from random weights"
    assert everything.notes()[0].startswith("the backbone starts from keypoints.pth: 102 tensors; none stays random")
    assert torch.equal(everything.network.backbone.conv1.weight, backbone.conv1.weight)
    assert not torch.equal(normal.network.backbone.conv1.weight, backbone.conv1.weight)
    assert torch.equal(normal.network.regressor.first.weight, everything.network.regressor.first.weight)
    assert not torch.equal(normal.reader.batch(0).images, everything.reader.batch(0).images)
    with pytest.raises(ConfigError, match=r"variant.coco needs start.coco"):
        hmr("variant.coco=true")
    with pytest.raises(CheckpointError):
        hmr("variant.coco=true", "start.coco=train/rendered.npz")


def test_norms_may_keep_the_statistics_that_they_start_with(hmr: Callable[..., HMRTask]) -> None:
    for norms, moves in (("train", True), ("eval", False)):
        task = hmr(f"backbone_norms={norms}")
        task.network.train()
        before = task.network.state_dict()["backbone.bn1.running_mean"].clone()
        task.step_loss(0, torch.Generator())
        assert torch.equal(before, task.network.state_dict()["backbone.bn1.running_mean"]) is not moves


def test_parts_are_learned_where_they_have_a_weight(rendered_folder: Path) -> None:
    recipe: Any = small("pare", "losses.parts=60")
    task = PARETask(recipe, rendered_folder)
    labels = task.part_labels()
    assert labels is not None
    assert labels.body is not task.body.body  # the task's may be moved to a GPU
    parts = task.step_loss(0, torch.Generator())
    assert float(parts["parts"].detach()) == pytest.approx(np.log(25), rel=0.5)
    recipe = small("pare")
    assert "parts" not in PARETask(recipe, rendered_folder).step_loss(0, torch.Generator())


def test_a_network_starts_from_one_of_the_same_sizes(
    hmr: Callable[..., HMRTask], rendered_folder: Path, tmp_path: Path
) -> None:
    save(hmr("training.seed=5").network, rendered_folder / "begun", overwrite=True)
    task = hmr("start.network=begun")
    assert torch.equal(task.network.regressor.first.weight, hmr("training.seed=5").network.regressor.first.weight)
    assert task.notes()[0] == "starts from begun"
    with pytest.raises(ConfigError, match=r"start.network: begun is a HMR of other sizes"):
        hmr("start.network=begun", "network.hidden=16")
    with pytest.raises(DataError, match=r"gone: not found in .*--data or POSEWORKS_DATA"):
        hmr("start.network=gone")


def test_what_does_not_fit_is_refused(hmr: Callable[..., HMRTask], rendered_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"network is of the body smpl, but rendered \(free\)"):
        hmr("network.body=smpl", "files.body=train")
    recipe: Any = small("hmr").model_copy(update={"adversary": None})
    with pytest.raises(ConfigError, match=r"losses.adversary needs the table adversary"):
        HMRTask(recipe, rendered_folder)
    data = read_human_data(rendered_folder / "train" / "rendered.npz")
    write_human_data(HumanData(image_path=data.image_path, bbox_xywh=data.bbox_xywh), rendered_folder / "none.npz")
    with pytest.raises(DataError, match=r"none.npz: no bodies for the adversary"):
        hmr("adversary.motion=none.npz")
    recipe = small("pare", "start.mean_parameters=none.npz")
    with pytest.raises(ConfigError, match=r"start.mean_parameters is of HMR and SPIN alone"):
        PARETask(recipe, rendered_folder)


def test_the_settings_count_an_epoch_by_the_largest_set(hmr: Callable[..., HMRTask]) -> None:
    settings = hmr("training.batch_size=5").settings()
    assert settings.steps_per_epoch == 3  # of 12 people
    assert settings.validate_every == 3
    assert hmr().depends_on()["people"] == {"rendered": 12}
