import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.testing import mutations, reference_cases
from poseworks.core.unpickling import restricted_load
from poseworks.skeleton_action.annotation import Annotation, as_annotation
from poseworks.skeleton_action.annotation_files import read_annotations, read_data_set, write_annotations

HERE = Path(__file__).parent
ARRAYS = reference_cases(HERE / "reference", "annotations")[0].arrays
NAMES = ("ann_a", "ann_b", "ann_c", "ann_d")


def item(name: str, label: int = 0, **changes: Any) -> dict[str, Any]:
    """One of the reference annotations as a published dict."""
    shape = tuple(int(side) for side in ARRAYS[f"{name}.img_shape"])
    keypoints = ARRAYS[f"{name}.keypoint"]
    made = {
        "frame_dir": name, "label": label, "img_shape": shape, "original_shape": shape,
        "total_frames": keypoints.shape[1], "keypoint": keypoints, "keypoint_score": ARRAYS[f"{name}.keypoint_score"],
    }  # fmt: skip
    return made | changes


ITEMS = [item(name, label) for label, name in enumerate(NAMES)]
SPLIT = {"train": ["ann_d", "ann_a"], "val": ["ann_b"], "test": ["ann_c"]}


@pytest.fixture
def dumped(tmp_path: Path) -> Callable[..., Path]:
    """Pickles a value with Python's own module and says where."""

    def dump(content: Any, protocol: int = 4) -> Path:
        path = tmp_path / "set.pkl"
        path.write_bytes(pickle.dumps(content, protocol))
        return path

    return dump


def assert_same(read: Annotation, published: dict[str, Any]) -> None:
    assert (read.identifier, read.label) == (published["frame_dir"], published["label"])
    assert (read.image_shape, read.original_shape) == (published["img_shape"], published["original_shape"])
    assert read.keypoints.dtype == published["keypoint"].dtype
    assert_array_equal(read.keypoints, published["keypoint"])
    assert read.scores is not None
    assert_array_equal(read.scores, published["keypoint_score"])


@pytest.mark.parametrize("protocol", range(6))
def test_both_forms_are_read_as_they_were_written(protocol: int, dumped: Any) -> None:
    for content in (ITEMS, {"split": SPLIT, "annotations": ITEMS}):
        read = read_annotations(dumped(content, protocol))
        assert len(read) == 4
        for annotation, published in zip(read, ITEMS, strict=True):
            assert_same(annotation, published)


def test_a_split_comes_in_the_order_of_the_annotations(dumped: Any) -> None:
    path = dumped({"split": SPLIT, "annotations": ITEMS, "label_names": ["a", "b", "c", "d"]})
    assert [each.identifier for each in read_annotations(path, "train")] == ["ann_a", "ann_d"]
    data = read_data_set(path)
    assert data.splits == {name: tuple(listed) for name, listed in SPLIT.items()}
    assert data.label_names == ("a", "b", "c", "d")


def test_the_identifier_is_the_filename_if_the_first_annotation_has_one(dumped: Any) -> None:
    items = [{**each, "filename": each["frame_dir"] + ".avi"} for each in ITEMS]
    path = dumped({"split": {"train1": ["ann_b.avi"]}, "annotations": items})
    assert [each.identifier for each in read_annotations(path, "train1")] == ["ann_b.avi"]


def test_splits_may_be_arrays_of_text(dumped: Any) -> None:
    path = dumped({"split": {"val": np.array(["ann_c", "ann_d"])}, "annotations": ITEMS})
    assert len(read_annotations(path, "val")) == 2


def test_the_arrays_are_trusted_where_total_frames_differs(dumped: Any) -> None:
    path = dumped([item("ann_a", total_frames=61), item("ann_b")])
    with pytest.warns(UserWarning, match="total_frames is not the length of the arrays, which are trusted: 'ann_a'"):
        read = read_annotations(path)
    assert read[0].num_frames == 60
    assert "'ann_a'" in read_data_set(path).notes[0]


def test_float16_in_large_images_is_said(dumped: Any) -> None:
    wide = item("ann_c", img_shape=(2160, 3840))
    exact = item("ann_d", img_shape=(2160, 3840), keypoint=wide["keypoint"].astype(np.float32))
    exact["keypoint_score"] = wide["keypoint_score"]
    with pytest.warns(UserWarning, match="keypoints in float16 are 2 px coarse or more: 'ann_c'$"):
        read_annotations(dumped([wide, exact | {"total_frames": 30}]))


# --- writing ----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_again_and_by_python_itself(tmp_path: Path) -> None:
    annotations = [as_annotation(each) for each in ITEMS]
    path = tmp_path / "mine.pkl"
    subjects = {"ann_a": "7", "ann_b": "eve"}
    assert write_annotations(annotations, path, splits=SPLIT, label_names=list("abcd"), subjects=subjects) == ()
    data = read_data_set(path)
    assert (data.label_names, data.subjects) == (("a", "b", "c", "d"), subjects)
    assert {name: list(listed) for name, listed in data.splits.items()} == SPLIT
    for annotation, published in zip(data.annotations, ITEMS, strict=True):
        assert_same(annotation, published)
    content = pickle.loads(path.read_bytes())
    assert list(content) == ["split", "annotations", "label_names"]
    assert_same(as_annotation(content["annotations"][1]), ITEMS[1])
    assert b"numpy._core" not in path.read_bytes()  # a name that NumPy 1 lacks
    write_annotations(annotations, tmp_path / "list.pkl")
    assert isinstance(pickle.loads((tmp_path / "list.pkl").read_bytes()), list)
    assert len(read_annotations(tmp_path / "list.pkl")) == 4


def test_float16_where_it_errs_by_half_a_pixel_at_most(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    near, far = (
        Annotation(identifier=name, keypoints=rng.uniform(0, top, (1, 9, 17, 2)).astype(np.float32), image_shape=shape)
        for name, top, shape in (("near", 2048, (2000, 2000)), ("far", 70_000, (70_000, 70_000)))
    )
    assert write_annotations([near, far], tmp_path / "x.pkl") == ("far",)
    read = read_annotations(tmp_path / "x.pkl")
    assert [each.keypoints.dtype for each in read] == [np.float16, np.float32]
    assert np.abs(read[0].keypoints.astype(np.float32) - near.keypoints).max() <= 0.5
    assert_array_equal(read[1].keypoints, far.keypoints)
    assert read[0].scores is None
    assert read[0].label is None


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    annotations = [as_annotation(each) for each in ITEMS]
    path = tmp_path / "x.pkl"
    with pytest.raises(DataError, match=r"split 'val' lists 1 of 2 clips .* 'nobody'"):
        write_annotations(annotations, path, splits={"val": ["nobody", "ann_a"]})
    with pytest.raises(DataError, match="1 identifiers come more than once"):
        write_annotations([*annotations, annotations[0]], path)
    with pytest.raises(DataError, match="label 3, but only 3 names"):
        write_annotations(annotations, path, label_names=list("abc"))
    nameless = Annotation(identifier="a\nb", keypoints=np.ones((1, 1, 17, 2)), image_shape=(9, 9))
    with pytest.raises(DataError, match=r"'a\\nb': expected printable text"):
        write_annotations([nameless], path)
    assert not path.exists()
    path.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="already exists"):
        write_annotations(annotations, path)
    assert path.read_bytes() == b"mine"


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds no annotation"),
        ({"annotations": ITEMS}, "a dict without split; it holds 'annotations'"),
        ({}, "a dict without split and annotations; it holds nothing"),
        ("text", "expected a list of annotations, got a str"),
        ({"split": SPLIT, "annotations": {"a": 1}}, "expected a list of annotations, got a dict"),
        ([1, *ITEMS], "annotation 0: expected a dict, got a int"),
        ([{**ITEMS[0], "frame_dir": 5}], "annotation 0: frame_dir: expected its identifier, got 5"),
        ({"split": ["train"], "annotations": ITEMS}, "split: expected a dict of lists"),
        ({"split": {"train": [1]}, "annotations": ITEMS}, "split 'train': expected a list of identifiers"),
        ({"split": SPLIT, "annotations": ITEMS, "label_names": ["a", "a"]}, "label_names: expected a list of names"),
        ({"split": SPLIT, "annotations": ITEMS, "label_names": ["a", "b"]}, "'ann_c' has 2; 'ann_d' has 3; .* 0 to 1"),
        ({"split": {"val": ["ann_a", "gone"]}, "annotations": ITEMS}, "'val' lists 1 of 2 clips .*: 'gone'"),
        ({"split": {}, "annotations": [*ITEMS, *ITEMS]}, "4 identifiers come more than once"),
        ([ITEMS[0], item("ann_b", label="x"), {"frame_dir": "c"}], "'ann_b': label: .*; annotation 'c': keypoint: mis"),
        ([item("ann_a", subject=[1])], "'ann_a': subject: expected a name, got list"),
    ],
)
def test_each_fault_is_named_with_its_identifier(content: Any, message: str, dumped: Any) -> None:
    path = dumped(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_annotations(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_many_faults_end_in_a_count(dumped: Any) -> None:
    with pytest.raises(FormatError, match=r"'ann_a': label: .*; and 28 more\.$"):
        read_annotations(dumped([item("ann_a", label="x")] * 40))


def test_labels_and_splits_that_are_asked_for(dumped: Any) -> None:
    path = dumped({"split": SPLIT, "annotations": ITEMS})
    assert len(read_annotations(path, num_classes=4)) == 4
    with pytest.raises(FormatError, match="labels out of range: 'ann_d' has 3; expected a class, 0 to 2"):
        read_annotations(path, num_classes=3)
    with pytest.raises(ConfigError, match=r"no split 'xsub'; expected one of train, val, test"):
        read_annotations(path, "xsub")
    with pytest.raises(ConfigError, match="a list of annotations, without splits"):
        read_annotations(dumped(ITEMS), "val")


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_annotations(tmp_path / "none.pkl")
    for name in ("nul\0byte", "x" * 999):
        with pytest.raises(DataError, match="cannot be read"):
            read_annotations(tmp_path / name)
    (tmp_path / "empty.pkl").write_bytes(b"")
    with pytest.raises(FormatError, match="cut off"):
        read_annotations(tmp_path / "empty.pkl")


class _Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.parts = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_an_evil_file_is_refused_and_runs_nothing(protocol: int, dumped: Any, tmp_path: Path) -> None:
    target = tmp_path / "made"
    for content in (_Runs(Path.touch, target), [{**ITEMS[0], "frame_dir": _Runs(Path.touch, target)}]):
        with pytest.raises(FormatError, match="refused"):
            read_annotations(dumped(content, protocol))
    assert not target.exists()


@pytest.mark.parametrize("protocol", [0, 3, 4])
@pytest.mark.parametrize("form", ["list", "dict"])
def test_damaged_files_end_in_annotations_or_an_error(form: str, protocol: int, dumped: Any) -> None:
    small = [
        {
            **each,
            "keypoint": each["keypoint"][:, :2],
            "keypoint_score": each["keypoint_score"][:, :2],
            "total_frames": 2,
        }
        for each in ITEMS
    ]
    content = small if form == "list" else {"split": SPLIT, "annotations": small, "label_names": list("abcd")}
    path = dumped(content, protocol)
    data = path.read_bytes()
    refused = 0
    for damaged in mutations(data, np.random.default_rng(protocol), 70):
        path.write_bytes(damaged)
        try:
            read_data_set(path)
        except PoseworksError:
            refused += 1
    assert refused > 20


def test_large_files_are_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poseworks.skeleton_action.annotation_pickles._MAPPED_BYTES", 0)
    write_annotations([as_annotation(each) for each in ITEMS], tmp_path / "x.pkl")
    for annotation, published in zip(read_annotations(tmp_path / "x.pkl"), ITEMS, strict=True):
        assert_same(annotation, published)
    assert restricted_load(tmp_path / "x.pkl")[0]["frame_dir"] == "ann_a"
