"""What a file is: a recording, poses of any known format, or a pose network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from poseworks.core.errors import CheckpointError, DataError, FormatError
from poseworks.core.files import sha256
from poseworks.core.formats import detect_format
from poseworks.core.inspection import poses_facts
from poseworks.core.read_options import ReadOptions
from poseworks.core.video import open_video
from poseworks.keypoints.models import known_network
from poseworks.keypoints.tflite_files import MAGIC
from poseworks.keypoints.tflite_to_onnx import KINDS

_NO_READING = ReadOptions()


def inspect_file(path: str | os.PathLike[str], reading: ReadOptions = _NO_READING) -> dict[str, Any]:
    """Facts about a file or folder, by name; `what` comes first.

    Args:
        path: a recording, a folder of pictures, poses, an ONNX network or a published .tflite.
        reading: what the file does not say itself.

    Raises:
        DataError: it cannot be read. FormatError: it is none of these. CheckpointError: a damaged network.
        ConfigError: poses that lack something which `reading` must say.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if file.is_file() and (suffix in (".onnx", ".tflite") or _head(file)[4:] == MAGIC):
        return {"file": file, **(_onnx_facts(file) if suffix == ".onnx" else _tflite_facts(file))}
    try:
        found = reading.format or detect_format(file)
    except FormatError as not_poses:
        try:
            return {"file": file, **_recording_facts(path, reading.fps)}
        except DataError as not_a_recording:
            raise FormatError(f"{not_poses} As a recording: {not_a_recording}") from not_a_recording
    return {"file": file, "what": "poses", "format": found, **poses_facts(reading.read(file))}


def _recording_facts(path: str | os.PathLike[str], fps: float | None) -> dict[str, Any]:
    """What the header of a recording says; no frame after the first is decoded."""
    with open_video(path, fps=fps) as video:
        info, notes = video.info, video.notes
    frames = info.stated_frames
    return {
        "what": "recording",
        "size": info.size,
        "fps": info.fps,
        "frames_stated": frames,
        "seconds": None if frames is None else frames / info.fps,
        "rotation": info.rotation,
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "container": info.container,
        "notes": notes,
    }


def _onnx_facts(file: Path) -> dict[str, Any]:
    """Inputs and outputs of a network, and which of ours it is."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes share no base below it
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{file}: onnxruntime cannot open it ({reason}). Expected an ONNX network.") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    kind = KINDS.get(frozenset(value.name for value in outputs))
    fits = [value.name for value in inputs] == ["image"] and kind is not None
    return {
        "what": "pose network (ONNX)" if fits else "ONNX network",
        "network": kind if fits else "none that detect runs",
        **_identity(file),
        "inputs": {value.name: value.shape for value in inputs},
        "outputs": {value.name: value.shape for value in outputs},
    }


def _tflite_facts(file: Path) -> dict[str, Any]:
    """Which published network it is, and what to do with it."""
    if _head(file)[4:] != MAGIC:
        raise CheckpointError(f"{file}: is no TensorFlow Lite file, whatever its name says.")
    return {
        "what": "network as published (TensorFlow Lite)",
        **_identity(file),
        "next": f"poseworks-keypoints convert {file} -o {file.stem}.onnx",
    }


def _identity(file: Path) -> dict[str, Any]:
    """Size, SHA-256 and the name of the known network that has it."""
    digest = sha256(file)
    known = known_network(digest)
    return {"equals": known.name if known else None, "size_bytes": file.stat().st_size, "sha256": digest}


def _head(file: Path) -> bytes:
    """The first eight bytes.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return stream.read(8)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or type(error).__name__}).") from error
