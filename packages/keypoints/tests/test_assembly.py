"""From tracks that are known to poses: rows, ids, gaps, times, exchanged sides, skeletons, history and messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from poseworks.core import BLAZEPOSE_33, COCO_17, Skeleton, poses_from_arrays
from poseworks.core.errors import DataError, SkeletonError
from poseworks.core.testing import walking_poses
from poseworks.keypoints import DetectSettings
from poseworks.keypoints.assembly import Detected, Seen, assemble, check_skeleton
from poseworks.keypoints.tracking import Person
from poseworks.keypoints.tracks import Track

FRAMES = 60
SIZE = (1280, 720)
WALKS = walking_poses(FRAMES, people=2, dims=2, skeleton=COCO_17, rng=np.random.default_rng(1)).positions


class Named:
    """The part of a tracker that is asked here."""

    finds = "people who walk"
    sources = {"networks": {"a.onnx": "0123"}}  # noqa: RUF012 (as the protocol has it)
    dismissed: set[int] = set()  # noqa: RUF012

    def __init__(self, skeleton: Skeleton = COCO_17) -> None:
        self.skeleton = skeleton

    def push(self, rgb: Any, time: float) -> list[Person]:
        raise NotImplementedError

    def earlier(self) -> list[tuple[float, Person]]:
        raise NotImplementedError


def walk(row: int, frames: Any, confidence: float = 0.9, world: bool = True, swapped: Any = ()) -> Track:
    track = Track()
    for frame in frames:
        points = WALKS[row, frame]
        if frame in swapped:
            points = points[list(COCO_17.mirrored)]
        depths = np.float32(1 / 250) * np.pad(points, ((0, 0), (0, 1))) if world else None
        track.add(frame, Person(row, points, np.full(17, confidence, np.float32), depths, 0.9))
    return track


def assembled(tracks: list[Track], settings: DetectSettings | None = None, **fields: Any) -> Detected:
    seen = {"looked_at": FRAMES, "times": np.arange(FRAMES) / 30, "fps": 30.0, "every": 1, "size": SIZE, **fields}
    return assemble("clip.mp4", Seen(tracks, **seen), Named(), settings or DetectSettings(), ["said before"])


def test_a_row_for_each_and_nothing_where_nobody_was_seen() -> None:
    found = assembled([walk(0, range(20, 40)), walk(1, [*range(10), *range(30, 60)])], DetectSettings(unswap=False))
    poses = found.poses
    assert poses.person_ids is not None
    assert poses.person_ids.tolist() == [1, 0]
    gone = np.ones((2, FRAMES), bool)
    gone[0, :10] = gone[0, 30:] = gone[1, 20:40] = False
    assert np.isnan(poses.positions[gone]).all()
    assert (poses.confidence[gone] == 0).all()
    np.testing.assert_array_equal(poses.positions[0, 30:], WALKS[1, 30:])
    np.testing.assert_array_equal(poses.positions[1, 20:40], WALKS[0, 20:40])
    np.testing.assert_allclose(poses.confidence[~gone], 0.9)
    assert (poses.unit, poses.frame, poses.image_size, poses.skeleton) == ("px", "image", SIZE, "coco17")
    assert (poses.fps, poses.times) == (30, None)
    world = found.world
    assert world is not None
    assert (world.unit, world.frame, world.image_size) == ("m", "root", None)
    assert world.person_ids is not None
    assert world.person_ids.tolist() == [1, 0]
    np.testing.assert_array_equal(world.observed, poses.observed)
    np.testing.assert_array_equal(world.confidence, poses.confidence)
    np.testing.assert_allclose(world.positions[0, 30:, :, :2], WALKS[1, 30:] / 250, rtol=1e-6)
    assert (found.notes, found.looked_at) == (("said before",), FRAMES)


def test_without_3d_there_is_no_world() -> None:
    assert assembled([walk(0, range(FRAMES), world=False)]).world is None


def test_times_that_are_uneven_are_kept() -> None:
    times = np.cumsum(np.random.default_rng(2).uniform(0.02, 0.05, FRAMES))
    times -= times[0]
    found = assembled([walk(0, range(FRAMES))], times=times)
    assert found.world is not None
    for poses in (found.poses, found.world):
        np.testing.assert_array_equal(poses.times, times)
        assert poses.fps == pytest.approx((FRAMES - 1) / times[-1])


def test_frames_far_apart_are_told_of() -> None:
    looked_at = [*range(0, FRAMES, 20), FRAMES - 1]
    found = assembled([walk(0, looked_at)], DetectSettings(every=20), every=20, looked_at=4)
    assert found.notes[1:] == ("frames that were looked at are 0.67 s apart: people may be lost between them",)
    assert np.flatnonzero(found.poses.observed.any(axis=(0, 2))).tolist() == looked_at
    assert len(assembled([walk(0, looked_at)], every=15, looked_at=4).notes) == 1


def test_exchanged_sides_are_put_back_in_2d_and_3d_and_written_down() -> None:
    """Compared with the same walk of which nothing was exchanged."""
    swapped = range(25, 30)
    given, plain = walk(0, range(FRAMES), swapped=swapped), walk(0, range(FRAMES))
    found, expected = assembled([given]), assembled([plain])
    assert found.world is not None
    assert expected.world is not None
    np.testing.assert_array_equal(found.poses.positions, expected.poses.positions)
    np.testing.assert_array_equal(found.world.positions, expected.world.positions)
    assert found.notes[1:] == ("person 0: left and right were exchanged in 5 frames: exchanged back",)
    for poses in (found.poses, found.world):
        assert [entry["verb"] for entry in poses.history] == ["detect", "repair_swaps"]
        people = [{"person": 0, "exchanged": 5, "frames": [[25, 29]]}]
        assert poses.history[1]["settings"]["people"] == people
    assert "exchanged in 1 frame: " in assembled([walk(0, range(FRAMES), swapped=[25])]).notes[1]
    kept = assembled([given], DetectSettings(unswap=False))
    np.testing.assert_array_equal(kept.poses.positions[0, 25], WALKS[0, 25][list(COCO_17.mirrored)])
    assert [entry["verb"] for entry in kept.poses.history] == ["detect"]
    assert kept.notes == ("said before",)


def test_another_skeleton_is_core_s_conversion_with_a_note_of_what_is_approximated() -> None:
    found = assembled([walk(0, range(FRAMES))], DetectSettings(skeleton="h36m17"))
    assert found.world is not None
    assert found.poses.skeleton == found.world.skeleton == "h36m17"
    right, left = (COCO_17.joint_names.index(f"{side}_hip") for side in ("right", "left"))
    middle = (WALKS[0, :, right] + WALKS[0, :, left]) / 2
    np.testing.assert_allclose(found.poses.positions[0, :, 0], middle, rtol=1e-5)
    assert found.notes[1].startswith("approximated joints: ")
    assert "spine" in found.notes[1]
    assert assembled([walk(0, range(FRAMES))], DetectSettings(skeleton="coco17")).poses.history[-1]["verb"] != "convert"


def test_a_skeleton_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(SkeletonError, match="coco17 to smpl24: no rule makes "):
        assembled([walk(0, range(FRAMES))], DetectSettings(skeleton="smpl24"))


@pytest.mark.parametrize("own", [COCO_17, BLAZEPOSE_33], ids=lambda skeleton: skeleton.name)
def test_skeletons_are_checked_before_any_work(own: Skeleton) -> None:
    for name in (None, own.name, "coco17", "h36m17"):
        check_skeleton(own, DetectSettings(skeleton=name))
    with pytest.raises(SkeletonError, match=f"{own.name} to halpe26: no rule makes .*left_big_toe"):
        check_skeleton(own, DetectSettings(skeleton="halpe26"))


def test_history_says_what_was_asked_and_what_ran() -> None:
    seen = Seen([walk(0, range(FRAMES))], FRAMES, np.arange(FRAMES) / 30, 30.0, 1, SIZE)
    found = assemble("clip.mp4", seen, Named(), DetectSettings(people=3), [], live=True)
    entry = found.poses.history[0]
    assert (entry["verb"], entry["package"]) == ("detect", "poseworks-keypoints")
    assert entry["settings"] == {
        "detector": "blazepose", "people": 3, "every": 1, "frames_looked_at": FRAMES, "live": True,
        "networks": {"a.onnx": "0123"},
    }  # fmt: skip
    assert found.world is not None
    assert found.world.history[0]["output"] == "the network's own 3D landmarks, a guess from one view; not measured"
    assert "output" not in entry


@pytest.mark.parametrize(
    ("tracks", "left_out"),
    [
        ([], ""),
        ([walk(0, range(3)), walk(1, range(5))], "; 2 tracks left out: too short, or hardly visible"),
        ([walk(0, range(50), confidence=0.1)], "; 1 track left out: too short, or hardly visible"),
    ],
)
def test_nobody_is_an_error_that_says_whom_the_detector_finds(tracks: list[Track], left_out: str) -> None:
    with pytest.raises(DataError) as caught:
        assembled(tracks)
    assert str(caught.value) == (
        f"clip.mp4: nobody was found in 60 frames (1280x720){left_out}. The detector finds people who walk. Crop or "
        "turn the recording, or use another detector."
    )


def test_a_recording_of_one_frame_is_a_recording() -> None:
    fields: Any = {"times": np.zeros(1), "looked_at": 1}
    found = assembled([walk(0, [0])], **fields)
    assert (found.poses.num_frames, found.poses.fps, found.notes) == (1, 30, ("said before",))


def test_blazepose_comes_with_its_own_33() -> None:
    track = Track()
    points = np.random.default_rng(0).uniform(0, 300, (FRAMES, 33, 2)).astype(np.float32)
    for frame in range(FRAMES):
        track.add(frame, Person(0, points[frame], np.ones(33, np.float32), np.zeros((33, 3), np.float32), 1.0))
    seen = Seen([track], FRAMES, np.arange(FRAMES) / 30, 30.0, 1, SIZE)
    found = assemble("clip.mp4", seen, Named(BLAZEPOSE_33), DetectSettings(unswap=False), [])
    expected = poses_from_arrays(points, BLAZEPOSE_33, fps=30, unit="px", frame="image", image_size=SIZE)
    assert found.poses.joint_names == expected.joint_names
    np.testing.assert_array_equal(found.poses.positions, expected.positions)
