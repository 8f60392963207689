"""Boxes of keypoints and of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poseworks.core import COCO_17, PoseSequence
from poseworks.core.errors import DataError, FormatError
from poseworks.mesh_recovery.recovery import Boxes, boxes_of_poses, read_boxes

FAULTY = "frame,x,y,width,height\n0,1,2,0,4\n1,1,2,nan,4\n-1,1,2,3,4\n1.5,1,2,3,4\n0,1,2,x,4\n2,1,2,3,4\n2,1,2,3,4\n"
SAID = (
    r"line 2: box \[1.0, 2.0, 0.0, 4.0\]: expected finite numbers, width and height above 0; line 3: box .*; "
    r"line 4: frame: expected a whole number from 0, got '-1'; line 5: frame: .*'1.5'; "
    r"line 6: expected a box of 4 numbers.*; and 1 more"
)


def keypoints(**changes: object) -> PoseSequence:
    """Two people over three frames, in a picture of 200 x 100."""
    random = np.random.default_rng(0)
    places = random.uniform(0, 1, (2, 3, 17, 2)).astype(np.float32) * [50, 80] + [[[[10, 5]]], [[[120, 15]]]]
    fields = {
        "positions": places, "confidence": np.full((2, 3, 17), 0.9), "joint_names": COCO_17.joint_names,
        "skeleton": "coco17", "fps": 25, "unit": "px", "frame": "image", "image_size": (200, 100),
        "person_ids": np.array([4, 7]),
    }  # fmt: skip
    return PoseSequence(**fields | changes)  # type: ignore[arg-type]


def test_a_box_holds_the_keypoints_that_are_sure() -> None:
    poses = keypoints()
    confidence = poses.confidence.copy()
    confidence[0, 1, 5:] = 0.1
    boxes = boxes_of_poses(poses.replace(confidence=confidence), threshold=0.2)
    assert boxes.whole
    assert boxes.image_size == (200, 100)
    np.testing.assert_array_equal(boxes.person_ids, [4, 7])
    for joints, box in ((poses.positions[0, 1, :5], boxes.boxes[0, 1]), (poses.positions[1, 1], boxes.boxes[1, 1])):
        low, high = joints.min(axis=0), joints.max(axis=0)
        np.testing.assert_allclose(box, [*low, *(high - low)], rtol=1e-5)
    assert [row for row, _ in boxes.at(1)] == [0, 1]
    assert boxes.at(3) == []


def test_shares_of_the_picture_are_pixels_too() -> None:
    poses = keypoints()
    shares = poses.replace(positions=poses.positions / np.array([200, 100]), unit="normalised")
    np.testing.assert_allclose(boxes_of_poses(shares).boxes, boxes_of_poses(poses).boxes, atol=1e-3)


def test_few_keypoints_missing_ones_and_one_place_make_no_box() -> None:
    positions = keypoints().positions.copy()
    positions[0, 0, 3:] = np.nan
    positions[0, 1] = 50
    positions[0, 2] = np.nan
    boxes = boxes_of_poses(keypoints(positions=positions))
    assert np.isnan(boxes.boxes[0]).all()
    assert np.isfinite(boxes.boxes[1]).all()
    with pytest.raises(DataError, match="nobody in any frame"):
        boxes_of_poses(keypoints(confidence=np.zeros((2, 3, 17))))
    with pytest.raises(DataError, match="3D already"):
        boxes_of_poses(keypoints(positions=np.ones((2, 3, 17, 3)), frame="camera", unit="m", image_size=None))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "frame, person, x, y, width, height\n0, 3, 1, 2, 30, 40\n2, 1, 5, 6, 7.5, 8\n"),
        (
            "a.json",
            '[{"frame": 0, "person": 3, "box": [1, 2, 30, 40]}, {"frame": 2, "person": 1, "box": [5, 6, 7.5, 8]}]',
        ),
    ],
)
def test_files_of_boxes(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    boxes = read_boxes(tmp_path / name)
    np.testing.assert_array_equal(boxes.person_ids, [1, 3])
    expected = np.full((2, 3, 4), np.nan)
    expected[1, 0], expected[0, 2] = [1, 2, 30, 40], [5, 6, 7.5, 8]
    np.testing.assert_array_equal(boxes.boxes, expected)
    assert not boxes.whole


def test_a_file_without_numbers_of_people_is_of_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("frame,x,y,width,height\n1,1,2,3,4\n")
    np.testing.assert_array_equal(read_boxes(tmp_path / "a.csv").person_ids, [0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frame,x,y,width\n", "no column height in its first line"),
        ("", "no column frame, x, y, width, height"),
        (FAULTY, SAID),
        ('{"frame": 0}', "expected a list of objects"),
        ("[{]", "is no JSON"),
        ('[{"frame": 0}]', "entry 0: expected a box of 4 numbers, got None"),
        ('[{"box": [1, 2, 3, 4]}]', "entry 0: frame: expected a whole number from 0, got None"),
        ('[{"frame": 0, "person": "x", "box": [1, 2, 3, 4]}]', "entry 0: person: expected a whole number"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_said_entry_by_entry(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "boxes").write_text(text)
    with pytest.raises(FormatError, match=said):
        read_boxes(tmp_path / "boxes")


def test_files_that_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(DataError, match=r"a\.json: holds no box"):
        read_boxes(tmp_path / "a.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_boxes(tmp_path / "b.json")
    (tmp_path / "c.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="is no text"):
        read_boxes(tmp_path / "c.csv")
    with pytest.raises(DataError, match="nobody in any frame"):
        Boxes(np.full((1, 2, 4), np.nan), np.array([0]))
