"""Chains that recognize actions: what is written, what the page says, and what poses cannot be recognized in."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from poseworks.core import write_poses
from poseworks.core.cli import run as run_command_line
from poseworks.core.errors import DataError, SkeletonError
from poseworks.core.testing import walking_poses
from poseworks.pipeline import ChainConfig, FilterStep, LiftStep, RecognizeStep, default_chain, run_chain
from poseworks.pipeline.cli import app
from poseworks.skeleton_action import load, recognize
from poseworks.skeleton_action.settings import RecognizeSettings
from poseworks.temporal.filters import Gaussian
from poseworks.temporal.smoothing import smooth

SMOOTH = FilterStep(filter=Gaussian(sigma_frames=2))
ACTIONS = RecognizeStep()
WALK = walking_poses(90, 2, dims=2, rng=np.random.default_rng(1), noise=2.0)
UNKNOWN = WALK.replace(skeleton="custom", joint_names=tuple(f"joint {number}" for number in range(17)))

Capture = pytest.CaptureFixture[str]


def status(*words: object) -> int:
    return run_command_line(app, [str(word) for word in words])


def test_actions_are_those_of_the_smoothed_poses(tmp_path: Path) -> None:
    result = run_chain(WALK, tmp_path / "out", ChainConfig(steps=(SMOOTH, ACTIONS)))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "poses2d.npz", "poses2d.smooth.npz", "actions.csv", "report.html",
    }  # fmt: skip
    settings = RecognizeSettings(window_s=1.5, stride_s=0.5)
    alone = recognize(smooth(WALK, SMOOTH.filter).poses, load(ACTIONS.model), settings).timelines
    assert result.timelines is not None
    assert [line.segments for line in result.timelines] == [line.segments for line in alone]
    rows = list(csv.DictReader(result.files["actions"].open(encoding="utf-8")))
    assert len(rows) == sum(len(line.moments) for line in alone)
    assert {row["person"] for row in rows} == {"0", "1"}


def test_recognizing_is_no_change_of_the_motion(tmp_path: Path) -> None:
    alone = run_chain(WALK, tmp_path / "alone", ChainConfig(steps=(ACTIONS,)))
    assert alone.harm is None
    np.testing.assert_array_equal(alone.after.positions, WALK.positions)
    both = run_chain(WALK, tmp_path / "both", ChainConfig(steps=(SMOOTH, ACTIONS)))
    assert both.harm == run_chain(WALK, tmp_path / "smooth", ChainConfig(steps=(SMOOTH,))).harm


def test_the_page_shows_a_lane_a_person_and_the_segments(tmp_path: Path) -> None:
    result = run_chain(WALK, tmp_path / "out", ChainConfig(steps=(ACTIONS,)))
    page = result.files["report"].read_text(encoding="utf-8")
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    (timeline,) = data["timelines"]
    assert [lane["title"] for lane in timeline["lanes"]] == ["person 0", "person 1"]
    assert result.timelines is not None
    assert [span["label"] for span in timeline["lanes"][0]["spans"]] == [
        segment.label for segment in result.timelines[0].segments
    ]
    assert "What was recognised" in page


def test_poses_that_cannot_be_recognized_get_a_note_or_an_error(tmp_path: Path) -> None:
    noted = run_chain(UNKNOWN, tmp_path / "out", ChainConfig(steps=(RecognizeStep(optional=True),)))
    assert noted.timelines is None
    assert any(note.startswith("no actions recognized: ") for note in noted.notes)
    assert not (tmp_path / "out" / "actions.csv").exists()
    with pytest.raises((DataError, SkeletonError)):
        run_chain(UNKNOWN, tmp_path / "other", ChainConfig(steps=(ACTIONS,)))
    assert not (tmp_path / "other").exists()


def test_actions_come_once_and_before_lifting() -> None:
    with pytest.raises(ValueError, match="put the step recognize before the step lift"):
        ChainConfig(steps=(LiftStep(), ACTIONS))
    with pytest.raises(ValueError, match="actions are recognized once"):
        ChainConfig(steps=(ACTIONS, ACTIONS))
    kinds = [step.kind for step in default_chain().steps]
    assert kinds == ["unswap", "smooth", "recognize", "lift", "fit"]
    assert [step.kind for step in default_chain(recognize=None, lift=None, fit=None).steps] == ["unswap", "smooth"]


def test_the_command_leaves_actions_out_names_a_model_and_refuses_both(tmp_path: Path, capsys: Capture) -> None:
    poses = tmp_path / "poses.npz"
    write_poses(WALK, poses)
    common = ("run", poses, "--no-lift", "--no-body", "--filter", "gaussian:sigma_frames=2", "--json")
    assert status(*common, "-o", tmp_path / "with") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [person["person"] for person in shown["actions"]["timelines"]] == [0, 1]
    assert status(*common, "-o", tmp_path / "without", "--no-recognize") == 0
    assert json.loads(capsys.readouterr().out)["actions"] is None
    assert not (tmp_path / "without" / "actions.csv").exists()
    assert status(*common, "-o", tmp_path / "none", "--no-recognize", "--action-model", "x3d-shallow-open") == 2
    assert "leaves out what --action-model speaks of" in capsys.readouterr().err
    assert status(*common, "-o", tmp_path / "none", "--action-model", tmp_path / "nothing") == 2
    chain = tmp_path / "chain.toml"
    chain.write_text('[[steps]]\nkind = "recognize"\n')
    assert status("run", poses, "-o", tmp_path / "none", "--config", chain, "--no-recognize") == 2
    assert "write a step of kind recognize into the file" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_3d_poses_are_not_asked_for_actions_unless_by_name(tmp_path: Path, capsys: Capture) -> None:
    poses = tmp_path / "poses.npz"
    write_poses(walking_poses(60, rng=np.random.default_rng(0)), poses)
    assert status("run", poses, "-o", tmp_path / "out", "--filter", "gaussian:sigma_frames=2", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["actions"] is None
    assert not any("actions" in note for note in shown["notes"])
    assert status("run", poses, "-o", tmp_path / "other", "--recognize") == 2
