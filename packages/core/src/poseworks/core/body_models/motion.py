"""BodyMotion: motion of bodies of SMPL's kind, checked when it is built. NumPy only: torch is not imported."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_models.data import Gender
from poseworks.core.errors import DataError
from poseworks.core.poses import HistoryEntry

BodyName = Literal["free", "smpl"]
BodyFrame = Literal["camera", "world"]
Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class BodyMotion:
    """Pose, shape and place of P people over T frames, as parameters of a body model with SMPL's 24 joints.

    Rotations are axis-angle in radians, of each joint in its parent's frame; at zero the body stands in a T-pose, y up,
    facing +z. Where a person was not there, pose and place are NaN.

    Attributes:
        global_orient: (P, T, 3) of the root, in `frame`.
        body_pose: (P, T, 23, 3) of joints 1 to 23.
        betas: (P, K) shape of each person, the same in all frames.
        transl: (P, T, 3) metres, in `frame`.
        fps: frames per second, > 0.
        body: whose betas, joints and vertices these are: ``free`` (the body that comes along) or ``smpl``.
        gender: of the shape space.
        frame: ``camera``: x right, y down, z away from it; ``world``: y up.
        focal: of the camera, in pixels, with square pixels and the principal point in the middle; with ``camera`` only.
        image_size: (width, height) in pixels that `focal` is for.
        times: (T,) float64 seconds of each frame, rising; only where frames are not evenly spaced.
        person_ids: (P,) track numbers, where the source has them.
        history: what made this, one entry a step.

    Raises:
        DataError: listing everything that is wrong.
    """

    global_orient: Array
    body_pose: Array
    betas: Array
    transl: Array
    fps: float
    body: BodyName
    gender: Gender = "neutral"
    frame: BodyFrame = "world"
    focal: float | None = None
    image_size: tuple[int, int] | None = None
    times: NDArray[np.float64] | None = None
    person_ids: NDArray[np.int64] | None = None
    history: tuple[HistoryEntry, ...] = ()

    def __post_init__(self) -> None:
        for name in ("global_orient", "body_pose", "betas", "transl"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float32))
        if self.times is not None:
            object.__setattr__(self, "times", np.asarray(self.times, dtype=np.float64))
        if self.person_ids is not None:
            object.__setattr__(self, "person_ids", np.asarray(self.person_ids, dtype=np.int64))
        if self.image_size is not None:
            object.__setattr__(self, "image_size", tuple(int(size) for size in self.image_size))
        object.__setattr__(self, "history", tuple(self.history))
        faults = _shape_faults(self) or _value_faults(self)
        if faults:
            raise DataError("body motion: " + "; ".join(faults) + ".")

    @property
    def num_people(self) -> int:
        """P."""
        return int(self.global_orient.shape[0])

    @property
    def num_frames(self) -> int:
        """T."""
        return int(self.global_orient.shape[1])

    @property
    def pose(self) -> Array:
        """(P, T, 24, 3): the root's orientation, then the other joints, as `SMPL.forward` takes them."""
        return np.concatenate([self.global_orient[:, :, None], self.body_pose], axis=2)

    @property
    def present(self) -> NDArray[np.bool_]:
        """(P, T): the person is there."""
        return np.asarray(np.isfinite(self.global_orient).all(axis=-1))

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(T,) the time of each frame: `times` if there are any, else frame number / fps."""
        return self.times if self.times is not None else np.arange(self.num_frames, dtype=np.float64) / self.fps

    def replace(self, **changes: Any) -> BodyMotion:
        """A copy with other values in the named fields, checked again."""
        return dataclasses.replace(self, **changes)

    def with_step(self, entry: HistoryEntry) -> BodyMotion:
        """A copy with one more entry in `history`."""
        return self.replace(history=(*self.history, entry))

    def person(self, row: int) -> BodyMotion:
        """A copy that holds the person of this row alone.

        Raises:
            DataError: there is no such row.
        """
        if not 0 <= row < self.num_people:
            raise DataError(f"person: expected a row from 0 to {self.num_people - 1}, got {row}.")
        rows = slice(row, row + 1)
        return self.replace(
            global_orient=self.global_orient[rows],
            body_pose=self.body_pose[rows],
            betas=self.betas[rows],
            transl=self.transl[rows],
            person_ids=None if self.person_ids is None else self.person_ids[rows],
        )


def _shape_faults(motion: BodyMotion) -> list[str]:
    if motion.global_orient.ndim != 3 or motion.global_orient.shape[-1] != 3:
        return [f"global_orient: expected (P, T, 3), got {motion.global_orient.shape}"]
    people, frames = motion.global_orient.shape[:2]
    expected = {"body_pose": (people, frames, 23, 3), "transl": (people, frames, 3)}
    faults = [
        f"{name}: expected {shape}, got {getattr(motion, name).shape}"
        for name, shape in expected.items()
        if getattr(motion, name).shape != shape
    ]
    if motion.betas.ndim != 2 or len(motion.betas) != people or not 1 <= motion.betas.shape[1] <= 300:
        faults.append(f"betas: expected ({people}, K) with K from 1 to 300, got {motion.betas.shape}")
    if motion.times is not None and motion.times.shape != (frames,):
        faults.append(f"times: expected ({frames},), got {motion.times.shape}")
    if motion.person_ids is not None and motion.person_ids.shape != (people,):
        faults.append(f"person_ids: expected ({people},), got {motion.person_ids.shape}")
    return faults


def _value_faults(motion: BodyMotion) -> list[str]:
    faults = []
    parts = (motion.global_orient, motion.body_pose.reshape(*motion.global_orient.shape[:2], 69), motion.transl)
    there = [np.isfinite(part).all(axis=-1) for part in parts]
    gone = [np.isnan(part).all(axis=-1) for part in parts]
    if not (np.all(there, axis=0) | np.all(gone, axis=0)).all():
        faults.append("a frame of a person must be finite in all of global_orient, body_pose and transl, or NaN in all")
    if not np.isfinite(motion.betas).all():
        faults.append("betas: expected finite numbers")
    if not (math.isfinite(motion.fps) and motion.fps > 0):
        faults.append(f"fps: expected a number above 0, got {motion.fps}")
    for name, kinds in (("body", BodyName), ("gender", Gender), ("frame", BodyFrame)):
        if getattr(motion, name) not in get_args(kinds):
            faults.append(f"{name}: expected one of {', '.join(get_args(kinds))}, got {getattr(motion, name)!r}")
    if motion.frame != "camera" and (motion.focal is not None or motion.image_size is not None):
        faults.append("focal, image_size: only with the frame camera")
    if motion.focal is not None and not (math.isfinite(motion.focal) and motion.focal > 0):
        faults.append(f"focal: expected pixels above 0, got {motion.focal}")
    if motion.image_size is not None and (len(motion.image_size) != 2 or min(motion.image_size) <= 0):
        faults.append(f"image_size: expected (width, height) above 0, got {motion.image_size}")
    if motion.times is not None and not (np.isfinite(motion.times).all() and (np.diff(motion.times) > 0).all()):
        faults.append("times: expected finite, rising seconds")
    if motion.person_ids is not None and len(np.unique(motion.person_ids)) != motion.num_people:
        faults.append("person_ids: a number occurs twice")
    try:
        json.dumps([dict(entry) for entry in motion.history], allow_nan=False)
    except (TypeError, ValueError):
        faults.append("history: expected mappings that JSON can hold")
    return faults
