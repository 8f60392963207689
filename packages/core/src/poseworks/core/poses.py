"""PoseSequence: the one in-memory type for pose tracks, checked when it is built. NumPy only: torch is not imported."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
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
        put = object.__setattr__
        put(self, "positions", np.asarray(self.positions, dtype=np.float32))
        if self.confidence is None:
            put(self, "confidence", np.ones(self.positions.shape[:-1], dtype=np.float32))
        put(self, "confidence", np.asarray(self.confidence, dtype=np.float32))
        put(self, "joint_names", tuple(str(name) for name in self.joint_names))
        put(self, "fps", float(self.fps))
        if self.image_size is not None:
            put(self, "image_size", tuple(int(size) for size in self.image_size))
        if self.times is not None:
            put(self, "times", np.asarray(self.times, dtype=np.float64))
        if self.person_ids is not None:
            put(self, "person_ids", np.asarray(self.person_ids, dtype=np.int64))
        put(self, "history", tuple(self.history))
        faults = self._faults()
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
        """A copy that holds the people of these rows alone, in this order."""
        ids = None if self.person_ids is None else self.person_ids[list(rows)]
        return self.replace(
            positions=self.positions[list(rows)], confidence=self.confidence[list(rows)], person_ids=ids
        )

    def _faults(self) -> list[str]:
        """Everything that contradicts the class docstring, one sentence each."""
        shape, faults = self.positions.shape, []
        if len(shape) != 4 or shape[-1] not in (2, 3):
            return [f"positions: expected (P, T, J, D=2|3), got {shape}"]
        if np.isinf(self.positions).any():
            faults.append("positions: infinite values; write NaN where a joint was not observed")
        if self.confidence.shape != shape[:3]:
            faults.append(f"confidence: expected {shape[:3]} as in positions, got {self.confidence.shape}")
        elif not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            faults.append("confidence: expected values from 0 to 1 and no NaN")
        if len(self.joint_names) != shape[2]:
            faults.append(f"joint_names: expected {shape[2]} as in positions, got {len(self.joint_names)}")
        if len(set(self.joint_names)) != len(self.joint_names):
            faults.append("joint_names: a name occurs twice")
        known = SKELETONS.get(self.skeleton)
        if self.skeleton != "custom" and known is None:
            faults.append(f"skeleton: {self.skeleton!r} is unknown; use custom, or one of {', '.join(SKELETONS)}")
        if known is not None and known.joint_names != self.joint_names:
            faults.append(f"joint_names: not those of {self.skeleton} in its order; use skeleton custom")
        if not (math.isfinite(self.fps) and self.fps > 0):
            faults.append(f"fps: expected a number above 0, got {self.fps}")
        if self.unit not in get_args(Unit):
            faults.append(f"unit: expected one of {', '.join(get_args(Unit))}, got {self.unit!r}")
        if self.frame not in get_args(Frame):
            faults.append(f"frame: expected one of {', '.join(get_args(Frame))}, got {self.frame!r}")
        faults += self._contradictions()
        return faults

    def _contradictions(self) -> list[str]:
        """What each field allows by itself, but not beside the others."""
        frames, faults = self.positions.shape[1], []
        if self.frame == "image" and self.unit in ("m", "mm"):
            faults.append(f"unit: {self.unit} contradicts the frame image; expected px or normalised")
        if self.unit == "px" and self.frame in ("camera", "world"):
            faults.append(f"unit: px contradicts the frame {self.frame}; expected m, mm or normalised")
        if self.image_size is not None:
            if self.frame != "image":
                faults.append(f"image_size: only with the frame image, not {self.frame}")
            if len(self.image_size) != 2 or min(self.image_size) <= 0:
                faults.append(f"image_size: expected (width, height) above 0, got {self.image_size}")
        if self.times is not None:
            if self.times.shape != (frames,):
                faults.append(f"times: expected ({frames},) as in positions, got {self.times.shape}")
            elif not np.isfinite(self.times).all() or (np.diff(self.times) <= 0).any():
                faults.append("times: expected finite, rising seconds")
        if self.person_ids is not None:
            people = self.positions.shape[0]
            if self.person_ids.shape != (people,):
                faults.append(f"person_ids: expected ({people},) as in positions, got {self.person_ids.shape}")
            elif len(np.unique(self.person_ids)) != people:
                faults.append("person_ids: a number occurs twice")
        return faults


def poses_from_arrays(
    positions: ArrayLike, skeleton: Skeleton, *, fps: float, unit: Unit, frame: Frame, **fields: Any
) -> PoseSequence:
    """A PoseSequence of one or more people from (T, J, D) or (P, T, J, D) positions of a known skeleton.

    Raises:
        ShapeError: `positions` has another number of axes.
        DataError: the fields contradict one another.
    """
    array = np.asarray(positions, dtype=np.float32)
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
