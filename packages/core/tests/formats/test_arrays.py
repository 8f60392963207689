"""The poses file, MediaPipe arrays and SmoothNet's layout, written here with NumPy alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.formats import read_poses, write_poses
from poseworks.core.formats.smoothnet_npz import read_smoothnet_npz
from poseworks.core.skeletons import BLAZEPOSE_33, COCO_17, H36M_17


def _poses(**changes: Any) -> dict[str, Any]:
    """The arrays of a poses file; None leaves a key out."""
    arrays: dict[str, Any] = {
        "format": "poseworks.poses/1",
        "positions": np.ones((2, 5, 17, 2), np.float32),
        "confidence": np.ones((2, 5, 17), np.float32),
        "joint_names": np.array(COCO_17.joint_names),
        "skeleton": "coco17",
        "fps": 29.97,
        "unit": "px",
        "frame": "image",
        "history": "[]",
    }
    return {name: value for name, value in {**arrays, **changes}.items() if value is not None}


def test_a_poses_file_written_by_hand(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **_poses(image_size=[640, 480], person_ids=[5, 2], times=np.arange(5) / 30))
    poses = read_poses(tmp_path / "x.npz")
    assert (poses.fps, poses.image_size, poses.skeleton) == (29.97, (640, 480), "coco17")
    assert poses.person_ids is not None
    assert poses.person_ids.tolist() == [5, 2]
    assert read_poses(tmp_path / "x.npz", person=2).num_people == 1
    np.savez(tmp_path / "y.npz", **_poses(fps=30))
    assert read_poses(tmp_path / "y.npz", fps=30, image_size=(64, 48)).image_size == (64, 48)
    assert read_poses(tmp_path / "y.npz", person=1).num_people == 1


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"fps": None, "unit": None}, ["missing keys: fps, unit"]),
        ({"extra": 1, "more": 2}, ["unknown keys: extra, more"]),
        ({"format": "poseworks.poses/2"}, ["format: expected 'poseworks.poses/1', got 'poseworks.poses/2'"]),
        ({"positions": np.ones((2, 5, 17, 2))}, ["positions: expected floats of 32 bits with 4 axes, got float64"]),
        ({"positions": np.ones((2, 5, 17, 4), np.float32)}, [r"D=2\|3"]),
        ({"positions": np.full((2, 5, 17, 2), np.inf, np.float32)}, ["infinite"]),
        ({"confidence": np.ones((2, 4, 17), np.float32)}, ["confidence: expected .2, 5, 17."]),
        ({"confidence": np.full((2, 5, 17), 1.5, np.float32)}, ["confidence: expected values from 0 to 1"]),
        ({"joint_names": np.array(H36M_17.joint_names)}, ["joint_names: not those of coco17"]),
        ({"joint_names": np.array(COCO_17.joint_names[:-1])}, ["joint_names: expected 17"]),
        ({"skeleton": "coco18"}, ["'coco18' is unknown"]),
        ({"fps": 0.0}, ["fps: expected a number above 0"]),
        ({"fps": [30.0]}, ["fps: expected a number with 0 axes"]),
        ({"unit": "inch"}, ["unit: expected one of"]),
        ({"unit": "m"}, ["contradicts the frame image"]),
        ({"image_size": [1, 2, 3]}, [r"image_size: expected \(2,\)"]),
        ({"image_size": [640, 0]}, ["image_size: expected .width, height. above 0"]),
        ({"image_size": [640.0, 480.0]}, ["image_size: expected whole numbers"]),
        ({"times": np.zeros(5)}, ["times: expected finite, rising"]),
        ({"person_ids": [1, 1]}, ["a number occurs twice"]),
        ({"history": "{}"}, ["history: expected a JSON list of objects"]),
        ({"history": "[NaN]"}, ["history: holds NaN"]),
        (
            {"fps": 0.0, "unit": None, "extra": 1, "frame": "world", "image_size": [1, 1], "history": "x"},
            ["missing keys: unit", "unknown keys: extra", "fps", "image_size: only with", "history: is not JSON"],
        ),
        ({"positions": np.ones(3), "fps": -1.0, "person_ids": [1, 1]}, ["positions", "fps", "twice"]),
    ],
)
def test_every_fault_of_a_poses_file_is_in_one_message(
    changes: dict[str, Any], messages: list[str], tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", **_poses(**changes))
    for message in messages:
        with pytest.raises(FormatError, match=message) as caught:
            read_poses(tmp_path / "x.npz")
    assert str(caught.value).startswith(f"{tmp_path / 'x.npz'}: ")


def test_a_poses_file_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **_poses(history=np.array([{}], dtype=object)))
    with pytest.raises(FormatError, match="history: holds Python objects"):
        read_poses(tmp_path / "x.npz")


@pytest.mark.parametrize("hints", [{"fps": 25}, {"image_size": (1, 1)}, {"skeleton": "h36m17"}, {"unit": "m"}])
def test_a_hint_that_contradicts_a_poses_file_is_refused(hints: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **_poses(image_size=[640, 480]))
    with pytest.raises(ConfigError, match=f"{next(iter(hints))} is .* in the file, but .* was given"):
        read_poses(tmp_path / "x.npz", **hints)


def test_the_size_of_an_image_means_nothing_in_3d(tmp_path: Path) -> None:
    arrays = _poses(positions=np.ones((2, 5, 17, 3), np.float32), unit="m", frame="world")
    np.savez(tmp_path / "x.npz", **arrays)
    write_poses(read_poses(tmp_path / "x.npz"), tmp_path / "x.csv")
    np.savez(tmp_path / "s.npz", joints_3d=_column(np.ones((2, 51))))
    np.savez(tmp_path / "m.npz", **_landmarks())
    for name, hints in (("x.npz", {}), ("x.csv", {}), ("s.npz", {"fps": 30}), ("m.npz", {"world": True})):
        with pytest.raises(ConfigError, match="has no use for image_size"):
            read_poses(tmp_path / name, image_size=(640, 480), **hints)


def test_a_poses_file_in_fortran_order_and_of_the_other_byte_order(tmp_path: Path) -> None:
    positions = np.random.default_rng(0).normal(size=(2, 5, 17, 2)).astype(np.float32)
    np.savez(tmp_path / "x.npz", **_poses(positions=np.asfortranarray(positions).astype(">f4")))
    assert_array_equal(read_poses(tmp_path / "x.npz").positions, positions)


def _landmarks(frames: int = 4) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    landmarks = rng.uniform(0, 1, (frames, 33, 3)).astype(np.float32)
    world = rng.uniform(0, 1, (frames, 33, 4)).astype(np.float32)
    landmarks[1] = world[1] = np.nan
    return {
        "landmarks33": landmarks,
        "world33": world,
        "coco17": landmarks[:, :17],
        "detected": np.arange(frames) != 1,
        "fps": np.float32(30),
        "size_wh": np.array([1280, 380], np.int32),
    }


def test_mediapipe_landmarks(tmp_path: Path) -> None:
    arrays = _landmarks()
    np.savez(tmp_path / "x.npz", **arrays)
    flat = read_poses(tmp_path / "x.npz")
    assert (flat.unit, flat.frame, flat.fps, flat.image_size) == ("px", "image", 30, (1280, 380))
    assert flat.joint_names == BLAZEPOSE_33.joint_names
    assert_array_equal(flat.positions[0], arrays["landmarks33"][..., :2])
    assert_array_equal(flat.confidence[0], np.nan_to_num(arrays["landmarks33"][..., 2]))
    world = read_poses(tmp_path / "x.npz", world=True)
    assert (world.unit, world.frame, world.image_size) == ("m", "root", None)
    assert_array_equal(world.positions[0], arrays["world33"][..., :3])
    arrays["landmarks33"][1] = 0.5  # what a detector left there counts for nothing
    np.savez(tmp_path / "x.npz", **arrays)
    assert_array_equal(read_poses(tmp_path / "x.npz").positions, flat.positions)


def test_mediapipe_bare_arrays(tmp_path: Path) -> None:
    landmarks, world = _landmarks()["landmarks33"], _landmarks()["world33"]
    np.save(tmp_path / "x.npy", landmarks)
    with pytest.raises(ConfigError, match=r"does not say whether it is in pixels.*--unit px"):
        read_poses(tmp_path / "x.npy", fps=30)
    with pytest.raises(ConfigError, match="--fps 30"):
        read_poses(tmp_path / "x.npy", unit="px")
    assert_array_equal(read_poses(tmp_path / "x.npy", fps=30, unit="px").positions[0], landmarks[..., :2])
    with pytest.raises(ConfigError, match="--image-size"):
        read_poses(tmp_path / "x.npy", fps=30, unit="normalised")
    pixels = read_poses(tmp_path / "x.npy", fps=30, unit="normalised", image_size=(100, 50))
    assert pixels.unit == "px"
    assert_allclose(pixels.positions[0], landmarks[..., :2] * [100, 50], rtol=1e-6)
    with pytest.raises(FormatError, match="has no z"):
        read_poses(tmp_path / "x.npy", fps=30, world=True)
    np.save(tmp_path / "x.npy", world)
    assert_array_equal(read_poses(tmp_path / "x.npy", fps=30, world=True).positions[0], world[..., :3])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"landmarks33": np.zeros((4, 17, 3), np.float32)}, r"expected \(T, 33, 3\) floats"),
        ({"landmarks33": None}, "no landmarks33; world33 is read with world=True"),
        ({"landmarks33": np.full((4, 33, 3), 2, np.float32)}, "visibilities outside 0..1"),
        ({"landmarks33": np.full((4, 33, 3), np.inf, np.float32)}, "infinite"),
        ({"detected": np.ones(3, bool)}, "detected: expected"),
        ({"fps": 0.0}, "fps: expected a number above 0"),
        ({"fps": np.nan}, "fps"),
        ({"size_wh": [1, 2, 3]}, "size_wh"),
        ({"other": 1}, "unknown key other"),
    ],
)
def test_faults_of_mediapipe_arrays(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **{k: v for k, v in {**_landmarks(), **changes}.items() if v is not None})
    with pytest.raises(FormatError, match=message):
        read_poses(tmp_path / "x.npz")


def _column(*entries: Any) -> np.ndarray:
    array = np.empty(len(entries), dtype=object)
    for place, entry in enumerate(entries):
        array[place] = entry
    return array


def test_smoothnet_sequences_with_all_their_tables(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    joints = [rng.normal(size=(length, 42)) for length in (5, 3)]
    pose = [rng.normal(size=(length, 72)) for length in (5, 3)]
    np.savez(
        tmp_path / "x.npz",
        imgname=_column([f"walk/{n}.jpg" for n in range(5)], np.array([f"set/run/{n}.jpg" for n in range(3)])),
        keypoints_3d=_column(joints[0], joints[1].tolist()),
        pose=_column(*pose),
        shape=_column(np.zeros((5, 10)), np.zeros((3, 10))),
        camera=_column(np.ones((5, 3)), np.ones((3, 3))),
        trans=_column(np.ones((5, 3)), np.ones((3, 3))),
        scaling=_column(93.5, np.array([90.0])),
        imgshape=_column((240, 320, 3), np.array([240, 320])),
        bbox=_column(np.ones((5, 4)), np.ones((3, 4))),
    )
    data = read_smoothnet_npz(tmp_path / "x.npz")
    assert [(s.name, s.num_frames, s.scaling, s.imgshape) for s in data.sequences] == [
        ("walk", 5, 93.5, (240, 320, 3)), ("set/run", 3, 90.0, (240, 320))
    ]  # fmt: skip
    run = data.by_name()["set/run"]
    assert_array_equal(run.joints(3), joints[1].reshape(3, 14, 3))
    assert_array_equal(run.tables["pose"], pose[1])
    assert run.imgname == ("set/run/0.jpg", "set/run/1.jpg", "set/run/2.jpg")
    with pytest.raises(DataError, match="has no joints_2d; it has joints_3d, pose"):
        run.joints(2)
    poses = read_poses(tmp_path / "x.npz", fps=30, sequence="set/run")
    assert (poses.skeleton, poses.unit, poses.frame) == ("lsp14", "m", "root")
    assert_array_equal(poses.positions[0], joints[1].reshape(3, 14, 3).astype(np.float32))
    assert set(read_smoothnet_npz(tmp_path / "x.npz", keys=["pose"]).sequences[0].tables) == {"pose"}


def test_sequences_of_one_length_as_numpy_joins_them(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).normal(size=(2, 5, 51))
    names = [[f"s{k}/{n}" for n in range(5)] for k in range(2)]
    for dtype in (object, None):
        np.savez(tmp_path / "x.npz", joints_3d=np.array(joints, dtype=dtype), imgname=np.array(names, dtype=dtype))
        data = read_smoothnet_npz(tmp_path / "x.npz")
        assert [s.name for s in data.sequences] == ["s0", "s1"]
        assert_array_equal(data.sequences[1].tables["joints_3d"], joints[1])
    assert read_poses(tmp_path / "x.npz", fps=50, sequence=1).skeleton == "h36m17_left_first"


def test_the_same_name_twice_gets_a_number(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", joints_2d=_column(np.ones((2, 30)), np.ones((3, 30))),
             imgname=_column(["a/1", "a/2"], ["a/1", "a/2", "a/3"]))  # fmt: skip
    assert [s.name for s in read_smoothnet_npz(tmp_path / "x.npz").sequences] == ["a", "a#1"]
    assert read_poses(tmp_path / "x.npz", fps=30, sequence="a#1").num_frames == 3


def test_a_sequence_in_2d_and_3d_needs_a_choice(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", joints_2d=_column(np.ones((2, 34))), joints_3d=_column(np.ones((2, 51))))
    with pytest.raises(ConfigError, match=r"has joints_2d and joints_3d. Choose: unit='px' or 'm'"):
        read_poses(tmp_path / "x.npz", fps=30)
    assert read_poses(tmp_path / "x.npz", fps=30, unit="px").num_dims == 2
    assert read_poses(tmp_path / "x.npz", fps=30, unit="m").num_dims == 3
    assert read_poses(tmp_path / "x.npz", fps=30, unit="m", skeleton="h36m17").skeleton == "h36m17"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"joints_3d": [np.ones((2, 50))]}, r"joints_3d: expected \(T, a multiple of 3\), got \(2, 50\)"),
        ({"joints_3d": [np.ones((2, 51))], "pose": [np.ones((3, 72))]}, "lengths differ: joints_3d 2, pose 3"),
        ({"joints_3d": [np.ones((2, 51))], "imgname": [["a/1"]]}, "lengths differ"),
        ({"joints_3d": [np.ones((2, 51))], "imgname": [["a/1"], ["a/2"]]}, "numbers of sequences differ"),
        ({"joints_3d": [np.ones((2, 51))], "imgname": [[1, 2]]}, "imgname: expected a list of texts"),
        ({"joints_3d": [np.full((2, 51), np.nan)]}, "joints_3d: not finite"),
        ({"joints_3d": ["abc"]}, "joints_3d: expected numbers"),
        ({"joints_3d": [[[1.0] * 3, [1.0] * 6]]}, "as many in every row"),
        ({"joints_3d": [{"a": 1}]}, "joints_3d: expected numbers"),
        ({"joints_3d": [np.ones((2, 51))], "vertices": [1]}, "unknown key vertices"),
        ({"joints_3d": [np.ones((2, 51))], "keypoints_3d": [np.ones((2, 51))]}, "there is joints_3d too"),
        ({"pose": [np.ones((2, 70))]}, r"pose: expected \(T, 72\)"),
        ({"imgname": [["a/1"]]}, "none of the keys joints_3d"),
    ],
)
def test_faults_of_a_smoothnet_file(columns: dict[str, list[Any]], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **{name: _column(*entries) for name, entries in columns.items()})
    with pytest.raises(FormatError, match=message):
        read_smoothnet_npz(tmp_path / "x.npz")


def test_lists_that_hold_one_another_many_times_are_refused_at_once(tmp_path: Path) -> None:
    value: Any = [1.0]
    for _ in range(40):
        value = [value, value]
    np.savez(tmp_path / "x.npz", joints_3d=_column(value), scaling=_column(value))
    with pytest.raises(FormatError, match="joints_3d: expected numbers; scaling: expected numbers"):
        read_smoothnet_npz(tmp_path / "x.npz")


def test_smpl_motion_alone_has_no_poses(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", pose=_column(np.ones((2, 72))), shape=_column(np.ones((2, 10))))
    with pytest.raises(FormatError, match=r"none of the keys|SMPL motion alone"):
        read_poses(tmp_path / "x.npz", fps=30)
