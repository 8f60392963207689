"""Timelines: windows, the segments they add up to, files and figures."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from poseworks.core.errors import ConfigError, DataError
from poseworks.skeleton_action.report import report_timeline, segment_table
from poseworks.skeleton_action.timeline import NOT_SCORED, UNKNOWN, Segment, Timeline, write_timelines
from poseworks.skeleton_action.timeline_plot import plot_timelines

SQUAT, LUNGE = [0.75, 0.25], [0.5, 0.5 + 2**-4]


def timeline(person: int | None = 7) -> Timeline:
    """Windows of 2 s every second: squat, squat, lunge, nothing, none of these."""
    begins = np.arange(5.0)
    nothing = [np.nan, np.nan]
    return Timeline(
        labels=("squat", "lunge"),
        begins_s=begins,
        ends_s=begins + 2,
        probabilities=np.array([SQUAT, [0.25, 0.125], LUNGE, nothing, LUNGE], dtype=np.float32),
        unknown=np.array([False, False, False, False, True]),
        faults=("", "", "", "nobody is seen", ""),
        person=person,
    )


def test_windows_speak_for_what_is_nearest_to_their_middle() -> None:
    line = timeline()
    np.testing.assert_array_equal(line.borders_s, [0, 1.5, 2.5, 3.5, 4.5, 6])
    assert line.segments == (
        Segment("squat", 0, 2.5, 0.5),  # the mean of 0.75 and 0.25
        Segment("lunge", 2.5, 3.5, 0.5625),
        Segment(NOT_SCORED, 3.5, 4.5, None),
        Segment(UNKNOWN, 4.5, 6, None),
    )
    assert line.classes.tolist() == [0, 0, 1, -1, -1]


def test_one_window_is_one_segment() -> None:
    line = Timeline(
        labels=("squat",), begins_s=np.array([1.0]), ends_s=np.array([4.0]), faults=("",), unknown=np.array([False]),
        probabilities=np.ones((1, 1), dtype=np.float32),
    )  # fmt: skip
    assert line.segments == (Segment("squat", 1, 4, 1.0),)
    assert line.who == "everybody"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ()}, "one or more windows and classes"),
        ({"probabilities": np.zeros((5, 3), np.float32)}, r"probabilities: expected \(5, 2\), got \(5, 3\)"),
        ({"unknown": np.zeros(4, bool)}, r"unknown: expected \(5,\), got \(4,\)"),
        ({"faults": ("",)}, "faults: expected 5, got 1"),
        ({"begins_s": np.zeros(5)}, "rising times"),
        ({"ends_s": np.arange(5.0) - 1}, "ends before it begins"),
        ({"faults": ("",) * 5}, "states no fault"),
    ],
)
def test_what_contradicts_itself_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Timeline(**{**vars(timeline()), **changes})  # type: ignore[arg-type]


def test_a_table_has_a_row_a_window(tmp_path: Path) -> None:
    write_timelines([timeline(7), timeline(None)], tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 10
    assert [row["person"] for row in rows] == ["7"] * 5 + [""] * 5
    assert [row["label"] for row in rows[:5]] == ["squat", "squat", "lunge", NOT_SCORED, UNKNOWN]
    assert (rows[2]["begin_s"], rows[2]["end_s"], rows[2]["probability"]) == ("2.000", "4.000", "0.562500")
    assert (rows[3]["squat"], rows[3]["fault"], rows[4]["probability"]) == ("", "nobody is seen", "")
    assert float(rows[4]["lunge"]) == 0.5625


def test_a_tree_has_segments_windows_and_the_history(tmp_path: Path) -> None:
    write_timelines([timeline()], tmp_path / "a.json", history=[{"verb": "recognize"}])
    tree = json.loads((tmp_path / "a.json").read_text())
    assert (tree["format"], tree["labels"]) == ("poseworks.timeline/1", ["squat", "lunge"])
    (person,) = tree["timelines"]
    assert person["person"] == 7
    assert person["segments"][0] == {"label": "squat", "begin_s": 0.0, "end_s": 2.5, "probability": 0.5}
    assert person["windows"][3] == {
        "begin_s": 3.0, "end_s": 5.0, "label": NOT_SCORED, "probability": None, "probabilities": None,
        "fault": "nobody is seen",
    }  # fmt: skip
    assert tree["history"] == [{"verb": "recognize"}]


def test_files_are_refused_that_exist_or_have_no_form(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names no form of a timeline"):
        write_timelines([timeline()], tmp_path / "a.txt")
    write_timelines([timeline()], tmp_path / "a.csv")
    with pytest.raises(ConfigError, match="already exists"):
        write_timelines([timeline()], tmp_path / "a.csv")
    write_timelines([timeline(), timeline()], tmp_path / "a.csv", overwrite=True)
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 11


def test_a_report_has_a_lane_a_person_with_grey_for_what_is_no_class() -> None:
    shown = report_timeline([timeline(7), timeline(9)])
    assert [lane.title for lane in shown.lanes] == ["person 7", "person 9"]
    spans = shown.lanes[0].spans
    assert [(span.label, span.value, span.muted) for span in spans] == [
        ("squat", 0.5, False), ("lunge", 0.5625, False), (NOT_SCORED, None, True), (UNKNOWN, None, True),
    ]  # fmt: skip
    assert segment_table([timeline(7)]).rows[0] == ("person 7", 0.0, 2.5, "squat", 0.5)


def test_a_figure_shows_segments_where_they_are() -> None:
    name = "{http://www.w3.org/2000/svg}"
    root = ET.fromstring(plot_timelines([timeline(7), timeline(8)], "a <b>"))
    words = [element.text for element in root.iter(f"{name}text")]
    assert {"a <b>", "person 7", "person 8", "squat", UNKNOWN, NOT_SCORED, "seconds"} <= set(words)
    strips = [r for r in root.iter(f"{name}rect") if r.find(f"{name}title") is not None][:4]
    widths = [float(r.attrib["width"]) for r in strips]
    np.testing.assert_allclose(np.array(widths) / sum(widths), [2.5 / 6, 1 / 6, 1 / 6, 1.5 / 6], atol=1e-3)
    assert (strips[0].find(f"{name}title").text or "").startswith("squat, 0.50: 0.00 to 2.50 s")  # type: ignore[union-attr]
    # Per person two classes, each with a line until the gap and a point behind it.
    assert len(root.findall(f"{name}polyline")) == 4
    assert len(root.findall(f"{name}circle")) == 4
