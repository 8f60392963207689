"""Lines, latency and the written poses of a stream, with a tracker whose people are known and a clock of our own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core import COCO_17, Skeleton, read_poses
from poseworks.core.cli import run
from poseworks.core.errors import ConfigError, DataError, SkeletonError
from poseworks.core.video import write_video
from poseworks.keypoints import live
from poseworks.keypoints.cli import app
from poseworks.keypoints.detection import DetectSettings
from poseworks.keypoints.live import LiveSummary, follow_live
from poseworks.keypoints.region import Image
from poseworks.keypoints.tracking import Person

SHOWN = [0, 2, 5, 7, 10, 12, 15, 17, 19]  # frames of 10 a second that are seen by who looks at each for 0.25 s
COCO = DetectSettings(skeleton="coco17")


class FakeClock:
    """Seconds that pass in `sleep` and in the tracker alone."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeTracker:
    """Person 0 in every frame, moving 100 pixels a second; person 1, twice as large, in the second half."""

    skeleton: Skeleton = COCO_17
    finds = "nobody else"
    sources: dict[str, Any] = {"networks": {}}  # noqa: RUF012 (as the protocol has it)

    def __init__(self, clock: FakeClock, each_s: float, *, ends_at: int = -1, ending: type[BaseException]) -> None:
        self.clock, self.each_s, self.ends_at, self.ending = clock, each_s, ends_at, ending
        self.pushed = 0
        self.dismissed: set[int] = set()

    def push(self, rgb: Image, time: float) -> list[Person]:
        if self.pushed == self.ends_at:
            raise self.ending("asked to end")
        self.pushed += 1
        self.clock.now += self.each_s
        rng = np.random.default_rng(0)
        shape = rng.uniform(-10, 10, (17, 2)).astype(np.float32)
        shape[[11, 12]] = (-3, 0), (3, 0)  # the hips: their centre is the person's place
        people = [
            Person(0, shape + np.array((20 + 100 * time, 40), np.float32), np.full(17, 0.9, np.float32), None, 0.9)
        ]
        if time >= 1:
            people.append(
                Person(1, 2 * shape + np.array((300, 50), np.float32), np.full(17, 0.8, np.float32), None, 0.8)
            )
        return people

    def earlier(self) -> list[tuple[float, Person]]:
        return []


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_video(path, (np.full((48, 64, 3), 10 * n, np.uint8) for n in range(20)), fps=10)
    return str(path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock, with a tracker that takes a quarter of a second."""
    return trackers(monkeypatch)


def trackers(monkeypatch: pytest.MonkeyPatch, ends_at: int = -1, ending: Any = KeyboardInterrupt) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(live, "make_tracker", lambda *_, **__: FakeTracker(clock, 0.25, ends_at=ends_at, ending=ending))
    return clock


def follow(clip: str, clock: FakeClock, settings: DetectSettings = COCO, **options: Any) -> LiveSummary:
    return follow_live(clip, settings, clock=clock, sleep=clock.sleep, **options)


def test_the_summary_counts_frames_and_latencies(clip: str, clock: FakeClock) -> None:
    """Latencies: a quarter of a second and what the frame had waited, in ms 0, 50, 0, 50, 0, 50, 0, 50, 100."""
    summary = follow(clip, clock, quiet=True)
    assert (summary.arrived, summary.looked_at, summary.dropped) == (20, 9, 11)
    assert summary.latency_ms == pytest.approx(300)
    assert summary.latency_p95_ms == pytest.approx(np.percentile([250] * 4 + [300] * 4 + [350], 95))


def test_json_is_a_line_for_each_frame(clip: str, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    follow(clip, clock, json=True)
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["frame"] for line in lines] == SHOWN
    np.testing.assert_allclose([line["time"] for line in lines], np.array(SHOWN) / 10, atol=1e-6)
    np.testing.assert_allclose([line["latency_ms"] for line in lines[:3]], [250, 300, 250], atol=1e-3)
    assert [[person["id"] for person in line["people"]] for line in lines] == [[0]] * 4 + [[0, 1]] * 5
    person = lines[2]["people"][0]
    assert set(person) == {"id", "keypoints", "confidence"}
    np.testing.assert_allclose(np.mean([person["keypoints"][j] for j in (11, 12)], axis=0), (70, 40), atol=0.01)
    assert person["confidence"] == [0.9] * 17
    assert err == "20 frames came, 9 looked at, 11 dropped; latency 300 ms in the median, 330 ms at 95 %\n"


def test_json_has_the_skeleton_that_was_asked_for(
    clip: str, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(clip, clock, DetectSettings(skeleton="h36m17"), json=True, quiet=True)
    out, err = capsys.readouterr()
    root = json.loads(out.splitlines()[0])["people"][0]["keypoints"][0]
    np.testing.assert_allclose(root, (20, 40), atol=0.01)  # between the hips
    assert err == ""


def test_lines_for_people(clip: str, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    follow(clip, clock)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 10
    assert lines[0] == "0.00 s, - frames/s, 250 ms | 0: (20, 40) 0.90"
    assert lines[4] == "1.00 s, 4.0 frames/s, 250 ms | 0: (120, 40) 0.90 | 1: (300, 50) 0.80"


def test_a_terminal_has_one_line_that_is_rewritten(
    clip: str, clock: FakeClock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((40, 24)))
    follow(clip, clock)
    err = capsys.readouterr().err
    before, *shown = err.split("\r")
    assert before == ""
    assert [len(text) for text in shown[:-1]] == [39] * 8
    assert shown[4].startswith("1.00 s, 4.0 frames/s, 250 ms | 0: (120,")
    assert shown[-1][39:] == "\n20 frames came, 9 looked at, 11 dropped; latency 300 ms in the median, 330 ms at 95 %\n"


def test_people_are_the_longest_and_largest_until_now(
    clip: str, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Person 1 weighs 2 a frame from the fifth frame on, person 0 1 from the first on: 5 to 2, ... 8 to 8, 9 to 10."""
    follow(clip, clock, DetectSettings(skeleton="coco17", people=1), json=True, quiet=True)
    shown = [[p["id"] for p in json.loads(line)["people"]] for line in capsys.readouterr().out.splitlines()]
    assert shown[:7] == [[0]] * 7
    assert shown[8] == [1]


def test_poses_are_written_with_their_times(clip: str, clock: FakeClock, tmp_path: Path) -> None:
    output = tmp_path / "poses.npz"
    follow(clip, clock, output=output, quiet=True)
    poses = read_poses(output)
    assert poses.positions.shape == (2, 9, 17, 2)
    np.testing.assert_allclose(poses.seconds, np.array(SHOWN) / 10, atol=1e-6)
    hips = poses.positions[:, :, [11, 12]].mean(axis=2)
    by_id = dict(zip(poses.person_ids.tolist(), hips, strict=True))  # type: ignore[union-attr]
    np.testing.assert_allclose(by_id[0][:, 0], 20 + 100 * np.array(SHOWN) / 10, atol=1e-3)
    assert np.isnan(by_id[1][:4]).all()
    np.testing.assert_allclose(by_id[1][4:, 0], 300, atol=1e-3)
    settings = poses.history[0]["settings"]
    assert (settings["live"], settings["frames_looked_at"], settings["frames_dropped"]) == (True, 9, 11)
    assert (poses.image_size, poses.unit) == ((64, 48), "px")


def test_who_turns_out_to_be_nobody_is_not_written(
    clip: str, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = FakeTracker.push

    def dismissing(tracker: FakeTracker, rgb: Image, time: float) -> list[Person]:
        tracker.dismissed = {0}
        return push(tracker, rgb, time)

    monkeypatch.setattr(FakeTracker, "push", dismissing)
    follow(clip, clock, output=tmp_path / "poses.npz", quiet=True)
    poses = read_poses(tmp_path / "poses.npz")
    assert poses.num_people == 1
    np.testing.assert_allclose(np.nanmean(poses.positions[0, :, [11, 12], 0]), 300, atol=1e-3)


@pytest.mark.parametrize("ending", [KeyboardInterrupt, BrokenPipeError])
def test_what_was_seen_until_ctrl_c_is_written(
    clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: type[BaseException]
) -> None:
    output = tmp_path / "poses.npz"
    clock = trackers(monkeypatch, ends_at=5, ending=ending)
    summary = follow(clip, clock, output=output, quiet=True)
    assert summary.looked_at == 5
    np.testing.assert_allclose(read_poses(output).seconds, np.array(SHOWN[:5]) / 10, atol=1e-6)


def test_a_camera_that_fails_loses_nothing(clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "poses.npz"
    with pytest.raises(DataError, match="asked to end"):
        follow(clip, trackers(monkeypatch, ends_at=6, ending=DataError), output=output, quiet=True)
    assert read_poses(output).num_frames == 6


def test_nothing_to_write(clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "poses.npz"
    with pytest.raises(DataError, match=r"no frame was looked at, so that .*poses\.npz was not written\. Let it run l"):
        follow(clip, trackers(monkeypatch, ends_at=0), output=output, quiet=True)
    monkeypatch.setattr(FakeTracker, "push", lambda tracker, rgb, time: [])
    with pytest.raises(DataError, match=r"clip\.mp4: nobody was found in 20 frames \(64x48\)"):
        follow(clip, trackers(monkeypatch), output=output, quiet=True)
    assert not output.exists()


def test_what_cannot_work_is_said_before_the_first_frame(clip: str, clock: FakeClock, tmp_path: Path) -> None:
    with pytest.raises(SkeletonError, match="coco17 to blazepose33: no rule makes"):
        follow(clip, clock, DetectSettings(skeleton="blazepose33"))
    output = tmp_path / "poses.npz"
    output.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"poses\.npz: already exists\."):
        follow(clip, clock, output=output)
    assert clock.now == 0


def command_line(*arguments: str) -> int:
    return run(app, ["detect", *arguments])


def test_the_command_prints_lines_alone_on_stdout(
    clock: FakeClock, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The clock is the true one here: how many frames are seen is open."""
    short, output = tmp_path / "short.mp4", tmp_path / "poses.npz"
    write_video(short, np.zeros((3, 48, 64, 3), np.uint8), fps=30)
    assert command_line(str(short), "--live", "--json", "--skeleton", "coco17", "-o", str(output)) == 0
    out, err = capsys.readouterr()
    assert all(json.loads(line)["people"] for line in out.splitlines())
    assert "poses.npz: " in err
    assert output.exists()


def test_errors_of_the_command(clip: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command_line(clip, "--live", "-o", str(tmp_path / "poses.txt")) == 2
    assert "the suffix '.txt' names no format" in capsys.readouterr().err
    assert command_line("97", "-o", str(tmp_path / "poses.npz")) == 2
    assert capsys.readouterr().err == (
        "error: 97: does not exist. If a camera is meant, add --live; else name a recording.\n"
    )
    assert command_line("https://example.org/a.mp4", "--live") == 2
    assert "is an address, not a file" in capsys.readouterr().err
