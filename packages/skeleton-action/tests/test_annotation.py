from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import DataError
from poseworks.skeleton_action.annotation import Annotation, as_annotation


def published(**changes: Any) -> dict[str, Any]:
    """A dict as published files hold it; an entry that is None is left out."""
    item = {
        "frame_dir": "S001", "label": 3, "img_shape": (480, 640), "original_shape": (480, 640), "total_frames": 5,
        "keypoint": np.ones((2, 5, 17, 2), np.float16), "keypoint_score": np.ones((2, 5, 17), np.float16),
    }  # fmt: skip
    return {key: value for key, value in {**item, **changes}.items() if value is not None}


def test_a_published_dict_is_taken_as_it_is() -> None:
    item = published()
    annotation = as_annotation(item)
    assert (annotation.identifier, annotation.label, annotation.image_shape) == ("S001", 3, (480, 640))
    assert (annotation.num_people, annotation.num_frames, annotation.num_joints) == (2, 5, 17)
    assert annotation.keypoints is item["keypoint"]
    assert annotation.scores is item["keypoint_score"]
    assert as_annotation(annotation) is annotation


def test_what_a_published_dict_may_leave_open() -> None:
    annotation = as_annotation(published(keypoint_score=None, label=None, original_shape=None, frame_dir=None))
    assert (annotation.scores, annotation.label, annotation.original_shape) == (None, None, None)
    assert as_annotation(published(label=-1)).label is None
    assert as_annotation(published(filename="v.avi")).identifier == "v.avi"


def test_whole_numbers_and_numpys_own_do() -> None:
    annotation = as_annotation(
        published(label=np.int64(3), img_shape=np.array([480, 640]), keypoint=np.ones((2, 5, 17, 2), np.int32))
    )
    assert (annotation.label, annotation.image_shape) == (3, (480, 640))
    assert annotation.keypoints.dtype == np.float32


ENDLESS: list[Any] = ["x"]
for _ in range(60):  # written out, it has 2 ** 60 parts
    ENDLESS = [ENDLESS, ENDLESS]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoint": None}, r"keypoint: missing; expected \(M, T, V, 2\)"),
        ({"keypoint": None, "frame_inds": np.arange(3)}, "compressed form: read its file"),
        ({"keypoint": np.ones((5, 17, 2))}, r"expected \(M, T, V, 2\), got \(5, 17, 2\)"),
        ({"keypoint": np.ones((1, 5, 25, 3))}, r"expected \(M, T, V, 2\), got \(1, 5, 25, 3\)"),
        ({"keypoint": np.ones((2, 0, 17, 2)), "keypoint_score": None}, "one or more frames"),
        ({"keypoint": [[1.0]]}, "expected an array of real numbers, got a list"),
        ({"keypoint": np.array(["a"])}, "expected an array of real numbers, got <U1"),
        ({"keypoint": np.full((2, 5, 17, 2), np.inf)}, "infinite values; float16 ends at 65504"),
        ({"keypoint_score": np.ones((2, 5))}, r"scores: expected \(2, 5, 17\) as the keypoints, got \(2, 5\)"),
        ({"keypoint_score": np.full((2, 5, 17), np.nan)}, "scores: expected finite numbers"),
        ({"img_shape": None}, "img_shape: missing"),
        ({"img_shape": (480,)}, r"img_shape: expected \(height, width\)"),
        ({"img_shape": (480, 0)}, r"image_shape: expected \(height, width\) above 0"),
        ({"img_shape": (480.5, 640)}, "in whole pixels"),
        ({"img_shape": (float("nan"), float("inf"))}, "in whole pixels"),
        ({"original_shape": "wide"}, "original_shape: expected"),
        ({"label": 1.5}, "label: expected a class number, got 1.5"),
        ({"label": True}, "label: expected a class number, got True"),
        ({"label": -2}, "label: expected a class number from 0, got -2"),
        ({"label": ENDLESS, "img_shape": ENDLESS}, "label: expected a class number, got list"),
        ({"frame_dir": ENDLESS}, "frame_dir: expected text, got a list"),
    ],
)  # fmt: skip
def test_each_fault_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        as_annotation(published(**changes))
    assert len(str(caught.value)) < 400


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(DataError, match=r"annotation 'S001': .*label.*keypoint: missing.*img_shape: missing"):
        as_annotation(published(keypoint=None, img_shape=None, label="walk"))


def test_something_else_is_refused() -> None:
    with pytest.raises(DataError, match="expected a dict or an Annotation, got a list"):
        as_annotation([1])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="annotation 'x': keypoints: expected real numbers, got int64"):
        Annotation(identifier="x", keypoints=np.ones((1, 1, 1, 2), int), image_shape=(1, 1))  # type: ignore[arg-type]
