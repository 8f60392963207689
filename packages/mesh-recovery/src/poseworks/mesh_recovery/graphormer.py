"""Mesh Graphormer: joints, vertices and places of the picture attend to one another (Lin, Wang & Liu 2021, ICCV).

    tokens    14 joints and 431 vertices of a template, each beside the feature of the picture; 49 places of its map
    encoder   embed + position, 4 layers, out = head(h) + residual(x);   three of them: 2051 -> 512 -> 128 -> 3   fig. 2
    layer     a = norm(x + attention(x));  g = a + graph(a) on the vertices;  norm(g + mlp(g))         eqs. (3) to (5)

Graph convolutions are in the last encoder only. The mesh of 431 vertices is brought to 1723 and 6890 by learned linear
maps. In training a share of the joint and vertex tokens is masked (sec. 3.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, PositiveInt, model_validator
from torch import Tensor, nn

from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.shapes import expect_shape
from poseworks.mesh_recovery.backbones import HRNetClassified, HRNetConfig, expect_images
from poseworks.mesh_recovery.backbones.folded import PictureNetwork
from poseworks.mesh_recovery.crops import PIXELS_ORTHOGRAPHIC_224, Preparation
from poseworks.mesh_recovery.graphcmr import GraphConvolution
from poseworks.mesh_recovery.meshes import EVALUATED, BodyMesh, BodyName, SparseMap

if TYPE_CHECKING:
    from typing import Self

    from poseworks.mesh_recovery.backbones.hrnet import ImageFeatures

JOINT_TOKENS = len(EVALUATED)
MASKED = 0.01  # all numbers of a masked token
_NORM_EPS = 1e-12


class GraphormerConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes of a Graphormer. The defaults are the published network; its study says HRNet-W48.

    Attributes:
        vertices: of the meshes, from fine to coarse; tokens are of the coarsest.
        hidden: of each encoder.
        outputs: of each encoder; the last gives x, y, z.
        graph: whether the layers of each encoder have a graph convolution.
        positions: the most tokens that the position embeddings are made for.
        body: the body whose mesh the weights were trained on.
    """

    kind: Literal["graphormer"] = "graphormer"
    backbone: HRNetConfig = HRNetConfig(features="classified", width=64)
    vertices: tuple[PositiveInt, PositiveInt, PositiveInt] = (6890, 1723, 431)
    hidden: tuple[PositiveInt, PositiveInt, PositiveInt] = (1024, 256, 64)
    outputs: tuple[PositiveInt, PositiveInt, Literal[3]] = (512, 128, 3)
    graph: tuple[bool, bool, bool] = (False, False, True)
    layers: PositiveInt = 4
    heads: PositiveInt = 4
    mlp_ratio: PositiveInt = 2
    positions: PositiveInt = 512
    camera_hidden: PositiveInt = 250
    dropout: float = Field(0.1, ge=0, lt=1)
    body: BodyName = "smpl"

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.backbone.features != "classified":
            raise ValueError("backbone.features: a Graphormer reads the picture's feature and a grid: classified.")
        uneven = [size for size in self.hidden if size % self.heads]
        if uneven:
            raise ValueError(f"hidden: {uneven} are no multiples of heads {self.heads}.")
        return self

    @property
    def features(self) -> int:
        """Numbers of a token at the input: x, y, z and the feature of the picture."""
        return 3 + 2 * self.backbone.channels


class Mesh(NamedTuple):
    """Joints and a mesh at three resolutions, and the camera that sees them in the crop."""

    camera: Tensor  # (N, 3): s, tx, ty
    joints: Tensor  # (N, 14, 3)
    vertices_coarse: Tensor  # (N, 431, 3)
    vertices_sub: Tensor  # (N, 1723, 3)
    vertices: Tensor  # (N, 6890, 3)


class Attention(nn.Module):
    """Multi-head self-attention: (N, T, C) -> the same."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = nn.Linear(size, size), nn.Linear(size, size), nn.Linear(size, size)
        self.output = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, C) -> the same."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        out: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return out


class GraphResidual(nn.Module):
    """x + linear(relu(norm(graph(relu(norm(linear(relu(norm(x)))))))): (N, V, C) -> the same."""

    def __init__(self, size: int) -> None:
        super().__init__()
        half = size // 2
        self.norm1, self.linear1 = nn.LayerNorm(size, _NORM_EPS), nn.Linear(size, half)
        self.norm2, self.graph = nn.LayerNorm(half, _NORM_EPS), GraphConvolution(half, half)
        self.norm3, self.linear2 = nn.LayerNorm(half, _NORM_EPS), nn.Linear(half, size)

    def forward(self, x: Tensor, neighbours: nn.Module) -> Tensor:
        """(N, V, C) -> the same."""
        y = self.linear1(F.relu(self.norm1(x)))
        y = self.graph(F.relu(self.norm2(y)), neighbours)
        out: Tensor = x + self.linear2(F.relu(self.norm3(y)))
        return out


class EncoderLayer(nn.Module):
    """Attention, a graph convolution on the vertices where asked for, a small network: (N, T, C) -> the same."""

    def __init__(self, size: int, config: GraphormerConfig, graph: bool) -> None:
        super().__init__()
        self.attention = Attention(size, config.heads, config.dropout)
        self.attention_norm = nn.LayerNorm(size, _NORM_EPS)
        self.graph = GraphResidual(size) if graph else None
        self.expand = nn.Linear(size, config.mlp_ratio * size)
        self.contract = nn.Linear(config.mlp_ratio * size, size)
        self.mlp_norm = nn.LayerNorm(size, _NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)
        self.vertices = config.vertices[-1]

    def forward(self, x: Tensor, neighbours: nn.Module) -> Tensor:
        """(N, T, C), joints first, then vertices -> the same."""
        x = self.attention_norm(x + self.dropout(self.attention(x)))
        if self.graph is not None:
            joints, vertices, places = x.tensor_split([JOINT_TOKENS, JOINT_TOKENS + self.vertices], dim=1)
            x = torch.cat([joints, self.graph(vertices, neighbours), places], dim=1)
        y = self.contract(F.gelu(self.expand(x)))
        out: Tensor = self.mlp_norm(x + self.dropout(y))
        return out


class Encoder(nn.Module):
    """(N, T, a) tokens -> (N, T, b)."""

    def __init__(self, inputs: int, number: int, config: GraphormerConfig) -> None:
        super().__init__()
        c, hidden, outputs = config, config.hidden[number], config.outputs[number]
        self.embedding = nn.Linear(inputs, hidden)
        self.positions = nn.Parameter(torch.zeros(c.positions, hidden))
        self.dropout = nn.Dropout(c.dropout)
        self.layers = nn.ModuleList(EncoderLayer(hidden, c, c.graph[number]) for _ in range(c.layers))
        self.head = nn.Linear(hidden, outputs)
        self.residual = nn.Linear(inputs, outputs)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, x: Tensor, neighbours: nn.Module) -> Tensor:
        """(N, T, a) -> (N, T, b)."""
        h = self.dropout(self.embedding(x) + self.positions[: x.shape[1]])
        for layer in self.layers:
            h = layer(h, neighbours)
        out: Tensor = self.head(h) + self.residual(x)
        return out


class MeshTransformer(nn.Module):
    """Features of a picture and a template -> `Mesh`."""

    def __init__(self, config: GraphormerConfig) -> None:
        super().__init__()
        self.config = c = config
        full, sub, coarse = c.vertices
        inputs = (c.features, *c.outputs[:2])
        self.place = nn.Linear(c.backbone.channels, c.features)
        self.encoders = nn.ModuleList(Encoder(size, number, c) for number, size in enumerate(inputs))
        self.to_sub, self.to_full = nn.Linear(coarse, sub), nn.Linear(sub, full)
        self.camera_vertex = nn.Linear(3, 1)
        self.camera_hidden, self.camera = nn.Linear(coarse, c.camera_hidden), nn.Linear(c.camera_hidden, 3)

    def forward(
        self, features: ImageFeatures, joints: Tensor, vertices: Tensor, neighbours: nn.Module, masked: Tensor | None
    ) -> Mesh:
        """Features of N pictures, joints (14, 3) and vertices (431, 3) of the template -> N meshes.

        `masked`: (N, 445) bool, of the joint and vertex tokens that are hidden; None: none is.
        """
        template = torch.cat([joints, vertices]).expand(features.whole.shape[0], -1, -1)
        picture = features.whole[:, None].expand(-1, template.shape[1], -1)
        tokens = torch.cat([template, picture], dim=-1)
        if masked is not None:
            tokens = torch.where(masked[..., None], tokens.new_tensor(MASKED), tokens)
        x = torch.cat([tokens, self.place(features.grid.flatten(2).mT)], dim=1)
        for encoder in self.encoders:
            x = encoder(x, neighbours)
        found, coarse, _ = x.tensor_split([JOINT_TOKENS, template.shape[1]], dim=1)
        sub = self.to_sub(coarse.mT)
        camera = self.camera(self.camera_hidden(self.camera_vertex(coarse)[..., 0]))
        return Mesh(camera, found, coarse, sub.mT, self.to_full(sub).mT)


class Graphormer(PictureNetwork):
    """(N, 3, H, W) pictures, normalised -> `Mesh`.

    Attributes:
        preparation: how pictures are cropped, and what the camera means.
        source, sha256: where the weights came from, and the SHA-256 of their file.
    """

    preparation: Preparation = PIXELS_ORTHOGRAPHIC_224
    source: str = ""
    sha256: str = ""

    def __init__(self, config: GraphormerConfig, mesh: BodyMesh) -> None:
        """New weights on the mesh of a body.

        Raises:
            ConfigError: the mesh has other sizes or is of another body than the config says.
        """
        super().__init__()
        if mesh.levels.sizes != config.vertices or mesh.name != config.body:
            raise ConfigError(
                f"mesh: the config is of {config.vertices} vertices of the body {config.body!r}, the mesh has "
                f"{mesh.levels.sizes} of {mesh.name!r}."
            )
        self.config = config
        self.backbone = HRNetClassified(config.backbone)
        self.transformer = MeshTransformer(config)
        self.neighbours = SparseMap(mesh.levels.adjacency(2))
        self._mesh = mesh
        self._template: tuple[Tensor, Tensor] | None = None

    def forward(
        self, images: Tensor, template: tuple[Tensor, Tensor] | None = None, masked: Tensor | None = None
    ) -> Mesh:
        """(N, 3, H, W) -> camera (N, 3), joints (N, 14, 3), vertices at three resolutions.

        Args:
            images: pictures.
            template: joints (14, 3) and vertices (431, 3) to start from; None: those of the body that it was built
                with, upside down as published.
            masked: (N, 445) bool: tokens that are hidden, joints first, in training (see `draw_masks`).

        Raises:
            ShapeError: another shape, or sides that 32 does not divide.
            DataError: without a template, a body that has no joints of Human3.6M.
        """
        c = self.config
        expect_images(images, c.backbone)
        tokens = JOINT_TOKENS + c.vertices[-1]
        places = (images.shape[2] // 32) * (images.shape[3] // 32)
        if tokens + places > c.positions:
            raise ShapeError(
                f"images: {tuple(images.shape[2:])} give {places} places, {c.positions - tokens} are the most that "
                "this network has positions for. Use 224 x 224."
            )
        joints, vertices = self.template() if template is None else template
        expect_shape("template joints", joints, f"J={JOINT_TOKENS} C=3")
        expect_shape("template vertices", vertices, f"V={c.vertices[-1]} C=3")
        if masked is not None:
            expect_shape("masked", masked, f"N={len(images)} T={tokens}")
        images, (backbone,) = self.seeing(images)
        mesh: Mesh = self.transformer(backbone(images), joints, vertices, self.neighbours, masked)
        return mesh

    def template(self) -> tuple[Tensor, Tensor]:
        """Joints (14, 3) and vertices (431, 3) of the body that it was built with; raises as `forward`."""
        if self._template is None:
            with torch.no_grad():
                self._template = self._mesh.template()
        device = self.neighbours.values.device
        return self._template[0].to(device), self._template[1].to(device)


def draw_masks(count: int, vertices: int, generator: torch.Generator, most: float = 0.3) -> Tensor:
    """(count, 14 + vertices) bool: of joints and of vertices each a share up to `most` (Lin et al. 2021, sec. 3.4)."""
    masks = []
    for tokens in (JOINT_TOKENS, vertices):
        share = torch.rand(count, 1, generator=generator) * most
        rank = torch.rand(count, tokens, generator=generator).argsort(dim=1).argsort(dim=1)
        masks.append(rank < (share * tokens).floor())
    return torch.cat(masks, dim=1)
