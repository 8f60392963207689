"""From the fits of several people to what is given back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.body_models import SMPL, BodyMotion
from poseworks.core.notes import Notes
from poseworks.core.poses import PoseSequence, history_entry
from poseworks.core.rotations import matrix_to_axis_angle
from poseworks.mesh_recovery.fitting.fitted import Fitted
from poseworks.mesh_recovery.fitting.folded import FoldedPoints
from poseworks.mesh_recovery.fitting.least_squares import Poses, chunks
from poseworks.mesh_recovery.fitting.terms import wrong_bends

FAR_MM = 150.0  # in the mean, beyond which something is wrong with the joints


@dataclass(frozen=True, eq=False)
class Solved:
    """One person's fit in F frames.

    Attributes:
        points: n joints of the body, with offsets as further shape directions.
        names: of the joints.
        places: theirs in the input.
        frames: (F,) numbers of the frames.
        poses: of them, the shape with the offsets.
        target: (F, n, 3) where the joints should be, in metres; NaN where that is not known.
        figures: more to tell of the person.
    """

    points: FoldedPoints
    names: tuple[str, ...]
    places: NDArray[np.intp]
    frames: NDArray[np.intp]
    poses: Poses
    target: Tensor
    figures: Mapping[str, Any] = field(default_factory=dict)

    def joints(self, *, beside: bool) -> Tensor:
        """(F, n, 3) the body's joints, or with their offsets where the input's are, `beside` them."""
        shape = self.poses.shape.clone()
        if not beside:
            shape[self.points.num_betas :] = 0
        parts = (self.poses[frames] for frames in chunks(len(self.poses)))
        return torch.cat([self.points.place(shape, part.rotations(), part.transl).points for part in parts])


def fitted(
    poses: PoseSequence,
    body: SMPL,
    solved: Sequence[Solved | None],
    turn: NDArray[np.float64],
    notes: Notes,
    settings: Mapping[str, Any],
) -> Fitted:
    """The result, in the people and frames of `poses`.

    Args:
        poses: the joints that the bodies were fitted to.
        body: theirs.
        solved: of each person; None: not fitted.
        turn: (3, 3) from the axes of `poses` to those of the motion.
        notes: what was done on the way.
        settings: of the step, for the history.
    """
    people, frames = poses.positions.shape[:2]
    root, transl = (np.full((people, frames, 3), np.nan, np.float32) for _ in range(2))
    body_pose = np.full((people, frames, 23, 3), np.nan, np.float32)
    betas = np.zeros((people, body.num_betas), np.float32)
    positions = np.full(poses.positions.shape, np.nan, np.float32)
    back = turn * (1000 if poses.unit == "mm" else 1)
    for row, part in enumerate(solved):
        if part is None:
            continue
        root[row, part.frames] = matrix_to_axis_angle(part.poses.root).numpy()
        body_pose[row, part.frames] = part.poses.pose.reshape(-1, 23, 3).numpy()
        transl[row, part.frames] = part.poses.transl.numpy()
        betas[row] = part.poses.shape[: body.num_betas].numpy()
        positions[row, part.frames[:, None], part.places] = part.joints(beside=False).numpy() @ back
    entry = history_entry("fit", "poseworks-mesh-recovery", {"body": body.info.name, **settings})
    history = (*poses.history, entry)
    motion = BodyMotion(
        global_orient=root,
        body_pose=body_pose,
        betas=betas,
        transl=transl,
        fps=poses.fps,
        body="free" if body.info.name == "free" else "smpl",
        gender=body.info.gender,
        frame="camera" if poses.frame == "camera" else "world",
        times=poses.times,
        person_ids=poses.person_ids,
        history=history,
    )
    figures = tuple(_figures(poses, row, part, body) for row, part in enumerate(solved))
    for row, told in enumerate(figures):
        if told["frames"] and told["mean_mm"] > FAR_MM:
            notes.add(
                f"{notes.name(row)}: the body lies {told['mean_mm']:.0f} mm beside the joints in the mean: check their "
                "names and their unit"
            )
    shown = poses.replace(positions=positions, history=history)
    return Fitted(motion, shown, notes.sentences(), figures)


def _figures(poses: PoseSequence, row: int, part: Solved | None, body: SMPL) -> dict[str, Any]:
    """What is told of a person: how far the body's joints lie from those given, and how the person is built."""
    person = row if poses.person_ids is None else int(poses.person_ids[row])
    if part is None:
        return {"person": person, "frames": 0}
    beside = part.joints(beside=True)
    seen = part.target.isfinite().all(-1)
    error = 1000 * torch.linalg.vector_norm(beside - part.target, dim=-1)[seen].numpy()
    aside = 1000 * torch.linalg.vector_norm(beside[0] - part.joints(beside=False)[0], dim=-1)
    height = body.rest_vertices(part.poses.shape[: body.num_betas])[:, 1]
    return {
        "person": person,
        "frames": len(part.frames),
        "mean_mm": float(error.mean()),
        "p95_mm": float(np.quantile(error, 0.95)),
        "stature_m": float(height.max() - height.min()),
        "beside_the_body_mm": {
            name: round(far) for name, far in zip(part.names, aside.tolist(), strict=True) if far > 1
        },
        "bent_the_wrong_way": wrong_bends(part.poses.pose),
        **part.figures,
    }
