"""Which landmarks lie on one body, and which on nobody: plain questions about places and sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from poseworks.keypoints.landmarks import MIN_PRESENCE, Landmarks
from poseworks.keypoints.region import Image, Region

_SAME_BODY = 0.1  # of the smaller region's side: median distance of keypoints below which two are one
_NEAR_CENTRE = 0.2  # the same: a detection so near to a followed person is that person
_SIZE_RATIO = 1.7
_GHOST_INSIDE, _GHOST_SIZE = 0.8, 0.6


def is_there(landmarks: Landmarks, rgb: Image, others: Sequence[Landmarks]) -> bool:
    """A person, in the image, and none of the others."""
    if not landmarks.presence >= MIN_PRESENCE or _left(landmarks, rgb):
        return False
    return not any(_same_body(landmarks, other) for other in others)


def _same_body(a: Landmarks, b: Landmarks) -> bool:
    """Two sets of landmarks that lie on one person."""
    distance = np.median(np.linalg.norm(a.keypoints - b.keypoints, axis=1))
    return bool(distance < _SAME_BODY * min(_diameter(a), _diameter(b)))


def part_of(a: Landmarks, b: Landmarks) -> bool:
    """`a` is a ghost: a small body that lies on a large one, on a knee for instance."""
    low, high = b.keypoints.min(axis=0), b.keypoints.max(axis=0)
    inside = ((a.keypoints >= low) & (a.keypoints <= high)).all(axis=1).mean()
    return bool(inside > _GHOST_INSIDE and _diameter(a) < _GHOST_SIZE * _diameter(b))


def _left(landmarks: Landmarks, rgb: Image) -> bool:
    """The person is out of the image, or shrunk to nothing."""
    height, width = rgb.shape[:2]
    inside = ((landmarks.keypoints >= 0) & (landmarks.keypoints < (width, height))).all(axis=1)
    return not inside.any() or not _diameter(landmarks) > 1


def _diameter(landmarks: Landmarks) -> float:
    """Of the circle around the body, pixels."""
    return 2 * math.dist(landmarks.circle[0], landmarks.circle[1])


def covers(followed: Region, region: Region) -> bool:
    """A region that the detector gives is about the one in which a person is already followed."""
    distance = math.hypot(region.x - followed.x, region.y - followed.y)
    return distance < _NEAR_CENTRE * followed.side and alike(followed, region)


def alike(a: Region, b: Region) -> bool:
    """Regions of about one size."""
    return max(a.side, b.side) < _SIZE_RATIO * min(a.side, b.side)
