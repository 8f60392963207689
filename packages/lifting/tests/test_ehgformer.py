"""EHGFormer against the published network, and its parts against their equations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.testing import assert_close

from poseworks.core.errors import ShapeError
from poseworks.core.testing import ReferenceCase, reference_cases
from poseworks.lifting.ehgformer import (
    SMALL,
    DropPath,
    EHGFormer,
    EHGFormerConfig,
    OrdinaryEHGFormer,
    OrdinaryEHGFormerConfig,
    ScrambledGroupAttention,
)
from poseworks.lifting.flipping import flip, flip_average
from poseworks.lifting.graphs import PARTITIONS
from poseworks.lifting.published import ehgformer_names

CASES = reference_cases(Path(__file__).parent / "reference", "ehg_*")
TINY = {"frames": 9, "width": 16, "blocks": 2, "heads": 4}


def published(case: ReferenceCase) -> EHGFormer:
    c = case.config
    network = EHGFormer(
        EHGFormerConfig(
            frames=c["frames"], width=c["dim"], blocks=c["depth"], heads=c["heads"], groups=tuple(c["joint_label"])
        )
    ).eval()
    names, tensors = ehgformer_names(network.state_dict()), case.state_dict()
    constants = {name for name, *_ in case.manifest["constants"]}
    assert {f"module.{name}" for name in names.values()} == set(tensors) - constants
    network.load_state_dict({name: tensors[f"module.{theirs}"] for name, theirs in names.items()})
    assert sum(p.numel() for p in network.parameters()) == case.manifest["trainable_parameters"]
    return network


def tiny(seed: int = 0, **sizes: Any) -> EHGFormer:
    """A network none of whose tensors is left at zero."""
    torch.manual_seed(seed)
    network = EHGFormer(EHGFormerConfig(**(TINY | sizes))).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.5 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_clips_equal_the_published_network(case: ReferenceCase) -> None:
    network, x, expected = published(case), case.inputs["input"], case.outputs
    with torch.no_grad():
        features = network.features(x)
        plain = network.head(network.head_norm(features))
        assert_close(plain, expected["output"], atol=5e-5, rtol=0)
        answers = torch.cat([plain, network(flip(x))])
        assert_close(flip_average(lambda given: answers, x), expected["flip_averaged"], atol=5e-5, rtol=0)  # type: ignore[arg-type]
    if "representation_slice" in expected:
        assert_close(features[:, ::9, ::4, ::16], expected["representation_slice"], atol=5e-5, rtol=0)
        stats = torch.stack([features.mean(), features.std(), features.abs().max()])
        assert_close(stats, expected["representation_stats"], atol=5e-5, rtol=0)
        maps = network.attention_maps(x, 0)
        assert maps.groups is not None
        for found, name in (
            (maps.joints[0, 0], "attn_spatial_block0_frame0"),
            (maps.groups[0, 0], "attn_hyper_block0_frame0"),
            (maps.time[0, 0], "attn_temporal_block0_joint0"),
        ):
            assert_close(found, expected[name], atol=5e-5, rtol=0)


def test_sizes_are_those_of_the_published_networks() -> None:
    with torch.device("meta"):
        full, small = EHGFormer(), EHGFormer(EHGFormerConfig(**SMALL))
    constants = 17 + 17 * 6 + 1  # of each block's partition, in the file and not in ours
    assert sum(p.numel() for p in full.parameters()) + 8 * constants == 52_727_307
    assert sum(p.numel() for p in small.parameters()) + 6 * constants == 2_533_257


def naive_group_attention(attention: ScrambledGroupAttention, u: Tensor, x: Tensor) -> Tensor:
    """The published block, written as its description tells, one sample and head at a time."""
    heads, width = attention.heads, x.shape[2]
    d = width // heads
    groups = attention.groups.tolist()
    out = []
    for sample_u, sample_x in zip(u, x, strict=True):
        features = [attention.gather(sample_x[[j for j in range(17) if groups[j] == g]].mean(0)) for g in groups]
        q, e = attention.q(sample_u), torch.stack(features)
        kv = attention.kv(sample_u)
        q, e = (memory.reshape(heads, d, 17).mT for memory in (q, e))
        v = kv.reshape(2, heads, d, 17)[1].mT
        mixed = torch.empty(heads, 17, d)
        for h in range(heads):
            logits = (q[h] @ e[h].T + attention.w[h] @ e[h].T) * d**-0.5
            mixed[h] = logits.softmax(dim=-1) @ v[h]
        out.append(mixed.mT.reshape(width, 17).T)
    return attention.project(torch.stack(out))  # type: ignore[no-any-return]


@pytest.mark.parametrize("partition", PARTITIONS)
def test_group_attention_reads_memory_as_the_published_code_does(partition: int) -> None:
    attention = tiny(groups=PARTITIONS[partition]).space[1].groups.attention  # type: ignore[union-attr]
    u, x = noise(3, 17, 16), noise(3, 17, 16, seed=1)
    with torch.no_grad():
        expected = naive_group_attention(attention, u, x)  # type: ignore[arg-type]
        assert_close(attention(u, x), expected, atol=1e-5, rtol=1e-5)  # type: ignore[operator]


def test_the_ordinary_network_is_another_one_of_the_same_tensors() -> None:
    scrambled = tiny()
    ordinary = OrdinaryEHGFormer(OrdinaryEHGFormerConfig(**TINY)).eval()  # type: ignore[arg-type]
    ordinary.load_state_dict(scrambled.state_dict())
    x = noise(1, 9, 17, 3)
    with torch.no_grad():
        assert (ordinary(x) - scrambled(x)).abs().max() > 0.01
    assert OrdinaryEHGFormer().config.kind == "ehgformer_ordinary"  # type: ignore[attr-defined]


def test_ordinary_group_attention_is_a_decoder_of_group_tokens() -> None:
    ordinary = OrdinaryEHGFormer(OrdinaryEHGFormerConfig(**TINY)).eval()  # type: ignore[arg-type]
    attention = ordinary.space[0].groups.attention  # type: ignore[union-attr]
    u, x = noise(2, 17, 16), noise(2, 17, 16, seed=1)
    with torch.no_grad():
        q, e, v = attention.q(u), attention.group_features(x), attention.kv(u)[..., 16:]  # type: ignore[union-attr, operator]
        twin = nn.MultiheadAttention(16, 4, batch_first=True, bias=False)
        twin.in_proj_weight.copy_(torch.eye(16).repeat(3, 1))
        twin.out_proj.weight.copy_(torch.eye(16))
        expected = attention.project(twin(q, e, v, need_weights=False)[0])  # type: ignore[union-attr, operator]
        assert_close(attention(u, x), expected, atol=1e-5, rtol=1e-5)  # type: ignore[operator]


def test_the_features_of_a_group_are_shared_by_its_joints() -> None:
    network = tiny(groups=PARTITIONS[2])
    with torch.no_grad():
        features = network.space[0].groups.attention.group_features(noise(2, 17, 16))  # type: ignore[union-attr, operator]
    assert_close(features[:, 0], features[:, 6])
    assert (features[:, 0] - features[:, 7]).abs().max() > 1e-3


def test_shorter_clips_use_the_first_frame_embeddings() -> None:
    network, x = tiny(), noise(2, 4, 17, 3)
    shorter = EHGFormer(EHGFormerConfig(**(TINY | {"frames": 4}))).eval()  # type: ignore[arg-type]
    tensors = network.state_dict()
    tensors["frame_embedding"] = tensors["frame_embedding"][:, :4]
    shorter.load_state_dict(tensors)
    with torch.no_grad():
        assert_close(network(x), shorter(x))
        assert network(x[:, :1]).shape == (2, 1, 17, 3)


def test_clips_do_not_mix_and_maps_are_those_of_the_forward_pass() -> None:
    network, x = tiny(), noise(3, 6, 17, 3)
    with torch.no_grad():
        assert_close(network(x), torch.cat([network(clip[None]) for clip in x]), atol=1e-5, rtol=1e-5)
        for block in (0, 1, -1):
            maps = network.attention_maps(x, block)
            assert maps.groups is not None
            for found, shape in (
                (maps.joints, (3, 6, 4, 17, 17)), (maps.groups, (3, 6, 4, 17, 17)), (maps.time, (3, 17, 4, 6, 6)),
            ):  # fmt: skip
                assert found.shape == shape
                assert_close(found.sum(dim=-1), torch.ones(shape[:-1]))
        assert_close(network.attention_maps(x, 1).time, network.attention_maps(x, -1).time)
        mixed = network.attention_maps(x, 1)
        seen: list[Tensor] = []
        handle = network.time[1].attention.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))  # type: ignore[union-attr]
        network(x)
        handle.remove()
        parts = network.time[1].attention.parts(seen[0])  # type: ignore[union-attr, operator]
        expected = (mixed.time.flatten(0, 1) @ parts.value).transpose(1, 2).flatten(2)
        assert_close(parts.mixed(), expected, atol=1e-5, rtol=1e-5)


def test_each_ablation_takes_its_part_out() -> None:
    x, whole = noise(1, 5, 17, 3), tiny()
    with torch.no_grad():
        base = whole(x)
        for switch in ("group_block", "group_by_query", "group_by_bias", "joint_bias"):
            changed = EHGFormer(EHGFormerConfig(**(TINY | {switch: False}))).eval()  # type: ignore[arg-type]
            kept = {n: t for n, t in whole.state_dict().items() if n in changed.state_dict()}
            changed.load_state_dict(kept)
            if switch == "joint_bias":
                for name, parameter in changed.named_parameters():
                    if name.endswith("alpha"):
                        parameter.zero_()
            assert (changed(x) - base).abs().max() > 1e-3, switch
        no_bias = tiny()
        for name, parameter in no_bias.named_parameters():
            if name.endswith("attention.w"):
                parameter.zero_()
        off = EHGFormer(EHGFormerConfig(**(TINY | {"group_by_bias": False}))).eval()  # type: ignore[arg-type]
        off.load_state_dict(whole.state_dict())
        assert_close(off(x), no_bias(x))
    assert tiny(group_block=False).attention_maps(x, 0).groups is None
    fixed = EHGFormer(EHGFormerConfig(**(TINY | {"joint_bias": False})))  # type: ignore[arg-type]
    assert all(p == 0 and not p.requires_grad for n, p in fixed.named_parameters() if n.endswith("alpha"))


def test_where_the_relation_starts() -> None:
    plain, tree = (EHGFormer(EHGFormerConfig(**(TINY | {"relation": r}))) for r in ("none", "uniform"))  # type: ignore[arg-type]
    assert_close(plain.space[0].joints.attention.relation.detach()[2], torch.eye(17))  # type: ignore[union-attr, operator]
    assert_close(tree.space[1].joints.attention.relation.detach()[3, :, 0].max(), torch.tensor(0.2))  # type: ignore[union-attr, operator, index]


def test_dropping_out_acts_in_training_alone() -> None:
    network, x = tiny(drop_path=0.5), noise(2, 5, 17, 3)
    with torch.no_grad():
        assert torch.equal(network(x), network(x))
        network.train()
        assert not torch.equal(network(x), network(x))
    torch.manual_seed(0)
    path = DropPath(0.25).train()
    out = path(torch.ones(4000, 2, 3))
    assert_close(out.unique(), torch.tensor([0.0, 4 / 3]))
    assert (out.flatten(1).std(dim=1) == 0).all()
    assert float(out.mean()) == pytest.approx(1, abs=0.05)
    rates = [block.joints.drop_path.rate for block in tiny(blocks=3).space]  # type: ignore[union-attr]
    assert rates == pytest.approx([0, 0.05, 0.1])


def test_gradients_reach_every_tensor() -> None:
    network = tiny(blocks=2)
    network(noise(1, 5, 17, 3)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 20, "heads": 8}, "multiple of heads"),
        ({"groups": (0,) * 16}, "expected 17 numbers"),
        ({"groups": (0, 2) + (0,) * 15}, "without gaps"),
        ({"group_by_query": False, "group_by_bias": False}, "switch group_block off"),
        ({"widht": 3}, "widht"),
    ],
)
def test_configs_that_make_no_network_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EHGFormerConfig(**fields)


def test_what_does_not_fit_is_refused() -> None:
    for shape, message in (
        ((2, 10, 17, 3), r"T<=9, J, C\), got \(2, 10, 17, 3\)\. It was trained on 9 frames: cut the clip"),
        ((2, 0, 17, 3), "T>=1"),
        ((2, 5, 17, 2), "C=3"),
        ((5, 17, 3), "clips of x, y, confidence"),
    ):
        with pytest.raises(ShapeError, match=message):
            tiny()(torch.zeros(shape))
