"""Several people followed from frame to frame: one region each, new people by the detector now and then, steady ids.

    each frame    every person: landmarks in the region that the frame before gave; presence < 0.5: lost
                  two regions on one body: the one that jumped there is lost
    at times      the detector, for people whom nobody follows; one who was lost shortly before gets the old id
                 whoever two searches do not find again was nobody, unless seen well and found before
    then, if the frames since the last such search are at hand, back through them

The original follows one person and runs the detector only while there is none (Bazarevsky et al. 2020, sec. 2.1);
limited to one person (`people=1`), this does the same.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.skeletons import BLAZEPOSE_33, Skeleton
from poseworks.keypoints.association import MEMORY_S, Motion
from poseworks.keypoints.bodies import alike, covers, is_there, part_of
from poseworks.keypoints.detector import FAR, NEAR, Detector
from poseworks.keypoints.landmarks import LandmarkNetwork, Landmarks
from poseworks.keypoints.models import detector_file, landmark_file
from poseworks.keypoints.one_euro import CircleFilter
from poseworks.keypoints.region import Floats, Image, Region, region_of
from poseworks.keypoints.sessions import Network

_SEARCH_S, _LONGEST_SEARCH_S = 0.33, 1.0  # between two searches for more people: doubled while nothing changes
_SEARCH_PUSHES, _SPARSE_SEARCH_PUSHES = 8, 16  # and at least so many pushes, more where frames are left out
_MISSED_SEARCH_S = 0.2  # the same, while somebody is missed
_MOST_RECENT, _MOST_RECENT_BYTES = 32, 200_000_000  # frames kept for looking back
_LARGE = 0.8  # of the image's long side: the wide search sees ghosts on the limbs of people in larger regions
_SAME_PERSON = 0.5  # sides of the region: how far from where a lost person should be they are found again
_WELL_VISIBLE = 0.6  # mean visibility of the keypoints
_MISSES = 2
_SMALLEST = {NEAR: 0.5, FAR: 0.25}  # side of a region, as a share of the image's long side, that a search surely finds


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody in one frame.

    Attributes:
        id: number of the track, from 0 on; kept through short absence.
        keypoints: (J, 2) pixels (BlazePose: J = 33, blazepose33); they may lie outside the image.
        confidence: (J,) 0..1, that the keypoint is visible.
        world: (J, 3) metres about the hips, the network's own guess; None where the detector gives none.
        presence: 0..1, that there is a person.
    """

    id: int
    keypoints: Floats
    confidence: Floats
    world: Floats | None
    presence: float


@dataclass
class _Track:
    """A person who is followed."""

    id: int
    region: Region
    seen: Landmarks
    motion: Motion  # of the hip centre
    filter: CircleFilter = field(default_factory=CircleFilter)
    confirmed: bool = False  # the detector saw the person a second time
    missed: int = 0  # searches in a row that did not

    @property
    def time(self) -> float:
        """When the person was seen last."""
        return self.motion.time

    @property
    def well_visible(self) -> bool:
        """The keypoints are, on the whole."""
        return float(self.seen.visibility.mean()) >= _WELL_VISIBLE

    def moved(self, seen: Landmarks, time: float, frames: float) -> None:
        """Takes what was seen in the next frame."""
        self.motion.moved(seen.circle[0] - self.seen.circle[0], time)
        circle = self.filter.push(seen.circle, frames)
        self.region, self.seen = region_of(circle[0], circle[1]), seen

    def surprise(self, seen: Landmarks, time: float) -> float:
        """How far the hip centre is from where it should be, in sides of the region."""
        expected = self.seen.circle[0] + self.motion.expected(time)
        return math.dist(seen.circle[0], expected) / max(self.region.side, 1e-6)


@dataclass(frozen=True)
class _Recent:
    """A frame since the last search, and who was seen in it."""

    rgb: Image
    time: float
    people: list[Landmarks]


class Tracker:
    """Follows people through frames that are pushed one by one, live or from a file.

    Args:
        model: landmark network: ``full`` comes with the package, ``heavy`` and ``lite`` are looked for in
            POSEWORKS_WEIGHTS; or an ONNX file.
        people: follow at most so many at a time; None: everybody.
        threads: computing threads of the networks.
        frames_per_push: frames of the recording from one push to the next.
        search_first: look for small people in the very first frame too, as for a single picture.
        look_back: keep the frames since the last search (at most 32, or 200 MB), and follow whom a search finds back
            through them; `earlier` then tells of it.

    Raises:
        ConfigError: an argument is out of its range, or the model is unknown. CheckpointError: it cannot be read.
    """

    def __init__(
        self,
        model: str = "full",
        people: int | None = None,
        *,
        threads: int = 1,
        frames_per_push: int = 1,
        search_first: bool = False,
        look_back: bool = False,
    ) -> None:
        if people is not None and people < 1:
            raise ConfigError(f"people: expected 1 or more, or all, got {people}.")
        if frames_per_push < 1:
            raise ConfigError(f"frames_per_push: expected 1 or more, got {frames_per_push}.")
        self.detector = Detector(Network(detector_file(), threads))
        self.landmarks = LandmarkNetwork(Network(landmark_file(model), threads))
        self.people = people
        self.frames_per_push = frames_per_push
        self._tracks: list[_Track] = []
        self._lost: list[_Track] = []
        self._next_id = 0
        self._shape: tuple[int, ...] | None = None
        self._time = -math.inf
        self._searched_at = -math.inf if search_first else math.nan
        self._pushes_since_search = _SPARSE_SEARCH_PUSHES if search_first else 0
        self._pause = _SEARCH_S
        self._look_back = look_back
        self._recent: deque[_Recent] = deque()
        self._earlier: list[tuple[float, Person]] = []
        self.dismissed: set[int] = set()
        """Ids of those who turned out to be nobody."""

    @property
    def skeleton(self) -> Skeleton:
        """Of the keypoints: blazepose33."""
        return BLAZEPOSE_33

    @property
    def finds(self) -> str:
        """Whom it finds."""
        return "people who are at least a sixth of the image's longer side tall, lying ones less surely"

    @property
    def sources(self) -> dict[str, Any]:
        """Names and SHA-256 of both networks."""
        networks = (self.detector.network, self.landmarks.network)
        return {"networks": {network.path.name: network.sha256 for network in networks}}

    def push(self, rgb: Image, time: float) -> list[Person]:
        """The people in the next frame, in the order of their ids.

        Args:
            rgb: (H, W, 3) uint8, of the same size each time.
            time: seconds; it rises from push to push.

        Raises:
            ShapeError: not such an image, or of another size than the one before. DataError: the time does not rise.
        """
        self._check(rgb, time)
        self._earlier = []
        self._forget(time)
        self._follow(rgb, time)
        self._search(rgb, time)
        self._tracks.sort(key=lambda track: track.id)
        self._remember(rgb, time)
        return [_person(track.id, track.seen) for track in self._tracks]

    def earlier(self) -> list[tuple[float, Person]]:
        """Times and people: whom the last push found, as they were in frames before it, from the first on."""
        return self._earlier

    def _check(self, rgb: Image, time: float) -> None:
        if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
            got = f"{rgb.dtype} {rgb.shape}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
            raise ShapeError(f"rgb: expected a uint8 array (H, W, 3), got {got}. Convert the frame to 8-bit RGB first.")
        if 0 in rgb.shape:
            raise ShapeError(f"rgb: expected at least one pixel, got {rgb.shape}.")
        if self._shape not in (None, rgb.shape):
            raise ShapeError(f"rgb: expected {self._shape} as before, got {rgb.shape}. Use a Tracker for each size.")
        if not (math.isfinite(time) and time > self._time):
            raise DataError(f"time: expected seconds that rise from push to push, got {time} after {self._time}.")
        self._shape, self._time = rgb.shape, time

    def _remember(self, rgb: Image, time: float) -> None:
        """Keeps the frame for looking back."""
        if not self._look_back:
            return
        if self._memory_is_full(rgb):
            self._recent.popleft()
        self._recent.append(_Recent(rgb, time, [track.seen for track in self._tracks]))

    def _memory_is_full(self, rgb: Image) -> bool:
        return len(self._recent) >= min(_MOST_RECENT, max(1, _MOST_RECENT_BYTES // rgb.nbytes))

    def _forget(self, time: float) -> None:
        """Nobody is waited for longer than the memory lasts."""
        self._lost = [track for track in self._lost if time - track.time <= MEMORY_S]

    def _follow(self, rgb: Image, time: float) -> None:
        """Everybody's next landmarks, and who is lost."""
        seen = [(track, self.landmarks(rgb, track.region)) for track in self._tracks]
        kept: list[tuple[_Track, Landmarks]] = []
        for track, landmarks in sorted(seen, key=lambda pair: pair[0].surprise(pair[1], time)):
            if is_there(landmarks, rgb, [other for _, other in kept]):
                kept.append((track, landmarks))
            else:
                self._lost.append(track)
        for track, landmarks in kept:
            track.moved(landmarks, time, self.frames_per_push)
        self._tracks = [track for track, _ in kept]

    def _search(self, rgb: Image, time: float) -> None:
        """New people, and lost ones found again; by a wide search, or a quick one while there is nobody."""
        if self.people is not None and len(self._tracks) >= self.people:
            return
        wide = self._wide_search_due(rgb, time)
        if not wide and self._tracks:
            return
        long_side = max(rgb.shape[:2])
        large = any(track.region.side > _LARGE * long_side for track in self._tracks)
        size = FAR if wide and not large else NEAR
        found = [detection.region for detection in self.detector(rgb, size)]
        before = [track.id for track in self._tracks]
        if wide:
            self._doubt(found, _SMALLEST[size] * long_side)
        for region in found:
            if len(self._tracks) == self.people:
                break
            if not any(covers(track.region, region) for track in self._tracks):
                self._meet(rgb, time, region, wide)
        if wide:
            calm = before == [track.id for track in self._tracks] and all(track.confirmed for track in self._tracks)
            self._pause = min(2 * self._pause, _LONGEST_SEARCH_S) if calm else _SEARCH_S
            self._recent.clear()

    def _meet(self, rgb: Image, time: float, region: Region, wide: bool) -> None:
        """Follows whoever is in a region that the detector gave, if it is a person whom nobody follows."""
        landmarks = self.landmarks(rgb, region)
        known = [track.seen for track in self._tracks]
        if not is_there(landmarks, rgb, known) or any(part_of(landmarks, other) for other in known):
            return
        track, absent_since = self._begin(landmarks, region, time)
        self._tracks.append(track)
        if wide:
            self._earlier = self._back(track, absent_since) + self._earlier

    def _doubt(self, found: Sequence[Region], smallest_side: float) -> None:
        """Drops whoever two searches in a row did not find again, unless found before and well visible.

        Args:
            found: by the detector.
            smallest_side: of regions that this search can find.
        """
        kept = []
        for track in self._tracks:
            if any(covers(track.region, region) for region in found):
                track.confirmed, track.missed = True, 0
            elif track.region.side > smallest_side and not (track.confirmed and track.well_visible):
                track.missed += 1
            if track.missed < _MISSES:
                kept.append(track)
            elif track.confirmed:
                self._lost.append(track)
            else:
                self.dismissed.add(track.id)
        self._tracks = kept

    def _wide_search_due(self, rgb: Image, time: float) -> bool:
        """It is time to look for everybody, also for small people: before frames to look back at are forgotten."""
        if math.isnan(self._searched_at):
            self._searched_at = time
        self._pushes_since_search += 1
        pushes = _SEARCH_PUSHES if self.frames_per_push == 1 else _SPARSE_SEARCH_PUSHES
        pause, pushes = (_MISSED_SEARCH_S, 1) if self._lost else (self._pause, pushes)
        over = time - self._searched_at >= pause - 1e-6 or (self._look_back and self._memory_is_full(rgb))
        if not over or self._pushes_since_search < pushes:
            return False
        self._searched_at, self._pushes_since_search = time, 0
        return True

    def _begin(self, landmarks: Landmarks, region: Region, time: float) -> tuple[_Track, float]:
        """A track for somebody new, or the old one of somebody who was lost; and since when they have been absent."""
        lost = min(self._lost, key=lambda each: each.surprise(landmarks, time), default=None)
        if lost is not None and lost.surprise(landmarks, time) < _SAME_PERSON and alike(lost.region, region):
            self._lost.remove(lost)
            track = _Track(lost.id, region, landmarks, Motion(time, lost.motion.velocity), confirmed=True)
            absent_since = lost.time
        else:
            track = _Track(self._next_id, region, landmarks, Motion(time))
            self._next_id += 1
            absent_since = -math.inf
        circle = track.filter.push(landmarks.circle)
        track.region = region_of(circle[0], circle[1])
        return track, absent_since

    def _back(self, track: _Track, absent_since: float) -> list[tuple[float, Person]]:
        """Who was just found, followed back through the frames since the last search."""
        back = _Track(track.id, track.region, track.seen, Motion(0.0))
        back.filter.push(track.seen.circle)
        found: list[tuple[float, Person]] = []
        for recent in reversed(self._recent):
            seen = self.landmarks(recent.rgb, back.region)
            if recent.time <= absent_since or not is_there(seen, recent.rgb, recent.people):
                break
            back.moved(seen, track.time - recent.time, self.frames_per_push)
            recent.people.append(seen)
            found.append((recent.time, _person(track.id, seen)))
        return found[::-1]


def _person(number: int, seen: Landmarks) -> Person:
    return Person(number, seen.keypoints, seen.visibility, seen.world, seen.presence)
