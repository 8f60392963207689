"""Annotation: one recording as PoseC3D's data sets hold it, checked when it is built. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError
from poseworks.core.formats.reading import shown


@dataclass(frozen=True, eq=False, kw_only=True)
class Annotation:
    """Keypoints of M people over T frames of one recording.

    Attributes:
        identifier: the recording's name, by which splits list it.
        keypoints: (M, T, V, 2) pixels, x to the right and y down; a coordinate that is 0 or NaN is missing.
        scores: (M, T, V) confidence of each keypoint; None where the source has none (ones are then assumed).
        image_shape: (height, width) of the recording in pixels.
        label: class number from 0; None where it is not known.
        original_shape: (height, width) before the recording was resized; None: the same.

    Raises:
        DataError: listing everything that is wrong.
    """

    identifier: str
    keypoints: NDArray[np.floating[Any]]
    image_shape: tuple[int, int]
    scores: NDArray[np.floating[Any]] | None = None
    label: int | None = None
    original_shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        faults = _faults(self)
        if faults:
            raise DataError(f"annotation {self.identifier!r}: " + "; ".join(faults) + ".")

    @property
    def num_people(self) -> int:
        """M."""
        return int(self.keypoints.shape[0])

    @property
    def num_frames(self) -> int:
        """T."""
        return int(self.keypoints.shape[1])

    @property
    def num_joints(self) -> int:
        """V."""
        return int(self.keypoints.shape[2])


AnyAnnotation: TypeAlias = Annotation | Mapping[str, Any]
"""Its typed form, or the published dict: ``frame_dir``, ``label``, ``img_shape``, ``total_frames``, ``keypoint`` ..."""


def _faults(annotation: Annotation) -> list[str]:
    faults = []
    keypoints, scores = annotation.keypoints, annotation.scores
    if keypoints.ndim != 4 or keypoints.shape[-1] != 2:
        return [f"keypoints: expected (M, T, V, 2), got {keypoints.shape}"]
    if keypoints.dtype.kind != "f":
        faults.append(f"keypoints: expected real numbers, got {keypoints.dtype}")
    elif np.isinf(keypoints).any():
        faults.append("keypoints: infinite values; float16 ends at 65504 and is 1 px coarse beyond 1024: store float32")
    if keypoints.shape[1] == 0 or keypoints.shape[2] == 0:
        faults.append(f"keypoints: expected one or more frames and joints, got {keypoints.shape}")
    if scores is not None:
        if scores.shape != keypoints.shape[:3]:
            faults.append(f"scores: expected {keypoints.shape[:3]} as the keypoints, got {scores.shape}")
        elif scores.dtype.kind != "f" or not np.isfinite(scores).all():
            faults.append("scores: expected finite numbers")
    for name in ("image_shape", "original_shape"):
        shape = getattr(annotation, name)
        if shape is not None and (len(shape) != 2 or min(shape) <= 0):
            faults.append(f"{name}: expected (height, width) above 0, got {shape}")
    if annotation.label is not None and annotation.label < 0:
        faults.append(f"label: expected a class number from 0, got {annotation.label}")
    return faults


def as_annotation(value: AnyAnnotation) -> Annotation:
    """The typed form of a published dict; an `Annotation` as it is.

    The dict: ``frame_dir`` (or ``filename``) str, ``label`` int (absent or -1: not known), ``img_shape`` and
    ``original_shape`` (height, width), ``keypoint`` (M, T, V, 2), ``keypoint_score`` (M, T, V) or absent. The arrays
    say how many frames there are, whatever ``total_frames`` says. Further keys mean nothing here.

    Raises:
        DataError: listing everything that is missing or wrong.
    """
    if isinstance(value, Annotation):
        return value
    if not isinstance(value, Mapping):
        raise DataError(f"annotation: expected a dict or an Annotation, got a {type(value).__name__}.")
    name = value.get("filename", value.get("frame_dir", ""))
    faults: list[str] = []
    fields = {key: _FIELDS[key][0](value[key], key, faults) for key in _FIELDS if value.get(key) is not None}
    if not isinstance(name, str):
        faults.append(f"frame_dir: expected text, got a {type(name).__name__}")
    if value.get("keypoint") is None:
        compressed = " It is of the compressed form: read its file, which expands it." if "frame_inds" in value else ""
        faults.append(f"keypoint: missing; expected (M, T, V, 2) pixels.{compressed}")
    if value.get("img_shape") is None:
        faults.append("img_shape: missing; expected (height, width) in pixels")
    if faults:
        raise DataError(f"annotation {shown(name)}: " + "; ".join(faults) + ".")
    return Annotation(identifier=name, **{_FIELDS[key][1]: field for key, field in fields.items()})


def _real_array(value: Any, key: str, faults: list[str]) -> NDArray[np.floating[Any]]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        found = value.dtype if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        faults.append(f"{key}: expected an array of real numbers, got {found}")
        return np.zeros(0)
    return value if value.dtype.kind == "f" else value.astype(np.float32)


def _shape(value: Any, key: str, faults: list[str]) -> tuple[int, int] | None:
    try:
        height, width = (int(side) for side in value if side == int(side))
    except (TypeError, ValueError, OverflowError):
        faults.append(f"{key}: expected (height, width) in whole pixels, got {shown(value)}")
        return None
    return height, width


def _label(value: Any, key: str, faults: list[str]) -> int | None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        faults.append(f"{key}: expected a class number, got {shown(value)}")
        return None
    return None if value == UNLABELLED else int(value)


UNLABELLED = -1
"""The published label of a recording whose class is not known."""

_FIELDS: Mapping[str, tuple[Callable[[Any, str, list[str]], Any], str]] = {
    "keypoint": (_real_array, "keypoints"),
    "keypoint_score": (_real_array, "scores"),
    "img_shape": (_shape, "image_shape"),
    "original_shape": (_shape, "original_shape"),
    "label": (_label, "label"),
}
