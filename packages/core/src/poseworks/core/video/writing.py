"""H.264 files that a browser plays: for previews, and for tests."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import atomic_path
from poseworks.core.video.reading import VideoInfo, open_video
from poseworks.core.video.sources import pyav

_TICKS = 90_000  # a second: what other tools use for uneven times
_EIGHT_BIT = ("yuv420p", "yuvj420p")
_BROWSER_CODECS = {
    ".mp4": ("h264", "vp9", "av1"),
    ".m4v": ("h264",),
    ".mov": ("h264",),
    ".webm": ("vp8", "vp9", "av1"),
}


def plays_in_browser(info: VideoInfo) -> bool:
    """Whether current browsers play the file as it is.

    So with 8 bit 4:2:0 in H.264 (mp4, m4v, mov), VP9 or AV1 (mp4, webm) or VP8 (webm).
    """
    suffix = info.path.suffix.lower()
    family = "webm" if suffix == ".webm" else "mp4"
    return (
        family in info.container.split(",")
        and info.codec in _BROWSER_CODECS.get(suffix, ())
        and info.pixel_format in _EIGHT_BIT
    )


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[NDArray[np.uint8]],
    *,
    fps: float | None = None,
    times: Iterable[float] | None = None,
) -> None:
    """An mp4 file (H.264, yuv420p) of the frames, at an even rate or at the given times.

    An odd width or height is made even by repeating the last column or row.

    Args:
        path: of the file, which is replaced once the new one is complete.
        frames: (H, W, 3) uint8 RGB each, all of one size; taken one by one.
        fps: frames per second; or
        times: rising seconds, one a frame, taken along with the frames.

    Raises:
        ConfigError: not exactly one of `fps` and `times`; `fps` is out of range; PyAV is not installed.
        DataError: no frames, frames of different sizes, times that do not fit, or a file that cannot be written.
    """
    if (fps is None) == (times is None):
        raise ConfigError("write_video: expected either fps or times. Leave one of them out.")
    if fps is not None and not (math.isfinite(fps) and 0.01 <= fps <= _TICKS):
        raise ConfigError(f"fps: expected a number from 0.01 to {_TICKS}, got {fps}.")
    with _encoder(Path(path), None if fps is None else Fraction(fps).limit_denominator(1001)) as encoder:
        for rgb, time in _paired(frames, times):
            encoder.write(rgb, time)


def write_preview(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    max_side: int = 1280,
    fps: float | None = None,
    advance: Callable[[], None] | None = None,
) -> None:
    """The recording `source` as an mp4 file that browsers play: the same frames at the same times, upright.

    Args:
        source: whatever `open_video` reads.
        target: of the mp4 file, which is replaced once the new one is complete.
        max_side: pixels of the longer side; a larger recording is scaled down, a smaller one stays as it is.
        fps: frames per second of pictures, as for `open_video`.
        advance: called after each frame.

    Raises:
        ConfigError: `max_side` is below 2, `fps` does not fit the recording, or PyAV is not installed.
        DataError: `source` cannot be read, or `target` cannot be written.
    """
    if max_side < 2:
        raise ConfigError(f"max_side: expected 2 or more pixels, got {max_side}.")
    with open_video(source, fps=fps) as video, _encoder(Path(target), None, max_side) as encoder:
        for frame in video.frames():
            encoder.write(frame.rgb, frame.time)
            if advance is not None:
                advance()


def _paired(
    frames: Iterable[NDArray[np.uint8]], times: Iterable[float] | None
) -> Iterator[tuple[NDArray[np.uint8], float]]:
    if times is None:
        yield from zip(frames, count(), strict=False)
        return
    try:
        yield from zip(frames, times, strict=True)
    except ValueError as error:
        if "zip()" not in str(error):
            raise
        raise DataError("times: expected one for each frame, got another number of them.") from error


@contextmanager
def _encoder(path: Path, rate: Fraction | None, max_side: int | None = None) -> Iterator[_Encoder]:
    """An encoder to a file that takes the place of `path` at the end."""
    av = pyav()
    with atomic_path(path) as temporary:
        try:
            with av.open(f"file:{temporary}", "w", format="mp4", options={"movflags": "+faststart"}) as container:
                encoder = _Encoder(container, rate, max_side)
                yield encoder
                encoder.finish()
        except av.error.FFmpegError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror}). Nothing was changed.") from error


class _Encoder:
    """Frames into an open container; `write` takes numbers of frames where there is a rate, else seconds."""

    def __init__(self, container: Any, rate: Fraction | None, max_side: int | None) -> None:
        self._container, self._rate, self._max_side = container, rate, max_side
        self._stream: Any = None
        self._shape: tuple[int, ...] = ()
        self._ticks = -1

    def write(self, rgb: NDArray[np.uint8], time: float) -> None:
        """One frame more, at `time`."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
            raise DataError(f"frames: expected (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}.")
        if self._stream is None:
            self._start(rgb.shape)
        if rgb.shape != self._shape:
            raise DataError(f"frames: expected one size, {self._shape[:2]}, got {rgb.shape[:2]}. Scale them first.")
        ticks = round(time) if self._rate is not None else round(time * _TICKS) if math.isfinite(time) else -1
        if ticks <= self._ticks:
            raise DataError(f"times: expected finite, rising seconds, got {time}. Sort the frames by time.")
        self._ticks = ticks
        height, width = rgb.shape[:2]
        if self._size == (width + width % 2, height + height % 2):
            rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = pyav().VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame = frame.reformat(width=self._size[0], height=self._size[1], format="yuv420p", interpolation="AREA")
        frame.pts, frame.time_base = ticks, self._stream.codec_context.time_base
        self._container.mux(self._stream.encode(frame))

    def _start(self, shape: tuple[int, ...]) -> None:
        height, width = shape[:2]
        self._shape = shape
        scale = 1.0 if self._max_side is None else min(1.0, self._max_side / max(width, height))
        if scale < 1:
            self._size = (max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2)))
        else:
            self._size = (width + width % 2, height + height % 2)
        # Without B-frames a browser seeks to the very frame; a key frame every 30 makes it quick.
        options = {"crf": "20", "preset": "veryfast", "bf": "0", "g": "30"}
        self._stream = self._container.add_stream("libx264", rate=self._rate or 30, options=options)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = 1 / self._rate if self._rate is not None else Fraction(1, _TICKS)

    def finish(self) -> None:
        """Writes what the encoder still holds."""
        if self._stream is None:
            raise DataError("frames: expected at least one, got none.")
        self._container.mux(self._stream.encode(None))
