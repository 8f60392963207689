"""What the READMEs show works: Python blocks run, and command lines name verbs and flags that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parents[1]
READMES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("packages/*/README.md")])


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [path for path in READMES if "```python" in path.read_text()], ids=name_of)
def test_python_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    document = Sybil(parsers=[PythonCodeBlockParser()], path=str(ROOT)).parse(path)
    examples = list(document.examples())
    assert examples
    for example in examples:
        example.evaluate()


def command_lines() -> list[tuple[str, str]]:
    lines = []
    for path in READMES:
        for block in re.findall(r"```(?:bash|sh|)\n(.*?)```", path.read_text(), flags=re.DOTALL):
            joined = block.replace("\\\n", " ")
            lines += [
                (name_of(path), line.split("#")[0].strip()) for line in joined.splitlines() if "poseworks" in line
            ]
    found = [(where, re.sub(r"^uv run ", "", line)) for where, line in lines]
    return [(where, line) for where, line in found if line.startswith("poseworks")]


@cache
def help_of(command: str, verb: str) -> str:
    executable = str(Path(sys.executable).parent / command)
    return subprocess.run([executable, verb, "--help"], capture_output=True, text=True, check=True).stdout


def test_there_are_command_lines() -> None:
    assert len(command_lines()) >= 5


@pytest.mark.parametrize(("where", "line"), command_lines())
def test_command_lines_name_verbs_and_flags_that_exist(where: str, line: str) -> None:
    command, verb, *words = shlex.split(line)
    if verb.startswith("-"):
        return
    known = help_of(command, verb)
    for flag in (word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)):
        assert re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", known), f"{where}: {verb} has no {flag}"
