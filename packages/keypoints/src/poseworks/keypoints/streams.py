"""Frames as they come, the newest alone: from a camera, or from a recording that is played as if it were one.

A frame that comes while another is looked at waits; when one more comes before its turn, it is dropped and counted.
Nothing queues up, so that a slow computer sees fewer frames, not older ones.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.video import Frame, Video, ahead, open_video
from poseworks.core.video.sources import pyav
from poseworks.keypoints.region import Image

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

CAMERA_FPS = 30.0
"""Of a stream of which a single frame was seen."""

_DECODED_AHEAD = 4
_SLICE_S = 0.1  # a wait without an end could not be broken off by Ctrl-C everywhere
_PATIENCE_S = 10.0
_RETRY_S = 0.005

Clock = Callable[[], float]


@dataclass(frozen=True, eq=False)
class Arrival:
    """A frame that came.

    Attributes:
        index: its place among all that came, from 0.
        time: seconds after the first.
        at: when it came, by the clock.
        rgb: (H, W, 3) uint8.
    """

    index: int
    time: float
    at: float
    rgb: Image


class Stream(Protocol):
    """Where frames come from."""

    fps: float
    arrived: int
    dropped: int
    single: bool

    def newest(self) -> Arrival | None:
        """The newest frame that was not given before, when there is one; None at the end."""
        ...

    def notes(self) -> list[str]:
        """Sentences on what is wrong with the source."""
        ...


def is_camera(source: str) -> bool:
    """A source that is a number is a camera's; a file of that name is ``./0``."""
    return source.isascii() and source.isdigit()


@contextmanager
def open_stream(
    source: str, every: int, fps: float | None, clock: Clock, sleep: Callable[[float], None]
) -> Iterator[Stream]:
    """The camera with a number, or the recording at a path, from its start.

    Args:
        source: as `is_camera` tells.
        every: of how many frames that come one may be looked at.
        fps: of a folder of pictures.
        clock: seconds that rise.
        sleep: waits so many of them.

    Raises:
        ConfigError: `fps` for a camera, or as `open_video`. DataError: no such camera or recording.
    """
    if not is_camera(source):
        with open_video(source, fps=fps) as video, closing(PlayedFile(video, every, clock, sleep)) as played:
            yield played
        return
    if fps is not None:
        raise ConfigError("fps: is for pictures. A camera has its own rate: leave it out.")
    with closing(Camera(f"camera {int(source)}", open_camera(int(source)), every, clock)) as camera:
        yield camera


class PlayedFile:
    """A recording, each frame of which comes when it is due."""

    def __init__(self, video: Video, every: int, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._video, self._clock, self._sleep = video, clock, sleep
        self.fps, self.single = video.info.fps, video.info.stated_frames == 1
        self.arrived = self.dropped = 0
        self._frames = ahead(video.frames(every), _DECODED_AHEAD)
        self._next: Frame | None = None
        self._begin: float | None = None

    def newest(self) -> Arrival | None:
        """The last frame that is due by now; the next one, when it is due, where that was given before."""
        if self._begin is None:
            self._next = next(self._frames, None)
            self._begin = self._clock()
        if self._next is None:
            return None
        begin, frame, now = self._begin, self._next, self._clock()
        if begin + frame.time > now:
            self._sleep(begin + frame.time - now)
        while (following := next(self._frames, None)) is not None and begin + following.time <= now:
            self.dropped += 1
            frame = following
        self._next = following
        self.arrived = frame.index + 1
        return Arrival(frame.index, frame.time, begin + frame.time, frame.rgb)

    def notes(self) -> list[str]:
        """What the recording's own notes say."""
        return [f"{self._video.info.path.name}: {note}" for note in self._video.notes]

    def close(self) -> None:
        """Stops decoding."""
        self._frames.close()


class Camera:
    """A device, read in one thread, which keeps the newest frame alone.

    Args:
        name: for messages.
        container: an open device of PyAV; it is closed with the camera.
        every: of how many frames that come one may be looked at.
        clock: seconds that rise.
    """

    fps, single = CAMERA_FPS, False

    def __init__(self, name: str, container: InputContainer, every: int, clock: Clock) -> None:
        self._name, self._container, self._every, self._clock = name, container, every, clock
        self.arrived = self.dropped = 0
        self._came = threading.Condition()
        self._waiting: tuple[int, float, VideoFrame] | None = None
        self._begin = 0.0
        self._error: BaseException | None = None
        self._ended = False
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._read, name="poseworks-camera", daemon=True)
        self._thread.start()

    def newest(self) -> Arrival | None:
        """The newest frame that was not given before, when there is one; None when the device ended.

        Raises:
            DataError: the device failed, or gives nothing for 10 seconds.
        """
        since = self._clock()
        with self._came:
            while (waiting := self._waiting) is None:
                if self._ended and self._error is not None:
                    raise DataError(f"{self._name}: failed ({self._error}). Plug it in anew.") from self._error
                if self._ended:
                    return None
                if self._clock() - since > _PATIENCE_S:
                    raise DataError(f"{self._name}: gave no frame for {_PATIENCE_S:.0f} s. Plug it in anew.")
                self._came.wait(_SLICE_S)
            self._waiting = None
        index, at, frame = waiting
        rgb = np.ascontiguousarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        return Arrival(index, at - self._begin, at, rgb)

    def _read(self) -> None:
        try:
            self._container.streams.video[0].codec_context.thread_count = 1  # more would hold frames back
            while not self._left.is_set():
                try:
                    for frame in self._container.decode(video=0):
                        self._put(frame)
                        if self._left.is_set():
                            return
                    return
                except BlockingIOError:  # avfoundation: no frame yet
                    time.sleep(_RETRY_S)
        except Exception as error:  # it belongs to who waits for frames
            self._error = error
        finally:
            with self._came:
                self._ended = True
                self._came.notify()

    def _put(self, frame: VideoFrame) -> None:
        with self._came:
            index, at = self.arrived, self._clock()
            self.arrived += 1
            if index == 0:
                self._begin = at
            if index % self._every:
                return
            self.dropped += self._waiting is not None
            self._waiting = (index, at, frame)
            self._came.notify()

    def notes(self) -> list[str]:
        """None."""
        return []

    def close(self) -> None:
        """Stops reading and closes the device, unless it hangs."""
        self._left.set()
        self._thread.join(2.0)
        if not self._thread.is_alive():
            self._container.close()


def open_camera(number: int) -> InputContainer:
    """The camera with this number, counted from 0 as the system does.

    Raises:
        ConfigError: PyAV is not installed. DataError: there is no such camera, or it is in use.
    """
    av = pyav()
    place = ""
    try:
        place, form, options = device(number, sys.platform, av)
        container: InputContainer = av.open(place, format=form, options=options, timeout=(_PATIENCE_S, _PATIENCE_S))
    except (av.error.FFmpegError, ValueError) as error:  # ValueError: this PyAV was built without such devices
        reason = getattr(error, "strerror", None) or str(error)
        where = f" ({place})" if place else ""
        raise DataError(
            f"camera {number}{where}: cannot be opened ({reason}). Plug it in, allow its use, close what else uses "
            "it, or name another number, or a video."
        ) from error
    return container


def device(number: int, platform: str, av: Any) -> tuple[str, str, dict[str, str]]:
    """How PyAV names a camera: place, format and options.

    Raises:
        DataError: Windows counts fewer cameras. ValueError: PyAV cannot list them.
    """
    if platform == "darwin":
        return str(number), "avfoundation", {"framerate": "30"}  # its default, 29.97, is refused by most cameras
    if platform == "win32":
        names = [each.name for each in av.enumerate_input_devices("dshow") if "video" in each.media_types]
        if number >= len(names):
            raise DataError(f"camera {number}: there are {len(names)}, counted from 0. Plug it in, or name a video.")
        return f"video={names[number]}", "dshow", {}
    return str(Path("/dev") / f"video{number}"), "v4l2", {}
