"""What a file is, whichever method it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poseworks.core.errors import DataError, FormatError, PoseworksError
from poseworks.core.read_options import ReadOptions
from poseworks.temporal.inspection import inspect_file as inspect_of_temporal

_WEIGHTS = (".pth", ".pt", ".tar", ".bin", ".ckpt", ".safetensors")
_NETWORKS = (".onnx", ".tflite", ".task")


def inspect_file(name: str, reading: ReadOptions) -> dict[str, Any]:
    """Facts about a recording, a file of poses, a network of the detectors, a checkpoint or a saved folder, by name.

    Raises:
        PoseworksError: it is none of them, or is damaged; where nothing tells what it was meant to be, the message
            says for each why not.
    """
    from poseworks.keypoints.inspection import inspect_file as inspect_of_keypoints
    from poseworks.pipeline.inputs import kind_of
    from poseworks.temporal.models import shipped_models

    path = Path(name)
    suffix = path.suffix.lower()
    if suffix in _NETWORKS:
        return inspect_of_keypoints(path, reading)
    saved = path.is_dir() and (path / "config.json").is_file()
    if suffix in _WEIGHTS or name in shipped_models() or saved or reading.format is not None:
        return inspect_of_temporal(path, reading, {})
    try:
        kind = kind_of(name)
    except DataError as neither:
        if not path.is_file():
            raise
        try:
            return inspect_of_temporal(path, reading, {})
        except PoseworksError as not_weights:
            raise FormatError(f"{neither} As weights: {not_weights}") from not_weights
    return inspect_of_keypoints(path, reading) if kind == "recording" else inspect_of_temporal(path, reading, {})
