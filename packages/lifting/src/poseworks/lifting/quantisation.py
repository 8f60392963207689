"""ONNX files with 8-bit weights, and what that changes on a real track: said beside the file, for the user to judge."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from poseworks.core import PoseSequence
from poseworks.core.body_size import STANDARD_HEIGHT_M
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import DataError
from poseworks.core.files import atomic_path, refuse_existing
from poseworks.core.onnx_export import ExportReport, open_onnx, write_int8
from poseworks.lifting.body_scale import metres_per_unit
from poseworks.lifting.loading import Network, export_onnx
from poseworks.lifting.track_clips import TrackClip, track_clips

Array = NDArray[np.float64]
_LCN_FRAMES = 1000  # at once


@dataclass(frozen=True)
class Int8Report:
    """What 8-bit weights changed on a track, against the same file with 32 bits.

    Attributes:
        path: of the ONNX file with 8 bits; a JSON file lies beside it.
        size_bytes: of it.
        frames: of the track that were lifted.
        mean_mm, largest_mm: distance between the two answers, root-relative, over joints and frames, were the person
            1.70 m tall; of a network that was never trained it means nothing.
    """

    path: Path
    size_bytes: int
    frames: int
    mean_mm: float
    largest_mm: float


@dataclass(frozen=True)
class BothReports(ExportReport):
    """Of the file with 32 bits, and of the one with 8."""

    int8: Int8Report


def int8_path(path: str | os.PathLike[str]) -> Path:
    """NAME.int8.onnx beside NAME.onnx."""
    return Path(path).with_suffix(".int8.onnx")


def export_int8(
    network: Network,
    path: str | os.PathLike[str],
    poses: PoseSequence,
    *,
    camera: Pinhole | None = None,
    overwrite: bool = False,
) -> BothReports:
    """As `export_onnx`, and a second file, NAME.int8.onnx, whose loss is measured on a track.

    Args:
        network: an LCN or an EHGFormer.
        path: of the file with 32 bits.
        poses: 2D keypoints of one person, as `lift` takes them.
        camera: for weights that need a focal length.
        overwrite: replace existing files.

    Raises:
        ConfigError: as `export_onnx`, or weights that need a focal length. DataError: the track cannot be lifted.
    """
    target = int8_path(path)
    for file in (target, target.with_suffix(".json")):
        refuse_existing(file, overwrite)
    clips = track_clips(poses, network, int(getattr(network, "window", _LCN_FRAMES)), camera=camera)
    report = export_onnx(network, path, overwrite=overwrite)
    write_int8(report.path, target)
    full, small = (_lifted(open_onnx(file), network, clips) for file in (report.path, target))
    scale = metres_per_unit(full, STANDARD_HEIGHT_M, {})
    distance = 1000 * scale * np.linalg.norm(full - small, axis=-1)
    if not np.isfinite(distance).all():
        raise DataError(f"{target}: what it answers to the track is not finite. Use {report.path}.")
    int8 = Int8Report(
        target,
        target.stat().st_size,
        len(full),
        float(distance.mean()),
        float(distance.max()),
    )
    note = json.loads(report.sidecar.read_text(encoding="utf-8"))
    note["int8"] = {name: value for name, value in asdict(int8).items() if name != "path"}
    with atomic_path(target.with_suffix(".json")) as beside:
        beside.write_text(json.dumps(note, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return BothReports(**vars(report), int8=int8)


def _lifted(session: Any, network: nn.Module, clips: Sequence[TrackClip]) -> Array:
    """Root-relative joints (T, 17, 3) of all clips."""
    run: Callable[[Array], Array] = lambda x: session.run(["pose3d"], {"pose2d": x})[0]  # noqa: E731
    features = getattr(network.config, "in_features", None)
    joints = []
    for clip in clips:
        x = clip.prepared.x.numpy()
        joints.append(clip.prepared.restore(run(x[None])[0] if features is None else run(x[..., :features])))
    return np.concatenate(joints)
