"""How keypoints in pixels enter a network, and how its answer becomes joints in the axes of the camera.

Three forms:

    image   as published (`h36m.normalize`): x' = 2 x / w - 1, y' = 2 y / w - h / w, and the confidence. The answer is
            joints in half image widths, z relative to the root.
    ray     as our own weights expect it where the focal length is known. With r_j = (slope in x, slope in y, 1) of
            joint j's ray, and R the turn of a camera without roll that puts the rays' mean direction onto its axis:

                s_j = (R r_j)_xy / (R r_j)_z         m, q  mean and root mean square distance of the s_j
                input = ((s_j - m) / q, 5 q)         0, 0, 0 for a joint that was not observed
                joints = R^T unit_m (y_j - y_root)   of the network's answer y

            So neither the image's size nor the person's place in it matters to the network, only the shape of what is
            seen along the line of sight, and how large it appears: q tells how strong the perspective is.
    box     as our own weights expect it where the focal length is not known. With the pixels p_j themselves in place of
            s_j: input = ((p_j - m) / q, 1). What the network sees is the person's picture alone, wherever it is in
            the image and whatever lies around. R is that of a typical focal length: it merely turns the answer.

They work frame by frame, so windows and streams may be cut anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, PositiveFloat
from torch import Tensor

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.shapes import expect_shape
from poseworks.lifting.h36m import normalize

Array = NDArray[np.float64]

ROOT = 0  # the pelvis of h36m17
_SIZE_FACTOR = 5.0  # brings the apparent size of people near 1
_LEAST_SIZE = 1e-6  # of a person seen as one point


class Preparation(BaseModel, frozen=True, extra="forbid"):
    """What weights expect of their input and what their output means; saved beside them.

    Attributes:
        form: ``image`` or ``ray``, see above.
        unit_m: ray, box: metres that 1 of the output stands for, for a person of the training data's height.
        assumed_focal: ray, box: the focal length, in shares of the image's longer side, that stands for one that is not
            known; None: the weights need a known one.
        fps: frame rate of the training data; None: single frames.
        noise: the noise of the keypoints that the weights were made for, in words.
    """

    form: Literal["image", "ray", "box"] = "image"
    unit_m: PositiveFloat = 1.0
    assumed_focal: PositiveFloat | None = None
    fps: PositiveFloat | None = None
    noise: str | None = None


PUBLISHED = Preparation()
"""What original checkpoints expect."""


@dataclass(frozen=True)
class Prepared:
    """Keypoints as a network takes them.

    Attributes:
        x: (T, 17, 3) float32: x, y, and confidence (image) or apparent size (ray).
        restore: the network's answer (T, 17, 3) as joints (T, 17, 3) in the axes of the camera (x right, y down, z
            away), relative to the root: in metres of a person of the training data (ray), or half image widths.
    """

    x: Tensor
    restore: Callable[[ArrayLike], Array]


def prepare(
    preparation: Preparation,
    pixels: ArrayLike,
    confidence: ArrayLike,
    image_size: tuple[int, int],
    camera: Pinhole | None = None,
) -> Prepared:
    """The input of a network, and the way back.

    Args:
        preparation: of the network.
        pixels: (T, 17, 2) keypoints in the order of h36m17; NaN = not observed, which the form image refuses.
        confidence: (T, 17), of the form image alone.
        image_size: (width, height) in pixels.
        camera: for the forms ray and box; None: one with the assumed focal length.

    Raises:
        ShapeError: other shapes.
        ConfigError: the weights need a focal length.
        DataError: form image: a joint is missing; ray, box: nothing of the person is seen in a frame.
    """
    points = np.asarray(pixels, dtype=np.float64)
    frames = expect_shape("pixels", points, "T J=17 C=2", fix="Convert the skeleton to h36m17 first.")["T"]
    expect_shape("confidence", np.asarray(confidence), f"T={frames} J=17", fix="One number a keypoint.")
    observed = np.asarray(np.isfinite(points).all(axis=-1))
    if preparation.form == "image":
        if not observed.all():
            frame, joint = np.argwhere(~observed)[0]
            raise DataError(f"pixels: frame {frame} lacks joint {joint}, which these weights need. Fill gaps first.")
        scaled = normalize(points, *image_size)
        together = np.concatenate([scaled, np.asarray(confidence, dtype=np.float64)[..., None]], axis=-1)
        return Prepared(torch.from_numpy(together.astype(np.float32)), _root_relative)
    if not observed.any(axis=-1).all():
        raise DataError(f"pixels: frame {int(np.argmin(observed.any(axis=-1)))} has no keypoints. Leave it out.")
    camera = camera or _typical(preparation, image_size)
    rays = torch.from_numpy(camera.rays(np.where(observed[..., None], points, 0.0)))
    seen = torch.from_numpy(observed)
    x, turn = ray_input(rays, seen)
    if preparation.form == "box":
        x = box_input(rays[..., :2], seen)
    back = turn.numpy()

    def restore(y: ArrayLike) -> Array:
        joints: Array = preparation.unit_m * _root_relative(y) @ back
        return joints

    return Prepared(x.float(), restore)


def ray_input(rays: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """The form ray: input (..., J, 3) and the turn R (..., 3, 3), from camera axes to those of the turned camera.

    Args:
        rays: (..., J, 3) with z = 1; anything finite where not observed.
        observed: (..., J) bool, at least one a frame.
    """
    weight = observed.to(rays.dtype)[..., None]
    turn = _turn((torch.nn.functional.normalize(rays, dim=-1) * weight).sum(dim=-2))
    turned = rays @ turn.mT
    slopes = turned[..., :2] / turned[..., 2:].clamp(min=1e-3)  # beyond a right angle from the axis: none in practice
    shape, size = _shape_and_size(slopes, weight)
    return torch.cat([shape, _SIZE_FACTOR * size * weight], dim=-1), turn


def box_input(points: Tensor, observed: Tensor) -> Tensor:
    """The form box: input (..., J, 3) of points (..., J, 2) in any unit, as in `ray_input`."""
    weight = observed.to(points.dtype)[..., None]
    return torch.cat([_shape_and_size(points, weight)[0], weight], dim=-1)


def _shape_and_size(points: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Points (..., J, 2) about their mean, of mean square distance 1, and their size (..., 1, 1) before."""
    count = weight.sum(dim=-2, keepdim=True)
    centred = (points - (points * weight).sum(dim=-2, keepdim=True) / count) * weight
    size = (centred.square().sum(dim=(-2, -1), keepdim=True) / count).sqrt().clamp(min=_LEAST_SIZE)
    return centred / size, size


def _turn(direction: Tensor) -> Tensor:
    """Rows are the axes of a camera without roll that looks along `direction` (..., 3)."""
    z = torch.nn.functional.normalize(direction, dim=-1)
    down = torch.tensor([0.0, 1.0, 0.0], dtype=z.dtype, device=z.device).expand_as(z)
    x = torch.nn.functional.normalize(torch.linalg.cross(down, z), dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], dim=-2)


def _typical(preparation: Preparation, image_size: tuple[int, int]) -> Pinhole:
    if preparation.assumed_focal is None:
        raise ConfigError("camera: these weights need the focal length of the camera. State it, or use other weights.")
    return Pinhole.from_focal(preparation.assumed_focal * max(image_size), image_size)


def _root_relative(y: ArrayLike) -> Array:
    joints = np.asarray(y, dtype=np.float64)
    relative: Array = joints - joints[..., ROOT : ROOT + 1, :]
    return relative
