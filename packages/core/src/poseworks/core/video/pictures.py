"""Single pictures."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError
from poseworks.core.video.reading import open_video

_SCAN, _END = b"\xff\xda", b"\xff\xd9"  # markers of a JPEG file


def read_picture(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a picture file, turned upright as its EXIF block says.

    Raises:
        ConfigError: PyAV is not installed.
        DataError: there is no picture at `path`, it breaks off, or cannot be decoded.
    """
    file = Path(path)
    if file.is_dir():  # its first picture would be taken
        raise DataError(f"{file}: is a folder, expected a picture. Name the file.")
    with open_video(file) as video:
        kind = video.info.container
        if not kind.endswith("_pipe"):
            raise DataError(f"{file}: is a recording ({kind}), expected a picture such as jpg or png.")
        rgb = next(video.frames()).rgb
    if kind == "jpeg_pipe":  # the decoder fills up with grey what is missing
        data = file.read_bytes()
        if data.rfind(_END) < data.rfind(_SCAN):
            raise DataError(f"{file}: the picture breaks off. Copy it anew.")
    return rgb
