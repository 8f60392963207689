"""The command `poseworks`: verbs, output for people and programs, exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from poseworks.core import read_poses, write_poses
from poseworks.core.cli import run as run_command_line
from poseworks.core.testing import walking_poses
from poseworks.keypoints.models import landmark_file
from poseworks.pipeline import Clip, demo_clip, demonstration
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
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demonstration, "demo_clip", lambda: Clip(clip, clip))  # a shorter one
    assert status("demo", "--no-body") == 0
    assert status("demo", "--no-body") == 0
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
    assert Path("poseworks-demo/body.npz").is_file()


def test_run_writes_and_tells(tmp_path: Path, poses_file: Path, capsys: Capture) -> None:
    assert (
        status("run", poses_file, "-o", tmp_path / "out", "--filter", "gaussian:sigma_frames=2", "--no-body", "--json")
        == 0
    )
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert sorted(found) == ["actions", "body", "files", "harm", "lifted", "notes"]
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--every", "5", "--threads", "2"], "--every, --threads: for recordings"),
        (["--people", "2"], "by_order"),
        (["--config", "chain.toml", "--no-unswap"], "write a step of kind unswap into it"),
    ],
)
def test_what_poses_have_no_use_for_is_refused(
    tmp_path: Path, poses_file: Path, capsys: Capture, words: list[str], message: str
) -> None:
    assert status("run", poses_file, "-o", tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--unit", "m", "--image-size", "3x4"], "--image-size, --unit: for poses"),
        (["--video", "other.mp4"], "Leave --video out"),
        (["--people", "by_order"], "expected all, or a number"),
        (["--every", "0"], "expected 1 or more"),
        (["--fps", "25"], "states the times"),
        (["--skeleton", "martian"], "martian"),
        (["--network", "huge"], "huge"),
        (["--filter", "mean:window=3"], "mean"),
    ],
)
def test_what_a_recording_has_no_use_for_is_refused(
    tmp_path: Path, clip: Path, capsys: Capture, words: list[str], message: str
) -> None:
    assert status("run", clip, "-o", tmp_path / "out", *words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_run_takes_a_recording(tmp_path: Path, clip: Path, capsys: Capture) -> None:
    words = ["--every", "5", "--people", "1", "--skeleton", "coco17", "--filter", "gaussian:sigma_frames=1", "--world"]
    assert status("run", clip, "-o", tmp_path / "out", *words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found["files"]) == ["actions", "body", "lifted", "poses", "report", "smooth", "world"]
    poses = read_poses(found["files"]["smooth"])
    assert (poses.skeleton, poses.num_people, poses.num_frames) == ("coco17", 1, 26)
    assert np.isfinite(poses.positions).all()


def test_what_is_neither_recording_nor_poses_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "notes.mp4").write_text("not a video\n" * 50)
    (tmp_path / "empty").mkdir()
    sound(tmp_path / "sound.mp4")
    expected = {
        str(tmp_path / "notes.mp4"): "neither a recording nor poses. As a recording: is no recording",
        str(tmp_path / "sound.mp4"): "holds only sound",
        str(tmp_path / "empty"): "a folder without pictures",
        str(tmp_path / "missing.mp4"): "does not exist",
        "https://example.org/walk.mp4": "is an address, not a file",
    }
    for name, message in expected.items():
        assert status("run", name, "-o", tmp_path / "new" / "out") == 2
        captured = capsys.readouterr()
        assert captured.err.startswith(f"error: {name}: ")
        assert message in captured.err
        assert captured.err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def sound(path: Path) -> None:
    """A second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, poses_file: Path, capsys: Capture
) -> None:
    (tmp_path / "file").write_text("")
    assert status("run", poses_file, "-o", tmp_path / "file" / "out") == 2
    assert "cannot be written (Not a directory)" in capsys.readouterr().err


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
    capsys.readouterr()
    (tmp_path / "noise.txt").write_text("noise")
    assert status("inspect", tmp_path / "noise.txt") == 2
    message = capsys.readouterr().err
    assert all(words in message for words in ("As a recording:", "As poses:", "As weights:"))


def test_inspect_knows_recordings_and_networks(clip: Path, capsys: Capture) -> None:
    assert status("inspect", clip, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["what"], found["size"], found["fps"]) == ("recording", [1280, 380], 30)
    assert status("inspect", landmark_file("full"), "--json") == 0
    assert "network" in json.loads(capsys.readouterr().out)["what"]


def test_models_lists_what_is_shipped(capsys: Capture) -> None:
    assert status("models", "--json") == 0
    out = capsys.readouterr().out
    assert "smoothnet-general-w32" in out
    assert "pose_landmark_full" in out


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
