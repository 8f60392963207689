"""Things in front of people: cut-outs pasted onto a picture before it is cropped (Sarandi et al. 2018).

The cut-outs come from a file of pictures (H, W, 4) of uint8, red, green, blue and opacity: an array of objects, as
``pascal_occluders.npy`` is published (made from Pascal VOC; not part of this package). Without a file they are made up:
spotted ellipses and polygons, other ones each time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch.nn import functional as F

from poseworks.core.errors import DataError, FormatError
from poseworks.core.formats.reading import read_array, read_bytes
from poseworks.core.unpickling import restricted_loads
from poseworks.mesh_recovery.crops import Image
from poseworks.mesh_recovery.learning.patches import ForSets

Array = NDArray[np.float64]

REFERENCE_PX = 256  # the shorter side of a picture on which a cut-out of factor 1 keeps its size
NEAR_KEYPOINT = 0.1  # of the box's side: how far from a keypoint they are put
_MAX_BYTES = 4 << 30
_MADE_UP_PX = (60, 220)


class Occlusion(ForSets, frozen=True, extra="forbid"):
    """Cut-outs on the picture.

    Attributes:
        count: least and most.
        scale: of each, times the shorter side of the picture over 256.
        at_keypoints: near visible keypoints, instead of anywhere.
        file: of cut-outs, such as ``pascal_occluders.npy``; None: made up.
    """

    probability: float = 1.0
    count: tuple[int, int] = (1, 7)
    scale: tuple[float, float] = (0.2, 1.0)
    at_keypoints: bool = False
    file: str | None = None


@lru_cache(maxsize=4)
def read_occluders(path: str | os.PathLike[str]) -> tuple[Image, ...]:
    """The cut-outs of a file.

    Raises:
        DataError: the file cannot be read.
        FormatError: it holds something else than pictures with an opacity.
    """
    source = Path(path)
    try:
        stored = read_array(read_bytes(source, _MAX_BYTES), _objects)
    except FormatError as error:
        raise FormatError(f"{source}: {str(error).removeprefix(f'{source}: ').removesuffix('.')}.") from error
    pictures = list(stored) if stored.ndim else []
    wrong = [n for n, each in enumerate(pictures) if not _is_cut_out(each)]
    if wrong or not pictures:
        what = f"entry {wrong[0]} is another" if wrong else "it holds none"
        raise FormatError(f"{source}: expected pictures (H, W, 4) of uint8, with their opacity; {what}.")
    return tuple(np.ascontiguousarray(each) for each in pictures)


def _objects(data: memoryview) -> NDArray[np.object_]:
    value = restricted_loads(data)
    if isinstance(value, np.ndarray):
        return value
    raise FormatError("holds a pickle that is no array")


def _is_cut_out(each: object) -> bool:
    return isinstance(each, np.ndarray) and each.dtype == np.uint8 and each.ndim == 3 and each.shape[2] == 4


def occlude(
    image: Image,
    keypoints: Array,
    box_side: float,
    settings: Occlusion,
    cut_outs: Sequence[Image] | None,
    rng: Generator,
) -> Image:
    """The picture with cut-outs on it.

    Args:
        image: (H, W, 3) uint8.
        keypoints: (N, 2) visible ones, for `at_keypoints`; with none of them, cut-outs lie anywhere.
        box_side: of the person, in pixels.
        settings: how many, how large, where.
        cut_outs: to draw from; None: made up.
    """
    occluded = image.copy()
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(settings.count[0], settings.count[1] + 1))):
        cut_out = made_up(rng) if cut_outs is None else cut_outs[int(rng.integers(len(cut_outs)))]
        factor = rng.uniform(*settings.scale) * min(width, height) / REFERENCE_PX
        if settings.at_keypoints and len(keypoints):
            near = keypoints[int(rng.integers(len(keypoints)))]
            center = near + NEAR_KEYPOINT * box_side * rng.standard_normal(2)
        else:
            center = rng.random(2) * (width, height)
        paste(occluded, resized(cut_out, factor), center)
    return occluded


def paste(image: Image, cut_out: Image, center: Array) -> None:
    """Blends a cut-out (h, w, 4) into the picture, around x, y, in place; what lies outside is cut off."""
    rows, columns = cut_out.shape[:2]
    left, top = round(float(center[0]) - columns / 2), round(float(center[1]) - rows / 2)
    y, x = max(top, 0), max(left, 0)
    end_y, end_x = min(top + rows, image.shape[0]), min(left + columns, image.shape[1])
    if end_y <= y or end_x <= x:
        return
    part = cut_out[y - top : end_y - top, x - left : end_x - left].astype(np.float32)
    under = image[y:end_y, x:end_x]
    share = part[..., 3:] / 255
    under[:] = np.rint(under + share * (part[..., :3] - under))


def resized(cut_out: Image, factor: float) -> Image:
    """(h, w, 4): a cut-out times a factor, at least a pixel large."""
    rows, columns = (max(round(size * factor), 1) for size in cut_out.shape[:2])
    channels = torch.from_numpy(cut_out).permute(2, 0, 1)[None].float()
    # An opacity of 0 hides any colour: colours are averaged by it.
    opacity = channels[:, 3:].clone()
    channels = torch.cat([channels[:, :3] * opacity, opacity], dim=1)
    smaller = F.interpolate(channels, (rows, columns), mode="bilinear", antialias=True)
    colours = smaller[:, :3] / smaller[:, 3:].clamp(min=1e-3)
    both = torch.cat([colours, smaller[:, 3:]], dim=1)[0].permute(1, 2, 0)
    picture: Image = both.round().clamp(0, 255).to(torch.uint8).contiguous().numpy()
    return picture


def made_up(rng: Generator) -> Image:
    """(h, w, 4): an ellipse or a polygon of 3 to 7 corners, in two colours with a grain."""
    low, high = _MADE_UP_PX
    height, width = (int(size) for size in rng.integers(low, high, 2))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = 2 * (x + 0.5) / width - 1, 2 * (y + 0.5) / height - 1
    if rng.random() < 0.5:
        inside = u**2 + v**2 <= 1
    else:
        corners = int(rng.integers(3, 8))
        angles = np.sort(rng.random(corners)) * 2 * np.pi
        # Inside are points on the inner side of all lines through neighbouring corners of the unit circle.
        ends = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        inside = np.ones(u.shape, bool)
        for (ax, ay), (bx, by) in zip(ends, np.roll(ends, -1, axis=0), strict=True):
            inside &= (bx - ax) * (v - ay) - (by - ay) * (u - ax) >= 0
    first, second = rng.integers(0, 256, (2, 3))
    waves = np.sin(u * rng.uniform(-12, 12) + v * rng.uniform(-12, 12) + rng.uniform(0, 6)) > rng.uniform(-1, 1)
    grain = rng.normal(0, rng.uniform(0, 25), (height, width, 1))
    colours = np.where(waves[..., None], first, second) + grain
    picture = np.concatenate([colours.clip(0, 255), 255.0 * inside[..., None]], axis=2)
    shape: Image = np.rint(picture).astype(np.uint8)
    return shape


def expect_occluders(settings: Occlusion | None) -> tuple[Image, ...] | None:
    """The cut-outs that the settings name, or None where they are made up.

    Raises:
        DataError: the file is not there; with where to get it.
    """
    if settings is None or settings.file is None:
        return None
    if not Path(settings.file).is_file():
        raise DataError(
            f"augmentation.occlusion.file: {settings.file}: there is no such file. pascal_occluders.npy is made from "
            "Pascal VOC by the script of synthetic-occlusion; leave `file` out for made-up shapes."
        )
    return read_occluders(settings.file)
