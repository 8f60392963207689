"""Single pictures."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import atomic_path
from poseworks.core.video.reading import open_video
from poseworks.core.video.sources import one_thread, pyav
from poseworks.core.video.upright import exif_turn

_MARKS = {b"\xff\xd8": "mjpeg", b"\x89PNG\r\n\x1a\n": "png"}  # how files begin, FFmpeg's decoder
_SCAN, _END = b"\xff\xda", b"\xff\xd9"  # markers of a JPEG file
_CODINGS = {  # FFmpeg's encoder, its pixels, its options
    ".png": ("png", "rgb24", {"pred": "paeth"}),
    ".jpg": ("mjpeg", "yuvj444p", {"qmin": "2", "qmax": "2"}),
}


def read_picture(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a picture file, turned upright as its EXIF block says.

    Raises:
        ConfigError: PyAV is not installed.
        DataError: there is no picture at `path`, it breaks off, or cannot be decoded.
    """
    file = Path(path)
    if file.is_dir():  # its first picture would be taken
        raise DataError(f"{file}: is a folder, expected a picture. Name the file.")
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{file}: does not exist. Check the name.") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}).") from error
    coding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    if coding is not None:
        return _decoded(file, data, coding)
    with open_video(file) as video:
        kind = video.info.container
        if not kind.endswith("_pipe"):
            raise DataError(f"{file}: is a recording ({kind}), expected a picture such as jpg or png.")
        return next(video.frames()).rgb


def _decoded(file: Path, data: bytes, coding: str) -> NDArray[np.uint8]:
    """A picture without looking at its file as a recording, which would take four times as long."""
    av = pyav()
    decoder = av.CodecContext.create(coding, "r")
    decoder.thread_count = 1
    try:
        frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
        rgb = np.ascontiguousarray(frames[0].to_ndarray(format="rgb24", **one_thread()), dtype=np.uint8)
    except (av.error.FFmpegError, IndexError) as error:
        raise DataError(f"{file}: the picture is damaged and cannot be decoded. Copy it anew.") from error
    if coding != "mjpeg":
        return rgb
    if data.rfind(_END) < data.rfind(_SCAN):  # the decoder fills up with grey what is missing
        raise DataError(f"{file}: the picture breaks off. Copy it anew.")
    return exif_turn(data).apply(rgb)


def write_picture(path: str | os.PathLike[str], rgb: NDArray[np.uint8]) -> None:
    """A picture file of (H, W, 3) uint8 RGB: .png, which loses nothing, or .jpg, of a high quality.

    What is there is replaced once the new file is complete.

    Raises:
        ConfigError: another suffix, or PyAV is not installed.
        DataError: another shape or dtype, or the file cannot be written.
    """
    target = Path(path)
    coding = _CODINGS.get(target.suffix.lower())
    if coding is None:
        raise ConfigError(f"{target}: pictures are written as {', '.join(_CODINGS)}. Give it such a name.")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise DataError(f"picture: expected (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}.")
    av = pyav()
    name, pixels, options = coding
    encoder = av.CodecContext.create(name, "w")
    encoder.height, encoder.width = rgb.shape[:2]
    encoder.pix_fmt, encoder.time_base, encoder.options = pixels, Fraction(1), options
    encoder.thread_count = 1
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    frame = frame.reformat(format=pixels, **one_thread())
    data = b"".join(bytes(packet) for given in (frame, None) for packet in encoder.encode(given))
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)
