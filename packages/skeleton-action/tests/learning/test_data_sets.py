"""Published data sets are found in the layouts of all three code lines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from poseworks.core.errors import ConfigError, DataError
from poseworks.skeleton_action.annotation_files import DataSet, read_data_set
from poseworks.skeleton_action.label_names import label_names
from poseworks.skeleton_action.learning.data_sets import SplitFile, class_names, find_split, read_split
from poseworks.skeleton_action.learning.published_recipes import Data

NTU = Data(set="ntu60", train="xsub_train", test="xsub_val")
GYM = Data(set="gym", train="train", test="val")


def put(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    ("data", "split", "name", "within"),
    [
        (NTU, "xsub_train", "data/posec3d/ntu60_xsub_train.pkl", None),
        (GYM, "val", "posec3d/gym_val.pkl", None),
        (NTU, "xsub_val", "data/skeleton/ntu60_2d.pkl", "xsub_val"),
        (NTU, "xsub_val", "data/nturgbd/ntu60_hrnet.pkl", "xsub_val"),
        (GYM, "train", "data/gym/gym_hrnet.pkl", "train"),
        (Data(set="ucf101", train="train1", test="test1"), "test1", "data/posec3d/ucf101.pkl", "test1"),
        (Data(set="k400", train="train", test="val"), "val", "k400/k400_hrnet.pkl", "val"),
        (NTU, "xsub_val", "ntu60/ntu60_xsub_val.pkl", None),
        (NTU, "xsub_val", "ntu60_hrnet.pkl", "xsub_val"),
    ],
)
def test_files_of_every_line_are_found(
    data: Data, split: str, name: str, within: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, name)
    assert find_split(data, split, "mmaction", tmp_path) == SplitFile(path, within)
    monkeypatch.setenv("POSEWORKS_DATA", str(tmp_path))
    assert find_split(data, split, "pyskl") == SplitFile(path, within)


def test_of_several_files_the_one_of_the_own_line_is_taken(tmp_path: Path) -> None:
    theirs, ours = put(tmp_path, "nturgbd/ntu60_hrnet.pkl"), put(tmp_path, "posec3d/ntu60_xsub_val.pkl")
    assert find_split(NTU, "xsub_val", "mmaction", tmp_path).path == ours
    assert find_split(NTU, "xsub_val", "pyskl", tmp_path).path == theirs


def test_what_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"Put gym_val\.pkl or gym\.pkl or gym_2d\.pkl or gym_hrnet\.pkl into a folder"):
        find_split(GYM, "val", "mmaction", tmp_path)
    monkeypatch.delenv("POSEWORKS_DATA", raising=False)
    with pytest.raises(DataError, match="looked in POSEWORKS_DATA, which is not set"):
        find_split(GYM, "val", "pyskl")
    with pytest.raises(ConfigError, match=r"name the annotation file: --data mine\.pkl"):
        find_split(Data(set="own", train="train", test="test"), "train", "mmaction")


def test_a_split_of_a_file_of_ones_own(walks: Path, tmp_path: Path) -> None:
    own = Data(set="own", train="train", test="test")
    where = find_split(own, "test", "mmaction", walks)
    assert where == SplitFile(walks, "test")
    found = read_split(where, None)
    assert [annotation.identifier for annotation in found.annotations] == [f"walk{n}" for n in range(12, 18)]
    assert class_names(own, found, 2) == ("walk", "hands up")
    bare = read_data_set(walks, "test")
    unnamed = DataSet(annotations=bare.annotations)
    assert class_names(GYM, unnamed, 99) == label_names("gym99")
    assert class_names(GYM, unnamed, 5) == class_names(own, unnamed, 2) == ()
    shutil.copy(walks, tmp_path / "gym_hrnet.pkl")
    with pytest.raises(ConfigError, match="val"):
        read_split(find_split(GYM, "val", "pyskl", tmp_path), 99)
