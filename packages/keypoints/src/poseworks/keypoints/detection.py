"""From a recording to poses: decoding in one thread, detection and tracking in another, then order among the people."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from poseworks.core import SKELETONS, PoseSequence, Skeleton, convert, history_entry
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.poses import HistoryEntry, poses_from_arrays
from poseworks.core.skeletons import BLAZEPOSE_33
from poseworks.core.swaps import exchange_sides, repair_swaps
from poseworks.core.video import Video, ahead, even_rate, open_video
from poseworks.keypoints.region import Image
from poseworks.keypoints.tracking import Person, Tracker
from poseworks.keypoints.tracks import Chosen, Track, choose

_DISTRIBUTION = "poseworks-keypoints"
_DECODED_AHEAD = 4
_FAR_APART = 0.5  # seconds between two frames that are looked at, beyond which a person's next place is a guess

Advance = Callable[..., None]


class FrameTracker(Protocol):
    """What finds and follows people: `Tracker`, or another detector behind the same call."""

    @property
    def skeleton(self) -> Skeleton:
        """Of the keypoints of each person."""
        ...

    @property
    def sources(self) -> dict[str, Any]:
        """What it runs: names and SHA-256 of the networks, for the history."""
        ...

    @property
    def dismissed(self) -> set[int]:
        """Ids of those who turned out to be nobody."""
        ...

    def push(self, rgb: Image, time: float) -> list[Person]:
        """The people in the next frame."""
        ...

    def earlier(self) -> list[tuple[float, Person]]:
        """Times and people: whom the last push found, as they were in frames before it."""
        ...


@dataclass(frozen=True)
class DetectSettings:
    """What is looked for in a recording.

    Attributes:
        people: how many are kept, the longest and largest first; None: all.
        every: only every N-th frame, and the last, is looked at; the others stay empty.
        skeleton: of the result, any that core can make from the detector's own.
        detector: ``blazepose``, which comes with the package, or ``rtmlib``.
        model: BlazePose's landmark network (``full``, ``heavy``, ``lite`` or an ONNX file), or rtmlib's mode
            (``performance``, ``balanced``, ``lightweight``) or folder; None: ``full``, or ``balanced``.
        unswap: exchange left and right back in frames where the detector exchanged them.
        fps: frames per second of a folder of pictures.
        threads: computing threads of the networks.
    """

    people: int | None = None
    every: int = 1
    skeleton: str = BLAZEPOSE_33.name
    detector: Literal["blazepose", "rtmlib"] = "blazepose"
    model: str | None = None
    unswap: bool = True
    fps: float | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.people is not None and self.people < 1:
            raise ConfigError(f"people: expected all, or a number from 1 on, got {self.people}.")
        if self.every < 1:
            raise ConfigError(f"every: expected 1 or more, got {self.every}.")
        if self.skeleton not in SKELETONS:
            raise ConfigError(f"skeleton: expected one of {', '.join(SKELETONS)}, got {self.skeleton!r}.")
        if self.detector not in ("blazepose", "rtmlib"):
            raise ConfigError(f"detector: expected blazepose or rtmlib, got {self.detector!r}.")
        if self.threads < 1:
            raise ConfigError(f"threads: expected 1 or more, got {self.threads}.")


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


def detect(
    video_path: str | os.PathLike[str],
    people: int | str | None = "all",
    every: int = 1,
    skeleton: str = BLAZEPOSE_33.name,
    **settings: Any,
) -> PoseSequence:
    """The people in a recording and their keypoints, in pixels: the longest and largest person first.

    Frames in which a person was not seen, or that were not looked at, are NaN with confidence 0. Confidence is the
    network's visibility. `person_ids` are counted in the order of first appearance.

    Args:
        video_path: a video file, a folder of pictures, or one picture.
        people: how many to keep, or ``all``.
        every: look at every N-th frame alone, and the last.
        skeleton: of the result.
        settings: further fields of `DetectSettings`.

    Raises:
        ConfigError: an argument is out of its range. DataError: the recording cannot be read, or shows nobody.
        CheckpointError: a network cannot be read.
    """
    return find_people(video_path, DetectSettings(parse_people(people), every, skeleton, **settings)).poses


def parse_people(people: int | str | None) -> int | None:
    """A number of people, or None for ``all``.

    Raises:
        ConfigError: neither.
    """
    if people is None or people == "all":
        return None
    text = str(people)
    if isinstance(people, bool) or not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ConfigError(f"people: expected all, or a number from 1 on, got {people!r}.")
    return int(text)


def find_people(
    video_path: str | os.PathLike[str], settings: DetectSettings | None = None, *, advance: Advance | None = None
) -> Detected:
    """What `detect` finds, with the network's 3D and notes; `advance(n, note)` hears of every n frames done.

    Raises:
        PoseworksError: as `detect`.
    """
    settings = settings or DetectSettings()
    with open_video(video_path, fps=settings.fps) as video:
        tracker = make_tracker(settings, search_first=video.info.stated_frames == 1, look_back=True)
        tracks, looked_at = _follow(video, tracker, settings.every, advance or _ignore)
        notes = [f"{Path(video_path).name}: {note}" for note in video.notes]
        seen = Seen(tracks, looked_at, video.times, video.info.fps, settings.every, video.info.size)
    return assemble(os.fspath(video_path), seen, tracker, settings, notes)


def make_tracker(settings: DetectSettings, *, search_first: bool = False, look_back: bool = False) -> FrameTracker:
    """The detector that the settings name; further arguments as in `Tracker`.

    Raises:
        ConfigError: it is not installed, or has no such model. CheckpointError: a network cannot be read.
    """
    if settings.detector == "rtmlib":
        from poseworks.keypoints.rtmlib_tracker import RtmlibTracker

        return RtmlibTracker(settings.model or "balanced", threads=settings.threads)
    return Tracker(
        settings.model or "full",
        threads=settings.threads,
        frames_per_push=settings.every,
        search_first=search_first,
        look_back=look_back,
    )


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
            f"{source}: nobody was found in {num_frames} frames ({size[0]}x{size[1]}){left_out}. The detector sees "
            "people who are upright and at least a sixth of the image's longer side tall: crop or turn the recording."
        )
    entry = _history(settings, tracker, seen.looked_at, more)
    poses = _poses(chosen, tracker.skeleton, num_frames, entry, fps=fps, times=times, image_size=size)
    world = _world(chosen, tracker.skeleton, num_frames, entry, fps=fps, times=times)
    return _finished(poses, world, settings, notes, seen.looked_at)


def _follow(video: Video, tracker: FrameTracker, every: int, advance: Advance) -> tuple[list[Track], int]:
    """Tracks in the order of their first frames, and how many frames were looked at."""
    tracks: dict[int, Track] = {}
    numbers: dict[float, int] = {}
    before = -1
    with closing(ahead(video.frames(every), _DECODED_AHEAD)) as frames:
        for frame in frames:
            numbers[frame.time] = frame.index
            people = tracker.push(frame.rgb, frame.time)
            for time, person in [*tracker.earlier(), *((frame.time, person) for person in people)]:
                tracks.setdefault(person.id, Track()).add(numbers[time], person)
            advance(frame.index - before, f"{len(people)} people" if len(people) != 1 else "1 person")
            before = frame.index
    real = [track for number, track in tracks.items() if number not in tracker.dismissed]
    return sorted(real, key=lambda track: track.frames[0]), len(numbers)


def _poses(chosen: Chosen, skeleton: Skeleton, num_frames: int, entry: HistoryEntry, **fields: Any) -> PoseSequence:
    return poses_from_arrays(
        np.stack([track.positions(num_frames) for track in chosen.tracks]),
        skeleton,
        confidence=np.stack([track.confidences(num_frames) for track in chosen.tracks]),
        unit="px",
        frame="image",
        person_ids=np.array(chosen.ids, dtype=np.int64),
        history=(entry,),
        **fields,
    )


def _world(
    chosen: Chosen, skeleton: Skeleton, num_frames: int, entry: HistoryEntry, **fields: Any
) -> PoseSequence | None:
    """The network's own 3D, where it gives one."""
    if not all(track.world for track in chosen.tracks):
        return None
    return poses_from_arrays(
        np.stack([track.world_positions(num_frames) for track in chosen.tracks]),
        skeleton,
        confidence=np.stack([track.confidences(num_frames) for track in chosen.tracks]),
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
            f"person {number}: left and right were exchanged in {len(frames)} frames: exchanged back"
            for number, frames in zip(poses.person_ids, repaired.changed, strict=True)
            if len(frames)
        ]
    if settings.skeleton != poses.skeleton:
        target = SKELETONS[settings.skeleton]
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


def _ignore(n: float = 1, note: str = "") -> None:
    """What `advance` does where nobody listens."""
