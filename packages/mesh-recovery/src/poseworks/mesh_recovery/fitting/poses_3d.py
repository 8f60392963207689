"""Bodies from 3D joints: of motion capture, of several cameras, or lifted.

The shape of a person comes from frames spread over the recording; the poses of each run of frames then follow with the
shape held, first each by itself and then all at once, smoothly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.body_models import SMPL, load_body
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.gaps import Piece, runs
from poseworks.core.notes import Notes, some
from poseworks.core.poses import PoseSequence
from poseworks.mesh_recovery.fitting.fitted import Fitted
from poseworks.mesh_recovery.fitting.folded import FoldedPoints
from poseworks.mesh_recovery.fitting.least_squares import FrameFit, Poses
from poseworks.mesh_recovery.fitting.offsets import TRUNK, offset_directions
from poseworks.mesh_recovery.fitting.results import Solved, fitted
from poseworks.mesh_recovery.fitting.smooth_steps import Smoothness, solve_smoothly
from poseworks.mesh_recovery.fitting.start_3d import posed_from
from poseworks.mesh_recovery.fitting.terms import NearPoints, TowardsRest, rest_pulls
from poseworks.mesh_recovery.named_joints import NamedJoints

Up = Literal["y", "-y", "z"]
Array = NDArray[np.float64]

TO_Y_UP = {
    "y": np.eye(3),
    "-y": np.diag([1.0, -1.0, -1.0]),
    "z": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}

_SCALE = 0.02  # metres: an error of this size costs a half
_BEND = 2.0  # scales beyond which an error counts linearly
_TRUNK_WEIGHT = 0.5
_BETAS = 0.03
_OFFSETS = 1.0
SMOOTHNESS = Smoothness(points=100.0, angles=0.3)  # at 30 frames per second
SHAPE_FRAMES = 96
_LONGEST_GAP_S = 0.5
LEAST_POINTS = 4


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
    solved: list[Solved | None] = []
    for row in range(poses.num_people):
        person = Person(metres[row] @ turn.T, poses.confidence[row], named)
        pieces = person.pieces(poses.fps)
        if not pieces:
            notes.add(f"{notes.name(row)}: no frame with {LEAST_POINTS} joints that the body has: not fitted")
        solved.append(solved_3d(body, person, pieces, poses.fps) if pieces else None)
        advance(1 / poses.num_people)
    if not any(solved):
        raise DataError(
            f"poses: nobody has {LEAST_POINTS} joints in a frame that the body has. Expected joints such as hips, "
            "knees and shoulders, under the names of poseworks.core.skeletons."
        )
    towards = None if poses.frame == "camera" else next(up for up, to in TO_Y_UP.items() if np.array_equal(to, turn))
    return fitted(poses, body, solved, turn, notes, {"from": "joints in space", "up": towards})


class Person:
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
        share = np.where(np.isin(self.names, TRUNK), _TRUNK_WEIGHT, 1.0)
        self.weight = torch.tensor(confidence[:, self.places] ** 2 * share, dtype=torch.float32)

    @property
    def enough(self) -> NDArray[np.bool_]:
        """(T,) frames with enough joints."""
        return np.asarray(self.target.isfinite().all(-1).sum(-1).numpy() >= LEAST_POINTS)

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
        for joint in range(filled.shape[1]):
            seen = np.isfinite(filled[:, joint]).all(axis=-1)
            for axis in range(3):
                column = filled[:, joint, axis]
                column[~seen] = np.interp(frames[~seen], frames[seen], column[seen])
        return torch.from_numpy(filled)


def solved_3d(body: SMPL, person: Person, pieces: tuple[Piece, ...], fps: float) -> Solved:
    """The fit of one person in the frames of `pieces`."""
    offsets = offset_directions(person.names)
    points = FoldedPoints(body, NamedJoints(body, person.names)).with_offsets(offsets)
    pull = torch.tensor([_BETAS] * body.num_betas + [_OFFSETS] * len(offsets))
    towards_rest = TowardsRest(rest_pulls(points.moved_by))
    target, filled = person.target, person.filled()

    def fit(frames: NDArray[np.intp]) -> FrameFit:
        near = NearPoints(target[frames], person.weight[frames], _SCALE, _BEND)
        return FrameFit(points, near, (towards_rest,), pull)

    chosen = spread(np.flatnonzero(person.enough))
    poses = posed_from(points, person.names, filled[chosen], torch.zeros(len(pull)))
    fit(chosen).solve(poses, 12, free_shape=True, enough=3e-3)
    shape, parts = poses.shape, []
    for start, stop in pieces:
        frames = np.arange(start, stop)
        piece_fit, part = fit(frames), posed_from(points, person.names, filled[frames], shape)
        piece_fit.solve(part, 12)
        solve_smoothly(piece_fit, part, SMOOTHNESS.at(fps), 4)
        parts.append(part)
    frames = np.concatenate([np.arange(*piece) for piece in pieces])
    return Solved(points, person.names, person.places, frames, Poses.joined(parts), target[frames])


def spread(frames: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most `SHAPE_FRAMES` of the frames, evenly spread: the shape of a person is found from these."""
    places = np.unique(np.linspace(0, len(frames) - 1, SHAPE_FRAMES).round().astype(np.intp))
    return np.asarray(frames[places])


def _turn(poses: PoseSequence, up: Up | None) -> Array:
    """(3, 3): from the axes of the poses to those of the motion.

    Raises:
        ConfigError: another `up`, or one beside a camera.
    """
    if up is not None and up not in TO_Y_UP:
        raise ConfigError(f"up: expected one of {', '.join(TO_Y_UP)}, got {up!r}.")
    if poses.frame == "camera":
        if up is not None:
            raise ConfigError("up: the poses lie in a camera's axes, where the bodies stay. Leave it out.")
        return np.eye(3)
    return TO_Y_UP[up or ("z" if poses.frame == "world" else "-y")]


def _metres(poses: PoseSequence) -> Array:
    """(P, T, J, 3).

    Raises:
        DataError: they are 2D, or in another unit.
    """
    if poses.num_dims != 3:
        raise DataError("poses: expected 3D joints, got 2D keypoints. They are fitted by `fit`.")
    if poses.unit not in ("m", "mm"):
        raise DataError(
            f"poses: expected metres or millimetres, got the unit {poses.unit}, which does not tell how large the "
            "person is. Lift with --height, or state the unit."
        )
    return poses.positions.astype(np.float64) / (1000 if poses.unit == "mm" else 1)
