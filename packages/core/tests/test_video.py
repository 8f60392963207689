"""Recordings: frames, times, colours and turns of clips made here, and what is said of files that are none."""

import os
import struct
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.video import open_video
from poseworks.core.video.upright import Turn, exif_turn

av = pytest.importorskip("av")

Rgb = NDArray[np.uint8]
RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 180, 40), (20, 40, 190), (230, 230, 230)


def quarters(width: int = 64, height: int = 48) -> Rgb:
    """Red, green / blue, white: no turn or mirroring leaves it as it is."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2], rgb[: height // 2, width // 2 :] = RED, GREEN
    rgb[height // 2 :, : width // 2], rgb[height // 2 :, width // 2 :] = BLUE, WHITE
    return rgb


def numbered(number: int, width: int = 64, height: int = 48) -> Rgb:
    """Grey that says which frame it is: 8 levels a step."""
    return np.full((height, width, 3), 8 * number + 8, np.uint8)


def number_of(rgb: Rgb) -> int:
    return round((float(rgb.mean()) - 8) / 8)


def make_clip(
    path: Path,
    frames: Iterable[Rgb],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    container: str | None = None,
    ticks: Sequence[int] | None = None,
    base: Fraction = Fraction(1, 30),
    **options: str,
) -> Path:
    """A clip written by PyAV alone."""
    with av.open(str(path), "w", format=container, options={"movflags": "+faststart"}) as output:
        stream: Any = None
        for number, rgb in enumerate(frames):
            if stream is None:
                stream = output.add_stream(codec, rate=30, options=options)
                stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], pixels
                stream.codec_context.time_base = base
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number if ticks is None else ticks[number], base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def make_picture(path: Path, rgb: Rgb, codec: str = "png", pixels: str = "rgb24") -> Path:
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = rgb.shape[1], rgb.shape[0], pixels
    context.time_base = Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixels)
    path.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]))
    return path


def read(path: Path, every: int = 1, fps: float | None = None) -> tuple[Any, list[Any]]:
    """The video, closed again, and its frames."""
    with open_video(path, fps=fps) as video:
        return video, list(video.frames(every))


def assert_quarters(rgb: Rgb, expected: Sequence[tuple[int, int, int]], atol: int = 6) -> None:
    """The colours in the middle of each quarter, row by row."""
    height, width = rgb.shape[:2]
    found = [rgb[y, x] for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    np.testing.assert_allclose(np.array(found, int), expected, atol=atol)


class TestFrames:
    def test_all_frames_come_in_order_with_their_times(self, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "a.mp4", [numbered(n) for n in range(25)])
        video, frames = read(path)
        assert [number_of(frame.rgb) for frame in frames] == [frame.index for frame in frames] == list(range(25))
        np.testing.assert_allclose([frame.time for frame in frames], np.arange(25) / 30, atol=1e-9)
        np.testing.assert_array_equal(video.times, [frame.time for frame in frames])
        assert video.notes == ()
        info = video.info
        assert (info.path, info.size, info.fps, info.stated_frames, info.rotation) == (path, (64, 48), 30, 25, 0)
        assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
        assert all(frame.rgb.flags.c_contiguous and frame.rgb.dtype == np.uint8 for frame in frames)

    @pytest.mark.parametrize(
        ("count", "every", "expected"),
        [(11, 5, [0, 5, 10]), (12, 5, [0, 5, 10, 11]), (3, 5, [0, 2]), (1, 5, [0]), (4, 1, [0, 1, 2, 3])],
    )
    def test_every_nth_frame_and_the_last(self, tmp_path: Path, count: int, every: int, expected: list[int]) -> None:
        video, frames = read(make_clip(tmp_path / "a.mp4", [numbered(n) for n in range(count)]), every)
        assert [frame.index for frame in frames] == [number_of(frame.rgb) for frame in frames] == expected
        assert len(video.times) == count  # of the frames between, too

    def test_only_frames_that_are_asked_for_are_converted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = make_clip(tmp_path / "a.mp4", [numbered(n) for n in range(12)])
        with open_video(path) as video:
            converted: list[int] = []
            convert = video._rgb

            def counted(*arguments: Any) -> Rgb:
                converted.append(1)
                return convert(*arguments)

            monkeypatch.setattr(video, "_rgb", counted)
            assert len(list(video.frames(10))) == len(converted) == 3

    def test_frames_are_read_once_and_only_while_open(self, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "a.mp4", [numbered(n) for n in range(4)])
        with open_video(path) as video:
            frames = video.frames()
            next(frames)
            with pytest.raises(ConfigError, match=r"a\.mp4: its frames can be read once\. Open it again\."):
                video.frames()
        with pytest.raises(DataError, match=r"was closed before its end\. Read its frames inside the with block\."):
            next(frames)
        assert len(video.times) == 1

    def test_every_and_fps_are_checked(self, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "a.mp4", [numbered(0)])
        with open_video(path) as video, pytest.raises(ConfigError, match=r"every: expected 1 or more, got 0\."):
            video.frames(0)
        for fps in (0.0, -1.0, float("nan"), float("inf")):
            with pytest.raises(ConfigError, match="fps: expected a number above 0, got "), open_video(path, fps=fps):
                pass
        with pytest.raises(ConfigError, match=r"a\.mp4 states the times of its frames\. Leave fps out"):
            read(path, fps=25)

    def test_nothing_is_kept_but_the_times(self, tmp_path: Path) -> None:
        with open_video(make_clip(tmp_path / "a.mp4", [numbered(n) for n in range(20)])) as video:
            seen = []
            for frame in video.frames():
                seen.append(weakref.ref(frame))
                del frame
                assert sum(ref() is not None for ref in seen) <= 1


class TestTimes:
    @pytest.mark.parametrize("suffix", ["mp4", "mkv"])
    def test_uneven_times_are_those_of_the_container(self, tmp_path: Path, suffix: str) -> None:
        ticks = [0, 33, 67, 200, 210, 900, 1000]
        frames = [numbered(n) for n in range(7)]
        path = make_clip(tmp_path / f"a.{suffix}", frames, ticks=ticks, base=Fraction(1, 1000))
        video, _ = read(path)
        np.testing.assert_allclose(video.times, np.array(ticks) / 1000, atol=1e-9)
        assert video.notes == ()

    def test_the_first_frame_is_at_zero(self, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "a.mkv", [numbered(n) for n in range(5)], ticks=[300, 301, 302, 303, 305])
        np.testing.assert_allclose(read(path)[0].times, np.array([0, 1, 2, 3, 5]) / 30, atol=1e-3)

    def test_a_stream_without_times_has_even_ones_and_a_note(self, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "a.h264", [numbered(n) for n in range(8)], container="h264")
        video, _ = read(path)
        np.testing.assert_allclose(video.times, np.arange(8) / 30, atol=1e-12)
        assert video.notes == ("8 frames without a time: placed at 30 frames per second.",)
        np.testing.assert_allclose(read(path, fps=10)[0].times, np.arange(8) / 10, atol=1e-12)

    def test_avi_with_reordered_frames_has_rising_times(self, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "a.avi", [numbered(n) for n in range(20)], bf="2")
        video, frames = read(path)
        assert [number_of(frame.rgb) for frame in frames] == list(range(20))
        np.testing.assert_allclose(video.times, np.arange(20) / 30, atol=1e-9)
        assert video.notes == ()

    def test_a_clock_that_starts_again_goes_on(self, tmp_path: Path) -> None:
        half = make_clip(tmp_path / "a.ts", [numbered(n) for n in range(10)])
        whole = tmp_path / "b.ts"
        whole.write_bytes(2 * half.read_bytes())
        video, _ = read(whole)
        np.testing.assert_allclose(video.times, np.arange(20) / 30, atol=1e-4)
        assert video.notes == ("The clock starts again 1 time: the frames after it follow on those before it.",)


class TestColours:
    @pytest.mark.parametrize(
        ("codec", "pixels"),
        [
            ("libx264", "yuv420p"), ("libx264", "yuv444p"), ("libx265", "yuv420p10le"), ("ffv1", "yuv422p10le"),
            ("png", "rgba"), ("png", "rgb48be"), ("mjpeg", "yuvj420p"), ("ffv1", "yuva420p"),
            ("qtrle", "argb"),
        ],
    )  # fmt: skip
    def test_colours_are_those_of_the_source(self, tmp_path: Path, codec: str, pixels: str) -> None:
        options: Any = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        name = "a.mov" if codec in ("png", "qtrle") else "a.mkv"
        path = make_clip(tmp_path / name, [quarters()] * 3, codec=codec, pixels=pixels, **options)
        video, frames = read(path)
        assert video.info.pixel_format == pixels
        for frame in frames:
            assert_quarters(frame.rgb, [RED, GREEN, BLUE, WHITE])

    @pytest.mark.parametrize("pixels", ["gray", "gray16le"])
    def test_grey_is_the_same_in_all_channels(self, tmp_path: Path, pixels: str) -> None:
        _, frames = read(make_clip(tmp_path / "a.mkv", [numbered(12)], codec="ffv1", pixels=pixels))
        np.testing.assert_allclose(frames[0].rgb, 104, atol=1)

    @pytest.mark.parametrize("size", [(1, 1), (427, 241), (9, 200), (17, 1)])
    def test_odd_sizes(self, tmp_path: Path, size: tuple[int, int]) -> None:
        for pixels in ("yuv420p", "bgr0"):
            video, frames = read(make_clip(tmp_path / "a.mkv", [numbered(20, *size)] * 2, codec="ffv1", pixels=pixels))
            assert video.info.size == size
            assert frames[1].rgb.shape == (size[1], size[0], 3)
            np.testing.assert_allclose(frames[1].rgb, 168, atol=2)

    def test_a_size_that_changes_is_scaled_to_the_first(self, tmp_path: Path) -> None:
        small = make_clip(tmp_path / "a.h264", [quarters()] * 4, container="h264")
        large = make_clip(tmp_path / "b.h264", [quarters(96, 64)] * 4, container="h264")
        both = tmp_path / "c.h264"
        both.write_bytes(small.read_bytes() + large.read_bytes())
        video, frames = read(both)
        assert video.info.size == (64, 48)
        for frame in frames:
            assert frame.rgb.shape == (48, 64, 3)
            assert_quarters(frame.rgb, [RED, GREEN, BLUE, WHITE])
        assert "The size changes: 4 frames scaled to 64x48, the size of the first." in video.notes


MATRICES = {  # 16.16 numbers a, b, c, d of the header of a track, and the quarters as they are shown
    "as stored": ((1, 0, 0, 1), 0, [RED, GREEN, BLUE, WHITE]),
    "90 clockwise, as phones held upright write it": ((0, 1, -1, 0), 90, [BLUE, RED, WHITE, GREEN]),
    "180": ((-1, 0, 0, -1), 180, [WHITE, BLUE, GREEN, RED]),
    "270 clockwise": ((0, -1, 1, 0), 270, [GREEN, WHITE, RED, BLUE]),
    "mirrored left to right": ((-1, 0, 0, 1), 0, [GREEN, RED, WHITE, BLUE]),
    "mirrored top to bottom": ((1, 0, 0, -1), 180, [BLUE, WHITE, RED, GREEN]),
}


def set_matrix(path: Path, matrix: Sequence[float]) -> None:
    """Overwrites a, b, c, d in the only track header of an mp4 file (ISO 14496-12, 8.3.2, version 0)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (round(value * 65536) for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


class TestUpright:
    @pytest.mark.parametrize("name", MATRICES)
    def test_frames_come_upright(self, tmp_path: Path, name: str) -> None:
        matrix, rotation, expected = MATRICES[name]
        path = make_clip(tmp_path / "a.mp4", [quarters()] * 3)
        set_matrix(path, matrix)
        video, frames = read(path)
        size = (64, 48) if rotation in (0, 180) else (48, 64)
        assert (video.info.size, video.info.rotation) == (size, rotation)
        for frame in frames:
            assert frame.rgb.shape == (size[1], size[0], 3)
            assert frame.rgb.flags.c_contiguous
            assert_quarters(frame.rgb, expected)
        mirrored = ("Stored as a mirror image: frames are mirrored back.",) if "mirrored" in name else ()
        assert video.notes == mirrored

    def test_a_turn_between_quarters_is_rounded_with_a_note(self, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "a.mp4", [quarters()])
        set_matrix(path, (0.1736, 0.9848, -0.9848, 0.1736))  # 80 degrees
        video, _ = read(path)
        assert video.info.rotation == 90
        assert video.notes == ("A rotation that is no quarter turn: frames are turned by 90 degrees.",)

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_photographs_are_turned_as_exif_says(self, tmp_path: Path, orientation: int, order: str) -> None:
        transforms: list[Callable[[Rgb], Rgb]] = [  # from upright to stored: the inverse of what EXIF 2.3 defines
            lambda x: x, np.fliplr, lambda x: np.rot90(x, 2), np.flipud, lambda x: x.transpose(1, 0, 2),
            lambda x: np.rot90(x, 1), lambda x: np.rot90(x, 2).transpose(1, 0, 2), lambda x: np.rot90(x, -1),
        ]  # fmt: skip
        stored = np.ascontiguousarray(transforms[orientation - 1](quarters()))
        path = make_picture(tmp_path / "a.jpg", stored, "mjpeg", "yuvj420p")
        path.write_bytes(with_exif(path.read_bytes(), orientation, order))
        video, frames = read(path)
        assert video.info.size == (64, 48)
        assert_quarters(frames[0].rgb, [RED, GREEN, BLUE, WHITE])

    def test_a_broken_exif_block_is_no_turn(self) -> None:
        whole = with_exif(b"\xff\xd8\xff\xda", 6, ">")
        assert exif_turn(whole) != Turn()
        for end in range(len(whole)):
            assert exif_turn(whole[:end]).matrix in (Turn().matrix, (0, 1, -1, 0))
        assert exif_turn(whole.replace(struct.pack(">HI", 6, 0)[:2] + b"\0\0", b"\0\x63\0\0")) == Turn()


def with_exif(jpeg: bytes, orientation: int, order: str) -> bytes:
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 1)
    block = b"Exif\0\0" + tiff + struct.pack(order + "HHIHHI", 0x0112, 3, 1, orientation, 0, 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


class TestPictures:
    @pytest.mark.parametrize(
        ("suffix", "codec", "pixels"),
        [("png", "png", "rgb24"), ("jpg", "mjpeg", "yuvj444p"), ("JPEG", "mjpeg", "yuvj420p"), ("bmp", "bmp", "bgr24"),
         ("tif", "tiff", "rgb24"), ("tiff", "tiff", "rgb48le"), ("webp", "libwebp", "yuv420p"), ("png", "png", "rgba"),
         ("png", "png", "gray")],
    )  # fmt: skip
    def test_one_picture_is_a_recording_of_one_frame(
        self, tmp_path: Path, suffix: str, codec: str, pixels: str
    ) -> None:
        source = numbered(15) if pixels == "gray" else quarters()
        path = make_picture(tmp_path / f"a.{suffix}", source, codec, pixels)
        for place in (path, tmp_path):
            video, frames = read(place)
            assert (video.info.size, video.info.fps, video.info.stated_frames) == ((64, 48), 30, 1)
            assert video.notes == ()
            assert (len(frames), frames[0].index, frames[0].time) == (1, 0, 0.0)
            np.testing.assert_allclose(frames[0].rgb[4::8, 4::8].astype(int), source[4::8, 4::8], atol=15)

    def test_a_folder_is_read_in_the_order_of_its_numbers(self, tmp_path: Path) -> None:
        for name, number in (("frame10.png", 10), ("frame2.png", 2), ("Frame1.png", 1), ("frame011.PNG", 11)):
            make_picture(tmp_path / name, numbered(number))
        for name in ("notes.txt", "._frame3.png", ".DS_Store"):
            (tmp_path / name).write_text("no picture")
        video, frames = read(tmp_path)
        assert [number_of(frame.rgb) for frame in frames] == [1, 2, 10, 11]
        np.testing.assert_allclose(video.times, np.arange(4) / 30)
        assert (video.info.container, video.info.codec, video.info.stated_frames) == ("folder", "png", 4)
        assert video.notes == ("Pictures state no frame rate: 30 frames per second are assumed.",)

    def test_the_frame_rate_of_a_folder_can_be_stated(self, tmp_path: Path) -> None:
        for number in range(3):
            make_picture(tmp_path / f"{number}.png", numbered(number))
        video, _ = read(tmp_path, every=2, fps=12.5)
        assert (video.info.fps, video.notes) == (12.5, ())
        np.testing.assert_allclose(video.times, np.arange(3) / 12.5)

    def test_pictures_of_other_sizes_are_refused(self, tmp_path: Path) -> None:
        make_picture(tmp_path / "1.png", numbered(1))
        make_picture(tmp_path / "2.png", numbered(1, 48, 64))
        message = r"2\.png: 48x64 pixels, but 1\.png has 64x48\. Pictures of one recording have one size: scale them"
        with pytest.raises(DataError, match=message):
            read(tmp_path)

    def test_a_picture_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        make_picture(tmp_path / "1.png", numbered(1))
        (tmp_path / "2.png").write_text("no picture")
        with pytest.raises(DataError, match=r"2\.png: is no recording that can be read"):
            read(tmp_path)

    def test_a_name_with_a_pattern_is_a_name(self, tmp_path: Path) -> None:
        make_picture(tmp_path / "frame1.png", numbered(1))
        _, frames = read(make_picture(tmp_path / "frame%d.png", numbered(7)))
        assert [number_of(frame.rgb) for frame in frames] == [7]


class TestDamage:
    @pytest.fixture
    def noise(self) -> list[Rgb]:
        """Frames that compress badly, so that the pictures are most of the file."""
        generator = np.random.default_rng(5)
        return list(generator.integers(0, 256, (40, 48, 64, 3), dtype=np.uint8))

    def test_a_truncated_file_gives_what_is_there(self, tmp_path: Path, noise: list[Rgb]) -> None:
        path = make_clip(tmp_path / "a.mp4", noise, bf="0")
        data = path.read_bytes()
        whole = [frame.rgb for frame in read(path)[1]]
        path.write_bytes(data[: len(data) // 2])
        video, frames = read(path)
        assert 10 < len(frames) < 30
        np.testing.assert_array_equal([frame.rgb for frame in frames], whole[: len(frames)])
        assert f"Truncated: {len(frames)} of 40 stated frames could be read." in video.notes

    def test_a_truncated_mkv_says_how_long_it_should_be(self, tmp_path: Path, noise: list[Rgb]) -> None:
        path = make_clip(tmp_path / "a.mkv", noise, base=Fraction(1, 10))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        video, frames = read(path)
        assert 10 < len(frames) < 30
        assert f"Truncated: {video.times[-1] + 1 / video.info.fps:.1f} of " in video.notes[-1]
        assert video.info.stated_frames is None

    def test_damage_in_the_middle_is_passed_over(self, tmp_path: Path, noise: list[Rgb]) -> None:
        path = make_clip(tmp_path / "a.mp4", noise, bf="0", g="5")
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 6000] = bytes(6000)
        path.write_bytes(data)
        video, frames = read(path)
        assert 20 <= len(frames) < 40
        assert frames[-1].time == pytest.approx(39 / 30)
        assert any(note.startswith("Frames are missing: ") for note in video.notes)
        assert not any(note.startswith("Truncated") for note in video.notes)

    def test_frames_that_an_edit_list_leaves_out_are_not_missed(self, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "a.mp4", [numbered(n) for n in range(30)], bf="0")
        data = bytearray(path.read_bytes())
        at = data.index(b"elst") + 12  # duration in 1/1000 s, start in 1/15360 s (ISO 14496-12, 8.6.6)
        data[at : at + 8] = struct.pack(">Ii", 500, 512 * 10)
        path.write_bytes(data)
        video, frames = read(path)
        assert [number_of(frame.rgb) for frame in frames] == list(range(10, 25))
        assert video.notes == ()

    def test_nothing_is_written_to_the_terminal(self, tmp_path: Path, noise: list[Rgb]) -> None:
        path = make_clip(tmp_path / "a.mp4", noise, bf="0")
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + bytes(1000) + data[len(data) // 2 + 1000 : -500])
        code = "import sys; from poseworks.core.video import write_preview; write_preview(*sys.argv[1:])"
        command = [sys.executable, "-c", code, str(path), str(tmp_path / "preview.mp4")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("", "")
        assert len(read(tmp_path / "preview.mp4")[1]) > 5


def mute(path: Path) -> None:
    """A second of silence in an mp4 file."""
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


class TestNoRecording:
    EXPECTED = r"Expected a video such as mp4, mov, mkv, webm or avi, a picture, or a folder of pictures\.$"

    @pytest.mark.parametrize(
        "address",
        ["http://example.org/y.mp4", "rtsp://camera", "pipe:0", "concat:a.mp4|b.mp4", "file:a.mp4", "lavfi:testsrc",
         "tcp://1.2.3.4:5", "data:video/mp4,x"],
    )  # fmt: skip
    def test_addresses_are_refused(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(av, "open", lambda *_, **__: pytest.fail("was opened"))
        message = (
            r"is an address, not a file\. Recordings are files on this machine: fetch it first and name the file\.$"
        )
        with pytest.raises(DataError, match=message), open_video(address):
            pass

    def test_a_file_whose_name_looks_like_an_address_is_a_file(self, tmp_path: Path, monkeypatch: Any) -> None:
        (make_clip(tmp_path / "a.mp4", [numbered(3)])).rename(tmp_path / "concat:b.mp4")
        monkeypatch.chdir(tmp_path)
        assert number_of(read(Path("concat:b.mp4"))[1][0].rgb) == 3

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n"),
            ("a.ffconcat", "ffconcat version 1.0\nfile '{other}'\n"),
            ("a.mp4", "ffconcat version 1.0\nfile '{other}'\n"),
            ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
            ("a.mpd", '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>{other}</BaseURL></Period></MPD>'),
            ("a.avs", "AviSource('{other}')"),
            ("a.txt", "Nothing moves here.\n" * 50),
            ("a.mp4", "x"),
        ],
    )  # fmt: skip
    def test_files_that_name_others_are_refused(self, tmp_path: Path, name: str, text: str) -> None:
        other = make_clip(tmp_path / "other.mp4", [numbered(n) for n in range(5)])
        path = tmp_path / name
        path.write_text(text.format(other=other))
        with pytest.raises(DataError, match=r"is no recording that can be read.*" + self.EXPECTED):
            read(path)

    def test_what_is_no_file_of_pictures_is_named(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", x=np.zeros(1000))
        (tmp_path / "empty.mp4").write_bytes(b"")
        (tmp_path / "folder").mkdir()
        mute(tmp_path / "sound.mp4")
        for name, message in (
            ("a.npz", r"is no recording that can be read, or its start or end is missing\. " + self.EXPECTED),
            ("empty.mp4", r"is empty\. " + self.EXPECTED),
            ("folder", r"a folder without pictures\. Expected files that end in \.png, \.jpg, .*\.webp\.$"),
            ("sound.mp4", r"holds only sound\. " + self.EXPECTED),
            ("missing.mp4", r"does not exist\. " + self.EXPECTED),
            ("empty.mp4/x.mp4", r"cannot be read \(Not a directory\)\. Check its name and whether you may read it\.$"),
            ("x" * 300, r"cannot be read \(File name too long\)\. Check its name"),
            ("a\0b", r"cannot be read \(.*embedded null.*\)\. Check its name"),
        ):
            with pytest.raises(DataError, match=message) as caught:
                read(tmp_path / name)
            assert str(caught.value).startswith(str(tmp_path / name))
        with pytest.raises(DataError, match=r"^'': is neither a file nor a folder"), open_video(""):
            pass

    @pytest.mark.skipif(os.name != "posix", reason="fifos and modes are POSIX's")
    def test_fifos_and_files_that_may_not_be_read(self, tmp_path: Path, monkeypatch: Any) -> None:
        os.mkfifo(tmp_path / "fifo.mp4")
        with pytest.raises(DataError, match=r"is neither a file nor a folder\. " + self.EXPECTED):
            read(tmp_path / "fifo.mp4")
        path = make_clip(tmp_path / "a.mp4", [numbered(0)])

        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "open", refuse)  # root may read everything
        with pytest.raises(
            DataError, match=r"a\.mp4: cannot be read \(Permission denied\)\. Check its name and whether"
        ):
            read(path)

    def test_a_header_without_pictures_behind_it(self, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "a.mp4", [quarters()] * 3)
        data = path.read_bytes()
        path.write_bytes(data[: data.index(b"mdat") + 4])
        with pytest.raises(DataError, match=r"a\.mp4: none of its frames can be decoded\. Convert it again from the"):
            read(path)
        path.write_bytes(data[: data.index(b"moov") - 4])
        with pytest.raises(DataError, match="is no recording that can be read, or its start or end is missing"):
            read(path)

    def test_heic_is_refused_and_not_read_in_parts(self, tmp_path: Path) -> None:
        path = make_clip(tmp_path / "a.heic", [quarters()], container="mp4")
        path.write_bytes(path.read_bytes().replace(b"ftypisom", b"ftypheic"))
        with pytest.raises(DataError, match=r"HEIC pictures are not read\. Save it as JPEG or PNG first\."):
            read(path)

    def test_a_missing_pyav_is_named_with_its_extra(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setitem(sys.modules, "av", None)
        message = r'needs PyAV, which cannot be imported\. Install it: pip install "poseworks-core\[video\]"\.'
        with pytest.raises(ConfigError, match=message), open_video(tmp_path / "a.mp4"):
            pass

    def test_importing_core_does_not_import_av(self) -> None:
        code = "import sys, poseworks.core, poseworks.core.video; print('av' in sys.modules, 'torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["False", "False"]
