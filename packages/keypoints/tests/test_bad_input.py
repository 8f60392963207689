"""Whatever cannot be used: exit status 2, one line that says what is wrong, and no file."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core import read_poses
from poseworks.core.cli import run
from poseworks.core.errors import DataError, PoseworksError
from poseworks.core.video import open_video, write_video
from poseworks.keypoints import commands, detect
from poseworks.keypoints.cli import app

av = pytest.importorskip("av")

DATA = Path(__file__).parent / "data"
EXPECTED = "Expected a video such as mp4, mov, mkv, webm or avi, a picture, or a folder of pictures."


def failure(capsys: pytest.CaptureFixture[str], *arguments: object, verb: str = "detect") -> str:
    """The one line that a faulty command line leaves."""
    assert run(app, [verb, *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err[len("error: ") : -1]


def grey(path: Path, width: int = 64, height: int = 48, frames: int = 6) -> Path:
    write_video(path, [np.full((height, width, 3), 90, np.uint8)] * frames, fps=30)
    return path


def coded(path: Path, width: int, height: int, frames: int, codec: str = "libx264") -> Path:
    """Grey frames, of any size, written by PyAV alone."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=30)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p" if codec == "libx264" else "bgr0"
        for _ in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 90, np.uint8), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def sound(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are no recording of anybody, each with its own fault."""
    folder = tmp_path_factory.mktemp("bad")
    grey(folder / "nobody.mp4")
    coded(folder / "pixel.mkv", 1, 1, 4, "ffv1")
    (folder / "text.mp4").write_text("Nothing moves here.\n" * 50)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "pictures").mkdir()
    (folder / "pictures" / "notes.txt").write_text("no picture")
    sound(folder / "sound.mp4")
    data = (folder / "nobody.mp4").read_bytes()
    at = data.index(b"mdat")
    (size,) = struct.unpack(">I", data[at - 4 : at])
    (folder / "no_frames.mp4").write_bytes(data[: at + 4] + bytes(size - 8) + data[at - 4 + size :])
    clip = (DATA / "jumping_jacks.mp4").read_bytes()
    (folder / "no_end.mp4").write_bytes(clip[: clip.index(b"moov") - 4 if clip.index(b"moov") > 9999 else 500])
    for number, width in ((1, 64), (2, 80)):
        picture(folder / "sizes" / f"{number}.png", width, 48)
    for name, width in (("a", 64), ("b", 96)):
        coded(folder / f"{name}.h264", width, 48, 5)
    (folder / "size_changes.h264").write_bytes((folder / "a.h264").read_bytes() + (folder / "b.h264").read_bytes())
    return folder


def picture(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(exist_ok=True)
    context = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt = width, height, "rgb24"
    context.time_base = Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 90, np.uint8), format="rgb24")
    path.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]))


NOT_READ = {
    "nobody.mp4": "nobody was found in 6 frames (64x48). The detector finds people who are at least ",
    "pixel.mkv": "nobody was found in 4 frames (1x1). The detector finds ",
    "size_changes.h264": "nobody was found in 10 frames (64x48). The detector finds ",
    "sizes": "2.png: 80x48 pixels, but 1.png has 64x48. Pictures of one recording have one size: scale them",
    "text.mp4": f"is no recording that can be read, or its start or end is missing. {EXPECTED}",
    "no_end.mp4": f"is no recording that can be read, or its start or end is missing. {EXPECTED}",
    "empty.mp4": f"is empty. {EXPECTED}",
    "pictures": "a folder without pictures. Expected files that end in .png, ",
    "sound.mp4": f"holds only sound. {EXPECTED}",
    "no_frames.mp4": "none of its frames can be decoded. Convert it again from the",
    "missing.mp4": f"does not exist. {EXPECTED}",
}


@pytest.mark.parametrize("name", NOT_READ)
def test_what_cannot_be_used_is_said_in_one_line(
    folder: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in ([], ["--json"], ["-q", "--every", "3", "--people", "1"]):
        line = failure(capsys, folder / name, "-o", tmp_path / "out.npz", *options)
        assert line.startswith(str(folder / name))
        if not options:
            assert NOT_READ[name] in line
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError) as caught:
        detect(folder / name)
    assert NOT_READ[name] in str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://example.org/a.mp4", "https://example.org/a.mp4", "rtsp://camera/1", "file:///a.mp4"]
)
def test_addresses_are_refused_and_not_opened(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(av, "open", lambda *_, **__: pytest.fail("was opened"))
    line = failure(capsys, address, "-o", tmp_path / "out.npz")
    assert line == (
        f"{address}: is an address, not a file. Recordings are files on this machine: fetch it first and name the file."
    )
    with pytest.raises(DataError, match="is an address, not a file"):
        detect(address)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording that must not be looked at: what is wrong is said before any work."""
    monkeypatch.setattr("poseworks.keypoints.detection._follow", lambda *_: pytest.fail("was looked at"))
    return grey(tmp_path / "clip.mp4")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--people", "0"], "people: expected all, or a number from 1 on, got '0'."),
        (["--people", "few"], "people: expected all, or a number from 1 on, got 'few'."),
        (["--people", "9" * 5000], "people: expected all, or a number from 1 on, got '999"),
        (["--every", "0"], "every: expected 1 or more, got 0."),
        (["--every", "x"], "--every"),
        (["--detector", "x"], "detector: expected blazepose or rtmlib, got 'x'."),
        (["--detector", "rtmlib", "--world"], "--world: this detector gives no 3D. Drop it, or use the detector"),
        (["--skeleton", "coco"], "skeleton: expected one of coco17, "),
        (["--skeleton", "halpe26"], "blazepose33 to halpe26: no rule makes left_big_toe, "),
        (["--model", "x"], "model: expected full, heavy, lite or the path of an .onnx file, got 'x'."),
        (["--model", "missing.onnx"], "missing.onnx: no such file. Expected the path of an .onnx file, or full, "),
        (["--model", "a.tflite"], "a.tflite: convert it first: poseworks-keypoints convert a.tflite -o a.onnx."),
        (["--threads", "0"], "threads: expected 1 to "),
        (["--threads", "100000"], "threads: expected 1 to "),
        (["--fps", "25"], "clip.mp4 states the times of its frames. Leave fps out: it is for pictures."),
        (["--fps", "nan"], "fps: expected a number above 0, got nan."),
        (["--colour"], "--colour"),
        (["second.mp4"], "second.mp4"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_a_faulty_option_is_named_before_any_work(
    clip: Path, options: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in failure(capsys, clip, "-o", clip.parent / "out.npz", *options)
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


def test_a_network_that_is_not_here_says_how_to_get_it(
    clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSEWORKS_WEIGHTS", raising=False)
    line = failure(capsys, clip, "-o", clip.parent / "out.npz", "--model", "heavy")
    assert line.startswith("model heavy: pose_landmark_heavy.onnx is not here. To get it, take ")
    assert "POSEWORKS_WEIGHTS" in line


@pytest.mark.parametrize(
    ("output", "options", "expected"),
    [
        (None, [], "--output: expected the file to write, such as -o tracks.npz."),
        ("clip.mp4", [], "clip.mp4: already exists. Name another output, or allow it with --overwrite."),
        ("clip.mp4", ["--overwrite"], "the suffix '.mp4' names no format for 2D poses; expected .npz, .json, .csv. "),
        ("out", [], "the suffix '' names no format for 2D poses; expected "),
        ("out.trc", [], "the suffix '.trc' names no format for 2D poses; expected "),
        ("out.json", ["--world"], "out.world.json: the suffix '.json' names no format for 3D poses; expected .npz, "),
        ("nowhere/out.npz", [], "nowhere does not exist. Create it first."),
        ("clip.mp4/out.npz", [], "clip.mp4 does not exist. Create it first."),
        ("", ["--world"], "already exists"),
        ("", ["--world", "--overwrite"], "the suffix "),
        ("/", ["--world", "--overwrite"], "the suffix '' names no format"),
    ],
    ids=str,
)
def test_an_output_that_cannot_work_is_refused_before_any_work(
    clip: Path, output: str | None, options: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [] if output is None else ["-o", clip.parent / output]
    assert expected in failure(capsys, clip, *named, *options)
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


def test_an_output_that_exists_stays_as_it_is(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for existing in ("out.npz", "out.world.npz"):
        path = clip.parent / existing
        path.write_text("mine")
        line = failure(capsys, clip, "-o", clip.parent / "out.npz", "--world")
        assert line == f"{path}: already exists. Name another output, or allow it with --overwrite."
        assert path.read_text() == "mine"
        path.unlink()


def test_a_camera_is_meant_to_be_followed_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = failure(capsys, "0", "-o", "out.npz")
    assert line == "0: does not exist. If a camera is meant, add --live; else name a recording."
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def somebody(tmp_path: Path) -> Path:
    with open_video(DATA / "jumping_jacks.mp4") as video:
        write_video(tmp_path / "clip.mp4", [frame.rgb for frame in video.frames() if frame.index < 3], fps=30)
    return tmp_path / "clip.mp4"


@pytest.mark.parametrize("fails", [1, 2])
def test_a_folder_that_cannot_be_written_leaves_neither_file(
    somebody: Path, fails: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk is full at the first file, or at the second."""
    replaced: list[Path] = []
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        replaced.append(self)
        if len(replaced) == fails:
            raise OSError(28, "No space left on device", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    line = failure(capsys, somebody, "-o", somebody.parent / "out.npz", "--world")
    assert "No space left on device" in line
    assert [path.name for path in somebody.parent.iterdir()] == ["clip.mp4"]


def test_a_fault_of_ours_is_called_one_and_leaves_no_file(
    somebody: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "_write", lambda *_: 1 / 0)
    assert run(app, ["detect", str(somebody), "-o", str(somebody.parent / "out.npz")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("internal error: ZeroDivisionError: ")
    assert [path.name for path in somebody.parent.iterdir()] == ["clip.mp4"]


def test_a_truncated_recording_gives_what_is_there_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut after its first fifth; the index stands at the start."""
    with open_video(DATA / "jumping_jacks.mp4") as video:
        write_video(tmp_path / "whole.mp4", [frame.rgb for frame in video.frames() if frame.index < 20], fps=30)
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: 2 * len(data) // 3])
    assert run(app, ["detect", str(tmp_path / "cut.mp4"), "-o", str(tmp_path / "out.npz")]) == 0
    poses = read_poses(tmp_path / "out.npz")
    assert 3 <= poses.num_frames < 20
    assert f"Truncated: {poses.num_frames} of 20 stated frames could be read." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["text.mp4", "empty.mp4", "missing.mp4", "pictures"])
def test_inspect_refuses_the_same(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert str(folder / name) in failure(capsys, folder / name, verb="inspect")


def test_every_error_is_one_of_ours(folder: Path) -> None:
    for name in NOT_READ:
        with pytest.raises(PoseworksError):
            detect(folder / name, people=2, every=2, skeleton="coco17")
