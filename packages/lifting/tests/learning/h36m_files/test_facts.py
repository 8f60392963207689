"""What is told of a data file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poseworks.core.errors import DataError, FormatError
from poseworks.lifting.learning.h36m_files.facts import data_facts
from poseworks.lifting.learning.h36m_files.places import DETECTED_FILE

Content = dict[str, dict[str, Any]]
Write = Callable[..., Path]


def test_facts_of_each_file(
    folder: Path, items: list[dict[str, Any]], tmp_path: Path, source: Content, written: Write
) -> None:
    facts = data_facts(folder / "h36m_test.pkl")
    assert (facts["frames"], facts["layout"]) == (len(items), "LCN (h36m_train.pkl or h36m_test.pkl)")
    assert facts["frames_by_camera"]["54138969"] == len(items) // 4
    assert set(facts["frames_by_action"]) == set(range(2, 17))
    facts = data_facts(folder / DETECTED_FILE)
    assert facts["layout"].startswith("LCN, detected")
    assert facts["test"]["frames"] == len(items)
    source["test"]["note"] = "x"
    del source["test"]["confidence"]
    del source["test"]["action"]
    facts = data_facts(written(tmp_path / "x.pkl", source))
    assert facts["train"]["shortest_recording"] == {"s_05_act_03_subact_01_ca_02": 40}
    assert facts["test"]["missing"] == ["action", "confidence (ones are taken)"]
    assert facts["test"]["left_over"] == ["note"]
    assert "no action" in facts["test"]["problem"]
    with pytest.raises(FormatError, match="expected a list of frames, or a dict of train and test; got a dict of a"):
        data_facts(written(tmp_path / "y.pkl", {"a": 1}))
    broken = data_facts(written(tmp_path / "z.pkl", [{**items[0], "box": None, "extra": 1}]))
    assert "box is missing" in broken["problem"]
    assert broken["left_over"] == ["extra"]


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        data_facts(tmp_path / "x.pkl")
