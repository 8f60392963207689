"""From a picture and a box to what the networks read: the affine crop of the toolbox, and SPIN's crop of whole pixels.

Affine (HMR, PARE): a square of side s around c, turned by an angle, by one bilinear sampling:
    M = n / s R(-angle),   crop = M (image - c) + n / 2                         n = size of the crop
Pixels (SPIN, GraphCMR, Graphormer): corners are cut to whole pixels, counted from 1; the square is cut out, where it is
turned with a margin that is cut off again, and resized. It so differs from the affine crop by up to a pixel.

Points are x, y in pixels, boxes x, y, width, height; angles are degrees. Pictures are RGB, (H, W, 3) of uint8. The
augmentations turn and mirror what belongs to a picture along with it.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field, PositiveInt
from torch import Tensor

from poseworks.core.cameras import crop_transform
from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from poseworks.core.shapes import expect_shape

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

MEAN = (0.485, 0.456, 0.406)  # of R, G, B in 0..1
STD = (0.229, 0.224, 0.225)
REFERENCE_PX = 200  # SPIN states the side of a box in this unit
_MOST = 16  # times the longer side of a picture: no box is larger

# Left and right of SMPL's 24 joints exchanged.
POSE_MIRROR = (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22)


class Preparation(BaseModel, frozen=True, extra="forbid"):
    """What weights are fed with, and what their camera means.

    Attributes:
        crop: `affine` or `pixels`, as above.
        size: of the crop, in pixels.
        enlarge: the box around a person's keypoints, times this, is what is cropped.
        camera: of (s, tx, ty). `perspective`: the body stands at (tx, ty, 2 f / (size s)) before a camera of a long
            focal length f; `orthographic`: x, y of the crop in -1..1 are s (X + tx), s (Y + ty).
    """

    crop: Literal["affine", "pixels"] = "affine"
    size: PositiveInt = 224
    enlarge: float = Field(1.2, gt=0)
    camera: Literal["perspective", "orthographic"] = "perspective"


AFFINE_224 = Preparation()
PIXELS_224 = Preparation(crop="pixels")
PIXELS_ORTHOGRAPHIC_224 = Preparation(crop="pixels", camera="orthographic")


# --- geometry ---------------------------------------------------------------------------------------------------------


def inverse_transform(matrix: ArrayLike) -> Array:
    """(2, 3): the way back of a (2, 3) transform.

    Raises:
        ShapeError: another shape.
        ConfigError: it has no inverse.
    """
    m = np.asarray(matrix, dtype=np.float64)
    expect_shape("matrix", m, "R=2 C=3")
    try:
        inverse = np.linalg.inv(m[:, :2])
    except np.linalg.LinAlgError as error:
        raise ConfigError("matrix: has no inverse: it maps the picture to a line.") from error
    return np.concatenate([inverse, -inverse @ m[:, 2:]], axis=1)


def transform_points(points: ArrayLike, matrix: ArrayLike) -> Array:
    """(..., 2): points (..., 2) under a (2, 3) transform.

    Raises:
        ShapeError: other shapes.
    """
    p, m = np.asarray(points, dtype=np.float64), np.asarray(matrix, dtype=np.float64)
    expect_shape("points", p, "... C=2")
    expect_shape("matrix", m, "R=2 C=3")
    moved: Array = p @ m[:, :2].T + m[:, 2]
    return moved


def box_squares(boxes: ArrayLike, enlarge: float = 1.0) -> Array:
    """(N, 3): centre x, y and side of the square around each box (N, 4) of x, y, width, height.

    Raises:
        ShapeError: another shape.
        DataError: a box is empty or not finite.
    """
    b = np.asarray(boxes, dtype=np.float64)
    expect_shape("boxes", b, "N C=4", fix="x, y, width, height in pixels.")
    faulty = np.flatnonzero(~np.isfinite(b).all(axis=1) | (b[:, 2:] <= 0).any(axis=1))
    if faulty.size:
        n = int(faulty[0])
        raise DataError(f"boxes: {n}: {b[n].tolist()}: expected finite numbers, width and height above 0.")
    return np.concatenate([b[:, :2] + b[:, 2:] / 2, enlarge * b[:, 2:].max(axis=1, keepdims=True)], axis=1)


def box_of_keypoints(keypoints: ArrayLike, confidence: ArrayLike, threshold: float = 0.0) -> Array:
    """(4,): x, y, width, height around the keypoints (J, 2) that are finite and of a confidence above the threshold.

    Raises:
        ShapeError: other shapes.
        DataError: fewer than two keypoints can be seen, or all at one place.
    """
    p, c = np.asarray(keypoints, dtype=np.float64), np.asarray(confidence, dtype=np.float64)
    expect_shape("keypoints", p, "J C=2")
    expect_shape("confidence", c, f"J={len(p)}")
    seen = p[np.isfinite(p).all(axis=1) & (c > threshold)]
    low, high = (seen.min(axis=0), seen.max(axis=0)) if len(seen) else (np.zeros(2), np.zeros(2))
    if not (high > low).all():
        raise DataError(
            f"keypoints: {len(seen)} of {len(p)} can be seen (confidence above {threshold}), which makes no box. "
            "Leave this frame out, or state the box."
        )
    return np.concatenate([low, high - low])


def pixel_corners(center: ArrayLike, scale: float, size: int) -> tuple[int, int, int, int]:
    """First column, first row, end column, end row of the square that SPIN's crop cuts out, as its arithmetic has it.

    Args:
        center: x, y of the box.
        scale: side of the square in units of 200 pixels.
        size: of the crop.
    """
    x, y = _pair("center", center)
    if not (math.isfinite(scale) and scale > 0 and size > 0):
        raise ConfigError(f"crop: expected a finite scale and a size above 0, got scale {scale}, size {size}.")
    side = REFERENCE_PX * scale
    # A crop's pixel p lies at (p - size / 2) side / size + center; int() cuts towards zero, and pixels count from 1.
    low, high = ([int((p - size / 2) * side / size + c) for c in (x, y)] for p in (0, size))
    return low[0], low[1], high[0], high[1]


# --- pictures ---------------------------------------------------------------------------------------------------------


def warp(image: Image, matrix: ArrayLike, size: int) -> Image:
    """(size, size, 3): the picture under a (2, 3) transform, sampled bilinearly; black outside.

    Raises:
        ShapeError: the picture is not (H, W, 3) of uint8.
    """
    _expect_picture(image)
    back = inverse_transform(matrix)
    corners = transform_points([[0, 0], [size, 0], [0, size], [size, size]], back)
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, (width, height))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, 0, (width, height))
    if right <= left or bottom <= top:
        return np.zeros((size, size, 3), dtype=np.uint8)
    return _sampled(image[top:bottom, left:right], back - [[0, 0, left], [0, 0, top]], size, size)


def _sampled(image: Image, back: Array, height: int, width: int) -> Image:
    """(height, width, 3): pixel x, y is the picture at back (x, y), bilinearly; black outside."""
    rows, columns = image.shape[:2]
    # Black rows and columns around it: there the picture fades out, and a picture of one pixel has a size.
    source = F.pad(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float(), (1, 1, 1, 1))
    one = np.array([[0, 0, 1], [0, 0, 1]])  # a shift by it
    matrix = np.array([[2 / (columns + 1), 0], [0, 2 / (rows + 1)]]) @ (back + one) - one
    x, y = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)
    grid = (matrix[:, 0] * x[:, None])[None] + (matrix[:, 1] * y[:, None] + matrix[:, 2])[:, None]
    sampled = F.grid_sample(
        source[None], torch.from_numpy(grid.astype(np.float32))[None], padding_mode="zeros", align_corners=True
    )
    return _bytes(sampled[0])


def crop_pixels(image: Image, center: ArrayLike, scale: float, size: int, rotation_deg: float = 0.0) -> Image:
    """(size, size, 3): SPIN's crop of a picture; black outside.

    Args:
        image: (H, W, 3), uint8.
        center: x, y of the box.
        scale: side of the square in units of 200 pixels.
        size: of the crop.
        rotation_deg: how far what it shows is turned, anticlockwise on screen.

    Raises:
        ShapeError: the picture is not (H, W, 3) of uint8.
        ConfigError: a number is not finite, the scale or size not positive, or the square many times the picture.
    """
    _expect_picture(image)
    left, top, right, bottom = pixel_corners(center, scale, size)
    if right <= left or bottom <= top:
        raise ConfigError(f"crop: a square of {REFERENCE_PX * scale:.3g} pixels holds none. State a larger box.")
    if bottom - top > _most_px(image):  # it is cut out before it is made smaller
        raise ConfigError(
            f"crop: a square of {bottom - top} pixels, more than {_MOST} times the picture. State a smaller box."
        )
    # So that no corner is lost when it is turned: half the diagonal less half the height.
    margin = int(math.hypot(right - left, bottom - top) / 2 - (bottom - top) / 2) if rotation_deg else 0
    square = _cut(image, left - margin, top - margin, right + margin, bottom + margin)
    if rotation_deg:
        square = _turned(square, rotation_deg)
        square = square[margin : len(square) - margin, margin : square.shape[1] - margin]
    pixels = torch.from_numpy(square).permute(2, 0, 1)[None].float()
    return _bytes(F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)[0])


def _most_px(image: Image) -> int:
    """The side of the largest square that is taken for a box around a person."""
    return int(_MOST * max(image.shape[:2]))


def _cut(image: Image, left: int, top: int, right: int, bottom: int) -> Image:
    """A part of a picture that may reach over its sides, where it is black."""
    part = np.zeros((bottom - top, right - left, 3), dtype=np.uint8)
    height, width = image.shape[:2]
    x, y, end_x, end_y = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if x < end_x and y < end_y:
        part[y - top : end_y - top, x - left : end_x - left] = image[y:end_y, x:end_x]
    return part


def _turned(image: Image, degrees: float) -> Image:
    """The picture turned anticlockwise about its middle; black where nothing was."""
    height, width = image.shape[:2]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = (width - 1) / 2, (height - 1) / 2
    back = np.array([[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]])
    return _sampled(image, back, height, width)


def crop_box(image: Image, box: ArrayLike, preparation: Preparation) -> tuple[Tensor, Array]:
    """The picture of a person as a network reads it, (3, size, size), and the centre x, y and side that it shows.

    Args:
        image: (H, W, 3), RGB, uint8.
        box: x, y, width, height around the person, before it is enlarged.

    Raises:
        ShapeError: the picture is not (H, W, 3) of uint8, or the box not (4,).
        DataError: the box is empty, not finite, outside the picture, or many times as large.
    """
    b = np.asarray(box, dtype=np.float64)
    expect_shape("box", b, "C=4", fix="x, y, width, height in pixels.")
    _expect_picture(image)
    square = box_squares(b[None], preparation.enlarge)[0]
    height, width = image.shape[:2]
    if b[0] >= width or b[1] >= height or b[0] + b[2] <= 0 or b[1] + b[3] <= 0:
        raise DataError(f"box: {b.tolist()} lies outside the picture of {width} x {height}.")
    center, side, size = square[:2], float(square[2]), preparation.size
    if b[2:].max() < 1 or side > _most_px(image):
        raise DataError(
            f"box: {b.tolist()} in a picture of {width} x {height}: expected a person of a pixel at least, and of "
            f"{_MOST} times the picture at most."
        )
    if preparation.crop == "affine":
        crop = warp(image, crop_transform(center, side, 0.0, size), size)
    else:
        crop = crop_pixels(image, center, side / REFERENCE_PX, size)
    return normalised(crop), square


def normalised(image: Image) -> Tensor:
    """(3, H, W) float32 of a picture (H, W, 3), as the backbones read it."""
    _expect_picture(image)
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float()
    mean, std = (255 * torch.tensor(numbers)[:, None, None] for numbers in (MEAN, STD))
    return pixels.sub_(mean).div_(std).contiguous()


def _bytes(channels: Tensor) -> Image:
    """(H, W, 3) uint8 of (3, H, W) numbers."""
    image: Image = channels.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return image


def _expect_picture(image: NDArray[Any]) -> None:
    expect_shape("image", image, "H>=1 W>=1 C=3", fix="RGB, as `poseworks.core.video` reads it.")
    if image.dtype != np.uint8:
        raise ShapeError(f"image: expected uint8 in 0..255, got {image.dtype}.")


def _pair(name: str, pair: ArrayLike) -> tuple[float, float]:
    numbers = np.asarray(pair, dtype=np.float64)
    expect_shape(name, numbers, "C=2")
    if not np.isfinite(numbers).all():
        raise ConfigError(f"{name}: expected finite x and y, got {numbers.tolist()}.")
    return float(numbers[0]), float(numbers[1])


# --- what belongs to a picture is turned and mirrored with it ---------------------------------------------------------


def turn_joints(joints: Tensor, rotation_deg: float | Tensor) -> Tensor:
    """3D joints (..., J, 3) in camera axes, turned in the plane of the picture as an affine crop of this angle does it.

    Args:
        joints: (..., J, 3).
        rotation_deg: one angle for all, or (...).

    Raises:
        ShapeError: the last axis is not 3.
    """
    expect_shape("joints", joints, "... C=3")
    return joints @ _in_plane(rotation_deg).to(joints).mT


def turn_pose(pose: Tensor, rotation_deg: float | Tensor) -> Tensor:
    """Axis-angles (..., 72) whose first three numbers are turned likewise, by one angle for all or by (...).

    Raises:
        ShapeError: the last axis is not 72.
    """
    expect_shape("pose", pose, "... C=72")
    root = _in_plane(rotation_deg).to(pose) @ axis_angle_to_matrix(pose[..., :3])
    return torch.cat([matrix_to_axis_angle(root), pose[..., 3:]], dim=-1)


def _in_plane(rotation_deg: float | Tensor) -> Tensor:
    """(..., 3, 3) turns about z by minus the angles."""
    angle = torch.deg2rad(-torch.as_tensor(rotation_deg, dtype=torch.float64))
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = ((cos, -sin, zero), (sin, cos, zero), (zero, zero, one))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def mirror_pose(pose: Tensor) -> Tensor:
    """Axis-angles (..., 72) of the mirrored person.

    Raises:
        ShapeError: the last axis is not 72.
    """
    expect_shape("pose", pose, "... C=72")
    joints = pose.reshape(*pose.shape[:-1], 24, 3)
    return (joints[..., list(POSE_MIRROR), :] * pose.new_tensor([1.0, -1.0, -1.0])).flatten(-2)


def mirror_joints(joints: Tensor, partners: ArrayLike) -> Tensor:
    """3D joints (..., J, 3) of the mirrored person, relative to x = 0.

    Args:
        partners: (J,), of each joint that of the other side, or itself.

    Raises:
        ShapeError: other shapes.
    """
    index = np.asarray(partners, dtype=np.int64)
    expect_shape("joints", joints, f"... J={index.size} C=3")
    mirrored: Tensor = joints[..., torch.from_numpy(index), :] * joints.new_tensor([-1.0, 1.0, 1.0])
    return mirrored
