"""Positions, times and videos as text that a page can hold."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError
from poseworks.core.poses import PoseSequence
from poseworks.core.report.types import Report, ReportTrack
from poseworks.core.skeletons import SKELETONS

MAX_EXACT_BYTES = 16_000_000  # float32 positions of all tracks together; beyond it they are rounded to int16
MAX_VIDEO_BYTES = 60_000_000  # a larger video is linked, not embedded
MISSING = -32768  # int16 for "not observed"
_MIME = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg"}


@dataclass(frozen=True)
class Blob:
    """Base64 text that the page finds under `key`."""

    key: str
    text: str


def embed_video(video: Path, page: Path) -> tuple[dict[str, Any], list[Blob]]:
    """How the page finds the video, and the text to embed (none where the file is too large and is linked instead).

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    if not video.is_file():
        raise DataError(f"{video}: there is no such video file.")
    try:
        size = video.stat().st_size
        found = {"name": video.name, "mime": _MIME.get(video.suffix.lower(), "video/mp4"), "bytes": size}
        if size > MAX_VIDEO_BYTES:
            try:
                relative = os.path.relpath(video, page.parent)
            except ValueError:  # Windows: another drive
                relative = video.name
            return {**found, "href": quote(relative.replace(os.sep, "/"))}, []
        text = base64.b64encode(video.read_bytes()).decode("ascii")
    except OSError as error:
        raise DataError(f"{video}: cannot be read ({error.strerror}).") from error
    return {**found, "key": "video"}, [Blob("video", text)]


def is_exact(report: Report) -> bool:
    """Whether the numbers of all tracks and bodies together may stay float32."""
    tracks = sum(track.poses.positions.nbytes for track in report.tracks)
    return tracks + sum(body.motion.pose.nbytes for body in report.bodies) <= MAX_EXACT_BYTES


def embed_tracks(tracks: tuple[ReportTrack, ...], exact: bool) -> tuple[list[dict[str, Any]], list[Blob]]:
    """What describes each track, and its numbers as text, in float32 or else rounded to int16."""
    described, blobs = [], []
    for number, track in enumerate(tracks):
        facts, texts = _embed_track(track, number, exact)
        described.append(facts)
        blobs += texts
    return described, blobs


def quantise(positions: NDArray[np.float32]) -> tuple[NDArray[np.int16], list[float], list[float]]:
    """(int16 numbers, offsets (D), steps (D)): positions = numbers * step + offset, `MISSING` for NaN.

    The rounding error is half a step: 1/131,066 of the range along that axis.
    """
    dims = positions.shape[-1]
    numbers = np.full(positions.shape, MISSING, dtype=np.int16)
    offsets, steps = [], []
    for axis in range(dims):
        values = positions[..., axis].astype(np.float64)
        seen = np.isfinite(values)
        low, high = (float(values[seen].min()), float(values[seen].max())) if seen.any() else (0.0, 0.0)
        step = (high - low) / 65533 or 1.0
        offset = low + 32767 * step
        numbers[..., axis][seen] = np.clip(np.rint((values[seen] - offset) / step), -32767, 32767)
        offsets.append(offset)
        steps.append(step)
    return numbers, offsets, steps


def bones_of(poses: PoseSequence) -> list[list[int]]:
    """[parent, child] joint numbers to draw; for a custom skeleton those of the known one that shares most by name."""
    index = {name: number for number, name in enumerate(poses.joint_names)}
    known = poses.known_skeleton()
    best: list[list[int]] = []
    for skeleton in [known] if known else SKELETONS.values():
        shared = [[index[a], index[b]] for a, b in skeleton.bones if a in index and b in index]
        best = shared if len(shared) > len(best) else best
    return best


def _embed_track(track: ReportTrack, number: int, exact: bool) -> tuple[dict[str, Any], list[Blob]]:
    poses = track.poses
    blobs = []
    facts: dict[str, Any] = {
        "label": track.label,
        "colour": track.colour,
        "bold": track.bold,
        "shape": list(poses.positions.shape),
        "joints": list(poses.joint_names),
        "bones": bones_of(poses),
        "fps": poses.fps,
        "unit": poses.unit,
        "frame": poses.frame,
        "skeleton": poses.skeleton,
        "imageSize": list(poses.image_size) if poses.image_size else None,
        "people": [int(p) for p in poses.person_ids] if poses.person_ids is not None else None,
    }
    facts["positions"], blob = embed_numbers(poses.positions, f"positions-{number}", exact=exact)
    blobs.append(blob)
    if poses.confidence.size and (poses.confidence != 1).any():
        facts["confidence"] = f"confidence-{number}"
        blobs.append(Blob(f"confidence-{number}", base64_of(np.rint(poses.confidence * 255).astype(np.uint8))))
    if poses.times is not None:
        facts["times"] = f"times-{number}"
        blobs.append(Blob(f"times-{number}", base64_of(poses.times.astype("<f8"))))
    return facts, blobs


def embed_numbers(array: NDArray[np.float32], key: str, *, exact: bool) -> tuple[dict[str, Any], Blob]:
    """How the page reads an array (..., D) back, and its text: float32, or else int16 with NaN as `MISSING`."""
    if exact:
        return {"key": key, "type": "float32"}, Blob(key, base64_of(array.astype("<f4")))
    numbers, offsets, steps = quantise(array)
    return {"key": key, "type": "int16", "offset": offsets, "step": steps}, Blob(key, base64_of(numbers.astype("<i2")))


def base64_of(array: NDArray[Any]) -> str:
    """The bytes of an array, as they lie in memory, as text."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
