"""What a reader has to know about poses that a command made, beside the numbers: in sentences. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseworks.core.formats.hints import assumptions
from poseworks.core.gaps import Piece, runs
from poseworks.core.poses import PoseSequence

Array = NDArray[np.float64]


class Notes:
    """Sentences about what was done on the way, in the order in which they came up."""

    def __init__(self, poses: PoseSequence) -> None:
        self.poses = poses
        self.found: dict[str, None] = {}

    def add(self, sentence: str) -> None:
        """One more sentence; the same one is kept once."""
        self.found[sentence] = None

    def name(self, person: int) -> str:
        """How a person is called."""
        ids = self.poses.person_ids
        return f"person {person if ids is None else int(ids[person])}"

    def assumed(self) -> None:
        """What was assumed when the poses were read."""
        for sentence in assumptions(self.poses):
            self.add(sentence)

    def exchanged(self, changed: Sequence[NDArray[np.intp]]) -> None:
        """Frames of each person in which left and right were put back."""
        for person, frames in enumerate(changed):
            if len(frames):
                count = f"{len(frames)} frame{'s' if len(frames) > 1 else ''}"
                self.add(f"{count} of {self.name(person)} had left and right exchanged: exchanged back")

    def unsure(self, person: int, count: int) -> None:
        """Positions left out for their confidence."""
        if count:
            self.add(f"{self.name(person)}: {count} positions below the asked confidence taken as missing")

    def bridged(self, person: int, filled: NDArray[np.bool_]) -> None:
        """What was interpolated, (T, J)."""
        if filled.any():
            longest = max(b - a for column in filled.T for a, b in runs(column))
            self.add(
                f"{self.name(person)}: {int(filled.sum())} missing positions in gaps of up to {longest} frames were "
                "interpolated"
            )

    def gaps(
        self, person: int, filled: NDArray[np.bool_], pieces: tuple[tuple[Piece, ...], ...], original: Array
    ) -> None:
        """What was bridged, and what splits tracks or is missing throughout."""
        who = self.name(person)
        self.bridged(person, filled)
        names = self.poses.joint_names
        split = [names[j] for j, found in enumerate(pieces) if len(found) > 1]
        if split:
            self.add(f"{who}: longer gaps stay, and split the track of {some(split)}")
        absent = [names[j] for j in range(len(names)) if not np.isfinite(original[:, j]).all(axis=-1).any()]
        if absent:
            self.add(f"{who}: never observed: {some(absent)}")

    def uneven(self, done: str) -> None:
        """Frames that are not evenly spaced in time, where something was `done` as if they were."""
        poses = self.poses
        if poses.times is not None and poses.num_frames > 2:
            steps = np.diff(poses.times)
            if steps.max() > 1.1 * np.median(steps) or steps.min() < 0.9 * np.median(steps):
                self.add(f"the frames are not evenly spaced in time, and were {done} as if they were")

    def sentences(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self.found)


def some(names: Sequence[str]) -> str:
    """Up to six names."""
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
