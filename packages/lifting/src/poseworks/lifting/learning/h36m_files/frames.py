"""Frames of either layout in memory: what the readers give and the protocols take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseworks.lifting.h36m import CAMERA_SIZES

Floats = NDArray[np.float32]
Numbers = NDArray[np.int32]

CAMERAS = tuple(CAMERA_SIZES)
JOINTS = 17
_SIZES = np.array(list(CAMERA_SIZES.values()), dtype=np.int32)


@dataclass(frozen=True, eq=False)
class LCNFrames:
    """Frames of LCN's data base, N of them in the order of the file.

    Attributes:
        keypoints: (N, 17, 2) pixels, true or detected; true ones are a view of `joints_image`.
        confidence: (N, 17), ones for true keypoints (then not to be written to).
        joints_image: (N, 17, 3) pixels x, y, and depth relative to the root in pixels.
        joints_camera_mm: (N, 17, 3) in the axes of the camera.
        box: (N, 4) x0 y0 x1 y1 pixels.
        root_depth: (N,) mm.
        focal, centre: (N, 2) fx fy, cx cy in pixels.
        camera: (N,) which of CAMERAS.
        subject, action: (N,) numbers, actions 2 to 16.
    """

    keypoints: Floats
    confidence: Floats
    joints_image: Floats
    joints_camera_mm: Floats
    box: Floats
    root_depth: Floats
    focal: Floats
    centre: Floats
    camera: Numbers
    subject: Numbers
    action: Numbers

    def __len__(self) -> int:
        return len(self.joints_image)

    @property
    def image_size(self) -> Numbers:
        """(N, 2) width and height in pixels."""
        return _SIZES[self.camera]


@dataclass(frozen=True, eq=False)
class EHGFormerFrames:
    """Frames of EHGFormer's source file, N of them in the order of the file.

    Attributes:
        keypoints: (N, 17, 2) detected, pixels.
        confidence: (N, 17); ones where the file has none (then not to be written to).
        joints_image: (N, 17, 3) pixels x, y, and depth relative to the root in pixels.
        camera: (N,) which of CAMERAS.
        recording: (N,) which of `recordings`.
        recordings: names, in the order in which they come.
        joints_25d: test: (N, 17, 3) float64 mm, what predictions are compared with.
        factor: test: (N,) float64 mm a pixel.
        action: test: (N,) which of `actions`.
        actions: test: names, in the order in which they come.
    """

    keypoints: Floats
    confidence: Floats
    joints_image: Floats
    camera: Numbers
    recording: Numbers
    recordings: tuple[str, ...]
    joints_25d: NDArray[np.float64] | None = None
    factor: NDArray[np.float64] | None = None
    action: Numbers | None = None
    actions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.joints_image)

    @property
    def image_size(self) -> Numbers:
        """(N, 2) width and height in pixels."""
        return _SIZES[self.camera]
