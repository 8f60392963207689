"""Recordings: from pixels to the files of a run, every N-th frame too, and what of them goes into the page."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from poseworks.core import read_poses
from poseworks.core.errors import CheckpointError, ConfigError, DataError
from poseworks.core.report import embed
from poseworks.core.video import open_video, write_video
from poseworks.keypoints import DetectSettings, detect
from poseworks.pipeline import ChainConfig, FilterStep, RunResult, SmoothStep, run_recording
from poseworks.pipeline.previews import Recording, shown_video
from poseworks.temporal.filters import Gaussian

GAUSSIAN = ChainConfig(steps=(FilterStep(filter=Gaussian(sigma_frames=1)),))


@pytest.fixture(scope="module")
def dense(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """Every frame, with the network's own 3D."""
    return run_recording(clip, tmp_path_factory.mktemp("dense") / "out", world=True)


@pytest.fixture(scope="module")
def sparse(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """Every fifth frame, and the last."""
    return run_recording(clip, tmp_path_factory.mktemp("sparse") / "out", DetectSettings(every=5))


def test_people_are_found_and_smoothed(dense: RunResult, clip: Path) -> None:
    assert {what: path.name for what, path in dense.files.items()} == {
        "poses": "poses2d.npz",
        "smooth": "poses2d.smooth.npz",
        "actions": "actions.csv",
        "lifted": "poses3d.npz",
        "body": "body.npz",
        "report": "report.html",
        "world": "poses3d.world.npz",
    }
    before, after = read_poses(dense.files["poses"]), read_poses(dense.files["smooth"])
    np.testing.assert_array_equal(before.positions, detect(clip).positions)
    assert [entry["verb"] for entry in after.history] == ["detect", "repair_swaps", "smooth"]
    assert after.history[-1]["model"] == "smoothnet-general-w32"
    assert np.isfinite(after.positions).all()
    acceleration = dense.harm.people[0].acceleration
    assert acceleration.after < 0.5 * acceleration.before  # type: ignore[operator]


def test_the_page_holds_the_recording(dense: RunResult, clip: Path) -> None:
    page = dense.files["report"].read_text(encoding="utf-8")
    assert base64.b64encode(clip.read_bytes()).decode() in page
    assert "<h1>walk.mp4</h1>" in page


def test_the_networks_own_3d_says_what_it_is(dense: RunResult) -> None:
    world = read_poses(dense.files["world"])
    assert (world.unit, world.frame, world.num_dims) == ("m", "root", 3)
    assert world.positions.shape[:3] == dense.before.positions.shape[:3]
    assert "guess" in world.history[0]["output"]


def test_frames_that_were_not_looked_at_are_recovered(sparse: RunResult, dense: RunResult) -> None:
    looked_at = np.flatnonzero(sparse.before.observed[0].any(axis=1))
    np.testing.assert_array_equal(looked_at, [0, 5, 10, 15, 20, 25])
    assert np.isfinite(sparse.after.positions).all()
    assert (sparse.after.confidence[0, 1:5] == sparse.after.confidence[0, [0, 5]].min(axis=0)).all()
    distance = np.linalg.norm(sparse.after.positions - dense.before.positions, axis=-1)
    assert np.median(distance) < 0.03 * dense.harm.people[0].height  # type: ignore[operator]
    assert [entry["verb"] for entry in sparse.after.history] == ["detect", "repair_swaps", "fill", "smooth"]
    assert sparse.after.history[-1]["model"] == "deciwatch-general-i5"
    assert "deciwatch-general-i5 recovers the frames between" in sparse.notes


def test_harm_compares_with_lines_between_the_frames_looked_at(sparse: RunResult) -> None:
    assert sparse.harm.people[0].frames == sparse.before.num_frames
    assert any("the harm report compares with straight lines" in note for note in sparse.notes)


def test_other_distances_have_lines_and_the_general_weights(clip: Path, tmp_path: Path) -> None:
    result = run_recording(clip, tmp_path / "out", DetectSettings(every=12))
    assert np.isfinite(result.after.positions).all()
    assert result.after.history[-1]["model"] == "smoothnet-general-w32"
    assert any("every 12th frame was looked at" in note for note in result.notes)
    assert any("weights for every 5th or 10th frame would recover them" in note for note in result.notes)


def test_a_chain_of_ones_own_gets_all_frames(clip: Path, tmp_path: Path) -> None:
    result = run_recording(clip, tmp_path / "out", DetectSettings(every=12), GAUSSIAN)
    assert np.isfinite(result.after.positions).all()
    assert [entry["verb"] for entry in result.after.history[-2:]] == ["fill", "smooth"]


def test_one_picture_is_a_clip_of_one_frame(picture: Path, tmp_path: Path) -> None:
    result = run_recording(picture, tmp_path / "out")
    assert result.after.positions.shape[1] == 1
    np.testing.assert_allclose(result.after.positions, result.before.positions, atol=0.01)
    assert any("step.png is no video that browsers play: the report shows a copy" in note for note in result.notes)


def test_a_fault_of_the_chain_ends_the_search(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no-such-model"):
        run_recording(clip, tmp_path / "out", chain=ChainConfig(steps=(SmoothStep(model="no-such-model"),)))
    assert not (tmp_path / "out").exists()


def test_nobody_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    write_video(tmp_path / "wall.mp4", [np.full((120, 160, 3), 128, np.uint8)] * 5, fps=30)
    with pytest.raises(DataError, match="nobody was found in 5 frames"):
        run_recording(tmp_path / "wall.mp4", tmp_path / "a" / "b", chain=GAUSSIAN)
    assert [path.name for path in tmp_path.iterdir()] == ["wall.mp4"]


def test_what_is_there_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "poses3d.world.npz").write_text("mine")
    with pytest.raises(ConfigError, match=r"world\.npz: already exists"):
        run_recording(tmp_path / "not-even-looked-for.mp4", tmp_path, world=True)


# --- what the page shows ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(walk_frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Small frames: what is in them does not matter here."""
    return [np.ascontiguousarray(frame[::8, ::8][:46]) for frame in walk_frames[:6]]


@pytest.fixture(scope="module")
def avi(small: list[NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that browsers do not play."""
    import av

    path = tmp_path_factory.mktemp("avi") / "old.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 46, "yuv420p"
        for rgb in small:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_what_browsers_play_is_shown_as_it_is(clip: Path) -> None:
    with shown_video(Recording(clip)) as (video, notes):
        assert (video, notes) == (clip, ())
    with shown_video(None) as shown:
        assert shown == (None, ())


def test_what_they_do_not_play_is_shown_as_a_copy(avi: Path) -> None:
    with shown_video(Recording(avi)) as (video, notes):
        assert video is not None
        assert video.name == "old.preview.mp4"
        with open_video(video) as copy:
            assert (copy.info.codec, copy.info.size, len(list(copy.frames()))) == ("h264", (160, 46), 6)
        assert notes == (
            "old.avi is no video that browsers play: the report shows a copy of at most 1280 pixels a side",
        )
    assert not video.exists()


def test_pictures_keep_the_rate_that_was_stated(picture: Path, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(picture.read_bytes())
    with shown_video(Recording(tmp_path, 10)) as (video, _):
        assert video is not None
        with open_video(video) as copy:
            times = [frame.time for frame in copy.frames()]
    np.testing.assert_allclose(times, [0, 0.1, 0.2], atol=1e-4)


def test_a_copy_that_is_too_large_is_left_out_or_linked(avi: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "MAX_VIDEO_BYTES", 100)
    with shown_video(Recording(avi)) as (video, notes):
        assert video is None
        assert notes == ("old.avi is no video that browsers play, and too long for a copy: it is not shown",)
    with shown_video(Recording(clip)) as (video, notes):
        assert (video, notes) == (clip, ())
