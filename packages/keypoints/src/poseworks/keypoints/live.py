"""People before a camera, printed as they come: `poseworks-keypoints detect --live`.

    newest frame -> tracker -> a line (on a terminal one that is rewritten; with --json an object a frame on stdout)
    at the end or Ctrl-C: with an output the poses seen, one frame for each that was looked at, with its time

Latency is the time from a frame's arrival (decoded, or due where a recording is played) to the people in it.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from poseworks.core import SKELETONS, Skeleton, convert, write_poses
from poseworks.core.cli import print_result, remark
from poseworks.core.errors import DataError
from poseworks.core.files import refuse_existing
from poseworks.core.poses import poses_from_arrays
from poseworks.keypoints.assembly import Seen, assemble
from poseworks.keypoints.settings import DetectSettings
from poseworks.keypoints.streams import Arrival, Clock, Stream, open_stream
from poseworks.keypoints.trackers import FrameTracker, make_tracker
from poseworks.keypoints.tracking import Person
from poseworks.keypoints.tracks import Track, size_of

_RATE_OVER = 30  # results, of which the frames a second are counted


@dataclass(frozen=True)
class LiveSummary:
    """What came of it.

    Attributes:
        arrived: frames that came.
        looked_at: frames that the networks saw.
        dropped: frames that came too fast.
        latency_ms, latency_p95_ms: median and 95th percentile; None where no frame was looked at.
    """

    arrived: int
    looked_at: int
    dropped: int
    latency_ms: float | None
    latency_p95_ms: float | None


def follow_live(
    source: str,
    settings: DetectSettings,
    *,
    output: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
    quiet: bool = False,
    clock: Clock = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> LiveSummary:
    """Prints who is seen until the source ends or Ctrl-C; then writes the poses, and how fast it was on stderr.

    With `json`, each frame that was looked at is one line on stdout: ``frame`` (its place among all that came),
    ``time`` (seconds after the first), ``latency_ms`` and ``people``, each with ``id``, ``keypoints`` (pixels, null
    where there is none) and ``confidence`` in the skeleton of the settings. Left and right are put right, and ghosts
    left out, in the output alone, which numbers people anew: both need the whole.

    Args:
        source: a camera's number, or a recording, which is played as if it were a camera.
        settings: `people` keeps those who were seen longest and largest until now.
        output: file for the poses.
        overwrite: replace it.
        json: print for programs.
        quiet: print neither people nor summary for people.
        clock: seconds that rise.
        sleep: waits so many of them.

    Raises:
        ConfigError: a setting does not fit, or the output exists. DataError: no such source, or nobody to write.
        SkeletonError: the skeleton cannot be made.
    """
    if output is not None:
        refuse_existing(output, overwrite)
    with open_stream(source, settings.every, settings.fps, clock, sleep) as stream:
        failure: DataError | None = None
        tracker = make_tracker(settings, search_first=stream.single)
        following = _Following(tracker, settings, _line_printer(tracker.skeleton, settings, json, quiet))
        try:
            while (arrival := stream.newest()) is not None:
                following.push(arrival, clock, keep=output is not None)
        except (KeyboardInterrupt, BrokenPipeError):  # asked to end, by the user or by who reads the lines
            pass
        except DataError as error:  # a camera that was unplugged: what was seen is not lost
            failure = error
        if not (json or quiet) and sys.stderr.isatty():
            remark("")
        summary = _summary(stream, following.latencies)
        remark(_sentence(summary), quiet=quiet)
        if output is not None and (following.kept or failure is None):
            _write(following, stream, source, output, overwrite, quiet)
    if failure is not None:
        raise failure
    return summary


@dataclass(frozen=True)
class _Line:
    """What is printed of one frame."""

    arrival: Arrival
    people: list[Person]
    latency_ms: float
    rate: float | None


@dataclass
class _Following:
    """What was seen until now."""

    tracker: FrameTracker
    settings: DetectSettings
    show: Callable[[_Line], None]
    latencies: list[float] = field(default_factory=list)
    results: deque[float] = field(default_factory=lambda: deque(maxlen=_RATE_OVER))
    weights: dict[int, float] = field(default_factory=dict)
    kept: list[tuple[float, list[Person]]] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)

    def push(self, arrival: Arrival, clock: Clock, *, keep: bool) -> None:
        """Looks at a frame and prints who is there."""
        people = self.tracker.push(arrival.rgb, arrival.time)
        done = clock()
        self.size = (arrival.rgb.shape[1], arrival.rgb.shape[0])
        self.latencies.append(1000 * (done - arrival.at))
        self.results.append(done)
        if keep:
            self.kept.append((arrival.time, people))  # in one step, whenever Ctrl-C comes
        taken = self.results[-1] - self.results[0]
        rate = (len(self.results) - 1) / taken if taken > 0 else None
        self.show(_Line(arrival, self._foremost(people), self.latencies[-1], rate))

    def _foremost(self, people: list[Person]) -> list[Person]:
        """As many as were asked for, of those who were seen longest and largest until now."""
        for person in people:
            self.weights[person.id] = self.weights.get(person.id, 0.0) + size_of(person)
        foremost = sorted(self.weights, key=lambda number: -self.weights[number])[: self.settings.people]
        return [person for person in people if person.id in foremost]

    def tracks(self) -> list[Track]:
        """Of everybody who turned out to be somebody, in the order of their first frames."""
        tracks: dict[int, Track] = {}
        for frame, (_, people) in enumerate(self.kept):
            for person in people:
                tracks.setdefault(person.id, Track()).add(frame, person)
        return [track for number, track in tracks.items() if number not in self.tracker.dismissed]


def _line_printer(skeleton: Skeleton, settings: DetectSettings, json: bool, quiet: bool) -> Callable[[_Line], None]:
    """What prints a line, for programs or for people.

    Raises:
        SkeletonError: the skeleton of the settings cannot be made.
    """
    target = SKELETONS[settings.skeleton or skeleton.name]
    nobody = np.zeros((1, skeleton.num_joints, 2), np.float32)
    _converted(nobody, nobody[..., 0], skeleton, target)  # what cannot be made is said before the first frame
    if json:
        return lambda line: print_result(_for_programs(line, skeleton, target), json=True)
    if quiet:
        return lambda line: None
    hips = [skeleton.joint_names.index(name) for name in ("left_hip", "right_hip")]
    if sys.stderr.isatty():
        return lambda line: _rewrite(_for_people(line, hips))
    return lambda line: remark(_for_people(line, hips))


def _for_programs(line: _Line, skeleton: Skeleton, target: Skeleton) -> dict[str, Any]:
    people: list[dict[str, Any]] = []
    if line.people:
        keypoints = np.stack([person.keypoints for person in line.people])
        confidence = np.stack([person.confidence for person in line.people])
        for person, points, sure in zip(line.people, *_converted(keypoints, confidence, skeleton, target), strict=True):
            people.append(
                {
                    "id": person.id,
                    "keypoints": np.round(points.astype(float), 2),
                    "confidence": np.round(sure.astype(float), 3),
                }
            )
    return {
        "frame": line.arrival.index,
        "time": round(line.arrival.time, 6),
        "latency_ms": round(line.latency_ms, 3),
        "people": people,
    }


def _converted(keypoints: Any, confidence: Any, skeleton: Skeleton, target: Skeleton) -> tuple[Any, Any]:
    """Keypoints (P, J, 2) and confidence (P, J) on another skeleton."""
    poses = poses_from_arrays(
        keypoints[:, None], skeleton, confidence=confidence[:, None], fps=1.0, unit="px", frame="image"
    )
    poses = convert(poses, target)
    return poses.positions[:, 0], poses.confidence[:, 0]


def _for_people(line: _Line, hips: Sequence[int]) -> str:
    rate = f"{line.rate:.1f}" if line.rate is not None else "-"
    parts = [f"{line.arrival.time:.2f} s, {rate} frames/s, {line.latency_ms:.0f} ms"]
    for person in line.people:
        x, y = person.keypoints[list(hips)].mean(axis=0)
        parts.append(f"{person.id}: ({x:.0f}, {y:.0f}) {person.confidence.mean():.2f}")
    return " | ".join(parts if line.people else [*parts, "nobody"])


def _rewrite(text: str) -> None:
    """Puts a line in the place of the one before, on the terminal."""
    width = shutil.get_terminal_size().columns - 1
    sys.stderr.write("\r" + text[:width].ljust(width))
    sys.stderr.flush()


def _summary(stream: Stream, latencies: Sequence[float]) -> LiveSummary:
    median, p95 = np.percentile(latencies, [50, 95]).tolist() if latencies else (None, None)
    return LiveSummary(stream.arrived, len(latencies), stream.dropped, median, p95)


def _sentence(summary: LiveSummary) -> str:
    text = f"{summary.arrived} frames came, {summary.looked_at} looked at, {summary.dropped} dropped"
    if summary.latency_ms is None:
        return text
    return f"{text}; latency {summary.latency_ms:.0f} ms in the median, {summary.latency_p95_ms:.0f} ms at 95 %"


def _write(following: _Following, stream: Stream, source: str, output: Path, overwrite: bool, quiet: bool) -> None:
    """The poses of everybody who was seen."""
    if not following.kept:
        raise DataError(f"{source}: no frame was looked at, so that {output} was not written. Let it run longer.")
    times = np.array([at for at, _ in following.kept])
    seen = Seen(following.tracks(), len(times), times - times[0], stream.fps, 1, following.size)
    more = {"live": True, "frames_dropped": stream.dropped}
    found = assemble(source, seen, following.tracker, following.settings, stream.notes(), **more)
    write_poses(found.poses, output, overwrite=overwrite)
    for note in found.notes:
        remark(f"note: {note}", quiet=quiet)
    poses = found.poses
    remark(f"{output}: {poses.num_frames} frames at {poses.fps:.4g} fps on average, {poses.skeleton}", quiet=quiet)
