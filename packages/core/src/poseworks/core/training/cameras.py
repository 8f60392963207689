"""Random cameras before recorded motion: what own weights are trained and measured with.

A camera looks at a piece of motion from anywhere around it. It is pitched, stands 2.5 to 8 m away, and its focal length
(in image widths, "w") is such that the person fills a drawn share of the image, at a drawn place in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pydantic import BaseModel
from torch import Tensor

Range = tuple[float, float]


class CameraSampling(BaseModel, frozen=True, extra="forbid"):
    """What cameras are drawn from, uniformly.

    Attributes:
        pitch_deg: above 0 the camera looks down.
        roll_deg: standard deviation.
        distance_m: from the camera to the person.
        fill: share of the image's width or height that the person takes, whichever is larger.
        focal: least and largest, in image widths. Where the drawn share cannot be had with these, it is not.
        aspects: height over width of the image.
    """

    pitch_deg: Range = (-5.0, 25.0)
    roll_deg: float = 0.0
    distance_m: Range = (2.5, 8.0)
    fill: Range = (0.2, 0.9)
    focal: Range = (0.45, 3.5)
    aspects: tuple[float, ...] = (9 / 16, 3 / 4, 16 / 9)


@dataclass(frozen=True)
class View:
    """Motion as cameras see it, a camera a piece. Lengths in the image are in image widths.

    Attributes:
        joints: (B, T, J, 3) metres in camera axes.
        slopes: (B, T, J, 2) x / z and y / z of each joint; image x = focal * slope + 0.5.
        focal: (B,).
        aspect: (B,) height over width; the principal point is (0.5, aspect / 2).
    """

    joints: Tensor
    slopes: Tensor
    focal: Tensor
    aspect: Tensor


def draw_views(positions: Tensor, sampling: CameraSampling, generator: torch.Generator) -> View:
    """One random camera for each piece (B, T, J, 3) of motion, in metres with z up."""
    batch = len(positions)

    def uniform(low: float | Tensor, high: float | Tensor) -> Tensor:
        return low + (high - low) * torch.rand(batch, generator=generator)

    centre = positions[:, :, 0].mean(dim=1)[:, None, None]
    turn = _camera_axes(
        uniform(-math.pi, math.pi),
        torch.deg2rad(uniform(*sampling.pitch_deg)),
        math.radians(sampling.roll_deg) * torch.randn(batch, generator=generator),
    )
    about = (positions - centre) @ turn[:, None].mT
    aspects = torch.tensor(sampling.aspects)
    aspect = aspects[torch.randint(len(aspects), (batch,), generator=generator)]
    image = torch.stack([torch.ones_like(aspect), aspect], dim=-1)

    low, high = about[..., :2].amin(dim=(1, 2)), about[..., :2].amax(dim=(1, 2))  # metres across the line of sight
    per_metre = uniform(*sampling.fill) * (image / (high - low)).amin(dim=-1)  # focal / distance
    nearest = (sampling.focal[0] / per_metre).clamp(*sampling.distance_m)
    farthest = (sampling.focal[1] / per_metre).clamp(*sampling.distance_m)
    distance = uniform(nearest, farthest)
    focal = (per_metre * distance).clamp(*sampling.focal)

    scale = (focal / distance)[:, None]
    room = (image - scale * (high - low)).clamp(min=0)
    corner = room * torch.rand(batch, 2, generator=generator)  # where the box of the person begins
    slope = (corner - scale * low - image / 2) / focal[:, None]
    ray = torch.nn.functional.normalize(torch.cat([slope, torch.ones(batch, 1)], dim=-1), dim=-1)
    joints = about + (distance[:, None] * ray)[:, None, None]
    slopes = joints[..., :2] / joints[..., 2:].clamp(min=0.3)  # nobody reaches nearer to the camera
    return View(joints, slopes, focal, aspect)


def _camera_axes(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """(B, 3, 3): from a world with z up to camera axes (x right, y down, z away)."""
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    c, s = torch.cos(yaw), torch.sin(yaw)
    level = _rows((c, s, zero), (zero, zero, -one), (-s, c, zero))
    c, s = torch.cos(pitch), torch.sin(pitch)
    nod = _rows((one, zero, zero), (zero, c, -s), (zero, s, c))
    c, s = torch.cos(roll), torch.sin(roll)
    return _rows((c, -s, zero), (s, c, zero), (zero, zero, one)) @ nod @ level


def _rows(*rows: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
