"""From poses to timelines."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.core.errors import ConfigError, DataError, SkeletonError
from poseworks.core.poses import PoseSequence, poses_from_arrays
from poseworks.core.skeletons import BLAZEPOSE_33, COCO_17, H36M_17, J14, OPENPOSE_25, convert, skeleton_from_names
from poseworks.core.testing import walking_poses
from poseworks.skeleton_action.keypoints import annotation_of, layout_keypoints
from poseworks.skeleton_action.layouts import COCO_LAYOUT
from poseworks.skeleton_action.preparation import UnknownRule
from poseworks.skeleton_action.recognition import predict, recognize
from poseworks.skeleton_action.settings import RecognizeSettings
from poseworks.skeleton_action.slowonly import SlowOnly
from poseworks.skeleton_action.timeline import NOT_SCORED, UNKNOWN

TOLERANCE = 1e-5


def walk(frames: int = 40, people: int = 1, skeleton=COCO_17) -> PoseSequence:  # type: ignore[no-untyped-def]
    poses = walking_poses(frames, people, 2, skeleton, rng=np.random.default_rng(1), noise=1.0)
    return poses.replace(confidence=0.9 * poses.confidence)


def test_each_person_gets_the_answer_to_a_recording_of_their_own(small_network: SlowOnly) -> None:
    poses = walk(people=2).replace(person_ids=np.array([4, 9]))
    made = recognize(poses, small_network)
    assert [line.person for line in made.timelines] == [4, 9]
    assert made.notes == ()
    for person, line in enumerate(made.timelines):
        alone = predict(small_network, annotation_of(poses, [person], ""), num_clips=1, mirror=False)
        np.testing.assert_allclose(line.probabilities, alone[None], atol=TOLERANCE)
        assert (line.begins_s.tolist(), line.ends_s.tolist()) == ([0.0], [pytest.approx(40 / 30)])
    entry = made.poses.history[-1]
    assert (entry["verb"], entry["settings"]["clips"], entry["model"]) == ("recognize", 1, "SlowOnly")


def test_together_all_people_share_a_volume(small_network: SlowOnly) -> None:
    poses = walk(people=2)
    settings = RecognizeSettings(preset="accurate", people="together")
    (line,) = recognize(poses, small_network, settings).timelines
    assert line.person is None
    expected = predict(small_network, annotation_of(poses, [0, 1], ""))
    np.testing.assert_allclose(line.probabilities, expected[None], atol=TOLERANCE)


def test_windows_have_the_times_of_their_frames(small_network: SlowOnly) -> None:
    times = np.arange(40) / 20 + np.where(np.arange(40) >= 30, 1.0, 0.0)  # a second is missing
    poses = walk().replace(times=times, fps=20.0)
    settings = RecognizeSettings(window_s=1, stride_s=0.5)
    made = recognize(poses, small_network, settings)
    (line,) = made.timelines
    np.testing.assert_allclose(line.begins_s, [0, 0.5, 1.0])
    np.testing.assert_allclose(line.ends_s, [1.0, 2.5, 3.0])
    assert any("not evenly spaced" in note for note in made.notes)


def test_a_short_recording_is_one_window_and_that_is_said(small_network: SlowOnly) -> None:
    made = recognize(walk(6), small_network, RecognizeSettings(window_s=2))
    assert made.timelines[0].num_windows == 1
    assert any("shorter than the window of 2 s" in note for note in made.notes)
    assert any("fewer than the 8 frames" in note for note in made.notes)


def test_a_long_recording_without_windows_is_noted(small_network: SlowOnly) -> None:
    poses = walk(20).replace(fps=1.0)
    assert any("--window 2s" in note for note in recognize(poses, small_network).notes)


def test_somebody_who_is_not_there_is_not_scored(small_network: SlowOnly) -> None:
    poses = walk(people=2)
    positions = poses.positions.copy()
    positions[1, :] = np.nan
    positions[0, 20:] = np.nan
    settings = RecognizeSettings(window_s=0.5, stride_s=0.25)
    made = recognize(poses.replace(positions=positions), small_network, settings)
    assert [segment.label for segment in made.timelines[1].segments] == [NOT_SCORED]
    assert made.timelines[0].moments[0].label in small_network.preparation.labels
    assert made.timelines[0].moments[-1].label == NOT_SCORED
    count = made.timelines[1].num_windows
    assert f"person 1: {count} of {count} windows not scored: nobody is seen, so that the volume is empty" in made.notes
    assert "person 0: 2 of 5 windows not scored: nobody is seen, so that the volume is empty" in made.notes


def test_what_is_unlike_the_classes_is_none_of_these(small_network: SlowOnly) -> None:
    rule = UnknownRule(kind="probability", threshold=1.1)
    small_network.preparation = small_network.preparation.model_copy(update={"unknown": rule})
    (line,) = recognize(walk(), small_network).timelines
    assert line.segments[0].label == UNKNOWN


def test_low_confidence_counts_as_missing(small_network: SlowOnly) -> None:
    made = recognize(walk(), small_network, RecognizeSettings(min_confidence=0.95))
    assert made.timelines[0].segments[0].label == NOT_SCORED


def test_what_the_poses_do_not_say_is_noted(small_network: SlowOnly) -> None:
    poses = walk().replace(image_size=None, confidence=None)
    notes = recognize(poses, small_network).notes
    assert any("size of the image is not stated" in note for note in notes)
    assert any("no confidence is stated" in note for note in notes)


@pytest.mark.parametrize("skeleton", [OPENPOSE_25, BLAZEPOSE_33], ids=lambda skeleton: skeleton.name)
def test_other_skeletons_are_converted(small_network: SlowOnly, skeleton) -> None:  # type: ignore[no-untyped-def]
    poses = walk(skeleton=skeleton)
    (line,) = recognize(poses, small_network).timelines
    (expected,) = recognize(convert(poses, COCO_17), small_network).timelines
    np.testing.assert_array_equal(line.probabilities, expected.probabilities)


def test_a_skeleton_without_a_face_is_read_with_a_note(small_network: SlowOnly) -> None:
    made = recognize(walk(skeleton=H36M_17), small_network)
    assert any("never observed: nose, left_eye" in note for note in made.notes)
    poses = walk(skeleton=J14)
    keypoints = layout_keypoints(poses, COCO_LAYOUT)
    assert not keypoints.observed[:, :, :5].any()
    assert keypoints.observed[:, :, 5:].all()


def test_shares_of_the_image_become_pixels(small_network: SlowOnly) -> None:
    poses = walk()
    shares = poses.replace(positions=poses.positions / np.array([1280, 720], dtype=np.float32), unit="normalised")
    (line,) = recognize(shares, small_network).timelines
    (expected,) = recognize(poses, small_network).timelines
    np.testing.assert_allclose(line.probabilities, expected.probabilities, atol=1e-3)  # the box moves by a rounding
    with pytest.raises(DataError, match="--image-size"):
        recognize(shares.replace(image_size=None), small_network)


def test_what_is_no_keypoints_of_an_image_is_refused(small_network: SlowOnly) -> None:
    with pytest.raises(DataError, match="Recognition takes 2D keypoints"):
        recognize(walking_poses(20, rng=np.random.default_rng(0)), small_network)
    with pytest.raises(DataError, match="got 0 people"):
        recognize(walk().select_people([]), small_network)
    hand = skeleton_from_names([f"finger_{joint}" for joint in range(17)])
    positions = np.random.default_rng(0).uniform(0, 500, (20, 17, 2))
    poses = poses_from_arrays(positions, hand, fps=30, unit="px", frame="image")
    with pytest.raises(SkeletonError, match="only 0 of the 17 joints"):
        recognize(poses, small_network)
    with pytest.raises(ConfigError, match="less than one frame"):
        recognize(walk(), small_network, RecognizeSettings(window_s=0.001))


def test_work_adds_up(small_network: SlowOnly) -> None:
    shares: list[float] = []
    recognize(walk(people=2), small_network, RecognizeSettings(window_s=0.5), advance=shares.append)
    assert sum(shares) == pytest.approx(1)


def test_unnamed_classes_have_numbers(small_network: SlowOnly) -> None:
    small_network.preparation = small_network.preparation.model_copy(update={"labels": ()})
    (line,) = recognize(walk(), small_network).timelines
    assert line.labels == ("class 0", "class 1", "class 2")
