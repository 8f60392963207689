"""Cameras from JSON files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from poseworks.core.camera_files import read_camera
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, FormatError, PoseworksError
from poseworks.core.testing import mutations

FULL = {"fx": 1150.0, "fy": 1140.0, "cx": 640.0, "cy": 355.5, "image_size": [1280, 720]}


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_intrinsics_are_read(tmp_path: Path) -> None:
    assert read_camera(written(tmp_path / "a.json", FULL), (1280, 720)) == Pinhole(1150, 1140, 640, 355.5)
    without = {name: FULL[name] for name in ("fx", "fy", "cx", "cy")}
    assert read_camera(written(tmp_path / "b.json", without)) == Pinhole(1150, 1140, 640, 355.5)


def test_without_a_principal_point_it_is_the_middle_of_the_image(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", {"focal": 900})
    assert read_camera(path, (1920, 1080)) == Pinhole(900, 900, 960, 540)
    with pytest.raises(ConfigError, match="middle of the image"):
        read_camera(path)
    sized = written(tmp_path / "b.json", {"focal": 900, "image_size": [640, 480]})
    assert read_camera(sized) == Pinhole(900, 900, 320, 240)


def test_a_camera_of_another_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"1280x720.*1920x1080"):
        read_camera(written(tmp_path / "a.json", FULL), (1920, 1080))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "JSON object"),
        ({}, "either focal, or fx and fy"),
        ({"focal": 1, "fx": 1, "fy": 1}, "either focal"),
        ({"fx": 1}, "fx and fy together"),
        ({"focal": 1, "cx": 1}, "cx and cy together"),
        ({"focal": 0, "cx": 1, "cy": 1}, "above 0"),
        ({"focal": True}, "finite number"),
        ({"focal": 10**400}, "finite number"),
        ({"focal": 9, "image_size": [0, 3]}, "image_size"),
        ({"focal": 9, "distortion": []}, "distortion: unknown"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_camera(written(tmp_path / "a.json", content), (1280, 720))


def test_damaged_files_are_refused_or_still_cameras(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for damaged in mutations(json.dumps(FULL).encode(), np.random.default_rng(0)):
        path.write_bytes(damaged)
        try:
            found = read_camera(path, (1280, 720))
        except PoseworksError:
            continue
        assert isinstance(found, Pinhole)
