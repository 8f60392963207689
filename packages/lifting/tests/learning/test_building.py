"""Built files hold what went in, in both layouts."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.testing import walking_poses
from poseworks.lifting.image_space import image_to_camera
from poseworks.lifting.learning.building import Recording, build, synthetic_recordings
from poseworks.lifting.learning.h36m_files.places import EHGFORMER_FILE
from poseworks.lifting.learning.h36m_files.reading import read_ehgformer, read_lcn

CAMERA = Pinhole(1145.0, 1143.8, 512.5, 515.4)


def walk(frames: int = 7, seed: int = 0) -> np.ndarray:
    """Somebody 5 m before the camera, in mm."""
    poses = walking_poses(frames, rng=np.random.default_rng(seed)).positions[0].astype(np.float64)
    return 1000 * (poses[..., [0, 2, 1]] * [1, -1, 1] + [0, 1, 5])


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    rng = np.random.default_rng(1)
    joints = walk(9, 2)
    detected = CAMERA.project(joints) + rng.normal(0, 3, (9, 17, 2))
    return [
        Recording("s_01_act_02_subact_01_ca_01", walk(1100), CAMERA),
        Recording("s_11_act_03_subact_02_ca_02", walk(5, 1), CAMERA, action_name="Discuss"),
        Recording("s_09_act_16_subact_01_ca_04", joints, CAMERA, detected, rng.uniform(0, 1, (9, 17))),
    ]


@pytest.fixture(scope="module")
def folder(recordings: list[Recording], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("built") / "h36m"
    assert sorted(build(recordings, target)) == sorted(target.iterdir())
    return target


def test_both_layouts_hold_the_recordings(folder: Path, recordings: list[Recording]) -> None:
    joints = np.concatenate([recording.joints_mm for recording in recordings[1:]])
    image = np.concatenate([recording.image.joints for recording in recordings[1:]])
    keypoints = np.concatenate([recordings[1].image.joints[..., :2], recordings[2].keypoints])
    confidence = np.concatenate([np.ones((5, 17)), recordings[2].confidence])

    lcn = read_lcn(folder, "test", "dt_ft")
    np.testing.assert_allclose(lcn.joints_camera_mm, joints, rtol=1e-6)
    np.testing.assert_allclose(lcn.joints_image, image, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(lcn.keypoints, keypoints, rtol=1e-6)
    np.testing.assert_allclose(lcn.confidence, confidence, rtol=1e-6)
    assert lcn.subject.tolist() == [11] * 5 + [9] * 9
    assert lcn.action.tolist() == [3] * 5 + [16] * 9
    assert lcn.image_size[[0, -1]].tolist() == [[1000, 1000], [1000, 1002]]
    back = image_to_camera(lcn.joints_image, lcn.box, lcn.root_depth, lcn.focal, lcn.centre)
    np.testing.assert_allclose(back, joints, atol=0.01)

    ehgformer = read_ehgformer(folder / EHGFORMER_FILE, "test")
    np.testing.assert_array_equal(ehgformer.joints_image, lcn.joints_image)
    np.testing.assert_array_equal(ehgformer.keypoints, lcn.keypoints)
    np.testing.assert_array_equal(ehgformer.camera, lcn.camera)
    assert ehgformer.recordings == tuple(recording.name for recording in recordings[1:])
    assert ehgformer.actions == ("Discuss", "act_16")
    assert ehgformer.factor is not None
    assert ehgformer.joints_25d is not None
    np.testing.assert_allclose(ehgformer.joints_25d, image * ehgformer.factor[:, None, None], rtol=1e-9)


def test_a_list_of_many_items_is_the_one_that_pickle_reads(folder: Path, recordings: list[Recording]) -> None:
    with (folder / "h36m_train.pkl").open("rb") as stream:
        items = pickle.load(stream)  # written by this very test
    assert len(items) == 1100
    for place in (0, 999, 1000, 1099):
        np.testing.assert_array_equal(items[place]["joint_3d_camera"], recordings[0].joints_mm[place])
        assert items[place]["camera_param"]["name"] == "54138969"
        assert items[place]["imageid"] == place
    np.testing.assert_allclose(items[5]["center"], (items[5]["box"][:2] + items[5]["box"][2:]) / 2)


def test_true_keypoints_stand_in_for_a_detector(folder: Path) -> None:
    frames, detected = read_lcn(folder, "train", "gt"), read_lcn(folder, "train", "dt_ft")
    np.testing.assert_allclose(detected.keypoints, frames.keypoints, rtol=1e-6)
    assert (frames.confidence == 1).all()
    assert frames.keypoints.base is not None  # a view: not copied


def test_the_synthetic_sample_can_be_trained_on_and_evaluated(tmp_path: Path) -> None:
    made = synthetic_recordings(6, rng=np.random.default_rng(0))
    again = synthetic_recordings(6, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(made[3].joints_mm, again[3].joints_mm)
    build(made, tmp_path / "h36m")
    frames = read_lcn(tmp_path / "h36m", "test")
    assert set(frames.action.tolist()) == set(range(2, 17))
    assert set(frames.subject.tolist()) == {9, 11}
    assert np.bincount(frames.camera).tolist() == [len(frames) // 4] * 4
    size = frames.image_size[:, None]
    assert ((frames.keypoints > 0) & (frames.keypoints < size)).all()
    upright = frames.joints_camera_mm[:, 10, 1] < frames.joints_camera_mm[:, [3, 6], 1].min(axis=1)
    assert upright.all()


def test_what_cannot_be_built_is_refused(recordings: list[Recording], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a name such as s_09_act_05_subact_02_ca_01"):
        Recording("walking", walk(), CAMERA)
    with pytest.raises(DataError, match="not finite"):
        Recording("s_01_act_02_subact_01_ca_01", walk() * np.nan, CAMERA)
    with pytest.raises(ShapeError, match="keypoints"):
        Recording("s_01_act_02_subact_01_ca_01", walk(), CAMERA, np.zeros((3, 17, 2)))
    with pytest.raises(DataError, match="none of the test split"):
        build(recordings[:1], tmp_path / "x")
    with pytest.raises(DataError, match="each name may come once"):
        build([recordings[0]] * 2, tmp_path / "x")
    behind = Recording("s_05_act_02_subact_01_ca_01", walk() * [1, 1, -1], CAMERA)
    with pytest.raises(DataError, match="positive depths"):
        build([behind, recordings[1]], tmp_path / "x")
    (tmp_path / "y").mkdir()
    with pytest.raises(ConfigError, match="already exists"):
        build(recordings, tmp_path / "y")
    assert [path.name for path in tmp_path.iterdir()] == ["y"]
