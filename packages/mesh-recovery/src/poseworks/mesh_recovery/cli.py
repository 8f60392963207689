"""The command `poseworks-mesh-recovery`: its verbs, none of whose code is imported before it is called."""

from __future__ import annotations

from importlib import metadata
from typing import NoReturn

from poseworks.core.cli import main as run_command_line
from poseworks.core.cli import make_app

_VERBS = {
    "fit": "Bodies fitted to keypoints of one or several cameras, or to joints in space. Needs no weights.",
    "recover": "The bodies of the people in a recording, found by one of the networks frame by frame.",
    "models": "Every model, shipped or published: size, licence, training data, claimed accuracy, where it is.",
    "inspect": "What a file is: poses, a data set, a body, or a checkpoint with its method and sizes.",
    "convert": "An original checkpoint as a folder of model.safetensors and config.json.",
    "evaluate": "A published protocol on data in the published layout: errors beside the claim.",
    "train": "Trains by a recipe: a row of the study by its name, or a TOML file.",
    "build": "Rendered pictures of the free body, as a data set to train with.",
    "export": "A model as ONNX, verified at other sizes before the file appears.",
}

app = make_app(
    "poseworks-mesh-recovery",
    "HMR, SPIN, GraphCMR, PARE and Mesh Graphormer: networks from pictures to a body, and their checkpoints.",
    lambda: metadata.version("poseworks-mesh-recovery"),
    "poseworks.mesh_recovery.commands",
    _VERBS,
)


def main() -> NoReturn:
    """Runs the command line and leaves the process with the exit status that the contract states."""
    run_command_line(app)
