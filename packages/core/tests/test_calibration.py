"""Cameras in one world: projection beside the formula by hand, its inverse, and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.calibration import PlacedCamera, read_cameras
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError, ShapeError
from poseworks.core.testing import mutations

QUARTER = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
ONE = {"K": [[900, 0, 320], [0, 910, 240], [0, 0, 1]], "R": QUARTER.tolist(), "t": [0.1, -0.2, 3], "camera": "left"}
LENS = (-0.1, 0.05, 0.002, -0.001, 0.01)


def test_a_point_is_seen_where_the_formula_says() -> None:
    camera = PlacedCamera(Pinhole(900, 910, 320, 240), QUARTER, np.array([0.1, -0.2, 3.0]), LENS)
    # x = (-0.5, 0.4, 0) + t = (-0.4, 0.2, 3)
    a, b = -0.4 / 3, 0.2 / 3
    r2 = a * a + b * b
    f = 1 - 0.1 * r2 + 0.05 * r2**2 + 0.01 * r2**3
    x = f * a + 2 * 0.002 * a * b - 0.001 * (r2 + 2 * a * a)
    y = f * b + 0.002 * (r2 + 2 * b * b) - 2 * 0.001 * a * b
    np.testing.assert_allclose(camera.project([0.4, 0.5, 0.0]), (900 * x + 320, 910 * y + 240))


def test_slopes_undo_the_lens() -> None:
    camera = PlacedCamera(Pinhole(900, 910, 320, 240), QUARTER, np.array([0.1, -0.2, 3.0]), LENS)
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    placed = points @ QUARTER.T + camera.translation
    slopes = camera.slopes(camera.project(points))
    np.testing.assert_allclose(slopes, placed[:, :2] / placed[:, 2:], atol=1e-9)


def test_what_is_not_before_the_camera_is_not_seen() -> None:
    camera = PlacedCamera(Pinhole(900, 900, 320, 240), np.eye(3), np.zeros(3))
    assert np.isnan(camera.project(np.array([[0, 0, -1.0], [0, 0, 0]]))).all()
    with pytest.raises(ShapeError, match="points"):
        camera.project(np.zeros((4, 2)))
    with pytest.raises(ShapeError, match="pixels"):
        camera.slopes(np.zeros((4, 3)))


def test_all_that_is_wrong_with_a_camera_is_said() -> None:
    with pytest.raises(ConfigError, match=r"camera left: R: expected a rotation.*t: expected 3.*dist.*size_wh"):
        PlacedCamera(Pinhole(1, 1, 0, 0), 2 * np.eye(3), np.zeros(2), (np.inf, 0, 0, 0, 0), (0, 5), "left")
    with pytest.raises(ConfigError, match="R: expected 3 x 3"):
        PlacedCamera(Pinhole(1, 1, 0, 0), np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ConfigError, match="determinant"):
        PlacedCamera(Pinhole(1, 1, 0, 0), np.diag([1.0, 1, -1]), np.zeros(3))


def test_files_of_three_kinds_say_the_same(tmp_path: Path) -> None:
    two = [ONE | {"dist": list(LENS), "size_wh": [640, 480]}, ONE | {"dist": [0.1, 0, 0, 0, 0], "size_wh": [640, 480]}]
    two[1] = two[1] | {"camera": "right"}
    arrays: dict[str, Any] = {key: np.array([row[key] for row in two]) for key in two[0]}
    np.savez(tmp_path / "a.npz", **arrays, other=np.zeros(3))
    (tmp_path / "b.json").write_text(json.dumps(two))
    tables = [
        f"[c{number}]\nname = {json.dumps(row['camera'])}\nmatrix = {row['K']}\ndistortions = {row['dist']}\n"
        f"rotation = [0, 0, {np.pi / 2}]\ntranslation = {row['t']}\nsize = [640.0, 480.0]\nfisheye = false\n"
        for number, row in enumerate(two)
    ]
    (tmp_path / "c.toml").write_text("\n".join([*tables, "[metadata]\nadjusted = false\n"]))
    for name in ("a.npz", "b.json", "c.toml"):
        cameras = read_cameras(tmp_path / name)
        assert [camera.name for camera in cameras] == ["left", "right"]
        left, right = cameras
        assert left.lens == Pinhole(900, 910, 320, 240)
        assert list(left.image_size or ()) == [640, 480]
        assert list(right.distortion) == [0.1, 0, 0, 0, 0]
        np.testing.assert_allclose(left.rotation, QUARTER, atol=1e-12)
        np.testing.assert_allclose(
            left.project([0.4, 0.5, 0]), read_cameras(tmp_path / "b.json")[0].project([0.4, 0.5, 0])
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "JSON list"),
        ([1], "JSON list"),
        ([], "no camera"),
        ([{"K": [[1]]}], "no R"),
        ([ONE, ONE | {"K": [1, 2]}], r"camera 1: K: expected 3 x 3"),
        ([ONE | {"R": [[1, 0, 0], [0, 1, 0], [0, 0, 2]]}], "expected a rotation"),
        ([ONE | {"t": "far"}], "camera 0"),
        ([ONE | {"dist": [0] * 8}], "longer models"),
        ([ONE | {"size_wh": [3]}], "size_wh"),
        ([ONE | {"K": [[0, 0, 1], [0, 1, 1], [0, 0, 1]]}], "focal lengths above 0"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "cameras.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match=message):
        read_cameras(tmp_path / "cameras.json")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[[")
    (tmp_path / "a.txt").write_text("x")
    np.savez(tmp_path / "a.npz", K=np.zeros((2, 3, 3)))
    np.savez(tmp_path / "b.npz", K=np.zeros((2, 3, 3)), R=np.zeros((1, 3, 3)), t=np.zeros((2, 3)))
    for name, message in (
        ("a.toml", "not TOML"),
        ("a.txt", r"\.npz"),
        ("a.npz", "no R, t"),
        ("b.npz", "one row a camera"),
    ):
        with pytest.raises(FormatError, match=message):
            read_cameras(tmp_path / name)
    with pytest.raises(DataError, match="does not exist"):
        read_cameras(tmp_path / "none.json")


def test_damaged_files_are_refused_or_still_cameras(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for damaged in mutations(json.dumps([ONE, ONE]).encode(), np.random.default_rng(0)):
        path.write_bytes(damaged)
        try:
            found = read_cameras(path)
        except PoseworksError:
            continue
        assert all(isinstance(camera, PlacedCamera) for camera in found)
