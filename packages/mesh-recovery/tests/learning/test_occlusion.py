from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import DataError, FormatError
from poseworks.mesh_recovery.learning.occlusion import (
    Occlusion,
    expect_occluders,
    made_up,
    occlude,
    paste,
    read_occluders,
    resized,
)

NOWHERE = np.zeros((0, 2))


def cut_out(height: int = 6, width: int = 4, opacity: int = 255) -> np.ndarray:
    picture = np.zeros((height, width, 4), np.uint8)
    picture[..., :3], picture[..., 3] = 200, opacity
    return picture


def objects(pictures: list[Any]) -> np.ndarray:
    array = np.empty(len(pictures), dtype=object)
    array[:] = pictures
    return array


def test_the_published_kind_of_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "pascal_occluders.npy"
    np.save(file, objects([cut_out(), cut_out(3, 9)]), allow_pickle=True)
    assert [each.shape for each in read_occluders(file)] == [(6, 4, 4), (3, 9, 4)]
    settings = Occlusion(file=str(file))
    assert len(expect_occluders(settings) or ()) == 2
    assert expect_occluders(None) is None
    assert expect_occluders(Occlusion()) is None


@pytest.mark.parametrize("kind", ["opaque", "empty", "pickle", "numbers", "cut off"])
def test_other_files_are_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "occluders.npy"
    content: dict[str, list[Any]] = {"opaque": [cut_out()[..., :3]], "empty": [], "pickle": [{"os": 1}]}
    if kind == "numbers":
        np.save(file, np.zeros(3))
    elif kind == "cut off":
        np.save(file, objects([cut_out()]), allow_pickle=True)
        file.write_bytes(file.read_bytes()[:-20])
    else:
        np.save(file, objects(content[kind]), allow_pickle=True)
    with pytest.raises(FormatError, match=r"occluders\.npy: "):
        read_occluders(file)


def test_a_missing_file_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Pascal VOC"):
        expect_occluders(Occlusion(file=str(tmp_path / "none.npy")))


def test_cut_outs_are_blended_by_their_opacity() -> None:
    picture = np.zeros((20, 20, 3), np.uint8)
    paste(picture, cut_out(opacity=255), np.array([10.0, 10.0]))
    assert (picture[7:13, 8:12] == 200).all()
    assert picture.sum() == 6 * 4 * 3 * 200
    half = np.zeros((20, 20, 3), np.uint8)
    paste(half, cut_out(opacity=51), np.array([10.0, 10.0]))
    assert half.max() == 40  # a fifth


def test_what_lies_outside_is_cut_off() -> None:
    picture = np.zeros((10, 10, 3), np.uint8)
    paste(picture, cut_out(), np.array([-50.0, 4.0]))
    assert not picture.any()
    paste(picture, cut_out(), np.array([0.0, 0.0]))
    assert picture.sum() == 3 * 2 * 3 * 200  # a quarter of it


def test_resizing_keeps_colours_up_to_the_border() -> None:
    sharp = np.zeros((40, 40, 4), np.uint8)
    sharp[10:30, 10:30] = (200, 200, 200, 255)  # transparent black around it
    small = resized(sharp, 0.33)
    assert small.shape == (13, 13, 4)
    assert small[..., :3][small[..., 3] > 20].min() >= 195  # black does not shine through
    assert resized(cut_out(), 0.01).shape == (1, 1, 4)


def test_cut_outs_lie_anywhere_or_at_keypoints() -> None:
    picture = np.zeros((256, 256, 3), np.uint8)
    rng = np.random.default_rng(0)
    many = [occlude(picture, NOWHERE, 100, Occlusion(), [cut_out(40, 40)], rng) for _ in range(20)]
    assert all(each.any() for each in many)
    assert not picture.any()
    covered = np.mean([each.any(axis=2) for each in many], axis=0)
    assert (covered.reshape(4, 64, 4, 64).mean(axis=(1, 3)) > 0).all()
    at = Occlusion(at_keypoints=True, count=(1, 1))
    near = [occlude(picture, np.array([[60.0, 180.0]]), 40, at, [cut_out(20, 20)], rng) for _ in range(30)]
    rows, columns = np.nonzero(np.any(near, axis=(0, 3)))
    assert abs(columns.mean() - 60) < 6
    assert abs(rows.mean() - 180) < 6


def test_made_up_ones_are_many_shapes() -> None:
    rng = np.random.default_rng(0)
    shapes = [made_up(rng) for _ in range(12)]
    shares = [float((each[..., 3] > 0).mean()) for each in shapes]
    assert {int(each[..., 3].max()) for each in shapes} == {255}
    assert all(0 < share < 0.8 for share in shares)
    assert len({round(share, 3) for share in shares}) > 6
    assert all(len(np.unique(each[..., :3].reshape(-1, 3), axis=0)) > 1 for each in shapes)
