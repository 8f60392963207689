"""Cameras: from points to pixels, and from pixels to the rays that they lie on or the place that they tell.

Axes of a camera: x right, y down, z away from it; pixels count from the top left corner. `Pinhole` is for arrays. The
functions are for tensors of any leading shape, with gradients; importing this module does not import torch.

Networks that see a crop of R x R pixels around a person give a camera (s, tx, ty): a metre spans s halves of the crop,
and (tx, ty) metres move the person. `orthographic_projection` takes it as it is; or it stands for a camera of a long
focal length, `crop_camera_translation`, or for that of the whole picture, `full_image_translation`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.shapes import expect_shape

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pinhole:
    """A camera without lens distortion: focal lengths and principal point in pixels.

    Raises:
        ConfigError: a focal length is not positive, or a number is not finite.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not np.isfinite(numbers).all() or self.fx <= 0 or self.fy <= 0:
            raise ConfigError(f"camera: expected finite numbers, focal lengths above 0, got fx fy cx cy {numbers}.")

    @classmethod
    def from_focal(cls, focal_px: float, image_size: tuple[int, int]) -> Pinhole:
        """Square pixels, and the principal point in the middle of an image of (width, height)."""
        return cls(focal_px, focal_px, image_size[0] / 2, image_size[1] / 2)

    def project(self, points: ArrayLike) -> Array:
        """Pixels (..., 2) of points (..., 3) in camera axes, in any unit; NaN where not in front of it."""
        array = np.asarray(points, dtype=np.float64)
        expect_shape("points", array, "... C=3", fix="The last axis is x, y, z in camera axes.")
        depth = np.where(array[..., 2:] > 0, array[..., 2:], np.nan)
        pixels: Array = array[..., :2] / depth * (self.fx, self.fy) + (self.cx, self.cy)
        return pixels

    def rays(self, pixels: ArrayLike) -> Array:
        """Directions (..., 3) with z = 1 of pixels (..., 2)."""
        array = np.asarray(pixels, dtype=np.float64)
        expect_shape("pixels", array, "... C=2", fix="The last axis is x, y in pixels.")
        slopes = (array - (self.cx, self.cy)) / (self.fx, self.fy)
        return np.concatenate([slopes, np.ones_like(slopes[..., :1])], axis=-1)


CROP_FOCAL_PX = 5000.0
"""Focal length of the camera that crops are seen with, for convention; persons then stand some 50 m away."""


def crop_transform(center: ArrayLike, scale: float, rotation_deg: float, size: int) -> Array:
    """(2, 3): pixels of a picture -> pixels of a square crop around a person, M = n / s R(-angle) about the centre.

    Args:
        center: x, y of the box.
        scale: side of the square in pixels of the picture.
        rotation_deg: how far the square is turned clockwise on screen, so that what it shows turns the other way.
        size: side of the crop in pixels.

    Raises:
        ShapeError: `center` is no pair.
        ConfigError: a number is not finite, or the scale or size not positive.
    """
    middle = np.asarray(center, dtype=np.float64)
    expect_shape("center", middle, "C=2")
    if not (
        np.isfinite(middle).all() and math.isfinite(scale) and math.isfinite(rotation_deg) and scale > 0 and size > 0
    ):
        raise ConfigError(
            f"crop: expected finite numbers, scale and size above 0, got center {middle.tolist()}, scale {scale}, "
            f"rotation {rotation_deg}, size {size}."
        )
    x, y = middle
    angle = math.radians(rotation_deg)
    cos, sin = size / scale * math.cos(angle), size / scale * math.sin(angle)
    return np.array(
        [[cos, sin, size / 2 - cos * x - sin * y], [-sin, cos, size / 2 + sin * x - cos * y]], dtype=np.float64
    )


def crop_camera_translation(camera: Tensor, crop_size: float, focal_px: float = CROP_FOCAL_PX) -> Tensor:
    """(..., 3) place of a person in metres before the camera of a crop: tx, ty, 2 f / (R s + 1e-9).

    Args:
        camera: (..., 3) s, tx, ty.
        crop_size: R, pixels of a side.
        focal_px: f.

    Raises:
        ShapeError: the last axis is not 3.
        ConfigError: a size or a focal length is not above 0.
    """
    import torch

    expect_shape("camera", camera, "... C=3", fix="The last axis is s, tx, ty.")
    _expect_above_0(crop_size=crop_size, focal_px=focal_px)
    scale, x, y = camera.unbind(-1)
    return torch.stack((x, y, 2 * focal_px / (crop_size * scale + 1e-9)), dim=-1)


def full_image_translation(
    camera: Tensor, box_center: Tensor, box_size: Tensor, image_size: tuple[float, float], focal_px: float | Tensor
) -> Tensor:
    """(..., 3) place of a person in metres before the camera of the whole picture, from that of a crop (Kissos 2020).

    The person keeps its size in pixels: tz = 2 f / (b s), and the box's place adds 2 (c - middle) / (b s).

    Args:
        camera: (..., 3) s, tx, ty.
        box_center: (..., 2) pixels of the picture.
        box_size: (...) b, pixels of a side of the square box that was cropped.
        image_size: width and height of the picture.
        focal_px: of its camera, a number or (...); the diagonal of the picture where it is unknown.

    Raises:
        ShapeError: a shape is another.
        ConfigError: a size or a focal length is not above 0.
    """
    import torch

    expect_shape("camera", camera, "... C=3", fix="The last axis is s, tx, ty.")
    expect_shape("box_center", box_center, "... C=2", fix="The last axis is x, y in pixels.")
    if not bool((torch.as_tensor(focal_px) > 0).all()) or not bool((box_size > 0).all()):
        raise ConfigError("focal_px and box_size: expected numbers above 0.")
    middle = box_center.new_tensor(image_size) / 2
    size = box_size * camera[..., 0]
    shift = 2 * (box_center - middle) / size[..., None]
    return torch.cat((camera[..., 1:] + shift, (2 * focal_px / size)[..., None]), dim=-1)


def perspective_projection(
    points: Tensor,
    translation: Tensor,
    focal_px: float | Tensor = CROP_FOCAL_PX,
    center: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """(..., N, 2) pixels of points: f (x, y) / z + center.

    Args:
        points: (..., N, 3) in metres.
        translation: (..., 3) added to them to bring them before the camera.
        focal_px: f, a number or (...).
        center: the pixel on the axis.

    Raises:
        ShapeError: a shape is another.
        ConfigError: a focal length that is a number is not above 0.
    """
    import torch

    expect_shape("points", points, "... N C=3")
    expect_shape("translation", translation, "... C=3")
    if isinstance(focal_px, float | int):
        _expect_above_0(focal_px=focal_px)
    placed = points + translation[..., None, :]
    focal = torch.as_tensor(focal_px, dtype=points.dtype, device=points.device)[..., None, None]
    return focal * placed[..., :2] / placed[..., 2:] + placed.new_tensor(center)


def orthographic_projection(points: Tensor, camera: Tensor) -> Tensor:
    """(..., N, 2) of points (..., N, 3) seen by a camera (..., 3) s, tx, ty: s ((x, y) + (tx, ty)), from -1 to 1.

    Raises:
        ShapeError: a shape is another.
    """
    expect_shape("points", points, "... N C=3")
    expect_shape("camera", camera, "... C=3", fix="The last axis is s, tx, ty.")
    return camera[..., None, :1] * (points[..., :2] + camera[..., None, 1:])


def estimated_translation(
    points: Tensor,
    pixels: Tensor,
    confidence: Tensor,
    focal_px: float = CROP_FOCAL_PX,
    center: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """(..., 3) translation that brings points where they are seen, by weighted least squares; NaN with fewer than two.

    f (X + tx) = (x - cx) (Z + tz) and the same for y, which is linear in t; each weighted by its confidence.

    Args:
        points: (..., N, 3) in metres.
        pixels: (..., N, 2).
        confidence: (..., N), at least 0; points with 0 may be anything finite.
        focal_px: f.
        center: the pixel on the axis.

    Raises:
        ShapeError: a shape is another.
        ConfigError: the focal length is not above 0.
    """
    import torch

    sizes = expect_shape("points", points, "... N C=3")
    expect_shape("pixels", pixels, f"... N={sizes['N']} C=2")
    expect_shape("confidence", confidence, f"... N={sizes['N']}")
    if points.shape[:-1] != pixels.shape[:-1] or points.shape[:-1] != confidence.shape:
        raise ShapeError(
            f"points, pixels, confidence: expected one leading shape, got {tuple(points.shape)}, "
            f"{tuple(pixels.shape)}, {tuple(confidence.shape)}."
        )
    _expect_above_0(focal_px=focal_px)
    slopes = (pixels - pixels.new_tensor(center)).double() / focal_px
    x, y, z = points.double().unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    # tx - slope tz = slope Z - X, for x and for y
    rows = torch.stack(
        (torch.stack((one, zero, -slopes[..., 0]), -1), torch.stack((zero, one, -slopes[..., 1]), -1)), dim=-2
    ).flatten(-3, -2)
    wanted = (slopes * z[..., None] - torch.stack((x, y), -1)).flatten(-2)
    weights = confidence.double().repeat_interleave(2, dim=-1)[..., None]
    normal = rows.mT @ (weights * rows)
    enough = ((confidence > 0).sum(-1) >= 2)[..., None]
    solved, fault = torch.linalg.solve_ex(
        torch.where(enough[..., None], normal, torch.eye(3, dtype=normal.dtype, device=normal.device)),
        rows.mT @ (weights * wanted[..., None]),
    )
    found = torch.where(enough & (fault == 0)[..., None], solved.squeeze(-1), torch.nan)
    return found.to(points.dtype)


def _expect_above_0(**numbers: float) -> None:
    for name, value in numbers.items():
        if not value > 0:
            raise ConfigError(f"{name}: expected a number above 0, got {value}.")
