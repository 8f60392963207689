"""BVH (Biovision hierarchy): the skeleton and the motion of one person, as text. Written alone.

    HIERARCHY
    ROOT NAME { OFFSET x y z   CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
      JOINT NAME { OFFSET x y z   CHANNELS 3 Zrotation Xrotation Yrotation   ...   End Site { OFFSET x y z } } }
    MOTION
    Frames: T
    Frame Time: seconds
    one line a frame: the channels' numbers in the order of the hierarchy

Rotations are degrees, R = Rz Rx Ry, of each joint in its parent's frame; offsets are those of the rest pose (a T-pose),
of this person's shape. Toes, finger tips and the top of the head are the end sites. The format has no unit; programs
take centimetres most of the time. It has no skin, no shape and no times: frames count as evenly spaced, and where the
person is not there the pose before stays (before the first, the first one). A camera counts as level.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.body_models.rigs import Axes, LengthUnit, Rig, UpAxis, people_there, rig
from poseworks.core.body_models.smpl import SMPL
from poseworks.core.errors import DataError
from poseworks.core.files import atomic_path, refuse_existing

Array = NDArray[np.float64]

# Where the leaves of the tree end: at joints of the surface, the head above at the highest vertex.
_TIPS = {
    "left_foot": "left_big_toe",
    "right_foot": "right_big_toe",
    "left_hand": "left_middle",
    "right_hand": "right_middle",
}
_GIMBAL = 1e-7  # cosine of the middle angle below which the outer two turn about the same axis


def write_bvh(
    motion: BodyMotion,
    body: SMPL,
    path: str | os.PathLike[str],
    *,
    up: UpAxis = "y",
    unit: LengthUnit = "cm",
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Writes the motion of one person; the file appears whole or not at all.

    Args:
        motion: of one person, whose numbers are about `body`.
        body: whose skeleton it is.
        path: of the file.
        up: axis that points up.
        unit: of lengths.
        overwrite: replace what is there.

    Returns:
        sentences about what the file could not hold.

    Raises:
        ConfigError: the file exists, `body` is another one, or an option is unknown.
        DataError: there are several people, nobody is there in any frame, or it cannot be written.
    """
    refuse_existing(path, overwrite)
    if motion.num_people != 1:
        raise DataError(f"{path}: BVH files hold one person, not {motion.num_people}. Select one: motion.person(row).")
    people_there(motion)
    axes = Axes(up, unit)
    person = rig(motion, body, 0, axes)
    held = _held(person.present)
    order = list(_depth_first(person, 0))
    angles = np.degrees(np.unwrap(_zxy(person.rotations[held]), axis=0))[:, order]
    rows = np.concatenate((person.root[held], angles.reshape(len(held), -1)), axis=1)
    rows = np.round(rows, 6) + 0.0  # no minus before a zero
    with atomic_path(Path(path)) as temporary, temporary.open("w", encoding="ascii", newline="\n") as stream:
        stream.write(
            "HIERARCHY\n" + "".join(f"{line}\n" for line in _hierarchy(person, _tips(person, body, axes), 0, ""))
        )
        stream.write(f"MOTION\nFrames: {len(rows)}\nFrame Time: {1 / motion.fps:.9f}\n")
        for row in rows.tolist():
            stream.write(" ".join(map("{:.6f}".format, row)) + "\n")
    return _notes(motion)


def _notes(motion: BodyMotion) -> tuple[str, ...]:
    """What the file does not say."""
    notes = []
    missing = int((~motion.present[0]).sum())
    if missing:
        notes.append(f"{missing} frames without the person: the pose before stays, as BVH cannot leave frames out")
    if motion.times is not None:
        steps = np.diff(motion.times)
        if len(steps) and np.abs(steps * motion.fps - 1).max() > 0.1:
            notes.append(f"the frames are not evenly spaced in time; BVH plays them at {motion.fps:g} a second")
    return tuple(notes)


def _held(present: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(T,) the frame that stands in each: itself, the last one before that is there, or the first one."""
    latest = np.maximum.accumulate(np.where(present, np.arange(len(present)), -1))
    return np.where(latest < 0, int(np.argmax(present)), latest)


def _zxy(rotations: Array) -> Array:
    """(..., 3) angles z, x, y in radians of (..., 3, 3) R = Rz Rx Ry; y is 0 where x is a quarter turn."""
    cosine = np.hypot(rotations[..., 0, 1], rotations[..., 1, 1])
    locked = cosine < _GIMBAL
    z = np.where(
        locked,
        np.arctan2(rotations[..., 1, 0], rotations[..., 0, 0]),
        np.arctan2(-rotations[..., 0, 1], rotations[..., 1, 1]),
    )
    x = np.arctan2(rotations[..., 2, 1], cosine)
    y = np.where(locked, 0.0, np.arctan2(-rotations[..., 2, 0], rotations[..., 2, 2]))
    return np.stack((z, x, y), axis=-1)


def _depth_first(person: Rig, joint: int) -> Iterator[int]:
    """Joints in the order in which the hierarchy names them."""
    yield joint
    for child in person.children(joint):
        yield from _depth_first(person, child)


def _tips(person: Rig, body: SMPL, axes: Axes) -> dict[int, Array]:
    """Offset of the end of each leaf of the tree."""
    ids = dict(zip(body.joint_names[len(person.rest) :], body.extra_ids.tolist(), strict=True))
    tips = {}
    for joint, name in enumerate(person.joint_names):
        if name in _TIPS:
            tips[joint] = person.vertices[ids[_TIPS[name]]] - person.rest[joint]
        elif not person.children(joint):
            up = axes.from_rest[:, 1]
            tips[joint] = up * (person.vertices @ up - person.rest[joint] @ up).max()
    return tips


def _hierarchy(person: Rig, tips: dict[int, Array], joint: int, indent: str) -> Iterator[str]:
    """Lines of a joint and of all below it."""
    yield f"{indent}{'JOINT' if indent else 'ROOT'} {person.joint_names[joint]}"
    yield f"{indent}{{"
    inner = indent + "\t"
    yield f"{inner}OFFSET {_numbers(person.offsets[joint])}"
    position = "" if indent else "Xposition Yposition Zposition "
    yield f"{inner}CHANNELS {3 if indent else 6} {position}Zrotation Xrotation Yrotation"
    for child in person.children(joint):
        yield from _hierarchy(person, tips, child, inner)
    if joint in tips:
        yield from (f"{inner}End Site", f"{inner}{{", f"{inner}\tOFFSET {_numbers(tips[joint])}", f"{inner}}}")
    yield f"{indent}}}"


def _numbers(values: Array) -> str:
    return " ".join(f"{value:.6f}" for value in (np.round(values, 6) + 0.0).tolist())
