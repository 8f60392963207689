"""The shared recordings: their files, what was stored of them, and points triangulated from four views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import DATA, HERE
from poseworks.core import PoseSequence, read_poses
from poseworks.pipeline import demo_clip

_CLIPS = HERE.parent / "packages" / "keypoints" / "tests" / "data"

SINGLE = ("walk_side", "jumping_jacks", "balance_cam01", "balance_cam02")
"""Recordings of one person, with what mediapipe 0.10.14 found in them."""
TWO_PEOPLE = "two_people"


def video(clip: str) -> Path:
    """The file of a recording."""
    return demo_clip().video if clip == "walk_side" else _CLIPS / f"{clip}.mp4"


def stored(clip: str) -> PoseSequence:
    """What was found by mediapipe 0.10.14."""
    return read_poses(DATA / f"{clip}_keypoints.npz")


def triangulated(clip: str) -> NDArray[np.float64] | None:
    """(T, 33, 2) the smooth triangulated points seen by this view's camera, with its lens distortion."""
    with np.load(DATA / "balance_multiview.npz", allow_pickle=False) as data:
        names = [str(name) for name in data["camera"]]
        camera = clip.removeprefix("balance_")
        if camera not in names:
            return None
        view = names.index(camera)
        points = data["points3d_33_smooth"].astype(np.float64) @ data["R"][view].T + data["t"][view]
        k1, k2, p1, p2, k3 = data["dist"][view]
        x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        K = data["K"][view]
        return np.stack([K[0, 0] * u + K[0, 2], K[1, 1] * v + K[1, 2]], axis=-1)
