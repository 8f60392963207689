"""From tracks to poses: who is kept, gaps, left and right, the skeleton that was asked for, and what made it all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core import SKELETONS, PoseSequence, Skeleton, convert, history_entry
from poseworks.core.errors import DataError
from poseworks.core.poses import HistoryEntry, poses_from_arrays
from poseworks.core.swaps import exchange_sides, repair_swaps
from poseworks.core.video import even_rate
from poseworks.keypoints.region import Floats
from poseworks.keypoints.settings import DetectSettings
from poseworks.keypoints.trackers import FrameTracker
from poseworks.keypoints.tracks import Chosen, Track, choose, spread

_DISTRIBUTION = "poseworks-keypoints"
_FAR_APART = 0.5  # seconds between two frames that are looked at, beyond which a person's next place is a guess


@dataclass(frozen=True)
class Detected:
    """What was found.

    Attributes:
        poses: 2D, pixels.
        world: the network's own guess of 3D (metres about the hips; x right, y down, z away from the camera), of the
            same people and frames; None where the detector gives none.
        notes: sentences that a reader has to know.
        looked_at: frames that the networks saw.
    """

    poses: PoseSequence
    world: PoseSequence | None
    notes: tuple[str, ...]
    looked_at: int


@dataclass(frozen=True)
class Seen:
    """Who was followed, and through which frames.

    Attributes:
        tracks: in the order of their first frames.
        looked_at: frames that the networks saw.
        times: (T,) rising seconds of all frames.
        fps: that the source states.
        every: of how many of these frames one was looked at.
        size: (width, height) of the frames.
    """

    tracks: Sequence[Track]
    looked_at: int
    times: NDArray[np.float64]
    fps: float
    every: int
    size: tuple[int, int]


def check_skeleton(own: Skeleton, settings: DetectSettings) -> None:
    """Nothing, unless the skeleton that the settings ask for cannot be made from the detector's own.

    Raises:
        SkeletonError: listing the joints that cannot be made.
    """
    nobody = poses_from_arrays(np.zeros((1, 1, own.num_joints, 2)), own, fps=1, unit="px", frame="image")
    convert(nobody, SKELETONS[settings.skeleton or own.name])


def assemble(
    source: str, seen: Seen, tracker: FrameTracker, settings: DetectSettings, notes: Sequence[str], **more: Any
) -> Detected:
    """Poses of those who were followed, ghosts left out; `more` goes into the history.

    Raises:
        DataError: nobody is left.
    """
    num_frames, size = len(seen.times), seen.size
    fps, times = even_rate(seen.times, seen.fps)
    rate = fps / seen.every
    notes = list(notes)
    if 1 / rate > _FAR_APART:
        notes.append(f"frames that were looked at are {1 / rate:.2g} s apart: people may be lost between them")
    chosen = choose(seen.tracks, seen.looked_at, rate, settings.people, num_frames)
    notes += chosen.notes
    if not chosen.tracks:
        left_out = f"; {'; '.join(chosen.notes)}" if chosen.notes else ""
        raise DataError(
            f"{source}: nobody was found in {num_frames} frames ({size[0]}x{size[1]}){left_out}. The detector "
            f"finds {tracker.finds}. Crop or turn the recording, or use another detector."
        )
    entry = _history(settings, tracker, seen.looked_at, more)
    poses = _poses(chosen, tracker.skeleton, num_frames, entry, fps=fps, times=times, image_size=size)
    world = _world(chosen, tracker.skeleton, num_frames, entry, fps=fps, times=times)
    return _finished(poses, world, settings, notes, seen.looked_at)


def _poses(chosen: Chosen, skeleton: Skeleton, num_frames: int, entry: HistoryEntry, **fields: Any) -> PoseSequence:
    return poses_from_arrays(
        spread(chosen.tracks, [track.keypoints for track in chosen.tracks], num_frames, math.nan),
        skeleton,
        confidence=_confidence(chosen, num_frames),
        unit="px",
        frame="image",
        person_ids=np.array(chosen.ids, dtype=np.int64),
        history=(entry,),
        **fields,
    )


def _confidence(chosen: Chosen, num_frames: int) -> Floats:
    return spread(chosen.tracks, [track.confidence for track in chosen.tracks], num_frames, 0.0)


def _world(
    chosen: Chosen, skeleton: Skeleton, num_frames: int, entry: HistoryEntry, **fields: Any
) -> PoseSequence | None:
    """The network's own 3D, where it gives one."""
    if not all(len(track.world) for track in chosen.tracks):
        return None
    return poses_from_arrays(
        spread(chosen.tracks, [track.world for track in chosen.tracks], num_frames, math.nan),
        skeleton,
        confidence=_confidence(chosen, num_frames),
        unit="m",
        frame="root",
        person_ids=np.array(chosen.ids, dtype=np.int64),
        history=({**entry, "output": "the network's own 3D landmarks, a guess from one view; not measured"},),
        **fields,
    )


def _finished(
    poses: PoseSequence, world: PoseSequence | None, settings: DetectSettings, notes: list[str], looked_at: int
) -> Detected:
    """Left and right put right, and the skeleton that was asked for."""
    if settings.unswap:
        repaired = repair_swaps(poses)
        world = None if world is None else exchange_sides(world, repaired.changed)
        poses = repaired.poses
        assert poses.person_ids is not None
        notes += [
            f"person {number}: left and right were exchanged in {len(frames)} frame{'s' if len(frames) > 1 else ''}: "
            "exchanged back"
            for number, frames in zip(poses.person_ids, repaired.changed, strict=True)
            if len(frames)
        ]
    if settings.skeleton not in (None, poses.skeleton):
        target = SKELETONS[settings.skeleton or poses.skeleton]
        poses = convert(poses, target)
        world = None if world is None else convert(world, target)
        approximated = poses.history[-1].get("settings", {}).get("approximated")
        if approximated:
            notes.append(f"approximated joints: {', '.join(approximated)}")
    return Detected(poses, world, tuple(notes), looked_at)


def _history(settings: DetectSettings, tracker: FrameTracker, looked_at: int, more: Mapping[str, Any]) -> HistoryEntry:
    asked: dict[str, Any] = {
        "detector": settings.detector,
        "people": settings.people or "all",
        "every": settings.every,
        "frames_looked_at": looked_at,
        **more,
        **tracker.sources,
    }
    return history_entry("detect", _DISTRIBUTION, asked)
