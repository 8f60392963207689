"""Which networks there are, where they are looked for, and what the cards say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.files import sha256
from poseworks.core.model_cards import cards_json
from poseworks.keypoints import commands
from poseworks.keypoints.models import NETWORKS, detector_file, known_network, landmark_file, model_cards


def test_the_shipped_files_are_those_that_the_cards_name() -> None:
    shipped = [card for card in model_cards() if card.kind == "shipped"]
    assert [card.name for card in shipped] == ["pose_detection", "pose_landmark_full"]
    assert [Path(card.file) for card in shipped] == [detector_file(), landmark_file("full")]
    for card in shipped:
        assert sha256(card.file) == card.sha256
        assert Path(card.file).stat().st_size == card.size_bytes
        assert card.path() == Path(card.file)


def test_the_readme_beside_them_says_the_same() -> None:
    text = (detector_file().parent / "README.md").read_text(encoding="utf-8")
    for entry in NETWORKS:
        if entry.shipped:
            assert entry.sha256 in text
            assert entry.tflite_sha256 in text
            assert f"{entry.size_bytes:,}".replace(",", " ") in text
    assert (detector_file().parent / "LICENSE").is_file()


def test_parameters_are_the_numbers_in_the_file() -> None:
    onnx = pytest.importorskip("onnx")
    for entry in NETWORKS[:2]:
        model = onnx.load(detector_file().parent / entry.file)
        numbers = 0
        for tensor in model.graph.initializer:
            if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
                count = 1
                for size in tensor.dims:
                    count *= size
                numbers += count
        assert numbers == entry.parameters


@pytest.mark.parametrize("model", ["heavy", "lite"])
def test_published_landmarks_are_looked_for_in_the_folders_of_weights(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"pose_landmark_{model}.onnx"
    monkeypatch.setenv("POSEWORKS_WEIGHTS", str(tmp_path))
    with pytest.raises(CheckpointError) as missing:
        landmark_file(model)
    for words in (
        f"model {model}: pose_landmark_{model}.onnx is not here",
        "npm package @mediapipe/pose",
        f"poseworks-keypoints convert pose_landmark_{model}.tflite -o pose_landmark_{model}.onnx",
        "POSEWORKS_WEIGHTS",
    ):
        assert words in str(missing.value)
    file.write_bytes(b"network")
    assert landmark_file(model) == file
    (card,) = [card for card in model_cards() if card.name == file.stem]
    assert card.where() == str(file)


def test_the_full_landmarks_need_no_folder_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEWORKS_WEIGHTS", "/no/such/folder")
    assert landmark_file("full").is_file()
    with pytest.raises(ConfigError, match="POSEWORKS_WEIGHTS: /no/such/folder is not a folder"):
        landmark_file("heavy")


def test_a_file_of_ones_own_is_taken_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "own.onnx"
    with pytest.raises(
        CheckpointError, match=r"own\.onnx: no such file\. Expected the path of an \.onnx file, or full"
    ):
        landmark_file(str(file))
    file.write_bytes(b"network")
    assert landmark_file(str(file)) == file


@pytest.mark.parametrize("model", ["", "Full", "medium", "../full", "weights.pth"])
def test_an_unknown_model_is_refused_with_what_is_known(model: str) -> None:
    with pytest.raises(ConfigError, match=r"model: expected full, heavy, lite or the path of an \.onnx file, got "):
        landmark_file(model)


def test_a_published_file_has_to_be_converted_first() -> None:
    with pytest.raises(ConfigError, match=r"convert it first: poseworks-keypoints convert a/b\.tflite -o b\.onnx"):
        landmark_file("a/b.tflite")


def test_files_are_known_as_published_and_as_converted() -> None:
    for entry in NETWORKS:
        assert known_network(entry.sha256) == known_network(entry.tflite_sha256) == entry
    assert known_network("0" * 64) is None


def test_every_card_says_what_users_must_know() -> None:
    cards = {card.name: card for card in model_cards()}
    assert list(cards) == [
        "pose_detection", "pose_landmark_full", "pose_landmark_heavy", "pose_landmark_lite", "rtmlib"
    ]  # fmt: skip
    for name, card in cards.items():
        assert "Apache-2.0" in card.licence
        if name != "rtmlib":
            for words in ("several people", "4 m", "identification"):
                assert words in card.note
    assert "poseworks-keypoints[rtmlib]" in cards["rtmlib"].how_to_get


def test_the_verb_prints_all_of_them(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSEWORKS_WEIGHTS", raising=False)
    commands.models(json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(cards_json(model_cards())))
    commands.models()
    printed = capsys.readouterr().out
    assert all(card.name in printed for card in model_cards())
