"""What was seen frame by frame as poses: a row for each person, ghosts left out, absence as NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from poseworks.keypoints.region import Floats
from poseworks.keypoints.tracking import Person

_SHORTEST_S = 0.25
_SHORTEST_SHARE = 0.25  # of the frames that were looked at, where a recording is shorter than that
_LEAST_CONFIDENCE = 0.3
_BRIEF_S, _DOUBTFUL, _SURE = 2.0, 0.55, 0.7
_MAX_NUMBERS = 250_000_000  # of one array: 1 GB


class Rows:
    """Arrays of one shape, one after another, in one piece of memory: hours of them, and no object for each."""

    def __init__(self) -> None:
        self._memory: Floats = np.empty((0,), np.float32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: Floats) -> None:
        """One more, a copy."""
        if self._count == len(self._memory):
            grown = np.empty((max(64, 2 * self._count), *row.shape), np.float32)
            if self._count:
                grown[: self._count] = self._memory
            self._memory = grown
        self._memory[self._count] = row
        self._count += 1

    @property
    def array(self) -> Floats:
        """(N, ...) all of them."""
        return self._memory[: self._count]


@dataclass
class Track:
    """Everything that was seen of one person.

    Attributes:
        frames: numbers of the frames, rising.
        keypoints, confidence, world: of each of these frames, as in `Person`; `world` is empty where there is none.
        sizes: diagonal of the box around the keypoints, pixels.
    """

    frames: list[int] = field(default_factory=list)
    keypoints: Rows = field(default_factory=Rows)
    confidence: Rows = field(default_factory=Rows)
    world: Rows = field(default_factory=Rows)
    sizes: list[float] = field(default_factory=list)

    def add(self, frame: int, person: Person) -> None:
        """Takes the person as seen in a frame."""
        self.frames.append(frame)
        self.keypoints.append(person.keypoints)
        self.confidence.append(person.confidence)
        if person.world is not None:
            self.world.append(person.world)
        self.sizes.append(size_of(person))

    @property
    def weight(self) -> float:
        """How long and how large: the sum of the sizes over all frames."""
        return sum(self.sizes)

    @property
    def mean_confidence(self) -> float:
        """Over frames and keypoints."""
        return float(np.mean(self.confidence.array))


@dataclass(frozen=True)
class Chosen:
    """Tracks worth keeping, the longest and largest person first, and their ids; what was left out, in sentences."""

    tracks: tuple[Track, ...]
    ids: tuple[int, ...]
    notes: tuple[str, ...]


def size_of(person: Person) -> float:
    """Diagonal of the box around the keypoints, pixels."""
    return math.dist(np.min(person.keypoints, axis=0), np.max(person.keypoints, axis=0))


def choose(tracks: Sequence[Track], looked_at: int, rate: float, people: int | None, num_frames: int) -> Chosen:
    """People without ghosts, at most `people` of them.

    Left out are tracks that are shorter than a quarter of a second (in a short recording: than a quarter of the
    frames), and those whose keypoints were hardly ever visible; a track of less than two seconds has to be better
    visible where somebody else is seen well: ghosts are found beside people. Ids are counted in the order of first
    appearance.

    Args:
        tracks: in the order of their first frames.
        looked_at: frames that were looked at in all.
        rate: how many a second.
        people: None: all.
        num_frames: T of the recording.
    """
    shortest = min(_SHORTEST_S * rate, _SHORTEST_SHARE * looked_at)
    surest = max((track.mean_confidence for track in tracks), default=0.0)
    least = _DOUBTFUL if surest >= _SURE else _LEAST_CONFIDENCE  # of brief tracks; beside somebody seen well: more
    kept = [
        track
        for track in tracks
        if len(track.frames) >= shortest
        and track.mean_confidence >= (least if len(track.frames) < _BRIEF_S * rate else _LEAST_CONFIDENCE)
    ]
    notes = []
    if len(kept) < len(tracks):
        notes.append(f"{_count(len(tracks) - len(kept), 'track')} left out: too short, or hardly visible")
    numbered = sorted(enumerate(kept), key=lambda pair: -pair[1].weight)
    if people is not None and len(numbered) > people:
        notes.append(f"{_count(len(numbered) - people, 'more person', 'more people')} seen and left out, as asked")
        numbered = numbered[:people]
    room = max(1, _MAX_NUMBERS // max(1, num_frames * 33 * 3))
    if len(numbered) > room:
        notes.append(f"{len(numbered)} people are too many for {num_frames} frames: the first {room} are kept")
        numbered = numbered[:room]
    return Chosen(tuple(t for _, t in numbered), tuple(i for i, _ in numbered), tuple(notes))


def spread(tracks: Sequence[Track], values: Sequence[Rows], num_frames: int, missing: float) -> Floats:
    """(P, T, ...) the values of each track in its frames, `missing` in all others."""
    shape = values[0].array.shape[1:]
    array = np.full((len(tracks), num_frames, *shape), missing, dtype=np.float32)
    for row, (track, rows) in enumerate(zip(tracks, values, strict=True)):
        array[row, track.frames] = rows.array
    return array


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
