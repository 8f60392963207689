"""What `inspect` says of recordings, poses and networks, and of what is none of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from poseworks.core import poses_from_arrays, write_poses
from poseworks.core.errors import CheckpointError, DataError, FormatError
from poseworks.core.read_options import ReadOptions
from poseworks.core.skeletons import COCO_17
from poseworks.core.video import write_video
from poseworks.keypoints import commands
from poseworks.keypoints.inspection import inspect_file
from poseworks.keypoints.models import detector_file, landmark_file


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "grey.mp4"
    write_video(path, (np.full((48, 64, 3), level, np.uint8) for level in range(0, 120, 10)), fps=24)
    return path


def test_a_recording_is_described_by_its_header(recording: Path) -> None:
    facts = inspect_file(recording)
    assert {name: facts[name] for name in ("what", "size", "fps", "frames_stated", "rotation")} == {
        "what": "recording", "size": (64, 48), "fps": 24, "frames_stated": 12, "rotation": 0
    }  # fmt: skip
    assert facts["seconds"] == pytest.approx(0.5)
    assert facts["pixel_format"].startswith("yuv")
    assert "mp4" in facts["container"]
    assert facts["codec"]


def test_a_folder_of_pictures_is_a_recording(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.bmp").write_bytes(bmp(4, 2))
    facts = inspect_file(tmp_path, ReadOptions(fps=10))
    assert (facts["what"], facts["container"], facts["size"], facts["fps"]) == ("recording", "folder", (4, 2), 10)
    assert facts["frames_stated"] == 3


def bmp(width: int, height: int) -> bytes:
    """A black picture of 24 bits; rows of a multiple of four bytes."""
    pixels = bytes(height * (-(-3 * width // 4) * 4))
    header = np.array([40, width, height, 1 | 24 << 16, 0, len(pixels), 0, 0, 0, 0], "<u4").tobytes()
    return b"BM" + np.array([54 + len(pixels), 0, 54], "<u4").tobytes() + header + pixels


def test_poses_are_described_whatever_their_format(tmp_path: Path) -> None:
    positions = np.random.default_rng(0).uniform(0, 100, (1, 5, 17, 2))
    poses = poses_from_arrays(positions, COCO_17, unit="px", frame="image", fps=25, image_size=(100, 100))
    for name, found in (("poses.npz", "poses"), ("poses.csv", "csv")):
        write_poses(poses, tmp_path / name)
        facts = inspect_file(tmp_path / name)
        assert (facts["what"], facts["format"]) == ("poses", found)
        assert (facts["people"], facts["frames"], facts["joints"], facts["fps"]) == (1, 5, 17, 25)
        assert facts["skeleton"] == "coco17"


@pytest.mark.parametrize(
    ("file", "name", "kind", "outputs"),
    [
        (detector_file(), "pose_detection", "detector", {"boxes", "scores"}),
        (
            landmark_file("full"),
            "pose_landmark_full",
            "landmark network",
            {"landmarks", "presence", "heatmap", "world"},
        ),
    ],
    ids=["detector", "landmarks"],
)
def test_a_shipped_network_is_known_by_its_bytes(file: Path, name: str, kind: str, outputs: set[str]) -> None:
    facts = inspect_file(file)
    assert (facts["what"], facts["network"], facts["equals"]) == ("pose network (ONNX)", kind, name)
    assert facts["inputs"] == {"image": ["n", "h", "w", 3]}
    assert set(facts["outputs"]) == outputs
    assert facts["size_bytes"] == file.stat().st_size


def test_a_changed_network_is_no_longer_known(tmp_path: Path) -> None:
    changed = tmp_path / "changed.onnx"
    # Field 6 of an ONNX file is its description; one that comes later in the file takes the place of the first.
    changed.write_bytes(landmark_file("full").read_bytes() + b"\x32\x05other")
    facts = inspect_file(changed)
    assert (facts["network"], facts["equals"]) == ("landmark network", None)


def test_a_network_for_something_else_is_named_so(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "other", value[:1], value[1:])
    opset = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=7), tmp_path / "other.onnx")
    facts = inspect_file(tmp_path / "other.onnx")
    assert (facts["what"], facts["network"]) == ("ONNX network", "none that detect runs")
    assert (facts["inputs"], facts["outputs"]) == ({"x": [1, 2]}, {"y": [1, 2]})


def test_a_published_file_says_how_to_go_on(tmp_path: Path) -> None:
    for name in ("net.tflite", "renamed.bin"):
        (tmp_path / name).write_bytes(b"\x1c\0\0\0TFL3" + bytes(20))
        facts = inspect_file(tmp_path / name)
        assert facts["what"] == "network as published (TensorFlow Lite)"
        assert facts["equals"] is None
        stem = Path(name).stem
        assert facts["next"] == f"poseworks-keypoints convert {tmp_path / name} -o {stem}.onnx"


def test_damaged_networks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(detector_file().read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"cut\.onnx: onnxruntime cannot open it \(.+\)\. Expected an ONNX"):
        inspect_file(tmp_path / "cut.onnx")
    (tmp_path / "not.tflite").write_bytes(b"hello")
    with pytest.raises(CheckpointError, match=r"not\.tflite: is no TensorFlow Lite file, whatever its name says"):
        inspect_file(tmp_path / "not.tflite")


def test_what_is_none_of_these_is_refused_with_both_reasons(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a shopping list\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"format not recognised\. .* As a recording: .*is no recording"):
        inspect_file(tmp_path / "notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match=r"without OpenPose files.* As a recording: .*without pictures"):
        inspect_file(tmp_path / "empty")
    with pytest.raises(DataError, match=r"nothing\.mp4: does not exist"):
        inspect_file(tmp_path / "nothing.mp4")


def test_the_verb_prints_one_object(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands.inspect(recording, json=True)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["what"], printed["size"]) == ("recording", [64, 48])
    commands.inspect(recording)
    assert "what: recording" in capsys.readouterr().out
