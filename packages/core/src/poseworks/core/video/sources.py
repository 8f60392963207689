"""Where decoded frames come from: one file, or the pictures of a folder.

A file is opened here by Python, and PyAV reads from that: what a name may mean to FFmpeg besides (an address, a
pattern, a pseudo-protocol) is never looked at. Only formats that hold their pictures themselves are accepted, since
playlists and scripts (HLS, concat, SDP, ...) would have FFmpeg open what they name.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.video.times import count
from poseworks.core.video.upright import Turn, exif_turn, stated_turn

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
PICTURE_FPS = 30.0
_FORMATS = (
    "mov,mp4,matroska,webm,avi,asf,flv,mpegts,mpeg,mpegvideo,h264,hevc,vvc,av1,obu,ivf,m4v,h263,mjpeg,mjpeg_2000,ogg,nut,mxf,"
    "dv,gif,apng,yuv4mpegpipe,rm,wtv,avif,png_pipe,jpeg_pipe,bmp_pipe,tiff_pipe,webp_pipe,"
    "wav,mp3,aac,flac"  # known, so that a sound file is called one
)
_STILLS = ("heic", "heix", "heim", "heis", "mif1", "msf1", "avif", "avis")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # one letter and a colon is a drive
_BUFFER = 256 * 1024
_THREADS = 4  # each keeps frames back, which are lost where a stream ends in an error
_EXPECTED = "Expected a video such as mp4, mov, mkv, webm or avi, a picture, or a folder of pictures"


class Decoded(NamedTuple):
    """A frame as it is stored, how it is turned upright, and its time by the container's clock in seconds."""

    frame: VideoFrame
    turn: Turn
    seconds: float | None


def pyav() -> Any:
    """The module `av`.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        message = 'video: needs PyAV, which cannot be imported. Install it: pip install "poseworks-core[video]".'
        raise ConfigError(message) from error
    return av


def one_thread() -> dict[str, Any]:
    """What `reformat` and `to_ndarray` take for a single picture: to start threads takes longer than to convert it."""
    return {"threads": 1} if int(pyav().__version__.split(".")[0]) >= 17 else {}  # before, PyAV has no threads there


def open_source(path: str | os.PathLike[str], fps: float | None) -> Source:
    """The recording at `path`, as a file or as a folder of pictures.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    text = os.fspath(path)
    try:
        mode = Path(text).stat().st_mode if text else 0
    except (OSError, ValueError) as error:
        if _ADDRESS.match(text):
            message = (
                "is an address, not a file. Recordings are files on this machine: fetch it first and name the file."
            )
            raise DataError(f"{text}: {message}") from error
        if isinstance(error, FileNotFoundError):
            raise DataError(f"{text}: does not exist. {_EXPECTED}.") from error
        raise _unreadable(text, error) from error
    if stat.S_ISDIR(mode):
        return PictureFolder(Path(text), fps)
    if not stat.S_ISREG(mode):
        raise DataError(f"{text!r}: is neither a file nor a folder. {_EXPECTED}.")
    return RecordingFile(Path(text), fps)


class RecordingFile:
    """The video stream of one file, which may be a single picture.

    Raises:
        DataError: it cannot be read, is no recording, or has no pictures.
    """

    def __init__(self, path: Path, fps: float | None) -> None:
        self.path = path
        self._av = pyav()
        self._problems = {"undecoded": 0, "damaged": 0}
        self._decoded, self._broken_off = 0, ""
        self._place: int | None = None
        self._file = _open_file(path)
        try:
            self._container = self._open()
            self._stream = self._video_stream()
            self._describe(fps)
        except BaseException:
            self.close()
            raise

    def _open(self) -> InputContainer:
        self._head = self._file.read(_BUFFER)
        self._file.seek(0)
        if not self._head:
            raise DataError(f"{self.path}: is empty. {_EXPECTED}.")
        # Names of songs and cameras in another encoding are no fault; PyAV 19 takes them as they are.
        tolerant = {"metadata_errors": "replace"} if int(self._av.__version__.split(".")[0]) < 19 else {}
        try:
            container: InputContainer = self._av.open(
                _Bytes(self._file),
                "r",
                options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
                buffer_size=_BUFFER,
                **tolerant,
            )
        except self._av.error.FFmpegError as error:
            raise DataError(
                f"{self.path}: is no recording that can be read, or its start or end is missing. {_EXPECTED}."
            ) from error
        return container

    def _video_stream(self) -> VideoStream:
        """The main stream of pictures: a cover of a sound file is none."""
        brand = self._container.metadata.get("major_brand", "").strip()
        if brand in _STILLS:
            raise DataError(f"{self.path}: {brand.upper()} pictures are not read. Save it as JPEG or PNG first.")
        cover = self._av.stream.Disposition.attached_pic
        streams = [stream for stream in self._container.streams.video if not stream.disposition & cover]
        if not streams:
            held = "only sound" if self._container.streams.audio else "no pictures"
            raise DataError(f"{self.path}: holds {held}. {_EXPECTED}.")
        best = self._container.streams.best("video")
        stream: VideoStream = best if best in streams else streams[0]
        if stream.codec_context is None:
            raise DataError(f"{self.path}: its pictures are in a form that cannot be decoded. Convert it to mp4 first.")
        return stream

    def _describe(self, fps: float | None) -> None:
        """Copies what the header says: the stream no longer tells once its container is closed."""
        stream, self.container = self._stream, self._container.format.name
        self.picture = self.container.endswith("_pipe")
        self.codec = stream.codec_context.codec.canonical_name
        if not self.picture:
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = min(_THREADS, os.cpu_count() or 1)
        stated = stream.average_rate if stream.start_time is not None else None
        rates = (stated, stream.guessed_rate, stream.base_rate)
        self._stated_fps = fps
        self.fps = fps or (PICTURE_FPS if self.picture else float(next((rate for rate in rates if rate), PICTURE_FPS)))
        self.stated_frames = 1 if self.picture else stream.frames or None
        self._base = stream.time_base
        self._seconds: float | None = None
        if stream.duration is not None and self._base is not None:
            self._seconds = float(stream.duration * self._base)
        elif match := re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", "")):
            hours, minutes, seconds = match.groups()
            self._seconds = 3600 * int(hours) + 60 * int(minutes) + float(seconds)

    def frames(self) -> Iterator[Decoded]:
        """All frames that can be decoded.

        Raises:
            ConfigError: a frame rate was stated for a recording that has times of its own.
            DataError: there are none.
        """
        turn = None
        for frame in self._frames():
            seconds = self._time(frame)
            if self._decoded == 0 and self._stated_fps is not None and seconds is not None:
                raise ConfigError(
                    f"fps: {self.path} states the times of its frames. Leave fps out: it is for pictures."
                )
            self._decoded += 1
            self._problems["damaged"] += bool(frame.is_corrupt)
            if turn is None:
                turn = exif_turn(self._head) if self.container == "jpeg_pipe" else stated_turn(frame)
            yield Decoded(frame, turn, seconds)
        if not self._decoded:
            raise DataError(f"{self.path}: none of its frames can be decoded. Convert it again from the original.")

    def _frames(self) -> Iterator[VideoFrame]:
        error = self._av.error.FFmpegError
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except error as raised:
                self._broken_off = raised.strerror or type(raised).__name__
                packet = None
            if packet is not None and packet.is_corrupt and self.container != "mpegts":
                self._problems["undecoded"] += 1  # cut off by the end of the file (in mpegts: some of it is damaged)
                continue
            try:
                yield from self._stream.decode(packet)
            except self._av.error.EOFError:
                return
            except error:
                self._problems["undecoded"] += 1
            if packet is None:
                return

    def _time(self, frame: VideoFrame) -> float | None:
        if self.picture or self._base is None:
            return None
        ticks = frame.pts
        if self.container == "avi":  # states no times of presentation, only places of packets: one frame follows each
            after = None if self._place is None else self._place + 1
            ticks = self._place = after if frame.dts is None else frame.dts
        return None if ticks is None else float(ticks * (frame.time_base or self._base))

    def notes(self, end_s: float) -> list[str]:
        """What went wrong until now; `end_s`: where the last frame ends, once all are read."""
        notes = []
        if self._problems["undecoded"]:
            pieces = count(self._problems["undecoded"], "piece")
            notes.append(f"Frames are missing: {pieces} of the stream could not be decoded.")
        if self._problems["damaged"]:
            notes.append(f"Damaged in the file: {count(self._problems['damaged'], 'frame')}.")
        if self._broken_off:
            notes.append(f"Reading broke off after {count(self._decoded, 'frame')} ({self._broken_off}).")
        return notes + self._truncation(end_s)

    def _truncation(self, end_s: float) -> list[str]:
        """A header may count frames that an edit list leaves out: what ends at the stated time is whole."""
        stated = self.stated_frames
        if self._seconds is not None and end_s >= self._seconds - (2 / self.fps if stated else max(1.0, 5 / self.fps)):
            return []
        if stated is not None and self._decoded < stated:
            return [f"Truncated: {self._decoded} of {stated} stated frames could be read."]
        if stated is None and self._seconds is not None:
            return [f"Truncated: {end_s:.1f} of {self._seconds:.1f} stated seconds could be read."]
        return []

    def close(self) -> None:
        """Closes container and file."""
        if hasattr(self, "_container"):
            self._container.close()
        self._file.close()


class PictureFolder:
    """The pictures in a folder, by their names: numbers count as numbers, so that frame2 is before frame10.

    Raises:
        DataError: there are none, or the folder cannot be read.
    """

    stated_frames: int | None
    container = "folder"
    picture = True

    def __init__(self, path: Path, fps: float | None) -> None:
        self.path, self._stated_fps = path, fps
        self.fps = fps or PICTURE_FPS
        try:
            entries = [entry for entry in path.iterdir() if entry.suffix.lower() in PICTURES]
        except OSError as error:
            raise _unreadable(str(path), error) from error
        self._pictures = sorted((entry for entry in entries if not entry.name.startswith(".")), key=_natural)
        if not self._pictures:
            raise DataError(f"{path}: a folder without pictures. Expected files that end in {', '.join(PICTURES)}.")
        self.stated_frames = len(self._pictures)
        self.codec = ""

    def frames(self) -> Iterator[Decoded]:
        """One frame a picture.

        Raises:
            DataError: a picture cannot be read, or has another size than the first.
        """
        first: tuple[int, int] | None = None
        for path in self._pictures:
            picture = RecordingFile(path, None)
            try:
                frame, turn, _ = next(picture.frames())
            finally:
                picture.close()
            size = turn.size(frame.width, frame.height)
            if first is None:
                first, self.codec = size, picture.codec
            if size != first:
                raise DataError(
                    f"{path}: {size[0]}x{size[1]} pixels, but {self._pictures[0].name} has {first[0]}x{first[1]}. "
                    "Pictures of one recording have one size: scale them, or sort them into folders."
                )
            yield Decoded(frame, turn, None)

    def notes(self, end_s: float) -> list[str]:
        """That the frame rate is assumed, where it is."""
        if self._stated_fps is not None or len(self._pictures) == 1:
            return []
        return [f"Pictures state no frame rate: {PICTURE_FPS:g} frames per second are assumed."]

    def close(self) -> None:
        """Nothing: each picture is closed when it is read."""


Source = RecordingFile | PictureFolder


class _Bytes:
    """A file without its name, from which FFmpeg would guess."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _open_file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _unreadable(path: str, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(f"{path}: cannot be read ({reason}). Check its name and whether you may read it.")


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name
