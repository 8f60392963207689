"""Lifting while frames arrive, one person at a time: every frame comes out, `latency_frames` later.

A network of one frame gives each frame at once (latency 0). A network of windows gives frame t once frame t + k is
there, from the windows that end by then: the same as `lift` with that latency, however long the stream. A frame that
shows too little of the person comes out empty; it ends a stretch, so the frames before it come out at once, and what
follows is lifted for itself. Memory does not grow with the stream.

Positions are relative to the root. A stream cannot know the size of a person before it is over: state
`metres_per_unit`, as the history of an earlier `lift` with a height says it, and the result is in metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError, SkeletonError
from poseworks.core.shapes import expect_shape
from poseworks.core.skeletons import COCO_17, H36M_17, Skeleton, conversion
from poseworks.core.window_stream import WindowStream
from poseworks.lifting.input_forms import Preparation, Prepared, prepare
from poseworks.lifting.lifter import enough
from poseworks.lifting.settings import LiftSettings
from poseworks.lifting.windows import CHANNELS, LiftingWindows

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LiftedFrame:
    """One frame of a stream.

    Attributes:
        frame: its number, from 0.
        joints: (17, 3) h36m17 relative to the root, camera axes (x right, y down, z away); NaN where not lifted.
        confidence: (17,) of the keypoints; 0 where the network made up what was not seen.
    """

    frame: int
    joints: Array
    confidence: NDArray[np.float32]


class LiftStream:
    """A network fed frame by frame with the keypoints of one person.

    Args:
        network: an LCN or an EHGFormer from `load`.
        settings: `flip`, `min_confidence` and `latency_frames` (None: 0) count.
        image_size: (width, height) in pixels.
        skeleton: of the keypoints that will be pushed.
        camera: intrinsics, for weights of the forms ray and box.
        metres_per_unit: what 1 of the network's unit is; the joints are multiplied by it.

    Raises:
        ConfigError: a setting that a stream has no use for, or the weights need a camera.
        SkeletonError: h36m17 cannot be made from the skeleton.
    """

    def __init__(
        self,
        network: nn.Module,
        settings: LiftSettings | None = None,
        *,
        image_size: tuple[int, int],
        skeleton: Skeleton = COCO_17,
        camera: Pinhole | None = None,
        metres_per_unit: float = 1.0,
    ) -> None:
        settings = settings or LiftSettings()
        if settings.height is not None or settings.bones or settings.unswap:
            raise ConfigError(
                "settings: a stream cannot measure a person, nor look back for exchanged sides; drop height, bones and "
                "unswap. State metres_per_unit, which the history of a lifted clip of the person says."
            )
        self._windows = LiftingWindows(network, flip=settings.flip, overlap=1 - 1e-6)
        self._preparation: Preparation = self._windows.network.preparation
        if self._preparation.form != "image" and camera is None and self._preparation.assumed_focal is None:
            raise ConfigError("camera: these weights need the focal length of the camera. State it, or use others.")
        plan = conversion(skeleton, H36M_17)
        if plan.missing:
            raise SkeletonError(f"skeleton: {skeleton.name} has nothing to make {', '.join(plan.missing)} from.")
        self._skeleton, self._matrix, self._uses = skeleton, plan.matrix, plan.matrix != 0
        self._settings, self._image_size, self._camera = settings, image_size, camera
        self._factor = metres_per_unit
        self._latency = settings.latency_frames or 0
        self._waiting: list[tuple[Prepared, NDArray[np.float32]]] = []
        self._stream: WindowStream | None = None
        self._seen = self._given = 0
        self._finished = False

    @property
    def latency_frames(self) -> int:
        """Frames by which the output is behind the input, at most."""
        return 0 if self._windows.window == 1 else self._latency

    def push(self, keypoints: ArrayLike, confidence: ArrayLike | None = None) -> list[LiftedFrame]:
        """The frames that are final now, after one more: mostly one, none at the start, more where the person is lost.

        Args:
            keypoints: (J, 2) pixels on the stream's skeleton, NaN where not observed.
            confidence: (J,), 0..1; None: ones.

        Raises:
            ShapeError: another shape. DataError: the stream is finished.
        """
        if self._finished:
            raise DataError("push: this stream is finished, its clip is over. Start a new LiftStream.")
        pixels, sure = self._converted(keypoints, confidence)
        self._seen += 1
        if not enough(pixels[None], self._preparation)[0]:
            out = self._end()
            sure[~np.isfinite(pixels).all(axis=-1)] = 0
            out.append(self._frame(np.full((H36M_17.num_joints, 3), np.nan), sure))
            return out
        prepared = prepare(self._preparation, pixels[None], sure[None], self._image_size, self._camera)
        sure[~np.isfinite(pixels).all(axis=-1)] = 0
        self._waiting.append((prepared, sure))
        x = prepared.x.reshape(1, CHANNELS)
        if self._windows.window == 1:
            return self._restored(self._windows.run_windows(x[None])[0])
        if self._stream is None:
            self._stream = WindowStream(self._windows, self._latency, short="whole", blend="ramp")
        return self._restored(self._stream.push(x))

    def finish(self) -> list[LiftedFrame]:
        """The frames that were held back; the stream is over.

        Raises:
            DataError: it was finished before.
        """
        if self._finished:
            raise DataError("finish: this stream was finished before. Start a new LiftStream for the next clip.")
        self._finished = True
        return self._end()

    def _end(self) -> list[LiftedFrame]:
        """What a stretch of frames still owes."""
        if self._stream is None:
            return []
        out = self._restored(self._stream.flush())
        self._stream = None
        return out

    def _restored(self, answers: torch.Tensor) -> list[LiftedFrame]:
        """The network's answers (m, 51) to the first m frames that wait."""
        out = []
        for answer in answers.reshape(-1, 1, H36M_17.num_joints, 3).numpy():
            prepared, sure = self._waiting.pop(0)
            out.append(self._frame(self._factor * prepared.restore(answer)[0], sure))
        return out

    def _frame(self, joints: Array, confidence: NDArray[np.float32]) -> LiftedFrame:
        frame = LiftedFrame(self._given, joints, confidence)
        self._given += 1
        return frame

    def _converted(self, keypoints: ArrayLike, confidence: ArrayLike | None) -> tuple[Array, NDArray[np.float32]]:
        """Pixels (17, 2) and confidence (17,) on h36m17, NaN where missing or too unsure, as `convert` makes them."""
        count = self._skeleton.num_joints
        points = np.array(keypoints, dtype=np.float32).astype(np.float64)  # what a file of poses would hold
        sure = np.ones(count, dtype=np.float32) if confidence is None else np.array(confidence, dtype=np.float32)
        expect_shape("keypoints", points, f"J={count} C=2", fix=f"One frame of {self._skeleton.name}, in pixels.")
        expect_shape("confidence", sure, f"J={count}", fix="One number a keypoint.")
        missing = ~np.isfinite(points).all(axis=-1)
        points[missing] = 0
        pixels = (self._matrix @ points).astype(np.float32).astype(np.float64)
        lowest = np.where(self._uses, sure, np.float32(np.inf)).min(axis=1)
        pixels[(self._uses @ missing) | (lowest < self._settings.min_confidence)] = np.nan
        return pixels, lowest
