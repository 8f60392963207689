import collections
import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from poseworks.core.errors import DataError, FormatError
from poseworks.core.testing import mutations
from poseworks.core.testing_bodies import foreign_classes, foreign_pickle
from poseworks.core.unpickling import restricted_items, restricted_load, restricted_loads
from poseworks.core.unpickling_rules import StandIn

PLAIN = {
    "none": None,
    "numbers": [0, 1, -1, 255, 65535, -(2**31), 2**80, -(10**30), 1.5, -0.0, True, False, 1j],
    "text": ["", "abc", "ü\n\\'\"", "字", "x" * 300],
    "bytes": [b"", b"\x00\xff'\n", b"y" * 300, bytearray(b"\x01\xfe")],
    "nested": {"a": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], (1, "b"): {2: {3}}},
    "sets": [set(), {1, 2}, frozenset({"x"})],
    "shared": [[1]] * 3,
}
ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    np.arange(3, dtype=">i2"),
    np.array([True, False]),
    np.zeros((0, 3)),
    np.float64(2.5) * np.ones(()),
    np.array(["ab", "ü"]),
    np.array([b"ab", b""]),
    np.array(["2020-01-01", "NaT"], dtype="M8[ms]"),
    np.array([1 + 2j]),
]


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_out_as_python_reads_them(protocol: int) -> None:
    value = restricted_loads(pickle.dumps(PLAIN, protocol))
    assert value == PLAIN
    assert repr(value) == repr(PLAIN)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays_come_out_as_python_reads_them(array: np.ndarray, protocol: int) -> None:
    for old, new in (("numpy._core", "numpy.core"), ("", "")):
        data = pickle.dumps({"a": array, "again": array, "objects": _objects([array, "x", None, array])}, protocol)
        value = restricted_loads(data.replace(old.encode(), new.encode()) if protocol < 4 else data)
        assert_array_equal(value["a"], array)
        assert value["a"].dtype == array.dtype.newbyteorder("=")
        assert value["again"] is value["a"]
        assert_array_equal(value["objects"][3], array)
        assert value["objects"][1:3].tolist() == ["x", None]


@pytest.mark.parametrize("protocol", range(6))
def test_scalars_and_ordered_dicts(protocol: int) -> None:
    value = restricted_loads(
        pickle.dumps([np.float32(0.5), np.int64(-3), collections.OrderedDict(a=1, b=[2]), np.dtype("<f4")], protocol)
    )
    assert value[0] == np.float32(0.5)
    assert value[0].dtype == np.float32
    assert value[1] == -3
    assert value[2] == {"a": 1, "b": [2]}
    assert type(value[2]) is dict
    assert value[3] == np.dtype("<f4")


def test_a_pickle_of_python_2_keeps_its_bytes() -> None:
    # cPickle.dumps({'k': numpy.array([1.0, 2.0])}, 2) under Python 2: text and the array's bytes are BINSTRINGs.
    raw = struct.pack("<2d", 1, 2)
    data = (
        b"\x80\x02}q\x01U\x01kcnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85U\x01b\x87Rq\x04"
        b"(K\x01K\x02\x85cnumpy\ndtype\nq\x05U\x02f8K\x00K\x01\x87Rq\x06(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89T" + struct.pack("<i", len(raw)) + raw + b"tbs."
    )
    value = restricted_loads(data)
    assert_array_equal(value["k"], [1.0, 2.0])
    # Protocol 0: a quoted text with escapes, and the same for an array of uint8.
    assert restricted_loads(b"(dS'name'\nS'\\xe9\\n'\ns.") == {"name": "é\n"}


def _objects(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        array[place] = item
    return array


def test_text_that_is_no_text_is_refused() -> None:
    data = pickle.dumps(np.array(["ab"])).replace("ab".encode("utf-32-le"), b"\xff" * 8)
    with pytest.raises(FormatError, match="no characters"):
        restricted_loads(data)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_damaged_pickles_end_in_a_value_or_a_format_error(protocol: int) -> None:
    data = pickle.dumps({**PLAIN, "arrays": ARRAYS, "objects": _objects([1, "a"])}, protocol)
    refused = 0
    for damaged in mutations(data, np.random.default_rng(protocol), 400):
        try:
            restricted_loads(damaged)
        except FormatError:
            refused += 1
    assert refused > 200


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        restricted_load(tmp_path / "none.pkl")
    with pytest.raises(DataError, match="is a folder"):
        restricted_load(tmp_path)
    (tmp_path / "big.pkl").write_bytes(pickle.dumps(b"x" * 1000))
    with pytest.raises(FormatError, match="more than 100 bytes"):
        restricted_load(tmp_path / "big.pkl", max_bytes=100)
    assert restricted_load(tmp_path / "big.pkl") == b"x" * 1000
    with pytest.raises(FormatError, match="cut off"):
        restricted_loads(b"")


def test_reading_a_stream_of_numpy_save() -> None:
    stream = io.BytesIO()
    np.save(stream, _objects([np.arange(3), [1, 2]]), allow_pickle=True)
    value = restricted_loads(stream.getvalue()[128:])
    assert_array_equal(value[0], np.arange(3))


# --- large files ------------------------------------------------------------------------------------------------------

LARGE = {
    "array": np.arange(3000.0).reshape(1000, 3),
    "bytes": b"\x01\x02" * 5000,
    "bytearray": bytearray(b"\x03" * 5000),
    "in a tuple": (1, b"y" * 5000, (b"z" * 5000,)),
    "text": ["s_01_act_02"] * 20 + ["x" * 5000],
    "big-endian": np.arange(2000, dtype=">f8"),
    "characters": np.array(["ab", "c"] * 3000),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("mapped", [False, True])
def test_what_is_large_comes_out_as_python_reads_it(protocol: int, mapped: bool, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([LARGE, LARGE["array"]], protocol))
    value, again = restricted_load(tmp_path / "x.pkl", mapped=mapped)
    for name, expected in LARGE.items():
        assert type(value[name]) is type(expected)
        if isinstance(expected, np.ndarray):
            assert_array_equal(value[name], expected)
            assert value[name].dtype == expected.dtype.newbyteorder("=")
        else:
            assert value[name] == expected
    assert again is value["array"]


def test_a_mapped_array_can_be_written_to_and_the_file_stays(tmp_path: Path) -> None:
    data = pickle.dumps(LARGE["array"], 4)
    (tmp_path / "x.pkl").write_bytes(data)
    array = restricted_load(tmp_path / "x.pkl", mapped=True)
    array += 1
    assert (tmp_path / "x.pkl").read_bytes() == data
    assert not array.flags.owndata


def _items(count: int) -> list[dict[str, Any]]:
    shared = {"name": "camera", "k": np.arange(3.0)}
    return [
        {"n": i, "joints": np.full((17, 3), float(i)), "camera": shared, "path": f"image_{i}"} for i in range(count)
    ]


@pytest.mark.parametrize("protocol", range(6))
def test_a_list_is_handed_over_item_by_item(protocol: int, tmp_path: Path) -> None:
    expected = _items(2500)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(expected, protocol))
    found: list[Any] = []
    batches: list[int] = []

    def take(items: list[Any]) -> None:
        batches.append(len(items))
        found.extend(items)

    restricted_items(tmp_path / "x.pkl", take)
    assert [item["n"] for item in found] == list(range(2500))
    assert all(item["camera"] is found[0]["camera"] for item in found)
    assert_array_equal(found[-1]["camera"]["k"], [0, 1, 2])
    assert_array_equal(np.array([item["joints"] for item in found]), np.array([item["joints"] for item in expected]))
    assert max(batches) <= 1000


def test_only_a_list_is_handed_over(tmp_path: Path) -> None:
    for value, message in (
        ({"a": 1}, "holds a dict"),
        ([], "an empty list"),
        ("x", "holds a str"),
        ((1, 2), "a tuple"),
    ):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(value))
        with pytest.raises(FormatError, match=message):
            restricted_items(tmp_path / "x.pkl", lambda items: None)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_damaged_lists_end_in_items_or_a_format_error(protocol: int, tmp_path: Path) -> None:
    data = pickle.dumps([*_items(3), LARGE["array"][:200]], protocol)
    refused = 0
    for damaged in mutations(data, np.random.default_rng(protocol), 200):
        (tmp_path / "x.pkl").write_bytes(damaged)
        try:
            restricted_items(tmp_path / "x.pkl", lambda items: None)
        except FormatError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("protocol", range(6))
def test_an_instance_becomes_its_name_and_its_attributes(protocol: int) -> None:
    """Of a class that the caller names: the attributes, none of the code."""
    with foreign_classes() as (ch, _, _):
        thing = ch(x=np.arange(3.0), label="a")
        data = foreign_pickle({"one": thing, "again": thing, "list": [thing]}, protocol)
    value = restricted_loads(data, stand_ins=("chumpy",))
    assert isinstance(value["one"], StandIn)
    assert value["one"].name == "chumpy.ch.Ch"
    assert_array_equal(value["one"].state["x"], [0, 1, 2])
    assert value["one"].state["label"] == "a"
    assert value["again"] is value["list"][0] is value["one"]
    for others in ((), ("chum",), ("scipy",)):
        with pytest.raises(FormatError, match="refused; nothing was run"):
            restricted_loads(data, stand_ins=others)
