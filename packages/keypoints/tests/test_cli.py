"""The command, as a stranger would call it: files in, files out, and what it says on the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from poseworks.core import read_poses, write_poses
from poseworks.core.cli import run
from poseworks.core.files import sha256
from poseworks.core.video import open_video, write_video
from poseworks.keypoints import DetectSettings, find_people
from poseworks.keypoints.cli import app
from poseworks.keypoints.models import detector_file, landmark_file

DATA = Path(__file__).parent / "data"
COMMAND = [sys.executable, "-c", "from poseworks.keypoints.cli import main; main()"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames of a man who faces the camera."""
    path = tmp_path_factory.mktemp("clips") / "jacks.mp4"
    with open_video(DATA / "jumping_jacks.mp4") as video:
        write_video(path, [frame.rgb for frame in video.frames() if frame.index < 8], fps=30)
    return path


def done(*arguments: object) -> None:
    assert run(app, ["detect", *map(str, arguments)]) == 0


def test_people_are_written_and_described(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done(clip, "-o", tmp_path / "out.npz")
    poses, expected = read_poses(tmp_path / "out.npz"), find_people(clip).poses
    np.testing.assert_array_equal(poses.positions, expected.positions)
    np.testing.assert_array_equal(poses.confidence, expected.confidence)
    assert (poses.skeleton, poses.unit, poses.frame, poses.image_size) == ("blazepose33", "px", "image", (560, 476))
    assert list(poses.history) == list(expected.history)
    out, err = capsys.readouterr()
    assert f"{tmp_path / 'out.npz'}: 8 frames of 560x476 at 30 fps, blazepose33" in out
    assert "frames seen" in out
    assert err == ""
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_options_are_those_of_the_settings(clip: Path, tmp_path: Path) -> None:
    options = ["--people", "1", "--every", "5", "--skeleton", "coco17", "--no-unswap", "--threads", "1", "-q"]
    done(clip, "-o", tmp_path / "out.npz", *options)
    expected = find_people(clip, DetectSettings(1, 5, "coco17", unswap=False)).poses
    poses = read_poses(tmp_path / "out.npz")
    np.testing.assert_array_equal(poses.positions, expected.positions)
    assert [dict(entry) for entry in poses.history] == json.loads(json.dumps([dict(e) for e in expected.history]))


def test_json_is_one_object_and_nothing_else(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.npz"
    done(clip, "-o", output, "--json", "--world", "--every", "4")
    out, err = capsys.readouterr()
    assert err == ""
    assert len(out.splitlines()) == 1
    content = json.loads(out)
    assert content["output"] == str(output)
    assert content["world"] == str(tmp_path / "out.world.npz")
    assert (content["frames"], content["frames_looked_at"], content["fps"]) == (8, 3, 30)
    assert (content["image_size"], content["skeleton"], content["notes"]) == ([560, 476], "blazepose33", [])
    (person,) = content["people"]
    assert {name: person[name] for name in ("id", "frames", "first_s")} == {"id": 0, "frames": 3, "first_s": 0}
    assert person["last_s"] == pytest.approx(7 / 30)
    assert 0.9 < person["confidence"] <= 1
    networks = content["history"][0]["settings"]["networks"]
    assert networks == {path.name: sha256(path) for path in (detector_file(), landmark_file("full"))}


def test_the_network_s_3d_is_a_second_file_that_says_what_it_is(clip: Path, tmp_path: Path) -> None:
    done(clip, "-o", tmp_path / "out.npz", "--world", "-q")
    poses, world = read_poses(tmp_path / "out.npz"), read_poses(tmp_path / "out.world.npz")
    assert (world.unit, world.frame, world.positions.shape) == ("m", "root", (1, 8, 33, 3))
    assert world.history[0]["output"] == "the network's own 3D landmarks, a guess from one view; not measured"
    hips = world.positions[0, :, [23, 24]].mean(axis=0)
    assert np.abs(hips).max() < 0.05
    upright = world.positions[0, :, [27, 28]].mean(axis=0) - world.positions[0, :, 0]
    assert 1 < upright[:, 1].mean() < 2  # from nose to ankles, y down
    np.testing.assert_array_equal(world.confidence, poses.confidence)


def test_other_formats_by_their_suffix(clip: Path, tmp_path: Path) -> None:
    for name in ("out.json", "out.csv"):
        done(clip, "-o", tmp_path / name, "--skeleton", "coco17", "--every", "7", "-q")
        assert (tmp_path / name).stat().st_size > 100
    expected = find_people(clip, DetectSettings(skeleton="coco17", every=7)).poses
    np.testing.assert_allclose(read_poses(tmp_path / "out.csv").positions, expected.positions, atol=0.01)


def test_quiet_says_nothing_and_notes_go_to_stderr(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[: 3 * clip.stat().st_size // 4])
    done(cut, "-o", tmp_path / "out.npz")
    out, err = capsys.readouterr()
    assert "note" not in out
    assert "note: cut.mp4: Truncated: " in err
    done(cut, "-o", tmp_path / "out.npz", "--overwrite", "-q")
    assert capsys.readouterr() == ("", "")


def test_overwrite_replaces_both_files(clip: Path, tmp_path: Path) -> None:
    for name in ("out.npz", "out.world.npz"):
        (tmp_path / name).write_text("old")
    done(clip, "-o", tmp_path / "out.npz", "--world", "--overwrite", "--every", "7", "-q")
    assert read_poses(tmp_path / "out.world.npz").num_frames == read_poses(tmp_path / "out.npz").num_frames == 8


def test_a_file_with_a_camera_s_number_is_a_file(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0").write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    done("0", "-o", "out.npz", "--every", "7", "-q")
    assert read_poses(tmp_path / "out.npz").num_frames == 8


def test_a_network_can_be_named_by_its_file(clip: Path, tmp_path: Path) -> None:
    done(clip, "-o", tmp_path / "out.npz", "--model", landmark_file("full"), "--every", "7", "-q")
    expected = find_people(clip, DetectSettings(every=7)).poses
    np.testing.assert_array_equal(read_poses(tmp_path / "out.npz").positions, expected.positions)


def test_what_was_written_is_read_by_inspect(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_poses(find_people(clip, DetectSettings(every=7)).poses, tmp_path / "out.npz")
    assert run(app, ["inspect", str(tmp_path / "out.npz"), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["what"], content["people"], content["frames"]) == ("poses", 1, 8)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_stopped_leaves_nothing(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """Stopped once both networks are open, in the middle of a long recording."""
    long = tmp_path / "long.mp4"
    frame = np.full((48, 64, 3), 90, np.uint8)
    write_video(long, (frame for _ in range(3000)), fps=30)
    arguments = ["detect", str(long), "-o", str(tmp_path / "out.npz")]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        maps = Path(f"/proc/{command.pid}/maps")
        until = time.monotonic() + 30
        while maps.exists() and time.monotonic() < until and "onnxruntime" not in maps.read_text():
            time.sleep(0.02)
        time.sleep(0.5)
        assert command.poll() is None
        command.send_signal(number)
        out, err = command.communicate(timeout=30)
    assert command.returncode == status
    assert out == ""
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["long.mp4"]
