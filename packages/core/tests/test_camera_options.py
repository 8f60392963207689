"""What the command line says of a camera: read, or refused where it says too much or too little."""

from __future__ import annotations

from pathlib import Path

import pytest

from poseworks.core.camera_options import CameraOptions
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError


def test_a_focal_length_stands_for_a_camera_about_the_middle() -> None:
    assert CameraOptions(focal=900.0).pinhole((640, 480)) == Pinhole(900, 900, 320, 240)
    assert CameraOptions().pinhole((640, 480)) is None
    assert not CameraOptions().knows_camera


def test_a_file_states_it_alone(tmp_path: Path) -> None:
    file = tmp_path / "camera.json"
    file.write_text('{"fx": 900, "fy": 910, "cx": 300, "cy": 200}', encoding="utf-8")
    assert CameraOptions(camera=file).pinhole((640, 480)) == Pinhole(900, 910, 300, 200)
    with pytest.raises(ConfigError, match="--focal: the file of --camera states it already"):
        CameraOptions(focal=900.0, camera=file).pinhole((640, 480))


def test_a_focal_length_needs_the_image_size() -> None:
    with pytest.raises(ConfigError, match="--image-size 1920x1080"):
        CameraOptions(focal=900.0).pinhole(None)
