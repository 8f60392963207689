from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from poseworks.core.errors import ConfigError, DataError
from poseworks.mesh_recovery.crops import AFFINE_224, PIXELS_224, Preparation, crop_box
from poseworks.mesh_recovery.learning.augmentation import (
    NOT_AUGMENTED,
    Augmentation,
    Augmenter,
    Cropped,
    Geometry,
    RandomCrop,
    crop,
)
from poseworks.mesh_recovery.learning.colours import Photometric
from poseworks.mesh_recovery.learning.occlusion import Occlusion
from poseworks.mesh_recovery.learning.patches import CoarseDropout, GridDropout, HardErasing, Mixing

SQUARE = np.array([60.0, 50.0, 64.0])
NOBODY = np.zeros((0, 2))
SMALL = Preparation(size=32)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)


def drawn(settings: Augmentation, image: np.ndarray, count: int) -> list[Cropped]:
    augmenter, rng = Augmenter(settings, SMALL, ["coco"]), np.random.default_rng(3)
    return [augmenter(image, SQUARE, NOBODY, 0, rng) for _ in range(count)]


def test_the_base_pipeline_draws_as_published(image: np.ndarray) -> None:
    crops = drawn(Augmentation(), image, 600)
    angles = np.array([each.rotation_deg for each in crops])
    sides = 32 / np.sqrt(np.abs([np.linalg.det(each.matrix[:, :2]) for each in crops]))
    assert abs(np.mean([each.flipped for each in crops]) - 0.5) < 0.07
    assert abs((angles == 0).mean() - 0.4) < 0.07
    assert np.abs(angles).max() == 60  # 30 N is clipped there
    assert 20 < angles[angles != 0].std() < 35
    assert sides.min() == pytest.approx(0.75 * 64)
    assert sides.max() == pytest.approx(1.25 * 64)
    rarely = np.array([each.rotation_deg for each in drawn(Augmentation(rotation_probability=0.4), image, 600)])
    assert abs((rarely == 0).mean() - 0.6) < 0.07


@pytest.mark.parametrize("preparation", [AFFINE_224, PIXELS_224])
def test_without_augmentation_it_is_the_crop_of_recover(image: np.ndarray, preparation: Preparation) -> None:
    ours = Augmenter(NOT_AUGMENTED, preparation, ["coco"])(image, SQUARE, NOBODY, 0, np.random.default_rng(0))
    side = SQUARE[2] / preparation.enlarge
    expected, _ = crop_box(image, (60 - side / 2, 50 - side / 2, side, side), preparation)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    assert np.abs(255 * (expected.permute(1, 2, 0).numpy() * std + mean) - ours.image).max() < 0.01


def test_mirroring_comes_before_turning(image: np.ndarray) -> None:
    """A picture mirrored beforehand, cropped at its mirrored place, looks the same."""
    ours = crop(image, Geometry(61, 50, 64, True, 30.0), SMALL)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    other = crop(mirrored, Geometry(119 - 61, 50, 64, False, 30.0), SMALL)
    assert np.abs(ours.image.astype(int) - other.image).max() <= 1
    assert ours.flipped
    assert ours.rotation_deg == 30


def test_random_crops_stay_in_the_box(image: np.ndarray) -> None:
    settings = NOT_AUGMENTED.model_copy(update={"random_crop": RandomCrop(probability=1)})
    corners = []
    for each in drawn(settings, image, 100):
        back = np.linalg.inv(each.matrix[:, :2])
        low, high = (back @ (np.array(place) - each.matrix[:, 2]) for place in ((0, 0), (32, 32)))
        assert high - low == pytest.approx([0.6 * 64, 0.6 * 64])
        assert low[0] == pytest.approx(60 - 0.3 * 64)  # along y alone
        corners.append(low[1])
    assert min(corners) >= 50 - 32 - 1e-9
    assert max(corners) <= 50 + 32 - 0.6 * 64 + 1e-9
    assert np.std(corners) > 5


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("self_mixing", Mixing), ("soft_erasing", Mixing), ("hard_erasing", HardErasing),
        ("coarse_dropout", CoarseDropout), ("grid_dropout", GridDropout), ("photometric", Photometric),
        ("random_crop", RandomCrop), ("occlusion", Occlusion),
    ],
)  # fmt: skip
def test_each_is_for_the_sets_that_it_names(image: np.ndarray, name: str, settings: type) -> None:
    only = settings(probability=1, data_sets=("h36m",))
    augmentation = Augmentation.model_validate({**NOT_AUGMENTED.model_dump(), name: only})
    augmenter = Augmenter(augmentation, SMALL, ["coco", "h36m"])
    plain = crop(image, Geometry(*SQUARE.tolist()), SMALL).image
    changed = 0
    for seed in range(3):
        others, its_own = (augmenter(image, SQUARE, NOBODY, k, np.random.default_rng(seed)).image for k in (0, 1))
        assert np.array_equal(others, plain)
        changed += not np.array_equal(its_own, plain)
    assert changed >= 2  # a part to be erased may not fit into the picture


def test_faults_in_settings_are_named(image: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"self_mixing.data_sets: h36m: not among the data sets \(coco\)"):
        Augmenter(Augmentation(self_mixing=Mixing(data_sets=("h36m",))), AFFINE_224, ["coco"])
    with pytest.raises(DataError, match="no such file"):
        Augmenter(Augmentation(occlusion=Occlusion(file=str(tmp_path / "x.npy"))), AFFINE_224, ["coco"])
    with pytest.raises(ValidationError, match="flip"):
        Augmentation(flip=1.5)
    with pytest.raises(ValidationError, match="Extra inputs"):
        Augmentation.model_validate({"rotate": 3})
