"""rtmlib's own classes on small networks made here, whose boxes and peaks are known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from poseworks.core.errors import CheckpointError, ConfigError, DataError, ShapeError
from poseworks.core.video import write_video
from poseworks.keypoints.detection import DetectSettings, find_people
from poseworks.keypoints.region import Image
from poseworks.keypoints.rtmlib_tracker import MODES, RtmlibTracker

BOXES = [(10, 10, 22, 42), (44, 12, 56, 36)]  # of the detector, in pixels of its input: half of those of the frame
LIGHTWEIGHT = (
    "yolox_tiny_8xb8-300e_humanart-6f3252f9.onnx",
    "rtmpose-s_simcc-body7_pt-body7_420e-256x192-acd4a1ef_20230504.onnx",
)


def save(path: Path, nodes: list[Any], size: tuple[Any, Any], outputs: dict[str, Any], **constants: Any) -> Path:
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes,
        "made-in-a-test",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        tensors,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def save_detector(path: Path, size: tuple[Any, Any] = (64, 64)) -> Path:
    """Two people where the first channel of the first pixel is above 0, else nobody: (1, N, 5) as with NMS inside."""
    nodes = [
        helper.make_node("Slice", ["input", "first", "second"], ["pixel"]),
        helper.make_node("Reshape", ["pixel", "single"], ["value"]),
        helper.make_node("Clip", ["value", "zero", "one"], ["found"]),
        helper.make_node("Mul", ["rows", "found"], ["seen"]),
        helper.make_node("Add", ["seen", "boxes"], ["dets"]),
    ]
    scores, boxes = np.zeros((2, 1, 2, 5), np.float32)
    scores[0, :, 4] = (0.9, 0.8)
    boxes[0, :, :4] = BOXES
    return save(
        path,
        nodes,
        size,
        {"dets": [1, 2, 5]},
        rows=scores,
        boxes=boxes,
        first=np.zeros(4, np.int64),
        second=np.ones(4, np.int64),
        single=np.array([1, 1, 1], np.int64),
        zero=np.float32(0),
        one=np.float32(1),
    )


def save_pose(path: Path, size: tuple[Any, Any] = (32, 24), joints: int = 17, outputs: int = 2) -> Path:
    """Keypoint k at (3 + k, 5 + k) of 24 x 32 pixels, half a pixel a bin; the score is half the mean of channel 0."""
    x, y = np.zeros((1, joints, 48), np.float32), np.zeros((1, joints, 64), np.float32)
    for k in range(joints):
        x[0, k, 2 * (3 + k % 17)] = y[0, k, 2 * (5 + k % 17)] = 0.5
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["means"]),
        helper.make_node("Gather", ["means", "channel"], ["mean"], axis=1),
        helper.make_node("Mul", ["peaks_x", "mean"], ["simcc_x"]),
        helper.make_node("Mul", ["peaks_y", "mean"], ["simcc_y"]),
    ]
    named = {"simcc_x": [1, joints, 48], "simcc_y": [1, joints, 64]}
    kept = dict(list(named.items())[:outputs])
    return save(path, nodes, size, kept, peaks_x=x, peaks_y=y, channel=np.int64(0))


def frame(red: int = 200, *, people: bool = True) -> Image:
    """128 x 128 in one shade of red; a blue first pixel says to the detector that there are people."""
    rgb = np.zeros((128, 128, 3), np.uint8)
    rgb[..., 0] = red
    rgb[0, 0] = (0, 0, 255) if people else (255, 0, 0)
    return rgb


@pytest.fixture
def rtmlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The package, without a network, and with an empty cache."""
    module = pytest.importorskip("rtmlib", exc_type=ImportError)  # OpenCV needs libraries of the system

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("an address was opened")

    monkeypatch.setattr(sys.modules["rtmlib.tools.file"], "urlopen", refused)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("POSEWORKS_WEIGHTS", raising=False)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "networks"
    home.mkdir()
    save_detector(home / "yolox_x.onnx")
    save_pose(home / "rtmpose-x.onnx")
    return home


def test_keypoints_are_where_the_peaks_are_in_each_box(rtmlib: Any, folder: Path) -> None:
    """Boxes (20, 20, 44, 84) and (88, 24, 112, 72), a quarter larger, widened to 3 : 4: centres and sizes below."""
    people = RtmlibTracker(str(folder)).push(frame(), 0.0)
    assert [person.id for person in people] == [0, 1]
    k = np.arange(17)
    for person, (cx, cy), (width, height) in zip(people, [(32, 52), (100, 48)], [(60, 80), (45, 60)], strict=True):
        x = cx - width / 2 + (3 + k) / 24 * width
        y = cy - height / 2 + (5 + k) / 32 * height
        np.testing.assert_allclose(person.keypoints, np.stack([x, y], axis=1), atol=1e-3)
        assert person.keypoints.dtype == person.confidence.dtype == np.float32
        assert person.world is None


def test_the_detector_sees_bgr_and_the_pose_network_rgb(rtmlib: Any, folder: Path) -> None:
    """Red 200 is (200 - 123.675) / 58.395 = 1.30705 of the normalised first channel, a quarter of which is the score
    of the peaks 0.5: were it blue that comes first, it would be below 0."""
    tracker = RtmlibTracker(str(folder))
    people = tracker.push(frame(), 0.0)
    np.testing.assert_allclose(people[0].confidence, 0.5 * 1.30705, atol=1e-4)
    assert people[0].presence == pytest.approx(0.5 * 1.30705, abs=1e-4)
    assert tracker.skeleton.name == "coco17"


def test_scores_above_one_are_cut(rtmlib: Any, folder: Path) -> None:
    people = RtmlibTracker(str(folder)).push(frame(255), 0.0)  # 0.5 (255 - 123.675) / 58.395 = 1.12
    np.testing.assert_array_equal(people[0].confidence, 1.0)


def test_where_nobody_is_found_there_is_nobody(rtmlib: Any, folder: Path) -> None:
    """rtmlib itself would take the whole image for a person."""
    tracker = RtmlibTracker(str(folder))
    assert tracker.push(frame(people=False), 0.0) == []
    assert [person.id for person in tracker.push(frame(), 0.1)] == [0, 1]
    assert tracker.push(frame(people=False), 0.2) == []
    assert [person.id for person in tracker.push(frame(), 1.0)] == [0, 1]


def test_a_recording_is_read_through_it(rtmlib: Any, folder: Path, tmp_path: Path) -> None:
    frames = np.stack([frame()] * 10)
    frames[:, :16, :16] = (0, 0, 255)  # a block, which coding keeps
    write_video(tmp_path / "clip.mp4", frames, fps=30)
    found = find_people(tmp_path / "clip.mp4", DetectSettings(detector="rtmlib", model=str(folder), skeleton="coco17"))
    assert found.poses.positions.shape == (2, 10, 17, 2)
    assert found.world is None
    expected = 32 - 60 / 2 + 3 / 24 * 60, 52 - 80 / 2 + 5 / 32 * 80  # the first keypoint in the first box
    np.testing.assert_allclose(found.poses.positions[0, :, 0], [expected] * 10, atol=1e-3)
    assert list(found.poses.history[0]["settings"]["networks"]) == ["yolox_x.onnx", "rtmpose-x.onnx"]


def test_what_ran_is_named(rtmlib: Any, folder: Path) -> None:
    tracker = RtmlibTracker(str(folder), threads=2)
    sources = tracker.sources
    assert sources["rtmlib"]
    assert list(sources["networks"]) == ["yolox_x.onnx", "rtmpose-x.onnx"]
    assert all(len(digest) == 64 for digest in sources["networks"].values())
    assert tracker._pose.session.get_session_options().intra_op_num_threads == 2


def test_nothing_is_printed_on_loading(rtmlib: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RtmlibTracker(str(folder))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("where", ["POSEWORKS_WEIGHTS", "cache"])
def test_a_mode_is_found_under_the_published_names(
    rtmlib: Any, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks that do not state their input's size get that of the mode."""
    home = tmp_path / "cache" / "hub" / "checkpoints" if where == "cache" else tmp_path / "weights"
    home.mkdir(parents=True)
    if where != "cache":
        monkeypatch.setenv("POSEWORKS_WEIGHTS", str(home))
    save_detector(home / LIGHTWEIGHT[0], ("height", "width"))
    save_pose(home / LIGHTWEIGHT[1], ("height", "width"))
    tracker = RtmlibTracker("lightweight")
    assert tracker._detector.model_input_size == (416, 416)
    assert tracker._pose.model_input_size == (192, 256)
    assert len(tracker.push(frame(), 0.0)) == 2


def test_modes_are_those_of_rtmlib(rtmlib: Any) -> None:
    assert set(MODES) == set(rtmlib.Body.MODE)


def test_a_mode_that_is_not_here_is_not_fetched(rtmlib: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = rf"rtmlib lightweight: {LIGHTWEIGHT[0]} and {LIGHTWEIGHT[1]} not here, and nothing is fetched unasked\. Put "
    with pytest.raises(CheckpointError, match=both + r"them into .* POSEWORKS_WEIGHTS, .*Body\(mode='lightweight'\)"):
        RtmlibTracker("lightweight")
    save_detector(tmp_path / LIGHTWEIGHT[0])
    monkeypatch.setenv("POSEWORKS_WEIGHTS", str(tmp_path))
    with pytest.raises(CheckpointError, match=rf"rtmlib lightweight: {LIGHTWEIGHT[1]} not here.*Put it into a folder"):
        RtmlibTracker("lightweight")


def test_folders_that_cannot_be_used(rtmlib: Any, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"model: expected lightweight, .* or a folder of rtmlib's files, got 'nano'"):
        RtmlibTracker("nano")
    save_detector(folder / "yolox_y.onnx")
    with pytest.raises(CheckpointError, match=r"expected one file yolox\*\.onnx, found yolox_x\.onnx, yolox_y\.onnx\."):
        RtmlibTracker(str(folder))
    for path in folder.glob("yolox*"):
        path.unlink()
    with pytest.raises(CheckpointError, match=r"expected one file yolox\*\.onnx, found none\. A folder holds one"):
        RtmlibTracker(str(folder))


def test_other_networks_are_refused(rtmlib: Any, folder: Path) -> None:
    save_pose(folder / "rtmpose-x.onnx", joints=26)
    with pytest.raises(CheckpointError, match=r"yolox_x\.onnx and rtmpose-x\.onnx: give 26 keypoints, not 17\. Expect"):
        RtmlibTracker(str(folder)).push(frame(), 0.0)
    save_pose(folder / "rtmpose-x.onnx", outputs=1)
    with pytest.raises(CheckpointError, match=r"rtmpose-x\.onnx: rtmlib cannot run them \(.*\)\. Expected rtmlib's"):
        RtmlibTracker(str(folder)).push(frame(), 0.0)
    save_pose(folder / "rtmpose-x.onnx", ("height", "width"))
    with pytest.raises(CheckpointError, match=r"rtmpose-x\.onnx: does not state the size of its input\. .*names\."):
        RtmlibTracker(str(folder))
    (folder / "rtmpose-x.onnx").write_bytes(b"no network")
    with pytest.raises(CheckpointError, match=r"rtmpose-x\.onnx: onnxruntime cannot open it"):
        RtmlibTracker(str(folder))


def test_frames_and_times_are_checked(rtmlib: Any, folder: Path) -> None:
    tracker = RtmlibTracker(str(folder))
    with pytest.raises(ShapeError, match=r"rgb: expected a uint8 array \(H, W, 3\), got float64 \(4, 4, 3\)\."):
        tracker.push(np.zeros((4, 4, 3)), 0.0)  # type: ignore[arg-type]
    tracker.push(frame(people=False), 0.0)
    with pytest.raises(DataError, match=r"time: expected seconds that rise from push to push"):
        tracker.push(frame(), 0.0)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    with pytest.raises(ConfigError, match=r'Install it: pip install "poseworks-keypoints\[rtmlib\]"; or use the detec'):
        RtmlibTracker("balanced")


def test_the_package_is_imported_only_when_it_is_asked_for() -> None:
    code = (
        "import sys, poseworks.keypoints.detection, poseworks.keypoints.rtmlib_tracker, poseworks.keypoints.commands\n"
        "sys.exit(', '.join({'rtmlib', 'cv2', 'torch', 'onnxruntime'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
