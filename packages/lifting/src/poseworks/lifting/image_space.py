"""Joints in the axes of a camera, in mm, and the same joints as the published labels have them: x, y in pixels, and
depth relative to the root in pixels.

With the root R, a camera fx fy cx cy without distortion, and project(q) = (fx qx / qz + cx, fy qy / qz + cy):

    box    = project(R - (1000, 1000, 0)), project(R + (1000, 1000, 0))       x0 y0 x1 y1
    ratio  = (x1 - x0 + 1) / 2000                                             pixels a mm at the root's depth
    image  = project(joint), and z = ratio (joint_z - R_z)
    back:    Z = z / ratio + R_z,  X = (x - cx) Z / fx,  Y = (y - cy) Z / fy

The way back needs the root's true depth. Without it, a pose in pixels is brought to mm by one number a frame, the
"2.5D factor" of the published source file:

    factor = argmin_f sum |f (image_j - image_root) - (joint_j - R)|^2  =  <image, joints> / <image, image>

that is, mm a pixel, such that the pose relative to its root comes nearest to the true one. How the published file's
factors were computed is in no published script; their authors call it the scale between pixels and the world. 1 / ratio
is the same but for the perspective within the person, a few per cent. The file's ``joints_2.5d_image`` is factor times
image; it is a pose in weak perspective, not the pose in camera axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.errors import DataError, ShapeError
from poseworks.core.shapes import expect_shape

Array = NDArray[np.float64]

HALF_BOX_MM = 1000.0


@dataclass(frozen=True, eq=False)
class ImageJoints:
    """Joints in image space, and what leads back from there.

    Attributes:
        joints: (..., J, 3) pixels.
        box: (..., 4) x0 y0 x1 y1 pixels: 2 m by 2 m about the root.
        root_depth: (...) mm.
    """

    joints: Array
    box: Array
    root_depth: Array


def camera_to_image(joints_mm: ArrayLike, focal: ArrayLike, centre: ArrayLike) -> ImageJoints:
    """Joints (..., J, 3) in mm in the axes of a camera, joint 0 the root, as published labels have them.

    Args:
        focal: (2,) or (..., 2): fx, fy in pixels.
        centre: likewise cx, cy.

    Raises:
        ShapeError: a shape does not fit. DataError: a joint is not in front of the camera.
    """
    joints = _array("joints_mm", joints_mm, "... J C=3")
    f, c = _cameras(joints.shape[:-2], focal, centre)
    if not (joints[..., 2] > 0).all():  # NaN as well
        raise DataError("joints_mm: expected positive depths (z, in mm away from the camera) in every frame and joint.")
    root = joints[..., 0, :]
    box = box_about(root, f, c)
    image = np.empty_like(joints)
    image[..., :2] = joints[..., :2] / joints[..., 2:] * f[..., None, :] + c[..., None, :]
    image[..., 2] = pixels_per_mm(box)[..., None] * (joints[..., 2] - root[..., 2:])
    return ImageJoints(image, box, root[..., 2].copy())


def image_to_camera(
    joints_image: ArrayLike, box: ArrayLike, root_depth: ArrayLike, focal: ArrayLike, centre: ArrayLike
) -> Array:
    """The inverse of `camera_to_image`: (..., J, 3) mm in the axes of the camera.

    Raises:
        ShapeError: a shape does not fit. DataError: a box has no width.
    """
    image = _array("joints_image", joints_image, "... J C=3")
    f, c = _cameras(image.shape[:-2], focal, centre)
    depth = _spread("root_depth", root_depth, image.shape[:-2])
    joints = np.empty_like(image)
    joints[..., 2] = image[..., 2] / pixels_per_mm(box)[..., None] + depth[..., None]
    joints[..., :2] = (image[..., :2] - c[..., None, :]) * joints[..., 2:] / f[..., None, :]
    return joints


def box_about(root_mm: ArrayLike, focal: ArrayLike, centre: ArrayLike) -> Array:
    """(..., 4) pixels: what 2 m by 2 m about the root (..., 3), facing the camera, look like."""
    root = _array("root_mm", root_mm, "... C=3")
    f, c = _cameras(root.shape[:-1], focal, centre)
    corners = [(root[..., :2] + shift) / root[..., 2:] * f + c for shift in (-HALF_BOX_MM, HALF_BOX_MM)]
    return np.concatenate(corners, axis=-1)


def pixels_per_mm(box: ArrayLike) -> Array:
    """(...) at the root's depth, of boxes (..., 4).

    Raises:
        ShapeError: not 4 numbers. DataError: a box has no width.
    """
    corners = _array("box", box, "... C=4")
    ratio: Array = (corners[..., 2] - corners[..., 0] + 1) / (2 * HALF_BOX_MM)
    if not (ratio > 0).all():
        raise DataError("box: expected x0 y0 x1 y1 in pixels with x1 > x0.")
    return ratio


def factor_25d(joints_image: ArrayLike, joints_mm: ArrayLike) -> Array:
    """(...) mm a pixel: the 2.5D factor, see above.

    Args:
        joints_image: (..., J, 3) pixels, joint 0 the root.
        joints_mm: (..., J, 3) the same joints in camera axes.

    Raises:
        ShapeError: the shapes differ. DataError: a pose is a single point.
    """
    image, joints = (
        _array(name, x, "... J C=3") for name, x in (("joints_image", joints_image), ("joints_mm", joints_mm))
    )
    if image.shape != joints.shape:
        raise ShapeError(f"joints_mm: expected {image.shape} as joints_image, got {joints.shape}.")
    image, joints = image - image[..., :1, :], joints - joints[..., :1, :]
    squared = (image * image).sum(axis=(-2, -1))
    if not (squared > 0).all():
        raise DataError("joints_image: a pose is a single point, or NaN; it has no scale.")
    factor: Array = (image * joints).sum(axis=(-2, -1)) / squared
    return factor


def _array(name: str, x: ArrayLike, pattern: str) -> Array:
    array = np.asarray(x, dtype=np.float64)
    expect_shape(name, array, pattern)
    return array


def _cameras(lead: tuple[int, ...], focal: ArrayLike, centre: ArrayLike) -> tuple[Array, Array]:
    """Both (..., 2), one a frame."""
    f, c = (_spread(name, x, (*lead, 2)) for name, x in (("focal", focal), ("centre", centre)))
    if not (f > 0).all():
        raise DataError("focal: expected positive focal lengths in pixels.")
    return f, c


def _spread(name: str, x: ArrayLike, shape: tuple[int, ...]) -> Array:
    try:
        return np.broadcast_to(np.asarray(x, dtype=np.float64), shape)
    except ValueError as error:
        raise ShapeError(f"{name}: expected {shape}, or what spreads over it, got {np.shape(x)}.") from error
