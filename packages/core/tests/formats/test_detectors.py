"""COCO, AlphaPose and OpenPose: frames, people, skeletons; values counted by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.formats import read_poses

REFERENCE = Path(__file__).parent.parent / "reference" / "wild_alphapose.json"


def _keypoints(value: float, joints: int = 17, confidence: float = 0.5) -> list[float]:
    """Joint j at (value + j, 2 value)."""
    return [number for joint in range(joints) for number in (value + joint, 2 * value, confidence)]


def _entry(image: int | str, value: float = 1, joints: int = 17, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": 1, "keypoints": _keypoints(value, joints), "score": 1.0, **more}


def _written(folder: Path, entries: Any) -> Path:
    (folder / "x.json").write_text(json.dumps(entries))
    return folder / "x.json"


def _openpose(folder: Path, frames: dict[int, list[Any]], prefix: str = "clip_") -> Path:
    folder.mkdir(exist_ok=True)
    for frame, people in frames.items():
        (folder / f"{prefix}{frame:012d}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))
    return folder


def test_alphapose_tracks_are_the_numbers_in_the_file() -> None:
    poses = read_poses(REFERENCE, fps=25, image_size="1280x720")
    entries = json.loads(REFERENCE.read_text())
    assert poses.positions.shape == (2, 11, 26, 2)
    assert poses.person_ids is not None
    assert poses.person_ids.tolist() == [1, 2]
    assert (poses.skeleton, poses.fps, poses.unit, poses.frame) == ("halpe26", 25, "px", "image")
    assert poses.image_size == (1280, 720)
    for frame, entry in enumerate(entries):
        expected = np.float32(entry["keypoints"]).reshape(26, 3)
        row = entry["idx"] - 1
        assert_array_equal(poses.positions[row, frame], expected[:, :2])
        assert_array_equal(poses.confidence[row, frame], expected[:, 2])
        assert np.isnan(poses.positions[1 - row, frame]).all()
        assert not poses.confidence[1 - row, frame].any()
    one = read_poses(REFERENCE, fps=25, person=2)
    assert one.positions.shape == (1, 11, 26, 2)
    assert one.observed[0].all(axis=-1).tolist() == [frame == 4 for frame in range(11)]


def test_frames_are_counted_from_the_first_number_or_from_the_hint(tmp_path: Path) -> None:
    path = _written(tmp_path, [_entry(12, 5), _entry(10, 3), _entry(13, 6)])
    poses = read_poses(path, fps=30)
    assert poses.positions[0, :, 0, 0].tolist()[::2] == [3, 5]
    assert np.isnan(poses.positions[0, 1]).all()
    assert poses.num_frames == 4
    assert poses.history[0]["settings"]["first_frame"] == 10
    early = read_poses(path, fps=30, first_frame=0)
    assert early.num_frames == 14
    assert_array_equal(early.positions[:, 10:], poses.positions)
    with pytest.raises(ConfigError, match="first_frame is 11, but the file has frame 10"):
        read_poses(path, fps=30, first_frame=11)


def test_frames_come_from_the_numbers_of_file_names(tmp_path: Path) -> None:
    names = ["run 2/frame_09.jpg", "run 2/frame_010.png", "run 2/frame_11.jpeg"]
    poses = read_poses(_written(tmp_path, [_entry(name, k) for k, name in enumerate(names)]), fps=30)
    assert poses.positions[0, :, 0, 0].tolist() == [0, 1, 2]
    both = _written(tmp_path, [_entry("a/1.jpg", 1), _entry("b/1.jpg", 2)])
    with pytest.raises(ConfigError, match=r"2 sequences \('a/', 'b/'\).*--sequence"):
        read_poses(both, fps=30)
    for hint in ("b/", 1, "1"):
        assert read_poses(both, fps=30, sequence=hint).positions[0, 0, 0, 0] == 2
    with pytest.raises(ConfigError, match="has no sequence 'c'; expected one of 'a/', 'b/'"):
        read_poses(both, fps=30, sequence="c")


@pytest.mark.parametrize("key", ["track_id", "idx"])
def test_people_are_told_apart_by_number(key: str, tmp_path: Path) -> None:
    entries = [_entry(1, 1, **{key: 8}), _entry(1, 2, **{key: 3}), _entry(2, 3, **{key: 8})]
    poses = read_poses(_written(tmp_path, entries), fps=30)
    assert poses.person_ids is not None
    assert poses.person_ids.tolist() == [3, 8]
    assert_array_equal(poses.positions[:, :, 0, 0], [[2, np.nan], [1, 3]])
    with pytest.raises(DataError, match="has no person 4; expected one of: 3, 8"):
        read_poses(tmp_path / "x.json", fps=30, person=4)


@pytest.mark.parametrize("value", [5, 5.0, [5], [[5.0]]])
def test_alphapose_writes_numbers_in_several_ways(value: Any, tmp_path: Path) -> None:
    poses = read_poses(_written(tmp_path, [_entry("1.jpg", idx=value, box=[0, 0, 1, 1])]), fps=30)
    assert poses.person_ids is not None
    assert poses.person_ids.tolist() == [5]


def test_of_two_detections_of_one_person_in_a_frame_the_better_one_counts(tmp_path: Path) -> None:
    entries = [
        _entry("1.jpg", 1, idx=1, score=0.4), _entry("1.jpg", 2, idx=1, score=0.9), _entry("1.jpg", 3, idx=1, score=0.6)
    ]  # fmt: skip
    poses = read_poses(_written(tmp_path, entries), format="alphapose", fps=30)
    assert poses.positions[0, 0, 0, 0] == 2
    assert poses.history[0]["settings"]["lower_scored_duplicates_left_out"] == 2


def test_several_people_without_numbers_are_refused_unless_the_order_is_trusted(tmp_path: Path) -> None:
    entries = [_entry(1, 1), _entry(1, 2), _entry(2, 3)]
    path = _written(tmp_path, entries)
    first, second, third = ({"pose_keypoints_2d": entry["keypoints"]} for entry in entries)
    folder = _openpose(tmp_path / "op", {1: [first, second], 2: [third]})
    for source, more in ((path, {}), (folder, {"skeleton": "coco17"})):
        with pytest.raises(
            DataError, match=r"frame 1 has 2 people without track numbers.*--person 1.*--people by_order"
        ):
            read_poses(source, fps=30, **more)
        assert_array_equal(read_poses(source, fps=30, person=0, **more).positions[:, :, 0, 0], [[1, 3]])
        assert_array_equal(read_poses(source, fps=30, person=1, **more).positions[:, :, 0, 0], [[2, np.nan]])
        poses = read_poses(source, fps=30, people="by_order", **more)
        assert_array_equal(poses.positions[:, :, 0, 0], [[1, 3], [2, np.nan]])
        assert poses.history[0]["settings"]["people"] == "by_order"
        with pytest.raises(DataError, match="has no person 2; expected one of: 0, 1"):
            read_poses(source, fps=30, person=2, **more)


def test_zeros_are_not_observed_and_confidences_stay_within_0_and_1(tmp_path: Path) -> None:
    keypoints = [0, 0, 0, 5, 6, 0, 0, 0, 0.5, 7, 8, 1.25, 7, 8, -0.5] + [1, 2, 1] * 12
    poses = read_poses(_written(tmp_path, [{"image_id": 0, "keypoints": keypoints}]), fps=30)
    assert np.isnan(poses.positions[0, 0, 0]).all()
    assert poses.positions[0, 0, 1:3].tolist() == [[5, 6], [0, 0]]
    assert poses.confidence[0, 0, :5].tolist() == [0, 0, 0.5, 1, 0]
    assert poses.history[0]["settings"]["confidences_clipped"] == 2


@pytest.mark.parametrize(
    ("joints", "hint", "found"),
    [(17, None, "coco17"), (26, None, "halpe26"), (25, "openpose25", "openpose25"), (33, "blazepose33", "blazepose33")],
)
def test_skeletons_of_coco_results(joints: int, hint: str | None, found: str, tmp_path: Path) -> None:
    path = _written(tmp_path, [_entry(1, joints=joints)])
    assert read_poses(path, fps=30, skeleton=hint).skeleton == found


@pytest.mark.parametrize(
    ("joints", "hints", "message"),
    [
        (25, {}, r"25 joints in coco files may be openpose25. Give it: skeleton='coco17' \(--skeleton coco17\)"),
        (17, {"skeleton": "h36m17"}, "skeleton is 'coco17' in the file, but 'h36m17' was given"),
        (25, {"skeleton": "coco17"}, "holds 25 joints, but coco17 has 17"),
        (136, {}, "136 joints are those of no known skeleton"),
        (17, {"skeleton": "coco18"}, "skeleton: cannot be 'coco18'"),
        (17, {"fps": None}, r"Give it: fps=30 \(--fps 30\)"),
        (17, {"unit": "mm"}, "unit is 'px' in the file, but 'mm' was given"),
        (17, {"frame": "world"}, "frame is 'image' in the file"),
        (17, {"world": True}, "has no use for world"),
        (17, {"colour": 1}, "unknown hint 'colour'"),
        (17, {"image_size": "big"}, r"image_size: cannot be 'big'; expected as in .*--image-size 1920x1080"),
        (17, {"image_size": (0, 5)}, "image_size: cannot be"),
        (17, {"person": 1.5}, "person: cannot be 1.5"),
        (17, {"people": "best"}, "people: cannot be 'best'"),
    ],
)
def test_a_hint_that_is_missing_or_wrong_is_named(
    joints: int, hints: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = _written(tmp_path, [_entry(1, joints=joints)])
    with pytest.raises(PoseworksError, match=message):
        read_poses(path, **{"fps": 30, **hints})


def test_openpose_frames_without_people_are_kept(tmp_path: Path) -> None:
    person = {"person_id": [-1], "pose_keypoints_2d": _keypoints(4, 25), "face_keypoints_2d": []}
    folder = _openpose(tmp_path / "op", {0: [], 1: [person], 2: [], 4: []})
    poses = read_poses(folder, fps=30)
    assert poses.positions.shape == (1, 5, 25, 2)
    assert poses.observed.all(axis=-1).tolist() == [[False, True, False, False, False]]
    assert poses.person_ids is None
    single = read_poses(folder / "clip_000000000001_keypoints.json", fps=30)
    assert_array_equal(single.positions, poses.positions[:, 1:2])


def test_openpose_person_ids_are_used(tmp_path: Path) -> None:
    def people(*ids: int) -> list[Any]:
        return [{"person_id": [number], "pose_keypoints_2d": _keypoints(number, 18)} for number in ids]

    poses = read_poses(_openpose(tmp_path / "op", {0: people(2, 1), 1: people(1, 2)}), fps=30)
    assert poses.skeleton == "openpose18"
    assert_array_equal(poses.positions[:, :, 0, 0], [[1, 1], [2, 2]])


def test_faults_of_an_openpose_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nobody was seen in any of the 2 frames"):
        read_poses(_openpose(tmp_path / "a", {0: [], 1: []}), fps=30)
    folder = _openpose(tmp_path / "b", {0: [{"pose_keypoints_2d": [1, 2]}]})
    with pytest.raises(FormatError, match=r"clip_000000000000_keypoints\.json: person 0: 2 numbers"):
        read_poses(folder, fps=30)
    folder = _openpose(tmp_path / "c", {0: [{"keypoints": []}]})
    with pytest.raises(FormatError, match="has no pose_keypoints_2d"):
        read_poses(folder, fps=30)
    folder = _openpose(_openpose(tmp_path / "d", {0: []}), {0: []}, "other_")
    with pytest.raises(ConfigError, match=r"2 sequences \('clip_', 'other_'\)"):
        read_poses(folder, fps=30)
    (tmp_path / "e").mkdir()
    with pytest.raises(FormatError, match="a folder without OpenPose files"):
        read_poses(tmp_path / "e", fps=30)
