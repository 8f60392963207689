"""The published data layouts, protocol and training, on small files of the same layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.testing import seeded_input
from poseworks.temporal.learning.published_data import PublishedData, PublishedSequence, read_published
from poseworks.temporal.learning.published_evaluation import evaluate_published, evaluate_recipe
from poseworks.temporal.learning.published_training import PublishedTask
from poseworks.temporal.learning.recipes import read_recipe
from poseworks.temporal.learning.training import train_recipe

SMALL = ("training.epochs=1", "training.steps_per_epoch=2", "training.batch_size=3")
LENGTHS = (140, 105, 30)


class Same:
    """A network that changes nothing."""

    window, stride = 8, 1
    reads = torch.ones(8, dtype=torch.bool)

    def run_windows(self, x: torch.Tensor) -> torch.Tensor:
        return x.clone()


def objects(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        array[place] = item
    return array


def save(path: Path, **columns: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [[f"s{i}/{t:05d}.jpg" for t in range(len(next(iter(columns.values()))[i]))] for i in range(len(LENGTHS))]
    np.savez(path, imgname=objects(names), **{key: objects(items) for key, items in columns.items()})


def joints(width: int, seed: int, scale: float = 0.3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, scale, (n, width)) for n in LENGTHS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """3DPW with SPIN in SmoothNet's layout, with PARE (rotations), and Sub-JHMDB in DeciWatch's."""
    for phase in ("train", "test"):
        home = tmp_path / "smoothnet" / "pw3d_spin_3D"
        truth = joints(51, 0)
        save(home / "detected" / f"pw3d_spin_3D_{phase}.npz", joints_3d=[x + 0.01 for x in truth])
        save(home / "groundtruth" / f"pw3d_gt_3D_{phase}.npz", joints_3d=truth)
        pose = joints(72, 1)
        save(tmp_path / "detected_poses/pw3d/pare" / f"pw3d_pare_{phase}.npz", pose=pose)
        save(tmp_path / "groundtruth_poses/pw3d" / f"pw3d_gt_{phase}.npz", pose=pose)
        flat = [100 + 20 * x for x in joints(30, 2)]
        save(tmp_path / "detected_poses/jhmdb/simplepose" / f"jhmdb_simplepose_{phase}.npz", joints_2d=flat)
        save(
            tmp_path / "groundtruth_poses/jhmdb" / f"jhmdb_gt_{phase}.npz",
            joints_2d=flat,
            imgshape=[(240, 320, 3)] * 3,
            bbox=[np.tile([10.0, 20, 130, 200], (n, 1)) for n in LENGTHS],
        )
    return tmp_path


def test_joints_are_reduced_to_those_that_the_network_knows(folder: Path) -> None:
    recipe: Any = read_recipe("smoothnet-3DPW-SPIN-3D")
    sequences = read_published(recipe.data, "train", folder)
    assert [len(s.noisy) for s in sequences] == list(LENGTHS)
    assert sequences[0].clean.shape == (140, 42)
    stored = joints(51, 0)[0].reshape(-1, 17, 3)
    np.testing.assert_allclose(sequences[0].clean.reshape(-1, 14, 3)[:, 0], stored[:, 6], rtol=1e-6)  # right ankle
    np.testing.assert_allclose(sequences[0].clean.reshape(-1, 14, 3)[:, 13], stored[:, 10], rtol=1e-6)  # head top
    np.testing.assert_allclose(sequences[0].noisy - sequences[0].clean, 0.01, atol=1e-6)


def test_deciwatch_reads_joints_about_the_root(folder: Path) -> None:
    recipe: Any = read_recipe("deciwatch-3DPW-SPIN-3D")
    sequence = read_published(recipe.data, "test", folder)[0]
    np.testing.assert_allclose(sequence.clean.reshape(-1, 14, 3)[:, 2:4].mean(axis=1), 0, atol=1e-6)


def test_pixels_are_divided_by_the_image_size_and_found_again(folder: Path) -> None:
    recipe: Any = read_recipe("deciwatch-JHMDB-SimplePose-2D")
    sequence = read_published(recipe.data, "test", folder)[0]
    pixels = 100 + 20 * joints(30, 2)[0]
    np.testing.assert_allclose(sequence.clean[:, :2], pixels[:, :2] / [320, 240], rtol=1e-5)
    np.testing.assert_allclose(sequence.clean * sequence.scale + sequence.shift, pixels, rtol=1e-5)
    assert sequence.box is not None
    assert set(sequence.box.tolist()) == {180.0}


def test_data_that_are_not_there_are_named(tmp_path: Path) -> None:
    recipe: Any = read_recipe("smoothnet-3DPW-SPIN-3D")
    with pytest.raises(DataError, match=r"data not present: pw3d spin 3D \(test\).*pw3d_spin_3D_test.npz"):
        read_published(recipe.data, "test", tmp_path)
    with pytest.raises(ValueError, match="centre needs root"):
        PublishedData(set="a", estimator="b", centre=True)


@pytest.mark.parametrize(
    "name",
    ["smoothnet-3DPW-SPIN-3D", "deciwatch-3DPW-SPIN-3D", "deciwatch-3DPW-PARE-SMPL", "deciwatch-JHMDB-SimplePose-2D"],
)
def test_a_published_recipe_trains_saves_and_is_evaluated(folder: Path, tmp_path: Path, name: str) -> None:
    trained = train_recipe(name, tmp_path / "run", data=folder, overrides=SMALL, quiet=True)
    assert trained.run.steps == 2
    assert (trained.folder / "model.safetensors").is_file()
    comparison = evaluate_recipe(name, trained.network, folder)
    assert comparison.claims
    assert all(np.isfinite([row.before, row.after]).all() for row in comparison.rows)


def test_an_epoch_is_counted_from_the_data_and_drawn_from_all_windows(folder: Path) -> None:
    recipe: Any = read_recipe("smoothnet-3DPW-SPIN-3D", ("training.batch_size=16",))
    task = PublishedTask(recipe, read_published(recipe.data, "train", folder))
    assert len(task.windows) == (140 - 31) + (105 - 31)
    assert task.settings().steps_per_epoch == -(-len(task.windows) // 16)
    noisy, clean = task.batch(np.random.default_rng(0))
    assert_close(noisy - clean, torch.full_like(clean, 0.01), atol=1e-6, rtol=0)
    assert noisy.shape == (16, 32, 42)


def test_metrics_equal_the_published_ones() -> None:
    case = json.loads((Path(__file__).parents[1] / "reference" / "metrics_losses.json").read_text())
    truth, noise = (seeded_input(*case["input"][key]["seeded_input"]).reshape(50, -1) for key in ("gt", "noise"))
    ones = np.ones(42, dtype=np.float32)
    sequence = PublishedSequence("a", truth + noise, truth, ones, 0 * ones)
    rows = {
        row.measure: row
        for row in evaluate_published(Same(), [sequence], PublishedData(set="a", estimator="b", root=(2, 3)))
    }
    expected = case["expected"]
    assert rows["mpjpe"].after == pytest.approx(expected["mpjpe_mm"], rel=1e-5)
    assert rows["pa_mpjpe"].before == pytest.approx(expected["pa_mpjpe_mm"], rel=1e-4)
    assert rows["accel"].after == pytest.approx(expected["accel_paper_deciwatch_mm"], rel=1e-4)
    assert rows["accel_padded"].after == pytest.approx(expected["accel_paper_smoothnet_mm"], rel=1e-4)
    assert rows["mpjpe"].frames == 50
    flat, noise2d = (seeded_input(*case["input"][key]["seeded_input"]) for key in ("gt2d", "noise2d"))
    scale = np.tile([320.0, 240.0], 15).astype(np.float32)
    box = np.full(50, 180, dtype=np.float32)
    sequence = PublishedSequence("b", (flat + noise2d).reshape(50, -1), flat.reshape(50, -1), scale, 0 * scale, box)
    data = PublishedData(set="jhmdb", estimator="simplepose", representation="2D")
    for row in evaluate_published(Same(), [sequence], data):
        assert row.after == pytest.approx(100 * expected[f"{row.measure}_paper_smoothnet"], abs=1e-3)


def test_frames_are_pooled_and_tails_dropped() -> None:
    class EverySecond(Same):
        stride = 5

    ones = np.ones(3, dtype=np.float32)
    sequences = [
        PublishedSequence(
            str(n), np.full((n, 3), error, dtype=np.float32), np.zeros((n, 3), dtype=np.float32), ones, 0 * ones
        )
        for n, error in ((20, 0.001), (8, 0.01))
    ]
    rows = evaluate_published(EverySecond(), sequences, PublishedData(set="a", estimator="b"))
    assert rows[0].frames == 18 + 8
    assert rows[0].after == pytest.approx(3**0.5 * (18 * 1 + 8 * 10) / 26, rel=1e-5)


def test_own_recipes_are_evaluated_elsewhere() -> None:
    with pytest.raises(ConfigError, match="nox -s benchmark"):
        evaluate_recipe("smoothnet-general-w32", Same())
