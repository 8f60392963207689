"""Colours of a picture changed: noise of whole channels, and photometric distortion. Pictures are (H, W, 3), uint8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from poseworks.mesh_recovery.crops import Image
from poseworks.mesh_recovery.learning.patches import ForSets

Colours = NDArray[np.float32]


class Photometric(ForSets, frozen=True, extra="forbid"):
    """Brightness, contrast, saturation and hue, each changed with `probability`.

    Attributes:
        brightness: added, at most, to numbers of 0 to 255.
        contrast: least and largest factor.
        saturation: least and largest factor.
        hue_deg: added, at most.
    """

    brightness: float = Field(32.0, ge=0)
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue_deg: float = Field(18.0, ge=0, le=180)


def scale_channels(image: Image, spread: float, rng: Generator) -> Image:
    """The picture with each channel times a number of 1 - spread to 1 + spread, saturating."""
    return _bytes(image * rng.uniform(1 - spread, 1 + spread, 3).astype(np.float32))


def distort(image: Image, settings: Photometric, rng: Generator) -> Image:
    """The picture in other light: brightness, then saturation and hue, and contrast before or after these."""
    changes = rng.random(4) < settings.probability
    shift, factor = rng.uniform(-settings.brightness, settings.brightness), rng.uniform(*settings.contrast)
    saturation, hue = rng.uniform(*settings.saturation), rng.uniform(-settings.hue_deg, settings.hue_deg)
    contrast_last = rng.random() < 0.5
    colours = image.astype(np.float32)
    if changes[0]:
        colours = np.clip(colours + np.float32(shift), 0, 255)
    if changes[1] and not contrast_last:
        colours = np.clip(colours * np.float32(factor), 0, 255)
    if changes[2] or changes[3]:
        colours = _recoloured(colours, saturation if changes[2] else 1.0, hue if changes[3] else 0.0)
    if changes[1] and contrast_last:
        colours = colours * np.float32(factor)
    return _bytes(colours)


def _recoloured(colours: Colours, saturation: float, hue_deg: float) -> Colours:
    """RGB of 0 to 255 with saturation and hue of the HSV model changed.

    With V the largest channel, C = V - the smallest and h in sixths of the circle, a channel is V - C clip(|...|); a
    factor on the saturation C / V is one on C.
    """
    value, least = colours.max(axis=2), colours.min(axis=2)
    chroma = value - least
    r, g, b = np.moveaxis(colours, 2, 0)
    divisor = np.where(chroma > 0, chroma, 1)
    sixth = np.where(value == r, (g - b) / divisor, np.where(value == g, 2 + (b - r) / divisor, 4 + (r - g) / divisor))
    sixth = sixth + np.float32(hue_deg / 60)
    chroma = np.minimum(chroma * np.float32(saturation), value)
    place = (np.array([5, 3, 1], np.float32) + sixth[..., None]) % 6
    changed: Colours = value[..., None] - chroma[..., None] * np.clip(np.minimum(place, 4 - place), 0, 1)
    return changed


def _bytes(colours: NDArray[Any]) -> Image:
    image: Image = np.rint(colours).clip(0, 255).astype(np.uint8)
    return image
