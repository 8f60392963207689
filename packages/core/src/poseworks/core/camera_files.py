"""Files that state a camera's intrinsics: JSON, one object.

    {"fx": 1150.0, "fy": 1150.0, "cx": 640.0, "cy": 360.0, "image_size": [1280, 720]}
    {"focal": 1150.0, "image_size": [1280, 720]}

fx, fy, cx, cy: focal lengths and principal point in pixels, counted from the top left corner of the image; `focal`
stands for both focal lengths of square pixels. Without cx and cy the principal point is the middle of the image, and
`image_size` (width, height) must be known. Distortion is not modelled: keypoints of a wide lens have to be undistorted
before. Other entries are refused.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, FormatError
from poseworks.core.formats.reading import parse_json, read_text

NUMBERS = ("fx", "fy", "cx", "cy", "focal")
KEYS = (*NUMBERS, "image_size")


def read_camera(path: Path, image_size: tuple[int, int] | None = None) -> Pinhole:
    """The camera in a JSON file.

    Args:
        path: of the file.
        image_size: (width, height) of the image that the keypoints lie in, where it is known.

    Raises:
        FormatError: the file is not of this layout; lists every fault.
        ConfigError: the file's image size is another one, or is needed and not known.
        DataError: the file cannot be read.
    """
    data = parse_json(read_text(path), str(path))
    if not isinstance(data, dict):
        raise FormatError(f"{path}: expected a JSON object with fx, fy, cx and cy, or focal, in pixels.")
    faults = [f"{name}: unknown; expected {', '.join(KEYS)}" for name in map(str, data) if name not in KEYS]
    faults += [f"{name}: expected a finite number" for name in NUMBERS if name in data and not _is_number(data[name])]
    faults += [f"{name}: expected pixels above 0" for name in ("fx", "fy", "focal") if _is_negative(data.get(name))]
    stated = data.get("image_size")
    if stated is not None and not _is_size(stated):
        faults.append("image_size: expected [width, height] in whole pixels above 0")
    if ("focal" in data) == ("fx" in data or "fy" in data):
        faults.append("expected either focal, or fx and fy")
    if ("fx" in data) != ("fy" in data) or ("cx" in data) != ("cy" in data):
        faults.append("expected fx and fy together, and cx and cy together")
    if faults:
        raise FormatError(f"{path}: {'; '.join(faults)}.")
    size = None if stated is None else (int(stated[0]), int(stated[1]))
    if size is not None and image_size is not None and size != image_size:
        raise ConfigError(
            f"{path}: the camera was calibrated on {_text(size)} pixels, the keypoints lie in {_text(image_size)}. "
            "Scale its numbers to that image, or correct the size that is wrong."
        )
    size = size or image_size
    fx, fy = (float(data[name if name in data else "focal"]) for name in ("fx", "fy"))
    if "cx" in data:
        return Pinhole(fx, fy, float(data["cx"]), float(data["cy"]))
    if size is None:
        raise ConfigError(
            f"{path}: neither cx and cy nor image_size, so that the middle of the image is not known. Add one of them."
        )
    return Pinhole(fx, fy, size[0] / 2, size[1] / 2)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _is_negative(value: Any) -> bool:
    return _is_number(value) and value <= 0


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(size) is int and 0 < size < 10**6 for size in value)


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
