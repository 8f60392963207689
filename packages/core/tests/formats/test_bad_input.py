"""Damaged and hostile files: a PoseSequence or a PoseworksError, nothing else; and little memory."""

import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.formats import FORMATS, read_poses, write_poses
from poseworks.core.formats.reading import MAX_ARRAY_BYTES, read_npz
from poseworks.core.poses import PoseSequence
from poseworks.core.skeletons import SKELETONS
from poseworks.core.testing import mutations, walking_poses


def _poses(skeleton: str, dims: int = 2, people: int = 1) -> PoseSequence:
    rng = np.random.default_rng(3)
    poses = walking_poses(6, people, dims, SKELETONS[skeleton], rng=rng, noise=0.01)
    if dims == 3:
        return poses.replace(frame="root")
    return poses.replace(positions=300 + 100 * poses.positions, unit="px", frame="image", image_size=(640, 480))


# name: (poses that the format holds, hints that reading them needs)
SAMPLES: dict[str, tuple[PoseSequence, dict[str, Any]]] = {
    "poses": (_poses("coco17", people=2), {}),
    "coco": (_poses("coco17", people=2), {"fps": 30}),
    "openpose": (_poses("openpose25", people=2), {"fps": 30}),
    "alphapose": (_poses("halpe26", people=2), {"fps": 30}),
    "mediapipe": (_poses("blazepose33"), {}),
    "smoothnet": (_poses("h36m17_left_first", 3), {"fps": 30}),
    "csv": (_poses("coco17", people=2), {}),
    "trc": (_poses("h36m17", 3).replace(frame="world"), {}),
}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """Writes the sample of a format: (the file to damage, hints)."""

    def write(name: str) -> tuple[Path, dict[str, Any]]:
        path = tmp_path / ("folder" if name == "openpose" else f"x{FORMATS[name].suffix}")
        poses, hints = SAMPLES[name]
        write_poses(poses, path, format=name)
        return (sorted(path.iterdir())[2] if name == "openpose" else path), hints

    return write


def _outcome(path: Path, **hints: Any) -> PoseSequence | PoseworksError:
    try:
        poses = read_poses(path, **hints)
    except PoseworksError as error:
        return error
    assert isinstance(poses, PoseSequence)
    return poses


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_end_in_poses_or_an_error(name: str, written: Any) -> None:
    path, hints = written(name)
    source = path.parent if name == "openpose" else path
    data = path.read_bytes()
    for seed, given_format in ((1, None), (2, name)):
        for damaged in mutations(data, np.random.default_rng(seed), 110):
            path.write_bytes(damaged)
            _outcome(source, format=given_format, **hints)


@pytest.mark.parametrize("name", ["poses", "mediapipe", "smoothnet"])
def test_damaged_arrays_inside_a_sound_archive(name: str, written: Any) -> None:
    """A zip has check sums, so that damage outside is found early: here the arrays are damaged, then packed."""
    path, hints = written(name)
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    rng = np.random.default_rng(5)
    for member, data in members.items():
        for damaged in mutations(data, rng, 24):
            with zipfile.ZipFile(path, "w") as archive:
                for other, sound in members.items():
                    archive.writestr(other, damaged if other == member else sound)
            _outcome(path, **hints)


def _json_values() -> st.SearchStrategy[Any]:
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(-(10**400), 10**400), st.floats(allow_nan=True), st.text(max_size=8),
        st.just([]), st.just([1.0, 2.0, 0.5] * 17),
    )  # fmt: skip
    keys = st.sampled_from(
        ["image_id", "keypoints", "score", "idx", "track_id", "people", "person_id", "pose_keypoints_2d"]
    )
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
    )


@settings(max_examples=120, deadline=None)
@given(value=_json_values(), name=st.sampled_from(["coco", "alphapose", "openpose"]), detect=st.booleans())
def test_any_json_ends_in_poses_or_an_error(
    value: Any, name: str, detect: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any_000000000001_keypoints.json"
    try:
        path.write_text(json.dumps(value))
    except ValueError:  # a number of more digits than Python writes
        return
    _outcome(path, format=None if detect else name, fps=30)


ENTRY = {"image_id": 1, "category_id": 1, "keypoints": [1.0, 2.0, 0.5] * 17, "score": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds no detection"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"image_id": ' + "[" * 900 + "]" * 900 + ', "keypoints": []}]', "image_id is list"),
        ('[{"image_id": 1, "keypoints": [NaN, 1, 1]}]', "holds NaN, which is not JSON"),
        ('[{"image_id": 1, "keypoints": [-Infinity, 1, 1]}]', "holds -Infinity"),
        ('[{"image_id": 1, "keypoints": [1e999, 1, 1]}]', "infinite or too large"),
        ('[{"image_id": 1, "keypoints": [1e300, 1, 1]}]', "infinite or too large"),
        ('[{"image_id": 1, "keypoints": [' + "9" * 400 + ", 1, 1]}]", "too large"),
        ('[{"image_id": 1, "keypoints": [' + "9" * 5000 + ", 1, 1]}]", "is not JSON"),
        ('[{"image_id": ' + "9" * 400 + ', "keypoints": [1, 1, 1]}]', "too large for a frame number"),
        ('[{"image_id": 1, "keypoints": "abc"}]', "expected a list of numbers, got str"),
        ('[{"image_id": 1, "keypoints": [true, 1, 1]}]', "expected numbers alone"),
        ('[{"image_id": 1, "keypoints": [1, 1]}]', "has 2 numbers"),
        ('[{"image_id": 1, "keypoints": []}]', "has 0 numbers"),
        ('[{"image_id": 1, "keypoints": [1, 1, 1]}]', "1 joints are those of no known skeleton"),
        ('[{"keypoints": [1, 1, 1]}]', "has no image_id"),
        ('[{"image_id": 1}]', "has no keypoints"),
        ('[{"image_id": 1, "keypoints": [1, 1, 1]}, 5]', "entry 1: expected an object"),
        ('[{"image_id": 1, "keypoints": [1, 1, 1]}', "is not JSON"),
        ('[{"image_id": true, "keypoints": [1, 1, 1]}]', "image_id is True"),
        ('[{"image_id": "abc", "keypoints": [1, 1, 1]}]', "image 'abc' has no number"),
        (json.dumps([ENTRY, {**ENTRY, "image_id": 10**9}]), "no sequence of frames"),
        (json.dumps([ENTRY, {**ENTRY, "image_id": 2, "keypoints": [1.0, 2.0, 0.5] * 26}]), "17 and 26 joints"),
        (json.dumps([{**ENTRY, "idx": 1}, {**ENTRY, "image_id": 2}]), "1 of 2 detections have no person id"),
        (json.dumps([{**ENTRY, "track_id": "one"}]), "track_id: is 'one'"),
        (json.dumps([{**ENTRY, "track_id": 1.5}]), "track_id: is 1.5"),
    ],
)
def test_each_fault_of_a_list_of_detections_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(PoseworksError, match=message) as caught:
        read_poses(tmp_path / "x.json", format="coco", fps=30)
    assert str(caught.value).startswith(f"{tmp_path / 'x.json'}: ")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", FORMATS)
def test_missing_empty_unreadable_and_of_the_wrong_kind(name: str, tmp_path: Path, written: Any) -> None:
    for given_format in (None, name):
        with pytest.raises(DataError, match="does not exist"):
            read_poses(tmp_path / "none", format=given_format, fps=30)
        with pytest.raises(DataError, match="cannot be read"):
            read_poses("nul\0byte", format=given_format, fps=30)
        (tmp_path / "empty").write_bytes(b"")
        with pytest.raises(FormatError, match=r"is empty|not a readable npz"):
            read_poses(tmp_path / "empty", format=given_format, fps=30)
        (tmp_path / "a folder").mkdir(exist_ok=True)
        with pytest.raises(PoseworksError, match=r"folder|holds no JSON"):
            read_poses(tmp_path / "a folder", format=given_format, fps=30)
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    with pytest.raises(FormatError, match=r"is not UTF-8|not a readable npz|not an npy|not recognised"):
        read_poses(tmp_path / "latin", format=name, fps=30)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    (tmp_path / "x.json").chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read_poses(tmp_path / "x.json")


@pytest.mark.parametrize("name", ["coco", "alphapose", "openpose", "csv", "trc"])
def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(name: str, written: Any) -> None:
    path, hints = written(name)
    source = path.parent if name == "openpose" else path
    expected = read_poses(source, **hints)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    np.testing.assert_array_equal(read_poses(source, **hints).positions, expected.positions)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), "fast"])
def test_a_frame_rate_out_of_range_is_refused(fps: Any, written: Any) -> None:
    path, _ = written("coco")
    with pytest.raises(ConfigError, match=r"fps: cannot be .*--fps 30"):
        read_poses(path, fps=fps)


def _npy(shape: tuple[int, ...], descr: str = "<f4", data: bytes = b"") -> bytes:
    """An npy file whose header claims what it likes."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    "array",
    [
        _npy((10**6, 10**6, 17, 3)),
        _npy((2**62, 2**62, 17, 3)),
        _npy((0, 10**12, 17, 3)),
        _npy((0, 2**70, 17, 3)),
        _npy((-1, 5, 17, 3)),
        _npy((1,) * 70, data=b"\0" * 4),
        _npy((10**9,), "<U0"),
        _npy((1, 1), "<U2000000000"),
        _npy((3,), "|O", b"N."),
        b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\x7f",
        b"\x93NUMPY\x03\x00" + b"\x10\0\0\0",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': [[[[[[",
    ],
)
def test_a_header_that_claims_too_much_takes_no_memory(array: bytes, tmp_path: Path) -> None:
    for key in ("positions", "landmarks33", "joints_3d"):
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr(f"{key}.npy", array)
        assert isinstance(_outcome(tmp_path / "x.npz", fps=30), FormatError)
    (tmp_path / "x.npy").write_bytes(array)
    assert isinstance(_outcome(tmp_path / "x.npy", format="mediapipe", fps=30, unit="px"), FormatError)


def test_a_zip_that_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(1_000_000), b=np.zeros(1_000_000))
    assert (tmp_path / "x.npz").stat().st_size < 20_000
    with pytest.raises(FormatError, match="would unpack to more than 10000000 bytes"):
        read_npz(tmp_path / "x.npz", limit=10_000_000)
    assert set(read_npz(tmp_path / "x.npz", ["a"], limit=10_000_000)) == {"a"}
    assert MAX_ARRAY_BYTES == 2**31


def test_a_zip_whose_entry_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", positions=np.zeros(1000))
    data = (tmp_path / "x.npz").read_bytes()
    size = struct.pack("<I", 8128)
    assert data.count(size) >= 1
    for lie in (100, 8000, 9000, 2**31 - 1):
        (tmp_path / "x.npz").write_bytes(data.replace(size, struct.pack("<I", lie)))
        assert isinstance(_outcome(tmp_path / "x.npz"), FormatError)


def test_odd_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("positions.npy", _npy((0,)))
        with pytest.raises(FormatError, match="packed in a way"):
            read_poses(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("positions.npy", _npy((0,)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("positions.npy", _npy((0,)))
    with pytest.raises(FormatError, match="stored twice"):
        read_poses(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("positions.txt", b"1")
    with pytest.raises(FormatError, match=r"not recognised|is not an npy array"):
        read_poses(path)


MEMORY = """
import resource, sys
from poseworks.core.errors import PoseworksError
from poseworks.core.formats import read_poses
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        read_poses(path, fps=30, unit="px")
    except PoseworksError as error:
        pass
    else:
        raise SystemExit("read " + path)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts kilobytes as Linux does")
def test_small_hostile_files_cost_less_than_64_mib(tmp_path: Path) -> None:
    files = {
        "far.json": json.dumps([{**ENTRY, "track_id": n, "image_id": n * 5000} for n in range(400)]),
        "far.csv": "frame,time,person,a_x,a_y\n" + "".join(f"{n * 99_999},0,{n},1,2\n" for n in range(400)),
        "people.csv": "# poseworks.csv/1\n# frames: 2000000000\n# people: 1000000\nframe,time,person,a_x,a_y\n",
        "far.trc": "PathFileType\t4\nDataRate\tNumFrames\tNumMarkers\tUnits\n30\t2\t1\tm\nFrame#\tTime\ta\n"
        "1\t0\t1\t2\t3\n2000000000\t1\t1\t2\t3\n",
        "comments.csv": "#\n" * 500_000,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "x.npy").write_bytes(_npy((10**10, 33, 3)))
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run([sys.executable, "-c", MEMORY, *paths], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64 * 1024
