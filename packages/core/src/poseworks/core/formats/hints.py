"""What a caller knows about a file that the file itself may not say: frame rate, image size, skeleton, person.

A hint is used where the file is silent, must agree where the file speaks, and is refused where it means nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from poseworks.core.errors import ConfigError, MissingHint
from poseworks.core.poses import Frame, PoseSequence, Unit
from poseworks.core.skeletons import SKELETONS, Skeleton

HOW: Mapping[str, str] = {
    "fps": "fps=30 (--fps 30)",
    "image_size": "image_size=(1920, 1080) (--image-size 1920x1080)",
    "skeleton": "skeleton='coco17' (--skeleton coco17)",
    "unit": "unit='px' (--unit px)",
    "frame": "frame='camera' (--frame camera)",
    "person": "person=1 (--person 1)",
    "people": "people='by_order' (--people by_order)",
    "sequence": "sequence='NAME' (--sequence NAME)",
    "first_frame": "first_frame=0 (--first-frame 0)",
    "world": "world=True (--world)",
}

ASSUMED = "assume"
"""Verb of the history entry that says what a file left open, and what a command took instead."""


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What the caller states about a file; None: nothing.

    Attributes:
        fps: frames per second.
        image_size: (width, height) in pixels of the image that the keypoints lie in.
        skeleton: name of a known skeleton.
        unit: ``px``, ``m``, ``mm``, ``normalised``.
        frame: ``image``, ``camera``, ``world``, ``root``.
        person: the track number to read alone; where people have no numbers, the place in the file, from 0.
        people: ``by_order``: where several people have no numbers, the k-th of every frame is one person.
        sequence: name or number (from 0) of one of several sequences in a file.
        first_frame: the number that the file gives to the first frame of the video.
        world: read MediaPipe's 3D world landmarks, not the 2D ones.
    """

    fps: float | None = None
    image_size: tuple[int, int] | None = None
    skeleton: str | None = None
    unit: Unit | None = None
    frame: Frame | None = None
    person: int | None = None
    people: str | None = None
    sequence: str | int | None = None
    first_frame: int | None = None
    world: bool | None = None

    def need(self, name: str, path: Path, why: str) -> Any:
        """The hint, which the file cannot replace.

        Raises:
            MissingHint: it was not given.
        """
        value = getattr(self, name)
        if value is None:
            raise MissingHint(f"{path}: {why}. Give it: {HOW[name]}.", name)
        return value

    def agree(self, name: str, in_file: Any, path: Path) -> Any:
        """What the file says, after comparing it with the hint.

        Raises:
            ConfigError: the hint contradicts the file.
        """
        given = getattr(self, name)
        same = given is None or (
            math.isclose(given, in_file, rel_tol=1e-6) if isinstance(given, float) and in_file else given == in_file
        )
        if not same:
            raise ConfigError(f"{path}: {name} is {in_file!r} in the file, but {given!r} was given. Leave {name} out.")
        return in_file

    def refuse(self, names: tuple[str, ...], path: Path, format_name: str) -> None:
        """Nothing, unless one of `names` was given.

        Raises:
            ConfigError: a hint that the format has no use for.
        """
        useless = [name for name in names if getattr(self, name) is not None]
        if useless:
            raise ConfigError(
                f"{path}: a {format_name} file has no use for {', '.join(useless)}. Leave {', '.join(useless)} out."
            )


NAMES = tuple(field.name for field in fields(Hints))


def checked_hints(given: Mapping[str, Any]) -> Hints:
    """`Hints` of what a caller passed by name; None counts as not given.

    Raises:
        ConfigError: listing unknown names and values out of range.
    """
    faults, values = [], {}
    for name, value in given.items():
        if name not in NAMES:
            faults.append(f"unknown hint {name!r}; expected one of {', '.join(NAMES)}")
        elif value is not None:
            try:
                values[name] = _CHECKS[name](value)
            except (TypeError, ValueError, OverflowError):
                faults.append(f"{name}: cannot be {value!r}; expected as in {HOW[name]}")
    if faults:
        raise ConfigError("; ".join(faults))
    return Hints(**values)


def _fps(value: Any) -> float:
    fps = float(value)
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError
    return fps


def _image_size(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", value.strip())
        value = match.groups() if match else ()
    width, height = (int(size) for size in value)
    if width <= 0 or height <= 0:
        raise ValueError
    return width, height


def _skeleton(value: Any) -> str:
    name = value.name if isinstance(value, Skeleton) else value
    if name not in SKELETONS:
        raise ValueError
    return str(name)


def _unit(value: Any) -> str:
    return _member(value, get_args(Unit))


def _frame(value: Any) -> str:
    return _member(value, get_args(Frame))


def _people(value: Any) -> str:
    return _member(value, ("by_order",))


def _member(value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError
    return str(value)


def _int(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise ValueError
    return int(value)


def _sequence(value: Any) -> str | int:
    return value if isinstance(value, str) else _int(value)


def _world(value: Any) -> bool | None:
    if not isinstance(value, bool):
        raise TypeError
    return value or None


_CHECKS: Mapping[str, Any] = {
    "fps": _fps,
    "image_size": _image_size,
    "skeleton": _skeleton,
    "unit": _unit,
    "frame": _frame,
    "person": _int,
    "people": _people,
    "sequence": _sequence,
    "first_frame": _int,
    "world": _world,
}


def assumptions(poses: PoseSequence) -> tuple[str, ...]:
    """What a command assumed when it read these poses, a sentence each."""
    assumed = [entry["settings"] for entry in poses.history if entry.get("verb") == ASSUMED]
    return tuple(
        f"the file does not say its frame rate: {settings['fps']:g} frames per second were assumed (state it: --fps N)"
        for settings in assumed
    )
