"""BodyMotion and its file: what is refused, and that what was written is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.formats.body_npz import read_body_motion, write_body_motion
from poseworks.core.testing import mutations

RNG = np.random.default_rng(0)


def fields(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "global_orient": RNG.normal(size=(2, 5, 3)),
        "body_pose": RNG.normal(size=(2, 5, 23, 3)),
        "betas": RNG.normal(size=(2, 10)),
        "transl": RNG.normal(size=(2, 5, 3)),
        "fps": 30.0,
        "body": "free",
        "frame": "camera",
        "focal": 1100.5,
        "image_size": (1280, 720),
        "times": [0.0, 0.1, 0.2, 0.35, 0.4],
        "person_ids": [3, 1],
        "history": ({"verb": "fit"},),
    }
    for name in ("global_orient", "body_pose", "transl"):
        made[name][1, 2] = np.nan
    return made | changes


def test_what_is_written_is_read(tmp_path: Path) -> None:
    motion = BodyMotion(**fields())
    write_body_motion(motion, tmp_path / "body.npz")
    again = read_body_motion(tmp_path / "body.npz")
    for name in fields():
        np.testing.assert_array_equal(getattr(again, name), getattr(motion, name))
    assert again.present.tolist() == [[True] * 5, [True, True, False, True, True]]
    with pytest.raises(ConfigError, match="exists"):
        write_body_motion(motion, tmp_path / "body.npz")


def test_a_person_alone_keeps_number_shape_and_pose() -> None:
    motion = BodyMotion(**fields())
    alone = motion.person(1)
    np.testing.assert_array_equal(alone.pose[0], motion.pose[1])
    np.testing.assert_array_equal(alone.pose[0, :, 0], motion.global_orient[1])
    assert (alone.num_people, alone.person_ids.tolist()) == (1, [1])  # type: ignore[union-attr]
    with pytest.raises(DataError, match="expected a row from 0 to 1, got 2"):
        motion.person(2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"global_orient": np.zeros((5, 3))}, r"global_orient: expected \(P, T, 3\)"),
        ({"body_pose": np.zeros((2, 5, 21, 3))}, r"body_pose: expected \(2, 5, 23, 3\), got \(2, 5, 21, 3\)"),
        ({"betas": np.zeros(10)}, r"betas: expected \(2, K\)"),
        ({"betas": np.full((2, 10), np.nan)}, "betas: expected finite"),
        ({"transl": np.zeros((2, 5, 3))}, "finite in all of global_orient, body_pose and transl, or NaN in all"),
        ({"fps": 0.0}, "fps: expected a number above 0"),
        ({"body": "smplx"}, "body: expected one of free, smpl, got 'smplx'"),
        ({"frame": "world"}, "focal, image_size: only with the frame camera"),
        ({"focal": 0.0}, "focal: expected pixels above 0"),
        ({"times": [0.0, 0.1, 0.1, 0.3, 0.4]}, "times: expected finite, rising"),
        ({"person_ids": [1, 1]}, "a number occurs twice"),
        ({"history": ({"verb": object()},)}, "history: expected mappings"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        BodyMotion(**fields(**changes))


def test_every_fault_of_a_file_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "body.npz"
    np.savez(path, format="poseworks.body/2", betas=np.zeros((1, 10)), colour="red", fps=30.0)
    with pytest.raises(FormatError) as error:
        read_body_motion(path)
    for part in ("missing keys: global_orient", "unknown keys: colour", "'poseworks.body/1'", "betas: expected floats"):
        assert part in str(error.value)


def test_damaged_files_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "body.npz"
    write_body_motion(BodyMotion(**fields()), path)
    refused = 0
    for data in mutations(path.read_bytes(), np.random.default_rng(0)):
        path.write_bytes(data)
        try:
            read_body_motion(path)
        except PoseworksError:
            refused += 1
    assert refused > 100
