from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.formats.human_data import HumanData, write_human_data
from poseworks.core.keypoint_conventions import convert_keypoints
from poseworks.core.training import Place
from poseworks.core.video import write_picture
from poseworks.mesh_recovery.crops import Preparation
from poseworks.mesh_recovery.learning.augmentation import NOT_AUGMENTED
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.learning.reading import (
    BatchReader,
    DataSetSettings,
    DataSettings,
    Mix,
    find_data,
    in_order,
)
from poseworks.mesh_recovery.learning.samples import Sampler

SMALL = Preparation(size=16)


def write_set(folder: Path, name: str, rows: int) -> None:
    rng = np.random.default_rng(rows)
    (folder / name).mkdir(parents=True)
    for row in range(rows):
        write_picture(folder / name / f"{row}.png", rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    keypoints, mask = convert_keypoints(rng.uniform(5, 20, (rows, 17, 3)), "coco", "human_data")
    data = HumanData(
        image_path=tuple(f"{name}/{row}.png" for row in range(rows)), bbox_xywh=np.array([[2.0, 2, 20, 20, 1]] * rows),
        keypoints2d=keypoints, keypoints2d_mask=mask,
    )  # fmt: skip
    write_human_data(data, folder / f"{name}_train.npz")


def settings_of(workers: int = 0, **ratios: float) -> DataSettings:
    sets = tuple(DataSetSettings(name=name, file=f"{name}_train.npz", ratio=ratio) for name, ratio in ratios.items())
    return DataSettings(convention="coco", sets=sets, workers=workers)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_set(folder, "few", 3)
    write_set(folder, "many", 9)
    return folder


def reader_of(root: Path, settings: DataSettings, **changes: int) -> BatchReader:
    here = Place(changes.pop("rank", 0), 2)
    return BatchReader(
        find_data(settings, root), settings, SMALL, batch_size=5, seed=changes.pop("seed", 1), here=here
    )  # fmt: skip


def equal(a: Batch, b: Batch) -> bool:
    ours, others = a.tensors(), b.tensors()
    return ours.keys() == others.keys() and all(torch.equal(ours[name], others[name]) for name in ours)


@pytest.fixture(scope="module")
def batches(root: Path) -> list[Batch]:
    with reader_of(root, settings_of(few=1, many=1)) as reader:
        return [reader.batch(step) for step in range(3)]


def test_a_step_follows_from_seed_and_process(root: Path, batches: list[Batch]) -> None:
    settings = settings_of(few=1, many=1)
    with reader_of(root, settings) as again, reader_of(root, settings, rank=1) as other:
        assert equal(again.batch(2), batches[2])  # resumed
        assert not equal(other.batch(2), batches[2])
    with reader_of(root, settings, seed=2) as reader:
        assert not equal(reader.batch(2), batches[2])


@pytest.fixture
def workers(root: Path) -> Iterator[BatchReader]:
    with reader_of(root, settings_of(workers=2, few=1, many=1)) as reader:
        yield reader


def test_workers_read_the_same(workers: BatchReader, batches: list[Batch]) -> None:
    assert all(equal(workers.batch(step), batch) for step, batch in enumerate(batches))
    assert equal(workers.batch(1), batches[1])  # back again


def test_the_errors_of_workers_are_plain(tmp_path: Path) -> None:
    write_set(tmp_path, "few", 2)
    for row in range(2):
        (tmp_path / f"few/{row}.png").write_bytes(b"no picture")
    with (
        reader_of(tmp_path, settings_of(workers=1, few=1)) as reader,
        pytest.raises(DataError, match=r"^few, row \d: .*\.png") as raised,
    ):
        reader.batch(0)
    assert "Traceback" not in str(raised.value)


def test_sets_are_mixed_by_ratio_and_rows_evenly() -> None:
    drawn = np.array(Mix((1000, 20), (3.0, 1.0)).draw(4000, np.random.default_rng(0)))
    assert np.bincount(drawn[:, 0]) / 4000 == pytest.approx([0.75, 0.25], abs=0.03)
    of_few = np.bincount(drawn[drawn[:, 0] == 1, 1], minlength=20)
    assert of_few.min() > 25
    assert drawn[drawn[:, 0] == 0, 1].max() > 980


def test_an_epoch_is_as_long_as_the_largest_set() -> None:
    mix = Mix((1000, 20), (3.0, 1.0))
    assert mix.epoch_steps(32, Place(0, 1)) == 32
    assert mix.epoch_steps(32, Place(1, 4)) == 8


def test_in_order_gives_everyone_once(root: Path) -> None:
    data = find_data(settings_of(few=1, many=1), root)
    found = list(in_order(Sampler(data, SMALL, NOT_AUGMENTED), 5))
    assert [len(batch) for batch in found] == [5, 5, 2]
    pairs = [pair for batch in found for pair in zip(batch.data_set.tolist(), batch.item.tolist(), strict=True)]
    assert pairs == [(0, row) for row in range(3)] + [(1, row) for row in range(9)]


def test_data_are_found_where_toolboxes_have_them(root: Path, tmp_path: Path) -> None:
    (tmp_path / "preprocessed_datasets").mkdir()
    (tmp_path / "preprocessed_datasets/few_train.npz").write_bytes((root / "few_train.npz").read_bytes())
    (tmp_path / "datasets/coco").mkdir(parents=True)
    one = DataSetSettings(name="few", file="few_train.npz", folder="coco")
    data = find_data(DataSettings(convention="coco", sets=(one,)), tmp_path)
    assert data[0].folder == tmp_path / "datasets/coco"
    assert data[0].name == "few"


def test_what_is_missing_is_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = (
        DataSetSettings(name="h36m", file="h36m_mosh_train.npz"),
        DataSetSettings(name="few", file="few_train.npz", folder="lsp"),
    )
    with pytest.raises(DataError, match=r"h36m_mosh_train\.npz, folder lsp: not found in .*POSEWORKS_DATA"):
        find_data(DataSettings(convention="coco", sets=sets), root)
    monkeypatch.delenv("POSEWORKS_DATA", raising=False)
    with pytest.raises(DataError, match="which is not set"):
        find_data(settings_of(few=1))


def test_faults_in_settings_are_named(root: Path) -> None:
    with pytest.raises(ValidationError, match=r"each of another name, got coco, coco"):
        DataSettings(convention="coco", sets=(DataSetSettings(name="coco", file="a.npz"),) * 2)
    with pytest.raises(ValidationError, match="got none"):
        DataSettings(convention="coco", sets=())
    with pytest.raises(ConfigError, match="ratios: expected 2 numbers above 0"):
        Mix((3, 4), (1.0,))
    settings = settings_of(few=1)
    with pytest.raises(ConfigError, match="batch_size: expected 1 or more, got 0"):
        BatchReader(find_data(settings, root), settings, SMALL, batch_size=0, seed=0)
