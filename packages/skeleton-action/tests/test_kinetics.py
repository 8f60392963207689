import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.testing import ReferenceCase, mutations, reference_cases
from poseworks.skeleton_action.annotation import Annotation, as_annotation
from poseworks.skeleton_action.annotation_files import read_annotations
from poseworks.skeleton_action.kinetics import (
    CompressedAnnotation,
    Expansion,
    KineticsAnnotations,
    compress,
    expand,
    read_kinetics,
    write_kinetics,
)

HERE = Path(__file__).parent
CASE: ReferenceCase = reference_cases(HERE / "reference", "decompress")[0]
SKELETONS = CASE.arrays["keypoint"]
TOTAL = CASE.manifest["total_frames_in"]


def item(name: str = "v_1", **changes: Any) -> dict[str, Any]:
    """The reference recording as 1.x writes it."""
    frames, boxes = CASE.arrays["frame_inds"], CASE.arrays["box_score"]
    made = {
        "frame_dir": name, "label": 7, "img_shape": (320, 426), "original_shape": (320, 426), "total_frames": TOTAL,
        "frame_inds": frames, "box_score": boxes, "raw_file": "data/k400/kpfiles/a.pkl",
        "valid": {limit: len(np.unique(frames[boxes >= limit])) for limit in (0.5, 0.6, 0.7, 0.8, 0.9)},
    }  # fmt: skip
    return made | changes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of two recordings, whose side file lies where its annotations say."""
    content = {"split": {"train": ["v_1"], "val": ["v_2"]}, "annotations": [item("v_1"), item("v_2", label=8)]}
    (tmp_path / "k400.pkl").write_bytes(pickle.dumps(content, 4))
    side = tmp_path / "data" / "k400" / "kpfiles"
    side.mkdir(parents=True)
    (side / "a.pkl").write_bytes(pickle.dumps({name: {"keypoint": SKELETONS} for name in ("v_1", "v_2")}, 4))
    return tmp_path


def rewritten(folder: Path, items: list[dict[str, Any]]) -> Path:
    path = folder / "k400.pkl"
    path.write_bytes(pickle.dumps(items, 4))
    return path


def only(annotations: KineticsAnnotations) -> CompressedAnnotation:
    (found,) = annotations.items
    return found


@pytest.mark.parametrize("case", CASE.manifest["cases"], ids=lambda case: case["name"])
def test_expansion_equals_the_published_code(case: dict[str, Any], folder: Path) -> None:
    settings = Expansion(
        squeeze=case["args"].get("squeeze", True),
        max_people=case["args"].get("max_person"),
        box_threshold=case["box_threshold"] or 0.5,
        valid_ratio=0.01 if case["box_threshold"] else 0.0,
    )
    annotation = read_kinetics(folder / "k400.pkl", "train", settings=settings)[0]
    expected = CASE.arrays[f"{case['name']}.keypoint"]
    assert annotation.num_frames == case["total_frames"]
    assert annotation.keypoints.dtype == expected.dtype
    assert_array_equal(annotation.keypoints, expected)
    assert_array_equal(annotation.scores, CASE.arrays[f"{case['name']}.keypoint_score"])


def test_read_annotations_knows_the_form_and_expands_when_asked(folder: Path) -> None:
    annotations = read_annotations(folder / "k400.pkl")
    assert isinstance(annotations, KineticsAnnotations)
    assert [each.label for each in annotations] == [7, 8]
    assert len(annotations[1:]) == 1
    assert_array_equal(annotations[1:][0].keypoints, CASE.arrays["default.keypoint"])
    with pytest.raises(FormatError, match="labels out of range: 'v_2' has 8"):
        read_annotations(folder / "k400.pkl", num_classes=8)


def test_the_side_file_may_lie_beside_or_elsewhere(folder: Path, tmp_path: Path) -> None:
    side = folder / "data" / "k400" / "kpfiles" / "a.pkl"
    beside = side.rename(folder / "a.pkl")
    assert read_annotations(folder / "k400.pkl")[0].num_people == 4
    away = tmp_path / "away"
    away.mkdir()
    beside.rename(away / "a.pkl")
    assert read_kinetics(folder / "k400.pkl", folder=away)[0].num_people == 4
    with pytest.raises(DataError, match=r"data/k400/kpfiles/a.pkl: the side file .* of 'v_1' is not under"):
        read_annotations(folder / "k400.pkl")[0]


def test_a_side_file_outside_of_the_folder_is_not_looked_for(folder: Path) -> None:
    inside = folder / "sets"
    inside.mkdir()
    (folder / "data" / "k400" / "kpfiles" / "a.pkl").rename(folder / "secret.pkl")
    for name in ("../secret.pkl", str(folder / "secret.pkl"), "x" * 5000, "a\0b"):
        path = rewritten(inside, [item(raw_file=name)])
        with pytest.raises(DataError, match="is not under"):
            read_annotations(path)[0]


def test_the_form_of_0x(folder: Path) -> None:
    """One side file a recording, five keys for valid, 100 people, and weights of the parts of the body."""
    boxes = item().pop("valid")
    items = [
        {key: value for key, value in item().items() if key not in ("raw_file", "valid", "frame_dir")}
        | {"filename": "kinetics/v_1.pkl"}
        | {f"valid@{limit}": count for limit, count in boxes.items()}
    ]
    (folder / "v_1.pkl").write_bytes(pickle.dumps(SKELETONS))
    annotations = read_kinetics(rewritten(folder, items))
    assert only(annotations).valid == boxes
    assert_array_equal(annotations[0].keypoints, CASE.arrays["default.keypoint"])

    three = np.zeros((3, 17, 3), np.float16)
    three[0, :5, 2] = 1.0  # a face alone: a sum of 5, but the lowest weight
    three[1, 5:7, 2] = 1.5  # shoulders: 3, twice 3
    three[2, 9:11, 2] = 1.25  # wrists: 2.5, three times 2.5
    for own, first in ((True, 2), (False, 0)):
        compressed = CompressedAnnotation(
            identifier="x", label=None, image_shape=(9, 9), original_shape=None, total_frames=1,
            frame_inds=np.zeros(3, np.int64), box_scores=np.ones(3), side_file="", own_side_file=own, valid={},
        )  # fmt: skip
        kept = expand(compressed, three, Expansion(max_people=1)).scores
        assert kept is not None
        assert_array_equal(kept[0, 0], three[first, :, 2])


def test_more_people_than_can_be_kept_take_no_memory() -> None:
    crowd = 30_000  # in one frame, and as many frames with one person: 27 GB if all had a place
    frames = np.concatenate([np.zeros(crowd, np.int64), np.arange(1, crowd)])
    compressed = CompressedAnnotation(
        identifier="x", label=None, image_shape=(9, 9), original_shape=None, total_frames=crowd, frame_inds=frames,
        box_scores=np.ones(len(frames)), side_file="", own_side_file=False, valid={},
    )  # fmt: skip
    skeletons = np.ones((len(frames), 1, 3), np.float16)
    assert expand(compressed, skeletons).keypoints.shape == (10, crowd, 1, 2)


def test_videos_with_few_valid_frames_are_left_out(folder: Path) -> None:
    assert len(read_kinetics(folder / "k400.pkl", settings=Expansion(box_threshold=0.9, valid_ratio=0.99))) == 0
    assert len(read_kinetics(folder / "k400.pkl", settings=Expansion(box_threshold=0.9))) == 2
    without = [item(frame_inds=np.zeros(0, np.int16), box_score=np.zeros(0, np.float16))]
    (folder / "a.pkl").write_bytes(pickle.dumps({"v_1": {"keypoint": np.zeros((0, 17, 3), np.float16)}}))
    (folder / "data" / "k400" / "kpfiles" / "a.pkl").unlink()
    assert read_kinetics(rewritten(folder, without))[0].keypoints.shape == (0, TOTAL, 17, 2)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_again(folder: Path, tmp_path: Path) -> None:
    source = read_kinetics(folder / "k400.pkl")
    pairs = [(compressed, source.skeletons(place)) for place, compressed in enumerate(source.items)]
    path = tmp_path / "again.pkl"
    side = write_kinetics(pairs, path, splits={"train": ["v_1", "v_2"]}, label_names=[str(n) for n in range(9)])
    assert side == tmp_path / "again_keypoints.pkl"
    written = pickle.loads(path.read_bytes())["annotations"][0]
    expected = item(raw_file="again_keypoints.pkl")
    assert written.keys() == expected.keys()
    for key, value in expected.items():
        assert_array_equal(written[key], value)
    for again, before in zip(read_kinetics(path, "train"), source, strict=True):
        assert_array_equal(again.keypoints, before.keypoints)


def test_annotations_are_compressed_and_come_back() -> None:
    arrays = reference_cases(HERE / "reference", "annotations")[0].arrays
    published = {"frame_dir": "c", "img_shape": (480, 640), "label": 1}
    whole = as_annotation(
        {**published, "keypoint": arrays["ann_c.keypoint"], "keypoint_score": arrays["ann_c.keypoint_score"] + 0.01}
    )
    back = expand(*compress(whole), Expansion(squeeze=False))
    assert_array_equal(back.keypoints, whole.keypoints)
    assert_array_equal(back.scores, whole.scores)

    scores = np.ones((2, 4, 17), np.float16)
    scores[0, 1] = 0  # who is absent gives the place to the other
    scores[:, 3] = 0
    points = np.stack([np.full((4, 17, 2), 1.0), np.full((4, 17, 2), 2.0)]).astype(np.float16)
    gaps = Annotation(identifier="x", keypoints=points, scores=scores, image_shape=(9, 9))
    compressed, skeletons = compress(gaps)
    assert compressed.frame_inds.tolist() == [0, 0, 1, 2, 2]
    assert compressed.valid[0.9] == 3
    assert expand(compressed, skeletons).keypoints[:, :, 0, 0].tolist() == [[1, 2, 1], [2, 0, 2]]


def test_a_data_set_that_cannot_be_written_leaves_no_side_file(tmp_path: Path) -> None:
    pair = compress(Annotation(identifier="x", keypoints=np.ones((1, 2, 17, 2)), image_shape=(9, 9)))
    with pytest.raises(DataError, match="lists 1 of 1 clips"):
        write_kinetics([pair], tmp_path / "x.pkl", splits={"train": ["y"]})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x_keypoints.pkl").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"x_keypoints\.pkl: already exists"):
        write_kinetics([pair], tmp_path / "x.pkl", splits={})


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_inds": [1, 2]}, "'v_1': frame_inds: expected an array of N frame numbers"),
        ({"frame_inds": np.arange(31)[::-1].copy()}, "frame_inds: expected numbers that do not fall"),
        ({"frame_inds": np.arange(-3, 28)}, "frame_inds: expected numbers from 0"),
        ({"frame_inds": np.arange(31)}, "frame_inds: expected numbers below total_frames, 14, got 30"),
        ({"total_frames": "many"}, "total_frames: expected a number of frames"),
        ({"total_frames": 1 << 40}, "total_frames: expected a number of frames from 1 to 1048576"),
        ({"box_score": np.ones(3)}, "box_score: expected 31 numbers"),
        ({"raw_file": 3}, "raw_file: expected the name of the file"),
        ({"valid": [1]}, "valid: expected numbers of frames"),
        ({"valid": {0.5: "many"}}, "valid: expected numbers of frames"),
        ({"img_shape": None, "label": "x"}, "label: expected a class number, got 'x'; img_shape: missing"),
    ],
)
def test_each_fault_is_named_with_its_identifier(changes: dict[str, Any], message: str, folder: Path) -> None:
    with pytest.raises(FormatError, match=message):
        read_annotations(rewritten(folder, [item(**changes)]))


def test_faults_of_side_files(folder: Path) -> None:
    side = folder / "data" / "k400" / "kpfiles" / "a.pkl"
    for content, error, message in (
        ({}, FormatError, r"holds no array of skeletons \(N, V, 3\) for 'v_1'"),
        ({"v_1": {"keypoint": "x"}}, FormatError, "holds no array of skeletons"),
        ([1], FormatError, "holds no array of skeletons"),
        ({"v_1": {"keypoint": SKELETONS[:5]}}, DataError, r"expected skeletons of \(N=31, V, 3\).*got \(5, 17, 3\)"),
        ({"v_1": {"keypoint": SKELETONS[..., :2]}}, DataError, r"got \(31, 17, 2\)"),
        ({"v_1": {"keypoint": SKELETONS.astype(np.float32) * 1e30}}, DataError, "infinite values"),
    ):
        side.unlink()
        side.write_bytes(pickle.dumps(content, 4))
        with pytest.raises(error, match=message):
            read_annotations(folder / "k400.pkl")[0]


def test_settings_out_of_range() -> None:
    for changes, message in (
        ({"box_threshold": 0.55}, "box_threshold: expected one of 0.5, 0.6"),
        ({"valid_ratio": 1.5}, "valid_ratio: expected 0 to 1"),
        ({"max_people": 0}, "max_people: expected 1 or more"),
    ):
        with pytest.raises(ConfigError, match=message):
            Expansion(**changes)


def test_another_form_is_refused(folder: Path) -> None:
    whole = {"frame_dir": "a", "img_shape": (9, 9), "keypoint": np.ones((1, 2, 17, 2))}
    with pytest.raises(FormatError, match="not of the compressed form"):
        read_kinetics(rewritten(folder, [whole]))


@pytest.mark.parametrize("which", ["k400.pkl", "data/k400/kpfiles/a.pkl"])
def test_damaged_files_end_in_annotations_or_an_error(which: str, folder: Path) -> None:
    data = (folder / which).read_bytes()
    refused = 0
    for damaged in mutations(data, np.random.default_rng(1), 210):
        (folder / which).unlink()
        (folder / which).write_bytes(damaged)
        try:
            annotations = read_annotations(folder / "k400.pkl")
            for place in range(len(annotations)):
                annotations[place]
        except PoseworksError:
            refused += 1
    assert refused > 50
