"""The command `poseworks`: verbs, output for people and programs, exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from poseworks.core import read_poses, write_poses
from poseworks.core.cli import run as run_command_line
from poseworks.core.testing import walking_poses
from poseworks.pipeline import demo_clip
from poseworks.pipeline.cli import app

Capture = pytest.CaptureFixture[str]
VERBS = ["demo", "run", "convert", "inspect", "models"]


@pytest.fixture
def poses_file(tmp_path: Path) -> Path:
    path = tmp_path / "walk.npz"
    write_poses(walking_poses(40, dims=2, rng=np.random.default_rng(0), noise=1.0), path)
    return path


def status(*words: object) -> int:
    return run_command_line(app, [str(word) for word in words])


def test_the_demo_into_the_default_folder_can_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert status("demo") == 0
    assert status("demo") == 0
    out = capsys.readouterr().out
    assert "acceleration" in out
    assert "verdict" in out
    assert str(Path("poseworks-demo") / "report.html") in out
    assert status("demo", "-o", "poseworks-demo") == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert "--overwrite" in captured.err
    assert captured.err.count("\n") == 1
    assert status("demo", "-o", "poseworks-demo", "--overwrite", "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_run_writes_and_tells(tmp_path: Path, poses_file: Path, capsys: Capture) -> None:
    assert status("run", poses_file, "-o", tmp_path / "out", "--filter", "gaussian:sigma_frames=2", "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert sorted(found) == ["files", "harm", "notes"]
    assert Path(found["files"]["report"]).is_file()
    before = found["harm"]["people"][0]["acceleration"]
    assert before["after"] < before["before"]


def test_run_with_a_video_and_a_chain(tmp_path: Path, capsys: Capture) -> None:
    config = tmp_path / "chain.toml"
    config.write_text('[[steps]]\nkind = "filter"\nfilter = { kind = "gaussian", sigma_frames = 1 }\n')
    clip = demo_clip()
    assert status("run", clip.keypoints, "--video", clip.video, "-o", tmp_path / "out", "--config", config) == 0
    assert (tmp_path / "out" / "report.html").stat().st_size > clip.video.stat().st_size


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "chain.toml", "--guard"], "whole chain"),
        (["--model", "smoothnet-general-w8", "--filter", "median:window=3"], "takes the place"),
        (["--model", "nothing"], "nothing"),
        (["--filter", "mean:window=3"], "mean"),
        (["--video", "no.mp4"], "no such video"),
        (["--config", "no.toml"], "cannot be read"),
        (["--fps", "60"], "fps"),
        (["--colour", "red"], "colour"),
    ],
)
def test_faults_end_with_one_line_and_no_output(
    tmp_path: Path, poses_file: Path, capsys: Capture, words: list[str], message: str
) -> None:
    assert status("run", poses_file, "-o", tmp_path / "out", *words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_convert_goes_both_ways(tmp_path: Path, capsys: Capture) -> None:
    coco, back = tmp_path / "coco17.json", tmp_path / "back.npz"
    assert status("convert", demo_clip().keypoints, "-o", coco, "--to-skeleton", "coco17") == 0
    assert status("convert", coco, "-o", back, "--fps", "30", "--image-size", "1280x380", "--skeleton", "coco17") == 0
    poses = read_poses(back)
    with np.load(demo_clip().keypoints) as stored:
        expected = stored["coco17"][6:, :, :2]
    np.testing.assert_allclose(poses.positions[0, -112:], expected, atol=1e-3)
    assert status("convert", back, "-o", tmp_path / "x.npz", "--to-skeleton", "martian") == 2
    assert "martian" in capsys.readouterr().err


def test_inspect_tells_poses_from_weights(tmp_path: Path, poses_file: Path, capsys: Capture) -> None:
    assert status("inspect", poses_file, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["what"], found["format"], found["frames"], found["dimensions"]) == ("poses", "poses", 40, 2)
    assert status("inspect", "smoothnet-general-w32", "--json") == 0
    assert json.loads(capsys.readouterr().out)["what"] == "checkpoint"
    (tmp_path / "noise.bin").write_bytes(b"noise")
    assert status("inspect", tmp_path / "noise.bin") == 2


def test_models_lists_what_is_shipped(capsys: Capture) -> None:
    assert status("models", "--json") == 0
    assert "smoothnet-general-w32" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_help_needs_neither_torch_nor_scipy(verb: str) -> None:
    code = (
        "import sys\nfrom poseworks.core.cli import run\nfrom poseworks.pipeline.cli import app\n"
        f"status = run(app, ['{verb}', '--help'])\n"
        "heavy = {'torch', 'scipy', 'pydantic', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"poseworks {verb}" in done.stdout
