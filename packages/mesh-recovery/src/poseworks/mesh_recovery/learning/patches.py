"""Parts of a picture replaced: self-mixing, soft and hard erasing, coarse and grid dropout.

All take a picture (H, W, 3) of uint8 and leave it as it is; what they give is a copy where something was changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from pydantic import BaseModel, Field

from poseworks.core.errors import ConfigError
from poseworks.mesh_recovery.crops import Image

ATTEMPTS = 100  # to find a patch that fits into the picture
REFERENCE_PX = 224  # sizes in pixels are for crops of this size, and grow with it

Share = tuple[float, float]


class ForSets(BaseModel, frozen=True, extra="forbid"):
    """An augmentation that may be for some data sets alone.

    Attributes:
        probability: with which a sample has it.
        data_sets: names of the sets whose samples have it; None: all.
    """

    probability: float = Field(0.5, ge=0, le=1)
    data_sets: tuple[str, ...] | None = None


class Mixing(ForSets, frozen=True, extra="forbid"):
    """A patch of the crop mixed with something: (1 - m) patch + m partner, m drawn from `mix`.

    Attributes:
        area: share of the crop.
        aspect: least height over width; the largest is its inverse. Drawn evenly in between.
        mix: m.
    """

    area: Share = (0.02, 0.4)
    aspect: float = Field(0.3, gt=0, le=1)
    mix: Share = (0.1, 0.9)


class HardErasing(ForSets, frozen=True, extra="forbid"):
    """A part of the person's box filled with noise, before the crop; sizes as in `Mixing`."""

    area: Share = (0.0, 0.7)
    aspect: float = Field(0.3, gt=0, le=1)


class CoarseDropout(ForSets, frozen=True, extra="forbid"):
    """Black rectangles.

    Attributes:
        holes: least and most.
        side_px: of each, in a crop of 224.
    """

    holes: tuple[int, int] = (1, 8)
    side_px: tuple[int, int] = (10, 40)


class GridDropout(ForSets, frozen=True, extra="forbid"):
    """Black squares in a grid that lies anyhow.

    Attributes:
        unit_px: from one to the next, in a crop of 224.
        ratio: side of a square over that.
    """

    unit_px: tuple[int, int] = (10, 40)
    ratio: float = Field(0.5, gt=0, lt=1)


class Patch(NamedTuple):
    """Rows and columns of a picture."""

    top: int
    left: int
    height: int
    width: int

    @property
    def inside(self) -> tuple[slice, slice]:
        """To index a picture with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def draw_patch(
    shape: Sequence[int], area: Share, aspect: float, rng: Generator, attempts: int = ATTEMPTS
) -> Patch | None:
    """A patch anywhere in a picture (H, W, ...), or None where none of the attempts fits.

    Args:
        shape: of the picture.
        area: least and largest share of it.
        aspect: least height over width.
        attempts: sizes that are drawn at most.
    """
    rows, columns = int(shape[0]), int(shape[1])
    for _ in range(attempts):
        height, width = _patch_size(rows * columns, area, aspect, rng)
        if 1 <= height <= rows and 1 <= width <= columns:
            return Patch(int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1)), height, width)
    return None


def _patch_size(whole: float, area: Share, aspect: float, rng: Generator) -> tuple[int, int]:
    """Height and width of sqrt(a r) and sqrt(a / r) pixels."""
    pixels = rng.uniform(*area) * whole
    ratio = rng.uniform(aspect, 1 / aspect)
    return round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))


def self_mix(image: Image, settings: Mixing, rng: Generator) -> Image:
    """The picture with one patch mixed with another of its patches."""
    patch = draw_patch(image.shape, settings.area, settings.aspect, rng)
    if patch is None:
        return image
    top = int(rng.integers(image.shape[0] - patch.height + 1))
    left = int(rng.integers(image.shape[1] - patch.width + 1))
    partner = image[Patch(top, left, patch.height, patch.width).inside]
    return _mixed(image, patch, partner, rng.uniform(*settings.mix))


def soft_erase(image: Image, settings: Mixing, rng: Generator) -> Image:
    """The picture with one patch mixed with noise."""
    patch = draw_patch(image.shape, settings.area, settings.aspect, rng)
    if patch is None:
        return image
    return _mixed(image, patch, noise((patch.height, patch.width), rng), rng.uniform(*settings.mix))


def hard_erase(image: Image, box: Sequence[float], settings: HardErasing, rng: Generator) -> Image:
    """The picture with a part of a box x, y, width, height turned to noise; as it is where that would not fit."""
    x, y, width, height = (float(number) for number in box)
    rows, columns = _patch_size(width * height, settings.area, settings.aspect, rng)
    left, top = int(x + rng.random() * (width - columns)), int(y + rng.random() * (height - rows))
    inside = left >= 0 and top >= 0 and left + columns < image.shape[1] and top + rows < image.shape[0]
    if not (inside and rows >= 1 and columns >= 1):
        return image
    erased = image.copy()
    erased[Patch(top, left, rows, columns).inside] = noise((rows, columns), rng)
    return erased


def drop_holes(image: Image, settings: CoarseDropout, rng: Generator) -> Image:
    """The picture with black rectangles."""
    dropped = image.copy()
    rows, columns = image.shape[:2]
    for _ in range(int(rng.integers(settings.holes[0], settings.holes[1] + 1))):
        height, width = (min(_in_crop(settings.side_px, rows, rng), size) for size in (rows, columns))
        top, left = int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1))
        dropped[Patch(top, left, height, width).inside] = 0
    return dropped


def drop_grid(image: Image, settings: GridDropout, rng: Generator) -> Image:
    """The picture with black squares in a grid."""
    unit = max(_in_crop(settings.unit_px, image.shape[0], rng), 2)
    side = min(max(round(unit * settings.ratio), 1), unit - 1)
    down, across = ((np.arange(size) + rng.integers(unit)) % unit < side for size in image.shape[:2])
    dropped = image.copy()
    dropped[down[:, None] & across] = 0
    return dropped


def noise(shape: tuple[int, int], rng: Generator) -> Image:
    """(H, W, 3) of any colours."""
    return rng.integers(0, 256, (*shape, 3), dtype=np.uint8)


def _mixed(image: Image, patch: Patch, partner: Image, m: float) -> Image:
    mixed = image.copy()
    mixed[patch.inside] = np.rint((1 - m) * image[patch.inside] + m * partner)
    return mixed


def _in_crop(pixels: tuple[int, int], size: int, rng: Generator) -> int:
    """Some pixels between two numbers that are meant for a crop of 224."""
    return max(round(int(rng.integers(pixels[0], pixels[1] + 1)) * size / REFERENCE_PX), 1)


def refuse_unknown_sets(settings: ForSets | None, name: str, known: Sequence[str]) -> None:
    """Nothing, unless the augmentation `name` is for sets that are not there.

    Raises:
        ConfigError: it is.
    """
    unknown = sorted(set((settings and settings.data_sets) or ()) - set(known))
    if unknown:
        raise ConfigError(
            f"augmentation.{name}.data_sets: {', '.join(unknown)}: not among the data sets ({', '.join(known)})."
        )
