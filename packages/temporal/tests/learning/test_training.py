"""Training by recipes: what is trained is what is used, recipes are the published ones, and a short run works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from poseworks.core.errors import ConfigError
from poseworks.core.motion_data import Clip
from poseworks.core.skeletons import H36M_17
from poseworks.core.testing import walking_poses
from poseworks.core.windows import apply_windows
from poseworks.temporal.deciwatch import DeciWatch
from poseworks.temporal.learning.recipes import OwnDeciWatch, OwnSmoothNet, read_recipe, shipped_recipes
from poseworks.temporal.learning.training import DeciWatchTask, SmoothNetTask, merged, train_recipe
from poseworks.temporal.loading import load
from poseworks.temporal.published import published_weights
from poseworks.temporal.smoothnet import SmoothNet

SMALL = (
    "sampling.frames=60",
    "network.hidden=24",
    "network.residual_hidden=4",
    "training.steps=3",
    "training.batch_size=2",
)


def clips(count: int = 2, frames: int = 320) -> list[Clip]:
    return [
        Clip(f"walk{i}", walking_poses(frames, rng=np.random.default_rng(0)).positions[0] * (1 + 0.1 * i), 30.0)
        for i in range(count)
    ]


def motion_file(path: Path) -> Path:
    """A motion file with a train, a val and a test clip."""
    positions = np.concatenate([clip.positions for clip in clips(3)])
    np.savez(
        path,
        positions_tenth_mm=np.round(positions * 1e4).astype(np.int16),
        offsets=np.arange(0, len(positions) + 1, 320),
        origin_m=np.zeros((3, 3)),
        clip_id=np.array(["a", "b", "c"]),
        split=np.array(["train", "val", "test"]),
        fps=np.float32(30),
        joint_names=np.array(H36M_17.joint_names),
    )
    return path


class Windows:
    """A stand-in for a network: windows through a fixed matrix."""

    def __init__(self, window: int) -> None:
        self.window, self.stride = window, 1
        self.matrix = torch.randn(window, window, generator=torch.Generator().manual_seed(0))
        self.reads = torch.ones(window, dtype=torch.bool)

    def run_windows(self, x: torch.Tensor) -> torch.Tensor:
        return (x.mT @ self.matrix).mT


@pytest.mark.parametrize(("stride", "look_ahead"), [(1, None), (4, None), (1, 0), (1, 1), (1, 4), (1, 20)])
def test_windows_are_merged_in_training_as_in_use(stride: int, look_ahead: int | None) -> None:
    network = Windows(8)
    clip = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
    windows = clip.mT.unfold(1, 8, stride) @ network.matrix
    smoothed, cover = merged(windows, stride, look_ahead)
    used = apply_windows(network, clip, stride=stride, look_ahead=look_ahead)
    seen = cover > 0
    assert seen.sum() == 40 - (0 if look_ahead is None else max(0, 7 - look_ahead))
    assert_close(smoothed.mT[seen], used[seen], atol=1e-5, rtol=1e-5)


def test_smoothnet_task_learns_and_ends_as_a_plain_network() -> None:
    recipe = read_recipe("smoothnet-stream-k1", SMALL)
    assert isinstance(recipe, OwnSmoothNet)
    task = SmoothNetTask(recipe, clips(), clips(1))
    losses = task.step_loss(0, torch.Generator().manual_seed(0))
    again = task.step_loss(0, torch.Generator().manual_seed(0))
    assert_close(losses["loss"], again["loss"])
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    network = task.finished()
    assert isinstance(network, SmoothNet)
    assert network.preparation is not None
    assert (network.preparation.latency_frames, network.preparation.scale) == (1, "any")
    values = task.validate()
    assert set(values) == {"mpjpe", "acceleration", "harm", "kept"}
    assert np.isfinite(list(values.values())).all()


def test_deciwatch_begins_as_interpolation_whatever_the_unit() -> None:
    recipe = read_recipe("deciwatch-general-i5", ("training.batch_size=2",))
    assert isinstance(recipe, OwnDeciWatch)
    task = DeciWatchTask(recipe, clips(), clips(1))
    network = task.finished().eval()
    assert isinstance(network, DeciWatch)
    x = np.random.default_rng(0).normal(size=(46, 4)).astype(np.float32) * 700 + 300
    expected = np.stack([np.interp(np.arange(46), np.arange(0, 46, 5), c[::5]) for c in x.T], axis=1)
    np.testing.assert_allclose(apply_windows(network, x, stride=5), expected, rtol=1e-4, atol=1e-2)
    losses = task.step_loss(0, torch.Generator().manual_seed(0))
    assert set(losses) == {"loss", "mpjpe", "acceleration", "denoise"}
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in task.network.parameters())


def test_a_run_is_remade_from_its_recipe_and_data(tmp_path: Path) -> None:
    data = motion_file(tmp_path / "motion.npz")
    trained = [
        train_recipe("smoothnet-general-w32", tmp_path / name, data=data, overrides=SMALL, quiet=True) for name in "ab"
    ]
    one, two = (load(each.folder) for each in trained)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name])
    config = json.loads((trained[0].folder / "config.json").read_text())
    assert config["preparation"]["centring"] == "root"
    assert config["config"]["hidden"] == 28
    assert (tmp_path / "a" / "log.csv").read_text().count("\n") >= 2


def test_own_recipes_need_a_motion_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data"):
        train_recipe("smoothnet-general-w32", tmp_path / "run")
    with pytest.raises(ConfigError, match="no such recipe"):
        read_recipe("smoothnet-general-w33")


OWN = [name for name in shipped_recipes() if "general" in name or "stream" in name]
PUBLISHED = [name for name in shipped_recipes() if name not in OWN]


def test_all_recipes_are_there() -> None:
    assert len(PUBLISHED) == 3 + 10
    assert len(OWN) == 7
    for name in shipped_recipes():
        assert read_recipe(name).name == name


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recipes_have_the_published_sizes(name: str) -> None:
    recipe: Any = read_recipe(name)
    published = published_weights()[recipe.claims_of]
    sizes = recipe.network.model_dump(exclude={"kind"})
    assert {field: sizes[field] for field in published.sizes} == dict(published.sizes)
    assert recipe.training.epochs == 70
    assert recipe.training.seed == 4321
    assert recipe.training.optimizer == "adam_amsgrad"
    assert recipe.training.schedule == "per_epoch"
    assert any(claim.data.startswith(recipe.claim_data) for claim in published.claims)


# rate, batch, decay and lambda (SmoothNet: the acceleration weight) of the reference tables
@pytest.mark.parametrize(
    ("name", "rate", "batch", "decay", "weight"),
    [
        ("smoothnet-3DPW-SPIN-3D", 1e-4, 128, 0.95, 0.1),
        ("smoothnet-H36M-FCN-3D", 1e-3, 1024, 0.95, 0.1),
        ("smoothnet-AIST-VIBE-3D", 1e-3, 128, 0.95, 0.1),
        ("deciwatch-3DPW-SPIN-3D", 1e-3, 256, 0.95, 2.5),
        ("deciwatch-3DPW-EFT-3D", 1e-3, 256, 0.95, 2.5),
        ("deciwatch-3DPW-PARE-3D", 1e-3, 512, 0.95, 1.0),
        ("deciwatch-H36M-FCN-3D", 1e-3, 512, 0.95, 1.0),
        ("deciwatch-AIST-SPIN-3D", 1e-3, 512, 0.95, 5.0),
        ("deciwatch-JHMDB-SimplePose-2D", 1e-3, 16, 0.95, 5.0),
        ("deciwatch-3DPW-SPIN-SMPL", 1e-3, 1024, 0.99, 3.0),
        ("deciwatch-3DPW-EFT-SMPL", 1e-3, 512, 0.99, 1.0),
        ("deciwatch-3DPW-PARE-SMPL", 1e-3, 1024, 0.99, 1.0),
        ("deciwatch-AIST-SPIN-SMPL", 1e-3, 512, 0.95, 2.0),
    ],
)
def test_published_recipes_train_as_published(name: str, rate: float, batch: int, decay: float, weight: float) -> None:
    recipe: Any = read_recipe(name)
    assert (recipe.training.learning_rate, recipe.training.batch_size, recipe.training.lr_decay) == (rate, batch, decay)
    assert getattr(recipe, "acceleration_weight" if name.startswith("smoothnet") else "recover_weight") == weight
