"""Model cards: where a file is, or how to get it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from poseworks.core.cli import print_result
from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.model_cards import (
    ModelCard,
    cards_json,
    cards_table,
    find_weights,
    locate_model,
    shipped_card,
    shipped_models,
)

PUBLISHED = ModelCard(
    name="toolkit-w8",
    method="SmoothNet",
    kind="published",
    licence="Apache-2.0 code; weights from non-commercial data",
    training_data="3DPW (non-commercial)",
    claim="accel 6.0 mm/frame^2",
    file="pw3d/checkpoint_8.pth.tar",
    parameters=33_000,
    size_bytes=1_500_000,
    how_to_get="from the authors' page [table 2]",
)


def write_model(folder: Path, card: object) -> None:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"12345")
    content = {"format": "poseworks.model/1", "config": {}, "card": card, "model_sha256": "ab" * 32}
    (folder / "config.json").write_text(json.dumps(content))


def test_a_published_file_is_found_or_one_learns_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSEWORKS_WEIGHTS", raising=False)
    assert PUBLISHED.where() == "not here: from the authors' page [table 2]"
    assert cards_json([PUBLISHED])["models"][0]["available"] is False
    monkeypatch.setenv("POSEWORKS_WEIGHTS", str(tmp_path))
    file = tmp_path / "pw3d" / "checkpoint_8.pth.tar"
    file.parent.mkdir()
    file.write_bytes(b"")
    assert find_weights("pw3d/checkpoint_8.pth.tar") == file
    assert PUBLISHED.where() == str(file)
    entry = cards_json([PUBLISHED])["models"][0]
    assert entry["available"] is True
    assert entry["parameters"] == 33_000


def test_folders_that_are_not_there_and_paths_that_lead_out_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSEWORKS_WEIGHTS", str(tmp_path))
    assert find_weights("../x") is None
    assert find_weights(str(tmp_path / "x")) is None
    monkeypatch.setenv("POSEWORKS_WEIGHTS", str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="not a folder"):
        find_weights("x.pth")


def test_a_shipped_card_comes_from_its_folder(tmp_path: Path) -> None:
    card = {"method": "SmoothNet", "licence": "CC-BY", "training_data": "cmu17", "claim": "", "parameters": 5}
    write_model(tmp_path / "general", card)
    found = shipped_card(tmp_path / "general")
    assert found.name == "general"
    assert found.kind == "shipped"
    assert found.size_bytes == 5
    assert found.sha256 == "ab" * 32
    assert found.where() == str(tmp_path / "general")


def test_faulty_cards_say_what_is_wrong(tmp_path: Path) -> None:
    write_model(tmp_path / "a", {"method": "SmoothNet", "license": "x", "training_data": "", "claim": ""})
    with pytest.raises(CheckpointError) as caught:
        shipped_card(tmp_path / "a")
    assert "licence: missing" in str(caught.value)
    assert "license: no such field (did you mean licence?)" in str(caught.value)
    write_model(tmp_path / "b", None)
    with pytest.raises(CheckpointError, match="no entry card"):
        shipped_card(tmp_path / "b")
    with pytest.raises(CheckpointError, match="not a saved model"):
        shipped_card(tmp_path / "c")


def test_the_table_shows_every_cell_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSEWORKS_WEIGHTS", raising=False)
    print_result({}, json=False, text=cards_table([PUBLISHED], "Models"))
    out = capsys.readouterr().out
    for part in ("Models", "toolkit-w8", "33.0 k", "1.5 MB", "3DPW", "[table 2]"):
        assert part in out


def test_a_name_or_a_path_is_located(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, elsewhere = tmp_path / "weights", tmp_path / "elsewhere"
    assert shipped_models(home) == ()
    home.mkdir()
    write_model(home / "own-w8", {})
    assert shipped_models(home) == ("own-w8",)
    monkeypatch.delenv("POSEWORKS_WEIGHTS", raising=False)

    def locate(name: str) -> Path:
        return locate_model(name, home, lambda: [PUBLISHED], "poseworks-x")

    assert locate("own-w8") == home / "own-w8"
    assert locate(str(home)) == home
    with pytest.raises(CheckpointError, match=r"toolkit-w8: not here; from the authors' page"):
        locate("toolkit-w8")
    with pytest.raises(CheckpointError, match=r"no model of this name\. Shipped: own-w8\..*`poseworks-x models`"):
        locate("toolkit-w9")
    (elsewhere / "pw3d").mkdir(parents=True)
    (elsewhere / "pw3d" / "checkpoint_8.pth.tar").touch()
    monkeypatch.setenv("POSEWORKS_WEIGHTS", str(elsewhere))
    assert locate("toolkit-w8") == locate("pw3d/checkpoint_8.pth.tar") == elsewhere / "pw3d" / "checkpoint_8.pth.tar"
