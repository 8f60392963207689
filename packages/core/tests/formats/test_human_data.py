"""HumanData: both layouts both ways, as toolboxes write it, and what is wrong with a file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.formats.human_data import (
    HumanData,
    human_data_of,
    is_human_data,
    read_human_data,
    write_human_data,
)
from poseworks.core.keypoint_conventions import index_table, joints_of
from poseworks.core.testing import mutations
from poseworks.core.testing_bodies import random_motion

RNG = np.random.default_rng(0)
ROWS = 4


def mask_of(convention: str) -> Any:
    mask = np.zeros(190, np.uint8)
    mask[index_table(convention, "human_data")[0]] = 1
    return mask


def toolbox_file(path: Path, *, compressed: bool, **changes: Any) -> dict[str, Any]:
    """A file as toolboxes write it, and its keypoints in 190 columns."""
    masks = {"keypoints2d_mask": mask_of("coco"), "keypoints3d_mask": mask_of("smpl")}
    full = {
        "keypoints2d": RNG.uniform(1, 200, (ROWS, 190, 3)) * masks["keypoints2d_mask"][:, None],
        "keypoints3d": RNG.normal(size=(ROWS, 190, 4)) * masks["keypoints3d_mask"][:, None],
    }
    stored: dict[str, Any] = {
        **masks,
        **{name: values[:, masks[f"{name}_mask"] == 1] if compressed else values for name, values in full.items()},
        "image_path": np.array([f"a/{row}.jpg" for row in range(ROWS)]),
        "bbox_xywh": RNG.uniform(1, 100, (ROWS, 5)).astype(np.float32),
        "smpl": {
            "global_orient": RNG.normal(size=(ROWS, 3)).astype(np.float32),
            "body_pose": RNG.normal(size=(ROWS, 23, 3)).astype(np.float32),
            "betas": RNG.normal(size=(ROWS, 10)).astype(np.float32),
            "transl": RNG.normal(size=(ROWS, 3)).astype(np.float32),
        },
        "meta": {"gender": np.array(["f"] * ROWS)},
        "config": "some/config.py",
        "misc": {"bbox_source": "keypoints", "scale": [1.2, None]},
        "has_smpl": np.ones(ROWS),
        "__key_strict__": False,
        "__keypoints_compressed__": compressed,
    } | changes
    np.savez_compressed(path, **{name: value for name, value in stored.items() if value is not None})
    return stored | full


def assert_same(found: HumanData, stored: dict[str, Any]) -> None:
    for name in ("keypoints2d", "keypoints3d", "keypoints2d_mask", "keypoints3d_mask", "bbox_xywh"):
        np.testing.assert_array_equal(getattr(found, name), stored[name])
    assert found.image_path == tuple(stored["image_path"])
    assert set(found.smpl) == set(stored["smpl"])
    for name, values in stored["smpl"].items():
        np.testing.assert_array_equal(found.smpl[name], values)
    assert found.other["misc"] == stored["misc"]
    assert found.other["config"] == stored["config"]
    np.testing.assert_array_equal(found.other["meta"]["gender"], stored["meta"]["gender"])


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("plain", [True, False])
def test_all_layouts_are_read_and_written(tmp_path: Path, compressed: bool, plain: bool) -> None:
    stored = toolbox_file(tmp_path / "a.npz", compressed=compressed)
    data = read_human_data(tmp_path / "a.npz")
    assert_same(data, stored)
    assert data.num_rows == ROWS
    write_human_data(data, tmp_path / "b.npz", plain=plain, compressed=not compressed)
    assert_same(read_human_data(tmp_path / "b.npz"), stored)
    with np.load(tmp_path / "b.npz", allow_pickle=not plain) as again:
        assert again["keypoints2d"].shape == (ROWS, 190 if compressed else 17, 3)
        if plain:
            np.testing.assert_array_equal(again["smpl/betas"], stored["smpl"]["betas"])
            assert all(again[name].dtype != object for name in again.files)
        else:
            assert again["smpl"].item()["betas"].shape == (ROWS, 10)
    with pytest.raises(ConfigError, match="exists"):
        write_human_data(data, tmp_path / "b.npz")


def test_compressed_files_without_the_flag_are_told_by_their_columns(tmp_path: Path) -> None:
    stored = toolbox_file(tmp_path / "a.npz", compressed=True, __keypoints_compressed__=None)
    assert_same(read_human_data(tmp_path / "a.npz"), stored)


def test_keypoints_come_in_any_convention(tmp_path: Path) -> None:
    stored = toolbox_file(tmp_path / "a.npz", compressed=True)
    data = read_human_data(tmp_path / "a.npz")
    coco, mask = data.keypoints("keypoints2d", "coco")
    names = [joints_of("human_data").index(name) for name in joints_of("coco")]
    np.testing.assert_array_equal(coco, stored["keypoints2d"][:, names])
    assert mask.tolist() == [1] * 17
    _, mask = data.keypoints("keypoints3d", "coco", approximate=True)
    assert 0 < mask.sum() < 17  # SMPL's 24 joints have no face
    with pytest.raises(DataError, match="keypoints4d: not in this HumanData, which has keypoints2d, keypoints3d"):
        data.keypoints("keypoints4d", "coco")


def test_what_a_mask_leaves_out_is_zero() -> None:
    keypoints = np.ones((2, 190, 3))
    data = HumanData(keypoints2d=keypoints, keypoints2d_mask=mask_of("coco").astype(float))
    assert data.keypoints2d is not None
    assert data.keypoints2d.sum() == 2 * 17 * 3
    assert keypoints.all()


def test_rows_become_frames_and_frames_rows(tmp_path: Path) -> None:
    betas = np.tile(np.arange(10, dtype=np.float32), (ROWS, 1))
    betas[0, 0], betas[1, 0] = 0.5, -0.5
    toolbox_file(tmp_path / "a.npz", compressed=True, has_smpl=np.array([1, 1, 0, 1]))
    data = read_human_data(tmp_path / "a.npz")
    data = HumanData(smpl={**data.smpl, "betas": betas}, other=data.other)
    motion = data.motion(25)
    assert motion.present.tolist() == [[True, True, False, True]]
    assert (motion.gender, motion.frame, motion.fps, motion.body) == ("female", "camera", 25, "smpl")
    np.testing.assert_allclose(motion.betas[0], np.arange(10), atol=1e-6)
    assert motion.history[0]["settings"]["furthest_from_mean"] == 0.5
    np.testing.assert_array_equal(motion.body_pose[0, 3], data.smpl["body_pose"][3])
    two = random_motion(5, people=2, frame="camera", gaps=True).replace(body="smpl", gender="male")
    rows = human_data_of(two)
    assert rows.num_rows == 6
    assert rows.other["meta"]["person"].tolist() == [2] * 3 + [9] * 3
    assert rows.other["meta"]["gender"] == ["m"] * 6
    write_human_data(rows, tmp_path / "b.npz")
    back = read_human_data(tmp_path / "b.npz").motion(30)
    np.testing.assert_array_equal(back.transl[0, :3], two.transl[0][two.present[0]])
    assert back.gender == "male"
    with pytest.raises(DataError, match="not the free body in the frame camera"):
        human_data_of(two.replace(body="free"))


def test_rendered_sets_say_that_their_body_is_the_free_one() -> None:
    smpl = {"global_orient": np.zeros((2, 3)), "body_pose": np.zeros((2, 23, 3)), "betas": np.zeros((2, 10))}
    data = HumanData(smpl=smpl, other={"meta": {"body": "free"}})
    assert data.body == "free"
    assert data.motion(30).body == "free"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"smpl": {"betas": np.zeros((2, 10))}}, "smpl: global_orient, body_pose missing"),
        ({}, "missing in this HumanData"),
        ({"meta": {"gender": ["m", "f"]}}, "meta gender: expected one of m, f, n for all rows, got f, m"),
        ({"has_smpl": np.zeros(2)}, "has_smpl: no row"),
        ({"meta": {"body": "smplx"}}, "meta body: expected one of free, smpl, got 'smplx'"),
    ],
)
def test_motion_needs_all_of_smpl(data: dict[str, Any], says: str) -> None:
    smpl = {"global_orient": np.zeros((2, 3)), "body_pose": np.zeros((2, 23, 3)), "betas": np.zeros((2, 10))}
    smpl = data.pop("smpl", smpl if data else {})
    with pytest.raises(DataError, match=says):
        HumanData(smpl=smpl, other=data).motion(30)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"keypoints2d_mask": np.ones(17)}, r"keypoints2d_mask: expected \(190,\) numbers, got float64 \(17,\)"),
        ({"keypoints2d_mask": np.full(190, 2)}, "keypoints2d: 17 joints, expected the 190 of its mask"),
        ({"keypoints2d_mask": None}, "keypoints2d and keypoints2d_mask: expected both or neither"),
        ({"keypoints2d": np.zeros((ROWS, 18, 3))}, "keypoints2d: 18 joints, expected the 17 of its mask"),
        ({"keypoints2d": np.zeros((ROWS, 17, 4))}, r"keypoints2d: expected numbers \(N, 190, 3\)"),
        ({"keypoints2d": np.full((ROWS, 17, 3), np.nan)}, "keypoints2d: holds NaN"),
        ({"bbox_xywh": np.zeros((ROWS, 4))}, r"bbox_xywh: expected numbers \(N, 5\)"),
        ({"bbox_xywh": np.zeros((3, 5))}, "rows differ: image_path 4, bbox_xywh 3"),
        ({"smpl": [1, 2]}, "smpl: expected a dictionary of arrays"),
        ({"smpl": {"body_pose": np.zeros((ROWS, 21, 3))}}, r"smpl body_pose: expected numbers \(N, 23, 3\)"),
        ({"smpl": {"betas": np.zeros(10)}}, r"smpl betas: expected finite numbers \(N, K\)"),
        ({"image_path": np.array([1, 2, 3, 4])}, "image_path: expected text"),
        ({"has_smpl": np.ones(7)}, "has_smpl: 7 rows, others have 4"),
    ],
)
def test_each_fault_is_named(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    toolbox_file(tmp_path / "a.npz", compressed=True, **changes)
    with pytest.raises(FormatError, match=says):
        read_human_data(tmp_path / "a.npz")


def test_a_mask_of_other_numbers_is_refused() -> None:
    mask = mask_of("coco")
    mask[0] = 7
    with pytest.raises(DataError, match="keypoints2d_mask: expected 0 and 1 alone"):
        HumanData(keypoints2d=np.zeros((1, 190, 3)), keypoints2d_mask=mask)


class Harmful:
    """Would run a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return (print, ("harm",))


def test_pickles_that_would_run_code_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pickle.dumps(Harmful())
    toolbox_file(tmp_path / "a.npz", compressed=True, misc={"a": Harmful()})
    with pytest.raises(FormatError, match="misc"):
        read_human_data(tmp_path / "a.npz")
    assert capsys.readouterr().out == ""


def test_other_files_and_values_without_json_are_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", poses=np.zeros(3))
    with pytest.raises(FormatError, match="not HumanData: none of keypoints2d_mask"):
        read_human_data(tmp_path / "a.npz")
    files: dict[str, dict[str, Any]] = {
        "b": {"smpl/betas": np.zeros((2, 10)), "smpl/betas.json": np.array("1")},
        "c": {"meta": np.zeros(2), "meta/gender": np.zeros(2), "smpl/betas": np.zeros((2, 3))},
    }
    for name, arrays in files.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
    with pytest.raises(FormatError, match=r"smpl/betas\.json: stored twice"):
        read_human_data(tmp_path / "b.npz")
    with pytest.raises(FormatError, match="meta/gender: meta is no dictionary"):
        read_human_data(tmp_path / "c.npz")
    with pytest.raises(DataError, match="misc/a: cannot be written without pickles"):
        write_human_data(HumanData(other={"misc": {"a": {1, 2}}}), tmp_path / "d.npz", plain=True)
    assert not (tmp_path / "d.npz").exists()
    assert not is_human_data(("poses", "trans", "betas"))


@pytest.mark.parametrize("plain", [True, False])
def test_damaged_files_are_refused_in_words(tmp_path: Path, plain: bool) -> None:
    path = tmp_path / "a.npz"
    toolbox_file(path, compressed=True)
    write_human_data(read_human_data(path), tmp_path / "b.npz", plain=plain)
    refused = 0
    for data in mutations((tmp_path / "b.npz").read_bytes(), np.random.default_rng(0)):
        path.write_bytes(data)
        try:
            read_human_data(path)
        except PoseworksError:
            refused += 1
    assert refused > 100
