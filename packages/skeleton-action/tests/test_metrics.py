"""Measures against the published code's figures, sums by hand, and their properties."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.testing import reference_cases, seeded_input
from poseworks.skeleton_action.fusion import fuse, held_out_scores, tune_weights
from poseworks.skeleton_action.metrics import (
    average_clips,
    confusion_matrix,
    mean_class_accuracy,
    softmax,
    top_k_accuracy,
)

REFERENCE = Path(__file__).parent / "reference"


def seeded_scores(name: str, labels: NDArray[np.int64]) -> NDArray[Any]:
    """As metrics.json describes them."""
    logits = seeded_input(name, (200, 60))
    logits[np.arange(200), labels] += 1.5
    return softmax(logits)


def test_figures_on_seeded_scores_equal_the_published_code() -> None:
    manifest = json.loads((REFERENCE / "metrics.json").read_text())
    labels = np.array(manifest["labels"])
    a, b = (seeded_scores(name, labels) for name in ("metric_scores", "metric_scores2"))
    found = {"a": a, "b": b, "fusion_1_1": fuse([a, b])}
    found |= {"fusion_2_1": fuse([a, b], [2, 1]), "fusion_1_2": fuse([a, b], [1, 2])}
    for name, scores in found.items():
        expected = manifest["results"][name]
        for k, value in expected["topk"].items():
            assert top_k_accuracy(scores, labels, int(k)) == value
        assert_allclose(mean_class_accuracy(scores, labels), expected["mean_class_accuracy"], rtol=1e-12)
    plain = manifest["results"]["a"]["mean_over_ground_truth_classes_only"]
    assert_allclose(mean_class_accuracy(a, labels, over="true"), plain, rtol=1e-12)
    counts = confusion_matrix(a, labels)
    assert ((counts.sum(axis=0) > 0) | (counts.sum(axis=1) > 0)).sum() == 60
    assert (counts.sum(axis=1) > 0).sum() == 52


def test_fusion_of_real_scores_equals_the_published_code() -> None:
    (case,) = reference_cases(REFERENCE, "fusion_real_scores")
    joint, bone, labels = (case.arrays[name] for name in ("joint", "bone", "labels"))
    weights = {"joint": (1, 0), "bone": (0, 1), "fusion_1_1": None, "fusion_2_1": (2, 1), "fusion_1_2": (1, 2)}
    for name, expected in case.manifest["results"].items():
        scores = fuse([joint, bone], weights[name])
        assert scores.dtype == np.float32
        measured = [top_k_accuracy(scores, labels, 1), top_k_accuracy(scores, labels, 5)]
        measured.append(mean_class_accuracy(scores, labels))
        assert_allclose(measured, [expected[key] for key in ("top1", "top5", "mean_class")], rtol=1e-12)


def test_clips_are_averaged_as_published() -> None:
    (case,) = reference_cases(REFERENCE, "slowonly_r50_99_64_two_clips")
    logits = case.arrays["output"]
    assert_allclose(softmax(logits), case.arrays["probabilities"], atol=1e-7)
    assert_allclose(average_clips(logits, 2), case.arrays["average_clips_prob"], atol=1e-7)
    assert_allclose(average_clips(logits, 2, "score"), case.arrays["average_clips_score"], atol=1e-6)
    assert_allclose(average_clips(logits, 2, None), case.arrays["average_clips_none"], atol=0)


def test_tensors_are_taken_as_arrays_are() -> None:
    logits = torch.tensor(seeded_input("logits", (4, 3)), requires_grad=True)
    assert_allclose(average_clips(logits, 2), average_clips(logits.detach().numpy(), 2), atol=0)


def test_views_of_a_recording_lie_together() -> None:
    logits = np.log(np.array([[1, 3], [1, 1], [9, 1], [3, 1]], dtype=np.float64))
    assert_allclose(average_clips(logits, 2), [[0.375, 0.625], [0.825, 0.175]])
    assert average_clips(np.zeros((0, 5)), 4).shape == (0, 5)
    with pytest.raises(ShapeError, match="5 views are no whole number of recordings with 2 views each"):
        average_clips(np.zeros((5, 3)), 2)
    with pytest.raises(ShapeError, match=r"logits: expected \(views, classes>=1\), got \(2, 2, 3\)"):
        average_clips(np.zeros((2, 2, 3)), 2)
    with pytest.raises(ConfigError, match="how: expected prob, score or None, got 'mean'"):
        average_clips(np.zeros((4, 3)), 2, "mean")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="logits: expected real numbers, got complex128"):
        average_clips(np.zeros((4, 3), dtype=complex), 2)


def test_softmax_knows_no_overflow() -> None:
    assert_allclose(softmax([1e4, 0.0]), [1, 0])
    assert softmax(np.zeros(4, dtype=np.float32)).dtype == np.float32


def test_measures_by_hand() -> None:
    scores = np.array([[0.7, 0.2, 0.1, 0.0], [0.6, 0.4, 0.0, 0.0], [0.1, 0.2, 0.7, 0.0], [0.0, 0.1, 0.2, 0.7]])
    labels = np.array([0, 1, 1, 0])
    assert confusion_matrix(scores, labels).tolist() == [[1, 0, 0, 1], [1, 0, 1, 0], [0] * 4, [0] * 4]
    assert [top_k_accuracy(scores, labels, k) for k in (1, 2, 4, 9)] == [0.25, 0.75, 1.0, 1.0]
    assert mean_class_accuracy(scores, labels) == 0.125  # 1/2, 0, and 0 for two that were only predicted
    assert mean_class_accuracy(scores, labels, over="true") == 0.25


def test_scores_and_labels_that_do_not_fit() -> None:
    scores, labels = np.zeros((3, 4)), np.array([0, 1, 2])
    with pytest.raises(ShapeError, match=r"labels: expected \(N=3\), got \(2,\)"):
        top_k_accuracy(scores, [0, 1], 1)
    with pytest.raises(ShapeError, match="labels: expected whole numbers, got float64"):
        mean_class_accuracy(scores, [0.0, 1.0, 2.0])
    with pytest.raises(DataError, match=r"1 of 3 are none of the 4 classes \(0 to 3\), such as 4 of sample 2"):
        confusion_matrix(scores, [0, 1, 4])
    with pytest.raises(DataError, match="scores: 1 of 3 rows are not finite"):
        confusion_matrix(np.where(np.arange(3)[:, None] == 1, np.nan, scores), labels)
    with pytest.raises(ConfigError, match="k: expected 1 or more, got 0"):
        top_k_accuracy(scores, labels, 0)
    with pytest.raises(ConfigError, match="over: expected union or true, got 'all'"):
        mean_class_accuracy(scores, labels, over="all")  # type: ignore[arg-type]


def test_streams_are_put_in_one_order() -> None:
    a, b = seeded_input("a", (3, 4)), seeded_input("b", (3, 4))
    names, other = ["x", "y", "z"], ["z", "x", "y"]
    expected = fuse([a, b[[1, 2, 0]]])
    assert_allclose(fuse([a, b], identifiers=[names, other]), expected)
    assert_allclose(fuse([a, b, a], identifiers=[names, None, names]), fuse([a, b, a]))
    with pytest.raises(DataError, match="streams 0 and 1 are of different recordings: y only in stream 0, w only"):
        fuse([a, b], identifiers=[names, ["x", "z", "w"]])
    with pytest.raises(DataError, match="named twice"):
        fuse([a, b], identifiers=[names, ["x", "x", "z"]])
    with pytest.raises(DataError, match=r"identifiers\[1\]: 2 names for 3 rows"):
        fuse([a, b], identifiers=[names, ["x", "y"]])
    with pytest.raises(ConfigError, match="identifiers: 1 lists for 2 streams"):
        fuse([a, b], identifiers=[names])


def test_streams_and_weights_that_do_not_fit() -> None:
    a = np.zeros((3, 4))
    with pytest.raises(ShapeError, match=r"scores\[1\]: \(3, 5\), but scores\[0\] is \(3, 4\)"):
        fuse([a, np.zeros((3, 5))])
    with pytest.raises(ConfigError, match="weights: 3 for 2 streams"):
        fuse([a, a], [1, 1, 1])
    with pytest.raises(ConfigError, match=r"not all 0, got 0\.0, 0\.0"):
        fuse([a, a], [0, 0])
    with pytest.raises(ConfigError, match="one or more streams, got none"):
        fuse([])
    with pytest.raises(ConfigError, match="expected 2 to 4 streams, got 1"):
        tune_weights([a], [0, 1, 2])
    with pytest.raises(DataError, match="1 recordings; expected 2 or more"):
        held_out_scores([a[:1], a[:1]], [0])


def test_tuned_weights_are_at_least_as_good_as_equal_ones() -> None:
    labels = np.random.default_rng(0).integers(0, 60, 200)
    good, poor = seeded_scores("one", labels), softmax(seeded_input("two", (200, 60)))
    weights = tune_weights([good, poor], labels)
    assert weights[0] == 1
    assert weights[1] < 1
    tuned, equal = (top_k_accuracy(fuse([good, poor], given), labels, 1) for given in (weights, None))
    assert tuned > equal
    assert tuned >= top_k_accuracy(held_out_scores([good, poor], labels), labels, 1)
    assert tune_weights([good, good, good], labels) == (1, 1, 1)  # nothing is gained: equal weights
