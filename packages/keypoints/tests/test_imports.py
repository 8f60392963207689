"""What is imported when: never torch, and nothing heavy before it is needed. Each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from poseworks.core.video import open_video, write_video

DATA = Path(__file__).parent / "data"
HEAVY = "{'torch', 'cv2', 'rtmlib', 'tflite', 'onnx', 'scipy', 'onnxruntime', 'av', 'numpy'}"


def python(code: str, *arguments: object) -> set[str]:
    """The words that the code prints last."""
    command = [sys.executable, "-c", f"import sys\n{code}\nprint(*sorted({HEAVY} & set(sys.modules)))"]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_imports_next_to_nothing() -> None:
    assert python("import poseworks.keypoints") <= {"numpy"}


def test_every_public_name_is_there_without_an_engine_or_a_codec() -> None:
    code = "import poseworks.keypoints as k; [getattr(k, name) for name in k.__all__]"
    assert python(code) <= {"numpy"}


@pytest.mark.parametrize("verb", [[], ["detect"], ["models"], ["convert"], ["inspect"]], ids=lambda verb: str(verb[:1]))
def test_help_answers_without_engine_codec_or_torch(verb: list[str]) -> None:
    code = f"""
from poseworks.core.cli import run
from poseworks.keypoints.cli import app
assert run(app, [*{verb!r}, "--help"]) == 0
"""
    assert python(code) <= {"numpy"}


def test_a_recording_is_detected_by_engine_and_codec_alone(tmp_path: Path) -> None:
    with open_video(DATA / "jumping_jacks.mp4") as video:
        write_video(tmp_path / "clip.mp4", [next(iter(video.frames())).rgb] * 2, fps=30)
    code = """
from poseworks.core.cli import run
from poseworks.keypoints.cli import app
assert run(app, ["detect", sys.argv[1], "-o", sys.argv[2], "--world", "--skeleton", "coco17"]) == 0
"""
    assert python(code, tmp_path / "clip.mp4", tmp_path / "out.npz") == {"av", "numpy", "onnxruntime"}
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        assert arrays["positions"].shape == (1, 2, 17, 2)


def test_a_tracker_needs_no_codec() -> None:
    code = """
import numpy as np
from poseworks.keypoints import Tracker
assert Tracker().push(np.zeros((48, 64, 3), np.uint8), 0.0) == []
"""
    assert python(code) == {"numpy", "onnxruntime"}
