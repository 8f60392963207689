import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from poseworks.core.cli import run
from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.formats import read_poses, write_poses
from poseworks.core.poses import PoseSequence
from poseworks.core.skeletons import COCO_17, H36M_17, HALPE_26, OPENPOSE_25
from poseworks.core.testing import mutations, walking_poses
from poseworks.skeleton_action.annotation_files import read_annotations, read_data_set
from poseworks.skeleton_action.building import Built, build_data_set
from poseworks.skeleton_action.cli import app
from poseworks.skeleton_action.data_files import data_facts
from poseworks.skeleton_action.label_table import LabelRow, classes_of, read_label_table
from poseworks.skeleton_action.layouts import COCO_LAYOUT
from poseworks.skeleton_action.splitting import check_shares, splits_by_class, splits_by_subject, stated_splits


def walk(seed: int, frames: int = 20, people: int = 1, skeleton: Any = COCO_17) -> PoseSequence:
    return walking_poses(frames, people, 2, skeleton, rng=np.random.default_rng(seed))


def table(path: Path, lines: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(lines)
    return path


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    """Nine files of three formats and two skeletons, in two folders."""
    folder = tmp_path / "tracks"
    (folder / "more").mkdir(parents=True)
    for number in range(6):
        write_poses(walk(number, people=1 + number % 2), folder / f"a{number}.npz")
    for number in range(2):
        write_poses(walk(number, skeleton=HALPE_26), folder / "more" / f"b{number}.csv")
    write_poses(walk(9, skeleton=OPENPOSE_25), folder / "c", format="openpose")
    return folder


ROWS = [
    *([f"a{number}", "walk" if number % 2 else "stand", f"s{number // 2}"] for number in range(6)),
    ["more/b0.csv", "walk", "s0"], ["more/b1.csv", "stand", "s1"], ["c", "walk", "s2"],
]  # fmt: skip
HEAD = ["file", "label", "subject"]


@pytest.fixture
def build(tracks: Path, tmp_path: Path) -> Callable[..., Built]:
    """Builds of the lines of a table."""

    def make(lines: Sequence[Sequence[object]], classes: Sequence[str] = (), **options: Any) -> Built:
        path = table(tmp_path / "labels.csv", lines)
        rows = read_label_table(path)
        labels, names = classes_of(rows, classes)
        given: dict[str, Any] = {"shares": {"val": 0.3, "test": 0.3}, "rng": np.random.default_rng(0), **options}
        return build_data_set(
            tracks, rows, labels, names, table=path, read=lambda file: read_poses(file, fps=30), layout=COCO_LAYOUT,
            **given,
        )  # fmt: skip

    return make


def test_files_of_any_format_become_annotations(build: Any, tracks: Path) -> None:
    built = build([HEAD, *ROWS])
    assert [each.identifier for each in built.annotations] == [
        "a0", "a1", "a2", "a3", "a4", "a5", "more/b0", "more/b1", "c"
    ]  # fmt: skip
    assert built.label_names == ("stand", "walk")
    assert [each.label for each in built.annotations] == [0, 1, 0, 1, 0, 1, 1, 0, 1]
    assert [each.num_people for each in built.annotations] == [1, 2, 1, 2, 1, 2, 1, 1, 1]
    assert {each.keypoints.shape[1:] for each in built.annotations} == {(20, 17, 2)}
    assert_array_equal(built.annotations[1].keypoints, walk(1, people=2).positions)
    assert built.annotations[0].image_shape == (720, 1280)
    assert built.left_out == ()
    assert built.balance() == {
        name: {split: sum(built.class_name(a.label) == name for a in built.annotations if a.identifier in members)
               for split, members in built.splits.items()}
        for name in ("stand", "walk")
    }  # fmt: skip


def test_no_subject_is_in_two_splits(build: Any) -> None:
    built = build([HEAD, *ROWS])
    assert sorted(name for names in built.splits.values() for name in names) == sorted(built.subjects)
    subjects = [{built.subjects[name] for name in names} for names in built.splits.values()]
    assert len(subjects) == 3
    assert sum(map(len, subjects)) == len(set.union(*subjects)) == 3


def test_splits_of_the_table_are_kept(build: Any) -> None:
    rows = [[name, label, "xsub_val" if name == "a3" else "xsub_train"] for name, label, _ in ROWS]
    built = build([["file", "label", "split"], *rows])
    assert built.splits["xsub_val"] == ["a3"]
    assert len(built.splits["xsub_train"]) == 8
    assert built.subjects == {}


def test_a_person_and_a_time_of_a_recording(build: Any, tracks: Path) -> None:
    poses = walk(1, frames=90, people=3).replace(person_ids=np.array([4, 7, 9]))
    write_poses(poses, tracks / "long.npz")
    head = ["file", "label", "person", "begin", "end"]
    built = build([head, ["long", "walk", "7", "0.5", "2"], ["long", "run", "", "2", ""], ["long", "sit", "", "", ""]])
    assert [each.identifier for each in built.annotations] == ["long#7@0.5-2", "long@2-", "long"]
    assert [(each.num_people, each.num_frames) for each in built.annotations] == [(1, 45), (3, 30), (3, 90)]
    assert_array_equal(built.annotations[0].keypoints[0], poses.positions[1, 15:60])


def test_who_is_never_seen_is_not_in_it(build: Any, tracks: Path) -> None:
    poses = walk(1, people=2)
    hidden = poses.positions.copy()
    hidden[0] = np.nan
    hidden[1, 3, 5] = np.nan
    write_poses(poses.replace(positions=hidden), tracks / "hidden.npz")
    (annotation,) = build([HEAD[:2], ["hidden", "walk"]]).annotations
    assert annotation.num_people == 1
    assert annotation.scores[0, 3, 5] == 0


def test_all_faults_come_at_once_or_are_left_out(build: Any, tracks: Path) -> None:
    write_poses(walk(1).replace(positions=np.full((1, 20, 17, 2), np.nan)), tracks / "nobody.npz")
    write_poses(walk(1).replace(confidence=np.zeros((1, 20, 17))), tracks / "unsure.npz")
    write_poses(walking_poses(20, skeleton=H36M_17, rng=np.random.default_rng(0)), tracks / "deep.npz")
    (tracks / "broken.npz").write_bytes(b"PK\x03\x04")
    write_poses(walk(1), tracks / "a0.csv")
    names = ["a1", "nobody", "unsure", "deep", "broken", "gone", "a0", "x" * 999]
    lines = [["file", "label", "end"], *([name, "walk", "0.5"] for name in names), ["a2#", "walk", "9"]]
    with pytest.raises(
        DataError, match=r"8 of 9 recordings are at fault: .*Mend or leave them out \(--skip\)"
    ) as caught:
        build(lines)
    built = build(lines, skip=True)
    assert [each.identifier for each in built.annotations] == ["a1@0-0.5"]
    for line, message in (
        ("line 3 (nobody)", "nobody is seen in it"),
        ("line 4 (unsure)", "nothing of it would be drawn: all keypoints have a confidence of 0"),
        ("line 5 (deep)", "Recognition takes 2D keypoints"),
        ("line 6 (broken)", "not a readable npz"),
        ("line 7 (gone)", "no file gone in"),
        (f"line 9 ({'x' * 999})", "no file xxx"),
        ("line 8 (a0)", "a0.npz and a0.csv are both there. State the ending"),
    ):
        (told,) = [fault for fault in built.left_out if fault.startswith(line)]
        assert message in told
        assert message in str(caught.value)
    with pytest.raises(DataError, match="no recording is left"):
        build([HEAD[:2], ["gone", "walk"]], skip=True)


@pytest.mark.parametrize(
    ("cells", "message"),
    [(["a1", "5", "", ""], "no person 5; expected one of 0, 1"), (["a1", "", "3", "4"], "no frame from 3 s to 4")],
)
def test_a_part_that_is_not_there(cells: list[str], message: str, build: Any) -> None:
    with pytest.raises(DataError, match=message):
        build([["label", "file", "person", "begin", "end"], ["walk", *cells]])


def test_what_a_reader_has_to_know_is_noted(build: Any, tracks: Path) -> None:
    write_poses(walk(0).replace(image_size=None), tracks / "unsized.npz")
    rows = [[f"a{number}", "walk", "train"] for number in range(5)]
    lines = [["file", "label", "split"], *rows, ["a5", "run", "val"], ["unsized", "walk", "val"]]
    notes = build(lines, classes=["walk", "run", "sit"]).notes
    assert notes == (
        "1 of 7 recordings do not state the size of the image: the smallest that holds them is used",
        "3 files or folders have no row in the table: c, more/b0.csv, more/b1.csv",
        "no recording at all of sit",
        "the split train has no recording of run",
        "fewer than 10 recordings to train on of walk",
    )


def test_classes_that_are_not_balanced(build: Any, tracks: Path) -> None:
    for number in range(11):
        write_poses(walk(number), tracks / f"d{number}.npz")
    rows = [*([f"d{number}", "walk"] for number in range(11)), ["a0", "run"]]
    notes = build([HEAD[:2], *rows], shares={}).notes
    assert "classes are not balanced: 11 recordings of walk, 1 of run" in notes


# --- the table --------------------------------------------------------------------------------------------------------


def test_a_table_may_use_other_separators_and_leave_lines_empty(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    for mark in ",;\t":
        path.write_text('\ufefflabel|FILE\nwalk|x.y.npz\n\n"a b"| c\\d \n'.replace("|", mark), encoding="utf-8")
        assert read_label_table(path) == [
            LabelRow(line=2, file="x.y.npz", label="walk"), LabelRow(line=4, file="c\\d", label="a b")
        ]  # fmt: skip
        assert [row.identifier for row in read_label_table(path)] == ["x.y", "c/d"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\ufeff", "its first line must name the columns"),
        ("a,b\n1,2\n", "its first line must name the columns: file, label, and if wanted split"),
        ("file,label,file\n", "its first line must name the columns"),
        ("file,label\n", "holds no row under its first line"),
        ("file,label\nx\n", "line 2: 1 entries, expected 2"),
        ("file,label\n,walk\nx,\n", "line 2: no file; line 3: no label"),
        ("file,label\nx,walk\nx.npz,run\n", "x: 2 rows mean the same recording"),
        ("file,label,split\nx,walk,train\ny,run,\n", "split: stated in some rows, but not in line 3"),
        ("file,label,person\nx,walk,anna\n", "line 2: person: expected a track number, got 'anna'"),
        ("file,label,begin,end\nx,walk,2,1\n", "line 2: end: expected more than begin, got 1 s"),
        ("file,label,begin\nx,walk,-1\n", "line 2: begin: expected seconds, got '-1'"),
        ("file,label,end\nx,walk,nan\n", "line 2: end: expected seconds, got 'nan'"),
        ('file,label\n"x,walk\n', "is no CSV table"),
    ],
)
def test_each_fault_of_a_table_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        read_label_table(tmp_path / "labels.csv")


def test_classes_by_name_and_by_number() -> None:
    def rows(*labels: str) -> list[LabelRow]:
        return [LabelRow(line=2 + number, file=str(number), label=label) for number, label in enumerate(labels)]

    assert classes_of(rows("walk", "run", "walk")) == ([1, 0, 1], ("run", "walk"))
    assert classes_of(rows("walk", "run"), ["walk", "sit", "run"]) == ([0, 2], ("walk", "sit", "run"))
    assert classes_of(rows("3", "0")) == ([3, 0], ())
    assert classes_of(rows("1", "0"), ["walk", "run"]) == ([1, 0], ("walk", "run"))
    assert classes_of(rows("10", "20"), ["20", "10"]) == ([1, 0], ("20", "10"))
    with pytest.raises(FormatError, match="expected classes from 0 to 1: line 2: 2"):
        classes_of(rows("2"), ["walk", "run"])
    with pytest.raises(FormatError, match="not among the names of the classes: line 3: 'sit'"):
        classes_of(rows("walk", "sit"), ["walk", "run"])


def test_a_damaged_table_ends_in_rows_or_an_error(tmp_path: Path) -> None:
    path = table(tmp_path / "labels.csv", [["file", "label", "split", "person", "begin", "end"]] + [
        [f"x{number}", f"class {number % 3}", "train", number, number / 2, number] for number in range(1, 9)
    ])  # fmt: skip
    for damaged in mutations(path.read_bytes(), np.random.default_rng(0), 300):
        path.write_bytes(damaged)
        try:
            classes_of(read_label_table(path))
        except PoseworksError:
            continue


# --- splits -----------------------------------------------------------------------------------------------------------


def test_splits_class_by_class_keep_shares_and_repeat_by_seed() -> None:
    names = [f"x{number}" for number in range(100)]
    labels = [number % 4 for number in range(100)]
    splits = splits_by_class(names, labels, {"val": 0.2, "test": 0.12}, np.random.default_rng(1))
    assert {split: len(members) for split, members in splits.items()} == {"train": 68, "val": 20, "test": 12}
    for members in splits.values():
        counts = np.bincount([labels[names.index(name)] for name in members])
        assert counts.max() == counts.min()
        assert members == sorted(members, key=names.index)
    assert sorted(name for members in splits.values() for name in members) == sorted(names)
    again = splits_by_class(names, labels, {"val": 0.2, "test": 0.12}, np.random.default_rng(1))
    other = splits_by_class(names, labels, {"val": 0.2, "test": 0.12}, np.random.default_rng(2))
    assert splits == again != other
    assert splits_by_class(["a"], [0], {"val": 0.9}, np.random.default_rng(0)) == {"train": ["a"], "val": []}


def test_splits_by_subject_come_near_their_shares() -> None:
    rng = np.random.default_rng(3)
    subjects = [f"s{number}" for number in rng.integers(0, 20, 500)]
    names = [f"x{number}" for number in range(500)]
    splits = splits_by_subject(names, subjects, {"val": 0.15, "test": 0.2, "other": 0.0}, rng)
    assert list(splits) == ["train", "val", "test"]
    assert_allclose([len(splits[split]) / 500 for split in splits], [0.65, 0.15, 0.2], atol=0.05)
    homes = {subject: {split for split in splits for name in splits[split] if subjects[names.index(name)] == subject}
             for subject in set(subjects)}  # fmt: skip
    assert {len(found) for found in homes.values()} == {1}


def test_splits_that_are_stated_come_in_their_usual_order() -> None:
    splits = stated_splits(["a", "b", "c", "d"], ["other", "test", "train", "other"])
    assert list(splits.items()) == [("train", ["c"]), ("test", ["b"]), ("other", ["a", "d"])]


def test_splits_that_cannot_be_made() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="2 of them cannot be shared among 3 splits"):
        splits_by_subject(["x", "y"], ["a", "b"], {"val": 0.1, "test": 0.1}, rng)
    for shares in ({"val": 0.6, "test": 0.4}, {"val": -0.1}):
        with pytest.raises(ConfigError, match="expected 0 or more, and less than 1 together"):
            check_shares(shares)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_verb_writes_a_data_set_and_its_sheet(
    tracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = table(tracks / "labels.csv", [HEAD, *ROWS])  # beside the tracks: it is no file of poses
    output = tmp_path / "mine.pkl"
    command = ["build", str(tracks), str(labels), "-o", str(output), "--val", "0.3", "--test", "0.3", "--fps", "30"]
    assert run(app, [*command, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["recordings"] == 9
    assert facts["classes"]["walk"].keys() == facts["splits"].keys() == {"train", "val", "test"}
    assert (facts["joints"], facts["people"], facts["frames"]["median"], facts["left_out"]) == (17, 2, 20, [])
    assert facts["notes"][0].startswith("1 of 9 recordings do not state the size of the image")
    assert "fewer than 10 recordings to train on of stand, walk" in facts["notes"]

    data = read_data_set(output)
    assert (len(data.annotations), data.label_names, len(set(data.subjects.values()))) == (9, ("stand", "walk"), 3)
    assert len(read_annotations(output, "test")) == facts["splits"]["test"]
    described = data_facts(output)
    assert (described["form"], described["splits"], described["joints"]) == ("dict", facts["splits"], [17])
    sheet = ElementTree.parse(output.with_suffix(".svg")).getroot()
    words = {text.text for text in sheet.iter("{http://www.w3.org/2000/svg}text")}
    assert {"stand", "walk", "joint heatmaps", "limb heatmaps", "1 person, 20 frames"} <= words
    assert len(list(sheet.iter("{http://www.w3.org/2000/svg}image"))) == 4

    assert run(app, command) == 2
    assert "already exists" in capsys.readouterr().err
    (tracks / "a0.npz").unlink()
    assert run(app, [*command, "--overwrite", "--skip", "--classes", "ntu60"]) == 2
    assert "'stand'" in capsys.readouterr().err
    assert run(app, [*command, "--overwrite", "--skip", "--preview", str(tmp_path / "other.svg")]) == 0
    captured = capsys.readouterr()
    assert "8 recordings" in captured.out
    assert "left out: line 2 (a0)" in captured.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "x.npz"], "expected names that end in .pkl and .svg"),
        (["-o", "x.pkl", "--joints", "octopus"], "--joints octopus: expected one of coco17"),
        (["-o", "x.pkl", "--val", "0.9", "--test", "0.2"], "less than 1 together"),
        (["-o", "x.pkl", "--classes", "none.txt"], "none.txt: does not exist"),
    ],
)
def test_options_that_cannot_work(
    options: list[str], message: str, tracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    labels = table(tmp_path / "labels.csv", [HEAD, *ROWS])
    assert run(app, ["build", str(tracks), str(labels), "--fps", "30", *options]) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "tracks"]


def test_another_skeleton_is_the_data_sets(tracks: Path, tmp_path: Path) -> None:
    labels = table(tmp_path / "labels.csv", [HEAD[:2], ["more/b0", "walk"], ["more/b1", "stand"]])
    command = ["build", str(tracks), str(labels), "-o", str(tmp_path / "mine.pkl"), "--joints", "halpe26"]
    assert run(app, command) == 0
    assert read_annotations(tmp_path / "mine.pkl")[0].num_joints == 26
    (tmp_path / "names.txt").write_text("run\nwalk\n\nstand\n", encoding="utf-8")
    assert run(app, [*command, "--overwrite", "--classes", str(tmp_path / "names.txt")]) == 0
    assert [each.label for each in read_annotations(tmp_path / "mine.pkl")] == [1, 2]


def test_what_data_files_are(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04]\x94.")
    with pytest.raises(FormatError, match=r"holds no annotation\. As a result file: .* holds an empty list"):
        data_facts(tmp_path / "x.pkl")
