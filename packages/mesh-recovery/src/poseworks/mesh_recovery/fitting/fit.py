"""Bodies fitted to keypoints of one camera, or to joints in space."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from poseworks.core.body_models import SMPL, BodyMotion, load_body, pose_prior
from poseworks.core.cameras import Pinhole
from poseworks.core.config import describe_faults
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.gaps import Piece, runs
from poseworks.core.notes import Notes, some
from poseworks.core.poses import PoseSequence, history_entry
from poseworks.core.rotations import matrix_to_axis_angle
from poseworks.core.swaps import repair_swaps
from poseworks.mesh_recovery.fitting.fit_2d import Fitter2D
from poseworks.mesh_recovery.fitting.fitted import Fitted
from poseworks.mesh_recovery.fitting.folded import FoldedPoints
from poseworks.mesh_recovery.fitting.keypoint_inputs import lifted_starts, picture_camera, stature
from poseworks.mesh_recovery.fitting.least_squares import Poses, chunks
from poseworks.mesh_recovery.fitting.poses_3d import Up, fit_3d
from poseworks.mesh_recovery.fitting.starts import LEAST_POINTS, Track, typical_candidates
from poseworks.mesh_recovery.fitting.terms import wrong_bends
from poseworks.mesh_recovery.named_joints import NamedJoints

Array = NDArray[np.float64]
Advance = Callable[[float], None]

# Skeletons whose hips are the centres of the joints; detectors mark points nearer to the skin.
_INNER_HIPS = ("h36m17", "h36m17_left_first", "smpl24")
_DETECTED_HIP_SPREAD = 1.25
# Points that sources place differently by centimetres, or that a body without fingers has not.
_LOOSE = ("spine", "belly", "thorax", "neck", "head_top", "face", "pinky", "index", "thumb", "hand", "foot_index")
_LOOSE_SHARE = 0.5
_WIDEST = 20.0  # slope of a ray that a camera can see: 87 degrees off its axis
_FEET = ("ankle", "heel", "big_toe", "small_toe", "foot")


class FitSettings(BaseModel, frozen=True, extra="forbid"):
    """How a fit to keypoints is done.

    Attributes:
        height: of the people in metres; None: that of the mean body. One camera does not tell it.
        ground: feet that hardly move in the picture are held where they are: for a camera that stands still.
        unswap: first exchange left and right back where the detector exchanged them (`poseworks.core.swaps`).
        min_confidence: keypoints below it count as missing.
        max_gap_s: longest stretch without a person that is bridged.
    """

    height: float | None = Field(None, ge=0.5, le=2.6)
    ground: bool = False
    unswap: bool = False
    min_confidence: float = Field(0.0, ge=0, le=1)
    max_gap_s: float = Field(0.5, ge=0, allow_inf_nan=False)


def checked_settings(**fields: Any) -> FitSettings:
    """The settings; a value out of its range is a ConfigError that names it."""
    try:
        return FitSettings(**fields)
    except ValidationError as error:
        raise ConfigError(f"{'; '.join(describe_faults(error, FitSettings))}.") from error


def fit(
    poses: PoseSequence,
    body: SMPL | str = "free",
    *,
    camera: Pinhole | None = None,
    lifted: PoseSequence | None = None,
    up: Up | None = None,
    settings: FitSettings = FitSettings(),  # noqa: B008 (frozen)
    advance: Advance = lambda share: None,
) -> Fitted:
    """Bodies in the poses of people: of keypoints in a picture by `fit_keypoints`, of joints in space by `fit_3d`.

    Raises:
        ConfigError: an option that these poses have no use for; or as these two do.
        DataError: as these two do.
    """
    if poses.num_dims == 2:
        if up is not None:
            raise ConfigError("up: for joints in space; bodies stay in the axes of the camera. Leave it out.")
        return fit_keypoints(poses, body, camera=camera, lifted=lifted, settings=settings, advance=advance)
    given = [name for name, value in (("camera", camera), ("lifted", lifted)) if value is not None]
    given += sorted(settings.model_fields_set)
    if given:
        raise ConfigError(f"{', '.join(given)}: for keypoints in a picture; these are joints in space. Leave it out.")
    return fit_3d(poses, body, up=up, advance=advance)


def fit_keypoints(
    poses: PoseSequence,
    body: SMPL | str = "free",
    *,
    camera: Pinhole | None = None,
    lifted: PoseSequence | None = None,
    settings: FitSettings = FitSettings(),  # noqa: B008 (frozen)
    advance: Advance = lambda share: None,
) -> Fitted:
    """Bodies in the axes of the camera that saw these keypoints.

    Args:
        poses: in pixels, of any skeleton. Frames with fewer than 4 keypoints that the body has are bridged where they
            are few, and NaN elsewhere.
        body: a body, or what `load_body` takes.
        camera: that saw them. None: its focal length is the diagonal of the image, its axis the image's middle.
        lifted: 3D joints of the same people and frames in the axes of the camera, in any unit, to start from.
        settings: how.
        advance: called with shares of the work.

    Raises:
        ConfigError: the camera and the image size are both unknown; or `lifted` is of other people or frames.
        DataError: no pixels, or nobody with enough keypoints.
    """
    if isinstance(body, str):
        body = load_body(body)
    camera, focal = picture_camera(poses, camera)
    notes = Notes(poses)
    notes.assumed()
    if focal is None:
        notes.add("the camera's axis is beside the middle of the image, or its pixels are not square: no motion file "
                  "can say so, and overlays will be off")  # fmt: skip
    if settings.unswap:
        repaired = repair_swaps(poses)
        poses = repaired.poses
        notes.exchanged(repaired.changed)
    notes.uneven("fitted")
    job = _Job(poses, body, camera, settings)
    if job.impossible:
        notes.add(f"{job.impossible} keypoints where no camera sees anything, or all at one place: left out")
    if job.named.unknown:
        notes.add(f"the body has no {some(job.named.unknown)}: left out")
    starts = lifted_starts(poses, lifted, body)
    found: list[list[tuple[Piece, Poses]]] = []
    for row in range(poses.num_people):
        pieces = job.pieces(row)
        if not pieces:
            notes.add(f"{notes.name(row)}: no frame with {LEAST_POINTS} keypoints that the body has: not fitted")
        frames = sum(stop - start for start, stop in pieces)
        done: list[tuple[Piece, Poses]] = []
        for piece in pieces:
            share = (piece[1] - piece[0]) / (frames * poses.num_people)
            tell = partial(_advanced, advance, share)
            done.append((piece, job.fitter.fit(job.track(row, piece, starts[row]), tell)))
        found.append(done)
        if not pieces:
            advance(1 / poses.num_people)
    if not any(found):
        raise DataError(
            f"poses: nobody has {LEAST_POINTS} keypoints in a frame that the body has. Expected joints such as hips, "
            "knees and shoulders, under the names of poseworks.core.skeletons, with a confidence above 0."
        )
    return job.fitted(found, focal, lifted is not None, notes)


class _Job:
    """What all people of some poses have in common: the points that the body has, the camera, the fitter."""

    def __init__(self, poses: PoseSequence, body: SMPL, camera: Pinhole, settings: FitSettings) -> None:
        self.poses, self.body, self.camera, self.settings = poses, body, camera, settings
        spread = 1.0 if poses.skeleton in _INNER_HIPS else _DETECTED_HIP_SPREAD
        self.named = NamedJoints(body, poses.joint_names, hip_spread=spread)
        self.places = np.flatnonzero(self.named.known.numpy())
        names = tuple(poses.joint_names[place] for place in self.places)
        if not names:
            raise DataError(
                f"poses: the body has none of the joints {some(poses.joint_names)}. Expected names of "
                "poseworks.core.skeletons."
            )
        self.betas = torch.zeros(body.num_betas)
        if settings.height is not None:
            self.betas[0] = stature(body, settings.height)
        self.points = FoldedPoints(body, NamedJoints(body, names, hip_spread=spread))
        joints = body.rest_joints(self.betas)
        index = body.joint_names.index
        shoulders, hips = (joints[[index(f"left_{name}"), index(f"right_{name}")]].mean(0) for name in _TORSO)
        torso_m = float((shoulders - hips).norm())
        starts = typical_candidates(self.points, self.betas)
        self.fitter = Fitter2D(self.points, self.betas, starts, pose_prior(), torso_m)
        parts = [name.removeprefix("left_").removeprefix("right_") for name in names]
        self.share = np.array([_LOOSE_SHARE if part in _LOOSE else 1.0 for part in parts])
        feet = [place for place, part in enumerate(parts) if part in _FEET]
        self.feet = tuple(feet) if settings.ground else ()
        rays = camera.rays(poses.positions[:, :, self.places])[..., :2]
        confidence = poses.confidence[:, :, self.places]
        self.seen = np.isfinite(rays).all(-1) & (confidence > 0) & (confidence >= settings.min_confidence)
        impossible = self.seen & _impossible(rays, self.seen, 1 / min(camera.fx, camera.fy))
        self.impossible = int(impossible.sum())
        self.seen &= ~impossible
        self.slopes = np.where(self.seen[..., None], rays, 0)
        self.confidence = np.where(self.seen, confidence, 0) * self.share

    def pieces(self, row: int) -> tuple[Piece, ...]:
        """Runs of frames in which a person is there, across short gaps."""
        there = self.seen[row].sum(axis=1) >= LEAST_POINTS
        for start, stop in runs(~there):
            if start and stop < len(there) and stop - start <= self.settings.max_gap_s * self.poses.fps:
                there[start:stop] = True
        return runs(there)

    def track(self, row: int, piece: Piece, start: torch.Tensor | None) -> Track:
        """What is seen of a person in these frames."""
        frames = slice(*piece)
        return Track(
            torch.tensor(self.slopes[row, frames], dtype=torch.float32),
            torch.tensor(self.confidence[row, frames], dtype=torch.float32),
            None if start is None else start[frames],
            self.feet,
            self.poses.fps,
        )

    def fitted(
        self, found: list[list[tuple[Piece, Poses]]], focal: float | None, from_lifted: bool, notes: Notes
    ) -> Fitted:
        """The result, in the input's people and frames."""
        poses = self.poses
        people, frames = poses.positions.shape[:2]
        root, transl = (np.full((people, frames, 3), np.nan, np.float32) for _ in range(2))
        body_pose = np.full((people, frames, 23, 3), np.nan, np.float32)
        positions = np.full(poses.positions.shape, np.nan, np.float32)
        for row, pieces in enumerate(found):
            for (start, stop), pose in pieces:
                root[row, start:stop] = matrix_to_axis_angle(pose.root).numpy()
                body_pose[row, start:stop] = pose.pose.reshape(-1, 23, 3).numpy()
                transl[row, start:stop] = pose.transl.numpy()
                parts = (pose[frames] for frames in chunks(len(pose)))
                placed = [self.points.place(self.betas, part.rotations(), part.transl).points for part in parts]
                positions[row, start:stop, self.places] = self.camera.project(torch.cat(placed)).swapaxes(0, 1)
        settings = {
            **self.settings.model_dump(),
            "from": "keypoints",
            "body": self.body.info.name,
            "start": "lifted joints" if from_lifted else "typical poses",
            "focal": [self.camera.fx, self.camera.fy],
        }
        history = (*poses.history, history_entry("fit", "poseworks-mesh-recovery", settings))
        motion = BodyMotion(
            global_orient=root,
            body_pose=body_pose,
            transl=transl,
            betas=self.betas.expand(people, -1).numpy(),
            fps=poses.fps,
            body="free" if self.body.info.name == "free" else "smpl",
            gender=self.body.info.gender,
            frame="camera",
            focal=focal,
            image_size=None if focal is None else poses.image_size,
            times=poses.times,
            person_ids=poses.person_ids,
            history=history,
        )
        shown = poses.replace(positions=positions, history=history)
        figures = tuple(self._figures(shown, body_pose[row], row) for row in range(people))
        return Fitted(motion, shown, notes.sentences(), figures)

    def _figures(self, shown: PoseSequence, body_pose: NDArray[np.float32], row: int) -> dict[str, Any]:
        """What is told of a person: distance in the picture, trembling before and after, wrong bends."""
        person = row if shown.person_ids is None else int(shown.person_ids[row])
        there = np.isfinite(body_pose).all(axis=(1, 2))
        if not there.any():
            return {"person": person, "frames": 0}
        given = np.where(self.seen[row, ..., None], self.poses.positions[row][:, self.places], np.nan)
        made = shown.positions[row][:, self.places]
        apart = np.linalg.norm(made - given, axis=-1)
        apart = apart[np.isfinite(apart)]
        trembling = [np.linalg.norm(np.diff(track.astype(np.float64), n=2, axis=0), axis=-1) for track in (given, made)]
        both = np.isfinite(trembling).all(axis=0)
        before, after = (float(each[both].mean()) if both.any() else None for each in trembling)
        return {
            "person": person,
            "frames": int(there.sum()),
            "median_px": float(np.median(apart)),
            "mean_px": float(apart.mean()),
            "jitter_before_px": before,
            "jitter_after_px": after,
            "bent_the_wrong_way": wrong_bends(torch.tensor(body_pose[there]).flatten(1)),
        }


_TORSO = ("shoulder", "hip")


def _advanced(advance: Advance, share: float, part: float) -> None:
    advance(share * part)


def _impossible(rays: Array, seen: NDArray[np.bool_], pixel: float) -> NDArray[np.bool_]:
    """(P, T, J): keypoints far beyond what a camera sees, and those of frames whose keypoints lie within a pixel."""
    far = ~(np.abs(rays) < _WIDEST).all(axis=-1)
    known = (seen & ~far)[..., None]
    low = np.where(known, rays, np.inf).min(axis=2)
    high = np.where(known, rays, -np.inf).max(axis=2)
    enough = known[..., 0].sum(axis=-1) >= LEAST_POINTS
    found: NDArray[np.bool_] = far | (enough & ((high - low).max(axis=-1) < pixel))[..., None]
    return found
