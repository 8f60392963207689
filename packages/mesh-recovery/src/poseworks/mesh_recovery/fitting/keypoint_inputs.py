"""What a fit to keypoints is given beside them: a camera, a height, joints lifted to 3D."""

from __future__ import annotations

import numpy as np
import torch

from poseworks.core.body_models import SMPL
from poseworks.core.body_size import STANDARD_HEIGHT_M, person_size
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.poses import PoseSequence
from poseworks.mesh_recovery.fitting.poses_3d import fit_3d


def picture_camera(poses: PoseSequence, camera: Pinhole | None) -> tuple[Pinhole, float | None]:
    """The camera, and its focal length if it is one that a motion file can state.

    Raises:
        DataError: the keypoints are not in pixels.
        ConfigError: neither the camera nor the image size is known.
    """
    if poses.num_dims != 2 or poses.unit != "px":
        raise DataError(
            f"poses: expected 2D keypoints in pixels, got {poses.num_dims}D in the unit {poses.unit}. State "
            "the unit (--unit px); 3D joints are fitted by fit_3d."
        )
    size = poses.image_size
    if camera is None:
        if size is None:
            raise ConfigError(
                "image size: neither it nor the camera is known. State --image-size 1920x1080, or --camera FILE."
            )
        camera = Pinhole.from_focal(float(np.hypot(*size)), size)
    square = abs(camera.fx - camera.fy) <= 1e-3 * camera.fx
    if size is None or not square or abs(camera.cx - size[0] / 2) > 1 or abs(camera.cy - size[1] / 2) > 1:
        return camera, None
    return camera, camera.fx


def stature(body: SMPL, height: float) -> float:
    """The first shape coefficient of a person of this height, in metres; the others are 0."""
    betas = torch.zeros(2, body.num_betas)
    betas[1, 0] = 1
    up = body.rest_vertices(betas)[..., 1]
    mean, taller = (up.amax(-1) - up.amin(-1)).tolist()
    return float((height - mean) / (taller - mean))


def lifted_starts(poses: PoseSequence, lifted: PoseSequence | None, body: SMPL) -> list[torch.Tensor | None]:
    """(T, 24, 3) axis-angles of each person in the camera's axes, NaN where there are none.

    Raises:
        ConfigError: `lifted` is 2D, in a world, or of other people or frames.
    """
    if lifted is None:
        return [None] * poses.num_people
    if lifted.num_dims != 3 or lifted.frame not in ("camera", "root"):
        raise ConfigError(
            f"lifted: expected 3D joints in the camera's axes (frame camera or root), got {lifted.num_dims}D in the "
            f"frame {lifted.frame}."
        )
    wanted, got = (each.positions.shape[:2] for each in (poses, lifted))
    if wanted != got:
        raise ConfigError(
            f"lifted: expected the {wanted[0]} people and {wanted[1]} frames of the keypoints, got {got[0]} and "
            f"{got[1]}. Lift the same file."
        )
    metres = lifted.positions.astype(np.float64)
    for person in metres:
        person *= STANDARD_HEIGHT_M / person_size(person, lifted.joint_names)
    motion = fit_3d(lifted.replace(positions=metres, unit="m", frame="camera"), body).motion
    return [torch.tensor(person) for person in motion.pose]
