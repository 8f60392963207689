"""The report page: what it embeds can be read back, it asks for nothing, and no text in it can become code."""

from __future__ import annotations

import base64
import dataclasses
import html.parser
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.poses import PoseSequence, poses_from_arrays
from poseworks.core.report import Figure, Lane, Report, ReportTrack, Span, Table, Timeline, Verdict, embed, write_report
from poseworks.core.skeletons import COCO_17, H36M_17

HOSTILE = "</script><script>alert(1)</script>&\"'<!--"


class Page(html.parser.HTMLParser):
    """Elements, attributes and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.all_text = ""
        self._id: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self._id = attributes.get("id", self._id if tag != "script" else None)

    def handle_data(self, data: str) -> None:
        self.all_text += data
        if self._id is not None:
            self.texts[self._id] = self.texts.get(self._id, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._id = None

    @property
    def facts(self) -> dict[str, object]:
        return json.loads(self.texts["data"])  # type: ignore[no-any-return]

    def array(self, key: str, dtype: str) -> NDArray[np.generic]:
        return np.frombuffer(base64.b64decode(self.texts[key]), dtype=dtype)


def poses(seed: int = 0, frames: int = 6, people: int = 2) -> PoseSequence:
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, 300, (people, frames, 17, 2))
    positions[0, 1, 3] = np.nan
    return poses_from_arrays(positions, COCO_17, fps=25, unit="px", frame="image", image_size=(320, 300))


def written(tmp_path: Path, report: Report) -> Page:
    path = tmp_path / "report.html"
    write_report(path, report)
    return Page(path.read_text(encoding="utf-8"))


def test_positions_and_gaps_can_be_read_back(tmp_path: Path) -> None:
    track = poses().replace(confidence=np.full((2, 6, 17), 0.4, np.float32))
    page = written(tmp_path, Report("Two", (ReportTrack("before", track, "orange", False),)))
    facts = page.facts["tracks"][0]  # type: ignore[index]
    assert facts["shape"] == [2, 6, 17, 2]
    assert facts["joints"] == list(COCO_17.joint_names)
    assert (facts["fps"], facts["unit"], facts["imageSize"], facts["bold"]) == (25, "px", [320, 300], False)
    embedded = page.array("positions-0", "<f4").reshape(2, 6, 17, 2)
    np.testing.assert_array_equal(embedded, track.positions)
    assert np.isnan(embedded[0, 1, 3]).all()
    assert set(page.array("confidence-0", "u1")) == {102}  # 0.4 * 255


def test_confidence_of_one_everywhere_and_even_times_take_no_space(tmp_path: Path) -> None:
    page = written(tmp_path, Report("Plain", (ReportTrack("a", poses()),)))
    assert "confidence-0" not in page.texts
    assert "times-0" not in page.texts


def test_uneven_times_are_embedded_exactly(tmp_path: Path) -> None:
    times = np.array([0, 0.04, 0.1, 0.11, 0.2, 1 / 3])
    page = written(tmp_path, Report("Uneven", (ReportTrack("a", poses().replace(times=times)),)))
    np.testing.assert_array_equal(page.array("times-0", "<f8"), times)


def test_rounding_keeps_gaps_and_errs_by_half_a_step_at_most() -> None:
    rng = np.random.default_rng(3)
    positions = rng.normal(0, [1, 50, 1e-3], (1, 200, 4, 3)).astype(np.float32)
    positions[0, 7, 2] = np.nan
    numbers, offsets, steps = embed.quantise(positions)
    restored = np.where(numbers == embed.MISSING, np.nan, numbers * np.array(steps) + np.array(offsets))
    assert numbers.dtype == np.int16
    np.testing.assert_array_equal(np.isnan(restored), np.isnan(positions))
    ranges = np.nanmax(positions, (0, 1, 2)) - np.nanmin(positions, (0, 1, 2))
    # half a step, and the float32 rounding of the input itself
    assert (np.nanmax(abs(restored - positions), (0, 1, 2)) <= ranges / 131_066 * 1.001 + 1e-6).all()


@pytest.mark.parametrize("value", [np.nan, 4.25])
def test_rounding_of_nothing_and_of_one_value(value: float) -> None:
    positions = np.full((1, 3, 1, 2), value, np.float32)
    numbers, offsets, steps = embed.quantise(positions)
    restored = np.where(numbers == embed.MISSING, np.nan, numbers * np.array(steps) + np.array(offsets))
    np.testing.assert_allclose(restored, positions)


def test_long_recordings_are_rounded_and_stay_small(tmp_path: Path) -> None:
    frames = 150_000
    positions = np.random.default_rng(0).normal(size=(1, frames, 17, 2)).astype(np.float32)
    long = poses_from_arrays(positions, COCO_17, fps=30, unit="px", frame="image")
    page = written(tmp_path, Report("Long", (ReportTrack("a", long),)))
    facts = page.facts["tracks"][0]  # type: ignore[index]
    described = facts["positions"]
    assert described["type"] == "int16"
    assert (tmp_path / "report.html").stat().st_size < frames * 17 * 2 * 2 * 1.35 + 200_000
    numbers = page.array("positions-0", "<i2").reshape(positions.shape)
    restored = numbers * np.array(described["step"]) + np.array(described["offset"])
    np.testing.assert_allclose(restored, positions, atol=1.5e-4)


def test_the_video_is_embedded_whole(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    video.write_bytes(bytes(range(256)) * 3)
    page = written(tmp_path, Report("Video", (ReportTrack("a", poses()),), video=video))
    assert base64.b64decode(page.texts["video"]) == video.read_bytes()
    assert page.facts["video"] == {"name": "clip.mp4", "mime": "video/mp4", "bytes": 768, "key": "video"}


def test_a_large_video_is_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "MAX_VIDEO_BYTES", 10)
    (tmp_path / "videos").mkdir()
    video = tmp_path / "videos" / "my clip.mp4"
    video.write_bytes(b"x" * 11)
    page = written(tmp_path, Report("Video", (ReportTrack("a", poses()),), video=video))
    assert page.facts["video"]["href"] == "videos/my%20clip.mp4"  # type: ignore[index]
    assert "video" not in page.texts


def test_nothing_in_the_page_points_outside_it(tmp_path: Path) -> None:
    page = written(tmp_path, Report("Alone", (ReportTrack("a", poses()),)))
    addresses = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset", "poster")
    ]
    assert addresses == ["data:,"]  # the empty icon, without which browsers ask for one
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_user_strings_stay_text(tmp_path: Path) -> None:
    hostile = poses(people=1).replace(
        skeleton="custom",
        joint_names=(HOSTILE, *COCO_17.joint_names[1:]),
        history=({"verb": HOSTILE, HOSTILE: HOSTILE},),
    )
    report = Report(
        title=HOSTILE,
        tracks=(ReportTrack(HOSTILE, hostile),),
        subtitle=HOSTILE,
        summary=(Figure(HOSTILE, HOSTILE, HOSTILE),),
        tables=(Table(HOSTILE, (HOSTILE,), ((HOSTILE,), (Verdict(HOSTILE, "bad"),)), HOSTILE),),
        notes=(HOSTILE,),
    )
    page = written(tmp_path, report)
    write_report(tmp_path / "plain.html", Report("Plain", (ReportTrack("a", poses(people=1)),)))
    plain = Page((tmp_path / "plain.html").read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.elements].count("script") == [tag for tag, _ in plain.elements].count("script")
    assert page.facts["tracks"][0]["joints"][0] == HOSTILE  # type: ignore[index]
    assert page.texts["subtitle"] == HOSTILE


def test_tables_show_numbers_dashes_and_verdicts(tmp_path: Path) -> None:
    table = Table(
        "Harm", ("Who", "Before", "After", "Frames", "Verdict"),
        (("one", 0.123456, float("nan"), 118, Verdict("improved", "good")), ("two", 12345.6, None, 0, Verdict("same"))),
    )  # fmt: skip
    page = written(tmp_path, Report("Tables", (ReportTrack("a", poses()),), tables=(table,)))
    for text in ("0.1235", "12,346", "–", "118", "✓ improved", "same"):
        assert text in page.all_text


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    report = Report("Same", (ReportTrack("a", poses()),), notes=("one",))
    write_report(tmp_path / "a.html", report)
    write_report(tmp_path / "b.html", report)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_bones_of_a_custom_skeleton_are_found_by_name() -> None:
    names = ("nose", "left_shoulder", "left_elbow", "mine")
    custom = PoseSequence(
        positions=np.zeros((1, 1, 4, 2), np.float32),
        joint_names=names,
        skeleton="custom",
        fps=30,
        unit="px",
        frame="image",
    )
    assert [1, 2] in embed.bones_of(custom) or [2, 1] in embed.bones_of(custom)
    known = poses_from_arrays(np.zeros((1, 17, 3)), H36M_17, fps=30, unit="m", frame="world")
    assert len(embed.bones_of(known)) == 16  # a tree of 17 joints


@pytest.mark.parametrize(("people", "frames"), [(0, 5), (1, 0), (1, 1)])
def test_no_people_and_no_frames_make_a_page(tmp_path: Path, people: int, frames: int) -> None:
    few = poses_from_arrays(np.zeros((people, frames, 17, 2)), COCO_17, fps=30, unit="px", frame="image")
    page = written(tmp_path, Report("Few", (ReportTrack("a", few),)))
    assert page.facts["tracks"][0]["shape"] == [people, frames, 17, 2]  # type: ignore[index]


def test_refusals(tmp_path: Path) -> None:
    report = Report("Any", (ReportTrack("a", poses()),))
    target = tmp_path / "report.html"
    write_report(target, report)
    with pytest.raises(ConfigError, match="already exists"):
        write_report(target, report)
    write_report(target, report, overwrite=True)
    with pytest.raises(DataError, match="at least one track of poses or one body"):
        write_report(tmp_path / "none.html", Report("None", ()))
    with pytest.raises(DataError, match="no such video"):
        write_report(tmp_path / "missing.html", Report("M", report.tracks, video=tmp_path / "no.mp4"))
    with pytest.raises(DataError, match="does not exist"):
        write_report(tmp_path / "no" / "folder.html", report)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html"]


def test_the_report_does_not_import_torch() -> None:
    code = "import sys, poseworks.core.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_timelines_are_embedded_with_times_labels_and_certainty(tmp_path: Path) -> None:
    spans = (Span(0.0, 0.1, HOSTILE, value=0.97, detail="48 frames"), Span(0.1, 0.2, "none of these", muted=True))
    timeline = Timeline("Actions", (Lane("person 3", spans),), note="a note")
    page = written(tmp_path, Report("Times", (ReportTrack("a", poses()),), timelines=(timeline,)))
    assert page.facts["timelines"] == [json.loads(json.dumps(dataclasses.asdict(timeline)))]


@pytest.mark.parametrize("span", [Span(1.0, 0.5, "x"), Span(0.0, math.nan, "x"), Span(0.0, 1.0, "x", value=1.5)])
def test_a_span_that_cannot_be_drawn_is_refused(tmp_path: Path, span: Span) -> None:
    report = Report("Times", (ReportTrack("a", poses()),), timelines=(Timeline("Actions", (Lane("a", (span,)),)),))
    with pytest.raises(DataError, match="Actions: span 1 of lane a: expected begin_s before end_s"):
        write_report(tmp_path / "page.html", report)
