"""The command `poseworks-temporal`: its verbs, none of whose code is imported before it is called."""

from __future__ import annotations

from importlib import metadata
from typing import NoReturn

from poseworks.core.cli import main as run_command_line
from poseworks.core.cli import make_app

_VERBS = {
    "smooth": "Poses smoothed by a network or a filter, and what that did to the motion.",
    "models": "Every model, shipped or published: size, licence, training data, claimed accuracy, where it is.",
    "inspect": "What a file is: poses of any known format, or a checkpoint.",
    "convert": "An original checkpoint as a folder of model.safetensors and config.json.",
    "train": "Trains by a recipe: the name of a published configuration, or a TOML file.",
    "evaluate": "The published protocol on published data: ours beside the claim.",
    "export": "A model as ONNX, verified at other sizes before the file appears.",
}

app = make_app(
    "poseworks-temporal",
    "SmoothNet, DeciWatch and filters: smooth the motion of a pose estimator, and say what that did to it.",
    lambda: metadata.version("poseworks-temporal"),
    "poseworks.temporal.commands",
    _VERBS,
)


def main() -> NoReturn:
    """Runs the command line and leaves the process with the exit status that the contract states."""
    run_command_line(app)
