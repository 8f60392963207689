"""What a reader has to know about smoothed poses beside the numbers, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseworks.core import PoseSequence
from poseworks.core.formats.hints import assumptions
from poseworks.core.gaps import Piece, runs
from poseworks.temporal.preparation import Preparation
from poseworks.temporal.spectrum import window_frames

Array = NDArray[np.float64]

_RATE_TOLERANCE = 0.2


class Notes:
    """Sentences about what was done beside smoothing, in the order in which they came up."""

    def __init__(self, poses: PoseSequence) -> None:
        self.poses = poses
        self.found: dict[str, None] = {}
        self.padded: set[tuple[int, int, str]] = set()

    def add(self, sentence: str) -> None:
        """One more sentence; the same one is kept once."""
        self.found[sentence] = None

    def name(self, person: int) -> str:
        """How a person is called."""
        ids = self.poses.person_ids
        return f"person {person if ids is None else int(ids[person])}"

    def assume(self, person: int, note: str | None) -> None:
        """What was assumed about a person's scale, if anything."""
        if note:
            self.add(f"{self.name(person)}: {note}")

    def empty(self, person: int) -> None:
        """A person without a single position."""
        self.add(f"{self.name(person)}: never observed, left as it is")

    def exchanged(self, changed: Sequence[NDArray[np.intp]]) -> None:
        """Frames of each person in which left and right were put back."""
        for person, frames in enumerate(changed):
            if len(frames):
                count = f"{len(frames)} frame{'s' if len(frames) > 1 else ''}"
                self.add(f"{count} of {self.name(person)} had left and right exchanged: exchanged back")
        if any(map(len, changed)):
            self.add("the harm report compares with the poses in which left and right were exchanged back")

    def unsure(self, person: int, count: int) -> None:
        """Positions left out for their confidence."""
        if count:
            self.add(f"{self.name(person)}: {count} positions below the asked confidence taken as missing")

    def gaps(
        self, person: int, filled: NDArray[np.bool_], pieces: tuple[tuple[Piece, ...], ...], original: Array
    ) -> None:
        """What was bridged, and what splits tracks or is missing throughout."""
        who = self.name(person)
        if filled.any():
            longest = max(b - a for column in filled.T for a, b in runs(column))
            self.add(
                f"{who}: {int(filled.sum())} missing positions in gaps of up to {longest} frames were interpolated"
            )
        names = self.poses.joint_names
        split = [names[j] for j, found in enumerate(pieces) if len(found) > 1]
        if split:
            self.add(f"{who}: longer gaps stay, and split the track of {_some(split)}")
        absent = [names[j] for j in range(len(names)) if not np.isfinite(original[:, j]).all(axis=-1).any()]
        if absent:
            self.add(f"{who}: never observed: {_some(absent)}")

    def without_root(self, person: int, frames: int) -> None:
        """The root is missing in some frames, and the weights do without."""
        self.add(
            f"{self.name(person)}: the root is missing in {frames} frames: positions were smoothed as they are, not "
            "relative to it"
        )

    def rootless(self, person: int, count: int) -> None:
        """Positions that could not be made relative to the root."""
        if count:
            self.add(f"{self.name(person)}: {count} positions were not smoothed, as the root is missing beside them")

    def short(self, frames: int, window: int, how: str) -> None:
        """A piece of some frames meets a window."""
        if frames < window:
            self.padded.add((frames, window, how))

    def guarded(self, person: int, noise: Array, poses: PoseSequence) -> None:
        """The noise the guard went by."""
        who = self.name(person)
        if np.isnan(noise).all():
            self.add(
                f"{who}: no stretch of {window_frames(poses.fps)} frames without a break shows how noisy the input is,"
                " so the guard let nothing be changed; smooth without --guard if it has to be"
            )
        else:
            self.add(f"{who}: guarded by the input's own noise, {float(np.nanmean(noise)):.3g} {poses.unit} an axis")

    def sentences(self) -> tuple[str, ...]:
        """All of them."""
        for window in sorted({w for _, w, _ in self.padded}):
            frames = [f for f, w, _ in self.padded if w == window]
            how = next(h for _, w, h in self.padded if w == window)
            what = {
                "pad": "the first frame was repeated in front of them",
                "zero": "zeros were put behind them",
                "identity": "left as they are",
            }[how]
            self.add(f"pieces shorter than the window of {window} frames (the shortest has {min(frames)}): {what}")
        return tuple(self.found)


def rate_notes(poses: PoseSequence, preparation: Preparation) -> tuple[str, ...]:
    """What the frame rate and the times of the poses mean for weights that count in frames."""
    found = list(assumptions(poses))
    trained = preparation.fps
    if trained is not None and abs(poses.fps / trained - 1) > _RATE_TOLERANCE:
        found.append(
            f"the poses have {poses.fps:g} frames per second and the weights were made at {trained:g}: "
            f"they smooth {'less' if poses.fps > trained else 'more'} than intended"
        )
    if poses.times is not None and poses.num_frames > 2:
        steps = np.diff(poses.times)
        if steps.max() > 1.1 * np.median(steps) or steps.min() < 0.9 * np.median(steps):
            found.append("the frames are not evenly spaced in time, and were smoothed as if they were")
    return tuple(found)


def _some(names: list[str]) -> str:
    """Up to six names."""
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
