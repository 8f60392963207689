"""Figures of a fit as a table."""

from __future__ import annotations

from poseworks.mesh_recovery.fit_report import figure_rows, figures_table


def test_a_row_a_person_and_a_column_for_what_anybody_has() -> None:
    figures = (
        {"person": 4, "frames": 20, "median_px": 2.5, "mean_px": 3.0, "jitter_before_px": 2.0, "jitter_after_px": None,
         "bent_the_wrong_way": 0.015},
        {"person": 7, "frames": 0},
    )  # fmt: skip
    columns, rows = figure_rows(figures)
    assert columns[:3] == ("Person", "Frames", "Off the keypoints: median (px)")
    assert rows == [("4", 20, 2.5, 3.0, 2.0, None, 1.5), ("7", 0, None, None, None, None, None)]
    table = figures_table(figures)
    assert (table.columns, table.rows) == (columns, tuple(rows))


def test_cameras_have_a_column_each() -> None:
    figures = (
        {"person": 0, "frames": 9, "mean_mm": 12.0, "views": [{"camera": "a", "median_px": 2.0}]},
        {"person": 1, "frames": 9, "mean_mm": 9.0, "views": [{"camera": "b", "median_px": 4.0}]},
    )
    columns, rows = figure_rows(figures)
    assert columns == ("Person", "Frames", "Off the joints: mean (mm)", "Camera a (px)", "Camera b (px)")
    assert rows == [("0", 9, 12.0, 2.0, None), ("1", 9, 9.0, None, 4.0)]
