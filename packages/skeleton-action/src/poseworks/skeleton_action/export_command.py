"""The verb `export`: one ONNX file that takes volumes, and on demand a second one that takes keypoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from poseworks.core.errors import ConfigError
from poseworks.core.files import refuse_existing
from poseworks.skeleton_action.export import export_onnx
from poseworks.skeleton_action.head import HeatmapNetwork


def writer(keypoints: Path | None, overwrite: bool) -> Callable[..., Any]:
    """What writes a network to a path, as `export_onnx` does, and to the path `keypoints` too, if there is one.

    Raises:
        ConfigError: `keypoints` is no ``.onnx`` file, or exists.
    """
    if keypoints is None:
        return export_onnx
    if keypoints.suffix.lower() != ".onnx":
        raise ConfigError(f"--keypoints {keypoints}: expected a name that ends in .onnx.")
    refuse_existing(keypoints, overwrite)

    def write(network: HeatmapNetwork, path: Path, *, overwrite: bool) -> dict[str, Any]:
        if path.absolute() == keypoints.absolute():
            raise ConfigError(f"--keypoints {keypoints}: is the output itself. Name another file.")
        return {
            "volumes": export_onnx(network, path, overwrite=overwrite),
            "keypoints": export_onnx(network, keypoints, takes="keypoints", overwrite=overwrite),
        }

    return write
