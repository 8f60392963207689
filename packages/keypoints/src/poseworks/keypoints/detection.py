"""From a recording to poses: decoding in one thread, detection and tracking in another, then order among the people."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from poseworks.core import PoseSequence
from poseworks.core.skeletons import BLAZEPOSE_33
from poseworks.core.video import Video, ahead, open_video
from poseworks.keypoints.assembly import Detected, Seen, assemble, check_skeleton
from poseworks.keypoints.settings import DetectSettings, parse_people
from poseworks.keypoints.trackers import FrameTracker, make_tracker
from poseworks.keypoints.tracks import Track

_DECODED_AHEAD = 4

Advance = Callable[..., None]


def detect(
    video_path: str | os.PathLike[str],
    people: int | str | None = "all",
    every: int = 1,
    skeleton: str | None = BLAZEPOSE_33.name,
    **settings: Any,
) -> PoseSequence:
    """The people in a recording and their keypoints, in pixels: the longest and largest person first.

    Frames in which a person was not seen, or that were not looked at, are NaN with confidence 0. Confidence is the
    network's visibility. `person_ids` are counted in the order of first appearance.

    Args:
        video_path: a video file, a folder of pictures, or one picture.
        people: how many to keep, or ``all``.
        every: look at every N-th frame alone, and the last.
        skeleton: of the result; None: the detector's own.
        settings: further fields of `DetectSettings`.

    Raises:
        ConfigError: an argument is out of its range. DataError: the recording cannot be read, or shows nobody.
        CheckpointError: a network cannot be read.
    """
    return find_people(video_path, DetectSettings(parse_people(people), every, skeleton, **settings)).poses


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
        check_skeleton(tracker.skeleton, settings)  # before any work
        tracks, looked_at = _follow(video, tracker, settings.every, advance or _ignore)
        notes = [f"{Path(video_path).name}: {note}" for note in video.notes]
        seen = Seen(tracks, looked_at, video.times, video.info.fps, settings.every, video.info.size)
    return assemble(os.fspath(video_path), seen, tracker, settings, notes)


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


def _ignore(n: float = 1, note: str = "") -> None:
    """What `advance` does where nobody listens."""
