"""Networks from every layout of file, and the errors for files that are none."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import CheckpointError, ConfigError, PoseworksError
from poseworks.core.testing import ReferenceCase, mutations, reference_cases
from poseworks.temporal.deciwatch import DeciWatch, DeciWatchConfig
from poseworks.temporal.loading import export_onnx, load, looks_like, save, shipped_models
from poseworks.temporal.preparation import Preparation
from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig

REFERENCE = Path(__file__).parent / "reference"
PAPER_SMOOTHNET = reference_cases(REFERENCE, "smoothnet_paper_pw3d_w32")[0]
TOOLKIT_DECIWATCH = reference_cases(REFERENCE, "deciwatch_toolkit_i10_q3")[0]
PAPER_DECIWATCH = reference_cases(REFERENCE, "deciwatch_paper_pw3d_spin_3d")[0]

Layout = Callable[[dict[str, Tensor]], Any]
LAYOUTS: dict[str, Layout] = {
    "bare": lambda tensors: tensors,
    "nested": lambda tensors: {"state_dict": tensors},
    "module": lambda tensors: {"state_dict": {f"module.{name}": x for name, x in tensors.items()}},
    "bare module": lambda tensors: {f"module.{name}": x for name, x in tensors.items()},
    "model": lambda tensors: {"model": {f"model.{name}": x for name, x in tensors.items()}},
    "as the paper": lambda tensors: {
        "epoch": 70,
        "state_dict": tensors,
        "performance": [{"mpjpe": torch.tensor(95.84), "accel": np.float64(6.17)}],
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4, "amsgrad": True}]},
    },
    "half": lambda tensors: {name: x.half() for name, x in tensors.items()},
}


def write(folder: Path, name: str, case: ReferenceCase, layout: str = "nested") -> Path:
    path = folder / name
    torch.save(LAYOUTS[layout](case.state_dict()), path)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_smoothnet_from_any_layout_and_any_name(tmp_path: Path, layout: str) -> None:
    network = load(write(tmp_path, "anything.bin", PAPER_SMOOTHNET, layout))
    assert isinstance(network, SmoothNet)
    assert network.config == SmoothNetConfig()
    assert not network.training
    assert all(p.dtype == torch.float32 for p in network.parameters())
    x = PAPER_SMOOTHNET.inputs["window"]
    tolerance = 5e-3 if layout == "half" else 2e-5
    assert_close(network(x), PAPER_SMOOTHNET.outputs["window"], atol=tolerance, rtol=0)


@pytest.mark.parametrize("case", reference_cases(REFERENCE, "smoothnet_*"), ids=lambda case: case.name)
def test_sizes_come_from_the_tensors(tmp_path: Path, case: ReferenceCase) -> None:
    network = load(write(tmp_path, "x.pth", case))
    assert isinstance(network, SmoothNet)
    assert sum(p.numel() for p in network.parameters()) == sum(x.numel() for x in case.state_dict().values())
    assert (network.preparation is not None) == (case.name == "smoothnet_rootcentred_w16")


def test_the_toolkits_deciwatch_tells_everything_by_its_name(tmp_path: Path) -> None:
    network = load(write(tmp_path, "deciwatch_interval10_q3.pth.tar", TOOLKIT_DECIWATCH, "module"))
    assert isinstance(network, DeciWatch)
    assert (network.window, network.stride, network.config.cross_attention) == (31, 10, "masked")
    assert network.preparation == Preparation(representation="six_d_rows", scale="any", centring="none")
    recovered, denoised = network(TOOLKIT_DECIWATCH.inputs["window"])
    assert_close(recovered, TOOLKIT_DECIWATCH.outputs["recover"], atol=2e-5, rtol=0)
    assert_close(denoised, TOOLKIT_DECIWATCH.outputs["denoise"], atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "cross_attention", "expected"),
    [
        ("checkpoint.pth.tar", None, "additive"),
        ("checkpoint_i10_q10.pth.tar", None, "additive"),
        ("checkpoint.pth.tar", "masked", "masked"),
        ("other.pth", None, "masked"),
        ("other.pth", "additive", "additive"),
    ],
)
def test_the_papers_deciwatch_is_additive_unless_told(
    tmp_path: Path, name: str, cross_attention: Any, expected: str
) -> None:
    file = write(tmp_path, name, PAPER_DECIWATCH, "as the paper")
    network = load(file, interval=10, q=10, cross_attention=cross_attention)
    assert network.config.cross_attention == expected  # type: ignore[union-attr]
    x = PAPER_DECIWATCH.inputs["window"]
    assert_close(network(x)[0], PAPER_DECIWATCH.outputs[f"recover_{expected}"], atol=2e-5, rtol=0)
    assert network.preparation == Preparation(root=("right_hip", "left_hip"))


def test_interval_and_q_must_be_known_and_agree(tmp_path: Path) -> None:
    nameless = write(tmp_path, "checkpoint.pth.tar", PAPER_DECIWATCH)
    with pytest.raises(ConfigError, match=r"do not tell interval and q.*--interval 10 --q 3"):
        load(nameless)
    with pytest.raises(ConfigError, match="interval and q"):
        load(nameless, interval=10)
    named = write(tmp_path, "deciwatch_interval10_q3.pth.tar", TOOLKIT_DECIWATCH)
    with pytest.raises(ConfigError, match=r"interval: the file name .* says 10, the option says 5"):
        load(named, interval=5)
    with pytest.raises(ConfigError, match=r"q: the file name .* says 3, the option says 4"):
        load(named, q=4)
    assert load(named, interval=10, q=3).window == 31
    with pytest.raises(CheckpointError, match="multiple of heads"):
        load(named, heads=5)
    with pytest.raises(ConfigError, match="interval: this is a SmoothNet"):
        load(write(tmp_path, "s.pth", PAPER_SMOOTHNET), interval=10)


def test_faults_are_listed_all_at_once(tmp_path: Path) -> None:
    tensors = PAPER_SMOOTHNET.state_dict()
    del tensors["decoder.bias"]
    tensors["extra.weight"] = torch.zeros(2)
    tensors["res_blocks.0.linear2.bias"] = torch.zeros(511)
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path / "x.pth")
    message = str(caught.value)
    assert "missing (1): decoder.bias" in message
    assert "unexpected (1): extra.weight" in message
    assert "res_blocks.0.linear2.bias is (511), expected (512)" in message


def test_block_numbers_cannot_ask_for_a_billion_blocks(tmp_path: Path) -> None:
    tensors = {
        name.replace("res_blocks.0", "res_blocks.999999999"): x for name, x in PAPER_SMOOTHNET.state_dict().items()
    }
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"res_blocks\.999999999"):
        load(tmp_path / "x.pth")


def test_a_checkpoint_of_another_method_is_named(tmp_path: Path) -> None:
    torch.save({"backbone.conv1.weight": torch.zeros(8, 3, 7, 7)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"neither a SmoothNet nor a DeciWatch.*an image network"):
        load(tmp_path / "other.pth")
    torch.save({"w": torch.zeros(3)}, tmp_path / "unknown.pth")
    with pytest.raises(CheckpointError, match="something else: 1 tensors such as w"):
        load(tmp_path / "unknown.pth")
    assert looks_like(PAPER_DECIWATCH.state_dict()) == "a DeciWatch"
    assert looks_like(PAPER_SMOOTHNET.state_dict()) == "a SmoothNet"
    assert looks_like({}) is None


def test_unknown_names_and_files_that_are_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSEWORKS_WEIGHTS", raising=False)
    with pytest.raises(CheckpointError, match="no such file or folder"):
        load("smoothnet-generl-w32")
    with pytest.raises(CheckpointError, match=r"not here; fetch smoothnet_windowsize8\.pth\.tar.*POSEWORKS_WEIGHTS"):
        load("smoothnet-toolkit-w8")
    with pytest.raises(CheckpointError, match="not a saved model"):
        load(tmp_path)
    write(tmp_path, "deciwatch_interval10_q3.pth.tar", TOOLKIT_DECIWATCH)
    monkeypatch.setenv("POSEWORKS_WEIGHTS", str(tmp_path))
    assert load("deciwatch-toolkit-i10-q3").window == 31
    assert load("deciwatch_interval10_q3.pth.tar").window == 31


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("evil.txt"), "ran"))


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": _Evil()}, tmp_path / "evil.pth")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(_Evil()))
    for name in ("evil.pth", "evil.pkl"):
        with pytest.raises(CheckpointError):
            load(tmp_path / name)
    assert not (tmp_path / "evil.txt").exists()


def test_damaged_files_give_an_error_or_a_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tiny = SmoothNet(SmoothNetConfig(window=4, output=4, hidden=6, residual_hidden=2))
    torch.save({"state_dict": tiny.state_dict()}, tmp_path / "good.pth")
    data = (tmp_path / "good.pth").read_bytes()
    file = tmp_path / "bad.pth"
    messages = []
    for damaged in mutations(data, np.random.default_rng(3)):
        file.write_bytes(damaged)
        try:
            assert isinstance(load(file), SmoothNet)
        except PoseworksError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all("bad.pth" in message for message in messages)


@pytest.mark.parametrize(
    "network",
    [
        SmoothNet(SmoothNetConfig(window=8, output=8, hidden=16, residual_hidden=4, blocks=2)),
        DeciWatch(DeciWatchConfig(channels=1, interval=5, q=2, width=8, layers=1, feedforward=8, pre_norm=False)),
    ],
    ids=["smoothnet", "deciwatch"],
)
def test_a_saved_folder_gives_the_same_network(tmp_path: Path, network: SmoothNet | DeciWatch) -> None:
    network.eval()
    network.preparation = Preparation(centring="none", noise="test")
    save(network, tmp_path / "m", readme="What it is.", card={"method": "x"})
    again = load(tmp_path / "m")
    assert again.config == network.config
    assert again.preparation == network.preparation
    x = torch.randn(3, network.window, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.run_windows(x), network.run_windows(x))
    assert load(tmp_path / "m" / "model.safetensors").sha256 == again.sha256
    content = json.loads((tmp_path / "m" / "config.json").read_text())
    assert content["model_sha256"] == again.sha256
    assert content["card"] == {"method": "x"}
    assert (tmp_path / "m" / "README.md").read_text() == "What it is.\n"
    with pytest.raises(ConfigError, match="already exists"):
        save(network, tmp_path / "m")
    save(network, tmp_path / "m", overwrite=True)


def test_a_saved_original_says_where_it_came_from(tmp_path: Path) -> None:
    original = load(write(tmp_path, "deciwatch_interval10_q3.pth.tar", TOOLKIT_DECIWATCH))
    save(original, tmp_path / "converted")
    content = json.loads((tmp_path / "converted" / "config.json").read_text())
    assert content["source"] == {"name": "deciwatch_interval10_q3.pth.tar", "sha256": original.sha256}
    assert original.sha256 in (tmp_path / "converted" / "README.md").read_text()
    again = load(tmp_path / "converted")
    assert again.preparation == original.preparation
    with pytest.raises(ConfigError, match=r"interval: .* says 10, the option says 5"):
        load(tmp_path / "converted", interval=5)
    assert load(tmp_path / "converted", interval=10).config == original.config


def test_a_config_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    save(SmoothNet(SmoothNetConfig(hidden=8, residual_hidden=2)), tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    content = json.loads(config.read_text())
    for change, message in (
        ({"kind": "hmr"}, "kind 'hmr'"),
        ({"hiden": 3}, "hiden"),
        ({"hidden": 9}, "expected \\(9, 32\\)"),
        ({"window": 1}, "must not exceed"),
    ):
        config.write_text(json.dumps(content | {"config": content["config"] | change}))
        with pytest.raises(CheckpointError, match=message):
            load(tmp_path / "m")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["smoothnet", "deciwatch", "one-channel deciwatch"])
def test_onnx_gives_what_torch_gives(tmp_path: Path, kind: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    network = (
        SmoothNet(SmoothNetConfig(window=8, output=8, hidden=16, residual_hidden=4)).eval()
        if kind == "smoothnet"
        else DeciWatch(
            DeciWatchConfig(channels=5 if kind == "deciwatch" else 1, interval=3, q=2, width=8, layers=1, feedforward=8)
        ).eval()
    )
    report = export_onnx(network, tmp_path / "m.onnx")
    assert report.largest_difference < 1e-4
    assert len(report.sizes) == 3
    assert not any(module.training for module in network.modules())
    channels = 1 if kind.startswith("one") else 5
    x = 3 + 0.1 * torch.randn(4, network.window, channels, generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    fed = x.mT.contiguous() if kind == "smoothnet" else x
    (y,) = session.run(None, {"x": fed.numpy()})
    found = torch.from_numpy(y)
    assert_close(found.mT if kind == "smoothnet" else found, network.run_windows(x), atol=1e-5, rtol=1e-5)
    note = json.loads((tmp_path / "m.json").read_text())
    assert note["config"]["kind"] == kind.split()[-1]
    assert note["stride"] == network.stride
    with pytest.raises(ConfigError, match="already exists"):
        export_onnx(network, tmp_path / "m.onnx")


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_load_by_name(name: str) -> None:
    network = load(name)
    assert network.source == name
    assert network.preparation is not None
