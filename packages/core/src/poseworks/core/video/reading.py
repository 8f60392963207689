"""Reading recordings: frames in RGB, upright, with their times; nothing but the times is kept.

Colours are converted as FFmpeg's swscale does by default, which is what other tools that read by FFmpeg see. Pixels
are taken as square, whatever aspect ratio the header states.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.video.sources import Decoded, Source, one_thread, open_source, pyav
from poseworks.core.video.times import Clock, count
from poseworks.core.video.upright import Turn

if TYPE_CHECKING:
    from av import VideoFrame


@dataclass(frozen=True)
class VideoInfo:
    """What a recording is.

    Attributes:
        path: as it was given.
        size: (width, height) in pixels of the upright frames.
        fps: average frames per second that the header states; see `even_rate` for what the times say.
        stated_frames: how many frames the header states, None where it does not; fewer may be played.
        rotation: 0, 90, 180 or 270 degrees clockwise, by which stored frames are turned upright.
        codec: name of the coding (``h264``, ``png``, ...).
        pixel_format: name of the stored pixels (``yuv420p``, ...).
        container: names of the file's format (``mov,mp4,m4a,3gp,3g2,mj2``, ``matroska,webm``, ...), or ``folder``.
    """

    path: Path
    size: tuple[int, int]
    fps: float
    stated_frames: int | None
    rotation: int
    codec: str
    pixel_format: str
    container: str


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a recording.

    Attributes:
        index: its place among all frames that could be decoded, from 0.
        time: seconds after the first frame.
        rgb: (H, W, 3) uint8, upright, C-contiguous.
    """

    index: int
    time: float
    rgb: NDArray[np.uint8]


@contextmanager
def open_video(path: str | os.PathLike[str], *, fps: float | None = None) -> Iterator[Video]:
    """The recording at `path`: a video file, a folder of pictures in the order of their numbers, or one picture.

    Files alone are read: an address is refused, and so is a file that names others (playlists, scripts).

    Args:
        path: of the file or folder.
        fps: frames per second of pictures (30 and a note if left out) and of streams that state no times.

    Raises:
        ConfigError: PyAV is not installed, `fps` is no number above 0, or the recording has times of its own.
        DataError: there is no recording at `path`, or none of its frames can be decoded.
    """
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise ConfigError(f"fps: expected a number above 0, got {fps}.")
    pyav()
    source = open_source(path, fps)
    try:
        video = Video(source)
    except BaseException:
        source.close()
        raise
    try:
        yield video
    finally:
        video.close()


class Video:
    """A recording that is open; built by `open_video`. `frames` may run in another thread than the rest.

    Attributes:
        info: what it is.
    """

    info: VideoInfo

    def __init__(self, source: Source) -> None:
        self._source = source
        self._decoding = source.frames()
        self._clock = Clock(source.fps)
        self._lock = threading.Lock()  # closing waits for the frame that is being decoded
        self._closed = self._asked = self._ended = False
        self._rescaled = 0
        self._converted_by = one_thread() if source.picture else {}
        first = next(self._decoding)
        self._first: Decoded | None = first
        self._stored = (first.frame.width, first.frame.height)
        self._turn = first.turn
        self.info = VideoInfo(
            path=source.path,
            size=first.turn.size(*self._stored),
            fps=source.fps,
            stated_frames=source.stated_frames,
            rotation=first.turn.degrees,
            codec=source.codec,
            pixel_format=first.frame.format.name,
            container=source.container,
        )

    @property
    def times(self) -> NDArray[np.float64]:
        """(T,) seconds of all frames decoded until now, strictly rising from 0."""
        with self._lock:
            return np.array(self._clock.times, dtype=np.float64)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what is wrong with the recording or was assumed; complete once all frames are read."""
        with self._lock:
            times = self._clock.times
            end = times[-1] + 1 / self.info.fps if self._ended and times else math.inf
            notes = self._source.notes(end)
            if not self._source.picture:
                notes += self._clock.notes()
        if self._rescaled:
            width, height = self.info.size
            frames = count(self._rescaled, "frame")
            notes.append(f"The size changes: {frames} scaled to {width}x{height}, the size of the first.")
        if not self._turn.exact:
            notes.append(f"A rotation that is no quarter turn: frames are turned by {self._turn.degrees} degrees.")
        if self._turn.mirrored:
            notes.append("Stored as a mirror image: frames are mirrored back.")
        return tuple(notes)

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Frames 0, every, 2 every, ... and the last one; the others are decoded for their times alone.

        Raises:
            ConfigError: `every` is below 1, or the frames were asked for before.
            DataError: a picture of a folder cannot be used, or the recording was closed.
        """
        if every < 1:
            raise ConfigError(f"every: expected 1 or more, got {every}.")
        if self._asked:
            raise ConfigError(f"{self.info.path}: its frames can be read once. Open it again.")
        self._asked = True
        return self._chosen(every)

    def _chosen(self, every: int) -> Iterator[Frame]:
        last: tuple[int, float, Decoded] | None = None
        while (item := self._next()) is not None:
            last = item
            if item[0] % every == 0:
                yield self._frame(item)
        if last is not None and last[0] % every:
            yield self._frame(last)

    def _next(self) -> tuple[int, float, Decoded] | None:
        """Number, time and frame of what comes next; None at the end."""
        with self._lock:
            if self._closed:
                raise DataError(f"{self.info.path}: was closed before its end. Read its frames inside the with block.")
            decoded = self._first or next(self._decoding, None)
            self._first = None
            if decoded is None:
                self._ended = True
                return None
            time = self._clock.push(decoded.seconds)
            return len(self._clock.times) - 1, time, decoded

    def _frame(self, item: tuple[int, float, Decoded]) -> Frame:
        index, time, (frame, turn, _) = item
        if turn.size(frame.width, frame.height) != self.info.size:
            self._rescaled += 1
        return Frame(index, time, turn.apply(self._rgb(frame, turn)))

    def _rgb(self, frame: VideoFrame, turn: Turn) -> NDArray[np.uint8]:
        """(H, W, 3) as stored, at the size that is `info.size` once turned."""
        width, height = turn.size(*self.info.size)
        try:
            if (frame.width, frame.height) != (width, height):
                frame = frame.reformat(width=width, height=height, format="rgb24")
            return np.ascontiguousarray(frame.to_ndarray(format="rgb24", **self._converted_by), dtype=np.uint8)
        except pyav().error.FFmpegError as error:
            name = frame.format.name
            raise DataError(
                f"{self.info.path}: pixels of the form {name} cannot be turned into RGB. Convert it to mp4 first."
            ) from error

    def close(self) -> None:
        """Closes the file, after the frame that is being decoded; nothing if it is closed already."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._source.close()
