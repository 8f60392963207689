"""What a file is, whichever method it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poseworks.core.errors import DataError, FormatError, PoseworksError
from poseworks.core.read_options import ReadOptions

_NETWORKS = (".onnx", ".tflite", ".task")


def inspect_file(name: str, reading: ReadOptions) -> dict[str, Any]:
    """Facts about a recording, poses, body motion, data, a network, a checkpoint or a saved folder, by name.

    Raises:
        PoseworksError: it is none of them, or is damaged; where nothing tells what it was meant to be, the message
            says for each why not.
    """
    from poseworks.core.body_models.motion_files import motion_file_facts, motion_format
    from poseworks.keypoints.inspection import inspect_file as inspect_of_keypoints
    from poseworks.pipeline.inputs import kind_of
    from poseworks.pipeline.weights import inspect_weights, is_named_as_weights
    from poseworks.temporal.inspection import inspect_file as inspect_poses

    path = Path(name)
    if path.suffix.lower() in _NETWORKS:
        return inspect_of_keypoints(path, reading)
    if motion_format(path) is not None:
        return {"file": path, **motion_file_facts(path)}
    if reading.format is not None:
        return inspect_poses(path, reading, {})
    if is_named_as_weights(name):
        return inspect_weights(path, reading)
    try:
        kind = kind_of(name)
    except DataError as neither:
        if not path.is_file():
            raise
        try:
            return inspect_weights(path, reading)
        except PoseworksError as not_weights:
            raise FormatError(f"{neither} As weights: {not_weights}") from not_weights
    return inspect_of_keypoints(path, reading) if kind == "recording" else inspect_poses(path, reading, {})
