"""Readers of the published Human3.6M files: what they give, every fault, and files that are damaged or hostile."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.testing import mutations
from poseworks.lifting.learning.building import build, synthetic_recordings
from poseworks.lifting.learning.h36m_files import (
    DETECTED_FILE,
    EHGFORMER_FILE,
    data_facts,
    find_ehgformer,
    find_lcn,
    read_ehgformer,
    read_lcn,
    read_recordings,
)

REFERENCE = Path(__file__).parents[1] / "reference"


def source() -> dict[str, dict[str, Any]]:
    """The stored source file, as its original is pickled."""
    content: dict[str, dict[str, Any]] = {}
    with np.load(REFERENCE / "protocol_source.npz") as file:
        for key in file.files:
            split, name = key.split("/", 1)
            content.setdefault(split, {})[name] = file[key].tolist() if name in ("source", "action") else file[key]
    return content


def written(path: Path, content: Any, protocol: int = 3) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both layouts, few frames."""
    target = tmp_path_factory.mktemp("data") / "h36m"
    build(synthetic_recordings(2, rng=np.random.default_rng(0)), target)
    return target


@pytest.fixture(scope="module")
def items(folder: Path) -> list[dict[str, Any]]:
    with (folder / "h36m_test.pkl").open("rb") as stream:
        loaded: list[dict[str, Any]] = pickle.load(stream)  # written by this test
    return loaded


def message(read: Callable[[], object]) -> str:
    with pytest.raises(FormatError) as caught:
        read()
    text = str(caught.value)
    assert "\n" not in text
    return text


# --- EHGFormer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
def test_the_source_file_is_read(protocol: int, tmp_path: Path) -> None:
    content = source()
    path = written(tmp_path / EHGFORMER_FILE, content, protocol)
    for split in ("train", "test"):
        part, frames = content[split], read_ehgformer(path, split)  # type: ignore[arg-type]
        np.testing.assert_array_equal(frames.keypoints, part["joint_2d"])
        np.testing.assert_array_equal(frames.confidence, part["confidence"][..., 0])
        np.testing.assert_array_equal(frames.joints_image, part["joint3d_image"])
        assert [frames.recordings[i] for i in frames.recording] == part["source"]
        for array in (frames.keypoints, frames.confidence, frames.joints_image):
            assert array.dtype == np.float32
            assert array.flags.owndata
            assert array.flags.writeable
    np.testing.assert_array_equal(frames.joints_25d, content["test"]["joints_2.5d_image"])
    np.testing.assert_array_equal(frames.factor, content["test"]["2.5d_factor"])
    assert frames.action is not None
    assert [frames.actions[i] for i in frames.action] == content["test"]["action"]
    assert frames.image_size[0].tolist() == [1000, 1002]
    recording, names = read_recordings(path, "test")
    np.testing.assert_array_equal(recording, frames.recording)
    assert names == frames.recordings


def test_the_other_spelling_other_forms_and_no_confidence_are_read(tmp_path: Path) -> None:
    content = source()
    expected = read_ehgformer(written(tmp_path / "a.pkl", content), "test")
    test = content["test"]
    test["joint_2.5d_image"] = test.pop("joints_2.5d_image")
    test["confidence"] = test["confidence"][..., 0]
    test["camera_name"] = [int(name) for name in test["camera_name"]]
    test["source"] = np.array(test["source"])
    test["action"] = np.array(test["action"], dtype=object)
    test["2.5d_factor"] = test["2.5d_factor"].tolist()
    test["joint_2d"] = np.concatenate([test["joint_2d"], np.ones((303, 17, 1))], axis=-1)
    found = read_ehgformer(written(tmp_path / "b.pkl", content), "test")
    for name in ("keypoints", "confidence", "joints_25d", "factor", "action", "recording", "camera"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    del test["confidence"]
    assert (read_ehgformer(written(tmp_path / "c.pkl", content), "test").confidence == 1).all()


def test_every_fault_is_in_one_message(tmp_path: Path) -> None:
    content = source()
    test = content["test"]
    del test["source"]
    test["joint_2d"] = test["joint_2d"][:, :16]
    test["joint3d_image"] = test["joint3d_image"].copy()
    test["joint3d_image"][[7, 9]] = np.nan
    test["camera_name"] = ["54138969"] * 301 + ["12345678"] * 2
    test["2.5d_factor"] = test["2.5d_factor"][:-1]
    test["action"] = [None, *test["action"][1:]]
    text = message(lambda: read_ehgformer(written(tmp_path / "x.pkl", content), "test"))
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
def test_each_fault_is_named(change: Callable[[Any], object], part: str, tmp_path: Path) -> None:
    content = source()
    change(content)
    assert part in message(lambda: read_ehgformer(written(tmp_path / "x.pkl", content), "test"))


# --- LCN --------------------------------------------------------------------------------------------------------------


def test_items_in_other_forms_are_read(items: list[dict[str, Any]], folder: Path, tmp_path: Path) -> None:
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


def test_every_fault_of_the_items_is_in_one_message(items: list[dict[str, Any]], tmp_path: Path) -> None:
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


def test_values_that_are_not_finite_are_found(items: list[dict[str, Any]], tmp_path: Path) -> None:
    for value in (np.nan, np.inf, 1e300):
        broken = [dict(item) for item in items]
        broken[7]["joint_3d_camera"] = np.full((17, 3), value)
        text = message(lambda: read_lcn(written(tmp_path / "h36m_test.pkl", broken).parent, "test"))  # noqa: B023
        assert "joints_camera_mm: values that are not finite (item 7)" in text


def test_the_detected_keypoints_must_fit(items: list[dict[str, Any]], folder: Path, tmp_path: Path) -> None:
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
def test_what_is_no_list_of_items_is_refused(content: Any, part: str, tmp_path: Path) -> None:
    assert part in message(lambda: read_lcn(written(tmp_path / "h36m_test.pkl", content).parent, "test"))


# --- damaged and hostile files ----------------------------------------------------------------------------------------

READERS: dict[str, Callable[[Path], object]] = {
    "h36m_test.pkl": lambda path: read_lcn(path.parent, "test"),
    DETECTED_FILE: lambda path: read_lcn(path.parent, "test", "dt_ft"),
    EHGFORMER_FILE: lambda path: read_ehgformer(path, "test"),
}


def small(folder: Path, name: str, items: list[dict[str, Any]]) -> Any:
    """Few frames, so that damage hits the structure and not only numbers."""
    if name == "h36m_test.pkl":
        return items[:5]
    if name == DETECTED_FILE:
        return {"test": {"joint3d_image": np.zeros((6, 17, 2), np.float16)}}
    part = source()["test"]
    return {"test": {key: x[:3] for key, x in part.items()}}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("protocol", [0, 3, 4, 5])
def test_damaged_files_end_in_frames_or_an_error(
    name: str, protocol: int, items: list[dict[str, Any]], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == DETECTED_FILE:
        written(tmp_path / "h36m_test.pkl", items[:6])
    data = pickle.dumps(small(folder, name, items), protocol)
    before = sorted(tmp_path.iterdir())
    refused = 0
    for damaged in mutations(data, np.random.default_rng(protocol), 60):
        (tmp_path / name).write_bytes(damaged)
        for read in (READERS[name], data_facts):
            try:
                read(tmp_path / name)
            except PoseworksError:
                refused += 1
    assert refused > 20
    (tmp_path / name).unlink()
    assert sorted(tmp_path.iterdir()) == [path for path in before if path.name != name]


class _Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.parts = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("name", READERS)
def test_a_poisoned_file_is_refused_and_runs_nothing(
    name: str, protocol: int, items: list[dict[str, Any]], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "h36m_test.pkl", items[:6])
    for evil in (
        _Runs(os.system, "touch executed"),
        _Runs(eval, "open('executed', 'w')"),
        _Runs(np.save, "executed", 1),
    ):
        good = small(folder, name, items)
        poisoned = [[*good, evil], [{**good[0], "box": evil}]] if isinstance(good, list) else [
            {**good, "train": evil}, {"test": {**good["test"], "confidence": evil}}, evil
        ]  # fmt: skip
        for content in poisoned:
            written(tmp_path / name, content, protocol)
            for read in (READERS[name], data_facts):
                with pytest.raises(FormatError, match="refused"):
                    read(tmp_path / name)
    assert not (tmp_path / "executed.npy").exists()
    assert not (tmp_path / "executed").exists()


def test_items_that_come_without_end_take_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list whose items are never handed over, and one whose items hold each other."""
    monkeypatch.setattr("poseworks.core.unpickling_machine.MAX_LIVE", 100_000)
    for data in (b"\x80\x03](" + b"N" * 1_100_000, b"\x80\x03](" + b"]" * 1_100_000 + b"e."):
        (tmp_path / "h36m_test.pkl").write_bytes(data)
        with pytest.raises(FormatError, match="too much in one item"):
            read_lcn(tmp_path, "test")


MEMORY = """
import resource, sys
from pathlib import Path
from poseworks.lifting.learning.h36m_files import read_ehgformer, read_lcn
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
frames = read_ehgformer(sys.argv[1], "train")
print(len(frames), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts kilobytes as Linux does")
def test_frames_are_not_copied_more_than_once(tmp_path: Path) -> None:
    """The file's own pages are the system's, yet count here: they and one copy, not two."""
    count = 30_000
    rng = np.random.default_rng(0)
    part = {
        "joint_2d": rng.random((count, 17, 2)), "confidence": rng.random((count, 17, 1)),
        "joint3d_image": rng.random((count, 17, 3)), "camera_name": ["54138969"] * count,
        "source": [f"s_01_act_{i // 1000:02d}_subact_01_ca_01" for i in range(count)],
    }  # fmt: skip
    path = written(tmp_path / "x.pkl", {"train": part, "test": {}}, 4)
    done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
    frames, kilobytes = map(int, done.stdout.split())
    assert frames == count
    one_copy = count * 17 * 6 * 4
    assert 1024 * kilobytes < path.stat().st_size + one_copy + (40 << 20)


# --- where files are --------------------------------------------------------------------------------------------------


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
    with pytest.raises(DataError, match="does not exist"):
        read_lcn(tmp_path, "test")
    with pytest.raises(DataError, match="does not exist"):
        data_facts(tmp_path / "x.pkl")


def test_lcns_folder_is_found(folder: Path) -> None:
    assert find_lcn(folder.parent) == folder
    assert find_lcn(folder).samefile(folder)


# --- facts ------------------------------------------------------------------------------------------------------------


def test_facts_of_each_file(folder: Path, items: list[dict[str, Any]], tmp_path: Path) -> None:
    facts = data_facts(folder / "h36m_test.pkl")
    assert (facts["frames"], facts["layout"]) == (len(items), "LCN (h36m_train.pkl or h36m_test.pkl)")
    assert facts["frames_by_camera"]["54138969"] == len(items) // 4
    assert set(facts["frames_by_action"]) == set(range(2, 17))
    facts = data_facts(folder / DETECTED_FILE)
    assert facts["layout"].startswith("LCN, detected")
    assert facts["test"]["frames"] == len(items)
    content = source()
    content["test"]["note"] = "x"
    del content["test"]["confidence"]
    del content["test"]["action"]
    facts = data_facts(written(tmp_path / "x.pkl", content))
    assert facts["train"]["shortest_recording"] == {"s_05_act_03_subact_01_ca_02": 40}
    assert facts["test"]["missing"] == ["action", "confidence (ones are taken)"]
    assert facts["test"]["left_over"] == ["note"]
    assert "no action" in facts["test"]["problem"]
    with pytest.raises(FormatError, match="expected a list of frames, or a dict of train and test; got a dict of a"):
        data_facts(written(tmp_path / "y.pkl", {"a": 1}))
    broken = data_facts(written(tmp_path / "z.pkl", [{**items[0], "box": None, "extra": 1}]))
    assert "box is missing" in broken["problem"]
    assert broken["left_over"] == ["extra"]
