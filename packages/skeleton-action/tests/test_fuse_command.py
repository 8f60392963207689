"""The verb fuse: result files in any order come together by name, and what does not belong together is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.cli import run
from poseworks.core.testing import seeded_input
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.annotation_files import write_annotations
from poseworks.skeleton_action.cli import app
from poseworks.skeleton_action.fusion import fuse
from poseworks.skeleton_action.metrics import softmax, top_k_accuracy
from poseworks.skeleton_action.results import Results, read_results, write_results

COUNT, CLASSES = 12, 6
NAMES = tuple(f"clip{number}" for number in range(COUNT))
LABELS = np.arange(COUNT) % CLASSES
JOINT, LIMB = (
    softmax(seeded_input(name, (COUNT, CLASSES)) + 1.5 * np.eye(CLASSES)[LABELS]).astype(np.float32)
    for name in ("joint", "limb")
)
TURNED = np.roll(np.arange(COUNT), 5)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Scores of joints, and of limbs in another order."""
    joint, limb = tmp_path / "joint.pkl", tmp_path / "limb.pkl"
    write_results(Results(scores=JOINT, labels=LABELS, identifiers=NAMES), joint)
    turned = Results(scores=LIMB[TURNED], labels=LABELS[TURNED], identifiers=tuple(NAMES[n] for n in TURNED))
    write_results(turned, limb)
    return joint, limb


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert run(app, ["fuse", *map(str, arguments), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert isinstance(content, dict)
    return content


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(app, ["fuse", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_streams_in_another_order_are_fused_by_name(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, figure = tmp_path / "fused.pkl", tmp_path / "fused.svg"
    found = answer(capsys, *files, "--weights", 2, 1, "-o", out, "--confusion", figure, "--form", "1.x")
    expected = fuse([JOINT, LIMB], [2, 1])
    assert found["accuracy"]["fused"]["top1_accuracy"] == top_k_accuracy(expected, LABELS, 1)
    assert found["accuracy"][str(files[1])]["top1_accuracy"] == top_k_accuracy(LIMB, LABELS, 1)
    assert (found["recordings"], found["notes"]) == (COUNT, [])
    written = read_results(out)
    assert written.identifiers == NAMES
    np.testing.assert_allclose(written.scores, expected / 3, atol=1e-6)
    np.testing.assert_array_equal(written.labels if written.labels is not None else 0, LABELS)
    assert figure.read_text().startswith("<svg")
    assert "already exists" in failure(capsys, *files, "-o", out)
    assert run(app, ["fuse", *map(str, files)]) == 0
    assert "weights 1 : 1; 12 recordings" in capsys.readouterr().out


def test_weights_are_tuned_and_measured_on_other_recordings(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, *files, "--tune")
    assert max(found["weights"]) == 1
    rows = found["accuracy"]
    assert rows["fused"]["top1_accuracy"] >= rows["fused, each half with weights tuned on the other"]["top1_accuracy"]
    assert "Leave --weights out" in failure(capsys, *files, "--tune", "--weights", 1, 2)


def test_files_that_name_nothing_take_order_and_classes_from_the_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joint, limb, data = tmp_path / "joint.pkl", tmp_path / "limb.pkl", tmp_path / "data.pkl"
    write_results(Results(scores=JOINT), joint)
    write_results(Results(scores=LIMB[TURNED], identifiers=tuple(NAMES[n] for n in TURNED)), limb)
    keypoints = np.ones((1, 2, 17, 2))
    annotations = [
        Annotation(identifier=name, keypoints=keypoints, image_shape=(9, 9), label=int(label))
        for name, label in zip(NAMES, LABELS, strict=True)
    ]
    write_annotations(annotations, data, splits={"test": NAMES, "few": NAMES[:2]})
    found = answer(capsys, joint, limb, "--annotations", data, "--split", "test")
    assert found["accuracy"]["fused"]["top1_accuracy"] == top_k_accuracy(fuse([JOINT, LIMB]), LABELS, 1)
    assert "joint.pkl: taken to be in the order of" in found["notes"][0]
    bare = answer(capsys, joint, limb)
    assert "accuracy" not in bare
    assert "could not be checked" in bare["notes"][0]
    assert "12 recordings, but" in failure(capsys, joint, limb, "--annotations", data, "--split", "few")
    assert "true classes are not known" in failure(capsys, joint, limb, "--tune")
    assert "Name it with --annotations" in failure(capsys, joint, "--split", "test")


def test_what_does_not_belong_together_is_refused(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.pkl"
    write_results(Results(scores=JOINT, labels=LABELS, identifiers=("x", *NAMES[1:])), other)
    assert "clip0 only in stream 0, x only in stream 1" in failure(capsys, files[0], other)
    write_results(Results(scores=JOINT, labels=LABELS[::-1].copy()), other, overwrite=True, form="1.x")
    assert "state other classes for 12 recordings, the first in row 0" in failure(capsys, files[0], other)
    assert "weights: 3 for 2 streams" in failure(capsys, *files, "--weights", 1, 1, 1)
    assert "name the result files" in failure(capsys)
