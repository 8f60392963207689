"""Which frame is the newest, on a clock that moves only when it is told to; cameras without a camera."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.video import open_video, write_video
from poseworks.core.video.sources import pyav
from poseworks.keypoints.streams import Arrival, Camera, PlayedFile, device, is_camera, open_camera, open_stream

FPS = 10


class FakeClock:
    """Seconds that pass in `sleep` alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 s at 10 frames a second; frame n has the grey value 10 n."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_video(path, (np.full((48, 64, 3), 10 * n, np.uint8) for n in range(20)), fps=FPS)
    return path


def watched(played: PlayedFile, clock: FakeClock, each_s: float) -> Iterator[tuple[Arrival, float]]:
    """What is seen by somebody who looks at each frame for so long, and when they had seen it."""
    while (arrival := played.newest()) is not None:
        clock.now += each_s
        yield arrival, clock.now


def test_who_is_fast_sees_every_frame_when_it_is_due(clip: Path) -> None:
    clock = FakeClock()
    with open_video(clip) as video:
        played = PlayedFile(video, 1, clock, clock.sleep)
        seen = list(watched(played, clock, 0.01))
        played.close()
    assert [arrival.index for arrival, _ in seen] == list(range(20))
    np.testing.assert_allclose([done - arrival.at for arrival, done in seen], 0.01, atol=1e-9)
    np.testing.assert_allclose(clock.slept, [0.09] * 19, atol=1e-9)
    assert (played.arrived, played.dropped) == (20, 0)
    assert [round(float(arrival.rgb.mean()) / 10) for arrival, _ in seen] == list(range(20))


def test_who_is_slow_sees_the_newest_and_the_others_are_counted(clip: Path) -> None:
    """At 0, 0.25, 0.5 ... s the newest frames are 0, 2, 5, 7, 10, 12, 15, 17, and at 2 s the last one."""
    clock = FakeClock()
    with open_video(clip) as video:
        played = PlayedFile(video, 1, clock, clock.sleep)
        seen = list(watched(played, clock, 0.25))
        played.close()
    assert [arrival.index for arrival, _ in seen] == [0, 2, 5, 7, 10, 12, 15, 17, 19]
    waited = [0, 0.05, 0, 0.05, 0, 0.05, 0, 0.05, 0.1]
    np.testing.assert_allclose([done - arrival.at for arrival, done in seen], np.add(waited, 0.25), atol=1e-9)
    assert (played.arrived, played.dropped) == (20, 11)
    assert clock.slept == []


def test_frames_between_every_nth_are_not_dropped_but_left_out(clip: Path) -> None:
    clock = FakeClock()
    with open_stream(str(clip), 4, None, clock, clock.sleep) as stream:
        indices = []
        while (arrival := stream.newest()) is not None:
            indices.append(arrival.index)
        assert indices == [0, 4, 8, 12, 16, 19]
        assert (stream.arrived, stream.dropped, stream.fps, stream.single) == (20, 0, FPS, False)
        assert stream.notes() == []


def test_a_stream_that_is_left_early_stops_decoding(clip: Path) -> None:
    clock = FakeClock()
    with open_stream(str(clip), 1, None, clock, clock.sleep) as stream:
        assert stream.newest() is not None
    with pytest.raises(DataError, match="was closed before its end"):
        stream._video._next()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("source", "expected"), [("0", True), ("12", True), ("./0", False), ("a.mp4", False), ("²", False), ("", False)]
)
def test_a_number_is_a_camera(source: str, expected: bool) -> None:
    assert is_camera(source) is expected


class TestCamera:
    """A file stands for the device: it gives all of its frames at once."""

    def camera(self, clip: Path, every: int = 1, clock: FakeClock | None = None) -> Camera:
        camera = Camera("camera 0", pyav().open(str(clip)), every, clock or FakeClock())
        camera._thread.join()
        return camera

    def test_the_newest_frame_is_kept_alone(self, clip: Path) -> None:
        camera = self.camera(clip)
        arrival = camera.newest()
        assert arrival is not None
        assert (arrival.index, arrival.time, arrival.at) == (19, 0.0, 0.0)
        assert arrival.rgb.shape == (48, 64, 3)
        np.testing.assert_allclose(arrival.rgb, 190, atol=2)
        assert camera.newest() is None
        assert (camera.arrived, camera.dropped) == (20, 19)
        camera.close()

    def test_every_nth_frame_that_comes(self, clip: Path) -> None:
        camera = self.camera(clip, every=8)  # 0, 8 and 16
        arrival = camera.newest()
        assert arrival is not None
        assert (arrival.index, camera.arrived, camera.dropped) == (16, 20, 2)
        camera.close()

    def test_a_device_that_has_no_frame_yet_is_asked_again(self) -> None:
        class Shy:
            streams = SimpleNamespace(video=[SimpleNamespace(codec_context=SimpleNamespace())])
            asked = 0

            def decode(self, video: int) -> Iterator[Any]:
                self.asked += 1
                if self.asked < 3:
                    raise BlockingIOError
                yield pyav().VideoFrame(16, 8, "rgb24")

            def close(self) -> None:
                self.closed = True

        device = Shy()
        camera = Camera("camera 0", device, 1, FakeClock())  # type: ignore[arg-type]
        arrival = camera.newest()
        assert arrival is not None
        assert arrival.rgb.shape == (8, 16, 3)
        camera.close()
        assert device.closed

    def test_a_device_that_fails_or_is_silent(self) -> None:
        class Broken:
            streams = SimpleNamespace(video=[SimpleNamespace(codec_context=SimpleNamespace())])

            def decode(self, video: int) -> Iterator[Any]:
                raise OSError(19, "No such device")

            def close(self) -> None: ...

        camera = Camera("camera 3", Broken(), 1, FakeClock())  # type: ignore[arg-type]
        with pytest.raises(DataError, match=r"camera 3: failed \(.*No such device\)\. Plug it in anew\."):
            camera.newest()
        times = iter([0.0, 11.0])
        camera._ended = False
        camera._clock = lambda: next(times)
        with pytest.raises(DataError, match=r"camera 3: gave no frame for 10 s\. Plug it in anew\."):
            camera.newest()
        camera.close()

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of devices are the system's")
    def test_a_camera_that_is_not_there(self) -> None:
        with pytest.raises(DataError, match=r"camera 97 \(/dev/video97\): cannot be opened \(No such file or direc"):
            open_camera(97)

    def test_a_system_without_such_devices(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("poseworks.keypoints.streams.device", lambda *_: ("0", "no-such-device", {}))
        with pytest.raises(DataError, match=r"camera 0 \(0\): cannot be opened \(no container format"):
            open_camera(0)

    def test_a_camera_has_its_own_rate(self) -> None:
        clock = FakeClock()
        with (
            pytest.raises(ConfigError, match=r"fps: is for pictures\. A camera"),
            open_stream("0", 1, 30.0, clock, clock.sleep),
        ):
            pass

    def test_names_of_devices(self) -> None:
        devices = [
            SimpleNamespace(name="Line In", media_types=["audio"]),
            SimpleNamespace(name="Cam", media_types=["video"]),
        ]
        av = SimpleNamespace(enumerate_input_devices={"dshow": devices}.__getitem__)
        assert device(1, "linux", av) == ("/dev/video1", "v4l2", {})
        assert device(1, "darwin", av) == ("1", "avfoundation", {"framerate": "30"})
        assert device(0, "win32", av) == ("video=Cam", "dshow", {})
        with pytest.raises(DataError, match=r"camera 1: there are 1, counted from 0\. Plug it in, or name a video\."):
            device(1, "win32", av)
