"""Human3.6M's published layouts from 3D joints in camera axes: from recordings of one's own, or from people made up.

A recording is named as in Human3.6M, ``s_09_act_05_subact_02_ca_01``: subject, action, sub-action and camera. Subjects
9 and 11 are the test split. The name's camera stands for the size of the image: 1 and 4 for 1000 x 1002 pixels, 2 and 3
for 1000 x 1000; the published layouts know no others. Its focal length and principal point are free.
"""

from __future__ import annotations

import itertools
import os
import pickle
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import DataError
from poseworks.core.files import atomic_folder
from poseworks.core.shapes import expect_shape
from poseworks.core.skeletons import H36M_17
from poseworks.core.testing import walking_poses
from poseworks.lifting.h36m import CAMERA_SIZES
from poseworks.lifting.image_space import ImageJoints, camera_to_image, factor_25d
from poseworks.lifting.learning.h36m_files.frames import CAMERAS
from poseworks.lifting.learning.h36m_files.places import DETECTED_FILE, EHGFORMER_FILE, LCN_FILES, Split

Doubles = NDArray[np.float64]

TEST_SUBJECTS = (9, 11)
NAME = re.compile(r"s_(\d{2})_act_(\d{2})_subact_(\d{2})_ca_(0[1-4])")
_TOGETHER = 1000  # items of a list that are pickled together
_PICKLE = 3  # the newest protocol whose memo may be written over


@dataclass(frozen=True, eq=False)
class Recording:
    """One person before one camera, T frames.

    Attributes:
        name: s_SS_act_AA_subact_BB_ca_CC, see above.
        joints_mm: (T, 17, 3) in the axes of the camera (x right, y down, z away), in the order of h36m17.
        camera: its focal length and principal point in pixels.
        keypoints: (T, 17, 2) detected, pixels; None: the true projections.
        confidence: (T, 17) of the detector; None: ones.
        action_name: in the tables; empty: ``act_AA``.

    Raises:
        DataError: the name is not of this form, or numbers are not finite. ShapeError: a shape does not fit.
    """

    name: str
    joints_mm: NDArray[np.floating]
    camera: Pinhole
    keypoints: NDArray[np.floating] | None = None
    confidence: NDArray[np.floating] | None = None
    action_name: str = ""
    numbers: tuple[int, int, int, int] = field(init=False, repr=False)  # subject, action, sub-action, camera

    def __post_init__(self) -> None:
        match = NAME.fullmatch(self.name)
        if match is None:
            raise DataError(
                f"recording {self.name!r}: expected a name such as s_09_act_05_subact_02_ca_01, camera 1 to 4."
            )
        object.__setattr__(self, "numbers", tuple(map(int, match.groups())))
        frames = expect_shape(f"{self.name}: joints_mm", self.joints_mm, "T>=1 J=17 C=3")["T"]
        for what, array, pattern in (
            ("keypoints", self.keypoints, f"T={frames} J=17 C=2"), ("confidence", self.confidence, f"T={frames} J=17")
        ):  # fmt: skip
            if array is not None:
                expect_shape(f"{self.name}: {what}", array, pattern)
        for what, array in (
            ("joints_mm", self.joints_mm),
            ("keypoints", self.keypoints),
            ("confidence", self.confidence),
        ):
            if array is not None and not np.isfinite(array).all():
                raise DataError(f"{self.name}: {what} has values that are not finite. Fill gaps, or cut them out.")

    def __len__(self) -> int:
        return len(self.joints_mm)

    @property
    def split(self) -> Split:
        """By its subject."""
        return "test" if self.numbers[0] in TEST_SUBJECTS else "train"

    @property
    def camera_name(self) -> str:
        """Human3.6M's serial number of the camera."""
        return CAMERAS[self.numbers[3] - 1]

    @property
    def image(self) -> ImageJoints:
        """The joints in image space."""
        camera = self.camera
        return camera_to_image(self.joints_mm, (camera.fx, camera.fy), (camera.cx, camera.cy))


def build(recordings: Sequence[Recording], folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Writes both layouts: LCN's three files and EHGFormer's one. With keypoints missing, the true ones are "detected".

    Args:
        recordings: of both splits, whose order stays.
        folder: appears as a whole, or not at all.

    Returns:
        The files.

    Raises:
        DataError: a split has no recording, a name comes twice, a joint is behind the camera, or the folder cannot be
            written.
        ConfigError: the folder exists.
    """
    names = [recording.name for recording in recordings]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"recordings: {', '.join(twice[:5])}: each name may come once.")
    parts: dict[Split, list[Recording]] = {
        "train": [r for r in recordings if r.split == "train"], "test": [r for r in recordings if r.split == "test"]
    }  # fmt: skip
    for split, part in parts.items():
        if not part:
            raise DataError(f"recordings: none of the {split} split. Subjects 9 and 11 are test, all others train.")
    with atomic_folder(folder, overwrite) as target:
        for split, part in parts.items():
            with (target / LCN_FILES[split]).open("wb") as stream:
                _write_list(stream, (item for recording in part for item in _items(recording)))
        for name, make in ((DETECTED_FILE, _detected), (EHGFORMER_FILE, _source)):
            with (target / name).open("wb") as stream:
                pickle.dump({split: make(part, split) for split, part in parts.items()}, stream, protocol=4)
    return [Path(folder) / name for name in (*LCN_FILES.values(), DETECTED_FILE, EHGFORMER_FILE)]


# --- LCN --------------------------------------------------------------------------------------------------------------


def _items(recording: Recording) -> Iterator[dict[str, Any]]:
    image, (subject, action, subaction, camera) = recording.image, recording.numbers
    pinhole = {
        **{name: getattr(recording.camera, name) for name in ("fx", "fy", "cx", "cy")},
        "name": recording.camera_name,
        "R": np.eye(3), "T": np.zeros((3, 1)), "k": np.zeros((3, 1)), "p": np.zeros((2, 1)),
    }  # fmt: skip
    for t in range(len(recording)):
        box = image.box[t]
        yield {
            "joint_3d_image": image.joints[t],
            "joint_3d_camera": np.asarray(recording.joints_mm[t], dtype=np.float64),
            "box": box,
            "center": (box[:2] + box[2:]) / 2,
            "scale": (box[2:] - box[:2]) / 200,
            "root_depth": float(image.root_depth[t]),
            "camera_param": pinhole,
            "videoid": recording.name,
            "cameraid": camera - 1,
            "imageid": t,
            "image_path": f"{recording.name}/{recording.name}_{t + 1:06d}.jpg",
            "subject": subject,
            "action": action,
            "subaction": subaction,
        }


def _write_list(stream: BinaryIO, items: Iterator[dict[str, Any]]) -> None:
    """A pickled list that is never whole in memory: each part is pickled by itself, without its list and its end.

    The parts number what they refer to from the start; in this protocol later numbers take the place of earlier ones.
    """
    head = pickle.dumps([], protocol=_PICKLE)[:-1]
    stream.write(head)
    while part := list(itertools.islice(items, _TOGETHER)):
        stream.write(pickle.dumps(part, protocol=_PICKLE)[len(head) : -1])
    stream.write(b".")


def _detected(recordings: Sequence[Recording], split: Split) -> dict[str, Any]:
    keypoints, confidence = _keypoints(recordings)
    return {"joint3d_image": keypoints, "confidence": confidence}


# --- EHGFormer --------------------------------------------------------------------------------------------------------


def _source(recordings: Sequence[Recording], split: Split) -> dict[str, Any]:
    keypoints, confidence = _keypoints(recordings)
    joints = np.concatenate([recording.image.joints for recording in recordings])
    part: dict[str, Any] = {
        "joint_2d": keypoints,
        "confidence": confidence,
        "joint3d_image": joints.astype(np.float32),
        "camera_name": np.array([r.camera_name for r in recordings for _ in range(len(r))]),
        "source": [r.name for r in recordings for _ in range(len(r))],
    }
    if split == "test":
        factor = factor_25d(joints, np.concatenate([recording.joints_mm for recording in recordings]))
        part["2.5d_factor"] = factor
        part["joints_2.5d_image"] = joints * factor[:, None, None]
        part["action"] = [r.action_name or f"act_{r.numbers[1]:02d}" for r in recordings for _ in range(len(r))]
    return part


def _keypoints(recordings: Sequence[Recording]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, 17, 2) and (N, 17, 1), float32."""
    keypoints = [r.image.joints[..., :2] if r.keypoints is None else r.keypoints for r in recordings]
    confidence = [np.ones((len(r), 17)) if r.confidence is None else r.confidence for r in recordings]
    return (
        np.concatenate(keypoints).astype(np.float32),
        np.concatenate(confidence).astype(np.float32)[..., None],
    )


# --- people made up ---------------------------------------------------------------------------------------------------


def synthetic_recordings(frames: int = 500, *, rng: np.random.Generator) -> list[Recording]:
    """People who walk in a circle before four cameras, and a detector that errs: something to try everything with.

    Two actions of each training subject, and actions 2 to 16 by the test subjects in turn, each before four cameras.
    It says nothing about accuracy.

    Args:
        frames: of each recording, at 50 a second.
        rng: draws paces, places and the detector's errors.
    """
    scenes = [(s, int(a)) for s in (1, 5, 6, 7, 8) for a in sorted(rng.choice(np.arange(2, 17), 2, replace=False))]
    scenes += [(TEST_SUBJECTS[action % 2], action) for action in range(2, 17)]
    recordings = []
    for subject, action in scenes:
        walk = _circling(frames, rng)
        name = f"s_{subject:02d}_act_{action:02d}_subact_01_ca_"
        recordings += [_seen(walk, f"{name}{number:02d}", number, rng) for number in range(1, 5)]
    return recordings


def _circling(frames: int, rng: np.random.Generator) -> Doubles:
    """(T, 17, 3) metres, z up, about the origin."""
    walk = walking_poses(frames, skeleton=H36M_17, rng=rng, fps=50.0).positions[0].astype(np.float64)
    root = walk[:, :1].copy()
    root[..., 2] = 0
    radius, start = rng.uniform(0.5, 1.2), rng.uniform(0, 2 * np.pi)
    turn = start + (root[..., 1] - root[:1, :, 1]) / radius  # as far along the circle as along the line
    relative = (walk - root) * rng.uniform(0.9, 1.1)
    cos, sin = np.cos(turn), np.sin(turn)
    x = cos * relative[..., 0] - sin * relative[..., 1] + radius * cos
    y = sin * relative[..., 0] + cos * relative[..., 1] + radius * sin
    return np.stack([x, y, relative[..., 2]], axis=-1)


def _seen(walk: Doubles, name: str, number: int, rng: np.random.Generator) -> Recording:
    """The walk in the axes of one of four cameras, which stand 5 m away at the height of a person."""
    azimuth, distance, height = np.pi / 4 + np.pi / 2 * number, 5.0, 1.5
    back = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])  # from the middle towards the camera
    right = np.array([-back[1], back[0], 0.0])
    axes = np.stack([right, [0.0, 0.0, -1.0], -back])
    joints_mm = 1000 * (walk - (distance * back + [0, 0, height])) @ axes.T
    camera = Pinhole.from_focal(1145.0, CAMERA_SIZES[CAMERAS[number - 1]])
    true = camera.project(joints_mm)
    spread = rng.uniform(2, 6, (len(walk), 17, 1))  # pixels
    keypoints = true + spread * rng.standard_normal(true.shape)
    return Recording(name, joints_mm, camera, keypoints, np.exp(-spread[..., 0] / 10))
