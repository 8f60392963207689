"""AMASS: motion of one person in the layout in which that archive is published (npz). Read and written.

    poses            (T, 156) axis-angle of SMPL+H: root, joints 1 to 21, then 15 finger joints of each hand
                     (T, 165) SMPL-X: the same with jaw and eyes before the fingers; (T, 72) SMPL
    trans            (T, 3) metres, as SMPL's transl
    betas            (K,)
    gender           neutral, female, male, as text or bytes
    mocap_framerate  frames a second; in SMPL-X files mocap_frame_rate

The world is z up; the body at rest is y up, so the root's rotation holds a quarter turn. Other keys (dmpls, markers,
poses in parts) are not read.

Read: a BodyMotion of SMPL, y up. Fingers, jaw and eyes are left out; joints 22 and 23, which SMPL+H has not, are 0.
Of SMPL+H's betas the first 10 are SMPL's; those of SMPL-X mean other shapes and become 0. The turn to y up is about
the world's origin and `trans` leads to the rest pose's origin, so it takes the pelvis at rest: that of `body`, or
(0, -0.22, 0.03), within centimetres of everybody's, which shifts the whole motion as little.

Written: SMPL+H with 16 betas, hands flat; one person who is there in every frame.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from poseworks.core.body_models.data import Gender
from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.body_models.rigs import Axes
from poseworks.core.body_models.smpl import SMPL
from poseworks.core.errors import DataError, FormatError
from poseworks.core.files import refuse_existing
from poseworks.core.formats.reading import read_npz, write_npz
from poseworks.core.poses import history_entry
from poseworks.core.rotations import axis_angle_to_matrix, matrix_to_axis_angle

Array = NDArray[np.float64]

WIDTHS = {72: "smpl", 156: "smplh", 165: "smplx"}  # columns of `poses`
NEEDED = ("poses", "trans", "betas", "gender")
RATES = ("mocap_framerate", "mocap_frame_rate")
PELVIS = (0.0, -0.22, 0.03)
_GENDERS: dict[str, Gender] = {"neutral": "neutral", "female": "female", "male": "male"}
_STILL = 1e-3  # radians: less is no pose of a hand


def is_amass(keys: tuple[str, ...]) -> bool:
    """Whether these are the keys of such a file."""
    return {"poses", "trans", "betas"} <= set(keys)


def read_amass(path: str | os.PathLike[str], body: SMPL | None = None) -> BodyMotion:
    """The motion in an AMASS file, of one person.

    Args:
        path: of the file.
        body: whose pelvis at rest is taken.

    Raises:
        FormatError: with everything that is wrong with the file.
        DataError: the file cannot be read.
    """
    source = Path(path)
    arrays = read_npz(source, keys=(*NEEDED, *RATES))
    faults = [f"{name} is missing" for name in NEEDED if name not in arrays]
    rate = next((arrays[name] for name in RATES if name in arrays), None)
    if rate is None:
        faults.append(f"{' or '.join(RATES)} is missing")
    elif rate.size != 1 or rate.dtype.kind not in "fiu" or not 0 < float(rate.reshape(())) < 1e6:
        faults.append(f"{RATES[0]}: expected a number above 0")
    faults += _array_faults(arrays)
    gender = _gender(arrays["gender"]) if "gender" in arrays else None
    if "gender" in arrays and gender is None:
        faults.append("gender: expected neutral, female or male")
    if faults or rate is None or gender is None:
        raise FormatError(f"{source}: not an AMASS motion: {'; '.join(faults)}.")
    model = WIDTHS[arrays["poses"].shape[1]]
    pose = np.zeros((len(arrays["poses"]), 24, 3))
    kept = 72 if model == "smpl" else 66
    pose[:, : kept // 3] = arrays["poses"][:, :kept].reshape(len(pose), -1, 3)
    betas = np.zeros((1, 10), np.float32)
    if model != "smplx":
        given = arrays["betas"].reshape(-1)[:10]
        betas[0, : len(given)] = given
    to_y_up = Axes("z").from_rest.T
    pelvis = _pelvis(betas, body)
    settings = {"format": "amass", "model": model, "betas": int(arrays["betas"].size)}
    return BodyMotion(
        global_orient=_turned(pose[:, 0], to_y_up)[None],
        body_pose=pose[None, :, 1:].astype(np.float32),
        betas=betas,
        transl=_moved(arrays["trans"], to_y_up, pelvis)[None],
        fps=float(rate.reshape(())),
        body="smpl",
        gender=gender,
        history=(history_entry("read", "poseworks-core", settings),),
    )


def write_amass(
    motion: BodyMotion, path: str | os.PathLike[str], body: SMPL | None = None, *, overwrite: bool = False
) -> tuple[str, ...]:
    """Writes the motion of one person; the file appears whole or not at all. A camera counts as level.

    Args:
        motion: of SMPL's body, of one person, who is there in every frame.
        path: of the file.
        body: whose pelvis at rest is taken.
        overwrite: replace what is there.

    Returns:
        sentences about what the file could not hold.

    Raises:
        ConfigError: the file exists.
        DataError: naming all that the format cannot hold; or it cannot be written.
    """
    refuse_existing(path, overwrite)
    faults = []
    if motion.num_people != 1:
        faults.append(f"one person, not {motion.num_people}; select one with motion.person(row)")
    if not motion.present.all():
        faults.append("a pose in every frame, not frames without the person")
    if motion.body != "smpl":
        faults.append(f"shapes of SMPL's body, not of the {motion.body} body")
    if motion.betas.shape[1] > 16:
        faults.append(f"16 betas, not {motion.betas.shape[1]}")
    if faults:
        raise DataError(f"{path}: AMASS files hold {'; '.join(faults)}. Write a body file (.npz) instead.")
    to_z_up = Axes("z").from_frame(motion.frame)
    pose = np.zeros((motion.num_frames, 52, 3))
    pose[:, 0] = _turned(motion.global_orient[0].astype(np.float64), to_z_up)
    pose[:, 1:22] = motion.body_pose[0, :, :21]
    write_npz(
        Path(path),
        {
            "poses": pose.reshape(len(pose), -1),
            "trans": _moved(motion.transl[0].astype(np.float64), to_z_up, _pelvis(motion.betas, body)),
            "betas": np.pad(motion.betas[0].astype(np.float64), (0, 16 - motion.betas.shape[1])),
            "dmpls": np.zeros((len(pose), 8)),
            "gender": np.array(motion.gender),
            "mocap_framerate": np.float64(motion.fps),
        },
    )
    notes = []
    if np.abs(motion.body_pose[0, :, 21:]).max(initial=0) > _STILL:
        notes.append("joints 22 and 23, the hands, are not in the file: SMPL+H has fingers in their place")
    if motion.times is not None:
        notes.append(f"times are not in the file: it plays at {motion.fps:g} frames a second")
    return tuple(notes)


def _array_faults(arrays: dict[str, NDArray[Any]]) -> list[str]:
    """What is wrong with poses, trans and betas."""
    faults = []
    for name, axes in (("poses", (2,)), ("trans", (2,)), ("betas", (1, 2))):
        array = arrays.get(name)
        if array is None:
            continue
        if array.dtype.kind != "f" or array.ndim not in axes:
            faults.append(f"{name}: expected floats with {axes[0]} axes, got {array.dtype} {array.shape}")
        elif not (np.abs(array) < np.finfo(np.float32).max).all():
            faults.append(f"{name}: holds NaN, infinite or too large numbers")
        elif name == "poses" and array.shape[1] not in WIDTHS:
            faults.append(f"poses: expected 72, 156 or 165 columns, got {array.shape[1]}")
        elif name == "trans" and array.shape[1] != 3:
            faults.append(f"trans: expected 3 columns, got {array.shape[1]}")
        elif name == "betas" and (array.ndim == 2 and len(array) != 1):
            faults.append(f"betas: expected one row, got {array.shape}")
    if not faults and {"poses", "trans"} <= set(arrays) and len(arrays["poses"]) != len(arrays["trans"]):
        faults.append(f"poses and trans: {len(arrays['poses'])} and {len(arrays['trans'])} frames")
    return faults


def _gender(array: NDArray[Any]) -> Gender | None:
    """What the text or the bytes say."""
    if array.size != 1 or array.dtype.kind not in "US":
        return None
    value = array.reshape(-1)[0]
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return _GENDERS.get(text.strip().lower())


def _pelvis(betas: NDArray[np.float32], body: SMPL | None) -> Array:
    """(3,) joint 0 at rest of (1, K) betas."""
    if body is None:
        return np.array(PELVIS)
    with torch.no_grad():
        used = torch.from_numpy(betas[0, : body.num_betas]).to(body.v_template)
        return body.rest_joints(used)[0].double().cpu().numpy()


def _turned(orient: Array, rotation: Array) -> NDArray[np.float32]:
    """(T, 3) axis-angle after another rotation."""
    matrices = torch.from_numpy(rotation) @ axis_angle_to_matrix(torch.from_numpy(np.asarray(orient, np.float64)))
    return matrix_to_axis_angle(matrices).numpy().astype(np.float32)


def _moved(transl: Array, rotation: Array, pelvis: Array) -> NDArray[np.float32]:
    """(T, 3) translation with which the pelvis stands where the rotation about the world's origin leads it."""
    return np.asarray((transl + pelvis) @ rotation.T - pelvis, dtype=np.float32)
