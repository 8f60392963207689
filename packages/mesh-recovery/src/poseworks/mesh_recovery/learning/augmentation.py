"""Which augmentations a training has, and their order: those of the benchmark, section by section of its pipeline.

    before the crop   hard erasing of a part of the box; cut-outs in front of the person
    the crop          mirrored with probability 1/2; the side times clip(1 + 0.25 N, 0.75, 1.25); turned by
                      clip(30 N, -60, 60) degrees, or not at all; moved to a part of the person (random crop)
    after it          noise of channels, photometric distortion, self-mixing, soft erasing, dropouts

N is normal. Noise of channels is published before the crop; the order shows only where a pixel saturates. Everything
beside the noise and the crop is off unless it is asked for, and may be for some of the mixed data sets alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from poseworks.core.cameras import crop_transform
from poseworks.mesh_recovery.crops import REFERENCE_PX, Image, Preparation, crop_pixels, warp
from poseworks.mesh_recovery.learning.colours import Photometric, distort, scale_channels
from poseworks.mesh_recovery.learning.occlusion import Occlusion, expect_occluders, occlude
from poseworks.mesh_recovery.learning.patches import (
    CoarseDropout,
    ForSets,
    GridDropout,
    HardErasing,
    Mixing,
    drop_grid,
    drop_holes,
    hard_erase,
    refuse_unknown_sets,
    self_mix,
    soft_erase,
)

Array = NDArray[np.float64]

# SPIN's labels are cut to whole pixels and then counted from 1: half a pixel on average, here added to all.
_PIXELS_SHIFT = 0.5


class RandomCrop(ForSets, frozen=True, extra="forbid"):
    """A part of the box: its side times `side`, anywhere along the picture's y."""

    probability: float = 0.8
    side: float = Field(0.6, gt=0, le=1)


class Augmentation(BaseModel, frozen=True, extra="forbid"):
    """What is done to a sample. The defaults are the toolbox's base pipeline (HMR, PARE).

    Attributes:
        channel_noise: n; each channel times 1 - n to 1 + n.
        flip: probability.
        scale: standard deviation of the factor on the box's side, which is at most that far from 1.
        rotation_deg: standard deviation; at most twice that.
        rotation_probability: 0.6; SPIN, GraphCMR and Graphormer have 0.4.
    """

    channel_noise: float = Field(0.4, ge=0, le=1)
    flip: float = Field(0.5, ge=0, le=1)
    scale: float = Field(0.25, ge=0, lt=1)
    rotation_deg: float = Field(30.0, ge=0)
    rotation_probability: float = Field(0.6, ge=0, le=1)
    self_mixing: Mixing | None = None
    soft_erasing: Mixing | None = None
    hard_erasing: HardErasing | None = None
    coarse_dropout: CoarseDropout | None = None
    grid_dropout: GridDropout | None = None
    photometric: Photometric | None = None
    random_crop: RandomCrop | None = None
    occlusion: Occlusion | None = None


NOT_AUGMENTED = Augmentation(channel_noise=0, flip=0, scale=0, rotation_probability=0)
"""The crop alone."""


@dataclass(frozen=True, eq=False)
class Cropped:
    """A crop and how it was made.

    Attributes:
        image: (R, R, 3) uint8.
        matrix: (2, 3) pixels of the picture -> pixels of the crop.
        flipped: mirrored,
        rotation_deg: and then turned anticlockwise.
    """

    image: Image
    matrix: Array
    flipped: bool
    rotation_deg: float


@dataclass(frozen=True)
class Geometry:
    """Which square of the picture is cropped: centre x, y, its side, mirrored, then turned."""

    x: float
    y: float
    side: float
    flipped: bool = False
    rotation_deg: float = 0.0


class Augmenter:
    """Crops pictures as the settings and the network's preparation say."""

    def __init__(self, settings: Augmentation, preparation: Preparation, data_sets: Sequence[str]) -> None:
        """For the data sets of these names, in the order in which they are numbered.

        Raises:
            ConfigError: an augmentation is for a set that is not there.
            DataError: the file of cut-outs is not there or cannot be read.
        """
        self.settings, self.preparation, self.data_sets = settings, preparation, tuple(data_sets)
        for name in Augmentation.model_fields:
            value = getattr(settings, name)
            refuse_unknown_sets(value if isinstance(value, ForSets) else None, name, self.data_sets)
        self._cut_outs = expect_occluders(settings.occlusion)

    def __call__(self, image: Image, square: Array, keypoints: Array, data_set: int, rng: Generator) -> Cropped:
        """One sample's crop.

        Args:
            image: (H, W, 3) uint8.
            square: (3,) centre x, y and side of the person's box.
            keypoints: (N, 2) of those that can be seen, in the picture.
            data_set: which of the sets it is from.
            rng: all randomness.
        """
        settings, name = self.settings, self.data_sets[data_set]
        if settings.hard_erasing is not None and _wanted(settings.hard_erasing, name, rng):
            x, y, side = square.tolist()
            image = hard_erase(image, (x - side / 2, y - side / 2, side, side), settings.hard_erasing, rng)
        if settings.occlusion is not None and _wanted(settings.occlusion, name, rng):
            image = occlude(image, keypoints, float(square[2]), settings.occlusion, self._cut_outs, rng)
        cropped = crop(image, self._draw(square, name, rng), self.preparation)
        return Cropped(self._after(cropped.image, name, rng), cropped.matrix, cropped.flipped, cropped.rotation_deg)

    def _draw(self, square: Array, name: str, rng: Generator) -> Geometry:
        settings = self.settings
        x, y, side = square.tolist()
        flipped = bool(rng.random() < settings.flip)
        factor = np.clip(1 + settings.scale * rng.standard_normal(), 1 - settings.scale, 1 + settings.scale)
        turned = rng.random() < settings.rotation_probability
        limit = 2 * settings.rotation_deg
        rotation = float(np.clip(settings.rotation_deg * rng.standard_normal(), -limit, limit)) if turned else 0.0
        if settings.random_crop is not None and _wanted(settings.random_crop, name, rng):
            y += (rng.random() - 0.5) * (1 - settings.random_crop.side) * side
            side *= settings.random_crop.side
        return Geometry(x, y, side * float(factor), flipped, rotation)

    def _after(self, image: Image, name: str, rng: Generator) -> Image:
        settings = self.settings
        if settings.channel_noise:
            image = scale_channels(image, settings.channel_noise, rng)
        if settings.photometric is not None and _of_set(settings.photometric, name):
            image = distort(image, settings.photometric, rng)
        if settings.self_mixing is not None and _wanted(settings.self_mixing, name, rng):
            image = self_mix(image, settings.self_mixing, rng)
        if settings.soft_erasing is not None and _wanted(settings.soft_erasing, name, rng):
            image = soft_erase(image, settings.soft_erasing, rng)
        if settings.coarse_dropout is not None and _wanted(settings.coarse_dropout, name, rng):
            image = drop_holes(image, settings.coarse_dropout, rng)
        if settings.grid_dropout is not None and _wanted(settings.grid_dropout, name, rng):
            image = drop_grid(image, settings.grid_dropout, rng)
        return image


def crop(image: Image, geometry: Geometry, preparation: Preparation) -> Cropped:
    """A crop without changes of colour.

    SPIN's crop turns first and mirrors then; mirroring exchanges the senses of turning, so that it turns the other way.
    """
    size = preparation.size
    x, y, side, flipped, rotation = geometry.x, geometry.y, geometry.side, geometry.flipped, geometry.rotation_deg
    if preparation.crop == "affine":
        center = (image.shape[1] - 1 - x if flipped else x, y)
        matrix = crop_transform(center, side, rotation, size)
        if flipped:
            matrix = _after_mirror(matrix, image.shape[1] - 1)
        return Cropped(warp(image, matrix, size), matrix, flipped, rotation)
    before = -rotation if flipped else rotation
    picture = crop_pixels(image, (x, y), side / REFERENCE_PX, size, before)
    matrix = crop_transform((x, y), side, before, size)
    matrix[:, 2] += _PIXELS_SHIFT
    if flipped:
        picture = np.ascontiguousarray(picture[:, ::-1])
        matrix[0] = -matrix[0]
        matrix[0, 2] += size
    return Cropped(picture, matrix, flipped, rotation)


def _after_mirror(matrix: Array, last: int) -> Array:
    """The transform of a picture mirrored first; `last` is the number of its last column."""
    mirrored = matrix * (-1, 1, 1)
    mirrored[:, 2] += matrix[:, 0] * last
    return mirrored


def _of_set(settings: ForSets, name: str) -> bool:
    return settings.data_sets is None or name in settings.data_sets


def _wanted(settings: ForSets, name: str, rng: Generator) -> bool:
    return _of_set(settings, name) and bool(rng.random() < settings.probability)
