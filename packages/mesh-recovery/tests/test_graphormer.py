"""Graphormer against the published network, and by what must hold of any of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.testing import ReferenceCase, value_of
from poseworks.mesh_recovery import Graphormer, GraphormerConfig, HRNetConfig, body_mesh
from poseworks.mesh_recovery.backbones.hrnet import ImageFeatures
from poseworks.mesh_recovery.graphormer import Mesh, MeshTransformer, draw_masks
from poseworks.mesh_recovery.meshes import BodyMesh, SparseMap
from poseworks.mesh_recovery.names import published_names

Case = Callable[[str], ReferenceCase]
SMALL = GraphormerConfig(
    backbone=HRNetConfig(features="classified", width=4, stem=8, modules=(1, 1, 1), blocks=1, head_width=2),
    hidden=(16, 16, 8), outputs=(12, 8, 3), layers=1, camera_hidden=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def transformer(case: Case) -> MeshTransformer:
    """The encoders and heads of the published sizes, with the tensors of both cases, which are the same."""
    published = case("graphormer_transformer")
    with torch.device("meta"):
        network = MeshTransformer(GraphormerConfig())
    network.load_state_dict(drawn("transformer", network, published), assign=True)
    return network.eval().requires_grad_(False)


def drawn(part: str, module: nn.Module, published: ReferenceCase) -> dict[str, Tensor]:
    """The tensors of a part of the published network, and of the file's others none, half of which are word tables."""
    called = published_names("graphormer", [f"{part}.{name}" for name in module.state_dict()])
    scale = published.manifest.get("scale", {})
    return {
        ours.removeprefix(f"{part}."): torch.from_numpy(
            np.asarray(value_of(theirs, published.shapes[theirs]) * np.float32(scale.get(theirs, 1)))
        )
        for ours, theirs in called.items()
    }


def assert_equal(found: Mesh, outputs: Mapping[str, Tensor]) -> None:
    assert found.vertices_sub.shape[1:] == (1723, 3)
    assert found.vertices.shape[1:] == (6890, 3)
    for ours, expected in (
        (found.camera, outputs["camera"].view(-1, 3)), (found.joints, outputs["joints"]),
        (found.vertices_coarse, outputs["vertices_sub2"]), (found.vertices_sub[:, ::2], outputs["vertices_sub"]),
        (found.vertices[:, ::10], outputs["vertices_full"]),
    ):  # fmt: skip
        assert_close(ours, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["graphormer_transformer", "graphormer_transformer_masked"])
def test_meshes_equal_the_published_network(
    name: str, transformer: MeshTransformer, case: Case, mesh: BodyMesh
) -> None:
    published = case(name)
    given = published.inputs
    features = ImageFeatures(given["image_feature"], given["grid_feature"])
    masked = None
    if "masked" in name:
        masked = torch.zeros(1, 445, dtype=torch.bool)
        masked[:, ::7] = True
    neighbours = SparseMap(mesh.levels.adjacency(2))
    found = transformer(features, given["template_joints"], given["template_vertices"], neighbours, masked)
    assert_equal(found, published.outputs)


@pytest.mark.long
@torch.no_grad()
def test_pictures_give_the_meshes_of_the_published_network(
    transformer: MeshTransformer, case: Case, mesh: BodyMesh
) -> None:
    published = case("graphormer_hrnet_w64")
    with torch.device("meta"):
        network = Graphormer(GraphormerConfig(), mesh)
    network.backbone.load_state_dict(drawn("backbone", network.backbone, published), assign=True)
    network.transformer, network.neighbours = transformer, SparseMap(mesh.levels.adjacency(2))
    given = published.inputs
    found = network.eval()(given["image"], (given["template_joints"], given["template_vertices"]))
    assert_equal(found, published.outputs)


def test_the_published_file_holds_these_tensors_and_some_that_are_never_used(case: Case) -> None:
    published = case("graphormer_hrnet_w64")
    with torch.device("meta"):
        network = MeshTransformer(GraphormerConfig())
    called = published_names("graphormer", [f"transformer.{name}" for name in network.state_dict()])
    assert {t: tuple(network.state_dict()[n.removeprefix("transformer.")].shape) for n, t in called.items()} == {
        name: published.shapes[name] for name in called.values()
    }
    rest = [name for name in published.shapes if name not in called.values() and not name.startswith("backbone.")]
    assert all(".bert.embeddings." in name or ".bert.pooler." in name or ".skip_conv." in name for name in rest)


def small(mesh: BodyMesh, config: GraphormerConfig = SMALL) -> Graphormer:
    torch.manual_seed(0)
    return Graphormer(config, mesh)


def template() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(14, 3, generator=generator), torch.randn(431, 3, generator=generator)


def test_gradients_reach_everything_that_is_learned(mesh: BodyMesh) -> None:
    network = small(mesh)
    found = network(torch.randn(2, 3, 64, 64), template())
    (found.vertices.sum() + found.joints.sum() + found.camera.sum()).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None]
    assert not without


@torch.no_grad()
def test_pictures_of_a_batch_do_not_see_each_other_and_one_keeps_its_axes(mesh: BodyMesh) -> None:
    network = small(mesh).eval()
    images = torch.randn(3, 3, 64, 64)
    together = network(images, template())
    alone = network(images[1:2], template())
    assert alone.camera.shape == (1, 3)
    for ours, other in zip(alone, together, strict=True):
        assert_close(ours, other[1:2], rtol=1e-4, atol=1e-5)
    hidden = torch.zeros(1, 445, dtype=torch.bool)
    assert_close(network(images[1:2], template(), hidden).joints, alone.joints)
    hidden[:, 20] = True
    assert not torch.allclose(network(images[1:2], template(), hidden).vertices_coarse, alone.vertices_coarse)


@torch.no_grad()
def test_the_template_is_the_body_upside_down(
    body_files: dict[str, Path], leg_regressor: np.ndarray, tmp_path: Path
) -> None:
    with pytest.raises(
        DataError, match=r"needs the joints of Human3.6M: put J_regressor_h36m.npy beside the body's file"
    ):
        small(body_mesh(**body_files))(torch.zeros(1, 3, 64, 64))
    body = tmp_path / "SMPL_NEUTRAL.npz"
    body.symlink_to(body_files["body"])
    found = {}
    for name, order in (("J_regressor_h36m.npy", slice(None)), ("J_regressor_h36m_correct.npy", [0, 4, 5, 6, 1, 2, 3])):
        matrix = leg_regressor.copy()
        matrix[:7] = matrix[:7][order]
        np.save(tmp_path / name, matrix)
        network = small(body_mesh(body_files["mesh"], body)).eval()
        found[name] = network.template()
        assert_close(network(torch.zeros(1, 3, 64, 64)), network(torch.zeros(1, 3, 64, 64), found[name]))
        (tmp_path / name).unlink()
    first, second = found.values()
    assert_close(first, second)  # which leg comes first in the file is told by the body
    joints, vertices = first
    assert joints[2, 0] < 0 < joints[3, 0]  # right hip, left hip
    rest = body_mesh(**body_files).body.surface.template
    turned = rest * torch.tensor([1.0, -1, -1])
    pelvis = torch.from_numpy(leg_regressor[0]) @ turned
    coarse = turned[:6890:4][:1723][::4][:431]
    offset = vertices - (coarse - pelvis)
    assert offset.std(dim=0).max() < 2e-3  # a constant beside it: the body turns about its pelvis, not the origin


def test_the_free_body_has_a_template_of_its_own() -> None:
    joints, vertices = body_mesh(None, "free").template()
    assert joints[13, 1] < joints[12, 1] < joints[2, 1] < joints[0, 1]  # head top, thorax, hip, ankle: upside down
    assert joints[2, 0] < 0 < joints[3, 0]
    assert vertices[:, 1].argmin() != vertices[:, 1].argmax()
    assert vertices.shape == (431, 3)


def test_masks_hide_up_to_a_share_of_joints_and_of_vertices() -> None:
    masks = draw_masks(2000, 431, torch.Generator().manual_seed(0))
    assert masks.shape == (2000, 445)
    joints, vertices = masks[:, :14].sum(1), masks[:, 14:].sum(1)
    assert joints.max() == 4  # floor(0.3 x 14)
    assert vertices.max() <= 129
    assert abs(vertices.float().mean() - 0.15 * 431) < 2
    assert masks.float().mean(0)[14:].std() < 0.02  # every vertex as often as another
    assert torch.equal(masks[:5], draw_masks(2000, 431, torch.Generator().manual_seed(0))[:5])


def test_faults_are_named(mesh: BodyMesh) -> None:
    network = small(mesh)
    with pytest.raises(ShapeError, match=r"\(288, 288\) give 81 places, 67 are the most .* Use 224 x 224"):
        network(torch.zeros(1, 3, 288, 288), template())
    with pytest.raises(ShapeError, match=r"template vertices: expected \(V=431, C=3\), got \(14, 3\)"):
        network(torch.zeros(1, 3, 64, 64), (torch.zeros(14, 3), torch.zeros(14, 3)))
    with pytest.raises(ShapeError, match=r"masked: expected \(N=1, T=445\)"):
        network(torch.zeros(1, 3, 64, 64), template(), torch.zeros(2, 445, dtype=torch.bool))
    with pytest.raises(ConfigError, match=r"the mesh has \(6890, 1723, 431\) of 'smpl'"):
        small(mesh, SMALL.model_copy(update={"vertices": (6890, 1723, 400)}))
    with pytest.raises(ValueError, match="a Graphormer reads the picture's feature and a grid: classified"):
        GraphormerConfig(backbone=HRNetConfig())
    with pytest.raises(ValueError, match=r"hidden: \[10\] are no multiples of heads 4"):
        GraphormerConfig(hidden=(16, 16, 10))
