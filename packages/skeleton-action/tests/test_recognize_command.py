"""The verb `recognize`, as a stranger would call it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from poseworks.core import write_poses
from poseworks.core.cli import run
from poseworks.core.skeletons import COCO_17
from poseworks.core.testing import walking_poses
from poseworks.skeleton_action.cli import app
from poseworks.skeleton_action.loading import save
from poseworks.skeleton_action.slowonly import SlowOnly

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def model(small_network: SlowOnly, tmp_path: Path) -> Path:
    save(small_network, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    poses = walking_poses(90, 2, 2, COCO_17, rng=np.random.default_rng(5), noise=1.0)
    write_poses(poses.replace(confidence=0.9 * poses.confidence, person_ids=np.array([3, 8])), tmp_path / "walk.npz")
    return tmp_path / "walk.npz"


def failure(capsys: Capture, *arguments: object) -> str:
    assert run(app, ["recognize", *(str(a) for a in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    return line


def test_without_an_output_it_is_printed(model: Path, walk: Path, capsys: Capture) -> None:
    assert run(app, ["recognize", str(walk), "--model", str(model)]) == 0
    text = capsys.readouterr().out
    assert "person 3" in text
    assert "person 8" in text
    assert "preset fast: 1 clip of the recording" in text
    assert any(label in text for label in ("wave", "bow", "jump"))


def test_windows_become_a_table_a_figure_and_a_page(model: Path, walk: Path, tmp_path: Path, capsys: Capture) -> None:
    paths = ["-o", str(tmp_path / "a.csv"), "--plot", str(tmp_path / "a.svg"), "--report", str(tmp_path / "a.html")]
    windows = ["--window", "1s", "--stride", "500ms", "--model", str(model), "--json"]
    assert run(app, ["recognize", str(walk), *windows, *paths]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["preset"], facts["views"], facts["window_s"], facts["stride_s"]) == ("fast", 1, 1.0, 0.5)
    assert (facts["output"], facts["plot"], facts["report"]) == tuple(
        str(tmp_path / f"a.{e}") for e in ("csv", "svg", "html")
    )
    assert [person["person"] for person in facts["timelines"]] == [3, 8]
    with (tmp_path / "a.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["person"], row["begin_s"]) for row in rows[:2]] == [("3", "0.000"), ("3", "0.500")]
    assert len(rows) == 2 * 6
    assert "person 8" in (tmp_path / "a.svg").read_text()
    assert "person 8" in (tmp_path / "a.html").read_text()
    assert facts["history"]["verb"] == "recognize"


def test_all_people_together_and_looked_at_often(model: Path, walk: Path, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "a.json"
    words = ["--together", "--preset", "accurate", "-o", str(output), "-q"]
    assert run(app, ["recognize", str(walk), "--model", str(model), *words]) == 0
    assert capsys.readouterr().out == ""
    tree = json.loads(output.read_text())
    assert [person["person"] for person in tree["timelines"]] == [None]
    assert tree["history"][-1]["settings"]["clips"] == 10


def test_several_inputs_become_a_folder(model: Path, walk: Path, tmp_path: Path) -> None:
    other = walk.with_name("other.npz")
    other.write_bytes(walk.read_bytes())
    words = ["-o", str(tmp_path / "out"), "--plot", str(tmp_path / "plots"), "-q"]
    assert run(app, ["recognize", str(walk), str(other), "--model", str(model), *words]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["other.csv", "walk.csv"]
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["other.svg", "walk.svg"]


def test_faults_are_one_line_and_leave_no_file(model: Path, walk: Path, tmp_path: Path, capsys: Capture) -> None:
    common = [walk, "--model", model]
    assert "names no format; expected .csv, .json" in failure(capsys, *common, "-o", tmp_path / "a.txt")
    assert "expected a length of time" in failure(capsys, *common, "--window", "two")
    assert "without a window there is nothing to move" in failure(capsys, *common, "--stride", "1s")
    assert "is another output as well" in failure(
        capsys, *common, "--plot", tmp_path / "a.svg", "--report", tmp_path / "a.svg"
    )
    write_poses(walking_poses(20, rng=np.random.default_rng(0)), tmp_path / "deep.npz")
    output = tmp_path / "a.csv"
    assert "3D already" in failure(capsys, tmp_path / "deep.npz", "--model", model, "-o", output)
    assert "the option says limb" in failure(capsys, *common, "--stream", "limb", "-o", output)
    assert not output.exists()
