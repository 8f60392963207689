"""Streams: frame by frame, with the answers of the whole recording."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError, ShapeError, SkeletonError
from poseworks.core.poses import PoseSequence
from poseworks.core.skeletons import COCO_17, OPENPOSE_25, Skeleton, skeleton_from_names
from poseworks.core.testing import walking_poses
from poseworks.skeleton_action.recognition import recognize
from poseworks.skeleton_action.settings import RecognizeSettings
from poseworks.skeleton_action.slowonly import SlowOnly
from poseworks.skeleton_action.streaming import Stream

SETTINGS = RecognizeSettings(window_s=0.5, stride_s=0.2)  # 15 and 6 frames


def walk(frames: int, people: int = 1, skeleton: Skeleton = COCO_17) -> PoseSequence:
    return walking_poses(frames, people, 2, skeleton, rng=np.random.default_rng(2), noise=1.0, missing=0.02)


def streamed(stream: Stream, poses: PoseSequence) -> list[tuple[int, NDArray[np.float64]]]:
    """Answers with the number of frames after which they came."""
    found = []
    for frame in range(poses.num_frames):
        answer = stream.push(poses.positions[:, frame], poses.confidence[:, frame])
        if answer is not None:
            found.append((frame + 1, answer))
    last = stream.finish()
    return found if last is None else [*found, (poses.num_frames, last)]


@pytest.mark.parametrize("skeleton", [COCO_17, OPENPOSE_25], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize(("frames", "after"), [(33, [15, 21, 27, 33]), (31, [15, 21, 27, 31]), (9, [9])])
def test_a_stream_gives_the_answers_of_the_recording(
    small_network: SlowOnly, frames: int, after: list[int], skeleton: Skeleton
) -> None:
    poses = walk(frames, people=2, skeleton=skeleton)
    stream = Stream(small_network, SETTINGS, fps=30, image_size=(1280, 720), skeleton=skeleton, people=2)
    answers = streamed(stream, poses)
    assert [count for count, _ in answers] == after
    (line,) = recognize(poses, small_network, SETTINGS.model_copy(update={"people": "together"})).timelines
    np.testing.assert_array_equal([answer.astype(np.float32) for _, answer in answers], line.probabilities)


def test_a_stream_of_one_person_takes_plain_frames(small_network: SlowOnly) -> None:
    poses = walk(15)
    stream = Stream(small_network, SETTINGS, fps=30, image_size=(1280, 720))
    answers = [stream.push(frame) for frame in poses.positions[0]]
    assert answers[:-1] == [None] * 14
    assert answers[-1] is not None
    assert answers[-1].sum() == pytest.approx(1)
    assert (stream.window_frames, stream.stride_frames, stream.latency_frames) == (15, 6, 7)
    assert stream.finish() is None


def test_nobody_is_not_scored_and_that_is_said(small_network: SlowOnly) -> None:
    stream = Stream(small_network, SETTINGS, fps=30, image_size=(1280, 720))
    for _ in range(15):
        assert stream.push(np.full((17, 2), np.nan)) is None
    assert stream.last is not None
    assert "nobody is seen" in stream.last.fault
    assert (stream.last.begin, stream.last.end) == (0, 15)


def test_what_does_not_fit_is_refused(small_network: SlowOnly) -> None:
    with pytest.raises(ConfigError, match="a stream needs a window"):
        Stream(small_network, RecognizeSettings(), fps=30, image_size=(640, 480))
    hand = skeleton_from_names(["thumb", "palm"])
    with pytest.raises(SkeletonError, match="only 0 of the 17 joints"):
        Stream(small_network, SETTINGS, fps=30, image_size=(640, 480), skeleton=hand)
    stream = Stream(small_network, SETTINGS, fps=30, image_size=(640, 480))
    with pytest.raises(ShapeError, match="keypoints"):
        stream.push(np.zeros((16, 2)))
    with pytest.raises(ShapeError, match="scores"):
        stream.push(np.ones((17, 2)), np.ones(16))
    with pytest.raises(DataError, match="confidence"):
        stream.push(np.ones((17, 2)), np.full(17, 2.0))
    with pytest.raises(DataError, match="is empty"):
        stream.finish()
    stream.push(np.ones((17, 2)))
    stream.finish()
    with pytest.raises(DataError, match="this stream is finished"):
        stream.push(np.ones((17, 2)))
