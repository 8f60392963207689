"""The command `poseworks-lifting`: its verbs, none of whose code is imported before it is called."""

from __future__ import annotations

from importlib import metadata
from typing import NoReturn

from poseworks.core.cli import main as run_command_line
from poseworks.core.cli import make_app

_VERBS = {
    "lift": "2D poses lifted to 3D motion in stated units.",
    "models": "Every model, shipped or published: size, licence, training data, claimed accuracy, where it is.",
    "inspect": "What a file is: poses, published data, or a checkpoint with its method, variant and sizes.",
    "convert": "An original checkpoint as a folder of model.safetensors and config.json.",
    "train": "Trains by a recipe: the name of a published configuration, or a TOML file.",
    "evaluate": "The published protocol on Human3.6M: the error beside the claim, with frames counted.",
    "build": "Human3.6M's published layouts from 3D poses in camera axes, or a synthetic sample.",
    "attention": "Attention maps of an EHGFormer on a track, as arrays and figures.",
    "export": "A model as ONNX, verified at other sizes before the file appears.",
}

app = make_app(
    "poseworks-lifting",
    "LCN and EHGFormer: networks that lift 2D keypoints to 3D, and their checkpoints.",
    lambda: metadata.version("poseworks-lifting"),
    "poseworks.lifting.commands",
    _VERBS,
)


def main() -> NoReturn:
    """Runs the command line and leaves the process with the exit status that the contract states."""
    run_command_line(app)
