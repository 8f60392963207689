"""poseworks.keypoints: people and their keypoints from any video, offline. Torch is never imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poseworks.core.lazy import lazy_names

if TYPE_CHECKING:
    from poseworks.keypoints.assembly import Detected
    from poseworks.keypoints.detection import detect, find_people
    from poseworks.keypoints.settings import DetectSettings
    from poseworks.keypoints.tracking import Person, Tracker

_HOMES = {
    "assembly": ("Detected",),
    "detection": ("detect", "find_people"),
    "settings": ("DetectSettings",),
    "tracking": ("Person", "Tracker"),
}

__all__ = ["DetectSettings", "Detected", "Person", "Tracker", "detect", "find_people"]

__getattr__, __dir__ = lazy_names(globals(), _HOMES)
