"""What the readers give, and every fault of a file in one message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.lifting.learning.h36m_files.places import DETECTED_FILE, EHGFORMER_FILE
from poseworks.lifting.learning.h36m_files.reading import read_ehgformer, read_lcn, read_recordings

Content = dict[str, dict[str, Any]]
Write = Callable[..., Path]


def message(read: Callable[[], object]) -> str:
    with pytest.raises(FormatError) as caught:
        read()
    text = str(caught.value)
    assert "\n" not in text
    return text


# --- EHGFormer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
def test_the_source_file_is_read(protocol: int, tmp_path: Path, source: Content, written: Write) -> None:
    path = written(tmp_path / EHGFORMER_FILE, source, protocol)
    for split in ("train", "test"):
        part, frames = source[split], read_ehgformer(path, split)  # type: ignore[arg-type]
        np.testing.assert_array_equal(frames.keypoints, part["joint_2d"])
        np.testing.assert_array_equal(frames.confidence, part["confidence"][..., 0])
        np.testing.assert_array_equal(frames.joints_image, part["joint3d_image"])
        assert [frames.recordings[i] for i in frames.recording] == part["source"]
        for array in (frames.keypoints, frames.confidence, frames.joints_image):
            assert array.dtype == np.float32
            assert array.flags.owndata
            assert array.flags.writeable
    np.testing.assert_array_equal(frames.joints_25d, source["test"]["joints_2.5d_image"])
    np.testing.assert_array_equal(frames.factor, source["test"]["2.5d_factor"])
    assert frames.action is not None
    assert [frames.actions[i] for i in frames.action] == source["test"]["action"]
    assert frames.image_size[0].tolist() == [1000, 1002]
    recording, names = read_recordings(path, "test")
    np.testing.assert_array_equal(recording, frames.recording)
    assert names == frames.recordings


def test_the_other_spelling_other_forms_and_no_confidence_are_read(
    tmp_path: Path, source: Content, written: Write
) -> None:
    expected = read_ehgformer(written(tmp_path / "a.pkl", source), "test")
    test = source["test"]
    test["joint_2.5d_image"] = test.pop("joints_2.5d_image")
    test["confidence"] = test["confidence"][..., 0]
    test["camera_name"] = [int(name) for name in test["camera_name"]]
    test["source"] = np.array(test["source"])
    test["action"] = np.array(test["action"], dtype=object)
    test["2.5d_factor"] = test["2.5d_factor"].tolist()
    test["joint_2d"] = np.concatenate([test["joint_2d"], np.ones((303, 17, 1))], axis=-1)
    found = read_ehgformer(written(tmp_path / "b.pkl", source), "test")
    for name in ("keypoints", "confidence", "joints_25d", "factor", "action", "recording", "camera"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    del test["confidence"]
    assert (read_ehgformer(written(tmp_path / "c.pkl", source), "test").confidence == 1).all()


def test_every_fault_is_in_one_message(tmp_path: Path, source: Content, written: Write) -> None:
    test = source["test"]
    del test["source"]
    test["joint_2d"] = test["joint_2d"][:, :16]
    test["joint3d_image"] = test["joint3d_image"].copy()
    test["joint3d_image"][[7, 9]] = np.nan
    test["camera_name"] = ["54138969"] * 301 + ["12345678"] * 2
    test["2.5d_factor"] = test["2.5d_factor"][:-1]
    test["action"] = [None, *test["action"][1:]]
    text = message(lambda: read_ehgformer(written(tmp_path / "x.pkl", source), "test"))
    for part in (
        "x.pkl: ", "test has no source", "numbers of frames differ", "2.5d_factor 302",
        "joint_2d: expected (N, 17, >=2), got (303, 16, 2)",
        "joint3d_image: values that are not finite (frame 7 and 1 more)",
        "unknown camera '12345678', expected one of 54138969", "(frame 301 and 1 more)",
        "action: NoneType instead of a text (frame 0)",
    ):  # fmt: skip
        assert part in text


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda c: c.pop("test"), "expected a dict that holds a dict test, got a dict of train"),
        (lambda c: c.update(test=[1]), "expected a dict that holds a dict test"),
        (lambda c: c["test"].update({"joint_2.5d_image": 1}), "twice, in both spellings"),
        (lambda c: c["test"].pop("joints_2.5d_image"), "no joints_2.5d_image (or joint_2.5d_image)"),
        (lambda c: c["test"].update(joint_2d=np.full((303, 17, 2), "1.0")), "expected an array of numbers"),
        (lambda c: c["test"].update(joint_2d=np.ones((303, 17, 2), complex)), "expected an array of numbers"),
        (lambda c: c["test"].update(joint_2d=np.full((303, 17, 2), 1e300)), "not finite"),
        (lambda c: c["test"].update(joint_2d="abc"), "expected an array of numbers, got 'abc'"),
        (lambda c: c["test"].update(joint_2d=[[1.0, 2.0], [3.0]]), "expected an array of numbers"),
        (lambda c: c["test"].update(camera_name="54138969"), "camera_name: expected a list of N texts"),
        (lambda c: c["test"].update(camera_name=np.ones((303, 2))), "camera_name: expected a list of N texts"),
        (lambda c: c["test"].update(source=np.array("s_09")), "source: expected a list of N texts"),
        (lambda c: c["test"].update(joint_2d=np.array(1.0)), "joint_2d: expected (N, 17, >=2), got ()"),
        (lambda c: c["test"].update({"2.5d_factor": np.zeros(303)}), "2.5d_factor: expected mm a pixel above 0"),
        (lambda c: c["test"].update(confidence=np.ones((303, 16))), "confidence: expected (N, 17), got (303, 16)"),
        (lambda c: c["test"].update({key: x[:0] for key, x in c["test"].items()}), "test has no frames"),
    ],
)  # fmt: skip
def test_each_fault_is_named(
    change: Callable[[Any], object], part: str, tmp_path: Path, source: Content, written: Write
) -> None:
    change(source)
    assert part in message(lambda: read_ehgformer(written(tmp_path / "x.pkl", source), "test"))


# --- LCN --------------------------------------------------------------------------------------------------------------


def test_items_in_other_forms_are_read(
    items: list[dict[str, Any]], folder: Path, tmp_path: Path, written: Write
) -> None:
    expected = read_lcn(folder, "test")
    changed = []
    for item in items:
        camera = {**item["camera_param"], "fx": np.array([item["camera_param"]["fx"]]), "name": np.str_("54138969")}
        camera["name"] = item["camera_param"]["name"].encode()
        changed.append({
            **item, "joint_3d_image": item["joint_3d_image"].tolist(), "root_depth": np.float32(item["root_depth"]),
            "box": item["box"].tolist(), "camera_param": camera, "subject": np.int64(item["subject"]),
        })  # fmt: skip
    for protocol in (0, 2, 4, 5):
        written(tmp_path / "h36m_test.pkl", changed, protocol)
        found = read_lcn(tmp_path, "test")
        for name in ("joints_image", "joints_camera_mm", "box", "focal", "centre", "camera", "subject", "action"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_every_fault_of_the_items_is_in_one_message(
    items: list[dict[str, Any]], tmp_path: Path, written: Write
) -> None:
    broken = [dict(item) for item in items]
    del broken[1]["box"]
    broken[2]["joint_3d_image"] = np.zeros((16, 3))
    broken[3]["joint_3d_image"] = np.zeros((16, 3))
    broken[4]["camera_param"] = {**broken[4]["camera_param"], "name": "1"}
    broken[5]["camera_param"] = {**broken[5]["camera_param"], "fy": -1.0}
    broken[6]["root_depth"] = "far"
    broken[7]["joint_3d_camera"] = np.full((17, 3), np.inf)
    broken[8]["camera_param"] = None
    broken[9]["action"] = 2.5
    broken[10] = 5  # type: ignore[call-overload]
    broken[11]["box"] = np.array([5.0, 0, 3, 0])
    text = message(lambda: read_lcn(written(tmp_path / "h36m_test.pkl", broken).parent, "test"))
    for part in (
        "box is missing, expected (4,) numbers (item 1)",
        "joint_3d_image is (16, 3) float64, expected (17, 3) numbers (item 2 and 1 more)",
        "unknown camera '1'", "a focal length that is not positive (item 5)",
        "root_depth is 'far', expected a number (item 6)", "camera_param is missing or no dict (item 8)",
        "no small integer (item 9)", "int instead of a dict (item 10)", "a box without width (item 11)",
    ):  # fmt: skip
        assert part in text


def test_values_that_are_not_finite_are_found(items: list[dict[str, Any]], tmp_path: Path, written: Write) -> None:
    for value in (np.nan, np.inf, 1e300):
        broken = [dict(item) for item in items]
        broken[7]["joint_3d_camera"] = np.full((17, 3), value)
        text = message(lambda: read_lcn(written(tmp_path / "h36m_test.pkl", broken).parent, "test"))  # noqa: B023
        assert "joints_camera_mm: values that are not finite (item 7)" in text


def test_the_detected_keypoints_must_fit(
    items: list[dict[str, Any]], folder: Path, tmp_path: Path, written: Write
) -> None:
    written(tmp_path / "h36m_test.pkl", items)
    keypoints = np.zeros((len(items) - 1, 17, 3))
    written(tmp_path / DETECTED_FILE, {"test": {"joint3d_image": keypoints}})
    with pytest.raises(DataError, match=f"{len(items)} frames, but {DETECTED_FILE} has {len(items) - 1} of test"):
        read_lcn(tmp_path, "test", "dt_ft")
    written(tmp_path / DETECTED_FILE, {"test": {"joint3d_image": np.zeros((len(items), 17, 3))}})
    assert (read_lcn(tmp_path, "test", "dt_ft").confidence == 1).all()
    with pytest.raises(ConfigError, match="expected gt or dt_ft"):
        read_lcn(tmp_path, "test", "sh")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({}, "holds a dict, expected a list"),
        ([], "holds an empty list"),
        ({"a": [1]}, "holds a dict"),
        ("x", "holds a str"),
    ],
)
def test_what_is_no_list_of_items_is_refused(content: Any, part: str, tmp_path: Path, written: Write) -> None:
    assert part in message(lambda: read_lcn(written(tmp_path / "h36m_test.pkl", content).parent, "test"))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_lcn(tmp_path, "test")
    with pytest.raises(DataError, match="does not exist"):
        read_ehgformer(tmp_path / "x.pkl", "test")
