"""LCN against the published network, and its paths against each other."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import ShapeError
from poseworks.core.testing import ReferenceCase, reference_cases
from poseworks.lifting.graphs import GRAPH_0, edges
from poseworks.lifting.lcn import LCN, FoldedLCN, JointNorm, LCNConfig
from poseworks.lifting.published import lcn_names

CASES = reference_cases(Path(__file__).parent / "reference", "lcn_knn*")
LENGTHS = tuple(0.1 + 0.02 * number for number in range(len(edges(GRAPH_0))))
MASKS = [
    "locally_connected", "locally_connected_learnable", "row_normalised", "symmetric", "laplacian", "ones", "random",
]  # fmt: skip


def published(case: ReferenceCase) -> LCN:
    c = case.config
    network = LCN(LCNConfig(in_features=c["in_F"], channels=c["channels"], layers=c["layers"], knn=c["knn"])).eval()
    names, tensors = lcn_names(network.state_dict()), case.state_dict()
    assert set(names.values()) == set(tensors)
    network.load_state_dict({name: tensors[theirs] for name, theirs in names.items()})
    return network


def small(seed: int = 0, **sizes: Any) -> LCN:
    """A network whose norms and biases do something."""
    torch.manual_seed(seed)
    if sizes.get("mask_type") == "laplacian":
        sizes["limb_lengths"] = LENGTHS
    network = LCN(LCNConfig(**({"channels": 4, "layers": 2} | sizes))).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, JointNorm):
                module.weight.uniform_(0.5, 3)
                module.bias.normal_(0, 0.1)
                module.running_mean.normal_(0, 0.05)
                module.running_var.uniform_(1e-3, 1e-2)
    return network


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_frames_equal_the_published_network(case: ReferenceCase) -> None:
    network, x = published(case), case.inputs["input"].view(4, 17, -1)
    for name, pose in (("output", x), ("output_zero_input", torch.zeros_like(x))):
        expected = case.outputs[name].view(4, 17, 3)
        assert_close(network(pose).detach(), expected, atol=2e-5, rtol=0)
        with torch.no_grad():
            assert_close(network(pose), expected, atol=2e-5, rtol=0)
            assert_close(network(pose.repeat(5, 1, 1))[8:12], expected, atol=2e-5, rtol=0)
            assert_close(FoldedLCN(network)(pose), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(("in_features", "case"), list(zip((2, 3), CASES, strict=True)))
def test_the_parameters_are_those_of_the_published_network(in_features: int, case: ReferenceCase) -> None:
    network = LCN(LCNConfig(in_features=in_features))  # type: ignore[arg-type]
    numbers = sum(x.numel() for x in network.state_dict().values())
    assert numbers == {2: 7_204_403, 3: 7_222_899}[in_features] == case.manifest["parameters"]
    # The blocks that can influence the output, as counted in the reference: 4.37 M of 7.1 M at knn 3.
    assert network.multiply_adds == pytest.approx(4.38e6, rel=0.01)


@pytest.mark.parametrize("knn", range(1, 7))
def test_skipping_zeros_changes_nothing(knn: int) -> None:
    network = small(knn=knn)
    for frames in (0, 1, 15, 16, 300):
        x = noise(frames, 17, 2)
        with torch.no_grad():
            assert_close(network(x), network.layers(x), atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("mask_type", MASKS)
def test_every_kind_of_mask_in_every_path(mask_type: str) -> None:
    network, x = small(mask_type=mask_type, knn=2), noise(40, 17, 2)
    with torch.no_grad():
        expected = network.layers(x)
        assert_close(network(x), expected, atol=2e-5, rtol=2e-5)
        assert_close(FoldedLCN(network)(x), expected, atol=2e-5, rtol=2e-5)
    assert network.mask().shape == (17, 17)


def test_a_joint_hears_of_its_neighbours_alone() -> None:
    network = small(knn=1, layers=0)
    jacobian = torch.autograd.functional.jacobian(lambda x: network.layers(x[None])[0], noise(17, 2))
    heard = jacobian.abs().sum(dim=(1, 3)) > 0  # output joint, input joint; two layers reach two steps
    two_steps = LCN(LCNConfig(channels=1, layers=0, knn=2)).fixed_mask != 0
    assert torch.equal(heard, two_steps.T)


def test_a_learnable_mask_starts_as_asked_and_is_trained() -> None:
    same = small(mask_type="locally_connected_learnable", knn=1)
    assert_close(same.mask_logits.detach(), same.fixed_mask)
    ones = small(mask_type="locally_connected_learnable", mask_start="ones", knn=1)
    assert_close(ones.mask().detach(), ones.fixed_mask / 17)
    drawn = small(mask_type="locally_connected_learnable", mask_start="random", knn=1).mask_logits
    assert 0 <= drawn.min() < drawn.max() <= 1
    same(noise(2, 17, 2)).square().sum().backward()
    assert same.mask_logits.grad is not None
    assert same.mask_logits.grad.abs().sum() > 0


def test_the_norm_is_clipped_before_the_mask_and_at_inference() -> None:
    network = small(layers=0)
    linear, mask = network.input, network.mask()
    with torch.no_grad():
        linear.weight.mul_(10 / linear.weight.norm())
        masked = linear.masked(mask)
        blocks = (linear.weight / 10).view(17, 2, 17, 4) * mask[:, None, :, None]
        assert_close(masked, blocks.reshape(34, 68))
        linear.weight.mul_(0.05)
        assert_close(linear.masked(mask), 5 * masked * 0.1)  # a norm of 0.5 is left alone


def test_batch_norm_is_shared_by_joints_and_follows_biased_variances() -> None:
    norm = JointNorm(4).train()
    x = 3 + 2 * noise(10, 17 * 4)
    y = norm(x)
    samples = x.view(170, 4).double().numpy()
    expected = (samples - samples.mean(0)) / np.sqrt(samples.var(0) + 1e-3)
    np.testing.assert_allclose(y.detach().view(170, 4), expected, atol=1e-5)
    np.testing.assert_allclose(norm.running_mean, 0.01 * samples.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norm.running_var, 0.99 + 0.01 * samples.var(0), rtol=1e-5)
    norm.eval()
    scale, shift = norm.scale_and_shift()
    assert_close(norm(x), (x.view(10, 17, 4) * scale + shift).flatten(1), atol=1e-5, rtol=1e-5)


def test_confidence_is_read_but_not_added() -> None:
    network = small(in_features=3)
    with torch.no_grad():
        for parameter in network.output.parameters():
            parameter.zero_()
        x = noise(20, 17, 3)
        assert_close(network(x), torch.cat([x[..., :2], torch.zeros(20, 17, 1)], dim=-1))


def test_a_change_of_weights_is_seen() -> None:
    network, x = small(), noise(20, 17, 2)
    with torch.no_grad():
        before = network(x)
        network.output.bias.add_(1)
        assert_close(network(x), before + 1, atol=1e-5, rtol=0)
        network.input_activation.norm.running_mean.add_(0.5)
        assert_close(network(x), network.layers(x), atol=1e-5, rtol=1e-5)
        for copied in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
            assert copied.packed() is not network.packed()
            assert_close(copied(x), network(x))
    with torch.inference_mode():
        assert_close(small()(x), before)


def test_dropout_acts_in_training_alone_and_gradients_flow() -> None:
    network, x = small(dropout=0.5), noise(4, 17, 2)
    assert torch.equal(network(x), network(x))
    network.train()
    assert not torch.equal(network(x), network(x))
    network(x).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    exact = small(channels=2, layers=1).double()
    assert torch.autograd.gradcheck(exact, (noise(2, 17, 2).double().requires_grad_(),))


def test_initial_values_are_cut_at_two_deviations() -> None:
    torch.manual_seed(0)
    network = LCN(LCNConfig(channels=8, layers=1))
    weight, bias = network.blocks[0].first.weight, network.blocks[0].first.bias  # type: ignore[union-attr]
    for tensor in (weight, bias):
        limit = 2 * (2 / 136) ** 0.5
        assert 0.9 * limit < tensor.abs().max() <= limit  # type: ignore[operator, union-attr]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"neighbours": ((1,), ())}, "do not name it"),
        ({"neighbours": ((0,),)}, "expected other joints"),
        ({"neighbours": ()}, "a list for each joint"),
        ({"mask_type": "laplacian"}, "limb_lengths are needed"),
        ({"limb_lengths": LENGTHS}, "State both or neither"),
        ({"mask_type": "laplacian", "limb_lengths": (1.0,)}, "one an edge"),
        ({"knn": 0}, "greater than or equal"),
        ({"in_features": 4}, "2 or 3"),
        ({"chanels": 3}, "chanels"),
    ],
)
def test_configs_that_make_no_network_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LCNConfig(**fields)


def test_another_graph_is_data() -> None:
    triangle = LCN(LCNConfig(neighbours=((1, 2), (0, 2), (0, 1)), channels=3, layers=1)).eval()
    with torch.no_grad():
        assert triangle(noise(5, 3, 2)).shape == (5, 3, 3)
    assert LCNConfig.model_validate_json(triangle.config.model_dump_json()) == triangle.config


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"N, J=17, C=2\), got \(3, 17, 3\)\. This LCN takes one frame a row: x, y\."):
        small()(noise(3, 17, 3))
    with pytest.raises(ShapeError, match="x, y, confidence"):
        small(in_features=3)(noise(3, 34))
