"""Runs the Python examples of every README, in a folder of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser


def enter_empty_folder(namespace: dict[str, Any]) -> None:
    """Examples write their files where nobody else looks."""
    import tempfile

    namespace["__folder"] = tempfile.TemporaryDirectory()
    namespace["__before"] = Path.cwd()
    os.chdir(namespace["__folder"].name)


def leave_folder(namespace: dict[str, Any]) -> None:
    os.chdir(namespace["__before"])
    namespace["__folder"].cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    path=str(Path(__file__).parents[1]),
    patterns=["README.md", "packages/*/README.md"],
    setup=enter_empty_folder,
    teardown=leave_folder,
).pytest()
