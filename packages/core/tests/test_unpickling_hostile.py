"""Pickles that would run code, claim sizes that are not there, or never end: each is refused."""

import contextlib
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

from poseworks.core.errors import FormatError
from poseworks.core.unpickling import restricted_items, restricted_load, restricted_loads


class _Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


EVIL = {
    "system": _Runs(os.system, "touch executed"),
    "eval": _Runs(eval, "open('executed', 'w')"),
    "exec": _Runs(exec, "open('executed', 'w')"),
    "open": _Runs(open, "executed", "w"),
    "getattr": _Runs(getattr, _Runs(__import__, "os"), "system"),
    "import": _Runs(__import__, "os"),
    "nested": {"a": [({"b": _Runs(os.system, "touch executed")},)]},
    "in an array": np.array([1, _Runs(os.system, "touch executed")], dtype=object),
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


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([bytes([code]) for code in range(256)] + [b"cnumpy\ndtype\n", b"S'f8'\n"]), max_size=40)
)
def test_random_programs_end_in_a_value_or_a_format_error(steps: list[bytes]) -> None:
    with contextlib.suppress(FormatError):
        restricted_loads(b"".join(steps) + b".")


@pytest.mark.parametrize("name", EVIL)
def test_an_evil_item_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps([{"a": 1}, EVIL[name]], 4))
    with pytest.raises(FormatError, match="refused"):
        restricted_items(tmp_path / "evil.pkl", lambda items: None)
    assert [file.name for file in tmp_path.iterdir()] == ["evil.pkl"]


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
def test_nothing_else_comes_with_stand_ins(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        restricted_loads(data, stand_ins=("chumpy",))
