"""Own weights: errors that are what they say, and training that learns, goes on from other weights, and is saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import ConfigError
from poseworks.core.skeletons import H36M_17
from poseworks.core.training.cameras import CameraSampling, View
from poseworks.core.training.keypoint_noise import KeypointNoise
from poseworks.lifting import LCN, EHGFormer, load
from poseworks.lifting.learning.own_evaluation import CLEAN, NOISY, Seen, errors_of, network_lifter, see, seeded_views
from poseworks.lifting.learning.own_training import own_task
from poseworks.lifting.learning.recipes import read_recipe
from poseworks.lifting.learning.training import train_recipe

TINY_LCN = [
    "network.channels=4", "network.layers=1", "training.steps=30", "training.batch_size=32", "training.warmup_steps=0",
    "training.learning_rate=0.02", "training.validate_every=30", "training.log_every=10",
]  # fmt: skip


def write_motion(path: Path, keys: tuple[str, ...], seed: int) -> None:
    """Two clips a split of upright people who wave."""
    generator = np.random.default_rng(seed)
    rest = np.zeros((17, 3))
    rest[:, 2] = [0.9, 0.9, 0.5, 0.1, 0.9, 0.5, 0.1, 1.1, 1.4, 1.5, 1.7, 1.4, 1.1, 0.9, 1.4, 1.1, 0.9]
    rest[:, 0] = [0, -0.1, -0.1, -0.1, 0.1, 0.1, 0.1, 0, 0, 0, 0, 0.2, 0.3, 0.3, -0.2, -0.3, -0.3]
    time = np.linspace(0, 6, 30)[:, None, None]
    clips = [rest + 0.1 * np.sin(time + generator.uniform(0, 6, size=(1, 17, 3))) for _ in range(6)]
    tenths = np.round(np.concatenate(clips) * 1e4).astype(np.int16)
    np.savez(
        path,
        offsets=np.arange(0, 181, 30),
        origin_m=np.zeros((6, 3)),
        clip_id=np.array([f"clip{i}" for i in range(6)]),
        split=np.array(["train", "train", "val", "val", "test", "test"]),
        fps=np.float32(30),
        joint_names=np.array(H36M_17.joint_names),
        **dict.fromkeys(keys, tenths),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_motion(folder / "cmu17.npz", ("positions_tenth_mm",), 0)
    write_motion(folder / "prmd_pairs.npz", ("noisy_tenth_mm", "clean_tenth_mm"), 1)
    return folder


@pytest.fixture(scope="module")
def views() -> list[View]:
    generator = np.random.default_rng(2)
    clips = [generator.uniform(0, 1.7, size=(frames, 17, 3)).astype(np.float32) for frames in (60, 25)]
    return seeded_views(clips, CameraSampling(), seed=1, piece=30)


def test_every_frame_is_in_one_piece(views: list[View]) -> None:
    assert sorted(tuple(view.joints.shape[:2]) for view in views) == [(1, 25), (2, 30)]


@pytest.mark.parametrize("noise", [CLEAN, NOISY])
def test_the_truth_has_no_error(views: list[View], noise: KeypointNoise) -> None:
    errors = errors_of(lambda seen: seen.joints, views, noise=noise)
    assert max(errors.mpjpe, errors.scaled, errors.pa) < 0.01


def test_errors_forgive_what_they_should(views: list[View]) -> None:
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0))).Q
    turn = turn * torch.linalg.det(turn)
    smaller = errors_of(lambda seen: 0.8 * seen.joints, views)
    turned = errors_of(lambda seen: seen.joints @ turn.mT, views)
    assert smaller.mpjpe > 50
    assert max(smaller.scaled, smaller.pa) < 0.01
    assert min(turned.mpjpe, turned.scaled) > 50
    assert turned.pa < 0.01


def test_a_shift_of_one_joint_counts_by_its_share(views: list[View]) -> None:
    def shifted(seen: Seen) -> Tensor:
        joints = seen.joints.clone()
        joints[:, :, 16, 0] += 0.17
        return joints

    assert errors_of(shifted, views).mpjpe == pytest.approx(10, abs=1e-3)


def test_an_assumed_focal_length_changes_what_is_seen_and_the_true_one_does_not(views: list[View]) -> None:
    view = views[0]
    plain = see(view, CLEAN, torch.Generator().manual_seed(0))
    wrong = see(view, CLEAN, torch.Generator().manual_seed(0), assumed_focal=0.5)
    assert not torch.allclose(plain.turn, wrong.turn, atol=1e-3)
    longer = torch.where(view.aspect > 1, view.aspect, torch.ones(()))
    one = View(view.joints[:1], view.slopes[:1], view.focal[:1], view.aspect[:1])
    true = see(one, CLEAN, torch.Generator().manual_seed(0), assumed_focal=float(view.focal[0] / longer[0]))
    assert_close(true.turn, plain.turn[:1])
    assert_close(true.x[..., 2], torch.ones(1, view.joints.shape[1], 17))  # the form box


def test_training_learns_and_the_saved_network_is_the_trained_one(data: Path, tmp_path: Path) -> None:
    trained = train_recipe("lcn-open-focal", tmp_path / "run", data=data, overrides=TINY_LCN, quiet=True)
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    first, last = (float(line.split(",")[3]) for line in (log[1], log[-1]))
    assert last < 0.8 * first
    again = load(tmp_path / "run" / "model")
    assert isinstance(again, LCN)
    assert again.preparation == trained.network.preparation == read_recipe("lcn-open-focal").preparation
    x = torch.randn(5, 17, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert_close(again(x), trained.network(x), atol=0.02, rtol=0.02)  # stored in halves


def test_training_goes_on_from_other_weights_and_says_which(data: Path, tmp_path: Path) -> None:
    train_recipe("lcn-open-focal", tmp_path / "run", data=data, overrides=TINY_LCN, quiet=True)
    first = load(tmp_path / "run" / "model")
    recipe = read_recipe("lcn-open-focal", TINY_LCN).model_copy(update={"begin_with": str(tmp_path / "run" / "model")})
    task = own_task(recipe, data)
    assert task.depends_on()["begun_with_sha256"] == first.sha256
    for name, tensor in task.network.state_dict().items():
        assert_close(tensor, first.state_dict()[name], rtol=0, atol=0)


def test_clips_are_as_long_as_the_stage_says_and_windows_cover_every_frame(data: Path) -> None:
    overrides = [
        "network.width=8",
        "network.heads=2",
        "network.blocks=1",
        "training.steps=10",
        "training.batch_size=27",
    ]
    task = own_task(read_recipe("ehgformer-open-start", overrides), data)  # type: ignore[arg-type]
    lengths = [task.frames_at(step) for step in range(10)]
    assert lengths == sorted(lengths)
    assert lengths[-1] == 27
    losses = task.step_loss(9, torch.Generator().manual_seed(0))
    assert float(losses["loss"].detach()) > float(losses["mpjpe"].detach())  # velocities count too
    assert isinstance(task.network, EHGFormer)
    x = torch.randn(2, 40, 17, 3, generator=torch.Generator().manual_seed(1))
    eye = torch.eye(3).expand(2, 40, 3, 3)
    with torch.no_grad():
        joints = network_lifter(task.network.eval())(Seen(x, eye, x))
        alone = network_lifter(task.network)(Seen(x[:, 13:], eye[:, 13:], x[:, 13:]))
    assert_close(joints[:, 13:], alone)  # the last window ends at the last frame


def test_own_training_says_that_it_needs_the_open_motion(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data benchmarks/data"):
        train_recipe("lcn-open-focal", tmp_path / "run", quiet=True)
