"""The command `poseworks-skeleton-action`: its verbs, none of whose code is imported before it is called."""

from __future__ import annotations

from importlib import metadata
from typing import NoReturn

from poseworks.core.cli import main as run_command_line
from poseworks.core.cli import make_app

_VERBS = {
    "recognize": "What people do, from 2D poses: label, probability, time.",
    "models": "Every model, shipped or published: size, licence, training data, claimed accuracy, where it is.",
    "inspect": "What a file is: poses, annotations, results, or a checkpoint with its network and sizes.",
    "convert": "An original checkpoint as a folder of model.safetensors and config.json.",
    "build": "Pose files and a table of labels as a checked data set, with a preview sheet.",
    "train": "Trains by a recipe: the name of a published configuration, or a TOML file.",
    "evaluate": "The published protocol on a data set: the accuracy beside the claim, with recordings counted.",
    "fuse": "Result files of several streams added up with weights, their order checked.",
    "export": "A model as ONNX, verified at other sizes before the file appears.",
}

app = make_app(
    "poseworks-skeleton-action",
    "PoseC3D: networks that tell from keypoints what people do, and their checkpoints.",
    lambda: metadata.version("poseworks-skeleton-action"),
    "poseworks.skeleton_action.commands",
    _VERBS,
)


def main() -> NoReturn:
    """Runs the command line and leaves the process with the exit status that the contract states."""
    run_command_line(app)
