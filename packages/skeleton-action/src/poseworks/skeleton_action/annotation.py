"""Annotation: one recording as PoseC3D's data sets hold it, checked when it is built. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError


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
