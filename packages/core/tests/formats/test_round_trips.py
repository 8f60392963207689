"""Each writer against its reader, the detection between them, and what a writer refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.formats import FORMATS, detect_format, read_poses, write_poses
from poseworks.core.poses import PoseSequence
from poseworks.core.skeletons import SKELETONS
from poseworks.core.testing import walking_poses

SUFFIX = {name: entry.suffix for name, entry in FORMATS.items()}


def _walk(joints: str, dims: int = 2, people: int = 1, missing: float = 0.0, **changes: Any) -> PoseSequence:
    """People walking, 2D in pixels or 3D in metres; what is missing has confidence 0."""
    rng = np.random.default_rng(7)
    poses = walking_poses(12, people, dims, SKELETONS[joints], rng=rng, noise=0.01, missing=missing)
    if dims == 2:
        poses = poses.replace(positions=300 + 100 * poses.positions, unit="px", frame="image", image_size=(640, 480))
    confidence = np.where(poses.observed, rng.uniform(0.1, 1, poses.confidence.shape), 0)
    return poses.replace(confidence=confidence, **changes)


def _assert_same(read: PoseSequence, written: PoseSequence, but: tuple[str, ...] = ()) -> None:
    for name in ("positions", "confidence", "times", "person_ids"):
        if name not in but:
            expected, found = getattr(written, name), getattr(read, name)
            assert (expected is None) == (found is None), name
            if expected is not None:
                np.testing.assert_array_equal(found, expected, err_msg=name)
    for name in ("joint_names", "skeleton", "fps", "unit", "frame", "image_size", "history"):
        if name not in but:
            assert getattr(read, name) == getattr(written, name), name


HISTORY = ({"verb": "smooth", "settings": {"σ": [1, 2.5, None]}, "model": 'line\nbreak, \u2028 "quoted"'},)
EVERYTHING = [
    _walk("coco17", missing=0.2, history=HISTORY),
    _walk("h36m17", 3, people=3, missing=0.2, person_ids=[7, -2, 2**40]),
    _walk("smpl24", 3, frame="root", times=np.cumsum(np.arange(1, 13)) / 7),
    _walk("halpe26").replace(skeleton="custom", joint_names=[f'a,b "{n}" \'ü_x' for n in range(26)]),
    _walk("coco17").replace(unit="normalised", image_size=None),
    _walk("coco17", 3, frame="camera", unit="mm").replace(positions=np.full((2, 5, 17, 3), np.nan), confidence=None),
    _walk("coco17").replace(positions=np.zeros((0, 0, 17, 2)), confidence=None),
    _walk("coco17").replace(positions=np.zeros((0, 4, 17, 2)), confidence=None),
    _walk("coco17").replace(positions=np.zeros((3, 0, 17, 2)), confidence=None),
    _walk("coco17").replace(positions=np.ones((1, 1, 17, 2)), confidence=None),
]


@pytest.mark.parametrize("name", ["poses", "csv"])
@pytest.mark.parametrize("poses", EVERYTHING)
def test_the_poses_file_and_the_table_keep_everything(poses: PoseSequence, name: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{SUFFIX[name]}"
    write_poses(poses, path)
    assert detect_format(path) == name
    _assert_same(read_poses(path), poses)


@settings(max_examples=60, deadline=None)
@given(
    data=hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.just(17), st.sampled_from([2, 3])),
        elements=st.floats(width=32, allow_infinity=False),
    ),
    fps=st.floats(1e-3, 1e6),
    name=st.sampled_from(["poses", "csv"]),
)
def test_any_float32_comes_back_bit_for_bit(
    data: np.ndarray, fps: float, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / f"x{SUFFIX[name]}"
    poses = _walk("coco17").replace(
        positions=data, confidence=None, fps=fps, unit="normalised", frame="root", image_size=None
    )
    write_poses(poses, path)
    _assert_same(read_poses(path), poses)


@pytest.mark.parametrize(
    ("name", "poses", "hints"),
    [
        ("coco", _walk("coco17", missing=0.2), {}),
        ("coco", _walk("coco17", people=3, missing=0.2, person_ids=[4, 9, 12]), {}),
        ("coco", _walk("openpose25"), {"skeleton": "openpose25"}),
        (
            "coco",
            _walk("coco17").replace(positions=np.full((1, 5, 17, 2), np.nan), confidence=np.zeros((1, 5, 17))),
            {},
        ),
        ("alphapose", _walk("halpe26", people=2, missing=0.2, person_ids=[1, 2]), {}),
        ("alphapose", _walk("coco17", missing=0.2), {}),
        ("openpose", _walk("openpose25", missing=0.2), {}),
        ("openpose", _walk("openpose18", people=2, person_ids=[0, 5]), {}),
        ("openpose", _walk("halpe26"), {}),
        ("openpose", _walk("coco17"), {"skeleton": "coco17"}),
    ],
)
def test_formats_of_detectors_keep_what_they_hold(
    name: str, poses: PoseSequence, hints: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / f"x{SUFFIX[name]}"
    write_poses(poses, path, format=name)
    assert detect_format(path) == name
    read = read_poses(path, fps=30, image_size=(640, 480), **hints)
    _assert_same(read, poses, but=("history",))
    assert read.history[0]["settings"]["format"] == name


def test_people_without_numbers_get_some(tmp_path: Path) -> None:
    poses = _walk("coco17", people=2)
    write_poses(poses, tmp_path / "x.json")
    read = read_poses(tmp_path / "x.json", fps=30, image_size=(640, 480))
    _assert_same(read, poses.replace(person_ids=[0, 1]), but=("history",))


@pytest.mark.parametrize("unit", ["m", "mm"])
@pytest.mark.parametrize("frame", ["world", "camera"])
def test_trc_keeps_positions_names_and_time(unit: str, frame: str, tmp_path: Path) -> None:
    poses = _walk("h36m17", 3, missing=0.2, unit=unit, frame=frame)
    write_poses(poses, tmp_path / "x.trc")
    assert detect_format(tmp_path / "x.trc") == "trc"
    _assert_same(read_poses(tmp_path / "x.trc", frame=frame), poses, but=("history", "confidence"))


def test_trc_keeps_uneven_times_and_no_frames(tmp_path: Path) -> None:
    uneven = _walk("coco17", 3, times=np.cumsum(np.arange(1, 13)) / 7)
    empty = _walk("coco17", 3).replace(positions=np.zeros((1, 0, 17, 3)), confidence=None)
    for name, poses in (("uneven.trc", uneven), ("empty.trc", empty)):
        write_poses(poses, tmp_path / name)
        _assert_same(read_poses(tmp_path / name), poses, but=("history", "confidence"))


def test_smoothnet_keeps_each_person_as_a_sequence(tmp_path: Path) -> None:
    poses = _walk("h36m17_left_first", 3, people=2, frame="root", person_ids=[3, 8])
    write_poses(poses, tmp_path / "x.npz", format="smoothnet")
    assert detect_format(tmp_path / "x.npz") == "smoothnet"
    with pytest.raises(ConfigError, match=r"2 sequences .*person_3.*person_8.*--sequence NAME"):
        read_poses(tmp_path / "x.npz", fps=30)
    for row, sequence in enumerate(("person_3", "person_8")):
        expected = poses.select_people([row]).replace(person_ids=None)
        for hint in (sequence, row, str(row)):
            read = read_poses(tmp_path / "x.npz", fps=30, sequence=hint)
            _assert_same(read, expected, but=("history", "confidence"))


def test_smoothnet_keeps_pixels_and_the_size_of_the_image(tmp_path: Path) -> None:
    poses = _walk("jhmdb15")
    write_poses(poses, tmp_path / "x.npz", format="smoothnet")
    _assert_same(read_poses(tmp_path / "x.npz", fps=30), poses, but=("history", "confidence"))


@pytest.mark.parametrize("dims", [2, 3])
def test_mediapipe_keeps_landmarks(dims: int, tmp_path: Path) -> None:
    poses = _walk("blazepose33", dims, missing=0.2, **({"frame": "root"} if dims == 3 else {}))
    write_poses(poses, tmp_path / "x.npz", format="mediapipe")
    assert detect_format(tmp_path / "x.npz") == "mediapipe"
    _assert_same(read_poses(tmp_path / "x.npz", world=dims == 3), poses, but=("history",))


@pytest.mark.parametrize(
    ("name", "poses", "message"),
    [
        ("coco", _walk("coco17", 3), "not 3D m"),
        ("coco", _walk("h36m17"), "mean coco17, not h36m17"),
        ("coco", _walk("coco17", times=np.arange(12) ** 2.0), "times of their own"),
        ("coco", _walk("coco17", person_ids=[-1]), "-1 means no number"),
        ("coco", _walk("coco17").replace(positions=np.zeros((0, 3, 17, 2)), confidence=None), "0 people, 3 frames"),
        (
            "coco",
            _walk("coco17").replace(positions=np.zeros((1, 3, 17, 2)), confidence=np.zeros((1, 3, 17))),
            "observed",
        ),
        ("alphapose", _walk("coco17", unit="normalised"), "not 2D normalised"),
        ("openpose", _walk("openpose25", 3), "not 3D m"),
        ("openpose", _walk("openpose25", person_ids=[-3]), "below 0"),
        ("trc", _walk("coco17"), "not 2D px"),
        ("trc", _walk("coco17", 3, people=2), "one person, not 2"),
        ("trc", _walk("coco17", 3, frame="root"), "in root"),
        ("trc", _walk("coco17", 3, skeleton="custom", joint_names=["a\tb", *"cdefghijklmnopqr"]), "without tabs"),
        ("smoothnet", _walk("coco17", 3), "not 3D m in world"),
        ("smoothnet", _walk("coco17", 3, frame="root", missing=0.5), "were not observed"),
        ("mediapipe", _walk("coco17"), "coco17"),
        ("mediapipe", _walk("blazepose33", people=2), "2 people"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(name: str, poses: PoseSequence, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        write_poses(poses, tmp_path / f"x{SUFFIX[name]}", format=name)
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept_unless_overwriting_is_allowed(tmp_path: Path) -> None:
    poses = _walk("openpose25")
    for name in ("x.npz", "x.json", "x.csv", "folder"):
        given_format = "openpose" if name == "folder" else None
        write_poses(poses, tmp_path / name, format=given_format)
        with pytest.raises(ConfigError, match="already exists"):
            write_poses(poses, tmp_path / name, format=given_format)
        write_poses(poses, tmp_path / name, format=given_format, overwrite=True)
    with pytest.raises(ConfigError, match=r"suffix '\.txt' names no format; expected \.npz, \.json, \.csv, \.trc"):
        write_poses(poses, tmp_path / "x.txt")
    with pytest.raises(ConfigError, match="unknown format 'bvh'"):
        write_poses(poses, tmp_path / "x.npz", format="bvh")
    with pytest.raises(DataError, match="does not exist"):
        write_poses(poses, tmp_path / "none" / "x.npz")


def test_a_poses_file_can_be_read_with_numpy_alone(tmp_path: Path) -> None:
    poses = _walk("coco17", people=2, person_ids=[1, 2], history=HISTORY)
    write_poses(poses, tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
        assert set(arrays.files) == {
            "format", "positions", "confidence", "joint_names", "skeleton", "fps", "unit", "frame", "image_size",
            "person_ids", "history",
        }  # fmt: skip
        assert str(arrays["format"]) == "poseworks.poses/1"
        assert arrays["positions"].dtype == arrays["confidence"].dtype == np.float32
        assert arrays["image_size"].tolist() == [640, 480]
        assert json.loads(str(arrays["history"])) == list(HISTORY)


def test_the_same_poses_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_poses(_walk("coco17"), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_unknown_content_is_said_with_what_was_looked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 4)))
    np.savez(tmp_path / "x.npz", weights=np.zeros(3))
    (tmp_path / "x.json").write_text('{"a": 1}')
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    (tmp_path / "x.bin").write_bytes(bytes(range(256)))
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(FormatError, match=r"not recognised. Looked for .*npz.*COCO.*OpenPose.*CSV.*TRC"):
            detect_format(path)
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(FormatError, match="annotations, not results"):
        detect_format(tmp_path / "coco.json")


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    poses = _walk("coco17", 3)
    for name in ("poses", "csv", "trc"):
        write_poses(poses, tmp_path / f"{name}.data", format=name)
        assert detect_format(tmp_path / f"{name}.data") == name
        _assert_same(read_poses(tmp_path / f"{name}.data"), poses, but=("history", "confidence"))
