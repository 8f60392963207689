"""Timeline: what was recognised when, as windows and as the segments they add up to; CSV and JSON. NumPy only.

Windows overlap. Where they begin or end they cut the recording into moments; the answer in a moment is the mean over
all windows that cover it, and "none of these" if more than two thirds of them say so. A segment is a run of moments
with one answer.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
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

_UNKNOWN_SHARE = 2 / 3 + 1e-6  # of the windows; chosen on val, where those that straddle two actions are many


@dataclass(frozen=True)
class Segment:
    """One answer over a stretch of time.

    Attributes:
        label: name of a class, `UNKNOWN` or `NOT_SCORED`.
        begin_s: seconds.
        end_s: seconds.
        probability: of the class, mean over the time; None where the answer is no class.
    """

    label: str
    begin_s: float
    end_s: float
    probability: float | None


@dataclass(frozen=True, eq=False)
class Moment:
    """The answer between two times at which windows begin or end.

    Attributes:
        label: name of a class, `UNKNOWN` or `NOT_SCORED`.
        begin_s: seconds.
        end_s: seconds.
        probability: of the class; None where the answer is no class.
        probabilities: (K,) mean over the windows that cover it; NaN where none was scored.
        fault: why none was; empty where one was.
    """

    label: str
    begin_s: float
    end_s: float
    probability: float | None
    probabilities: NDArray[np.float64]
    fault: str


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

    @cached_property
    def moments(self) -> tuple[Moment, ...]:
        """What all windows together say, from one border of a window to the next; they touch."""
        borders = np.unique(np.concatenate([self.begins_s, self.ends_s]))
        return tuple(self._moment(begin, end) for begin, end in pairwise(borders.tolist()))

    def _moment(self, begin: float, end: float) -> Moment:
        covering = (self.begins_s <= begin) & (self.ends_s >= end)
        scored = covering & self.scored
        if not scored.any():
            said = [self.faults[window] for window in np.flatnonzero(covering)]
            fault = "; ".join(dict.fromkeys(said)) or "no window covers it"
            return Moment(NOT_SCORED, begin, end, None, np.full(len(self.labels), np.nan), fault)
        mean = self.probabilities[scored].mean(axis=0, dtype=np.float64)
        if self.unknown[scored].mean() > _UNKNOWN_SHARE:
            return Moment(UNKNOWN, begin, end, None, mean, "")
        likeliest = int(mean.argmax())
        return Moment(self.labels[likeliest], begin, end, float(mean[likeliest]), mean, "")

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Runs of moments with one answer; they touch, and cover the recording."""
        made = []
        for label, run in groupby(self.moments, key=lambda moment: moment.label):
            moments = list(run)
            begin, end = moments[0].begin_s, moments[-1].end_s
            parts = [
                moment.probability * (moment.end_s - moment.begin_s)
                for moment in moments
                if moment.probability is not None
            ]
            made.append(Segment(label, begin, end, sum(parts) / (end - begin) if parts else None))
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
    """A table (.csv: a row a moment, a column a class) or a tree (.json: segments, windows and the history).

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
    """One window: times, and the probability of every class where it was scored."""
    scored = bool(timeline.scored[window])
    return {
        "begin_s": float(timeline.begins_s[window]),
        "end_s": float(timeline.ends_s[window]),
        "probabilities": timeline.probabilities[window].tolist() if scored else None,
        "none_of_these": bool(timeline.unknown[window]) if scored else None,
        "fault": timeline.faults[window] or None,
    }


def _write_table(timelines: Sequence[Timeline], path: Path) -> None:
    """One row a moment; empty cells where nothing was scored, and for the person where all stand together."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        fixed = ("person", "begin_s", "end_s", "label", "probability", "fault")
        rows.writerow([*fixed, *(timelines[0].labels if timelines else ())])
        for timeline in timelines:
            person = "" if timeline.person is None else timeline.person
            for moment in timeline.moments:
                times = (f"{moment.begin_s:.3f}", f"{moment.end_s:.3f}")
                classes = [_cell(value) for value in moment.probabilities]
                rows.writerow([person, *times, moment.label, _cell(moment.probability), moment.fault, *classes])


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6f}"
