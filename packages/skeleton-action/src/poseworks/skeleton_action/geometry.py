"""Keypoints brought from a recording into the few pixels of a volume, step by step as published. NumPy only.

Every step takes a `Sample` and returns another. In all of them a coordinate that is 0 is missing, x and y judged apart,
and stays 0; only `crop` moves it too, as the published code does (its score of 0 keeps it from being drawn).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.layouts import JointLayout
from poseworks.skeleton_action.sampling import Indices, Source


class Box(NamedTuple):
    """A part of an image, in whole pixels; it may reach over the edges."""

    left: int
    top: int
    right: int
    bottom: int


class Region(NamedTuple):
    """A part of the recording's image, as fractions of its width and height."""

    x: float
    y: float
    width: float
    height: float


WHOLE = Region(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Sample:
    """The people of some frames, in the pixels of an image.

    Attributes:
        keypoints: (M, T, V, 2) x and y; float32, and float64 once cropped.
        scores: (M, T, V) float32.
        size: height and width of the image.
        region: what the image shows of the recording.
    """

    keypoints: NDArray[np.floating[Any]]
    scores: NDArray[np.float32]
    size: tuple[int, int]
    region: Region = WHOLE


def take_frames(annotation: Annotation, indices: Indices) -> Sample:
    """These frames of a recording; scores of 1 where it has none."""
    keypoints = annotation.keypoints[:, indices].astype(np.float32)
    if annotation.scores is None:
        scores = np.ones(keypoints.shape[:3], dtype=np.float32)
    else:
        scores = annotation.scores[:, indices].astype(np.float32)
    return Sample(keypoints, scores, annotation.image_shape)


def compact_box(
    sample: Sample,
    *,
    padding: float = 0.25,
    threshold: float = 10.0,
    ratio: tuple[float, float] | None = (1.0, 1.0),
    inside_image: bool = False,
) -> Box | None:
    """The box around everybody in all frames, a little larger; None where there is too little to put a box around.

    Args:
        sample: as taken from the recording.
        padding: added to half of the width and half of the height, as a part of them.
        threshold: pixels; below this width or height there is no box.
        ratio: least and largest height for a width of 1, reached by making the box larger; None: as it is.
        inside_image: the box ends where the image ends.
    """
    least, most = [], []
    for coordinates in (sample.keypoints[..., 0], sample.keypoints[..., 1]):
        present = coordinates[(coordinates != 0) & ~np.isnan(coordinates)]
        if present.size == 0 or present.max() - present.min() < threshold:
            return None
        least.append(present.min())
        most.append(present.max())
    # In the precision of the keypoints: the corners are truncated below, and another precision would move some.
    half_width, half_height = ((high - low) / 2 * (1 + padding) for low, high in zip(least, most, strict=True))
    if ratio is not None:
        half_height = max(ratio[0] * half_width, half_height)
        half_width = max(half_height / ratio[1], half_width)
    x, y = ((high + low) / 2 for low, high in zip(least, most, strict=True))
    corners = [x - half_width, y - half_height, x + half_width, y + half_height]
    if inside_image:
        height, width = sample.size
        corners = [max(0, corners[0]), max(0, corners[1]), min(width, corners[2]), min(height, corners[3])]
    return Box(*map(int, corners))


def compact(sample: Sample, box: Box | None) -> Sample:
    """What is inside the box of `compact_box`; with None the whole image. NaN becomes 0, which is missing."""
    keypoints = np.nan_to_num(sample.keypoints, nan=0.0)
    if box is None:
        return replace(sample, keypoints=keypoints)
    corner = np.array(box[:2], dtype=keypoints.dtype)
    return _part(sample, box, np.where(keypoints != 0, keypoints - corner, keypoints))


def resize(sample: Sample, size: tuple[int, int]) -> Sample:
    """Stretched to this height and width."""
    (height, width), (new_height, new_width) = sample.size, size
    factor = np.array([new_width / width, new_height / height], dtype=np.float32)
    return replace(sample, keypoints=sample.keypoints * factor, size=size)


def resize_short_side(sample: Sample, side: int) -> Sample:
    """Both sides scaled alike, up to whole pixels, so that the shorter one is `side`."""
    factor = side / min(sample.size)
    height, width = (int(length * factor + 0.5) for length in sample.size)
    return resize(sample, (height, width))


def crop(sample: Sample, box: Box) -> Sample:
    """What is inside the box; missing coordinates are moved too. The keypoints become float64."""
    return _part(sample, box, sample.keypoints - np.array(box[:2]))


def center_crop_box(size: tuple[int, int], side: int) -> Box:
    """A square in the middle of an image of this height and width; larger than the image if `side` is."""
    top, left = ((length - side) // 2 for length in size)
    return Box(left, top, left + side, top + side)


def random_crop_box(
    size: tuple[int, int],
    rng: Source,
    offsets: random.Random,
    *,
    area: tuple[float, float] = (0.56, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
    attempts: int = 10,
) -> Box:
    """A box of random area, shape and place in an image of this height and width.

    Args:
        size: of the image.
        rng: area and shape are drawn from it.
        offsets: the place is drawn from it: the published code takes it from Python's generator, not from NumPy's.
        area: as a part of the image's.
        aspect: width for a height of 1.
        attempts: boxes drawn; if none fits into the image, it is the square in the middle.
    """
    height, width = size
    aspects = np.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1]), size=attempts))
    areas = rng.uniform(*area, size=attempts) * height * width
    widths, heights = np.round(np.sqrt(areas * aspects)), np.round(np.sqrt(areas / aspects))
    for w, h in zip(widths.astype(int).tolist(), heights.astype(int).tolist(), strict=True):
        if w <= width and h <= height:
            left, top = offsets.randint(0, width - w), offsets.randint(0, height - h)
            return Box(left, top, left + w, top + h)
    return center_crop_box(size, min(size))


def flip(sample: Sample, layout: JointLayout) -> Sample:
    """Seen in a mirror: x becomes width - x (not width - 1 - x), left and right change places."""
    keypoints = sample.keypoints[:, :, layout.joint_flip]
    x = keypoints[..., 0]
    x[x != 0] = sample.size[1] - x[x != 0]
    return replace(sample, keypoints=keypoints, scores=sample.scores[:, :, layout.joint_flip])


def _part(sample: Sample, box: Box, keypoints: NDArray[np.floating[Any]]) -> Sample:
    """The image ends where the box ends; `keypoints` are already counted from its corner."""
    (height, width), (x, y, w, h) = sample.size, sample.region
    left, top, right, bottom = box
    region = Region(x + w * left / width, y + h * top / height, w * (right - left) / width, h * (bottom - top) / height)
    return Sample(keypoints, sample.scores, (bottom - top, right - left), region)
