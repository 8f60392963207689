"""Where the files are looked for, and what is said where they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poseworks.core.errors import DataError
from poseworks.lifting.learning.h36m_files.places import EHGFORMER_FILE, find_ehgformer, find_lcn


@pytest.mark.parametrize("place", ["h36m", "h36m/motion3d/H36M-SH", "h36m/data/motion3d/H36M-SH/Mixste_Style_v2", "."])
def test_the_source_file_is_found_at_both_places(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / place / EHGFORMER_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    monkeypatch.setenv("POSEWORKS_DATA", f"{tmp_path / 'none'}{os.pathsep}{tmp_path}")
    assert find_ehgformer().samefile(file)
    assert find_ehgformer(tmp_path).samefile(file)
    assert find_ehgformer(file) == file


def test_two_different_source_files_are_refused(tmp_path: Path) -> None:
    for place, size in (("Mixste_Style_v2", 1), (".", 2)):
        folder = tmp_path / "h36m/motion3d/H36M-SH" / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / EHGFORMER_FILE).write_bytes(b"x" * size)
    with pytest.raises(DataError, match=r"differ in size.*distillation script the second"):
        find_ehgformer(tmp_path)


def test_what_is_not_there_is_said_with_the_place_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSEWORKS_DATA", raising=False)
    with pytest.raises(
        DataError, match=r"Put h36m_sh_conf_cam_source_final.pkl into h36m .*POSEWORKS_DATA, which is not"
    ):
        find_ehgformer()
    with pytest.raises(DataError, match=r"Put h36m_train.pkl and h36m_test.pkl into h36m or h36m/dataset"):
        find_lcn(tmp_path)


def test_lcns_folder_is_found(folder: Path) -> None:
    assert find_lcn(folder.parent) == folder
    assert find_lcn(folder).samefile(folder)
