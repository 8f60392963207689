"""What follows people through frames, whatever the detector behind it."""

from __future__ import annotations

from typing import Any, Protocol

from poseworks.core import Skeleton
from poseworks.keypoints.region import Image
from poseworks.keypoints.settings import DetectSettings
from poseworks.keypoints.tracking import Person, Tracker


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
    def finds(self) -> str:
        """Whom it finds, for the message that nobody was found: "people who are ..."."""
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
