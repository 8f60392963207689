import collections
import contextlib
import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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


class _Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


def _objects(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        array[place] = item
    return array


EVIL = {
    "system": _Runs(os.system, "touch executed"),
    "eval": _Runs(eval, "open('executed', 'w')"),
    "exec": _Runs(exec, "open('executed', 'w')"),
    "open": _Runs(open, "executed", "w"),
    "getattr": _Runs(getattr, _Runs(__import__, "os"), "system"),
    "import": _Runs(__import__, "os"),
    "nested": {"a": [({"b": _Runs(os.system, "touch executed")},)]},
    "in an array": _objects([1, _Runs(os.system, "touch executed")]),
    "in a key": {("a", 1): 2, frozenset({1}): _Runs(os.system, "touch executed")},
    "numpy.save": _Runs(np.save, "executed", 1),
    "numpy.fromfile": _Runs(np.fromfile, "executed"),
    "numpy.memmap": _Runs(np.memmap, "executed", "u1", "w+", 0, (4,)),
    "partial": _Runs(__import__("functools").partial, os.system),
    "subclass": np.arange(3).view(np.recarray),
    "masked": np.ma.masked_array([1, 2], [True, False]),
    "class": _Runs(type, "x", (), {}),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", EVIL)
def test_an_evil_pickle_is_refused_by_name_and_runs_nothing(
    name: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(EVIL[name], protocol)
    path = tmp_path / "evil.pkl"
    path.write_bytes(data)
    with pytest.raises(FormatError, match="refused"):
        restricted_load(path)
    assert [file.name for file in tmp_path.iterdir()] == ["evil.pkl"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"cos\nsystem\n(S'touch executed'\ntR.", "os.system"),
        (b"(S'touch executed'\nios\nsystem\n.", "INST"),
        (b"(cos\nsystem\nS'touch executed'\no.", "os.system"),
        (b"(cnumpy\ndtype\nS'f8'\no.", "OBJ"),
        (b"\x80\x02cnumpy\nndarray\nK\x01\x85\x81.", r"NEWOBJ \(an instance of numpy.ndarray\) refused"),
        (b"\x80\x04cnumpy\nndarray\n)}\x92.", "NEWOBJ_EX"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", "os.system"),
        (b"\x80\x02cnumpy\nndarray\n(K\x01tR.", "numpy.ndarray"),
        (b"Pexecuted\n.", "PERSID"),
        (b"\x80\x02K\x01Q.", "BINPERSID"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.", "another type than ndarray"),
        (b"]}b.", "gives a state to a list"),
        (b"cnumpy\ndtype\n(S'V8'\nI0\nI1\ntR.", "dtype 'V8' is refused"),
        (b"cnumpy\ndtype\n((S'f8'\nttR.", "dtype tuple is refused"),
        (b"c_codecs\nencode\n(S'a'\nS'rot13'\ntR.", "encoding"),
        (b"cbuiltins\nbytes\n(I9999999999\ntR.", "bytes of something"),
        (b"cbuiltins\nbytearray\n(I9999999999\ntR.", "bytes of an array are int"),
        (b"cnumpy.f2py\nos\n.", "numpy.f2py.os"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0af2py.os.sy\x93.", "numpy.f2py.os.sy"),
        (b"N(tR.", "calls NoneType"),
        (b"cnumpy\ndtype\n.", "numpy.dtype as a value"),
        (b"](cnumpy\nndarray\nNta.", "numpy.ndarray as a value"),
        (b"cnumpy\ndtype\n(cnumpy\nndarray\ntR.", "dtype Global is refused"),
    ],
)
def test_each_dangerous_instruction_is_refused(data: bytes, message: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match=message.replace(".", r"\.")):
        restricted_loads(data)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
        b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x.",
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.",
        b"T\xff\xff\xff\x7fx.",
        b"T\xff\xff\xff\xffx.",
        b"\x8b\xff\xff\xff\x7f.",
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.",
        b"I" + b"9" * 10_000 + b"\n.",
        # An array that claims 10^12 elements, and one without elements that claims a huge axis.
        (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1000000000000\ntcnumpy\ndtype\n"
            b"(S'f8'\nI0\nI1\ntRI00\nS''\ntb."
        ),
        (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I0\nI1000000000000\ntcnumpy\ndtype\n"
            b"(S'f8'\nI0\nI1\ntRI00\nS''\ntb."
        ),
    ],
)
def test_a_length_that_is_not_there_takes_no_memory(data: bytes) -> None:
    with pytest.raises(FormatError):
        restricted_loads(data)


def test_a_memo_place_far_away_takes_no_memory() -> None:
    assert restricted_loads(b"Nr\xff\xff\xff\xffj\xff\xff\xff\xff.") is None


def test_a_key_that_would_be_hashed_for_ever_is_refused() -> None:
    # (((), ()), ((), ())), ... 60 levels by the memo: 2^60 parts to hash.
    data = b")" + b"q\x00h\x00\x86" * 60 + b"q\x00}h\x00Ns."
    with pytest.raises(FormatError, match="tuple as a key"):
        restricted_loads(data)


def test_values_nested_a_million_deep_are_read() -> None:
    value = restricted_loads(b"]" * 100_000 + b"a" * 99_999 + b".")
    for _ in range(99_999):
        value = value[0]
    assert value == []


def test_an_array_that_holds_itself_is_refused() -> None:
    array = np.empty(1, dtype=object)
    array[0] = [array]
    with pytest.raises(FormatError, match="before it is complete"):
        restricted_loads(pickle.dumps(array))


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


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([bytes([code]) for code in range(256)] + [b"cnumpy\ndtype\n", b"S'f8'\n"]), max_size=40)
)
def test_random_programs_end_in_a_value_or_a_format_error(steps: list[bytes]) -> None:
    with contextlib.suppress(FormatError):
        restricted_loads(b"".join(steps) + b".")


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


@pytest.mark.parametrize("name", EVIL)
def test_an_evil_item_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps([{"a": 1}, EVIL[name]], 4))
    with pytest.raises(FormatError, match="refused"):
        restricted_items(tmp_path / "evil.pkl", lambda items: None)
    assert [file.name for file in tmp_path.iterdir()] == ["evil.pkl"]


class TestStandIns:
    """Instances of classes that the caller names: the attributes, none of the code."""

    @pytest.mark.parametrize("protocol", range(6))
    def test_an_instance_becomes_its_name_and_its_attributes(self, protocol: int) -> None:
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

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"\x80\x02cchumpy.ch\nCh\nK\x01\x85\x81.", r"NEWOBJ \(an instance of chumpy.ch.Ch\)"),
            (b"\x80\x02cchumpy.ch\nCh\n.", "as a value is refused"),
            (b"\x80\x02cchumpy.ch\nload\nX\x01\x00\x00\x00x\x85R.", "calls chumpy.ch.load"),
            (b"\x80\x02cchumpy.ch\nCh\n)\x81K\x01b.", "a state that is no dict"),
            (b"\x80\x02cchumpy.ch\nCh\n)\x81}K\x01K\x02sb.", "a state that is no dict"),
            (b"\x80\x02c__builtin__\nobject\n)\x81.", r"NEWOBJ \(an instance of builtins.object\)"),
            (b"\x80\x02cnumpy\nndarray\n)\x81.", r"NEWOBJ \(an instance of numpy.ndarray\)"),
            (
                b"ccopy_reg\n_reconstructor\n(cnumpy\nndarray\nc__builtin__\nobject\nNtR.",
                "an instance of numpy.ndarray",
            ),
            (b"\x80\x02cos\nsystem\n)\x81.", "os.system, which is refused"),
        ],
    )
    def test_nothing_else_comes_with_them(self, data: bytes, message: str) -> None:
        with pytest.raises(FormatError, match=message):
            restricted_loads(data, stand_ins=("chumpy",))
