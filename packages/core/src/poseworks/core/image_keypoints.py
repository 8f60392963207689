"""2D keypoints of an image: what is none is refused, and shares of the image become pixels. NumPy only.

Networks take whatever they are given: exchanged axes or units give a wrong answer without any error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError
from poseworks.core.poses import PoseSequence

Array = NDArray[np.float64]

_MOST = 0.8  # of the frames, or of the keypoints, that speak at all
_SOME = 0.2
_LEAST_PIXELS = 4.0  # a whole person in fewer is no person in pixels
_LARGEST_SHARE = 3.0  # of the image, which is far outside of it


def refuse_other_than_keypoints(poses: PoseSequence, work: str) -> None:
    """Nothing, unless these are no keypoints of anybody in an image.

    Args:
        poses: of any kind.
        work: what needs keypoints, such as ``Lifting``.

    Raises:
        DataError: says what they are instead.
    """
    if poses.num_people == 0 or poses.num_frames == 0:
        raise DataError(
            f"poses: expected people and frames, got {poses.num_people} people and {poses.num_frames} frames. {work} "
            "has nothing to work on."
        )
    if poses.num_dims == 3:
        raise DataError(f"poses: these are 3D already. {work} takes 2D keypoints of an image.")
    if poses.frame != "image":
        raise DataError(
            f"poses: expected keypoints of an image, got positions in the frame {poses.frame}. {work} needs to know "
            "where they lie in the image: give the detector's own file, or state --frame image if they are."
        )


def in_pixels(poses: PoseSequence) -> PoseSequence:
    """The same poses in pixels; shares of width and height are multiplied by the image size.

    Raises:
        DataError: they are shares of an image whose size is not stated.
    """
    if poses.unit == "px":
        return poses
    if poses.image_size is None:
        raise DataError(
            "poses: shares of width and height, of an image whose size is not stated. Give it: --image-size 1920x1080 "
            "(in Python: image_size=(1920, 1080))."
        )
    return poses.replace(positions=poses.positions * np.asarray(poses.image_size, dtype=np.float32), unit="px")


def refuse_other_units(poses: PoseSequence) -> None:
    """Nothing, unless pixels are called normalised, or the other way round, or nobody is in the image.

    Args:
        poses: 2D, in the frame image.

    Raises:
        DataError: says what they look like, and how to state it.
    """
    points = poses.positions[poses.observed].astype(np.float64)
    if not len(points):
        return
    if poses.unit == "normalised":
        if np.quantile(np.abs(points), 0.5) > _LARGEST_SHARE:
            raise DataError(
                f"poses: said to be normalised, shares of the image from 0 to 1, but half of the values are beyond "
                f"{_LARGEST_SHARE:g}. They look like pixels: state --unit px."
            )
        return
    spread = np.quantile(points, 0.99, axis=0) - np.quantile(points, 0.01, axis=0)
    if spread.max() < _LEAST_PIXELS:
        raise DataError(
            f"poses: said to be in pixels, but all keypoints lie within {spread.max():.3g} pixels. They look like "
            "shares of the image: state --unit normalised."
        )
    if poses.image_size is None:
        return
    outside, turned = share_outside(points, poses.image_size), share_outside(points[:, ::-1], poses.image_size)
    if outside > _MOST or (outside > _SOME and turned < 0.1 * outside and _lies(poses)):
        width, height = poses.image_size
        likely = "x and y look exchanged: exchange them" if turned < 0.5 * outside else "State the true --image-size"
        raise DataError(
            f"poses: {100 * outside:.0f} % of the keypoints lie outside of the image of {width} x {height} pixels. "
            f"{likely}, or leave out the people who are not in it."
        )


def share_outside(points: Array, image_size: tuple[int, int]) -> float:
    """Share of points (n, 2) that lie outside of an image, by more than a tenth of its size."""
    size = np.asarray(image_size, dtype=np.float64)
    return float(((points < -0.1 * size) | (points > 1.1 * size)).any(axis=-1).mean())


def _lies(poses: PoseSequence) -> bool:
    """Whether what there is of shoulders and hips lies sideways in most frames."""
    index = {name: row for row, name in enumerate(poses.joint_names)}
    pairs = [(index.get(f"{side}_hip"), index.get(f"{side}_shoulder")) for side in ("left", "right")]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not known:
        return False
    up = np.concatenate([(poses.positions[:, :, b] - poses.positions[:, :, a]).reshape(-1, 2) for a, b in known])
    up = up[np.isfinite(up).all(axis=-1)]
    return bool(len(up)) and bool((np.abs(up[:, 0]) > np.abs(up[:, 1])).mean() > _MOST)
