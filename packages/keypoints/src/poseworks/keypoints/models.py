"""Which networks there are: those that come with this package, and those that can be fetched."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent / "networks"


def detector_file() -> Path:
    return HERE / "pose_detection.onnx"


def landmark_file(model: str) -> Path:
    return HERE / "pose_landmark_full.onnx"
