"""GraphCMR against the published networks, and the gradient of its rotations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import ConfigError
from poseworks.core.testing import ReferenceCase, seeded_input
from poseworks.mesh_recovery import GraphCMR, GraphCMRConfig, ResNetConfig
from poseworks.mesh_recovery.graphcmr import nearest_rotation
from poseworks.mesh_recovery.meshes import BodyMesh
from poseworks.mesh_recovery.names import published_names

Case = Callable[[str], ReferenceCase]


@pytest.fixture(scope="module")
def published(case: Case, mesh: BodyMesh) -> GraphCMR:
    """Both networks of the paper with the tensors of their cases."""
    parts = {"graph_cnn": "graphcmr_graphcnn", "smpl_param_regressor": "graphcmr_smpl_regressor"}
    tensors = {f"{part}.{n}": x for part, name in parts.items() for n, x in case(name).state_dict().items()}
    network = GraphCMR(GraphCMRConfig(), mesh)
    network.load_state_dict({n: tensors[t] for n, t in published_names("graphcmr", network.state_dict()).items()})
    return network.eval().requires_grad_(False)


def test_meshes_equal_the_published_network(published: GraphCMR, case: Case) -> None:
    expected = case("graphcmr_graphcnn")
    found = published(expected.inputs["input"])
    assert found.vertices.shape == (1, 6890, 3)
    for ours, name in (
        (found.vertices_sub, "vertices_sub"), (found.camera, "camera"), (found.vertices[:, ::5], "vertices_full")
    ):  # fmt: skip
        assert_close(ours, expected.outputs[name], rtol=1e-4, atol=1e-4)
    assert found.rotations is not None
    assert_close(torch.linalg.det(found.rotations), torch.ones(1, 24))


def test_parameters_equal_the_published_network(published: GraphCMR, case: Case) -> None:
    expected = case("graphcmr_smpl_regressor")
    vertices = torch.from_numpy(seeded_input("graphcmr_vertices", (3, 1723, 3), 0.5))
    regressor = published.regressor
    assert regressor is not None
    matrices, betas = regressor.matrices(vertices, published.reference)
    rotations, same = regressor(vertices, published.reference)
    assert_close(torch.cat([matrices.flatten(1), betas], dim=1), expected.outputs["raw"], rtol=1e-4, atol=1e-4)
    assert_close(rotations, expected.outputs["rotmat"], rtol=1e-4, atol=1e-4)
    assert_close(same, expected.outputs["betas"], rtol=1e-4, atol=1e-4)
    assert sum(p.numel() for p in regressor.parameters()) == expected.manifest["parameters"]


def test_neither_the_body_nor_its_mesh_is_part_of_the_weights(published: GraphCMR) -> None:
    names = set(published.state_dict())
    assert {name.split(".")[0] for name in names} == {"backbone", "graph", "regressor"}
    assert names == set(published_names("graphcmr", names))


def test_rotations_are_the_nearest_and_have_a_gradient_where_singular_values_are_equal() -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(6, 3, 3, generator=generator, dtype=torch.float64)
    rotations = nearest_rotation(matrices)
    assert_close(rotations @ rotations.mT, torch.eye(3, dtype=torch.float64).expand(6, 3, 3))
    assert_close(torch.linalg.det(rotations), torch.ones(6, dtype=torch.float64))
    assert_close(nearest_rotation(rotations), rotations)
    spread = matrices + 2 * torch.eye(3, dtype=torch.float64)
    assert torch.autograd.gradcheck(nearest_rotation, spread.requires_grad_())
    equal = torch.eye(3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    (nearest_rotation(equal) * weights).sum().backward()
    assert equal.grad is not None
    assert_close(equal.grad, (weights - weights.T) / 2)  # what is symmetric leaves the rotation where it is


def small(mesh: BodyMesh, **sizes: object) -> GraphCMR:
    torch.manual_seed(0)
    return GraphCMR(GraphCMRConfig(backbone=ResNetConfig(width=4, blocks=(1, 1, 1, 1)), **sizes), mesh)


def test_gradients_reach_everything_that_is_learned(mesh: BodyMesh) -> None:
    network = small(mesh, channels=64, layers=1, hidden=16)
    found = network(torch.randn(2, 3, 64, 64))
    loss = found.vertices.sum() + found.camera.sum() + found.betas.sum() + found.rotations[..., 0, 1].sum()
    loss.backward()
    without = [n for n, p in network.named_parameters() if p.grad is None]
    assert not without


def test_without_the_second_network_there_are_no_parameters(mesh: BodyMesh) -> None:
    with torch.no_grad():
        found = small(mesh, channels=64, layers=0, parameters=False).eval()(torch.zeros(1, 3, 64, 64))
    assert found.rotations is None
    assert found.betas is None


def test_a_mesh_of_other_sizes_or_of_another_body_is_refused(mesh: BodyMesh) -> None:
    with pytest.raises(
        ConfigError, match=r"the config is of 1000 vertices of the body 'smpl', the mesh has 1723 of 'smpl'"
    ):
        GraphCMR(GraphCMRConfig(vertices=1000), mesh)
    with pytest.raises(ConfigError, match=r"of the body 'free', the mesh has 1723 of 'smpl'"):
        GraphCMR(GraphCMRConfig(body="free"), mesh)


def test_reference_vertices_are_centred_by_their_box(mesh: BodyMesh) -> None:
    reference = mesh.reference_vertices()
    template: Tensor = mesh.body.surface.template
    middle = (template.amax(0) + template.amin(0)) / 2
    assert_close(reference, ((template - middle) / (template - middle).abs().max())[:6890:4][:1723])
