"""Reading checkpoints: published layouts, strictness, hostile and damaged files, our own folders."""

from __future__ import annotations

import io
import itertools
import json
import os
import pickle
import pickletools
import random
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from torch import nn
from torch.testing import assert_close

from poseworks.core.checkpoints import (
    DropRule,
    find_weights,
    hash_in_name,
    load_strict,
    read_checkpoint,
    read_model,
    save_model,
)
from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.files import sha256
from poseworks.core.weight_files import write_safetensors


class Config(BaseModel):
    width: int = 3


class Marker:
    """A pickle that runs code when a careless reader loads it: it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


def make_network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def published_content(network: nn.Module) -> dict[str, Any]:
    """As the papers' training scripts save it."""
    optimizer = torch.optim.Adam(network.parameters(), amsgrad=True)
    network(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    return {
        "epoch": 70,
        "state_dict": network.state_dict(),
        "performance": [
            {"accel": np.float64(1.5), "mpjpe": torch.tensor(3.25), "n": np.int64(7), "ok": np.bool_(True)}
        ],
        "optimizer": optimizer.state_dict(),
        "meta": {"time": "today", "config": "model = dict()"},
    }


def assert_same(found: dict[str, torch.Tensor], network: nn.Module) -> None:
    expected = network.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_published_dict_gives_its_tensors_and_says_what_it_left_out(tmp_path: Path, zipped: bool) -> None:
    network = make_network()
    file = tmp_path / "checkpoint_8.pth.tar"
    torch.save(published_content(network), file, _use_new_zipfile_serialization=zipped)
    checkpoint = read_checkpoint(file)
    assert_same(checkpoint.tensors, network)
    assert checkpoint.extras == {
        "epoch": 70,
        "performance": [{"accel": 1.5, "mpjpe": 3.25, "n": 7, "ok": True}],
        "meta": {"time": "today", "config": "model = dict()"},
    }
    assert "optimizer (training state)" in checkpoint.dropped
    assert "epoch (bookkeeping)" in checkpoint.dropped
    assert checkpoint.sha256 == sha256(file)
    assert checkpoint.nest == "state_dict"
    other = make_network()
    nn.init.zeros_(other[0].weight)
    assert load_strict(other, checkpoint.tensors, source=checkpoint.source) == ()
    assert_same(dict(other.state_dict()), network)


def test_numpy_scalars_in_the_names_of_numpy_1_and_2_are_read(tmp_path: Path) -> None:
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        text = pickle.dumps(np.float32(2.5), protocol=2)
        text = text.replace(b"numpy._core.multiarray", module.encode()).replace(
            b"numpy.core.multiarray", module.encode()
        )
        file = tmp_path / "x.pt"
        torch.save({"a": torch.ones(2), "loss": "HERE"}, file)
        # The scalar takes the place of the text in the pickle of the archive.
        with zipfile.ZipFile(file) as archive:
            parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        name = next(n for n in parts if n.endswith("data.pkl"))
        here = b"X\x04\x00\x00\x00HERE"
        assert here in parts[name]
        body = b"".join(_without_memo(pickletools.genops(text), text))
        parts[name] = parts[name].replace(here, body)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for entry, data in parts.items():
                archive.writestr(entry, data)
        assert read_checkpoint(file).extras == {"loss": 2.5}


def _without_memo(operations: Any, data: bytes) -> list[bytes]:
    """The bytes of the operations that build a value: no header, no memo, no stop."""
    steps = [(op.name, position) for op, _, position in operations] + [("END", len(data))]
    return [
        data[start:end]
        for (name, start), (_, end) in itertools.pairwise(steps)
        if name not in {"PROTO", "STOP", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
    ]


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model.", "_orig_mod."])
@pytest.mark.parametrize("nest", [(), ("state_dict",), ("model",), ("model", "state_dict"), ("network",)])
def test_nested_or_bare_with_and_without_prefix(tmp_path: Path, prefix: str, nest: tuple[str, ...]) -> None:
    network = make_network()
    content: Any = OrderedDict((prefix + name, x) for name, x in network.state_dict().items())
    for name in reversed(nest):
        content = {name: content}
    torch.save(content, tmp_path / "x.pth")
    checkpoint = read_checkpoint(tmp_path / "x.pth")
    assert_same(checkpoint.tensors, network)
    assert checkpoint.prefix == prefix


def test_a_prefix_that_not_all_names_share_stays(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "x.pth")
    assert set(read_checkpoint(tmp_path / "x.pth").tensors) == {"module.a", "b"}


def test_entries_that_are_no_tensors_are_dropped_by_a_named_rule(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1), "epoch": 3, "optimizer": {"lr": 1}}, tmp_path / "bare.pth")
    bare = read_checkpoint(tmp_path / "bare.pth")
    assert set(bare.tensors) == {"a"}
    assert bare.extras == {"epoch": 3}
    torch.save({"state_dict": {"a": torch.ones(1), "version": 3}, "mean": torch.ones(3)}, tmp_path / "nested.pth")
    nested = read_checkpoint(tmp_path / "nested.pth")
    assert set(nested.tensors) == {"a"}
    assert set(nested.dropped) == {"version (not a tensor)", "mean (bookkeeping)"}


def test_saved_weights_are_the_same_bytes_each_time_and_any_reader_reads_them(tmp_path: Path) -> None:
    from safetensors import safe_open

    tensors = {"b": torch.arange(6.0).view(2, 3), "a.\u00e9": torch.ones(5, dtype=torch.float16)}
    metadata = {"format": "pt", "config": '{"a": 1}', "tied": "{}"}
    write_safetensors(tensors, tmp_path / "x.safetensors", metadata)
    write_safetensors(tensors, tmp_path / "y.safetensors", dict(reversed(metadata.items())))
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()
    with safe_open(tmp_path / "x.safetensors", framework="pt") as file:
        assert file.metadata() == metadata
        for name, tensor in tensors.items():
            assert_close(file.get_tensor(name), tensor, rtol=0, atol=0)


def test_safetensors_are_read(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"module.a": torch.arange(3.0)}, tmp_path / "x.safetensors", metadata={"origin": "here"})
    checkpoint = read_checkpoint(tmp_path / "x.safetensors")
    assert checkpoint.tensors["a"].tolist() == [0, 1, 2]
    assert checkpoint.extras == {"origin": "here"}
    (tmp_path / "x.safetensors").write_bytes(b"")  # the tensors are no window on the file
    assert checkpoint.tensors["a"].tolist() == [0, 1, 2]


def test_one_error_lists_all_that_does_not_fit_and_the_network_stays(tmp_path: Path) -> None:
    network = make_network()
    before = {name: x.clone() for name, x in network.state_dict().items()}
    tensors = {name: torch.zeros_like(x) for name, x in before.items()}
    del tensors["0.bias"], tensors["2.bias"]
    tensors["0.weight"] = torch.zeros(3, 5)
    tensors["extra.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        load_strict(
            network, tensors, source="a.pth", looks_like=lambda t: "a DeciWatch" if "extra.weight" in t else None
        )
    message = str(caught.value)
    for part in (
        "a.pth: does not fit Sequential. It looks like a DeciWatch.",
        "missing (2): 0.bias, 2.bias",
        "unexpected (1): extra.weight",
        "misshapen (1): 0.weight is (3, 5), expected (3, 4)",
    ):
        assert part in message
    assert_same(before, network)


def test_faults_are_told_in_the_names_of_the_file(tmp_path: Path) -> None:
    network = nn.Linear(2, 3)
    names = {"weight": "scope/w", "bias": "scope/b"}
    w, b = torch.ones(3, 2), torch.zeros(3)
    load_strict(network, {"scope/w": w, "scope/b": b}, source="x", names=names)
    assert torch.equal(network.weight, w)
    with pytest.raises(CheckpointError, match=r"missing \(1\): scope/b; unexpected \(1\): bias"):
        load_strict(network, {"scope/w": w, "bias": b}, source="x", names=names)


def test_a_drop_rule_names_what_it_leaves_out() -> None:
    network = nn.Linear(2, 1)
    tensors = {**network.state_dict(), "smpl.faces": torch.ones(2)}
    assert load_strict(network, tensors, source="x", drop=[DropRule("body model", r"smpl\..*")]) == (
        "smpl.faces (body model)",
    )


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("pare-1a2b3c4d.pth", "1a2b3c4d"),
        ("slow_20220101-ABCDEF12.pth.tar", "abcdef12"),
        ("x_00000000.safetensors", "00000000"),
        ("deadbeef.pt", "deadbeef"),
        ("run_20221103.pth", None),
        ("smoothnet_windowsize32.pth.tar", None),
        ("x1a2b3c4d.pth", None),
        ("checkpoint.pth", None),
    ],
)
def test_hash_at_the_end_of_a_name(name: str, digits: str | None) -> None:
    assert hash_in_name(name) == digits


def test_a_hash_in_the_name_must_be_the_files(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "x.pth")
    right = tmp_path / f"net-{sha256(tmp_path / 'x.pth')[:8]}.pth"
    (tmp_path / "x.pth").rename(right)
    assert read_checkpoint(right).tensors["a"].item() == 1
    wrong = right.rename(tmp_path / "net-deadbeef.pth")
    with pytest.raises(CheckpointError, match="SHA-256 begins with deadbeef"):
        read_checkpoint(wrong)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_an_evil_pickle_runs_nothing(tmp_path: Path, zipped: bool) -> None:
    marker = tmp_path / "ran"
    content = {"state_dict": {"a": torch.ones(1)}, "meta": Marker(marker)}
    torch.save(content, tmp_path / "evil.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"mkdir, which is code and not data; nothing of it was run"):
        read_checkpoint(tmp_path / "evil.pth")
    assert not marker.exists()
    assert torch.load(tmp_path / "evil.pth", weights_only=False)  # it is indeed evil
    assert marker.exists()


def test_a_plain_evil_pickle_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for protocol in range(5):
        (tmp_path / "evil.pth").write_bytes(pickle.dumps(Marker(marker), protocol=protocol))
        with pytest.raises(CheckpointError, match=r"evil\.pth"):
            read_checkpoint(tmp_path / "evil.pth")
        assert not marker.exists()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n <html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
        (b"\x1f\x8b\x08\x00aaaa", "gzip"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b'{"a": 1}', "JSON"),
        (b"\x93NUMPY\x01\x00", "NumPy array"),
        (pickle.dumps({"a": 1}), "a python pickle, but not one that torch.save wrote"),
        (b"hello world, this is text", "not a weight file that is known here"),
        (struct.pack("<Q", 2**60) + b'{"a":1}', "header of 1152921504606846976 bytes"),
        (struct.pack("<Q", 7) + b'{"a":1}', "damaged"),
        (struct.pack("<Q", 9) + b"{" * 9, "damaged safetensors header"),
    ],
)
def test_files_of_another_kind_are_named(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "x.pth").write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / "x.pth")
    assert says in str(caught.value)


def test_an_npz_of_numbers_is_read_in_any_byte_order_and_others_are_refused(tmp_path: Path) -> None:
    weight = np.arange(6, dtype=">f4").reshape(2, 3)
    np.savez_compressed(tmp_path / "x.npz", **{"scope/w": weight, "training/step": np.int64(7)})
    checkpoint = read_checkpoint(tmp_path / "x.npz")
    assert checkpoint.kind == "npz"
    assert checkpoint.tensors["scope/w"].tolist() == weight.tolist()
    assert checkpoint.tensors["training/step"].shape == ()
    for odd, says in (
        (np.array(["text"]), "not numbers"),
        (np.array([{}]), "x.npz: a: "),
        (np.array([np.inf]), "a: holds NaN or infinity"),
    ):
        np.savez(tmp_path / "x.npz", a=odd)
        with pytest.raises(CheckpointError, match=says):
            read_checkpoint(tmp_path / "x.npz")


def test_zip_folder_and_absent_files_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(CheckpointError, match="a zip archive"):
        read_checkpoint(tmp_path / "x.zip")
    with pytest.raises(CheckpointError, match="folder"):
        read_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="No such file"):
        read_checkpoint(tmp_path / "nothing.pth")


def test_an_archive_that_would_grow_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickle.dumps({}))
        archive.writestr("x/data/0", b"\0" * 10_000_000)
    with pytest.raises(CheckpointError, match="larger than the file"):
        read_checkpoint(tmp_path / "x.pth")


def test_tensors_that_no_weight_can_be_are_refused(tmp_path: Path) -> None:
    for tensor, says in (
        (torch.tensor([1.0, float("nan")]), "a: holds NaN or infinity"),
        (torch.ones(1).expand(10**12), "more than the file holds"),
        (torch.eye(3).to_sparse(), "expected a dense one"),
    ):
        torch.save({"a": tensor}, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match=says):
            read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {"state_dict": {}}, torch.ones(2)])
def test_files_without_named_tensors_are_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"expected a dict of tensors|holds no tensors by name"):
        read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_damaged_files_give_an_error_or_tensors_and_nothing_else(tmp_path: Path, kind: str) -> None:
    from safetensors.torch import save_file

    network = make_network()
    file = tmp_path / "x.pth"
    if kind == "safetensors":
        save_file(dict(network.state_dict()), file)
    else:
        torch.save(published_content(network), file, _use_new_zipfile_serialization=kind == "zip")
    good = file.read_bytes()
    draw = random.Random(5)
    refused = 0
    for trial in range(200):
        data = bytearray(good)
        if trial % 3 == 0:
            del data[draw.randrange(len(data)) :]
        elif trial % 3 == 1:
            for _ in range(draw.randrange(1, 4)):
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        else:
            start = draw.randrange(len(data))
            data[start : start + draw.randrange(1, 40)] = draw.randbytes(draw.randrange(40))
        file.write_bytes(data)
        try:
            assert all(isinstance(x, torch.Tensor) for x in read_checkpoint(file).tensors.values())
        except CheckpointError as error:
            assert str(file) in str(error)  # noqa: PT017 (a flip inside a float is no error)
            refused += 1
    assert refused > 70


def test_a_cut_file_never_loads(tmp_path: Path) -> None:
    network = make_network()
    for zipped in (True, False):
        stream = io.BytesIO()
        torch.save(network.state_dict(), stream, _use_new_zipfile_serialization=zipped)
        data = stream.getvalue()
        for keep in (1, 10, len(data) // 2, len(data) - 1):
            (tmp_path / "x.pth").write_bytes(data[:keep])
            with pytest.raises(CheckpointError):
                read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_model_reads_back(tmp_path: Path, half: bool) -> None:
    network = make_network()
    save_model(
        network.state_dict(), tmp_path / "m", Config(), "# Net", extras={"preparation": {"unit": "m"}}, half=half
    )
    content, tensors = read_model(tmp_path / "m")
    assert content["config"] == {"width": 3}
    assert content["preparation"] == {"unit": "m"}
    assert content["model_sha256"] == sha256(tmp_path / "m" / "model.safetensors")
    assert (tmp_path / "m" / "README.md").read_text() == "# Net\n"
    for name, x in network.state_dict().items():
        expected = x.half().float() if half and x.is_floating_point() else x
        assert tensors[name].dtype == x.dtype
        assert torch.equal(tensors[name], expected)
    with pytest.raises(ConfigError, match="already exists"):
        save_model(network.state_dict(), tmp_path / "m", Config(), "")
    save_model(network.state_dict(), tmp_path / "m", Config(width=5), "", overwrite=True)
    assert read_model(tmp_path / "m")[0]["config"] == {"width": 5}
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_tied_and_strided_weights_are_saved_once_and_read_back(tmp_path: Path) -> None:
    network = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    network["b"].weight = network["a"].weight
    network["b"].bias = nn.Parameter(torch.arange(6.0)[::2])
    save_model(network.state_dict(), tmp_path / "m", Config(), "")
    _, tensors = read_model(tmp_path / "m")
    load_strict(network, tensors, source="m")
    assert torch.equal(tensors["b.weight"], network["a"].weight)
    assert tensors["b.bias"].tolist() == [0, 2, 4]


def test_weights_that_float16_cannot_hold_are_refused(tmp_path: Path) -> None:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 1e6)
    with pytest.raises(CheckpointError, match="not written: weight: holds NaN or infinity"):
        save_model(network.state_dict(), tmp_path / "m", Config(), "", half=True)
    assert not list(tmp_path.iterdir())


def test_damage_to_a_saved_model_is_noticed(tmp_path: Path) -> None:
    save_model(make_network().state_dict(), tmp_path / "m", Config(), "")
    weights = tmp_path / "m" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-3] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged or replaced"):
        read_model(tmp_path / "m")
    for text, says in (("{", "not JSON"), ("[]", "entry config"), ('{"config": {}, "format": "x"}', "format is 'x'")):
        (tmp_path / "m" / "config.json").write_text(text)
        with pytest.raises(CheckpointError, match=says):
            read_model(tmp_path / "m")
    (tmp_path / "m" / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json missing"):
        read_model(tmp_path / "m")


def test_config_is_in_the_weights_as_well(tmp_path: Path) -> None:
    save_model(make_network().state_dict(), tmp_path / "m", Config(width=9), "")
    extras = read_checkpoint(tmp_path / "m" / "model.safetensors").extras
    assert json.loads(extras["config"]) == {"width": 9}


def test_weights_are_found_in_the_listed_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    (second / "pw3d").mkdir(parents=True)
    first.mkdir()
    (second / "pw3d" / "checkpoint_8.pth.tar").write_bytes(b"x")
    monkeypatch.delenv("POSEWORKS_WEIGHTS", raising=False)
    assert find_weights("pw3d/checkpoint_8.pth.tar") is None
    monkeypatch.setenv("POSEWORKS_WEIGHTS", f"{first}{os.pathsep}{second}")
    assert find_weights("pw3d/checkpoint_8.pth.tar") == second / "pw3d" / "checkpoint_8.pth.tar"
    assert find_weights("other.pth") is None
    assert find_weights("../b/pw3d/checkpoint_8.pth.tar") is None
    monkeypatch.setenv("POSEWORKS_WEIGHTS", str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="not a folder"):
        find_weights("x.pth")
