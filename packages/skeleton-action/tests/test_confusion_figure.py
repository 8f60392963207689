"""The confusion matrix as a figure: every name and count is in it, whatever the words."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from poseworks.core.errors import ShapeError
from poseworks.skeleton_action.confusion_figure import confusion_figure


def words(text: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]


def test_names_and_counts_are_shown() -> None:
    counts = np.array([[5, 1, 0], [0, 0, 0], [2, 0, 7]])
    found = words(confusion_figure(counts, ["sit", "<stand> & go", "wave"], title="T", note="15 recordings"))
    assert found[0] == "T"
    assert {"0 sit", "1 <stand> & go", "2 wave", "true class", "answer", "15 recordings"} <= set(found)
    assert sorted(word for word in found if word in ("5", "1", "2", "7")) == ["1", "1", "2", "5", "7"]  # 1: the bar too


def test_many_classes_have_no_counts_and_very_many_no_names() -> None:
    found = words(confusion_figure(np.full((60, 60), 1234), title="T"))
    assert {"0", "59"} <= set(found)
    assert "1234" not in found
    assert "59" not in words(confusion_figure(np.eye(400), title="T"))


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match="counts: expected"):
        confusion_figure(np.zeros((2, 3)), title="T")
    with pytest.raises(ShapeError, match=r"labels: expected \(classes=2\), got \(3,\)"):
        confusion_figure(np.zeros((2, 2)), ["a", "b", "c"], title="T")
