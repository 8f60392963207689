"""Files of body motion: told apart, described, and written as one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.body_models import BodyMotion
from poseworks.core.body_models.motion_files import (
    convert_motion,
    motion_facts,
    motion_file_facts,
    motion_format,
    read_motion,
)
from poseworks.core.body_options import BodyOptions
from poseworks.core.errors import ConfigError, PoseworksError
from poseworks.core.formats.amass import write_amass
from poseworks.core.formats.body_npz import read_body_motion, write_body_motion
from poseworks.core.testing_bodies import body_arrays, random_motion, synthetic_body


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two people of the free body."""
    write_body_motion(random_motion(6, people=2, gaps=True), tmp_path / "two.npz")
    return tmp_path / "two.npz"


@pytest.fixture
def amass(tmp_path: Path) -> Path:
    write_amass(random_motion().replace(body="smpl", gender="female"), tmp_path / "amass.npz")
    return tmp_path / "amass.npz"


def converted(source: Path, output: Path, **given: Any) -> tuple[BodyMotion, tuple[str, ...]]:
    rest: dict[str, Any] = {"to_format": None, "fps": None, "person": None, "overwrite": False}
    rest |= {name: given.pop(name) for name in rest if name in given}
    return convert_motion(source, output, BodyOptions(**given), **rest)


def test_files_are_told_apart(tmp_path: Path, two: Path, amass: Path) -> None:
    np.savez(tmp_path / "other.npz", poses=np.zeros(3))
    (tmp_path / "text.npz").write_text("text")
    files = (two, amass, tmp_path / "other.npz", tmp_path / "text.npz", tmp_path, tmp_path / ("x" * 300))
    assert [motion_format(file) for file in files] == ["body", "amass", None, None, None, None]
    assert read_motion(two).num_people == 2
    assert read_motion(amass).body == "smpl"


def test_facts_say_what_is_in_it(two: Path) -> None:
    facts = motion_facts(read_motion(two))
    assert (facts["people"], facts["frames"], facts["body"], facts["seconds"]) == (2, 6, "free", 0.2)
    assert facts["frames_there"].tolist() == [4, 4]


def test_human_data_is_motion_at_a_frame_rate_that_is_given(tmp_path: Path, amass: Path) -> None:
    motion = random_motion(frame="camera").replace(body="smpl", gender="male")
    write_body_motion(motion, tmp_path / "body.npz")
    rows = tmp_path / "rows.npz"
    _, notes = converted(tmp_path / "body.npz", rows, to_format="human_data")
    assert notes == ("30 frames a second and the camera are not in the file",)
    assert motion_format(rows) == "human_data"
    facts = motion_file_facts(rows)
    assert (facts["rows"], facts["smpl"]["body_pose"], facts["other"]) == (6, [6, 23, 3], ["meta"])
    assert motion_file_facts(amass)["what"] == "body motion"
    with pytest.raises(ConfigError, match=r"does not say how fast its rows follow.*--fps 30"):
        converted(rows, tmp_path / "again.npz")
    again, _ = converted(rows, tmp_path / "again.npz", fps=30)
    np.testing.assert_array_equal(again.pose, motion.pose)
    with pytest.raises(ConfigError, match="says its frame rate itself"):
        converted(amass, tmp_path / "x.npz", fps=30)


@pytest.mark.parametrize("suffix", [".glb", ".bvh", ".obj", ".npz"])
def test_the_suffix_says_the_format(tmp_path: Path, two: Path, suffix: str) -> None:
    output = tmp_path / f"out{suffix}"
    motion, notes = converted(two, output, person=9)
    starts = {".glb": b"glTF", ".bvh": b"HIERARCHY", ".obj": b"# free body", ".npz": b"PK"}
    assert output.read_bytes().startswith(starts[suffix])
    assert motion.person_ids is not None
    assert motion.person_ids.tolist() == [9]
    assert motion.history[-1]["settings"]["source"] == "two.npz"
    said = {".bvh": ["2 frames without"], ".obj": ["frame 1 alone, a"]}
    assert [note[:16] for note in notes] == said.get(suffix, [])


def test_axes_unit_and_frame_reach_the_file(tmp_path: Path, two: Path) -> None:
    converted(two, tmp_path / "body.obj", to_up="z", to_unit="mm", at_frame=1)
    assert (tmp_path / "body.obj").read_text().startswith("# free body, neutral, frame 1, mm, z up\n")


def test_smpls_motion_needs_its_body_or_goes_onto_the_free_one(tmp_path: Path, amass: Path) -> None:
    with pytest.raises(ConfigError, match=r"of the smpl body, whose files do not come along.*--body free"):
        converted(amass, tmp_path / "body.glb")
    motion, notes = converted(amass, tmp_path / "body.glb", body="free")
    assert (motion.body, motion.betas.any(), notes[0][:22]) == ("free", np.False_, "shown on the free body")
    own: dict[str, Any] = body_arrays(synthetic_body())
    np.savez(tmp_path / "SMPL_FEMALE.npz", **own)
    motion, notes = converted(amass, tmp_path / "own.bvh", body=str(tmp_path / "SMPL_FEMALE.npz"))
    assert (motion.body, motion.betas.any(), notes) == ("smpl", np.True_, ())
    motion, _ = converted(amass, tmp_path / "body.npz")
    np.testing.assert_array_equal(read_body_motion(tmp_path / "body.npz").pose, motion.pose)
    again, _ = converted(tmp_path / "body.npz", tmp_path / "again.npz", to_format="amass")
    np.testing.assert_allclose(read_motion(tmp_path / "again.npz").transl, again.transl, atol=1e-6)


@pytest.mark.parametrize(
    ("output", "given", "says"),
    [
        ("body.fbx", {}, r"written as \.npz, \.glb, \.bvh, \.obj, or with --to-format body, amass"),
        ("body.glb", {"at_frame": 3}, "--at-frame: means nothing where gltf is written"),
        ("body.npz", {"to_up": "z", "to_unit": "cm"}, "--to-up, --to-unit: means nothing where body is written"),
        ("body.glb", {"to_up": "x"}, "up: expected one of y, z"),
        ("body.bvh", {}, "hold one person; take one of 2, 9 with --person"),
        ("body.glb", {"person": 3}, "--person 3: not in the file; expected one of 2, 9"),
        ("two.npz", {}, "already exists"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, two: Path, output: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(PoseworksError, match=says):
        converted(two, tmp_path / output, **given)
    assert (tmp_path / output).exists() == (output == "two.npz")


def test_people_without_numbers_are_named_by_row(tmp_path: Path) -> None:
    write_body_motion(random_motion(people=2).replace(person_ids=None), tmp_path / "two.npz")
    with pytest.raises(ConfigError, match="take one of 0 to 1 with --person"):
        converted(tmp_path / "two.npz", tmp_path / "body.bvh")
    motion, _ = converted(tmp_path / "two.npz", tmp_path / "body.bvh", person=1)
    np.testing.assert_array_equal(motion.pose, random_motion(people=2).person(1).pose)
