"""Bodies from 3D joints: of motion capture, of several cameras, or lifted.

The shape of a person comes from frames spread over the recording; the poses of each run of frames then follow with the
shape held, first each by itself and then all at once, smoothly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.body_models import SMPL, BodyMotion, load_body
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.gaps import Piece, runs
from poseworks.core.notes import Notes, some
from poseworks.core.poses import PoseSequence, history_entry
from poseworks.core.rotations import matrix_to_axis_angle
from poseworks.mesh_recovery.fitting.fitted import Fitted
from poseworks.mesh_recovery.fitting.folded import FoldedPoints
from poseworks.mesh_recovery.fitting.least_squares import FrameFit, Poses, chunks
from poseworks.mesh_recovery.fitting.offsets import offset_directions
from poseworks.mesh_recovery.fitting.smooth_steps import Smoothness, solve_smoothly
from poseworks.mesh_recovery.fitting.start_3d import posed_from
from poseworks.mesh_recovery.fitting.terms import NearPoints, TowardsRest, rest_pulls, wrong_bends
from poseworks.mesh_recovery.named_joints import NamedJoints

Up = Literal["y", "-y", "z"]
Array = NDArray[np.float64]

_TO_Y_UP = {
    "y": np.eye(3),
    "-y": np.diag([1.0, -1.0, -1.0]),
    "z": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}
_TRUNK = ("spine", "belly", "thorax", "mid_shoulder", "neck", "head_top", "face")

_SCALE = 0.02  # metres: an error of this size costs a half
_BEND = 2.0  # scales beyond which an error counts linearly
_TRUNK_WEIGHT = 0.5
_BETAS = 0.1
_OFFSETS = 1.0
_SMOOTHNESS = Smoothness(points=300.0, angles=0.3)  # at 30 frames per second
_SHAPE_FRAMES = 96
_LONGEST_GAP_S = 0.5
_LEAST_POINTS = 4


def fit_3d(
    poses: PoseSequence,
    body: SMPL | str = "free",
    *,
    up: Up | None = None,
    advance: Callable[[float], None] = lambda share: None,
) -> Fitted:
    """Bodies in the poses of `poses`.

    Args:
        poses: 3D, in metres or millimetres. Frames with fewer than 4 joints are bridged up to half a second, then left
            out. In the frame ``camera`` the bodies stay in the camera's axes; else they stand in a world with y up.
        body: a body, or what `load_body` takes.
        up: which way is up in the frames ``world`` and ``root``. None: ``z`` in a world, as motion capture has it;
            ``-y`` about a root, as networks give it in a level camera's axes.
        advance: called with shares of the work.

    Raises:
        DataError: 2D or scaleless poses, or nobody with enough joints.
        ConfigError: another `up`, or one beside a camera.
    """
    if isinstance(body, str):
        body = load_body(body)
    turn, metres = _turn(poses, up), _metres(poses)
    named = NamedJoints(body, poses.joint_names)
    notes = Notes(poses)
    notes.assumed()
    if named.unknown:
        notes.add(f"the body has no {some(named.unknown)}: left out")
    notes.uneven("fitted")
    solved: list[_Solved | None] = []
    for row in range(poses.num_people):
        person = _Person(metres[row] @ turn.T, poses.confidence[row], named)
        pieces = person.pieces(poses.fps)
        if not pieces:
            notes.add(f"{notes.name(row)}: no frame with {_LEAST_POINTS} joints that the body has: not fitted")
        solved.append(_solved(body, person, pieces, poses.fps) if pieces else None)
        advance(1 / poses.num_people)
    if not any(solved):
        raise DataError(
            f"poses: nobody has {_LEAST_POINTS} joints in a frame that the body has. Expected joints such as hips, "
            "knees and shoulders, under the names of poseworks.core.skeletons."
        )
    return _fitted(poses, body, named, solved, turn, notes)


class _Person:
    """One person's joints, those that the body has and that are ever observed.

    Attributes:
        names: of n joints.
        places: theirs in the input.
        target: (T, n, 3) metres, NaN where not observed.
        weight: (T, n).
    """

    def __init__(self, metres: Array, confidence: NDArray[np.float32], named: NamedJoints) -> None:
        seen = np.isfinite(metres).all(-1) & (confidence > 0)
        self.places = np.flatnonzero(named.known.numpy() & seen.any(axis=0))
        self.names = tuple(named.names[place] for place in self.places)
        target = np.where(seen[..., None], metres, np.nan)[:, self.places]
        self.target = torch.tensor(target, dtype=torch.float32)
        share = np.where(np.isin(self.names, _TRUNK), _TRUNK_WEIGHT, 1.0)
        self.weight = torch.tensor(confidence[:, self.places] ** 2 * share, dtype=torch.float32)

    @property
    def enough(self) -> NDArray[np.bool_]:
        """(T,) frames with enough joints."""
        return np.asarray(self.target.isfinite().all(-1).sum(-1).numpy() >= _LEAST_POINTS)

    def pieces(self, fps: float) -> tuple[Piece, ...]:
        """Runs of frames with enough joints, across short gaps."""
        there = self.enough
        for start, stop in runs(~there):
            if start and stop < len(there) and stop - start <= _LONGEST_GAP_S * fps:
                there[start:stop] = True
        return runs(there)

    def filled(self) -> Tensor:
        """(T, n, 3) targets, what is missing interpolated in time: to begin with."""
        filled = self.target.clone().numpy()
        frames = np.arange(len(filled))
        for column in filled.transpose(1, 2, 0).reshape(-1, len(filled)):
            seen = np.isfinite(column)
            column[~seen] = np.interp(frames[~seen], frames[seen], column[seen])
        return torch.from_numpy(filled)


@dataclass(frozen=True, eq=False)
class _Solved:
    """One person's fit in F frames.

    Attributes:
        person: who.
        frames: (F,) their numbers.
        poses: of them.
        points: (F, n, 3) the body's joints, moved beside it as the person's are.
        joints: (F, n, 3) the body's joints.
    """

    person: _Person
    frames: NDArray[np.intp]
    poses: Poses
    points: Tensor
    joints: Tensor


def _solved(body: SMPL, person: _Person, pieces: tuple[Piece, ...], fps: float) -> _Solved:
    offsets = offset_directions(person.names)
    plain = FoldedPoints(body, NamedJoints(body, person.names))
    points = plain.with_offsets(offsets)
    pull = torch.tensor([_BETAS] * body.num_betas + [_OFFSETS] * len(offsets))
    towards_rest = TowardsRest(rest_pulls(points.moved_by))
    target, filled = person.target, person.filled()

    def fit(frames: NDArray[np.intp]) -> FrameFit:
        near = NearPoints(target[frames], person.weight[frames], _SCALE, _BEND)
        return FrameFit(points, near, (towards_rest,), pull)

    enough = np.flatnonzero(person.enough)
    chosen = enough[np.unique(np.linspace(0, len(enough) - 1, _SHAPE_FRAMES).round().astype(int))]
    poses = posed_from(points, person.names, filled[chosen], torch.zeros(len(pull)))
    fit(chosen).solve(poses, 12, free_shape=True, enough=3e-3)
    shape = poses.shape

    smoothness = _SMOOTHNESS.at(fps)
    parts = []
    for start, stop in pieces:
        frames = np.arange(start, stop)
        piece_fit, part = fit(frames), posed_from(points, person.names, filled[frames], shape)
        piece_fit.solve(part, 12)
        solve_smoothly(piece_fit, part, smoothness, 4)
        parts.append(part)
    whole = Poses(shape, *(torch.cat([getattr(part, name) for part in parts]) for name in ("root", "pose", "transl")))
    count = len(plain.rest) - 1
    bare = Poses(shape[:count], whole.root, whole.pose, whole.transl)
    return _Solved(
        person,
        np.concatenate([np.arange(*piece) for piece in pieces]),
        bare,
        _places(points, whole),
        _places(plain, bare),
    )


def _places(points: FoldedPoints, poses: Poses) -> Tensor:
    """(N, n, 3)."""
    return torch.cat(
        [
            points.place(poses.shape, part.rotations(), part.transl).points
            for part in (poses[frames] for frames in chunks(len(poses)))
        ]
    )


def _fitted(
    poses: PoseSequence,
    body: SMPL,
    named: NamedJoints,
    solved: list[_Solved | None],
    turn: Array,
    notes: Notes,
) -> Fitted:
    """The result, in the input's people and frames."""
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
        betas[row] = part.poses.shape.numpy()
        positions[row, part.frames[:, None], part.person.places] = part.joints.numpy() @ back
    up = next(name for name, matrix in _TO_Y_UP.items() if np.array_equal(matrix, turn))
    settings = {"from": "joints in space", "body": body.info.name, "up": None if poses.frame == "camera" else up}
    entry = history_entry("fit", "poseworks-mesh-recovery", settings)
    history = (*poses.history, entry)
    motion = BodyMotion(
        global_orient=root,
        body_pose=body_pose,
        transl=transl,
        betas=betas,
        fps=poses.fps,
        body="free" if body.info.name == "free" else "smpl",
        gender=body.info.gender,
        frame="camera" if poses.frame == "camera" else "world",
        times=poses.times,
        person_ids=poses.person_ids,
        history=history,
    )
    figures = tuple(_figures(poses, row, part, body) for row, part in enumerate(solved))
    shown = poses.replace(positions=positions, history=history)
    return Fitted(motion, shown, notes.sentences(), figures)


def _figures(poses: PoseSequence, row: int, part: _Solved | None, body: SMPL) -> dict[str, Any]:
    """What is told of a person: how far the body's joints lie from those given, and how the person is built."""
    person = row if poses.person_ids is None else int(poses.person_ids[row])
    if part is None:
        return {"person": person, "frames": 0}
    target = part.person.target[part.frames]
    seen = target.isfinite().all(-1)
    error = 1000 * torch.linalg.vector_norm(part.points - target, dim=-1)[seen]
    aside = torch.linalg.vector_norm(part.points - part.joints, dim=-1)[0]
    height = body.rest_vertices(part.poses.shape)[:, 1]
    return {
        "person": person,
        "frames": len(part.frames),
        "mean_mm": float(error.mean()),
        "p95_mm": float(error.quantile(0.95)) if len(error) < 1 << 24 else float("nan"),
        "stature_m": float(height.max() - height.min()),
        "beside_the_body_mm": {
            name: round(1000 * float(far)) for name, far in zip(part.person.names, aside, strict=True) if far > 1e-3
        },
        "bent_the_wrong_way": wrong_bends(part.poses.pose),
    }


def _turn(poses: PoseSequence, up: Up | None) -> Array:
    """(3, 3): from the axes of the poses to those of the motion.

    Raises:
        ConfigError: another `up`, or one beside a camera.
    """
    if up is not None and up not in _TO_Y_UP:
        raise ConfigError(f"up: expected one of {', '.join(_TO_Y_UP)}, got {up!r}.")
    if poses.frame == "camera":
        if up is not None:
            raise ConfigError("up: the poses lie in a camera's axes, where the bodies stay. Leave it out.")
        return np.eye(3)
    return _TO_Y_UP[up or ("z" if poses.frame == "world" else "-y")]


def _metres(poses: PoseSequence) -> Array:
    """(P, T, J, 3).

    Raises:
        DataError: they are 2D, or in another unit.
    """
    if poses.num_dims != 3:
        raise DataError("poses: expected 3D joints, got keypoints in a picture. They are fitted by `fit`.")
    if poses.unit not in ("m", "mm"):
        raise DataError(
            f"poses: expected metres or millimetres, got the unit {poses.unit}, which does not tell how large the "
            "person is. Lift with --height, or state the unit."
        )
    return poses.positions.astype(np.float64) / (1000 if poses.unit == "mm" else 1)
