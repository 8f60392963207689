"""Files for browsers: what is written is what PyAV reads back, and a file is the old one or the new one."""

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.video import open_video, plays_in_browser, write_preview, write_video
from poseworks.core.video.reading import VideoInfo

av = pytest.importorskip("av")

Rgb = NDArray[np.uint8]


def smooth(number: int, width: int = 64, height: int = 48) -> Rgb:
    """A ramp that says which frame it is by its blue."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[..., 0] = np.arange(width) * (200 / max(width, height))
    rgb[..., 1] = np.arange(height)[:, None] * (200 / max(width, height))
    rgb[..., 2] = 10 * number
    return rgb


def decoded(path: Path) -> tuple[list[Rgb], list[float]]:
    """Frames and times of a file, by PyAV alone."""
    with av.open(str(path)) as container:
        pairs = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode(video=0)]
    return [rgb for rgb, _ in pairs], [time for _, time in pairs]


def boxes(path: Path) -> list[str]:
    """Names of the boxes at the top of an mp4 file."""
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        names.append(data[at + 4 : at + 8].decode())
        at += int.from_bytes(data[at : at + 4], "big")
    return names


class TestWriteVideo:
    @pytest.mark.parametrize(("fps", "rate"), [(30, "30/1"), (29.97002997, "30000/1001"), (12.5, "25/2"), (0.5, "1/2")])
    def test_frames_at_an_even_rate(self, tmp_path: Path, fps: float, rate: str) -> None:
        frames = [smooth(n) for n in range(8)]
        write_video(tmp_path / "a.mp4", frames, fps=fps)
        found, times = decoded(tmp_path / "a.mp4")
        np.testing.assert_allclose(np.array(found, int), frames, atol=12)
        assert np.abs(np.array(found, int) - frames).mean() < 3
        np.testing.assert_allclose(times, np.arange(8) / fps, atol=1e-4)
        with av.open(str(tmp_path / "a.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
            assert Fraction(str(stream.average_rate)) == Fraction(rate)
        order = boxes(tmp_path / "a.mp4")
        assert order.index("moov") < order.index("mdat")  # plays before it is loaded

    def test_uneven_times_are_kept(self, tmp_path: Path) -> None:
        times = [0.0, 0.1, 0.15, 0.9, 0.9001, 3.0]
        write_video(tmp_path / "a.mp4", (smooth(n) for n in range(6)), times=iter(times))
        np.testing.assert_allclose(decoded(tmp_path / "a.mp4")[1], times, atol=1 / 90000)
        with open_video(tmp_path / "a.mp4") as video:
            assert [round(float(frame.rgb[..., 2].mean()) / 10) for frame in video.frames()] == list(range(6))

    @pytest.mark.parametrize("size", [(1, 1), (427, 241), (64, 3)])
    def test_odd_sizes_repeat_the_last_column_and_row(self, tmp_path: Path, size: tuple[int, int]) -> None:
        rgb = smooth(3, *size)
        write_video(tmp_path / "a.mp4", [rgb, rgb], fps=10)
        found, _ = decoded(tmp_path / "a.mp4")
        width, height = size
        assert found[0].shape == (height + height % 2, width + width % 2, 3)
        assert np.abs(found[0][:height, :width].astype(int) - rgb).mean() < 4
        np.testing.assert_allclose(found[0][-1].astype(int), found[0][-1 - height % 2], atol=8)

    @pytest.mark.parametrize(
        ("frames", "options", "message"),
        [
            ([], {"fps": 5}, r"frames: expected at least one, got none\."),
            ([np.zeros((4, 4), np.uint8)], {"fps": 5}, r"expected \(H, W, 3\) uint8, got \(4, 4\) uint8\."),
            ([np.zeros((4, 4, 3))], {"fps": 5}, r"expected \(H, W, 3\) uint8, got \(4, 4, 3\) float64\."),
            ([np.zeros((0, 4, 3), np.uint8)], {"fps": 5}, r"expected \(H, W, 3\) uint8, got \(0, 4, 3\)"),
            ([smooth(1), smooth(1, 32)], {"fps": 5}, r"expected one size, \(48, 64\), got \(48, 32\)\. Scale them"),
            ([smooth(1)] * 2, {"times": [0.0, 0.0]}, r"times: expected finite, rising seconds, got 0\.0\. Sort"),
            ([smooth(1)] * 2, {"times": [0.0, float("nan")]}, r"expected finite, rising seconds, got nan"),
            ([smooth(1)] * 2, {"times": [0.0]}, "times: expected one for each frame, got another number of them"),
            ([smooth(1)], {"times": [0.0, 0.1]}, "times: expected one for each frame, got another number of them"),
        ],
    )
    def test_what_cannot_be_written_leaves_the_old_file(
        self, tmp_path: Path, frames: list[Any], options: Any, message: str
    ) -> None:
        (tmp_path / "a.mp4").write_bytes(b"old")
        with pytest.raises(DataError, match=message):
            write_video(tmp_path / "a.mp4", frames, **options)
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.mp4", b"old")]

    def test_an_error_of_the_source_comes_out_and_leaves_the_old_file(self, tmp_path: Path) -> None:
        def broken() -> Any:
            yield smooth(0)
            raise ValueError("of the caller")

        (tmp_path / "a.mp4").write_bytes(b"old")
        for options in ({"fps": 3}, {"times": [0.0, 1.0]}):
            with pytest.raises(ValueError, match="of the caller"):
                write_video(tmp_path / "a.mp4", broken(), **options)
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.mp4", b"old")]

    def test_options_are_checked(self, tmp_path: Path) -> None:
        for options in ({}, {"fps": 5.0, "times": [0.0]}):
            with pytest.raises(ConfigError, match=r"expected either fps or times\. Leave one of them out\."):
                write_video(tmp_path / "a.mp4", [smooth(0)], **options)  # type: ignore[arg-type]
        for fps in (0, -3, float("nan"), float("inf"), 1e-9):
            with pytest.raises(ConfigError, match=r"fps: expected a number from 0\.01 to 90000, got "):
                write_video(tmp_path / "a.mp4", [smooth(0)], fps=fps)
        with pytest.raises(DataError, match=r"the folder .*none does not exist\. Create it first\."):
            write_video(tmp_path / "none" / "a.mp4", [smooth(0)], fps=5)

    def test_a_full_disk_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object, **__: object) -> Any:
            raise av.error.OSError(28, "No space left on device", "file:a.mp4")

        monkeypatch.setattr(av, "open", full)
        with pytest.raises(DataError, match=r"a\.mp4: cannot be written \(No space left on device\)\. Nothing was"):
            write_video(tmp_path / "a.mp4", [smooth(0)], fps=5)
        assert list(tmp_path.iterdir()) == []


class TestPreview:
    def test_frames_and_times_are_those_of_the_source(self, tmp_path: Path) -> None:
        times = [0.0, 0.2, 0.25, 1.0, 1.04]
        write_video(tmp_path / "source.mp4", [smooth(n) for n in range(5)], times=times)
        write_preview(tmp_path / "source.mp4", tmp_path / "preview.mp4")
        found, seconds = decoded(tmp_path / "preview.mp4")
        np.testing.assert_allclose(seconds, times, atol=2 / 90000)
        assert np.abs(np.array(found, int) - [smooth(n) for n in range(5)]).mean() < 3
        with open_video(tmp_path / "preview.mp4") as video:
            assert plays_in_browser(video.info)

    @pytest.mark.parametrize(
        ("size", "max_side", "expected"),
        [((64, 48), 32, (32, 24)), ((48, 64), 32, (24, 32)), ((64, 48), 1280, (64, 48)), ((65, 49), 65, (66, 50)),
         ((65, 49), 33, (32, 24)), ((100, 1), 10, (10, 2)), ((64, 48), 2, (2, 2))],
    )  # fmt: skip
    def test_large_ones_are_scaled_down_and_small_ones_stay(
        self, tmp_path: Path, size: tuple[int, int], max_side: int, expected: tuple[int, int]
    ) -> None:
        with av.open(str(tmp_path / "a.mkv"), "w") as output:
            stream = output.add_stream("ffv1", rate=10)
            stream.width, stream.height, stream.pix_fmt = *size, "bgr0"
            for number in range(3):
                output.mux(stream.encode(av.VideoFrame.from_ndarray(smooth(number, *size), format="rgb24")))
            output.mux(stream.encode(None))
        write_preview(tmp_path / "a.mkv", tmp_path / "a.mp4", max_side=max_side)
        assert decoded(tmp_path / "a.mp4")[0][0].shape[1::-1] == expected

    def test_the_preview_is_upright(self, tmp_path: Path) -> None:
        write_video(tmp_path / "a.mp4", [smooth(1)], fps=5)
        data = bytearray((tmp_path / "a.mp4").read_bytes())
        at = data.index(b"tkhd") + 44
        one = 1 << 16
        numbers = (0, one, 0, -one, 0, 0, 0, 0, 1 << 30)  # a quarter turn clockwise
        data[at : at + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
        (tmp_path / "a.mp4").write_bytes(data)
        write_preview(tmp_path / "a.mp4", tmp_path / "b.mp4")
        found = decoded(tmp_path / "b.mp4")[0][0]
        assert np.abs(found.astype(int) - np.rot90(smooth(1), -1)).mean() < 4

    def test_errors_name_what_is_wrong(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"max_side: expected 2 or more pixels, got 1\."):
            write_preview(tmp_path / "a.mp4", tmp_path / "b.mp4", max_side=1)
        with pytest.raises(DataError, match=r"a\.mp4: does not exist"):
            write_preview(tmp_path / "a.mp4", tmp_path / "b.mp4")
        assert list(tmp_path.iterdir()) == []


MP4, WEBM = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"


@pytest.mark.parametrize(
    ("name", "container", "codec", "pixels", "expected"),
    [
        ("a.mp4", MP4, "h264", "yuv420p", True),
        ("a.MOV", MP4, "h264", "yuvj420p", True),
        ("a.m4v", MP4, "h264", "yuv420p", True),
        ("a.webm", WEBM, "vp8", "yuv420p", True),
        ("a.webm", WEBM, "vp9", "yuv420p", True),
        ("a.mp4", MP4, "av1", "yuv420p", True),
        ("a.mp4", MP4, "hevc", "yuv420p", False),
        ("a.mp4", MP4, "h264", "yuv420p10le", False),
        ("a.mp4", MP4, "h264", "yuv444p", False),
        ("a.mkv", WEBM, "h264", "yuv420p", False),
        ("a.webm", WEBM, "h264", "yuv420p", False),
        ("a.mp4", WEBM, "h264", "yuv420p", False),
        ("a.avi", "avi", "h264", "yuv420p", False),
        ("folder", "folder", "png", "rgb24", False),
    ],
)
def test_what_browsers_play(name: str, container: str, codec: str, pixels: str, expected: bool) -> None:
    info = VideoInfo(
        path=Path(name), size=(64, 48), fps=30, stated_frames=None, rotation=0, codec=codec, pixel_format=pixels,
        container=container,
    )  # fmt: skip
    assert plays_in_browser(info) is expected


@pytest.mark.parametrize(
    ("suffix", "encoder", "expected"),
    [("mp4", "libx264", True), ("webm", "libvpx-vp9", True), ("webm", "libvpx", True), ("mp4", "libsvtav1", True),
     ("mkv", "libx264", False), ("mp4", "mpeg4", False)],
)  # fmt: skip
def test_names_of_codecs_are_those_that_files_have(
    tmp_path: Path, suffix: str, encoder: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SVT_LOG", "0")  # SVT-AV1 writes to stderr by itself
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as output:
        stream = output.add_stream(encoder, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(smooth(1, 64, 64), format="rgb24")))
        output.mux(stream.encode(None))
    with open_video(path) as video:
        info = video.info
    assert plays_in_browser(info) is expected
    assert plays_in_browser(dataclasses.replace(info, path=path.with_suffix(".avi"))) is False
