"""What makes rendered pictures differ: clothes painted on the free body, light, and what is behind the person.

Everything is drawn from a generator. Colours are red, green, blue in 0..1; the places of hems and hair are metres on
the free body at rest (T-pose, y up, facing +z).
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch.nn import functional as F

from poseworks.core.rendering import Light
from poseworks.mesh_recovery.crops import Image
from poseworks.mesh_recovery.learning.occlusion import made_up, paste, resized

Array = NDArray[np.float64]
Colors = NDArray[np.float32]

_PALE = 3.0  # of what is behind people
_NECK, _HEAD = 12, 15  # joints of the tree
_FEET = (7, 8, 10, 11)
_SKIN_TONES = ((0.96, 0.80, 0.69), (0.87, 0.67, 0.53), (0.70, 0.48, 0.35), (0.48, 0.31, 0.21), (0.28, 0.18, 0.13))
_HAIR_TONES = ((0.06, 0.05, 0.05), (0.20, 0.13, 0.08), (0.42, 0.27, 0.14), (0.75, 0.60, 0.35), (0.60, 0.60, 0.60))


class Wardrobe:
    """Paints clothes on the vertices of the free body."""

    def __init__(self, template: Array, weights: Array) -> None:
        """For vertices (V, 3) at rest with skinning weights (V, 24)."""
        self._rest = template
        part = weights.argmax(axis=1)
        self._head = np.isin(part, (_NECK, _HEAD))
        self._foot = np.isin(part, _FEET)

    def dress(self, rng: Generator) -> Colors:
        """(V, 3): skin, hair, a top with sleeves, trousers or a skirt's colour down to a hem, shoes."""
        x, y, z = self._rest.T
        colors = np.broadcast_to(_between(_SKIN_TONES, rng), self._rest.shape).copy()
        hem = rng.uniform(-0.32, -0.12)
        sleeve = rng.choice((0.2, 0.3, 0.42, 0.6, 0.69)) + rng.uniform(-0.03, 0.03)
        leg = rng.choice((-0.55, -0.72, -1.0, -1.14)) + rng.uniform(-0.05, 0.05)
        neckline = rng.uniform(0.19, 0.25)
        top = ~self._head & (np.abs(x) < sleeve) & (y > hem) & (y < neckline)
        bottom = (np.abs(x) < 0.4) & (y <= hem) & (y > leg)
        first = fabric(self._rest, rng)
        colors[top] = first[top]
        colors[bottom] = (first if rng.random() < 0.15 else fabric(self._rest, rng))[bottom]
        if rng.random() < 0.9:
            shoe = self._foot & (y < rng.uniform(-1.16, -1.06))
            colors[shoe] = any_color(rng)
        if rng.random() < 0.95:
            length, front = rng.uniform(0.28, 0.40), rng.uniform(0.02, 0.10)
            hair = self._head & ((y > rng.uniform(0.42, 0.46)) | ((z < front) & (y > length)))
            colors[hair] = _between(_HAIR_TONES, rng)
        return colors.astype(np.float32)


def fabric(places: Array, rng: Generator) -> Array:
    """(N, 3): one colour, or two in stripes or spots, at places (N, 3) in metres."""
    first = any_color(rng)
    kind = rng.random()
    if kind < 0.45:
        return np.broadcast_to(first, places.shape).copy()
    second, waves = any_color(rng), rng.uniform(20, 90)
    direction = rng.standard_normal(3) * (0.3, 1.0, 0.3)
    phase = places @ (direction / np.linalg.norm(direction)) * waves
    if kind < 0.75:
        share = np.sin(phase) > rng.uniform(-0.6, 0.6)
    else:
        share = np.sin(places * waves + rng.uniform(0, 6, 3)).sum(axis=1) > rng.uniform(0, 1)
    return np.where(share[:, None], first, second)


def any_color(rng: Generator, pale: float = 1.5) -> Array:
    """(3,): any hue; the larger `pale`, the more of them are nearly grey."""
    return np.array(colorsys.hsv_to_rgb(rng.random(), rng.random() ** pale, rng.uniform(0.08, 1.0)))


def _between(tones: Sequence[tuple[float, float, float]], rng: Generator) -> Array:
    """A tone between two neighbours of a row."""
    place = rng.uniform(0, len(tones) - 1)
    first = int(place)
    mixed: Array = np.array(tones[first]) + (place - first) * (np.array(tones[first + 1]) - tones[first])
    return mixed


def any_light(rng: Generator) -> Light:
    """Light from above or the sides, of a slight tint, harsh or soft."""
    around, height = rng.uniform(-math.pi, math.pi), rng.uniform(-0.2, 1.2)
    direction = (math.cos(height) * math.sin(around), -math.sin(height), -math.cos(height) * math.cos(around))
    ambient = rng.uniform(0.2, 0.7)
    red, green, blue = 1 + rng.uniform(-0.15, 0.05, 3)
    return Light(direction, ambient, rng.uniform(0.9, 1.2) - ambient, (red, green, blue))


def any_background(size: int, rng: Generator) -> Image:
    """(size, size, 3): a gradient, a floor, cloudy stains and a few shapes."""
    y, x = np.mgrid[0:size, 0:size] / size
    angle = rng.uniform(0, 2 * math.pi)
    along = (math.cos(angle) * x + math.sin(angle) * y)[..., None]
    picture = any_color(rng, _PALE) + along * (any_color(rng, _PALE) - any_color(rng, _PALE)) * rng.random()
    if rng.random() < 0.6:
        horizon = rng.uniform(0.4, 0.95)
        floor = any_color(rng, _PALE) * (0.7 + 0.3 * y[..., None])
        picture = np.where(y[..., None] > horizon + rng.uniform(-0.2, 0.2) * (x[..., None] - 0.5), floor, picture)
    picture = picture + rng.uniform(0, 0.2) * clouds(size, rng)
    image: Image = np.rint(255 * picture.clip(0, 1)).astype(np.uint8)
    for _ in range(int(rng.integers(0, 6))):
        paste(image, resized(made_up(rng), size / 256 * rng.uniform(0.3, 1.5)), rng.random(2) * size)
    return image


def clouds(size: int, rng: Generator) -> Array:
    """(size, size, 3): noise of mean 0 and about unit spread, of coarse and fine grain."""
    total = torch.zeros(1, 3, size, size, dtype=torch.float64)
    for cells in (3, 7, 19, 61):
        grains = torch.from_numpy(rng.standard_normal((1, int(rng.integers(1, 3)), cells, cells)))
        total += F.interpolate(grains, (size, size), mode="bilinear").mean(dim=1, keepdim=True) * rng.random()
    stains: Array = (total + 0.3 * torch.from_numpy(rng.standard_normal((1, 3, 1, 1))))[0].permute(1, 2, 0).numpy()
    return stains


def part_of(picture: Image, size: int, rng: Generator) -> Image:
    """(size, size, 3): a square of a photo, of any place and scale."""
    side = int(rng.uniform(0.4, 1.0) * min(picture.shape[:2]))
    top, left = (int(rng.integers(length - side + 1)) for length in picture.shape[:2])
    square = torch.from_numpy(picture[top : top + side, left : left + side].copy()).permute(2, 0, 1)[None].float()
    scaled = F.interpolate(square, (size, size), mode="bilinear", antialias=True)[0].permute(1, 2, 0)
    image: Image = scaled.round().clamp(0, 255).to(torch.uint8).contiguous().numpy()
    return image


def as_by_a_camera(image: Image, rng: Generator) -> Image:
    """The picture a little out of focus now and then, with the noise of a sensor and another exposure."""
    colours = image.astype(np.float32)
    if rng.random() < 0.4:
        size, factor = len(image), rng.uniform(0.4, 0.9)
        channels = torch.from_numpy(colours).permute(2, 0, 1)[None]
        small = F.interpolate(channels, scale_factor=factor, mode="bilinear", antialias=True)
        colours = F.interpolate(small, (size, size), mode="bilinear")[0].permute(1, 2, 0).numpy()
    exposed = 255 * (colours / 255) ** rng.uniform(0.7, 1.4) + rng.normal(0, rng.uniform(0, 8), colours.shape)
    taken: Image = np.rint(exposed).clip(0, 255).astype(np.uint8)
    return taken
