"""What a reader has to know about smoothed poses beside the numbers, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseworks.core import PoseSequence
from poseworks.core.notes import Notes
from poseworks.temporal.preparation import Preparation
from poseworks.temporal.spectrum import window_frames

Array = NDArray[np.float64]

_RATE_TOLERANCE = 0.2


class SmoothingNotes(Notes):
    """Sentences about what was done beside smoothing."""

    def __init__(self, poses: PoseSequence) -> None:
        super().__init__(poses)
        self.padded: set[tuple[int, int, str]] = set()

    def assume(self, person: int, note: str | None) -> None:
        """What was assumed about a person's scale, if anything."""
        if note:
            self.add(f"{self.name(person)}: {note}")

    def empty(self, person: int) -> None:
        """A person without a single position."""
        self.add(f"{self.name(person)}: never observed, left as it is")

    def exchanged(self, changed: Sequence[NDArray[np.intp]]) -> None:
        """Frames of each person in which left and right were put back."""
        super().exchanged(changed)
        if any(map(len, changed)):
            self.add("the harm report compares with the poses in which left and right were exchanged back")

    def rate(self, preparation: Preparation) -> None:
        """What the frame rate and the times of the poses mean for weights that count in frames."""
        self.assumed()
        fps, trained = self.poses.fps, preparation.fps
        if trained is not None and abs(fps / trained - 1) > _RATE_TOLERANCE:
            self.add(
                f"the poses have {fps:g} frames per second and the weights were made at {trained:g}: "
                f"they smooth {'less' if fps > trained else 'more'} than intended"
            )
        self.uneven("smoothed")

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
        return super().sentences()
