"""Files that are damaged, that would run code, or that would take more memory than their frames."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import FormatError, PoseworksError
from poseworks.core.testing import mutations
from poseworks.lifting.learning.h36m_files.facts import data_facts
from poseworks.lifting.learning.h36m_files.places import DETECTED_FILE, EHGFORMER_FILE
from poseworks.lifting.learning.h36m_files.reading import read_ehgformer, read_lcn

Content = dict[str, dict[str, Any]]
Write = Callable[..., Path]

READERS: dict[str, Callable[[Path], object]] = {
    "h36m_test.pkl": lambda path: read_lcn(path.parent, "test"),
    DETECTED_FILE: lambda path: read_lcn(path.parent, "test", "dt_ft"),
    EHGFORMER_FILE: lambda path: read_ehgformer(path, "test"),
}


def small(name: str, items: list[dict[str, Any]], source: Content) -> Any:
    """Few frames, so that damage hits the structure and not only numbers."""
    if name == "h36m_test.pkl":
        return items[:5]
    if name == DETECTED_FILE:
        return {"test": {"joint3d_image": np.zeros((6, 17, 2), np.float16)}}
    part = source["test"]
    return {"test": {key: x[:3] for key, x in part.items()}}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("protocol", [0, 3, 4, 5])
def test_damaged_files_end_in_frames_or_an_error(
    name: str,
    protocol: int,
    items: list[dict[str, Any]],
    source: Content,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: Write,
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == DETECTED_FILE:
        written(tmp_path / "h36m_test.pkl", items[:6])
    data = pickle.dumps(small(name, items, source), protocol)
    before = sorted(tmp_path.iterdir())
    refused = 0
    for damaged in mutations(data, np.random.default_rng(protocol), 60):
        (tmp_path / name).write_bytes(damaged)
        for read in (READERS[name], data_facts):
            try:
                read(tmp_path / name)
            except PoseworksError:
                refused += 1
    assert refused > 20
    (tmp_path / name).unlink()
    assert sorted(tmp_path.iterdir()) == [path for path in before if path.name != name]


class _Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.parts = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("name", READERS)
def test_a_poisoned_file_is_refused_and_runs_nothing(
    name: str,
    protocol: int,
    items: list[dict[str, Any]],
    source: Content,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: Write,
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "h36m_test.pkl", items[:6])
    for evil in (
        _Runs(os.system, "touch executed"),
        _Runs(eval, "open('executed', 'w')"),
        _Runs(np.save, "executed", 1),
    ):
        good = small(name, items, source)
        poisoned = [[*good, evil], [{**good[0], "box": evil}]] if isinstance(good, list) else [
            {**good, "train": evil}, {"test": {**good["test"], "confidence": evil}}, evil
        ]  # fmt: skip
        for content in poisoned:
            written(tmp_path / name, content, protocol)
            for read in (READERS[name], data_facts):
                with pytest.raises(FormatError, match="refused"):
                    read(tmp_path / name)
    assert not (tmp_path / "executed.npy").exists()
    assert not (tmp_path / "executed").exists()


def test_items_that_come_without_end_take_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list whose items are never handed over, and one whose items hold each other."""
    monkeypatch.setattr("poseworks.core.unpickling_machine.MAX_LIVE", 100_000)
    for data in (b"\x80\x03](" + b"N" * 1_100_000, b"\x80\x03](" + b"]" * 1_100_000 + b"e."):
        (tmp_path / "h36m_test.pkl").write_bytes(data)
        with pytest.raises(FormatError, match="too much in one item"):
            read_lcn(tmp_path, "test")


MEMORY = """
import resource, sys
from pathlib import Path
from poseworks.lifting.learning.h36m_files.reading import read_ehgformer, read_lcn
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
frames = read_ehgformer(sys.argv[1], "train")
print(len(frames), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts kilobytes as Linux does")
def test_frames_are_not_copied_more_than_once(tmp_path: Path, written: Write) -> None:
    """The file's own pages are the system's, yet count here: they and one copy, not two."""
    count = 30_000
    rng = np.random.default_rng(0)
    part = {
        "joint_2d": rng.random((count, 17, 2)), "confidence": rng.random((count, 17, 1)),
        "joint3d_image": rng.random((count, 17, 3)), "camera_name": ["54138969"] * count,
        "source": [f"s_01_act_{i // 1000:02d}_subact_01_ca_01" for i in range(count)],
    }  # fmt: skip
    path = written(tmp_path / "x.pkl", {"train": part, "test": {}}, 4)
    done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
    frames, kilobytes = map(int, done.stdout.split())
    assert frames == count
    one_copy = count * 17 * 6 * 4
    assert 1024 * kilobytes < path.stat().st_size + one_copy + (40 << 20)
