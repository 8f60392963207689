"""Whole recordings with the shipped networks, against what MediaPipe found in them, and copies of them against them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseworks.core import BLAZEPOSE_33, COCO_17, H36M_17, PoseSequence, convert, read_poses
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import sha256
from poseworks.core.video import open_video, write_video
from poseworks.keypoints import Detected, DetectSettings, detect, find_people
from poseworks.keypoints.models import detector_file, landmark_file

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[3]
STORED = ROOT / "benchmarks" / "data"
WALK = ROOT / "packages/pipeline/src/poseworks/pipeline/demo/walk_side.mp4"
HIPS = (23, 24)
NUMBER = 12  # frames of the short copies

Rgb = NDArray[np.uint8]
Points = NDArray[np.float32]


@cache
def found(name: str) -> Detected:
    """What is found in a whole clip: each is looked at once for all tests."""
    return find_people(WALK if name == "walk_side" else DATA / f"{name}.mp4")


def before_repair(name: str) -> Points:
    """(T, 33, 2) of the first person, with left and right as the network gave them."""
    poses = found(name).poses
    points = poses.positions[0].copy()
    mirrored = list(BLAZEPOSE_33.mirrored)
    for first, last in poses.history[1]["settings"]["people"][0]["frames"]:
        points[first : last + 1] = points[first : last + 1][:, mirrored]
    return np.asarray(points)


def distances(a: Points, b: Points) -> Points:
    return np.asarray(np.linalg.norm(a - b, axis=-1))


class TestClips:
    @pytest.mark.parametrize(
        ("name", "frames", "pixels", "millimetres"),
        [
            ("jumping_jacks", 110, 0.5, 5),
            ("walk_side", 112, 0.5, 5),
            ("balance_cam01", 100, 0.8, 5),
            ("balance_cam02", 100, 1.2, 8),
        ],
    )
    def test_one_person_is_found_where_mediapipe_finds_one(
        self, name: str, frames: int, pixels: float, millimetres: float
    ) -> None:
        poses, stored = found(name).poses, read_poses(STORED / f"{name}_keypoints.npz")
        assert poses.num_people == 1  # and no ghost beside
        seen = poses.observed[0].all(axis=1)
        assert seen.sum() == frames
        np.testing.assert_array_equal(seen, stored.observed[0].all(axis=1))
        assert (poses.fps, poses.times, poses.image_size) == (stored.fps, None, stored.image_size)
        off = distances(before_repair(name)[seen], stored.positions[0, seen])
        assert np.median(off) <= pixels
        swapped = {frame for rows in poses.history[1]["settings"]["people"] for frame in _frames(rows["frames"])}
        steady = np.flatnonzero(seen & ~np.isin(np.arange(len(seen)), list(swapped)))
        assert np.abs(poses.confidence[0, steady] - stored.confidence[0, steady]).mean() < 0.01
        world = found(name).world
        assert world is not None
        with np.load(STORED / f"{name}_keypoints.npz", allow_pickle=False) as arrays:
            expected = arrays["world33"][..., :3]
        off = distances(world.positions[0, steady], expected[steady])
        assert 1000 * np.median(off) <= millimetres

    def test_exchanged_sides_are_put_back_in_the_poses_and_in_3d(self) -> None:
        jacks = found("jumping_jacks")
        assert jacks.notes == ("person 0: left and right were exchanged in 3 frames: exchanged back",)
        people = jacks.poses.history[1]["settings"]["people"]
        assert people == [{"person": 0, "exchanged": 3, "frames": [[60, 62]]}]
        assert jacks.world is not None
        assert jacks.world.history[1]["settings"]["people"] == people
        left, right = (jacks.poses.joint_names.index(f"{side}_shoulder") for side in ("left", "right"))
        across = jacks.poses.positions[0, :, left, 0] - jacks.poses.positions[0, :, right, 0]
        assert (across > 0).all()  # he faces the camera all the time
        assert found("walk_side").poses.history[1]["settings"]["people"][0]["exchanged"] == 0

    def test_exchanged_frames_of_a_real_hard_case(self) -> None:
        repaired = found("balance_cam02").poses.history[1]["settings"]["people"][0]["exchanged"]
        assert 30 <= repaired <= 34  # of 32 that are exchanged

    def test_what_ran_is_in_the_history(self) -> None:
        entry = found("jumping_jacks").poses.history[0]
        assert (entry["verb"], entry["package"]) == ("detect", "poseworks-keypoints")
        assert entry["version"]
        assert entry["settings"] == {
            "detector": "blazepose", "people": "all", "every": 1, "frames_looked_at": 110,
            "networks": {path.name: sha256(path) for path in (detector_file(), landmark_file("full"))},
        }  # fmt: skip

    def test_before_anybody_comes_there_is_nothing(self) -> None:
        """She comes from behind a tree in frame 6."""
        poses = found("walk_side").poses
        assert np.isnan(poses.positions[0, :6]).all()
        assert (poses.confidence[0, :6] == 0).all()


def _frames(runs: list[list[int]]) -> list[int]:
    return [frame for first, last in runs for frame in range(first, last + 1)]


@pytest.mark.long
class TestTwoPeople:
    """A woman walks along the lower part of the picture, from right to left; a man exercises in the upper part, goes
    out of sight and comes back below, from left to right.
    """

    def test_both_are_seen_together_and_no_third(self) -> None:
        there = found("two_people").poses.observed.any(axis=2).sum(axis=0)
        assert (there == 2).sum() >= 116
        assert there.max() == 2

    def test_the_woman_has_one_id_from_first_to_last(self) -> None:
        poses = found("two_people").poses
        hips = poses.positions[:, :, list(HIPS)].mean(axis=2)
        frames = np.arange(poses.num_frames)
        expected_x = np.interp(frames, [37, 97, 200], [845, 578, 15])  # by eye
        near = (np.abs(hips[..., 0] - expected_x) < 40) & (np.abs(hips[..., 1] - 395) < 25)
        rows = [set(np.flatnonzero(near[:, frame])) for frame in range(45, 195)]
        assert rows == [{0}] * 150  # and so the longest and largest comes first
        assert poses.observed[0].any(axis=1).sum() >= 155

    def test_the_man_has_one_id_until_he_goes_and_another_when_he_is_back(self) -> None:
        poses = found("two_people").poses
        assert poses.num_people == 3
        assert poses.person_ids is not None
        assert sorted(poses.person_ids.tolist()) == [0, 1, 2]
        spans = {
            int(number): np.flatnonzero(row)
            for number, row in zip(poses.person_ids, poses.observed[:, :, 0], strict=True)
        }
        assert spans[0][-1] < 160
        assert spans[2][0] > 170
        upper = poses.positions[list(poses.person_ids).index(0)][spans[0]][:, list(HIPS), 1]
        assert upper.max() < 300

    def test_nobody_s_place_is_kept_where_they_are_gone(self) -> None:
        poses = found("two_people").poses
        gone = ~poses.observed[:, :, 0]
        assert gone.any(axis=1).all()
        assert np.isnan(poses.positions[gone]).all()
        assert (poses.confidence[gone] == 0).all()


@pytest.fixture(scope="module")
def jacks() -> Rgb:
    """The first frames of a man who faces the camera."""
    with open_video(DATA / "jumping_jacks.mp4") as video:
        return np.stack([frame.rgb for frame in video.frames() if frame.index < NUMBER])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def detected(path: Path, frames: Rgb, **options: Any) -> PoseSequence:
    write_video(path, list(np.ascontiguousarray(frames)), fps=30)
    return detect(path, **options)


@pytest.fixture(scope="module")
def original(folder: Path, jacks: Rgb) -> Points:
    """(12, 33, 2) keypoints in these frames, coded again as all copies are."""
    return np.asarray(detected(folder / "original.mp4", jacks).positions[0])


WIDE, HIGH = 560, 476
COPIES: dict[str, tuple[Callable[[Rgb], Rgb], Callable[[Points], Points], float]] = {
    "a quarter to the left": (
        lambda x: np.rot90(x, 1, (1, 2)), lambda p: np.stack([WIDE - p[..., 1], p[..., 0]], axis=-1), 3),
    "a quarter to the right": (
        lambda x: np.rot90(x, -1, (1, 2)), lambda p: np.stack([p[..., 1], HIGH - p[..., 0]], axis=-1), 3),
    "upside down": (lambda x: x[:, ::-1, ::-1], lambda p: np.array([WIDE, HIGH], np.float32) - p, 3),
    "half as large": (lambda x: x[:, ::2, ::2], lambda p: 2 * p, 4),
    "twice as large": (lambda x: x.repeat(2, 1).repeat(2, 2), lambda p: np.float32(0.5) * p, 3),
    "moved in a larger picture": (
        lambda x: np.pad(x, ((0, 0), (50, 94), (100, 40), (0, 0)), constant_values=110),
        lambda p: p - np.array([100, 50], np.float32), 3),
}  # fmt: skip


@pytest.mark.long
class TestCopies:
    @pytest.mark.parametrize("name", COPIES)
    def test_a_changed_copy_shows_the_same(self, folder: Path, jacks: Rgb, original: Points, name: str) -> None:
        change, back, pixels = COPIES[name]
        changed = change(jacks)
        poses = detected(folder / "copy.mp4", changed)
        assert poses.num_people == 1
        assert poses.observed.all()
        assert poses.image_size == (changed.shape[2], changed.shape[1])
        assert np.median(distances(back(poses.positions[0]), original)) < pixels

    def test_a_phone_s_rotation_is_undone(self, folder: Path, jacks: Rgb, original: Points) -> None:
        """Stored lying, with a display matrix that turns it upright (ISO 14496-12, 8.3.2)."""
        path = folder / "phone.mp4"
        write_video(path, list(np.ascontiguousarray(np.rot90(jacks, 1, (1, 2)))), fps=30)
        data = bytearray(path.read_bytes())
        at = data.index(b"tkhd") + 4 + 40
        one = 1 << 16
        data[at : at + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
        path.write_bytes(data)
        poses = detect(path)
        assert poses.image_size == (WIDE, HIGH)
        assert np.median(distances(poses.positions[0], original)) < 1.5

    def test_a_person_at_the_border_goes_on_beyond_it_unseen(self, folder: Path, jacks: Rgb, original: Points) -> None:
        high = 288  # just below the hips
        poses = detected(folder / "border.mp4", jacks[:, :high])
        assert (poses.num_people, poses.image_size) == (1, (WIDE, high))
        assert poses.observed.all()
        below, above = original[..., 1] > high + 30, original[..., 1] < high - 40
        assert np.median(distances(poses.positions[0], original)[above]) < 4
        assert (poses.positions[0][below][:, 1] > high).all()
        assert poses.confidence[0][below].mean() < 0.5 < poses.confidence[0][above].mean()

    def test_two_beside_each_other_are_two_the_larger_first(self, folder: Path, jacks: Rgb, original: Points) -> None:
        small = np.pad(jacks[:, ::2, -2::-2], ((0, 0), (119, 119), (0, 0), (0, 0)), constant_values=110)
        both = np.concatenate([small, jacks], axis=2)
        poses = detected(folder / "both.mp4", both)
        assert poses.person_ids is not None
        assert sorted(poses.person_ids.tolist()) == [0, 1]
        assert poses.observed.all()
        shift = np.array([WIDE // 2, 0], np.float32)
        assert np.median(distances(poses.positions[0] - shift, original)) < 4
        assert (poses.positions[1, ..., 0] < WIDE // 2 + 10).all()
        one = detect(folder / "both.mp4", people="1")
        assert one.person_ids is not None
        np.testing.assert_array_equal(one.positions, poses.positions[:1])
        assert one.person_ids.tolist() == poses.person_ids.tolist()[:1]
        assert one.history[0]["settings"]["people"] == 1


class TestPictures:
    def test_a_picture_is_searched_for_small_people(self, tmp_path: Path, jacks: Rgb, original: Points) -> None:
        """A man 190 pixels tall in a picture of 1280 x 720; a video would show him in a later search."""
        picture = np.full((720, 1280, 3), 110, np.uint8)
        picture[300:538, 700:980] = jacks[0, ::2, ::2]
        poses = detect(make_png(tmp_path / "one.png", picture))
        assert (poses.num_people, poses.num_frames, poses.image_size) == (1, 1, (1280, 720))
        back = 2 * (poses.positions[0, 0] - np.array([700, 300], np.float32))
        assert np.median(distances(back, original[0])) < 8

    def test_a_folder_of_pictures_is_a_recording(self, tmp_path: Path, jacks: Rgb, original: Points) -> None:
        for number in range(4):
            make_png(tmp_path / f"{number + 8}.png", jacks[number])
        seen = find_people(tmp_path, DetectSettings(fps=25, unswap=False))
        assert (seen.poses.num_frames, seen.poses.fps, seen.notes) == (4, 25, ())
        assert np.median(distances(seen.poses.positions[0], original[:4])) < 1.5
        assumed = find_people(tmp_path)
        assert assumed.poses.fps == 30
        assert assumed.notes[0] == (f"{tmp_path.name}: Pictures state no frame rate: 30 frames per second are assumed.")


def make_png(path: Path, rgb: Rgb) -> Path:
    import av

    context = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt = rgb.shape[1], rgb.shape[0], "rgb24"
    context.time_base = Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    path.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]))
    return path


class TestDetect:
    def test_every_nth_frame_and_the_last_and_nothing_between(self, folder: Path, original: Points) -> None:
        poses = detect(folder / "original.mp4", every=5)
        assert np.flatnonzero(poses.observed[0].any(axis=1)).tolist() == [0, 5, 10, 11]
        between = [frame for frame in range(NUMBER) if frame not in (0, 5, 10, 11)]
        assert np.isnan(poses.positions[0, between]).all()
        assert (poses.confidence[0, between] == 0).all()
        assert (poses.num_frames, poses.fps) == (NUMBER, 30)
        assert poses.history[0]["settings"]["every"] == 5
        assert poses.history[0]["settings"]["frames_looked_at"] == 4
        assert np.median(distances(poses.positions[0], original)[[0, 5, 10, 11]]) < 8

    @pytest.mark.parametrize("skeleton", [COCO_17, H36M_17], ids=lambda skeleton: skeleton.name)
    def test_other_skeletons_are_converted(self, folder: Path, skeleton: Any) -> None:
        path = folder / "original.mp4"
        poses, own = detect(path, skeleton=skeleton.name, every=6), detect(path, every=6)
        assert (own.skeleton, poses.skeleton) == ("blazepose33", skeleton.name)
        expected = convert(own, skeleton)
        np.testing.assert_array_equal(poses.positions, expected.positions)
        np.testing.assert_array_equal(poses.confidence, expected.confidence)

    @pytest.mark.parametrize("people", ["all", None, "1", 1, 2])
    def test_people_are_a_number_a_text_or_all(self, folder: Path, people: Any) -> None:
        poses = detect(folder / "original.mp4", people=people, every=11)
        assert poses.num_people == 1
        expected = int(people) if people not in ("all", None) else "all"
        assert poses.history[0]["settings"]["people"] == expected

    def test_uneven_times_are_those_of_the_file(self, folder: Path, jacks: Rgb) -> None:
        times = np.array([0, 0.03, 0.08, 0.1, 0.17, 0.2])
        write_video(folder / "uneven.mp4", list(jacks[:6]), times=times)
        poses = detect(folder / "uneven.mp4")
        assert poses.times is not None
        np.testing.assert_allclose(poses.times, times, atol=1e-4)
        assert poses.fps == pytest.approx(5 / 0.2, rel=1e-3)

    def test_progress_counts_every_frame_once(self, folder: Path) -> None:
        heard: list[tuple[float, str]] = []
        find_people(
            folder / "original.mp4", DetectSettings(every=5), advance=lambda n=1, note="": heard.append((n, note))
        )
        assert heard == [(1, "1 person"), (5, "1 person"), (5, "1 person"), (1, "1 person")]

    def test_the_same_again_is_the_same_to_the_bit(self, folder: Path, original: Points) -> None:
        np.testing.assert_array_equal(detect(folder / "original.mp4").positions[0], original)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"people": 0}, "people: expected all, or a number from 1 on, got 0."),
            ({"people": "some"}, "people: expected all, or a number from 1 on, got 'some'."),
            ({"every": 0}, "every: expected 1 or more, got 0."),
            ({"detector": "x"}, "detector: expected blazepose or rtmlib, got 'x'."),
            ({"model": "x"}, "model: expected full, heavy, lite or the path of an .onnx file, got 'x'."),
            ({"fps": 0}, "fps: expected a number above 0, got 0."),
        ],
    )
    def test_bad_arguments_are_named(self, folder: Path, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError) as caught:
            detect(folder / "original.mp4", **options)
        assert str(caught.value) == message

    def test_nobody_is_an_error(self, folder: Path) -> None:
        grey = np.full((6, 48, 64, 3), 90, np.uint8)
        with pytest.raises(DataError, match=r"grey\.mp4: nobody was found in 6 frames \(64x48\)\. The detector finds "):
            detected(folder / "grey.mp4", grey)
