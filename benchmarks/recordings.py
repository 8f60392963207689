"""The shared recordings: their files, what was stored of them, and joints triangulated from four views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import DATA, HERE
from poseworks.core import PoseSequence, read_poses
from poseworks.core.cameras import Pinhole
from poseworks.core.poses import poses_from_arrays
from poseworks.core.skeletons import BLAZEPOSE_33, H36M_17, conversion
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


VIEWS = ("cam01", "cam02", "cam03", "cam04")
"""The four calibrated views of balance_multiview.npz."""


def view_2d(view: str) -> PoseSequence:
    """The detected keypoints of a view."""
    with _multiview() as data:
        row = VIEWS.index(view)
        landmarks = data["landmarks33"][row]
        return poses_from_arrays(
            landmarks[..., :2],
            BLAZEPOSE_33,
            confidence=landmarks[..., 2].clip(0, 1),
            fps=float(data["fps"]),
            unit="px",
            frame="image",
            image_size=tuple(data["size_wh"][row].tolist()),
        )


def view_camera(view: str) -> Pinhole:
    """The camera of a view, its lens distortion left out."""
    with _multiview() as data:
        K = data["K"][VIEWS.index(view)]
        return Pinhole(K[0, 0], K[1, 1], K[0, 2], K[1, 2])


def view_points(view: str) -> NDArray[np.float64]:
    """(T, 33, 3) the smooth triangulated points in the axes of a view's camera, in metres."""
    with _multiview() as data:
        row = VIEWS.index(view)
        points: NDArray[np.float64] = data["points3d_33_smooth"].astype(np.float64) @ data["R"][row].T + data["t"][row]
        return points


def view_3d(view: str) -> NDArray[np.float64]:
    """(T, 17, 3) the same as joints of h36m17."""
    joints: NDArray[np.float64] = conversion(BLAZEPOSE_33, H36M_17).matrix @ view_points(view)
    return joints


def world_guess(view: str) -> PoseSequence | None:
    """The detector's own 3D of a view, where it was stored."""
    path = DATA / f"balance_{view}_keypoints.npz"
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as data:
        joints = data["world33"][..., :3]
        return poses_from_arrays(joints, BLAZEPOSE_33, fps=float(data["fps"]), unit="m", frame="root")


def triangulated(clip: str) -> NDArray[np.float64] | None:
    """(T, 33, 2) the smooth triangulated points seen by this view's camera, with its lens distortion."""
    view = clip.removeprefix("balance_")
    if view not in VIEWS:
        return None
    points = view_points(view)
    with _multiview() as data:
        k1, k2, p1, p2, k3 = data["dist"][VIEWS.index(view)]
        K = data["K"][VIEWS.index(view)]
    x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.stack([K[0, 0] * u + K[0, 2], K[1, 1] * v + K[1, 2]], axis=-1)


def _multiview() -> Any:
    return np.load(DATA / "balance_multiview.npz", allow_pickle=False)
