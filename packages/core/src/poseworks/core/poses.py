"""PoseSequence: the one in-memory type for pose tracks, checked when it is built. NumPy only: torch is not imported."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseworks.core.errors import DataError, ShapeError
from poseworks.core.skeletons import SKELETONS, Skeleton

Unit = Literal["px", "m", "mm", "normalised"]
Frame = Literal["image", "camera", "world", "root"]
HistoryEntry = Mapping[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class PoseSequence:
    """Tracks of P people over T frames with J joints in D dimensions.

    Attributes:
        positions: (P, T, J, D) float32, D = 2 or 3, in `unit`; NaN where a joint was not observed.
        confidence: (P, T, J) float32 in 0..1; ones where the source has none (None builds them).
        joint_names: J names in the vocabulary of `poseworks.core.skeletons`.
        skeleton: name of a known skeleton with exactly these joints in this order, or ``custom``.
        fps: frames per second, > 0.
        unit: ``px``, ``m``, ``mm`` or ``normalised``.
        frame: ``image``, ``camera``, ``world`` or ``root`` (relative to the root joint of the same frame).
        image_size: (width, height) in pixels; only with the frame ``image``.
        times: (T,) float64 seconds of each frame, rising; only where frames are not evenly spaced.
        person_ids: (P,) track numbers, where the source has them.
        history: what made this, one entry a step.

    Raises:
        DataError: listing everything that is wrong.
    """

    positions: NDArray[np.float32]
    confidence: NDArray[np.float32] = None  # type: ignore[assignment]  # __post_init__ fills it
    joint_names: tuple[str, ...]
    skeleton: str
    fps: float
    unit: Unit
    frame: Frame
    image_size: tuple[int, int] | None = None
    times: NDArray[np.float64] | None = None
    person_ids: NDArray[np.int64] | None = None
    history: tuple[HistoryEntry, ...] = ()

    def __post_init__(self) -> None:
        faults: list[str] = []
        failed: set[str] = set()
        for name, (convert, expected) in _CONVERSIONS.items():
            value = getattr(self, name)
            if value is None and name in _MAY_BE_NONE:
                continue
            try:
                object.__setattr__(self, name, convert(value))
            except (TypeError, ValueError, OverflowError):
                faults.append(f"{name}: expected {expected}, got {_short(value)}")
                failed.add(name)
                object.__setattr__(self, name, _NEUTRAL.get(name))  # so that the others can be checked too
        if not failed & {"positions", "joint_names"}:
            if vars(self)["confidence"] is None:
                object.__setattr__(self, "confidence", np.ones(self.positions.shape[:-1], dtype=np.float32))
            faults += self._faults()
        if faults:
            raise DataError("poses: " + "; ".join(faults))

    @property
    def num_people(self) -> int:
        """P."""
        return int(self.positions.shape[0])

    @property
    def num_frames(self) -> int:
        """T."""
        return int(self.positions.shape[1])

    @property
    def num_joints(self) -> int:
        """J."""
        return int(self.positions.shape[2])

    @property
    def num_dims(self) -> int:
        """D: 2 or 3."""
        return int(self.positions.shape[3])

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(T,) the time of each frame: `times` if there are any, else frame number / fps."""
        if self.times is not None:
            return self.times
        return np.arange(self.num_frames, dtype=np.float64) / self.fps

    @property
    def observed(self) -> NDArray[np.bool_]:
        """(P, T, J): the joint has a position in that frame."""
        return np.asarray(np.isfinite(self.positions).all(axis=-1))

    def known_skeleton(self) -> Skeleton | None:
        """The skeleton that `skeleton` names, or None for ``custom``."""
        return SKELETONS.get(self.skeleton)

    def replace(self, **changes: Any) -> PoseSequence:
        """A copy with other values in the named fields, checked again."""
        return dataclasses.replace(self, **changes)

    def with_step(self, entry: HistoryEntry) -> PoseSequence:
        """A copy with one more entry in `history`."""
        return self.replace(history=(*self.history, entry))

    def select_people(self, rows: Sequence[int]) -> PoseSequence:
        """A copy that holds the people of these rows alone, in this order.

        Raises:
            DataError: there is no such row.
        """
        if not all(0 <= row < self.num_people for row in rows):
            raise DataError(f"people: expected rows from 0 to {self.num_people - 1}, got {list(rows)}.")
        ids = None if self.person_ids is None else self.person_ids[list(rows)]
        return self.replace(
            positions=self.positions[list(rows)], confidence=self.confidence[list(rows)], person_ids=ids
        )

    def _faults(self) -> list[str]:
        """Everything that contradicts the class docstring, one sentence each."""
        faults = self._shape_faults()
        if len(set(self.joint_names)) != len(self.joint_names):
            faults.append("joint_names: a name occurs twice")
        known = SKELETONS.get(self.skeleton)
        if self.skeleton != "custom" and known is None:
            faults.append(f"skeleton: {self.skeleton!r} is unknown, expected custom or one of {', '.join(SKELETONS)}")
        if known is not None and known.joint_names != self.joint_names:
            faults.append(f"joint_names: not those of {self.skeleton} in its order, expected skeleton custom")
        if not (math.isfinite(self.fps) and self.fps > 0):
            faults.append(f"fps: expected a number above 0, got {self.fps}")
        if self.unit not in get_args(Unit):
            faults.append(f"unit: expected one of {', '.join(get_args(Unit))}, got {self.unit!r}")
        if self.frame not in get_args(Frame):
            faults.append(f"frame: expected one of {', '.join(get_args(Frame))}, got {self.frame!r}")
        return faults + self._contradictions()

    def _shape_faults(self) -> list[str]:
        """What is wrong with the arrays, compared with the shape of `positions`."""
        shape, faults = self.positions.shape, []
        if len(shape) != 4 or shape[-1] not in (2, 3):
            return [f"positions: expected (P, T, J, D=2|3), got {shape}"]
        if np.isinf(self.positions).any():
            faults.append("positions: infinite values where NaN should say that a joint was not observed")
        if self.confidence.shape != shape[:3]:
            faults.append(f"confidence: expected {shape[:3]} as in positions, got {self.confidence.shape}")
        elif not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            faults.append("confidence: expected values from 0 to 1 and no NaN")
        if len(self.joint_names) != shape[2]:
            faults.append(f"joint_names: expected {shape[2]} as in positions, got {len(self.joint_names)}")
        people, frames = shape[:2]
        if self.times is not None:
            if self.times.shape != (frames,):
                faults.append(f"times: expected ({frames},) as in positions, got {self.times.shape}")
            elif not np.isfinite(self.times).all() or (np.diff(self.times) <= 0).any():
                faults.append("times: expected finite, rising seconds")
        if self.person_ids is not None:
            if self.person_ids.shape != (people,):
                faults.append(f"person_ids: expected ({people},) as in positions, got {self.person_ids.shape}")
            elif len(np.unique(self.person_ids)) != people:
                faults.append("person_ids: a number occurs twice")
        return faults

    def _contradictions(self) -> list[str]:
        """What each field allows by itself, but not beside the others."""
        faults = []
        if self.frame == "image" and self.unit in ("m", "mm"):
            faults.append(f"unit: {self.unit} contradicts the frame image, expected px or normalised")
        if self.unit == "px" and self.frame in ("camera", "world"):
            faults.append(f"unit: px contradicts the frame {self.frame}, expected m, mm or normalised")
        if self.image_size is not None:
            if self.frame != "image":
                faults.append(f"image_size: only with the frame image, not {self.frame}")
            if len(self.image_size) != 2 or min(self.image_size) <= 0:
                faults.append(f"image_size: expected (width, height) above 0, got {self.image_size}")
        return faults


def _floats(dtype: type[np.floating[Any]]) -> Callable[[Any], NDArray[Any]]:
    """A converter of real numbers to arrays of `dtype`."""

    def convert(value: Any) -> NDArray[Any]:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"not real numbers: {array.dtype}")
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is reported as such
            return array.astype(dtype, copy=False)

    return convert


def _integers(value: Any) -> NDArray[np.int64]:
    """`value` as integers, if it is whole numbers."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all() or (array % 1).any():
        raise TypeError(f"not whole numbers: {array.dtype}")
    return array.astype(np.int64)


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise TypeError("one string")
    return tuple(str(name) for name in value)


def _history(value: Any) -> tuple[HistoryEntry, ...]:
    """`value` as entries that JSON can hold, so that a file can be written at the end of a long run."""
    entries = tuple(value)
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise TypeError("entries that are no mappings")
    json.dumps([dict(entry) for entry in entries], allow_nan=False)
    return entries


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_CONVERSIONS: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "positions": (_floats(np.float32), "real numbers"),
    "confidence": (_floats(np.float32), "real numbers"),
    "joint_names": (_names, "a sequence of names"),
    "fps": (float, "a number"),
    "image_size": (lambda value: tuple(int(size) for size in _integers(value)), "two whole numbers"),
    "times": (_floats(np.float64), "real numbers"),
    "person_ids": (_integers, "whole numbers"),
    "history": (_history, "mappings that JSON can hold"),
}
_MAY_BE_NONE = ("confidence", "image_size", "times", "person_ids")
_NEUTRAL: Mapping[str, Any] = {"fps": 1.0, "history": ()}


def poses_from_arrays(
    positions: ArrayLike, skeleton: Skeleton, *, fps: float, unit: Unit, frame: Frame, **fields: Any
) -> PoseSequence:
    """A PoseSequence of one or more people from (T, J, D) or (P, T, J, D) positions of a known skeleton.

    Raises:
        ShapeError: `positions` has another number of axes.
        DataError: the fields contradict one another.
    """
    array = np.asarray(positions)
    if array.ndim not in (3, 4):
        raise ShapeError(f"positions: expected (T, J, D) or (P, T, J, D), got {array.shape}.")
    if array.ndim == 3:
        array = array[None]
        if fields.get("confidence") is not None and np.ndim(fields["confidence"]) == 2:
            fields["confidence"] = np.asarray(fields["confidence"])[None]
    return PoseSequence(
        positions=array,
        joint_names=skeleton.joint_names,
        skeleton=skeleton.name,
        fps=fps,
        unit=unit,
        frame=frame,
        **fields,
    )


def history_entry(
    verb: str, distribution: str, settings: Mapping[str, Any], model: str | None = None, model_sha256: str | None = None
) -> dict[str, Any]:
    """One entry of `PoseSequence.history`: the verb, its settings, the model and the version that ran it."""
    entry: dict[str, Any] = {
        "verb": verb,
        "package": distribution,
        "version": metadata.version(distribution),
        "settings": dict(settings),
    }
    if model is not None:
        entry["model"] = model
        entry["model_sha256"] = model_sha256
    return entry
