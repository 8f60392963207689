from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import DataError, FormatError, SkeletonError
from poseworks.core.formats.human_data import NUM_JOINTS, HumanData, write_human_data
from poseworks.core.formats.reading import write_npz
from poseworks.core.keypoint_conventions import convert_keypoints, joints_of
from poseworks.core.video import write_picture
from poseworks.mesh_recovery.learning.image_data import read_image_data

ROWS = 4


def human_data(**changes: Any) -> HumanData:
    rng = np.random.default_rng(0)
    keypoints, mask = convert_keypoints(rng.uniform(10, 50, (ROWS, 17, 3)), "coco", "human_data")
    keypoints[..., 2] = keypoints[..., 2] > 0
    boxes = np.array([[5.0, 4, 40, 50, 1]] * ROWS)
    fields: dict[str, Any] = {
        "image_path": tuple(f"images/{row}.png" for row in range(ROWS)),
        "bbox_xywh": boxes,
        "keypoints2d": keypoints,
        "keypoints2d_mask": mask,
        "smpl": {
            "global_orient": rng.normal(size=(ROWS, 3)),
            "body_pose": rng.normal(size=(ROWS, 23, 3)),
            "betas": rng.normal(size=(ROWS, 16)),
        },
        "other": {"has_smpl": np.array([1, 1, 0, 1])},
    }
    return HumanData(**{**fields, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for row in range(ROWS):
        write_picture(tmp_path / f"images/{row}.png", np.full((60, 64, 3), 10 * row, np.uint8))
    return tmp_path


def test_human_data_is_read(folder: Path) -> None:
    written = human_data()
    write_human_data(written, folder / "coco.npz")
    data = read_image_data(folder / "coco.npz", folder, "coco")
    assert (data.name, len(data), data.file_rows, data.body, data.notes) == ("coco", ROWS, ROWS, "smpl", ())
    assert data.joint_names == joints_of("coco")
    assert data.squares.tolist() == [[25.0, 29.0, 50.0]] * ROWS  # the longer side; not enlarged any further
    expected, _ = written.keypoints("keypoints2d", "coco")
    assert np.allclose(data.keypoints.numpy(), expected)
    assert not data.joints.any()
    assert data.has_body.tolist() == [True, True, False, True]
    assert np.allclose(data.pose[0, 0].numpy(), written.smpl["global_orient"][0])
    assert np.allclose(data.betas[1].numpy(), written.smpl["betas"][1, :10])
    assert not data.pose[2].any()  # has no body, whatever the file holds there
    assert data.image(3).mean() == 30
    assert data.known(0).shape == (17, 2)


def test_rows_that_teach_nothing_are_left_out_and_counted(folder: Path) -> None:
    whole = human_data()
    keypoints, boxes = whole.keypoints2d, np.asarray(whole.bbox_xywh)
    assert keypoints is not None
    keypoints[2, :, 2] = 0  # zero visible keypoints, and no body
    boxes[0, 2] = 0
    write_human_data(human_data(keypoints2d=keypoints, bbox_xywh=boxes), folder / "a.npz")
    data = read_image_data(folder / "a.npz", folder, "coco", "mine")
    assert data.rows.tolist() == [1, 3]
    assert data.file_rows == ROWS
    assert data.notes == ("mine: 2 of 4 rows left out: an empty box (1), nothing known about the person (1)",)


def test_joints_without_confidence_have_no_place(folder: Path) -> None:
    keypoints = human_data().keypoints2d
    assert keypoints is not None
    keypoints[0, :, 2] = 0
    write_human_data(human_data(keypoints2d=keypoints), folder / "a.npz")
    data = read_image_data(folder / "a.npz", folder, "coco")
    assert not data.keypoints[0].any()
    assert data.known(0).shape == (0, 2)


def test_spin_layout_is_read_and_both_kinds_of_keypoints_merged(folder: Path) -> None:
    rng = np.random.default_rng(1)
    part, openpose, joints = rng.random((ROWS, 24, 3)), rng.random((ROWS, 25, 3)), rng.random((ROWS, 24, 4))
    arrays = {
        "imgname": np.array([f"images/{row}.png" for row in range(ROWS)]), "center": np.full((ROWS, 2), 30.0),
        "scale": np.full(ROWS, 0.25), "part": part, "openpose": openpose, "S": joints,
        "pose": rng.random((ROWS, 72)), "shape": rng.random((ROWS, 10)), "has_smpl": np.array([1, 0, 1, 1]),
    }  # fmt: skip
    write_npz(folder / "spin.npz", arrays)
    data = read_image_data(folder / "spin.npz", folder, "smpl_49")
    assert data.squares.tolist() == [[30.0, 30.0, 50.0]] * ROWS  # 0.25 times 200
    assert np.allclose(data.keypoints[:, :25].numpy(), openpose)  # smpl_49 is OpenPose's 25, then SPIN's 24
    assert np.allclose(data.keypoints[:, 25:].numpy(), part)
    assert np.allclose(data.joints[:, 25:].numpy(), joints)
    assert data.has_body.tolist() == [True, False, True, True]
    assert np.allclose(data.pose[0].numpy().ravel(), arrays["pose"][0])


def test_the_body_of_rendered_sets_is_known(folder: Path) -> None:
    write_human_data(human_data(other={"meta": {"body": "free"}}), folder / "a.npz")
    data = read_image_data(folder / "a.npz", folder, "coco")
    assert data.body == "free"
    assert data.has_body.all()  # without has_smpl all rows have one


def test_files_that_cannot_be_trained_on_are_refused(folder: Path) -> None:
    write_human_data(human_data(image_path=None, bbox_xywh=None), folder / "motion.npz")
    with pytest.raises(DataError, match="image_path and bbox_xywh missing"):
        read_image_data(folder / "motion.npz", folder, "coco")
    np.savez(folder / "other.npz", a=np.zeros(3))
    with pytest.raises(FormatError, match=r"neither HumanData .* nor SPIN's layout .* has a\."):
        read_image_data(folder / "other.npz", folder, "coco")
    write_human_data(human_data(bbox_xywh=np.zeros((ROWS, 5))), folder / "empty.npz")
    with pytest.raises(DataError, match=r"no row can be learnt from: an empty box \(4\)"):
        read_image_data(folder / "empty.npz", folder, "coco")
    with pytest.raises(SkeletonError, match="coco18"):
        read_image_data(folder / "empty.npz", folder, "coco18")
    with pytest.raises(DataError, match=r"none\.npz"):
        read_image_data(folder / "none.npz", folder, "coco")


def test_wrong_masks_and_nan_are_refused(folder: Path) -> None:
    data = human_data()
    stored = {"image_path": np.array(data.image_path), "bbox_xywh": data.bbox_xywh, "keypoints2d": data.keypoints2d}
    write_npz(folder / "mask.npz", {**stored, "keypoints2d_mask": np.full(NUM_JOINTS, 2)})
    with pytest.raises(FormatError, match="keypoints2d_mask: expected 0 and 1 alone"):
        read_image_data(folder / "mask.npz", folder, "coco")
    write_npz(folder / "short.npz", {**stored, "keypoints2d_mask": np.ones(17)})
    with pytest.raises(FormatError, match=r"keypoints2d_mask: expected \(190,\)"):
        read_image_data(folder / "short.npz", folder, "coco")
    broken = np.array(data.bbox_xywh)
    broken[1, 0] = np.nan
    write_npz(folder / "nan.npz", {**stored, "bbox_xywh": broken, "keypoints2d_mask": data.keypoints2d_mask})
    with pytest.raises(FormatError, match="bbox_xywh: holds NaN"):
        read_image_data(folder / "nan.npz", folder, "coco")


def test_pictures_that_cannot_be_used_name_their_row(folder: Path) -> None:
    write_human_data(human_data(), folder / "a.npz")
    data = read_image_data(folder / "a.npz", folder, "coco", "mine")
    (folder / "images/1.png").write_bytes((folder / "images/1.png").read_bytes()[:40])
    (folder / "images/2.png").unlink()
    for row, what in ((1, "1.png"), (2, "does not exist")):
        with pytest.raises(DataError, match=rf"mine, row {row}: .*{what}"):
            data.image(row)
    data.squares[0] = data.squares.new_tensor([300.0, 20.0, 50.0])
    with pytest.raises(DataError, match=r"mine, row 0: the box around \(300, 20\), side 50, lies outside of .*64 x 60"):
        data.image(0)
