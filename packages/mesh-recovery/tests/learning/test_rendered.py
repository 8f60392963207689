from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from poseworks.core.body_models import load_body
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.formats.human_data import HumanData, read_human_data
from poseworks.core.keypoint_conventions import joints_of
from poseworks.core.video import read_picture, write_picture
from poseworks.mesh_recovery.learning.image_data import read_image_data
from poseworks.mesh_recovery.learning.people import RenderSettings
from poseworks.mesh_recovery.learning.rendered import FILE, write_rendered
from poseworks.mesh_recovery.named_joints import NamedJoints

SIZE = 48
SETTINGS = RenderSettings(size=SIZE, mixed=0.5)
COUNT = 5


def poses() -> np.ndarray:
    return 0.2 * np.random.default_rng(0).standard_normal((7, 24, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered") / "set"


@pytest.fixture(scope="module")
def data(folder: Path) -> HumanData:
    write_rendered(folder, COUNT, poses(), settings=SETTINGS, seed=4)
    return read_human_data(folder / FILE)


def test_labels_agree_with_each_other(data: HumanData) -> None:
    body = load_body("free")
    pose = np.concatenate([data.smpl["global_orient"][:, None], data.smpl["body_pose"]], axis=1)
    posed = body(*(torch.from_numpy(each) for each in (data.smpl["betas"], pose, data.smpl["transl"])))
    named = NamedJoints(body, joints_of("human_data"), "conventions")
    assert data.keypoints2d is not None
    assert data.keypoints3d is not None
    assert data.keypoints3d_mask is not None
    assert data.keypoints3d_mask.tolist() == named.known.tolist()
    assert_close(torch.from_numpy(data.keypoints3d[..., :3]), named(posed), rtol=0, atol=1e-4)
    for row, focal in enumerate(data.other["cam_param"]["focal_px"]):
        pixels = Pinhole.from_focal(focal, (SIZE, SIZE)).project(data.keypoints3d[row, :, :3]) - 0.5
        seen = data.keypoints2d[row, :, 2] > 0
        assert np.abs(data.keypoints2d[row, seen, :2] - pixels[seen]).max() < 1e-2
        assert seen.sum() > 60
        width, height = np.asarray(data.bbox_xywh)[row, 2:4]
        assert width == height
        assert (pixels[seen].max(axis=0) - pixels[seen].min(axis=0)).max() == pytest.approx(width / 1.2, rel=0.03)


def test_the_reader_of_data_sets_reads_them(folder: Path, data: HumanData) -> None:
    read = read_image_data(folder / FILE, folder, "smpl_24")
    assert len(read) == COUNT
    assert read.body == "free"
    assert read.has_body.all()
    assert read.image(2).shape == (SIZE, SIZE, 3)
    assert data.image_path is not None
    assert data.image_path[2] == "pictures/0000/0000002.jpg"


def test_a_picture_follows_from_seed_and_number(folder: Path, data: HumanData, tmp_path: Path) -> None:
    fewer = write_rendered(tmp_path / "fewer", 2, poses(), settings=SETTINGS, seed=4, workers=1)
    assert fewer.keypoints2d is not None
    assert data.keypoints2d is not None
    assert data.image_path is not None
    assert np.array_equal(fewer.keypoints2d, data.keypoints2d[:2])
    name = data.image_path[1]
    assert (tmp_path / "fewer" / name).read_bytes() == (folder / name).read_bytes()
    other = write_rendered(tmp_path / "other", 2, poses(), settings=SETTINGS, seed=5)
    assert not np.array_equal(np.asarray(other.bbox_xywh), np.asarray(data.bbox_xywh)[:2])


def test_photos_may_be_shown_behind_people(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", np.full((90, 80, 3), (250, 20, 250), np.uint8))
    photo = tmp_path / "a.png"
    data = write_rendered(tmp_path / "set", 1, poses(), settings=SETTINGS, backgrounds=[photo])
    assert data.image_path is not None
    corner = read_picture(tmp_path / "set" / data.image_path[0])[:4, :4].mean(axis=(0, 1))
    assert corner[0] > 200 > 100 > corner[1]
    photo.write_bytes(b"none")
    for workers in (0, 1):
        with pytest.raises(DataError, match=r"a\.png"):
            write_rendered(tmp_path / "second", 1, poses(), settings=SETTINGS, backgrounds=[photo], workers=workers)
    assert not (tmp_path / "second").exists()


def test_faults_are_named(tmp_path: Path, folder: Path, data: HumanData) -> None:
    with pytest.raises(ConfigError, match="count: expected 1 or more"):
        write_rendered(tmp_path / "a", 0)
    with pytest.raises(DataError, match=r"poses: expected finite numbers \(N, 24, 3\)"):
        write_rendered(tmp_path / "a", 1, np.full((2, 24, 3), np.nan))
    with pytest.raises(ConfigError, match="exists"):
        write_rendered(folder, 1, poses())
    assert not (tmp_path / "a").exists()
