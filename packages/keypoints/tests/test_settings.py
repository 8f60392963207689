"""What may be asked for, and what is said of anything else."""

from __future__ import annotations

import os
from typing import Any

import pytest

from poseworks.core import SKELETONS
from poseworks.core.errors import ConfigError
from poseworks.keypoints import DetectSettings
from poseworks.keypoints.options import DetectOptions
from poseworks.keypoints.settings import parse_people


def test_the_defaults_are_everybody_in_every_frame() -> None:
    assert DetectSettings() == DetectSettings(None, 1, None, "blazepose", None, True, None, 1)
    assert DetectOptions().settings() == DetectSettings()


def test_options_become_settings() -> None:
    cores = os.cpu_count() or 1
    options = DetectOptions(people="2", every=5, detector="rtmlib", unswap=False, threads=cores)
    expected = DetectSettings(2, 5, "coco17", "rtmlib", "lightweight", False, 24.0, cores)
    assert options.settings("coco17", 24.0, "lightweight") == expected


@pytest.mark.parametrize("name", SKELETONS)
def test_every_known_skeleton_can_be_named(name: str) -> None:
    assert DetectSettings(skeleton=name).skeleton == name


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("people", 0, "people: expected all, or a number from 1 on, got 0."),
        ("people", -1, "people: expected all, or a number from 1 on, got -1."),
        ("every", 0, "every: expected 1 or more, got 0."),
        ("every", -5, "every: expected 1 or more, got -5."),
        ("every", 2.5, "every: expected 1 or more, got 2.5."),
        ("every", float("nan"), "every: expected 1 or more, got nan."),
        ("people", 1.5, "people: expected all, or a number from 1 on, got 1.5."),
        ("skeleton", "coco", f"skeleton: expected one of {', '.join(SKELETONS)}, got 'coco'."),
        ("skeleton", "custom", f"skeleton: expected one of {', '.join(SKELETONS)}, got 'custom'."),
        ("detector", "x", "detector: expected blazepose or rtmlib, got 'x'."),
    ],
)
def test_each_range_has_its_message(field: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DetectSettings(**{field: value})
    assert str(caught.value) == message


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_threads_are_no_more_than_there_are_cores(threads: int) -> None:
    message = rf"^threads: expected 1 to {os.cpu_count()}, .*, got {threads}\.$"
    with pytest.raises(ConfigError, match=message):
        DetectSettings(threads=threads)


@pytest.mark.parametrize(("people", "expected"), [("all", None), (None, None), (1, 1), ("1", 1), ("007", 7), (12, 12)])
def test_people_are_a_number_or_all(people: Any, expected: int | None) -> None:
    assert parse_people(people) == expected


@pytest.mark.parametrize(
    "people", ["0", 0, -1, "-1", "1.5", 1.5, "", "two", "ALL", True, False, "\u0662", "\u00b2", " 1", "1e3", "9" * 5000]
)
def test_other_numbers_of_people_are_refused(people: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_people(people)
    assert str(caught.value).startswith("people: expected all, or a number from 1 on, got ")
