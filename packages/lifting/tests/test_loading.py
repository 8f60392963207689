"""Networks from every layout of file, and the errors for files that are none."""

from __future__ import annotations

import json
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
from poseworks.lifting.distillation import Distiller, DistillerConfig
from poseworks.lifting.ehgformer import EHGFormer, EHGFormerConfig, OrdinaryEHGFormer, OrdinaryEHGFormerConfig
from poseworks.lifting.graphs import PARTITIONS
from poseworks.lifting.input_forms import PUBLISHED, Preparation
from poseworks.lifting.lcn import LCN, LCNConfig
from poseworks.lifting.loading import export_onnx, load, looks_like, save
from poseworks.lifting.published import lcn_names, published_weights

REFERENCE = Path(__file__).parent / "reference"
STUDENT = reference_cases(REFERENCE, "ehg_p1_student_t27")[0]
PLAIN_LCN = reference_cases(REFERENCE, "lcn_knn3_layers3_in2")[0]
Tensors = dict[str, Tensor]

LAYOUTS: dict[str, Callable[[Tensors], Any]] = {
    "best_epoch.bin": lambda tensors: {
        "epoch": 118,
        "lr": 8e-5,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]},
        "model_pos": tensors,
        "min_loss": np.float64(38.2),
    },
    "stripped.bin": lambda tensors: {"model_pos": tensors},
    "bare.bin": lambda tensors: tensors,
    "cpu.bin": lambda tensors: {"model_pos": {name.removeprefix("module."): x for name, x in tensors.items()}},
}


def tiny_ehgformer(**sizes: Any) -> EHGFormer:
    torch.manual_seed(0)
    return EHGFormer(EHGFormerConfig(**({"frames": 5, "width": 8, "blocks": 2, "heads": 2} | sizes)))


def tiny_lcn(**sizes: Any) -> LCN:
    torch.manual_seed(0)
    return LCN(LCNConfig(**({"channels": 3, "layers": 2} | sizes)))


def lcn_arrays(network: LCN) -> dict[str, np.ndarray]:
    """The variables as TensorFlow's reader gives them, with the optimizer's."""
    names = lcn_names(network.state_dict())
    arrays = {names[name]: x.numpy() for name, x in network.state_dict().items()}
    beside = {f"{name}/{slot}": np.zeros_like(x) for name, x in arrays.items() for slot in ("Adam", "Adam_1")}
    steps = {"training/global_step": np.int64(7), "training/beta1_power": np.float32(0.9)}
    return {**arrays, **beside, **steps, "loss/cross_entropy/mse/avg": np.float32(1)}


def write_lcn(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ehgformer_from_any_layout(
    tmp_path: Path, layout: str, published_tensors: Callable[[ReferenceCase], Tensors]
) -> None:
    file = tmp_path / layout
    torch.save(LAYOUTS[layout](published_tensors(STUDENT)), file)
    network = load(file)
    assert isinstance(network, EHGFormer)
    assert network.config == EHGFormerConfig(frames=27, width=128, blocks=6)
    assert not network.training
    assert (network.source, len(network.sha256)) == (str(file), 64)
    with torch.no_grad():
        assert_close(network(STUDENT.inputs["input"]), STUDENT.outputs["output"], atol=5e-5, rtol=0)
    assert load(file, partition=1).config == network.config
    assert load(file, partition=PARTITIONS[1]).config == network.config
    with pytest.raises(ConfigError, match=r"groups: .* says \(0, 1, 1, 1.*the option says \(0, 0, 0"):
        load(file, partition=2)
    with pytest.raises(ConfigError, match=r"partition: 3 is none of 1, 2\. State 17 groups"):
        load(file, partition=3)
    with pytest.raises(ConfigError, match="knn: this is an EHGFormer, which has no such option"):
        load(file, knn=3)


def test_sizes_and_partitions_come_from_the_tensors(tmp_path: Path, as_published: Callable[..., Tensors]) -> None:
    for sizes in (
        {"groups": PARTITIONS[2], "heads": 4},
        {"groups": (0, 2, 3, 3, 2, 3, 3, 4, 1, 2, 2, 2, 2, 0, 2, 2, 0)},
        {"mlp_ratio": 1.5, "blocks": 3, "frames": 7},
    ):
        network = tiny_ehgformer(**sizes).eval()
        torch.save({"model_pos": as_published(network)}, tmp_path / "x.bin")
        again = load(tmp_path / "x.bin")
        assert again.config == network.config
        x = torch.randn(1, 5, 17, 3, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            assert torch.equal(again(x), network(x))


def test_a_checkpoint_without_group_blocks_or_partition(tmp_path: Path, as_published: Callable[..., Tensors]) -> None:
    file = tmp_path / "x.bin"
    network = tiny_ehgformer()
    tensors = as_published(network)
    torch.save({n: x for n, x in tensors.items() if "hyper_attn_blk" not in n}, file)
    assert not load(file).config.group_block  # type: ignore[union-attr]
    torch.save({n: x for n, x in tensors.items() if not n.endswith(("joint_label", "hyper_matrix"))}, file)
    with pytest.raises(ConfigError, match=r"do not tell its partition. State it: --partition 1"):
        load(file)
    assert load(file, partition=2).config.groups == PARTITIONS[2]  # type: ignore[union-attr]
    torch.save({n: x for n, x in tensors.items() if not n.endswith("joint_label")}, file)
    assert load(file).config == network.config
    assert not load(file, joint_bias=False).config.joint_bias  # type: ignore[union-attr]


def test_partitions_that_contradict_each_other_are_refused(
    tmp_path: Path, as_published: Callable[..., Tensors]
) -> None:
    file, edge = tmp_path / "x.bin", "module.STEblocks.1.hyper_attn_blk.hyper_edge"
    for change, message in (
        ({"joint_label": torch.tensor(PARTITIONS[2])}, r"contradict each other: STEblocks.0.*says.*STEblocks.1"),
        ({"hyper_matrix": torch.eye(6)[list(PARTITIONS[1])].flip(1)}, "contradict each other"),
        ({"hyper_matrix": torch.ones(17, 6)}, "no partition: expected one 1 in each row"),
        ({"joint_label": torch.zeros(2, 17)}, "no partition: expected one group a joint"),
    ):
        tensors = as_published(tiny_ehgformer()) | {f"{edge}.{name}": x for name, x in change.items()}
        torch.save(tensors, file)
        with pytest.raises(CheckpointError, match=message):
            load(file)
    every = {f"module.STEblocks.{block}.hyper_attn_blk.hyper_edge" for block in (0, 1)}
    tensors = {n: x for n, x in as_published(tiny_ehgformer()).items() if not n.endswith("hyper_matrix")}
    torch.save(tensors | {f"{e}.joint_label": 2 * torch.tensor(PARTITIONS[1]) for e in every}, file)
    with pytest.raises(CheckpointError, match=r"sizes that no network can have: .*without gaps"):
        load(file)


def test_lcn_from_its_variables(tmp_path: Path) -> None:
    arrays = {name: x.numpy() for name, x in PLAIN_LCN.state_dict().items()}
    file = write_lcn(tmp_path / "variables.npz", arrays)
    with pytest.raises(ConfigError, match=r"do not tell how far its mask reaches. State it: --knn 3"):
        load(file)
    network = load(file, knn=3)
    assert isinstance(network, LCN)
    assert network.config == LCNConfig()
    x = PLAIN_LCN.inputs["input"].view(4, 17, 2)
    with torch.no_grad():
        assert_close(network(x).flatten(1), PLAIN_LCN.outputs["output"], atol=2e-5, rtol=0)
    with pytest.raises(ConfigError, match="groups: this is an LCN, which has no such option"):
        load(file, knn=3, partition=1)


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ({}, {"knn": 3}),
        ({"in_features": 3, "layers": 0, "knn": 1}, {"knn": 1}),
        ({"mask_type": "locally_connected_learnable", "mask_start": "same"}, {"knn": 3}),
        ({"mask_type": "row_normalised", "knn": 2}, {"knn": 2, "mask_type": "row_normalised"}),
        ({"mask_type": "ones"}, {"mask_type": "ones"}),
        (
            {"mask_type": "laplacian", "limb_lengths": tuple(1 + 0.1 * n for n in range(20))},
            {"mask_type": "laplacian", "limb_lengths": [1 + 0.1 * n for n in range(20)]},
        ),
    ],
)
def test_lcn_variables_of_other_sizes(tmp_path: Path, sizes: dict[str, Any], options: dict[str, Any]) -> None:
    network = tiny_lcn(**sizes).eval()
    arrays = lcn_arrays(network)
    write_lcn(tmp_path / "a.npz", arrays)
    write_lcn(tmp_path / "b.npz", {f"{name}:0": x for name, x in arrays.items() if "Adam" not in name})
    x = torch.randn(20, 17, network.config.in_features, generator=torch.Generator().manual_seed(0))
    for name in ("a.npz", "b.npz"):
        again = load(tmp_path / name, **options)
        assert again.config == network.config
        with torch.no_grad():
            assert torch.equal(again(x), network(x))


def test_a_trained_mask_and_its_option_must_agree(tmp_path: Path) -> None:
    plain = write_lcn(tmp_path / "plain.npz", lcn_arrays(tiny_lcn()))
    trained = write_lcn(tmp_path / "mask.npz", lcn_arrays(tiny_lcn(mask_type="locally_connected_learnable")))
    with pytest.raises(ConfigError, match=r"mask_type: .* holds no trained mask"):
        load(plain, knn=3, mask_type="locally_connected_learnable")
    with pytest.raises(ConfigError, match=r"mask_type: .* holds a trained mask, the option says ones"):
        load(trained, knn=3, mask_type="ones")


def test_the_distiller_of_a_training_run(tmp_path: Path) -> None:
    case = reference_cases(REFERENCE, "distill_loss")[0]
    torch.save({"distiller": case.state_dict()}, tmp_path / "best_epoch_distiller.bin")
    network = load(tmp_path / "best_epoch_distiller.bin")
    assert isinstance(network, Distiller)
    assert network.config == DistillerConfig(student_width=16, teacher_width=24, pairs=5)
    assert_close(network.mask_token.detach(), case.state_dict()["module.mask_token"])
    with pytest.raises(ConfigError, match="only serves training"):
        export_onnx(network, tmp_path / "x.onnx")


_FREE = ("merge_weight", "joint_label", "hyper_matrix")  # one of them may be missing


@pytest.mark.long
def test_every_key_of_an_ehgformer_that_is_lost_renamed_or_misshapen_is_named(
    tmp_path: Path, as_published: Callable[..., Tensors]
) -> None:
    file, tensors = tmp_path / "x.bin", as_published(tiny_ehgformer(blocks=1))
    for name in tensors:
        short = name.removeprefix("module.")
        if name.endswith(_FREE):
            torch.save({n: x for n, x in tensors.items() if n != name}, file)
            assert load(file).config == tiny_ehgformer(blocks=1).config
            continue
        torch.save({n: x for n, x in tensors.items() if n != name}, file)
        with pytest.raises(CheckpointError) as caught:
            load(file)
        assert short in str(caught.value)
        torch.save({f"{n}_" if n == name else n: x for n, x in tensors.items()}, file)
        with pytest.raises(CheckpointError) as caught:
            load(file)
        assert f"{short}_" in str(caught.value)
        torch.save({n: torch.zeros(2, 3, 4, 5) if n == name else x for n, x in tensors.items()}, file)
        with pytest.raises(CheckpointError) as caught:
            load(file)
        assert f"{short} is (2, 3, 4, 5)" in str(caught.value) or "no network can have" in str(caught.value)


def test_every_variable_of_an_lcn_that_is_lost_renamed_or_misshapen_is_named(tmp_path: Path) -> None:
    arrays = {
        n: x for n, x in lcn_arrays(tiny_lcn(layers=1)).items() if n.startswith("linear_model") and "Adam" not in n
    }
    for name in arrays:
        file = write_lcn(tmp_path / "x.npz", {n: x for n, x in arrays.items() if n != name})
        with pytest.raises(CheckpointError, match=f"missing .*{name}"):
            load(file, knn=3)
        write_lcn(file, {f"{n}_" if n == name else n: x for n, x in arrays.items()})
        with pytest.raises(CheckpointError, match=f"unexpected .*{name}_"):
            load(file, knn=3)
        write_lcn(file, {n: np.zeros((2, 3, 4)) if n == name else x for n, x in arrays.items()})
        with pytest.raises(CheckpointError, match=f"{name} is \\(2, 3, 4\\)"):
            load(file, knn=3)


@pytest.mark.parametrize("kind", ["npz", "bin"])
def test_damaged_files_give_an_error_or_a_network(
    tmp_path: Path, kind: str, as_published: Callable[..., Tensors]
) -> None:
    good, bad = tmp_path / f"good.{kind}", tmp_path / f"bad.{kind}"
    if kind == "npz":
        write_lcn(good, lcn_arrays(tiny_lcn(channels=1, layers=0)))
    else:
        torch.save({"model_pos": as_published(tiny_ehgformer(blocks=1))}, good)
    options = {"knn": 3} if kind == "npz" else {}
    messages = []
    for damaged in mutations(good.read_bytes(), np.random.default_rng(5), count=120):
        bad.write_bytes(damaged)
        try:
            assert isinstance(load(bad, **options), LCN if kind == "npz" else EHGFormer)
        except PoseworksError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert all("bad." in message for message in messages)


def test_sizes_that_one_tensor_claims_take_no_memory(tmp_path: Path, as_published: Callable[..., Tensors]) -> None:
    tensors = as_published(tiny_ehgformer())
    tensors["module.Spatial_pos_embed"] = torch.zeros(1, 1, 200_000)
    torch.save(tensors, tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match="Spatial_pos_embed is"):
        load(tmp_path / "x.bin")
    renumbered = {n.replace("blocks.1.", "blocks.999999999."): x for n, x in as_published(tiny_ehgformer()).items()}
    torch.save(renumbered, tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match=r"STEblocks\.999999999"):
        load(tmp_path / "x.bin")


def test_checkpoints_of_another_method_are_named(tmp_path: Path) -> None:
    torch.save({"backbone.conv1.weight": torch.zeros(8, 3, 7, 7)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"neither an LCN nor an EHGFormer\. It looks like an image network"):
        load(tmp_path / "other.pth")
    np.savez(tmp_path / "x.npz", w=np.zeros(3))
    with pytest.raises(CheckpointError, match="something else: 1 tensors such as w"):
        load(tmp_path / "x.npz", knn=3)
    assert looks_like({"STEblocks.0.x": torch.zeros(1)}) == "an EHGFormer"
    assert looks_like({"linear_model/w1": torch.zeros(1)}) == "an LCN"
    assert looks_like({"generation_align.weight": torch.zeros(1)}) == "a Distiller"
    assert looks_like({}) is None


def test_published_names_know_what_the_file_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_published: Callable[..., Tensors]
) -> None:
    monkeypatch.delenv("POSEWORKS_WEIGHTS", raising=False)
    with pytest.raises(CheckpointError, match=r"not here; from its authors.*lcn-gt/variables\.npz"):
        load("lcn-gt")
    with pytest.raises(CheckpointError, match=r"no model of this name.*`poseworks-lifting models`"):
        load("lcn-gd")
    for name in ("lcn-gt", "ehgformer-dynamic-p2", "ehgformer-dynamic-p1"):
        (tmp_path / name).mkdir()
    write_lcn(tmp_path / "lcn-gt" / "variables.npz", lcn_arrays(tiny_lcn()))
    for partition in (1, 2):  # the first is put under the wrong name
        tensors = as_published(tiny_ehgformer(groups=PARTITIONS[2]))
        torch.save({"model_pos": tensors}, tmp_path / f"ehgformer-dynamic-p{partition}" / "best_epoch.bin")
    monkeypatch.setenv("POSEWORKS_WEIGHTS", str(tmp_path))
    assert load("lcn-gt").config == tiny_lcn().config
    with pytest.raises(ConfigError, match="knn: lcn-gt has 3, the option says 2"):
        load("lcn-gt", knn=2)
    assert load("ehgformer-dynamic-p2").config.groups == PARTITIONS[2]  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match=r"groups: .* says \(0, 0"):
        load("ehgformer-dynamic-p1")


def test_published_sizes_give_the_stated_number_of_parameters() -> None:
    for entry in published_weights().values():
        with torch.device("meta"):
            network: torch.nn.Module = (
                LCN(LCNConfig(**entry.sizes)) if entry.method == "LCN" else EHGFormer(EHGFormerConfig(**entry.sizes))
            )
        assert sum(p.numel() for p in network.parameters()) == entry.parameters, entry.name


@pytest.mark.parametrize(
    "network",
    [
        tiny_lcn(mask_type="random", mask_seed=3, knn=2, neighbours=((1,), (0, 2), (1,))),
        tiny_ehgformer(groups=PARTITIONS[2]),
        OrdinaryEHGFormer(OrdinaryEHGFormerConfig(frames=5, width=8, blocks=1, heads=2)),
        Distiller(DistillerConfig(student_width=3, teacher_width=4, pairs=2)),
    ],
    ids=lambda network: network.config.kind,
)
def test_saved_networks_come_back(tmp_path: Path, network: Any) -> None:
    save(network, tmp_path / "m", readme="What it is.", card={"method": "x"})
    again = load(tmp_path / "m")
    assert type(again) is type(network)
    assert again.config == network.config
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert load(tmp_path / "m" / "model.safetensors").sha256 == again.sha256
    content = json.loads((tmp_path / "m" / "config.json").read_text())
    assert content["card"] == {"method": "x"}
    with pytest.raises(ConfigError, match="already exists"):
        save(network, tmp_path / "m")
    save(network, tmp_path / "m", overwrite=True)
    assert type(network).__name__ in (tmp_path / "m" / "README.md").read_text()


@pytest.mark.parametrize(
    "sizes",
    [{}, {"knn": 1, "in_features": 3}, {"mask_type": "locally_connected_learnable"}, {"mask_type": "ones"}],
    ids=str,
)
def test_an_lcn_in_half_the_room_or_less(tmp_path: Path, sizes: dict[str, Any]) -> None:
    network = tiny_lcn(channels=16, **sizes).eval()
    save(network, tmp_path / "whole")
    save(network, tmp_path / "half", half=True)
    again = load(tmp_path / "half")
    x = torch.randn(40, 17, network.config.in_features, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert_close(again(x), network(x), atol=2e-3, rtol=0)
    whole, half = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half"))
    assert half < whole * (0.01 + 0.5 * float((network.fixed_mask != 0).float().mean()))
    save(again, tmp_path / "again", half=True)
    with torch.no_grad():
        assert_close(load(tmp_path / "again")(x), again(x), atol=2e-3, rtol=0)


def test_an_ehgformer_in_half_the_room(tmp_path: Path) -> None:
    network = tiny_ehgformer(width=64).eval()
    save(network, tmp_path / "half", half=True)
    x = torch.randn(2, 5, 17, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert_close(load(tmp_path / "half")(x), network(x), atol=5e-3, rtol=0)


def test_what_weights_expect_is_saved_with_them(tmp_path: Path) -> None:
    assert load(write_lcn(tmp_path / "variables.npz", lcn_arrays(tiny_lcn())), knn=3).preparation == PUBLISHED
    for number, network in enumerate((tiny_lcn(), tiny_ehgformer())):
        network.preparation = Preparation(form="ray", unit_m=0.5, assumed_focal=1.2, fps=50, noise="as drawn")
        save(network, tmp_path / f"m{number}")
        assert load(tmp_path / f"m{number}").preparation == network.preparation
        assert type(network)(network.config).preparation == PUBLISHED
    config = tmp_path / "m0" / "config.json"
    config.write_text(config.read_text().replace('"ray"', '"cone"'))
    with pytest.raises(CheckpointError, match=r"config\.json: form: "):
        load(tmp_path / "m0")


def test_a_saved_original_says_where_it_came_from(tmp_path: Path) -> None:
    original = load(write_lcn(tmp_path / "variables.npz", lcn_arrays(tiny_lcn())), knn=3)
    save(original, tmp_path / "m")
    content = json.loads((tmp_path / "m" / "config.json").read_text())
    assert content["source"] == {"name": "variables.npz", "sha256": original.sha256}
    assert original.sha256 in (tmp_path / "m" / "README.md").read_text()
    with pytest.raises(ConfigError, match=r"knn: .*config\.json says 3, the option says 4"):
        load(tmp_path / "m", knn=4)
    assert load(tmp_path / "m", knn=3).config == original.config


@pytest.mark.long
@pytest.mark.parametrize(
    "network",
    [tiny_lcn(), tiny_lcn(in_features=3, mask_type="locally_connected_learnable"), tiny_ehgformer(frames=12)],
    ids=["lcn", "learnable lcn of 3", "ehgformer"],
)
def test_onnx_gives_what_torch_gives(tmp_path: Path, network: Any) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    report = export_onnx(network, tmp_path / "m.onnx")
    assert report.largest_difference < 1e-4
    assert len(report.sizes) == 3
    network.eval()
    shape = (4, 17, network.config.in_features) if isinstance(network, LCN) else (4, 11, 17, 3)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(["pose3d"], {"pose2d": x.numpy()})
    with torch.no_grad():
        assert_close(torch.from_numpy(found), network(x), atol=1e-5, rtol=1e-5)
    note = json.loads((tmp_path / "m.json").read_text())
    assert note["config"]["kind"] == network.config.kind
    assert note["joints"] == "h36m17"
    with pytest.raises(ConfigError, match="already exists"):
        export_onnx(network, tmp_path / "m.onnx")


def test_a_network_of_too_few_frames_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 frames has no other lengths"):
        export_onnx(tiny_ehgformer(frames=2), tmp_path / "m.onnx")
