"""Heatmap volumes drawn keypoint by keypoint in Python loops, as the original tools do: a yardstick for speed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseworks.skeleton_action.geometry import Sample, flip
from poseworks.skeleton_action.heatmaps import Volumes
from poseworks.skeleton_action.preparation import Preparation
from poseworks.skeleton_action.volumes import EPSILON

Point = NDArray[np.float64]


def loop_views(sample: Sample, preparation: Preparation, clips: int = 1, mirror: bool = False) -> Volumes:
    """What `draw_views` gives, mirrored as mmaction does."""
    drawn = [_loop_clips(sample, preparation, clips)]
    if mirror:
        drawn.append(_loop_clips(flip(sample, preparation.layout), preparation, clips))
    return np.concatenate(drawn)


def _loop_clips(sample: Sample, preparation: Preparation, clips: int) -> Volumes:
    people, frames = sample.keypoints.shape[:2]
    layout, epsilon = preparation.layout, EPSILON[preparation.flavour]
    limbs = [(j, j) for j in range(layout.num_joints)] if preparation.stream == "joint" else layout.limbs
    volume = np.zeros((frames, len(limbs), *sample.size), dtype=np.float32)
    for frame in range(frames):
        for channel, (i, j) in enumerate(limbs):
            for person in range(people):
                points, scores = sample.keypoints[person, frame], sample.scores[person, frame]
                score = min(scores[i], scores[j])
                if score < epsilon:
                    continue
                if i == j or np.sum((points[i] - points[j]) ** 2) < 1:
                    _draw(volume[frame, channel], points[i], points[i], scores[i], preparation.sigma)
                else:
                    _draw(volume[frame, channel], points[i], points[j], score, preparation.sigma)
    apart = volume.reshape(clips, frames // clips, *volume.shape[1:])
    return np.ascontiguousarray(apart.swapaxes(1, 2))


def _draw(heatmap: Volumes, a: Point, b: Point, score: np.float32, sigma: float) -> None:
    """Into the window around one joint (`b` is where `a` is), or around one limb."""
    height, width = heatmap.shape
    left, right = max(int(min(a[0], b[0]) - 3 * sigma), 0), min(int(max(a[0], b[0]) + 3 * sigma) + 1, width)
    top, bottom = max(int(min(a[1], b[1]) - 3 * sigma), 0), min(int(max(a[1], b[1]) + 3 * sigma) + 1, height)
    if right <= left or bottom <= top:
        return
    x, y = np.arange(left, right), np.arange(top, bottom)[:, None]
    way = b - a
    if not way.any():
        squared = (x - a[0]) ** 2 + (y - a[1]) ** 2
    else:
        u = np.clip(((x - a[0]) * way[0] + (y - a[1]) * way[1]) / np.sum(way**2), 0, 1)
        squared = (x - a[0] - u * way[0]) ** 2 + (y - a[1] - u * way[1]) ** 2
    window = heatmap[top:bottom, left:right]
    np.maximum(window, np.exp(-squared / (2 * sigma**2)) * score, out=window)
