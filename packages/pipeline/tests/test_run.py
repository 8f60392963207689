"""Chains over poses: what is written, what it says, and what is left alone when something is at fault."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from poseworks.core import read_poses, write_poses
from poseworks.core.errors import CheckpointError, ConfigError, DataError
from poseworks.core.testing import walking_poses
from poseworks.pipeline import ChainConfig, FilterStep, demo, demo_clip, run_chain
from poseworks.temporal.filters import Gaussian

GAUSSIAN = ChainConfig(steps=(FilterStep(filter=Gaussian(sigma_frames=2)),))
WALK_2D = walking_poses(50, dims=2, rng=np.random.default_rng(1), noise=2.0)
WALK_3D = walking_poses(50, 2, rng=np.random.default_rng(1), noise=0.01)


def test_the_files_hold_the_poses_before_and_after(tmp_path: Path) -> None:
    result = run_chain(WALK_2D, tmp_path / "out", GAUSSIAN)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "poses2d.npz", "poses2d.smooth.npz", "report.html",
    ]  # fmt: skip
    before, after = read_poses(result.files["poses"]), read_poses(result.files["smooth"])
    np.testing.assert_array_equal(before.positions, WALK_2D.positions)
    np.testing.assert_array_equal(after.positions, result.after.positions)
    middle = gaussian_filter1d(WALK_2D.positions[0].astype(float), 2, axis=0)[12:-12]  # far from the ends
    np.testing.assert_allclose(after.positions[0, 12:-12], middle, atol=0.05)
    assert after.history[-1]["verb"] == "smooth"


def test_three_dimensions_have_their_own_names(tmp_path: Path) -> None:
    result = run_chain(WALK_3D, tmp_path / "out", GAUSSIAN)
    assert {path.name for path in result.files.values()} == {"poses3d.npz", "poses3d.smooth.npz", "report.html"}
    assert [person.verdict for person in result.harm.people]


def test_steps_run_in_their_order_and_harm_compares_the_ends(tmp_path: Path) -> None:
    twice = ChainConfig(
        steps=(FilterStep(filter=Gaussian(sigma_frames=1)), FilterStep(filter=Gaussian(sigma_frames=2)))
    )
    result = run_chain(WALK_2D, tmp_path / "out", twice)
    sigmas = [
        entry["settings"]["smoother"]["sigma_frames"] for entry in result.after.history if entry["verb"] == "smooth"
    ]
    assert sigmas == [1, 2]
    moved = np.linalg.norm(result.after.positions - WALK_2D.positions, axis=-1).mean()
    assert result.harm.people[0].displacement_mean == pytest.approx(moved, rel=1e-5)


def test_an_existing_folder_keeps_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    run_chain(WALK_2D, tmp_path, GAUSSIAN)
    with pytest.raises(ConfigError, match="already exists"):
        run_chain(WALK_2D, tmp_path, GAUSSIAN)
    first = (tmp_path / "poses2d.smooth.npz").read_bytes()
    other = ChainConfig(steps=(FilterStep(filter=Gaussian(sigma_frames=4)),))
    run_chain(WALK_2D, tmp_path, other, overwrite=True)
    assert (tmp_path / "poses2d.smooth.npz").read_bytes() != first
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mine.txt", "poses2d.npz", "poses2d.smooth.npz", "report.html",
    ]  # fmt: skip


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run_chain(WALK_2D, tmp_path / name, GAUSSIAN)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_faults_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such video"):
        run_chain(WALK_2D, tmp_path / "out", GAUSSIAN, video=tmp_path / "no.mp4")
    nobody = WALK_2D.select_people([])
    with pytest.raises(DataError, match="nothing to smooth"):
        run_chain(nobody, tmp_path / "out", GAUSSIAN)
    missing = ChainConfig.model_validate({"steps": [{"kind": "smooth", "model": "no-such-model"}]})
    with pytest.raises(CheckpointError, match="no-such-model"):
        run_chain(WALK_2D, tmp_path / "out", missing)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file"):
        run_chain(WALK_2D, tmp_path / "file", GAUSSIAN)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_demo_is_a_run_on_the_shipped_clip(tmp_path: Path) -> None:
    clip = demo_clip()
    shown = demo(tmp_path / "demo")
    run_chain(read_poses(clip.keypoints), tmp_path / "run", video=clip.video, title="A walking woman, smoothed")
    for path in shown.files.values():
        assert path.read_bytes() == (tmp_path / "run" / path.name).read_bytes()


def test_the_demo_smooths_a_real_person(tmp_path: Path) -> None:
    result = demo(tmp_path / "demo")
    assert np.isnan(result.before.positions[0, :6]).all()  # she comes from behind a tree
    assert np.isnan(result.after.positions[0, :6]).all()
    assert np.isfinite(result.after.positions[0, 6:]).all()
    (person,) = result.harm.people
    assert person.frames == 112
    assert person.acceleration.ratio is not None
    assert person.acceleration.ratio < 0.5
    assert person.verdict != "harm"
    entry = result.after.history[-1]
    assert entry["model"] == "smoothnet-general-w32"
    assert len(entry["model_sha256"]) == 64


def test_notes_reach_the_page(tmp_path: Path) -> None:
    positions = WALK_2D.positions.copy()
    positions[0, 20:23] = np.nan
    result = run_chain(WALK_2D.replace(positions=positions), tmp_path / "out", GAUSSIAN)
    (note,) = [note for note in result.notes if "interpolated" in note]
    assert note in result.files["report"].read_text(encoding="utf-8")


def test_a_poses_file_of_a_run_can_be_run_again(tmp_path: Path) -> None:
    first = run_chain(WALK_3D, tmp_path / "a", GAUSSIAN)
    second = run_chain(read_poses(first.files["smooth"]), tmp_path / "b", GAUSSIAN)
    assert [entry["verb"] for entry in second.after.history].count("smooth") == 2
    write_poses(second.after, tmp_path / "again.npz")
    assert json.dumps(read_poses(tmp_path / "again.npz").history)
