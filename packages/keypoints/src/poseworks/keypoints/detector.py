"""People in a whole frame: BlazePose's detector (Bazarevsky et al. 2020, sec. 2.2; SSD: Liu et al. 2016, sec. 2).

    frame -> square with black outside, n x n, RGB / 127.5 - 1 -> for each anchor: box, four keypoints, score
    -> sigmoid(score) >= 0.5 -> overlapping boxes blended by their scores

The network is fully convolutional and was made for n = 224; a larger n finds smaller people.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from poseworks.keypoints.region import Floats, Image, Region, around, region_of, sample
from poseworks.keypoints.sessions import Network

NEAR, FAR = 224, 448
"""Input sizes: `NEAR` finds people from about a third of the image's long side on, `FAR` from about a sixth."""

_GRIDS = ((8, 2), (16, 2), (32, 6))  # stride in network pixels, anchors in each cell
_MIN_SCORE = 0.5
_MIN_IOU = 0.3
_LARGEST_LOGIT = 100.0


@dataclass(frozen=True)
class Detection:
    """A person that the detector sees.

    Attributes:
        score: 0..1.
        box: (4,) x and y of the centre, width and height of head and upper body, pixels.
        keypoints: (4, 2) pixels: hip centre, rim of the circle around the whole body, shoulder centre, rim of the
            circle around the upper body.
    """

    score: float
    box: Floats
    keypoints: Floats

    @property
    def region(self) -> Region:
        """Where the landmark network should look."""
        return region_of(self.keypoints[0], self.keypoints[1])


class Detector:
    """The detector network with what stands before and behind it."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def __call__(self, image: Image, size: int = NEAR) -> list[Detection]:
        """People in an image (H, W, 3), the surest first; `size` is a multiple of 32."""
        height, width = image.shape[:2]
        whole = around(width, height)
        samples = sample(image, whole, size, "black")
        np.rint(samples, out=samples)  # the original shows its detector an 8-bit image
        samples /= np.float32(127.5)
        samples -= 1
        outputs = self.network.run(samples, ("boxes", "scores"))
        points, scores = decode(outputs["boxes"][0], outputs["scores"][0, :, 0], size)
        return [_in_image(blended, score, whole) for blended, score in weighted_nms(points, scores)]


@cache
def anchor_centres(size: int) -> Floats:
    """(A, 2) centres of the anchors in shares of the square: grid by grid, row by row; every anchor has size 1."""
    grids: list[Floats] = []
    for stride, per_cell in _GRIDS:
        n = size // stride
        ticks = (np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(n)
        x, y = np.meshgrid(ticks, ticks)
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), per_cell, axis=0))
    centres = np.concatenate(grids)
    centres.flags.writeable = False
    return centres


def decode(values: Floats, logits: Floats, size: int) -> tuple[Floats, Floats]:
    """Candidates above the score threshold: points (N, 6, 2) in shares of the square, and scores (N,).

    Args:
        values: (A, 12) in network pixels: box centre, box size, four keypoints; all but the size from the anchor.
        logits: (A,) scores before the sigmoid.
        size: of the network's input.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    kept = np.flatnonzero(scores >= _MIN_SCORE)
    points: Floats = (values[kept] / np.float32(size)).reshape(len(kept), 6, 2)
    points[:, [0, 2, 3, 4, 5]] += anchor_centres(size)[kept, None]
    return points, scores[kept].astype(np.float32)


def weighted_nms(points: Floats, scores: Floats) -> list[tuple[Floats, float]]:
    """One (6, 2) mean, weighted by score, of each cluster of overlapping boxes, with the best score in it.

    From the best candidate on: those whose box shares more than 0.3 (intersection over union) with it are its
    cluster (Bazarevsky et al. 2019, BlazeFace, sec. 3.4).
    """
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    low, high = points[:, 0] - points[:, 1] / 2, points[:, 0] + points[:, 1] / 2
    area = np.prod(np.maximum(high - low, 0), axis=1)
    left = np.ones(len(scores), dtype=bool)
    found = []
    while left.any():
        best = int(np.argmax(left))
        shared = np.prod(np.clip(np.minimum(high, high[best]) - np.maximum(low, low[best]), 0, None), axis=1)
        cluster = left & (shared > _MIN_IOU * (area + area[best] - shared))
        cluster[best] = True
        weights = scores[cluster, None, None]
        blended: Floats = (points[cluster] * weights).sum(axis=0) / weights.sum()
        found.append((blended, float(scores[best])))
        left &= ~cluster
    return found


def _in_image(points: Floats, score: float, whole: Region) -> Detection:
    """A blended candidate (6, 2) in pixels of the image."""
    pixels = whole.to_image(points)
    size = points[1] * np.float32(whole.side)
    return Detection(score, np.concatenate([pixels[0], size]), pixels[2:])
