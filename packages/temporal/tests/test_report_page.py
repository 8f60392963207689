"""The report of a smoothed motion: its figures and tables say what the harm report says."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from poseworks.core.report import Verdict as Shown
from poseworks.core.report import write_report
from poseworks.core.testing import walking_poses
from poseworks.temporal import Gaussian, smooth
from poseworks.temporal.harm import BeforeAfter, Verdict
from poseworks.temporal.report import TONES, change, smoothing_report


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [(2.0, 0.5, "−75 %"), (2.0, 2.1, "+5 %"), (2.0, 2.0, "+0 %"), (0.0, 1.0, ""), (None, 1.0, ""), (1.0, None, "")],
)
def test_change_is_in_percent_of_before(before: float | None, after: float | None, text: str) -> None:
    assert change(BeforeAfter(before=before, after=after)) == text


def test_every_verdict_has_a_tone() -> None:
    assert set(TONES) == set(get_args(Verdict))


@pytest.mark.parametrize(("people", "tables"), [(1, 1), (2, 2), (4, 1)])
def test_few_people_get_a_table_each_and_many_a_row_each(tmp_path: Path, people: int, tables: int) -> None:
    poses = walking_poses(60, people, rng=np.random.default_rng(0), noise=0.02)
    smoothed = smooth(poses, Gaussian(sigma_frames=1.5))
    report = smoothing_report(poses, smoothed.poses, smoothed.harm, title="Walk", notes=("a note",))
    assert len(report.tables) == tables
    verdicts = [cell.text for table in report.tables for row in table.rows for cell in row if isinstance(cell, Shown)]
    assert verdicts == [person.verdict for person in smoothed.harm.people]
    rows = {row[0]: row for row in report.tables[0].rows}
    if tables == people:
        pair = smoothed.harm.people[0].acceleration
        assert rows["Acceleration"][1:4] == (pair.before, pair.after, change(pair))
    write_report(tmp_path / "page.html", report)
    assert "a note" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_two_dimensions_have_no_row_of_bone_lengths() -> None:
    poses = walking_poses(60, dims=2, rng=np.random.default_rng(0), noise=2.0)
    smoothed = smooth(poses, Gaussian(sigma_frames=1.5))
    (table,) = smoothing_report(poses, smoothed.poses, smoothed.harm, title="Walk").tables
    assert "Bone-length spread" not in {row[0] for row in table.rows}
