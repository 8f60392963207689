"""Keypoints of one person: BlazePose's landmark network (Bazarevsky et al. 2020, sec. 2.3).

    region -> 256 x 256, edge repeated outside, RGB / 255 -> 39 points, presence of a person, heatmaps 64 x 64, world
    -> points moved to the centre of mass of their heatmap nearby -> back to the image

Points 0-32 are BlazePose's keypoints; 33 and 34 are the hip centre and the rim of the circle around the body, which
make the region of the next frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseworks.keypoints.region import Floats, Image, Region, sample, turn
from poseworks.keypoints.sessions import Network

NUM_KEYPOINTS = 33
SIZE = 256
MIN_PRESENCE = 0.5

_POINTS = 39
_GRID = 64
_REACH = 4  # cells on each side: a window of 9
_MIN_PEAK = 0.5


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What the network says of one region.

    Attributes:
        presence: 0..1, that there is a person.
        keypoints: (33, 2) pixels of the image.
        visibility: (33,) 0..1.
        world: (33, 3) metres about the hips, as the network guesses them: x right, y down, z away from the camera.
        circle: (2, 2) pixels: the hip centre and the rim, for the next region.
    """

    presence: float
    keypoints: Floats
    visibility: Floats
    world: Floats
    circle: Floats


class LandmarkNetwork:
    """The landmark network with what stands before and behind it."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def __call__(self, image: Image, region: Region) -> Landmarks:
        """Landmarks of the person in a region of an image (H, W, 3)."""
        samples = sample(image, region, SIZE, "replicate")
        names = ("landmarks", "presence", "heatmap", "world")
        samples /= np.float32(255)
        outputs = self.network.run(samples, names)
        values = outputs["landmarks"].reshape(_POINTS, 5)
        heatmaps = outputs["heatmap"].reshape(_POINTS, _GRID, _GRID)
        pixels = region.to_image(refine(values[:, :2] / np.float32(SIZE), heatmaps))
        return Landmarks(
            presence=float(outputs["presence"].reshape(())),
            keypoints=pixels[:NUM_KEYPOINTS],
            visibility=sigmoid(values[:NUM_KEYPOINTS, 3]),
            world=turn(outputs["world"].reshape(_POINTS, 3)[:NUM_KEYPOINTS], region.angle),
            circle=pixels[NUM_KEYPOINTS : NUM_KEYPOINTS + 2],
        )


def refine(points: Floats, heatmaps: Floats) -> Floats:
    """Points (K, 2) in shares of the square, each moved to the centre of mass of its heatmap (K, n, n) around it.

    The mass is the sigmoid in a window of 9 x 9 cells, cut at the edge; where its largest value is below 0.5, or the
    point lies outside the map, the point stays. (With 7 x 7 keypoints differ from the original's by 0.6 px in the
    median, with 9 x 9 by 0.01 px where the crop is the same to the bit.)
    """
    _, rows, columns = heatmaps.shape
    cells = np.floor(points * (columns, rows)).astype(int)
    x, y = (cells[:, axis, None] + np.arange(-_REACH, _REACH + 1) for axis in (0, 1))  # (K, 9) each
    inside_x, inside_y = (x >= 0) & (x < columns), (y >= 0) & (y < rows)
    near = np.take_along_axis(heatmaps, np.clip(y, 0, rows - 1)[:, :, None], axis=1)
    near = np.take_along_axis(near, np.clip(x, 0, columns - 1)[:, None, :], axis=2)  # (K, 9, 9)
    mass = sigmoid(near) * (inside_y[:, :, None] & inside_x[:, None, :])
    at_point = inside_x[:, _REACH] & inside_y[:, _REACH]
    moved = at_point & (mass.max(axis=(1, 2)) >= _MIN_PEAK)
    mass = mass[moved]
    total = mass.sum(axis=(1, 2))
    refined = points.copy()
    refined[moved, 0] = (mass.sum(axis=1) * x[moved]).sum(axis=1) / total / columns
    refined[moved, 1] = (mass.sum(axis=2) * y[moved]).sum(axis=1) / total / rows
    return refined


def sigmoid(x: NDArray[np.floating]) -> Floats:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), dtype=np.float32)
