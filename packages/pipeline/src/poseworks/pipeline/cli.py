"""The command `poseworks`: its verbs, none of whose code is imported before it is called."""

from __future__ import annotations

from importlib import metadata
from typing import NoReturn

from poseworks.core.cli import main as run_command_line
from poseworks.core.cli import make_app

_VERBS = {
    "demo": "A shipped clip of a walking woman, found, smoothed and lifted, with a page that shows it: try this first.",
    "run": "A recording, or poses of any detector, through a chain of steps: poses files and report.html.",
    "convert": "Poses, body motion in another format; poses on another skeleton; an original checkpoint as a folder.",
    "inspect": "What a file is: a recording, poses of any known format, or weights.",
    "models": "Every model, shipped or published: size, licence, training data, where it is.",
}

app = make_app(
    "poseworks",
    "Human pose from one command: video in, smoothed motion in 2D and 3D and a picture of it out.",
    lambda: metadata.version("poseworks"),
    "poseworks.pipeline.commands",
    _VERBS,
)


def main() -> NoReturn:
    """Runs the command line and leaves the process with the exit status that the contract states."""
    run_command_line(app)
