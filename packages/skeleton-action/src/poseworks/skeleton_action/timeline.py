"""Timeline: what was recognised when, as windows and as the segments they add up to; CSV and JSON. NumPy only.

Windows overlap. Each speaks for the moments that lie nearer to its middle than to the middle of any other; a segment is
a run of windows with one answer.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import atomic_path, refuse_existing

UNKNOWN = "none of these"
"""The answer where a motion is unlike all classes."""
NOT_SCORED = "not scored"
"""The answer where nothing could be drawn; the window's fault says why."""
SUFFIXES = (".csv", ".json")
FORMAT = "poseworks.timeline/1"


@dataclass(frozen=True)
class Segment:
    """One answer over a stretch of time.

    Attributes:
        label: name of a class, `UNKNOWN` or `NOT_SCORED`.
        begin_s: seconds.
        end_s: seconds.
        probability: of the class, mean over the windows; None where the answer is no class.
    """

    label: str
    begin_s: float
    end_s: float
    probability: float | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Timeline:
    """Answers for W windows of one recording.

    Attributes:
        labels: names of the K classes.
        begins_s: (W,) float64 seconds at which the windows begin, rising.
        ends_s: (W,) float64 seconds at which they end.
        probabilities: (W, K) float32; NaN where nothing was scored.
        unknown: (W,) bool: the answer is "none of these".
        faults: W sentences that say why a window was not scored; empty where it was.
        person: the person's number in the recording; None: all people together.

    Raises:
        DataError: there is no window or no class, or shapes, times, probabilities and faults contradict one another.
    """

    labels: tuple[str, ...]
    begins_s: NDArray[np.float64]
    ends_s: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    unknown: NDArray[np.bool_]
    faults: tuple[str, ...]
    person: int | None = None

    def __post_init__(self) -> None:
        faults = _faults(self)
        if faults:
            raise DataError(f"timeline: {'; '.join(faults)}.")

    @property
    def num_windows(self) -> int:
        """W."""
        return len(self.begins_s)

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(W,) whether the window has probabilities."""
        return np.array([not fault for fault in self.faults])

    @property
    def who(self) -> str:
        """Whom the answers are about, in words."""
        return "everybody" if self.person is None else f"person {self.person}"

    @property
    def classes(self) -> NDArray[np.intp]:
        """(W,) the likeliest class; -1 where the answer is "none of these" or nothing was scored."""
        likeliest = np.where(self.scored[:, None], self.probabilities, 0).argmax(axis=1)
        return np.where(self.scored & ~self.unknown, likeliest, -1)

    def answer(self, window: int) -> tuple[str, float | None]:
        """The label of a window, and its probability where it is a class."""
        chosen = int(self.classes[window])
        if chosen >= 0:
            return self.labels[chosen], float(self.probabilities[window, chosen])
        return (UNKNOWN if self.scored[window] else NOT_SCORED), None

    @property
    def borders_s(self) -> NDArray[np.float64]:
        """(W + 1,) seconds between which the windows speak."""
        middles = (self.begins_s + self.ends_s) / 2
        return np.concatenate([self.begins_s[:1], (middles[1:] + middles[:-1]) / 2, self.ends_s[-1:]])

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Runs of windows with one answer; they touch, and cover the recording."""
        borders, made = self.borders_s, []
        answers = [self.answer(window) for window in range(self.num_windows)]
        for label, run in groupby(range(self.num_windows), key=lambda window: answers[window][0]):
            windows = list(run)
            values = [value for window in windows if (value := answers[window][1]) is not None]
            mean = sum(values) / len(values) if values else None
            made.append(Segment(label, float(borders[windows[0]]), float(borders[windows[-1] + 1]), mean))
        return tuple(made)


def _faults(timeline: Timeline) -> list[str]:
    """Everything that contradicts the class docstring."""
    windows, classes = len(timeline.begins_s), len(timeline.labels)
    if windows == 0 or classes == 0:
        return [f"expected one or more windows and classes, got {windows} windows and {classes} classes"]
    expected = {
        "begins_s": (windows,),
        "ends_s": (windows,),
        "unknown": (windows,),
        "probabilities": (windows, classes),
    }
    shapes = {name: np.shape(getattr(timeline, name)) for name in expected}
    faults = [
        f"{name}: expected {expected[name]}, got {shape}" for name, shape in shapes.items() if shape != expected[name]
    ]
    if len(timeline.faults) != windows:
        faults.append(f"faults: expected {windows}, got {len(timeline.faults)}")
    if faults:
        return faults
    if (np.diff(timeline.begins_s) <= 0).any() or (np.diff(timeline.ends_s) < 0).any():
        faults.append("windows: expected rising times")
    if not (timeline.begins_s <= timeline.ends_s).all():
        faults.append("windows: one ends before it begins")
    if not np.isfinite(timeline.probabilities[timeline.scored]).all():
        faults.append("probabilities: a window that is not finite states no fault")
    return faults


def check_suffix(path: Path) -> None:
    """Nothing, unless the path's suffix names no form of a timeline.

    Raises:
        ConfigError: it does not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path}: the suffix {path.suffix!r} names no form of a timeline; expected {' or '.join(SUFFIXES)}. "
            "For example -o timeline.csv."
        )


def write_timelines(
    timelines: Sequence[Timeline],
    path: Path,
    *,
    history: Sequence[Mapping[str, Any]] = (),
    overwrite: bool = False,
) -> None:
    """A table (.csv: one row a window, a column a class) or a tree (.json: segments, windows and the history).

    Args:
        timelines: one a person, or one for all together; they have the same classes.
        path: by its suffix.
        history: what made the poses and the answers, for the .json.
        overwrite: replace an existing file.

    Raises:
        ConfigError: the file exists, or its suffix is neither.
        DataError: it cannot be written.
    """
    check_suffix(path)
    refuse_existing(path, overwrite)
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".csv":
            _write_table(timelines, temporary)
        else:
            tree = {"format": FORMAT, **timelines_as_tree(timelines), "history": [dict(entry) for entry in history]}
            temporary.write_text(json.dumps(tree, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def timelines_as_tree(timelines: Sequence[Timeline]) -> dict[str, Any]:
    """What the .json file holds, as plain dicts and lists."""
    return {
        "labels": list(timelines[0].labels) if timelines else [],
        "timelines": [
            {
                "person": timeline.person,
                "segments": [vars(segment) for segment in timeline.segments],
                "windows": [_window(timeline, window) for window in range(timeline.num_windows)],
            }
            for timeline in timelines
        ],
    }


def _window(timeline: Timeline, window: int) -> dict[str, Any]:
    """One window: times, answer, and the probability of every class where it was scored."""
    label, probability = timeline.answer(window)
    scored = bool(timeline.scored[window])
    return {
        "begin_s": float(timeline.begins_s[window]),
        "end_s": float(timeline.ends_s[window]),
        "label": label,
        "probability": probability,
        "probabilities": timeline.probabilities[window].tolist() if scored else None,
        "fault": timeline.faults[window] or None,
    }


def _write_table(timelines: Sequence[Timeline], path: Path) -> None:
    """One row a window; empty cells where nothing was scored, and for the person where all stand together."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        fixed = ("person", "begin_s", "end_s", "label", "probability", "fault")
        rows.writerow([*fixed, *(timelines[0].labels if timelines else ())])
        for timeline in timelines:
            for window in range(timeline.num_windows):
                label, probability = timeline.answer(window)
                times = (f"{timeline.begins_s[window]:.3f}", f"{timeline.ends_s[window]:.3f}")
                cells = [_cell(value) for value in (probability, *timeline.probabilities[window])]
                person = "" if timeline.person is None else timeline.person
                rows.writerow([person, *times, label, cells[0], timeline.faults[window], *cells[1:]])


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6f}"
