"""A person of a BodyMotion as a moving skeleton: what files of skeletons (glTF, BVH) hold, in their axes and unit.

With B from the body's rest axes and F from the motion's frame to the file's axes, both rotations:

    offset_j = B (J_j - J_parent(j)) / unit      root = F (J_0 + transl) / unit
    R'_j     = B R_j B^T                         R'_0 = F R_0 B^T

so the rest pose stands upright in the file, whatever its axes are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from poseworks.core.body_models.motion import BodyFrame, BodyMotion
from poseworks.core.body_models.smpl import SMPL
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.poses import history_entry
from poseworks.core.rotations import axis_angle_to_matrix

UpAxis = Literal["y", "z"]
LengthUnit = Literal["m", "cm", "mm"]
Array = NDArray[np.float64]

METRES: Mapping[LengthUnit, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001}

_UP: Mapping[UpAxis, Array] = {"y": np.eye(3), "z": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])}
_TO_Y_UP: Mapping[BodyFrame, Array] = {"world": np.eye(3), "camera": np.diag([1.0, -1, -1])}


@dataclass(frozen=True, eq=False)
class Axes:
    """Axes and unit of a file.

    Attributes:
        up: ``y``: as the body stands at rest (facing +z); ``z``: facing -y.
        unit: of its lengths.

    Raises:
        ConfigError: another axis or unit.
    """

    up: UpAxis = "y"
    unit: LengthUnit = "m"

    def __post_init__(self) -> None:
        for name, kinds in (("up", UpAxis), ("unit", LengthUnit)):
            if getattr(self, name) not in get_args(kinds):
                raise ConfigError(f"{name}: expected one of {', '.join(get_args(kinds))}, got {getattr(self, name)!r}.")

    @property
    def per_metre(self) -> float:
        """Units of the file in a metre."""
        return 1 / METRES[self.unit]

    @property
    def from_rest(self) -> Array:
        """(3, 3) B: from the body's axes at rest."""
        return _UP[self.up]

    def from_frame(self, frame: BodyFrame) -> Array:
        """(3, 3) F: from the motion's frame; a camera counts as level."""
        return _UP[self.up] @ _TO_Y_UP[frame]


@dataclass(frozen=True, eq=False)
class Rig:
    """One person's skeleton and its motion, in the axes and the unit of a file. V vertices, T frames.

    Attributes:
        joint_names: 24.
        parents: of each joint; -1 for the root.
        rest: (24, 3) joints at rest.
        vertices: (V, 3) at rest.
        rotations: (T, 24, 3, 3) of each joint in its parent's frame; NaN where the person is not there.
        root: (T, 3) position of joint 0; NaN likewise.
        present: (T,).
    """

    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    rest: Array
    vertices: Array
    rotations: Array
    root: Array
    present: NDArray[np.bool_]

    @property
    def offsets(self) -> Array:
        """(24, 3) of each joint from its parent, at rest; the root's from the origin."""
        parents = np.array(self.parents)
        return self.rest - np.where(parents[:, None] < 0, 0.0, self.rest[parents])

    def children(self, joint: int) -> list[int]:
        """Joints whose parent this one is."""
        return [child for child, parent in enumerate(self.parents) if parent == joint]


def rig(motion: BodyMotion, body: SMPL, row: int, axes: Axes) -> Rig:
    """The person in this row of `motion`, on `body`.

    Raises:
        ConfigError: the motion is of another body, or has more betas than it.
    """
    expect_same_body(motion, body)
    count = len(body.parents)
    with torch.no_grad():
        betas = torch.from_numpy(motion.betas[row]).to(body.v_template)
        rest = body.rest_joints(betas).double().cpu().numpy()
        vertices = body.rest_vertices(betas).double().cpu().numpy()
        rotations = axis_angle_to_matrix(torch.from_numpy(motion.pose[row]).double()).numpy()
    from_rest, from_frame, scale = axes.from_rest, axes.from_frame(motion.frame), axes.per_metre
    turned = from_rest @ rotations @ from_rest.T
    turned[:, 0] = from_frame @ rotations[:, 0] @ from_rest.T
    return Rig(
        joint_names=body.joint_names[:count],
        parents=body.parents,
        rest=scale * rest @ from_rest.T,
        vertices=scale * vertices @ from_rest.T,
        rotations=turned,
        root=scale * (rest[0] + motion.transl[row]) @ from_frame.T,
        present=motion.present[row],
    )


def expect_same_body(motion: BodyMotion, body: SMPL) -> None:
    """Nothing, if the numbers of `motion` are about `body`.

    Raises:
        ConfigError: they are of another body, or there are more betas than it takes.
    """
    if motion.body != body.info.name:
        raise ConfigError(
            f"body: the motion is of the {motion.body} body, got {body.info.name} ({body.info.source}). Give the body "
            "that the motion was made with."
        )
    if motion.betas.shape[1] > body.num_betas:
        raise ConfigError(
            f"body: the motion has {motion.betas.shape[1]} betas, the body was loaded with {body.num_betas}. Load it "
            f"with num_betas={motion.betas.shape[1]}."
        )


def moved_to(motion: BodyMotion, body: SMPL) -> tuple[BodyMotion, tuple[str, ...]]:
    """(the motion with numbers about `body`, sentences about what got lost).

    Rotations and places of SMPL's body hold on the free body; its betas do not, and are set to 0.

    Raises:
        ConfigError: no other pair of bodies has anything in common.
    """
    if motion.body == body.info.name or (motion.body, body.info.name) != ("smpl", "free"):
        expect_same_body(motion, body)
        return motion, ()
    lost = "shown on the free body: rotations and places hold, shapes are its mean one"
    entry = history_entry("convert", "poseworks-core", {"from_body": motion.body, "to_body": body.info.name})
    betas = np.zeros((motion.num_people, body.num_betas), np.float32)
    return motion.replace(body="free", gender="neutral", betas=betas).with_step(entry), (lost,)


def people_there(motion: BodyMotion) -> list[int]:
    """Rows of the people who are there in some frame.

    Raises:
        DataError: nobody is.
    """
    rows = np.flatnonzero(motion.present.any(axis=1)).tolist()
    if not rows:
        raise DataError(
            f"body motion: nobody is there in any of its {motion.num_frames} frames, so there is nothing to write."
        )
    return rows


def person_name(motion: BodyMotion, row: int) -> str:
    """What the person of this row is called in files."""
    return f"person_{row if motion.person_ids is None else int(motion.person_ids[row])}"
