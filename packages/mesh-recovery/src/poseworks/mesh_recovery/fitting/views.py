"""Bodies from the keypoints of several calibrated cameras at once.

Joints are triangulated from the views that agree, bodies fitted to them, and then moved until the joints lie where all
cameras see them: each view counts by its confidence, and little where it errs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.body_models import SMPL, load_body, pose_prior
from poseworks.core.calibration import PlacedCamera
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.gaps import Piece
from poseworks.core.notes import Notes, some
from poseworks.core.poses import PoseSequence
from poseworks.core.skeletons import skeleton_from_names
from poseworks.core.swaps import repair_swaps
from poseworks.mesh_recovery.fitting.camera_terms import SeenPoints
from poseworks.mesh_recovery.fitting.fitted import Fitted
from poseworks.mesh_recovery.fitting.folded import JOINTS, FoldedPoints
from poseworks.mesh_recovery.fitting.least_squares import FrameFit, Poses
from poseworks.mesh_recovery.fitting.offsets import offset_directions
from poseworks.mesh_recovery.fitting.poses_3d import LEAST_POINTS, TO_Y_UP, Person, Up, solved_3d, spread
from poseworks.mesh_recovery.fitting.results import Solved, fitted
from poseworks.mesh_recovery.fitting.smooth_steps import Smoothness, solve_smoothly
from poseworks.mesh_recovery.fitting.terms import Likely, TowardsRest
from poseworks.mesh_recovery.fitting.triangulation import misses, triangulated
from poseworks.mesh_recovery.named_joints import NamedJoints

Array = NDArray[np.float64]

_SCALE = 0.02  # metres at the person's distance: an error of this size costs about a half
_REACH = 0.1
_PRIOR = 0.1
_BETAS = 0.3
_OFFSETS = 1.0
_SMOOTHNESS = Smoothness(points=3000.0, angles=0.3)  # at 30 frames per second
_EXCHANGED = 0.5  # left and right of a view are exchanged where that lowers its misses to this share


def fit_views(
    views: Sequence[PoseSequence],
    cameras: Sequence[PlacedCamera],
    body: SMPL | str = "free",
    *,
    up: Up = "z",
    advance: Callable[[float], None] = lambda share: None,
) -> Fitted:
    """Bodies in the world of several cameras, turned so that y is up.

    Args:
        views: 2D keypoints in pixels, one for each camera: the same joints, people and frames, taken at the same time.
            People are matched by their numbers.
        cameras: of the views, in their order.
        body: a body, or what `load_body` takes.
        up: which way is up in the cameras' world.
        advance: called with shares of the work.

    Returns:
        Its `poses` are the joints in the cameras' world, in metres.

    Raises:
        ConfigError: another number of cameras than of views, fewer than two, another `up`.
        DataError: views that do not fit each other, or nobody whom two cameras see.
    """
    _expect_alike(views, cameras, up)
    if isinstance(body, str):
        body = load_body(body)
    repaired = [repair_swaps(view) for view in views]
    views = [each.poses for each in repaired]
    named = NamedJoints(body, views[0].joint_names)
    rows = _rows(views)
    turn = TO_Y_UP[up]
    rotations = np.stack([camera.rotation @ turn.T for camera in cameras])
    rig = _Rig(_float(rotations), _float(np.stack([camera.translation for camera in cameras])))
    notes = Notes(views[0])
    if named.unknown:
        notes.add(f"the body has no {some(named.unknown)}: left out")
    mirror = list(skeleton_from_names(views[0].joint_names).mirrored)
    solved: list[Solved | None] = []
    found = np.full((len(rows), views[0].num_frames, views[0].num_joints, 3), np.nan)
    for number, places in enumerate(rows):
        seen = _Seen.of(views, cameras, places)
        points, exchanged = _points(seen, rig, mirror)
        for name, alone, place, frames in zip(_names(cameras), repaired, places, exchanged, strict=True):
            count = len(np.setxor1d(alone.changed[place], frames))
            if count:
                notes.add(f"{notes.name(number)}: {count} frames of {name} had left and right exchanged: put back")
        found[number] = points.double().numpy() @ turn
        person = Person(points.double().numpy(), seen.confidence(), named)
        pieces = person.pieces(views[0].fps)
        if not pieces:
            notes.add(f"{notes.name(number)}: no frame with {LEAST_POINTS} joints that two cameras see: not fitted")
        solved.append(_solved(body, person, pieces, seen, rig, views[0].fps, cameras) if pieces else None)
        advance(1 / len(rows))
    if not any(solved):
        raise DataError(
            f"views: nobody with {LEAST_POINTS} joints of the body that two cameras see in the same frame. Check that "
            "the views were taken at the same time, and that the cameras stand in the order of the views."
        )
    triangulated_in = np.asarray(np.isfinite(found).all(-1), dtype=np.float32)
    space = views[0].replace(positions=found, confidence=triangulated_in, unit="m", frame="world", image_size=None)
    return fitted(space, body, solved, turn, notes, {"from": "several views", "cameras": len(cameras), "up": up})


@dataclass(frozen=True, eq=False)
class _Rig:
    """Cameras in a world with y up: rotations (V, 3, 3) and translations (V, 3)."""

    rotations: Tensor
    translations: Tensor


@dataclass(frozen=True, eq=False)
class _Seen:
    """Where V cameras see one person's joints: (V, T, J, 2) slopes, and (V, T, J) weights, 0 where not seen."""

    slopes: Tensor
    weight: Tensor

    @classmethod
    def of(cls, views: Sequence[PoseSequence], cameras: Sequence[PlacedCamera], rows: Sequence[int]) -> _Seen:
        """The person in these rows of the views."""
        pixels = np.stack([view.positions[row] for view, row in zip(views, rows, strict=True)]).astype(np.float64)
        there = np.asarray(np.isfinite(pixels).all(-1))
        slopes = np.stack([camera.slopes(at) for camera, at in zip(cameras, pixels, strict=True)])
        confidence = np.stack([view.confidence[row] for view, row in zip(views, rows, strict=True)])
        return cls(_float(np.where(there[..., None], slopes, 0)), _float(np.where(there, confidence**2, 0)))

    def confidence(self) -> NDArray[np.float32]:
        """(T, J) that of the second best view of each joint."""
        best = self.weight.sort(dim=0, descending=True).values[1]
        return np.asarray(best.sqrt().numpy())

    def mirrored(self, frames: Tensor, mirror: list[int]) -> _Seen:
        """Left and right exchanged in some frames, (V, T), of the views."""
        return _Seen(
            torch.where(frames[..., None, None], self.slopes[:, :, mirror], self.slopes),
            torch.where(frames[..., None], self.weight[:, :, mirror], self.weight),
        )

    def __getitem__(self, joints: NDArray[np.intp]) -> _Seen:
        return _Seen(self.slopes[:, :, joints], self.weight[:, :, joints])


def _points(seen: _Seen, rig: _Rig, mirror: list[int]) -> tuple[Tensor, list[NDArray[np.intp]]]:
    """(T, J, 3) triangulated joints, and frames of each view in which left and right were put back, in `seen`."""
    points = triangulated(seen.slopes, seen.weight, rig.rotations, rig.translations)
    other = seen.mirrored(torch.ones(seen.weight.shape[:2], dtype=torch.bool), mirror)

    def cost(given: _Seen) -> Tensor:
        far = misses(points, given.slopes, rig.rotations, rig.translations).nan_to_num(0.0, posinf=1.0).clamp_max(1.0)
        return (given.weight * far).sum(-1)

    wrong = cost(other) < _EXCHANGED * cost(seen)
    if wrong.any():
        better = seen.mirrored(wrong, mirror)
        seen.slopes.copy_(better.slopes)
        seen.weight.copy_(better.weight)
        points = triangulated(seen.slopes, seen.weight, rig.rotations, rig.translations)
    return points, [np.flatnonzero(frames) for frames in wrong.numpy()]


def _solved(
    body: SMPL,
    person: Person,
    pieces: tuple[Piece, ...],
    seen: _Seen,
    rig: _Rig,
    fps: float,
    cameras: Sequence[PlacedCamera],
) -> Solved:
    """The fit of one person: to the triangulated joints, then to what the cameras see."""
    start = solved_3d(body, person, pieces, fps)
    seen = seen[person.places]
    offsets = offset_directions(person.names)
    points = FoldedPoints(body, NamedJoints(body, person.names)).with_offsets(offsets)
    shape = torch.zeros(len(points.rest) - 1)
    shape[: body.num_betas] = start.poses.shape[: body.num_betas]
    poses = Poses(shape, start.poses.root, start.poses.pose, start.poses.transl)
    pull = torch.tensor([_BETAS] * body.num_betas + [_OFFSETS] * len(offsets))
    terms = (Likely(pose_prior(), _PRIOR), TowardsRest(torch.zeros(69)))
    places = torch.einsum("vij,tj->vti", rig.rotations, poses.transl) + rig.translations[:, None]

    def fit(rows: NDArray[np.intp]) -> FrameFit:
        frames = start.frames[rows]
        data = SeenPoints(
            seen.slopes[:, frames],
            seen.weight[:, frames],
            places[:, rows, 2].clamp_min(0.1),
            rig.rotations,
            rig.translations,
            scale=_SCALE,
            reach=_REACH,
        )
        return FrameFit(points, data, terms, pull, joints=tuple(range(JOINTS)))

    chosen = spread(np.arange(len(poses)))
    some_poses = poses[torch.from_numpy(chosen)]
    fit(chosen).solve(some_poses, 12, free_shape=True, enough=3e-3)
    poses.shape = some_poses.shape
    parts, first = [], 0
    for begin, end in pieces:
        rows = np.arange(first, first + end - begin)
        piece_fit, part = fit(rows), poses[torch.from_numpy(rows)]
        piece_fit.solve(part, 8)
        solve_smoothly(piece_fit, part, _SMOOTHNESS.at(fps), 4)
        parts.append(part)
        first += end - begin
    whole = Poses.joined(parts)
    solved = Solved(points, person.names, person.places, start.frames, whole, person.target[start.frames])
    return Solved(**{**vars(solved), "figures": {"views": _reprojection(solved, seen, rig, cameras)}})


def _reprojection(solved: Solved, seen: _Seen, rig: _Rig, cameras: Sequence[PlacedCamera]) -> list[dict[str, Any]]:
    """How far from the keypoints of each view the joints are seen, in pixels."""
    far = misses(solved.joints(beside=True), seen.slopes[:, solved.frames], rig.rotations, rig.translations)
    placed = torch.einsum("vij,tnj->vtni", rig.rotations, solved.joints(beside=True)) + rig.translations[:, None, None]
    pixels = far / placed[..., 2] * _float(np.array([camera.lens.fx for camera in cameras]))[:, None, None]
    weight = seen.weight[:, solved.frames]
    return [
        {"camera": name, "median_px": float(view[counted > 0].median()) if (counted > 0).any() else None}
        for name, view, counted in zip(_names(cameras), pixels, weight, strict=True)
    ]


def _names(cameras: Sequence[PlacedCamera]) -> list[str]:
    return [camera.name or f"camera {number}" for number, camera in enumerate(cameras)]


def _rows(views: Sequence[PoseSequence]) -> list[list[int]]:
    """Rows of each person of the first view in all views.

    Raises:
        DataError: the views show other people.
    """
    ids = [None if view.person_ids is None else view.person_ids.tolist() for view in views]
    counts = [view.num_people for view in views]
    if set(counts) == {1}:
        return [[0] * len(views)]
    if any(numbers is None for numbers in ids) or any(set(numbers or ()) != set(ids[0] or ()) for numbers in ids):
        raise DataError(
            f"views: {', '.join(map(str, counts))} people, who cannot be matched. Give each view one person, or the "
            "same person_ids in all."
        )
    return [[(numbers or []).index(number) for numbers in ids] for number in ids[0] or []]


def _expect_alike(views: Sequence[PoseSequence], cameras: Sequence[PlacedCamera], up: str) -> None:
    """Nothing, if the views can be fitted together.

    Raises:
        ConfigError, DataError: as of `fit_views`.
    """
    if len(views) < 2 or len(views) != len(cameras):
        raise ConfigError(
            f"views: expected at least two, and a camera for each; got {len(views)} views and {len(cameras)} cameras."
        )
    if up not in TO_Y_UP:
        raise ConfigError(f"up: expected one of {', '.join(TO_Y_UP)}, got {up!r}.")
    first, faults = views[0], []
    for number, (view, camera) in enumerate(zip(views, cameras, strict=True)):
        if view.num_dims != 2 or view.unit != "px":
            faults.append(f"view {number}: expected 2D keypoints in pixels, got {view.num_dims}D in {view.unit}")
        if view.joint_names != first.joint_names:
            faults.append(f"view {number}: other joints than the first; convert it to {first.skeleton}")
        if view.num_frames != first.num_frames or abs(view.fps - first.fps) > 1e-3 * first.fps:
            faults.append(
                f"view {number}: {view.num_frames} frames at {view.fps:g} per second, the first has "
                f"{first.num_frames} at {first.fps:g}; cut them to the same moments"
            )
        if None not in (view.image_size, camera.image_size) and view.image_size != camera.image_size:
            faults.append(f"view {number}: a picture of {view.image_size}, its camera's is {camera.image_size}")
    if faults:
        raise DataError(f"{'; '.join(faults)}.")


def _float(array: NDArray[Any]) -> Tensor:
    return torch.tensor(array, dtype=torch.float32)
