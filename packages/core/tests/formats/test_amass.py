"""AMASS files: as published, and our own read back; what is wrong with a file, all at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from poseworks.core.body_models import SMPL
from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.formats.amass import read_amass, write_amass
from poseworks.core.testing import mutations
from poseworks.core.testing_bodies import random_motion, synthetic_body

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def body() -> SMPL:
    return SMPL(synthetic_body())


def published(width: int = 156, **changes: Any) -> dict[str, Any]:
    """What a file of the archive holds."""
    made: dict[str, Any] = {
        "poses": 0.5 * RNG.normal(size=(7, width)),
        "trans": RNG.normal(size=(7, 3)),
        "betas": RNG.normal(size=16),
        "gender": np.array("female"),
        "dmpls": np.zeros((7, 8)),
        "mocap_framerate": np.array(120.0),
    }
    return made | changes


def joints_of(body: SMPL, betas: NDArray[Any], pose: NDArray[Any], transl: NDArray[Any]) -> NDArray[Any]:
    """(T, 22, 3): without the hands."""
    return body.joints(*(torch.tensor(x, dtype=torch.float32) for x in (betas, pose, transl))).numpy()[:, :22]


def test_the_bodies_of_a_published_file_stand_where_they_did(tmp_path: Path, body: SMPL) -> None:
    arrays = published()
    np.savez(tmp_path / "a.npz", **arrays)
    motion = read_amass(tmp_path / "a.npz", body)
    pose = arrays["poses"][:, :72].reshape(-1, 24, 3) * (np.arange(24) < 22)[:, None]
    x, y, z = np.moveaxis(joints_of(body, arrays["betas"][:10], pose, arrays["trans"]), -1, 0)  # z up
    found = joints_of(body, motion.betas[0], motion.pose[0], motion.transl[0])
    np.testing.assert_allclose(found, np.stack((x, z, -y), -1), atol=1e-5)
    assert (motion.fps, motion.gender, motion.body, motion.frame) == (120, "female", "smpl", "world")
    assert motion.history[0]["settings"] == {"format": "amass", "model": "smplh", "betas": 16}
    # Without a body the whole motion is moved by as much as the assumed pelvis lies beside.
    off = joints_of(body, motion.betas[0], motion.pose[0], read_amass(tmp_path / "a.npz").transl[0]) - found
    np.testing.assert_allclose(off, np.broadcast_to(off[0, 0], off.shape), atol=1e-5)


def test_the_other_layouts(tmp_path: Path) -> None:
    smplx = published(165, gender=np.array(b"male"), mocap_frame_rate=np.array(30))
    del smplx["mocap_framerate"]
    np.savez(tmp_path / "x.npz", **smplx)
    motion = read_amass(tmp_path / "x.npz")
    assert (motion.fps, motion.gender, motion.history[0]["settings"]["model"]) == (30, "male", "smplx")
    assert not motion.betas.any()
    np.testing.assert_allclose(motion.body_pose[0, :, :21].reshape(7, -1), smplx["poses"][:, 3:66], atol=1e-6)
    assert not motion.body_pose[0, :, 21:].any()
    np.savez(tmp_path / "s.npz", **published(72, betas=RNG.normal(size=(1, 10))))
    assert read_amass(tmp_path / "s.npz").body_pose[0, :, 21:].any()


@pytest.mark.parametrize("frame", ["world", "camera"])
def test_what_is_written_is_read(tmp_path: Path, body: SMPL, frame: Any) -> None:
    motion = random_motion(frame=frame).replace(body="smpl", gender="male")
    notes = write_amass(motion, tmp_path / "a.npz", body)
    assert [note[:21] for note in notes] == ["joints 22 and 23, the"]
    again = read_amass(tmp_path / "a.npz", body)
    upright = (1, -1, -1) if frame == "camera" else (1, 1, 1)
    np.testing.assert_allclose(
        joints_of(body, again.betas[0], again.pose[0], again.transl[0]),
        joints_of(body, motion.betas[0], motion.pose[0], motion.transl[0]) * upright,
        atol=1e-5,
    )
    assert (again.fps, again.gender) == (30, "male")
    still = motion.replace(body_pose=np.zeros_like(motion.body_pose), times=np.arange(6.0) ** 2)
    assert write_amass(still, tmp_path / "b.npz") == ("times are not in the file: it plays at 30 frames a second",)
    with pytest.raises(ConfigError, match="exists"):
        write_amass(still, tmp_path / "b.npz")


def test_what_the_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    motion = random_motion(people=2, gaps=True).replace(betas=np.zeros((2, 20), np.float32))
    with pytest.raises(DataError) as error:
        write_amass(motion, tmp_path / "a.npz")
    for part in ("one person, not 2", "every frame", "not of the free body", "16 betas, not 20"):
        assert part in str(error.value)
    assert not (tmp_path / "a.npz").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"poses": np.zeros((7, 63))}, "poses: expected 72, 156 or 165 columns, got 63"),
        ({"poses": np.zeros((7, 156), int)}, "poses: expected floats with 2 axes"),
        ({"poses": np.zeros((6, 156))}, "poses and trans: 6 and 7 frames"),
        ({"trans": np.full((7, 3), np.nan)}, "trans: holds NaN"),
        ({"trans": np.zeros((7, 2))}, "trans: expected 3 columns"),
        ({"betas": np.zeros((7, 16))}, "betas: expected one row"),
        ({"gender": np.array("m")}, "gender: expected neutral, female or male"),
        ({"gender": np.array(3)}, "gender: expected neutral, female or male"),
        ({"mocap_framerate": np.array(0.0)}, "mocap_framerate: expected a number above 0"),
    ],
)
def test_each_fault_is_named(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    np.savez(tmp_path / "a.npz", **published(**changes))
    with pytest.raises(FormatError, match=says):
        read_amass(tmp_path / "a.npz")


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", poses=np.zeros((3, 156)))
    with pytest.raises(FormatError, match="trans is missing; betas is missing; gender is missing; mocap_framerate or"):
        read_amass(tmp_path / "a.npz")


def test_damaged_files_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **published())
    refused = 0
    for data in mutations(path.read_bytes(), np.random.default_rng(0)):
        path.write_bytes(data)
        try:
            read_amass(path)
        except PoseworksError:
            refused += 1
    assert refused > 100
