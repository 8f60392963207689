"""Keypoints that are likely not what they are said to be, which is noted; core refuses what certainly is not.

Networks lift whatever they are given: exchanged axes or sides give a wrong body without any error. Only what holds in
most of many frames counts, so that somebody who lies down, hangs or walks backwards for once is left alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseworks.core import PoseSequence
from poseworks.core.image_keypoints import share_outside
from poseworks.core.notes import Notes
from poseworks.core.skeletons import H36M_17

Array = NDArray[np.float64]

_MOST = 0.8  # of the frames, or of the keypoints, that speak at all
_SOME = 0.2
_LEAST_FRAMES = 10
_CLEARLY = 0.15  # of the person's size: how far left and right must be apart to tell an order
_SURE = 0.05  # of confidence: how much surer the face than the ears, for it to be seen from in front
_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_LEAD = 0.08  # of confidence: how much surer one side must be, to be the near one
_PROFILE = 0.03  # of the person's size: how far the nose is beside the ears of somebody who looks aside
_WALKING = 0.4  # sizes a second
_SIDEWAYS = 0.6  # share of the walk's, and of the facing's, direction that lies in the image


def note_posture(notes: Notes, person: int, pixels: Array, image_size: tuple[int, int] | None) -> None:
    """Notes on a person who lies or stands on the head throughout, or is cut off by the image.

    Args:
        notes: take the sentences.
        person: a row of the poses.
        pixels: (T, 17, 2) of h36m17, NaN where not observed.
        image_size: (width, height), if known.
    """
    up = _upright(pixels)
    seen = np.isfinite(up).all(axis=-1)
    if seen.sum() >= _LEAST_FRAMES:
        sideways = np.abs(up[seen, 0]) > 1.5 * np.abs(up[seen, 1])
        headlong = up[seen, 1] > np.abs(up[seen, 0])  # y points down
        who = notes.name(person)
        if sideways.mean() > _MOST:
            notes.add(
                f"{who} lies on the side throughout the clip: if that is not so, the video is turned, or x and y are "
                "exchanged, and the result is wrong"
            )
        elif headlong.mean() > _MOST:
            notes.add(
                f"{who} is upside down throughout the clip: if that is not so, y points up in this file (it must point "
                "down), or the video is turned, and the result is wrong"
            )
    points = pixels[np.isfinite(pixels).all(axis=-1)]
    if image_size is not None and len(points) and (share := share_outside(points, image_size)) > _SOME:
        notes.add(
            f"{notes.name(person)}: {100 * share:.0f} % of the keypoints lie outside of the image of {image_size[0]} x "
            f"{image_size[1]} pixels: check its size (--image-size)"
        )


def note_sides(notes: Notes, person: int, poses: PoseSequence, pixels: Array, joints: Array) -> None:
    """Notes on a person whose left and right are likely exchanged: against the face, or against the way they walk.

    Args:
        notes: take the sentences.
        person: a row of `poses`.
        poses: as they came, on whatever skeleton, in pixels.
        pixels: (T, 17, 2) of h36m17.
        joints: (T, 17, 3), lifted, camera axes.
    """
    who = notes.name(person)
    size = _typical_size(pixels)
    if not np.isfinite(size) or size <= 0:
        return
    if _face_contradicts(poses, person, size):
        notes.add(
            f"{who}: left and right of the face and of the body contradict each other in most frames: exchange one of "
            "them, as the 3D pose rests on it"
        )
    elif _mirrored_face(poses, person, size):
        notes.add(
            f"{who} looks mirrored: the face is seen, and yet left and right are as they are from behind. If the "
            "keypoints were mirrored, mirror them back (x to width - x), or exchange left and right"
        )
    elif _far_side_seen_better(poses, person, pixels, size):
        notes.add(
            f"{who}: seen from the side, and yet the detector is surer of the side away from the camera: left and "
            "right look exchanged, and the result is then mirrored"
        )
    elif _walks_backwards(pixels, joints, size, poses.fps):
        notes.add(
            f"{who} walks backwards throughout the clip: if that is not so, left and right are exchanged, and the "
            "result is mirrored"
        )


def _up(points: Array) -> Array:
    """(T, D) from the pelvis to the base of the neck."""
    up: Array = points[:, H36M_17.index("thorax")] - points[:, H36M_17.index("pelvis")]
    return up


def _upright(points: Array) -> Array:
    """(T, D) from the ankles to the base of the neck, which stays upright where somebody bends down."""
    ankles = points[:, H36M_17.indices(["left_ankle", "right_ankle"])].mean(axis=1)
    upright: Array = points[:, H36M_17.index("thorax")] - ankles
    return upright


def _typical_size(pixels: Array) -> float:
    """Three times the trunk in pixels, about a person's height, as it mostly appears; NaN if nothing is seen."""
    length = np.linalg.norm(_up(pixels), axis=-1)
    length = length[np.isfinite(length)]
    return 3 * float(np.quantile(length, 0.9)) if len(length) else float("nan")


def _order(poses: PoseSequence, person: int, joint: str, size: float) -> Array:
    """(T,) how far the left one of a pair of joints is to the right of the right one, in sizes; NaN without."""
    names = poses.joint_names
    left, right = f"left_{joint}", f"right_{joint}"
    if left not in names or right not in names:
        return np.full(poses.num_frames, np.nan)
    x = poses.positions[person, :, :, 0].astype(np.float64)
    order: Array = (x[:, names.index(left)] - x[:, names.index(right)]) / size
    return order


def _face_contradicts(poses: PoseSequence, person: int, size: float) -> bool:
    """Whether eyes or ears are in the other order than the shoulders, wherever both tell one."""
    shoulders = _order(poses, person, "shoulder", size)
    face = _order(poses, person, "ear", size)
    tell = (np.abs(shoulders) > 0.7 * _CLEARLY) & (np.abs(face) > 0.2 * _CLEARLY)
    return bool(tell.sum() >= _LEAST_FRAMES and (shoulders[tell] * face[tell] < 0).mean() > _MOST)


def _mirrored_face(poses: PoseSequence, person: int, size: float) -> bool:
    """Whether the detector is surer of nose and eyes than of the ears, while left and right are as from behind."""
    names = poses.joint_names
    front = [names.index(name) for name in ("nose", "left_eye", "right_eye") if name in names]
    ears = [names.index(name) for name in ("left_ear", "right_ear") if name in names]
    if len(front) < 3 or len(ears) < 2:
        return False
    confidence = poses.confidence[person]
    facing = confidence[:, front].min(axis=1) > confidence[:, ears].max(axis=1) + _SURE
    shoulders = _order(poses, person, "shoulder", size)
    tell = facing & (np.abs(shoulders) > 0.7 * _CLEARLY)
    return bool(tell.sum() >= _LEAST_FRAMES and (shoulders[tell] < 0).mean() > _MOST)


def _far_side_seen_better(poses: PoseSequence, person: int, pixels: Array, size: float) -> bool:
    """Whether who walks or looks to the right has the surer limbs on the left, the far side, or the other way round."""
    names = poses.joint_names
    pairs = [(names.index(f"left_{limb}"), names.index(f"right_{limb}")) for limb in _LIMBS if f"left_{limb}" in names]
    if not pairs:
        return False
    confidence = poses.confidence[person].astype(np.float64)
    lead = np.mean([confidence[:, left] - confidence[:, right] for left, right in pairs], axis=0)
    way = _speed(pixels, size, poses.fps)
    way = np.where(np.abs(way) > _WALKING, way, 0.0)
    if {"nose", "left_ear", "right_ear"} <= set(names):
        x = poses.positions[person, :, :, 0].astype(np.float64)
        looks = (
            x[:, names.index("nose")] - x[:, [names.index("left_ear"), names.index("right_ear")]].mean(axis=1)
        ) / size
        way = np.where((way == 0) & (np.abs(looks) > _PROFILE), looks, way)
    tell = (np.abs(lead) > _LEAD) & (np.abs(way) > 0)
    return bool(tell.sum() >= _LEAST_FRAMES and (lead[tell] * way[tell] > 0).mean() > _MOST)


def _speed(pixels: Array, size: float, fps: float) -> Array:
    """(T,) how fast the pelvis goes to the right, in sizes a second over half a second; 0 where it is not known."""
    lag = max(1, round(0.25 * fps))
    pelvis = pixels[:, H36M_17.index("pelvis"), 0]
    speed = np.zeros(len(pelvis))
    if len(pelvis) > 2 * lag:
        speed[lag:-lag] = np.nan_to_num((pelvis[2 * lag :] - pelvis[: -2 * lag]) * fps / (2 * lag * size))
    return speed


def _walks_backwards(pixels: Array, joints: Array, size: float, fps: float) -> bool:
    """Whether somebody who walks across the image faces against the way for at least a second in all."""
    speed = _speed(pixels, size, fps)
    left, right = (
        joints[:, H36M_17.indices([f"{side}_hip", f"{side}_shoulder"])].mean(axis=1) for side in ("left", "right")
    )
    facing = np.cross(left - right, _up(joints))
    level = np.linalg.norm(facing[:, [0, 2]], axis=-1)
    tell = (np.abs(speed) > _WALKING) & (np.abs(facing[:, 0]) > _SIDEWAYS * level)
    return bool(tell.sum() >= max(_LEAST_FRAMES, fps) and (speed[tell] * facing[tell, 0] < 0).mean() > _MOST)
