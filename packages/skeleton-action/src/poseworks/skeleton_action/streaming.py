"""Recognition while frames arrive: an answer every stride, about the window of frames that ends then.

The answers are those of `recognize` with the same window and stride, however long the stream; memory is a window. An
answer comes with the last frame of its window and speaks for the middle of it: it is `latency_frames` behind, and the
time that the network takes.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.poses import poses_from_arrays
from poseworks.core.shapes import expect_shape
from poseworks.core.skeletons import COCO_17, Skeleton, convert
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.keypoints import annotation_of, refuse_other_skeletons, skeleton_of
from poseworks.skeleton_action.settings import RecognizeSettings
from poseworks.skeleton_action.windows import WindowAnswer, checked_network, reader_of


class Stream:
    """A network fed frame by frame with the keypoints of one person, or of several who share a volume.

    Args:
        network: from `load`.
        settings: `window_s` is needed; `people` does not count: take a stream for each person.
        fps: frames per second.
        image_size: (width, height) in pixels.
        skeleton: of the keypoints that will be pushed.
        people: M, how many will be pushed together.

    Raises:
        ConfigError: no window is stated, or it is shorter than a frame, or the network is none for actions.
        SkeletonError: too few of the network's joints can be made from the skeleton.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        settings: RecognizeSettings,
        *,
        fps: float,
        image_size: tuple[int, int],
        skeleton: Skeleton = COCO_17,
        people: int = 1,
    ) -> None:
        frames = settings.frames(fps)
        if frames is None:
            raise ConfigError("settings: a stream needs a window. State one: RecognizeSettings(window_s=2).")
        self._window, self._stride = frames
        layout = checked_network(network).preparation.layout
        refuse_other_skeletons(skeleton, layout)
        self._reader = reader_of(network, settings)
        self._target, self._skeleton, self._people = skeleton_of(layout), skeleton, people
        self._settings, self._fps, self._image_size = settings, fps, image_size
        self._frames: deque[Annotation] = deque(maxlen=self._window)
        self._seen = 0
        self._finished = False
        self.last: WindowAnswer | None = None
        """The answer to the last window that was read; its fault says why one was not scored."""

    @property
    def window_frames(self) -> int:
        """Frames of a window: the first answer comes with so many."""
        return self._window

    @property
    def stride_frames(self) -> int:
        """Frames from one answer to the next."""
        return self._stride

    @property
    def latency_frames(self) -> int:
        """Frames by which the middle of a window, for which its answer speaks, is behind the newest frame."""
        return self._window // 2

    def push(self, keypoints: ArrayLike, scores: ArrayLike | None = None) -> NDArray[np.float64] | None:
        """Probabilities (classes,) if a window ends with this frame and could be scored, else None; `last` says more.

        Args:
            keypoints: (V, 2) or (M, V, 2) pixels on the stream's skeleton, NaN where not observed.
            scores: (V,) or (M, V) confidence, 0..1; None: ones.

        Raises:
            ShapeError: another shape. DataError: a score is out of its range, or the stream is finished.
        """
        if self._finished:
            raise DataError("push: this stream is finished, its recording is over. Start a new Stream.")
        self._frames.append(self._converted(keypoints, scores))
        self._seen += 1
        beyond = self._seen - self._window
        return self._read() if beyond >= 0 and beyond % self._stride == 0 else None

    def finish(self) -> NDArray[np.float64] | None:
        """Probabilities of the window that ends with the last frame, if no answer came with it; the stream is over.

        Raises:
            DataError: it was finished before, or nothing was pushed.
        """
        if self._finished or self._seen == 0:
            raise DataError("finish: this stream was finished before, or is empty. Start a new Stream.")
        self._finished = True
        beyond = self._seen - self._window
        return None if beyond >= 0 and beyond % self._stride == 0 else self._read()

    def _read(self) -> NDArray[np.float64] | None:
        """The answer to the frames that are held."""
        keypoints, scores = [], []
        for frame in self._frames:
            assert frame.scores is not None  # annotation_of
            keypoints.append(frame.keypoints)
            scores.append(frame.scores)
        window = Annotation(
            identifier="stream",
            keypoints=np.concatenate(keypoints, axis=1),
            scores=np.concatenate(scores, axis=1),
            image_shape=self._image_size[::-1],
        )
        self.last = self._reader.read(window, self._seen - len(self._frames))
        return None if self.last.answer is None else self.last.answer.probabilities

    def _converted(self, keypoints: ArrayLike, scores: ArrayLike | None) -> Annotation:
        """One frame on the network's joints."""
        points = np.asarray(keypoints, dtype=np.float32)
        points = points[None] if points.ndim == 2 else points
        joints, sizes = self._skeleton.num_joints, f"M={self._people} V={self._skeleton.num_joints}"
        expect_shape("keypoints", points, f"{sizes} C=2", fix=f"One frame of {self._skeleton.name}, in pixels.")
        sure = np.ones((self._people, joints), np.float32) if scores is None else np.asarray(scores, np.float32)
        sure = sure[None] if sure.ndim == 1 else sure
        expect_shape("scores", sure, sizes, fix="One number a keypoint.")
        poses = poses_from_arrays(
            points[:, None],
            self._skeleton,
            fps=self._fps,
            unit="px",
            frame="image",
            confidence=sure[:, None],
            image_size=self._image_size,
        )
        frame = convert(poses, self._target, partial=True)
        return annotation_of(frame, range(self._people), "stream", min_confidence=self._settings.min_confidence)
