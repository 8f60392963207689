"""The command `poseworks-keypoints`: its verbs, none of whose code is imported before it is called."""

from __future__ import annotations

from importlib import metadata
from typing import NoReturn

from poseworks.core.cli import main as run_command_line
from poseworks.core.cli import make_app

_VERBS = {
    "detect": "The people in a recording, or before a camera, and their keypoints.",
    "models": "Every network, shipped or published: size, licence, training data, where it is.",
    "convert": "A published landmark network (.tflite) as the ONNX file that detect runs.",
    "inspect": "What a file is: a recording, poses of any known format, or a pose network.",
}

app = make_app(
    "poseworks-keypoints",
    "From any video to tracks of several people, offline.",
    lambda: metadata.version("poseworks-keypoints"),
    "poseworks.keypoints.commands",
    _VERBS,
)


def main() -> NoReturn:
    """Runs the command line and leaves the process with the exit status that the contract states."""
    run_command_line(app)
