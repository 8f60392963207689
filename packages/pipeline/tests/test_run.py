"""Chains over poses: what is written, what it says, and what is left alone when something is at fault."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from poseworks.core import H36M_17, PoseSequence, read_poses, write_poses
from poseworks.core.errors import CheckpointError, ConfigError, DataError
from poseworks.core.testing import walking_poses
from poseworks.lifting.settings import DEFAULT_MODEL
from poseworks.pipeline import (
    ChainConfig,
    Clip,
    FilterStep,
    RunResult,
    UnswapStep,
    demo,
    demo_clip,
    demonstration,
    run_chain,
    run_recording,
)
from poseworks.pipeline.steps import AnyStep
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


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The demo."""
    return demo(tmp_path_factory.mktemp("demo") / "out")


def test_the_demo_is_a_run_on_its_clip(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "demo_clip", lambda: Clip(clip, clip))  # a shorter one
    shorter = demo(tmp_path / "demo")
    run_recording(clip, tmp_path / "run", title="A walking woman")
    for path in shorter.files.values():
        assert path.read_bytes() == (tmp_path / "run" / path.name).read_bytes()


def test_the_demo_finds_her_where_another_detector_did(shown: RunResult) -> None:
    stored = read_poses(demo_clip().keypoints)
    distance = np.linalg.norm(shown.before.positions[0] - stored.positions[0], axis=-1)
    assert shown.before.num_people == 1
    assert np.nanmedian(distance) < 1
    np.testing.assert_array_equal(shown.before.observed[0].any(axis=1), stored.observed[0].any(axis=1))


def test_the_demo_smooths_a_real_person(shown: RunResult) -> None:
    assert np.isnan(shown.before.positions[0, :6]).all()  # she comes from behind a tree
    assert np.isnan(shown.after.positions[0, :6]).all()
    assert np.isfinite(shown.after.positions[0, 6:]).all()
    (person,) = shown.harm.people
    assert person.frames == 112
    assert person.acceleration.ratio is not None
    assert person.acceleration.ratio < 0.5
    assert person.verdict != "harm"
    entry = shown.after.history[-1]
    assert entry["model"] == "smoothnet-general-w32"
    assert len(entry["model_sha256"]) == 64


def test_the_demo_lifts_a_real_person(shown: RunResult) -> None:
    """She walks upright to the left, and knees bend forward."""
    assert shown.lifted is not None
    assert (shown.lifted.unit, shown.lifted.frame) == ("normalised", "root")
    assert shown.lifted.history[-1]["model"] == DEFAULT_MODEL
    joints = shown.lifted.positions[0].astype(float)
    assert np.isnan(joints[:6]).all()
    joints = joints[6:]
    at = {name: joints[:, number] for number, name in enumerate(shown.lifted.joint_names)}
    for side in ("left", "right"):
        hip, knee, ankle = (at[f"{side}_{part}"] for part in ("hip", "knee", "ankle"))
        assert (ankle[:, 1] > at["head_top"][:, 1]).all()  # y points down
        assert (knee - (hip + ankle) / 2)[:, 0].mean() < 0
        thigh = np.linalg.norm(knee - hip, axis=-1)
        assert thigh.std() < 0.1 * thigh.mean()
    assert (at["left_hip"] - at["right_hip"])[:, 2].mean() < 0  # her left is nearer to the camera


def test_the_demo_fits_a_body_to_a_real_person(shown: RunResult) -> None:
    """It lies on her, in no frame with a joint bent the wrong way; and it trembles half as much as what was found."""
    assert shown.body is not None
    assert (shown.body.body, shown.body.frame, shown.body.image_size) == ("free", "camera", (1280, 380))
    np.testing.assert_array_equal(shown.body.present[0], np.arange(118) >= 6)
    (figures,) = shown.body_figures
    assert figures["frames"] == 112
    assert figures["median_px"] < 6
    assert figures["bent_the_wrong_way"] == 0
    found = np.linalg.norm(np.diff(shown.before.positions[0], n=2, axis=0), axis=-1)
    assert figures["jitter_after_px"] < np.nanmean(found) / 2
    assert shown.body.history[-1]["settings"]["start"] == "lifted joints"
    page = shown.files["report"].read_text(encoding="utf-8")
    assert "actions recognized, bodies fitted, from walk_side.mp4" in page


def exchanged() -> PoseSequence:
    """The walk with left and right exchanged in the frames 20 to 22."""
    positions = WALK_2D.positions.copy()
    mirrored = list(H36M_17.mirrored)
    positions[0, 20:23] = WALK_2D.positions[0, 20:23][:, mirrored]
    return WALK_2D.replace(positions=positions)


@pytest.mark.parametrize(
    "steps",
    [
        (UnswapStep(), FilterStep(filter=Gaussian(sigma_frames=2))),
        (FilterStep(filter=Gaussian(sigma_frames=2), unswap=True),),
    ],
)
def test_harm_compares_with_left_and_right_put_back(tmp_path: Path, steps: tuple[AnyStep, ...]) -> None:
    given = exchanged()
    result = run_chain(given, tmp_path / "out", ChainConfig(steps=steps))
    expected = run_chain(WALK_2D, tmp_path / "expected", GAUSSIAN)
    np.testing.assert_array_equal(result.after.positions, expected.after.positions)
    assert result.harm == expected.harm
    np.testing.assert_array_equal(read_poses(result.files["poses"]).positions, given.positions)  # as they came
    assert any(note.startswith("person 0: left and right were exchanged in 3 frames") for note in result.notes)


def test_without_a_chain_left_and_right_are_put_back_once(tmp_path: Path) -> None:
    result = run_chain(exchanged(), tmp_path / "a")
    verbs = [entry["verb"] for entry in result.after.history]
    assert verbs == ["repair_swaps", "smooth"]
    again = run_chain(result.after, tmp_path / "b")
    assert [entry["verb"] for entry in again.after.history] == [*verbs, "smooth"]


def test_poses_of_every_fifth_frame_are_filled(tmp_path: Path) -> None:
    positions = np.full_like(WALK_2D.positions, np.nan)
    looked_at = [*range(0, 50, 5), 49]
    positions[:, looked_at] = WALK_2D.positions[:, looked_at]
    sparse = WALK_2D.replace(positions=positions).with_step({"verb": "detect", "settings": {"every": 5}})
    result = run_chain(sparse, tmp_path / "out")
    assert np.isfinite(result.after.positions).all()
    assert result.after.history[-1]["model"] == "deciwatch-general-i5"


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
