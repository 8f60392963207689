"""Timelines: windows, the segments they add up to, files and figures."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import ConfigError, DataError
from poseworks.skeleton_action.report import report_timeline, segment_table
from poseworks.skeleton_action.timeline import NOT_SCORED, UNKNOWN, Segment, Timeline, write_timelines
from poseworks.skeleton_action.timeline_plot import plot_timelines

SQUAT, LUNGE = [0.75, 0.25], [0.5, 0.5 + 2**-4]


def timeline(person: int | None = 7) -> Timeline:
    """Windows of 2 s every second: squat, squat, lunge, nothing, none of these, nothing."""
    begins = np.arange(6.0)
    nothing = [np.nan, np.nan]
    return Timeline(
        labels=("squat", "lunge"),
        begins_s=begins,
        ends_s=begins + 2,
        probabilities=np.array([SQUAT, [0.25, 0.125], LUNGE, nothing, LUNGE, nothing], dtype=np.float32),
        unknown=np.array([False, False, False, False, True, False]),
        faults=("", "", "", "nobody is seen", "", "nobody is seen"),
        person=person,
    )


def test_a_moment_has_the_mean_of_the_windows_that_cover_it() -> None:
    moments = timeline().moments
    assert [(moment.begin_s, moment.end_s) for moment in moments] == [(s, s + 1.0) for s in range(7)]
    assert [(moment.label, moment.probability) for moment in moments] == [
        ("squat", 0.75),
        ("squat", 0.5),  # the mean of 0.75 and 0.25
        ("squat", 0.375),  # of 0.25 and 0.5
        ("lunge", 0.5625),  # the other window was not scored
        (UNKNOWN, None),
        (UNKNOWN, None),
        (NOT_SCORED, None),
    ]
    assert moments[-1].fault == "nobody is seen"


def test_runs_of_moments_are_segments() -> None:
    assert timeline().segments == (
        Segment("squat", 0, 3, (0.75 + 0.5 + 0.375) / 3),
        Segment("lunge", 3, 4, 0.5625),
        Segment(UNKNOWN, 4, 6, None),
        Segment(NOT_SCORED, 6, 7, None),
    )


def test_more_than_two_thirds_of_the_windows_must_say_none_of_these() -> None:
    line = timeline()
    line = Timeline(
        **{
            **vars_of(line),
            "ends_s": np.full(6, 10.0),
            "faults": ("",) * 6,
            "probabilities": np.ones((6, 2), np.float32) / 2,
        }
    )
    for count, label in ((4, "squat"), (5, UNKNOWN)):
        unknown = np.arange(6) < count
        assert Timeline(**{**vars_of(line), "unknown": unknown}).moments[-1].label == label


def vars_of(line: Timeline) -> dict[str, Any]:
    return {field.name: getattr(line, field.name) for field in fields(line)}


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
        ({"probabilities": np.zeros((6, 3), np.float32)}, r"probabilities: expected \(6, 2\), got \(6, 3\)"),
        ({"unknown": np.zeros(4, bool)}, r"unknown: expected \(6,\), got \(4,\)"),
        ({"faults": ("",)}, "faults: expected 6, got 1"),
        ({"begins_s": np.zeros(6)}, "rising times"),
        ({"ends_s": np.arange(6.0) - 1}, "ends before it begins"),
        ({"faults": ("",) * 6}, "states no fault"),
    ],
)
def test_what_contradicts_itself_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Timeline(**{**vars_of(timeline()), **changes})


def test_a_table_has_a_row_a_moment(tmp_path: Path) -> None:
    write_timelines([timeline(7), timeline(None)], tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 14
    assert [row["person"] for row in rows] == ["7"] * 7 + [""] * 7
    assert [row["label"] for row in rows[:7]] == ["squat"] * 3 + ["lunge", UNKNOWN, UNKNOWN, NOT_SCORED]
    assert (rows[3]["begin_s"], rows[3]["end_s"], rows[3]["probability"]) == ("3.000", "4.000", "0.562500")
    assert (rows[6]["squat"], rows[6]["fault"], rows[5]["probability"]) == ("", "nobody is seen", "")
    assert float(rows[5]["lunge"]) == 0.5625


def test_a_tree_has_segments_windows_and_the_history(tmp_path: Path) -> None:
    write_timelines([timeline()], tmp_path / "a.json", history=[{"verb": "recognize"}])
    tree = json.loads((tmp_path / "a.json").read_text())
    assert (tree["format"], tree["labels"]) == ("poseworks.timeline/1", ["squat", "lunge"])
    (person,) = tree["timelines"]
    assert person["person"] == 7
    assert person["segments"][1] == {"label": "lunge", "begin_s": 3.0, "end_s": 4.0, "probability": 0.5625}
    assert person["windows"][3:5] == [
        {"begin_s": 3.0, "end_s": 5.0, "probabilities": None, "none_of_these": None, "fault": "nobody is seen"},
        {"begin_s": 4.0, "end_s": 6.0, "probabilities": [0.5, 0.5625], "none_of_these": True, "fault": None},
    ]
    assert tree["history"] == [{"verb": "recognize"}]


def test_files_are_refused_that_exist_or_have_no_form(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names no form of a timeline"):
        write_timelines([timeline()], tmp_path / "a.txt")
    write_timelines([timeline()], tmp_path / "a.csv")
    with pytest.raises(ConfigError, match="already exists"):
        write_timelines([timeline()], tmp_path / "a.csv")
    write_timelines([timeline(), timeline()], tmp_path / "a.csv", overwrite=True)
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 15


def test_a_report_has_a_lane_a_person_with_grey_for_what_is_no_class() -> None:
    shown = report_timeline([timeline(7), timeline(9)])
    assert [lane.title for lane in shown.lanes] == ["person 7", "person 9"]
    spans = shown.lanes[0].spans
    assert [(span.label, span.value, span.muted) for span in spans] == [
        ("squat", pytest.approx(1.625 / 3), False),
        ("lunge", 0.5625, False),
        (UNKNOWN, None, True),
        (NOT_SCORED, None, True),
    ]
    assert segment_table([timeline(7)]).rows[1] == ("person 7", 3.0, 4.0, "lunge", 0.5625)


def test_a_figure_shows_segments_where_they_are() -> None:
    name = "{http://www.w3.org/2000/svg}"
    root = ET.fromstring(plot_timelines([timeline(7), timeline(8)], "a <b>"))
    words = [element.text for element in root.iter(f"{name}text")]
    assert {"a <b>", "person 7", "person 8", "squat", UNKNOWN, NOT_SCORED, "seconds"} <= set(words)
    strips = [r for r in root.iter(f"{name}rect") if r.find(f"{name}title") is not None][:4]
    widths = [float(r.attrib["width"]) for r in strips]
    np.testing.assert_allclose(np.array(widths) / sum(widths), [3 / 7, 1 / 7, 2 / 7, 1 / 7], atol=1e-3)
    assert (strips[0].find(f"{name}title").text or "").startswith("squat, 0.54: 0.00 to 3.00 s")  # type: ignore[union-attr]
    assert len(root.findall(f"{name}polyline")) == 4  # two people, two classes
