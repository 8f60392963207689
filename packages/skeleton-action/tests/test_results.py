import json
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.testing import mutations, reference_cases
from poseworks.skeleton_action.results import ResultForm, Results, read_results, write_results

HERE = Path(__file__).parent
ARRAYS = reference_cases(HERE / "reference", "fusion_real_scores")[0].arrays
SCORES, LABELS = ARRAYS["joint"], ARRAYS["labels"]
NAMES = tuple(f"clip {number}" for number in range(60))


def dumped(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_both_lines_files_are_read(protocol: int, tmp_path: Path) -> None:
    tensors = [torch.from_numpy(row) for row in SCORES]
    truths = [torch.tensor([label]) for label in LABELS.tolist()]
    samples = list(zip(tensors, truths, strict=True))
    for content, labels in (
        (list(SCORES), None),
        ([{"pred_score": row, "gt_label": truth} for row, truth in samples], LABELS),
        ([{"pred_scores": {"item": row}, "gt_labels": {"item": truth}} for row, truth in samples], LABELS),
        ([OrderedDict(pred_score=row, num_clips=20) for row in tensors], None),
    ):
        results = read_results(dumped(tmp_path / "x.pkl", content, protocol))
        assert results.scores.dtype == np.float32
        assert_array_equal(results.scores, SCORES)
        assert (results.labels is None) == (labels is None)
        if labels is not None:
            assert_array_equal(results.labels, labels)
        assert results.identifiers is None


@pytest.mark.parametrize("form", ["0.x", "1.x"])
def test_what_is_written_is_read_again(form: ResultForm, tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    write_results(Results(scores=SCORES, labels=LABELS, identifiers=NAMES), path, form=form)
    again = read_results(path)
    assert_array_equal(again.scores, SCORES)
    assert_array_equal(again.labels, LABELS)
    assert again.identifiers == NAMES
    content = pickle.loads(path.read_bytes())  # as fusion scripts read it
    if form == "0.x":
        assert content[3].dtype == np.float32
        assert_array_equal(content[3], SCORES[3])
    else:
        assert torch.equal(content[3]["pred_score"], torch.from_numpy(SCORES[3]))
        assert content[3]["gt_label"].tolist() == [LABELS[3]]


def test_a_file_without_names_leaves_none_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    write_results(Results(scores=SCORES, identifiers=NAMES), path)
    assert read_results(path).labels is None
    write_results(Results(scores=SCORES[:5]), path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["result.pkl"]
    assert read_results(path).identifiers is None


def test_the_file_beside_must_belong_to_it(tmp_path: Path) -> None:
    path, beside = tmp_path / "result.pkl", tmp_path / "result.json"
    write_results(Results(scores=SCORES, labels=LABELS, identifiers=NAMES), path)
    facts = json.loads(beside.read_text())
    for changes, message in (
        ({"sha256": "0" * 64}, "belongs to another result file"),
        ({"identifiers": [1]}, "identifiers: expected a list of names"),
        ({"identifiers": ["a"]}, "identifiers: expected 60, one a sample, got 1"),
        ({"labels": ["walk"]}, "labels: expected a list of class numbers"),
        ({"labels": [0]}, r"labels: expected 60, one a sample, got \(1,\)"),
        ({"labels": [120] * 60}, "labels: expected classes from 0 to 119"),
    ):
        beside.write_text(json.dumps(facts | changes))
        with pytest.raises(FormatError, match=message):
            read_results(path)
    beside.write_text('{"format": "another program\'s"}')
    assert read_results(path).identifiers is None
    write_results(Results(scores=SCORES, labels=LABELS, identifiers=NAMES), path, form="1.x", overwrite=True)
    facts = json.loads(beside.read_text())
    beside.write_text(json.dumps({**facts, "labels": [0] * 60}))
    with pytest.raises(FormatError, match="its labels are not those of"):
        read_results(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds an empty list"),
        ({"a": 1}, "holds a dict. Expected a list"),
        ([SCORES[0], SCORES[1][:5]], "sample 1: 5 scores, but sample 0 has 120"),
        ([SCORES], r"sample 0: .* got float32 \(60, 120\) \(scores of every clip: average them first\)"),
        ([{"label": 1}], "sample 0: .* got a dict of 'label'"),
        ([[0.5, 0.5]], "sample 0: .* got a list"),
        ([np.array([0.5, np.nan])], "scores: expected finite numbers"),
        ([np.array([1e300])], "scores: expected finite numbers"),
        ([{"pred_score": SCORES[0], "gt_label": 120}], "labels: expected classes from 0 to 119"),
    ],
)
def test_each_fault_is_named(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        read_results(dumped(tmp_path / "x.pkl", content))


def test_a_label_too_large_for_a_number_is_none(tmp_path: Path) -> None:
    path = dumped(tmp_path / "x.pkl", [{"pred_score": SCORES[0], "gt_label": 1 << 80}])
    assert read_results(path).labels is None


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one sample or more"):
        Results(scores=np.zeros((0, 3), np.float32))
    results = Results(scores=SCORES, identifiers=NAMES)
    with pytest.raises(DataError, match=r"expected another ending than \.json"):
        write_results(results, tmp_path / "result.json")
    (tmp_path / "result.json").write_text("mine")
    with pytest.raises(ConfigError, match="already exists"):
        write_results(results, tmp_path / "result.pkl")
    assert (tmp_path / "result.json").read_text() == "mine"


@pytest.mark.parametrize("form", ["0.x", "1.x"])
def test_damaged_files_end_in_results_or_an_error(form: ResultForm, tmp_path: Path) -> None:
    write_results(Results(scores=SCORES[:4, :9], labels=LABELS[:4] % 9), tmp_path / "good.pkl", form=form)
    data = (tmp_path / "good.pkl").read_bytes()
    refused = 0
    for damaged in mutations(data, np.random.default_rng(4), 210):
        (tmp_path / "x.pkl").write_bytes(damaged)
        try:
            read_results(tmp_path / "x.pkl")
        except PoseworksError:
            refused += 1
    assert refused > 50


def test_a_damaged_file_beside_ends_in_results_or_an_error(tmp_path: Path) -> None:
    path, beside = tmp_path / "x.pkl", tmp_path / "x.json"
    write_results(Results(scores=SCORES[:4], labels=LABELS[:4], identifiers=NAMES[:4]), path)
    for damaged in mutations(beside.read_bytes(), np.random.default_rng(5), 210):
        beside.write_bytes(damaged)
        try:
            read_results(path)
        except PoseworksError:
            continue


def test_an_evil_tensor_is_refused(tmp_path: Path) -> None:
    data = pickle.dumps([{"pred_score": torch.ones(3)}], 2).replace(b"_load_from_bytes", b"_load_from_bytez")
    (tmp_path / "x.pkl").write_bytes(data)
    with pytest.raises(FormatError, match=r"torch\.storage\._load_from_bytez, which is refused"):
        read_results(tmp_path / "x.pkl")
