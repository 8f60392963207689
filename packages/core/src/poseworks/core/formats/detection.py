"""Which format a file has, told by its content; reading and writing through one pair of functions."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from poseworks.core.errors import ConfigError, FormatError
from poseworks.core.files import refuse_existing
from poseworks.core.formats import alphapose, coco, csv_table, mediapipe, openpose, poses_npz, smoothnet_npz, trc
from poseworks.core.formats.hints import Hints, checked_hints
from poseworks.core.formats.reading import NPY_MAGIC, ZIP_MAGIC, array_header, npz_keys, read_head
from poseworks.core.poses import PoseSequence


@dataclass(frozen=True)
class Format:
    """A format: its name, what it is in one line, and the functions that read and write it."""

    name: str
    description: str
    read: Callable[[Path, Hints], PoseSequence]
    write: Callable[[PoseSequence, Path], None] | None
    suffix: str

    @property
    def can_write(self) -> bool:
        """Whether `write_poses` writes it."""
        return self.write is not None


_ALL = (
    Format("poses", "poses file of poseworks (npz)", poses_npz.read, poses_npz.write, ".npz"),
    Format("coco", "COCO results JSON: list of detections with image_id", coco.read, coco.write, ".json"),
    Format("openpose", "folder of OpenPose JSON files, one a frame", openpose.read, openpose.write, ""),
    Format("alphapose", "AlphaPose JSON: list with box and idx", alphapose.read, alphapose.write, ".json"),
    Format("mediapipe", "MediaPipe landmark arrays (npz or npy)", mediapipe.read, mediapipe.write, ".npz"),
    Format("smoothnet", "SmoothNet/DeciWatch data (npz)", smoothnet_npz.read, smoothnet_npz.write, ".npz"),
    Format("csv", "CSV table: a row for each person and frame", csv_table.read, csv_table.write, ".csv"),
    Format("trc", "TRC marker file: one person in 3D", trc.read, trc.write, ".trc"),
)  # fmt: skip
FORMATS: Mapping[str, Format] = MappingProxyType({entry.name: entry for entry in _ALL})
BY_SUFFIX: Mapping[str, str] = MappingProxyType({".npz": "poses", ".json": "coco", ".csv": "csv", ".trc": "trc"})
LOOKED_FOR = (
    "a poses, MediaPipe or SmoothNet npz, an npy of (T, 33, 3 or 4), COCO or AlphaPose JSON, a folder of OpenPose "
    "JSON, a CSV whose header begins with frame, or a TRC"
)


def read_poses(path: str | os.PathLike[str], *, format: str | None = None, **hints: Any) -> PoseSequence:  # noqa: A002
    """The poses in a file of any known format.

    Args:
        path: a file, or the folder of an OpenPose sequence.
        format: key of `FORMATS`; None: told by the content.
        hints: what the file may not say, by the names of `Hints` (fps, image_size, skeleton, unit, frame, person,
            people, sequence, first_frame, world); None counts as not given.

    Raises:
        FormatError: the format is unknown, or the file does not hold what its format prescribes.
        ConfigError: a hint is missing, unknown, without use or contradicts the file; the message says how to give it.
        DataError: the file cannot be read, or its people or frames cannot be told apart.
    """
    source = Path(path)
    checked = checked_hints(hints)
    return _format(format or detect_format(source)).read(source, checked)


def write_poses(
    poses: PoseSequence,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    overwrite: bool = False,
) -> None:
    """Writes poses; the file appears whole or not at all.

    Args:
        poses: what to write.
        path: the file, or the folder for OpenPose.
        format: key of `FORMATS`; None: by the suffix (.npz poses, .json coco, .csv, .trc).
        overwrite: replace what is there.

    Raises:
        ConfigError: `path` exists, or the format is unknown.
        DataError: the format cannot hold these poses, or the file cannot be written.
    """
    target = Path(path)
    name = format or BY_SUFFIX.get(target.suffix.lower())
    if name is None:
        raise ConfigError(
            f"{target}: the suffix {target.suffix!r} names no format; expected {', '.join(BY_SUFFIX)}, or give format="
            f"{', '.join(FORMATS)}."
        )
    chosen = _format(name)
    refuse_existing(target, overwrite)
    if chosen.write is None:
        raise ConfigError(f"{target}: {name} files are read, not written. Write a poses file (.npz) instead.")
    chosen.write(poses, target)


def detect_format(path: str | os.PathLike[str]) -> str:
    """Key of `FORMATS` of a file or folder, told by its content.

    Raises:
        FormatError: none of the known formats; the message says what was looked for.
        DataError: the file is missing or cannot be read.
    """
    source = Path(path)
    if _is_folder(source):
        if openpose.frame_files(source):
            return "openpose"
        raise FormatError(f"{source}: a folder without OpenPose files; expected NAME_000000000000_keypoints.json, ...")
    head = read_head(source)
    if head.startswith((ZIP_MAGIC, b"PK\x05\x06")):
        found = _in_npz(npz_keys(source))
    elif head.startswith(NPY_MAGIC):
        found = _in_npy(head)
    else:
        found = _in_text(source, head)
    if found is None:
        raise FormatError(f"{source}: format not recognised. Looked for {LOOKED_FOR}.")
    return found


def _is_folder(path: Path) -> bool:
    """Whether it is a folder; a name that no file can have is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise ConfigError(f"unknown format {name!r}; expected one of {', '.join(FORMATS)}.")
    return FORMATS[name]


def _in_npz(keys: tuple[str, ...]) -> str | None:
    """The format of an npz with these arrays."""
    if {"landmarks33", "world33"} & set(keys) and "positions" not in keys:
        return "mediapipe"
    if {"positions", "format", "joint_names", "history"} & set(keys):
        return "poses"
    return "smoothnet" if set(smoothnet_npz.POSE_KEYS) & set(keys) else None


def _in_npy(head: bytes) -> str | None:
    """The format of an npy with this header."""
    shape, _, dtype, _ = array_header(head)
    landmarks = len(shape) == 3 and shape[1] == 33 and shape[2] in (3, 4) and dtype.kind == "f"
    return "mediapipe" if landmarks else None


def _in_text(path: Path, head: bytes) -> str | None:
    """The format of a text file that begins so."""
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    if text.startswith("PathFileType"):
        return "trc"
    if text.startswith((csv_table.MAGIC, "frame,")):
        return "csv"
    if text.startswith("["):
        return _in_list(text)
    if text.startswith("{") and '"people"' in text:
        return "openpose"
    if text.startswith("{") and '"annotations"' in text:
        raise FormatError(f"{path}: COCO annotations, not results. Expected a list of detections with image_id.")
    return None


def _in_list(text: str) -> str | None:
    """The format of a JSON list, by its first entry."""
    first = text[1:].lstrip()
    if first.startswith("]"):
        return "coco"
    try:
        entry, _ = json.JSONDecoder().raw_decode(first)
    except (ValueError, RecursionError):
        return "coco" if '"keypoints"' in first else None
    if not isinstance(entry, dict) or not {"image_id", "keypoints"} & set(entry):
        return None
    return "alphapose" if "box" in entry or ("idx" in entry and isinstance(entry.get("image_id"), str)) else "coco"
