"""Single pictures: what they show, and what is said of files that are none."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.video import open_video, read_picture, write_picture, write_video

av = pytest.importorskip("av")

Rgb = NDArray[np.uint8]
RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)


def make_picture(path: Path, codec: str, pixels: str) -> Path:
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = RGB.shape[1], RGB.shape[0], pixels
    context.time_base = Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(RGB, format="rgb24").reformat(format=pixels)
    path.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]))
    return path


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_picture(make_picture(tmp_path / "a.png", "png", "rgb24")), RGB)
    lossy = read_picture(make_picture(tmp_path / "a.jpg", "mjpeg", "yuvj444p")).astype(int)
    assert np.abs(lossy - RGB).mean() < 8  # the quality that the encoder takes unasked


@pytest.mark.parametrize("pixels", ["yuvj420p", "yuvj422p", "yuvj444p"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_photographs_are_what_they_are_as_a_recording(tmp_path: Path, pixels: str, orientation: int) -> None:
    data = make_picture(tmp_path / "a.jpg", "mjpeg", pixels).read_bytes()
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0])
    block = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + entry + bytes(4)
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:])
    with open_video(tmp_path / "a.jpg") as video:
        (frame,) = video.frames()
    found = read_picture(tmp_path / "a.jpg")
    assert found.shape == ((48, 64, 3) if orientation < 5 else (64, 48, 3))
    np.testing.assert_array_equal(found, frame.rgb)


def test_a_picture_that_breaks_off_is_refused(tmp_path: Path) -> None:
    whole = make_picture(tmp_path / "a.jpg", "mjpeg", "yuvj444p").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"cut\.jpg: the picture breaks off\. Copy it anew"):
        read_picture(tmp_path / "cut.jpg")
    (tmp_path / "more.jpg").write_bytes(whole + bytes(100))  # some cameras append what they like
    assert read_picture(tmp_path / "more.jpg").shape == RGB.shape
    whole = make_picture(tmp_path / "a.png", "png", "rgb24").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.png: the picture is damaged and cannot be decoded"):
        read_picture(tmp_path / "cut.png")


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder, expected a picture"):
        read_picture(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        read_picture(tmp_path / "nothing.jpg")
    write_video(tmp_path / "a.mp4", [RGB, RGB], fps=10)
    with pytest.raises(DataError, match=r"is a recording .*, expected a picture"):
        read_picture(tmp_path / "a.mp4")
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"text\.jpg"):
        read_picture(tmp_path / "text.jpg")


def test_a_png_holds_every_pixel_and_a_jpg_nearly(tmp_path: Path) -> None:
    y, x = np.mgrid[:33, :47]
    picture = np.stack([5 * x, 7 * y, x + y], axis=-1).astype(np.uint8)
    write_picture(tmp_path / "a.png", picture)
    write_picture(tmp_path / "a.jpg", picture)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), picture)
    np.testing.assert_allclose(read_picture(tmp_path / "a.jpg"), picture.astype(float), atol=6)


def test_pictures_of_other_kinds_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"written as \.png, \.jpg"):
        write_picture(tmp_path / "a.tif", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(DataError, match=r"expected \(H, W, 3\) uint8, got \(2, 2\) uint8"):
        write_picture(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(DataError, match="does not exist"):
        write_picture(tmp_path / "no" / "a.png", np.zeros((2, 2, 3), np.uint8))
    assert not list(tmp_path.iterdir())
