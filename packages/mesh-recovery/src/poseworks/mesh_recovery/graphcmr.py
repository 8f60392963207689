"""GraphCMR: move the vertices of a mesh by graph convolutions that all see the picture (Kolotouros et al. 2019, CVPR).

    X_0 = [reference vertex, feature of the picture]              2051 numbers a vertex, 1723 vertices     sec. 3.2
    Y = A X W + b            A: neighbours and itself, each row's entries equal and of sum 1                (1)
    residual block           x + linear(relu(norm(graph(relu(norm(linear(relu(norm(x)))))))))               sec. 3.2
    shape = 3 numbers a vertex;   camera = s, tx, ty from one number a vertex

A second network regresses the parameters of SMPL from the vertices (sec. 3.4): 24 matrices, each brought to the nearest
rotation, and betas. Norms are over groups of 8 channels.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.shapes import expect_shape
from poseworks.mesh_recovery.backbones import ResNet, ResNetConfig, expect_images
from poseworks.mesh_recovery.backbones.folded import PictureNetwork
from poseworks.mesh_recovery.crops import PIXELS_ORTHOGRAPHIC_224, Preparation
from poseworks.mesh_recovery.hmr import JOINTS
from poseworks.mesh_recovery.meshes import BodyMesh, BodyName, SparseMap

_GROUP = 8  # channels that a norm shares


class GraphCMRConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes of a GraphCMR. The defaults are the published networks.

    Attributes:
        vertices: of the mesh that it works on.
        parameters: whether the network that regresses SMPL's parameters is there.
        body: the body whose mesh the weights were trained on.
    """

    kind: Literal["graphcmr"] = "graphcmr"
    backbone: ResNetConfig = ResNetConfig()
    vertices: PositiveInt = 1723
    channels: int = Field(256, ge=64, multiple_of=64)
    layers: NonNegativeInt = 5
    parameters: bool = True
    hidden: PositiveInt = 1024  # of the second network
    betas: PositiveInt = 10
    body: BodyName = "smpl"


class MeshAndBody(NamedTuple):
    """A mesh, the camera that sees it in the crop, and SMPL's parameters of it, None without the second network."""

    vertices_sub: Tensor  # (N, 1723, 3)
    vertices: Tensor  # (N, 6890, 3)
    camera: Tensor  # (N, 3): s, tx, ty
    rotations: Tensor | None  # (N, 24, 3, 3)
    betas: Tensor | None  # (N, 10)


class VertexNorm(nn.GroupNorm):
    """(N, V, C) -> the same: over all vertices and 8 channels at a time."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels // _GROUP, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, V, C) -> the same."""
        return super().forward(x.mT).mT


class VertexLinear(nn.Linear):
    """The same linear map at every vertex: (N, V, a) -> (N, V, b)."""

    def reset_parameters(self) -> None:
        """As published: uniform in +-1 / (a b)."""
        bound = 1 / (self.in_features * self.out_features)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)


class GraphConvolution(nn.Module):
    """Equation (1): (N, V, a) -> (N, V, b)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = (6 / (inputs + outputs)) ** 0.5
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, neighbours: nn.Module) -> Tensor:
        """(N, V, a) -> (N, V, b)."""
        out: Tensor = neighbours(x @ self.weight) + self.bias
        return out


class GraphBlock(nn.Module):
    """The residual block: (N, V, a) -> (N, V, b)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.norm1, self.linear1 = VertexNorm(inputs), VertexLinear(inputs, half)
        self.norm2, self.graph = VertexNorm(half), GraphConvolution(half, half)
        self.norm3, self.linear2 = VertexNorm(half), VertexLinear(half, outputs)
        self.skip = VertexLinear(inputs, outputs) if inputs != outputs else None

    def forward(self, x: Tensor, neighbours: nn.Module) -> Tensor:
        """(N, V, a) -> (N, V, b)."""
        y = self.linear1(F.relu(self.norm1(x)))
        y = self.graph(F.relu(self.norm2(y)), neighbours)
        y = self.linear2(F.relu(self.norm3(y)))
        out: Tensor = y + (x if self.skip is None else self.skip(x))
        return out


class GraphNetwork(nn.Module):
    """A feature (N, F) of the picture and reference vertices (V, 3) -> vertices (N, V, 3) and camera (N, 3)."""

    def __init__(self, features: int, config: GraphCMRConfig) -> None:
        super().__init__()
        c = config
        self.input = VertexLinear(3 + features, 2 * c.channels)
        self.blocks = nn.ModuleList(
            [GraphBlock(2 * c.channels, c.channels), *(GraphBlock(c.channels, c.channels) for _ in range(c.layers))]
        )
        self.shape_blocks = nn.ModuleList([GraphBlock(c.channels, 64), GraphBlock(64, 32)])
        self.shape_norm, self.shape = VertexNorm(32), VertexLinear(32, 3)
        self.camera_norm, self.camera_vertex = VertexNorm(c.channels), VertexLinear(c.channels, 1)
        self.camera = nn.Linear(c.vertices, 3)

    def start_by_inputs(self) -> None:
        """New weights of the maps at each vertex: uniform in +-1 / sqrt(a), with a the numbers that go in.

        The published ones are so small that the norms' epsilon hides the vertices for hundreds of steps and more.
        """
        for module in self.modules():
            if isinstance(module, VertexLinear):
                nn.Linear.reset_parameters(module)

    def forward(self, feature: Tensor, reference: Tensor, neighbours: nn.Module) -> tuple[Tensor, Tensor]:
        """(N, F), (V, 3) -> (N, V, 3), (N, 3)."""
        # [vertex, feature] W in two products: the feature is the same at all vertices.
        weight = self.input.weight
        x = F.linear(reference, weight[:, :3], self.input.bias) + F.linear(feature, weight[:, 3:])[:, None]
        for block in self.blocks:
            x = block(x, neighbours)
        y = x
        for block in self.shape_blocks:
            y = block(y, neighbours)
        vertices = self.shape(F.relu(self.shape_norm(y)))
        seen = F.relu(self.camera_vertex(F.relu(self.camera_norm(x))))
        return vertices, self.camera(seen[..., 0])


class DenseBlock(nn.Module):
    """relu(x + norm(linear(relu(norm(linear(x)))))): (N, C) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear1, self.norm1 = nn.Linear(channels, channels), nn.BatchNorm1d(channels)
        self.linear2, self.norm2 = nn.Linear(channels, channels), nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C) -> the same."""
        y = self.norm2(self.linear2(F.relu(self.norm1(self.linear1(x)))))
        return F.relu(x + y)


class ParameterRegressor(nn.Module):
    """Vertices (N, V, 3) beside reference vertices (V, 3) -> rotations (N, 24, 3, 3) and betas (N, 10)."""

    def __init__(self, config: GraphCMRConfig) -> None:
        super().__init__()
        c = config
        self.input, self.input_norm = nn.Linear(6 * c.vertices, c.hidden), nn.BatchNorm1d(c.hidden)
        self.blocks = nn.Sequential(DenseBlock(c.hidden), DenseBlock(c.hidden))
        self.output = nn.Linear(c.hidden, 9 * JOINTS + c.betas)

    def matrices(self, vertices: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """(N, V, 3), (V, 3) -> matrices (N, 24, 3, 3) that are no rotations yet, and betas (N, 10).

        Raises:
            ShapeError: a single row in training, which the batch norms cannot take.
        """
        if self.training and vertices.shape[0] == 1:
            raise ShapeError("images: 1 in training, but batch norms need 2 or more. Train with a larger batch.")
        x = torch.cat([vertices, reference.expand_as(vertices)], dim=-1).flatten(1)
        out = self.output(self.blocks(F.relu(self.input_norm(self.input(x)))))
        return out[:, : 9 * JOINTS].unflatten(1, (JOINTS, 3, 3)), out[:, 9 * JOINTS :]

    def forward(self, vertices: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """(N, V, 3), (V, 3) -> (N, 24, 3, 3), (N, 10)."""
        matrices, betas = self.matrices(vertices, reference)
        return nearest_rotation(matrices), betas


class _OrthogonalFactor(torch.autograd.Function):
    """U V^T of A = U S V^T, with a gradient that is finite where singular values are equal.

    With Omega = U^T dA V: d(U V^T) = U X V^T, X_ij = (Omega_ij - Omega_ji) / (s_i + s_j). Sums of singular values stand
    below, not the differences that the derivatives of U and V each have.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, a: Tensor) -> Tensor:
        known = torch.isfinite(a).all(-1, keepdim=True).all(-2, keepdim=True)  # LAPACK refuses all others
        u, s, vt = torch.linalg.svd(torch.where(known, a, 0.0))
        ctx.save_for_backward(u, s, vt)
        factor: Tensor = torch.where(known, u @ vt, torch.nan)
        return factor

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        u, s, vt = ctx.saved_tensors  # type: ignore[attr-defined]
        inner = u.mT @ gradients[0] @ vt.mT
        sums = (s[..., :, None] + s[..., None, :]).clamp(min=1e-6)
        inside: Tensor = u @ ((inner - inner.mT) / sums) @ vt
        return inside


def nearest_rotation(matrices: Tensor) -> Tensor:
    """(..., 3, 3): U V^T of each matrix's singular value decomposition, times its determinant, so that it is 1.

    A matrix that is not finite gives NaN.

    Raises:
        ShapeError: the last axes are not (3, 3).
    """
    expect_shape("matrices", matrices, "... R=3 C=3")
    factor: Tensor = _OrthogonalFactor.apply(matrices)
    rotation: Tensor = factor * torch.linalg.det(factor.detach()).sign()[..., None, None]
    return rotation


class GraphCMR(PictureNetwork):
    """(N, 3, H, W) pictures, normalised -> `MeshAndBody`.

    Attributes:
        preparation: how pictures are cropped, and what the camera means.
        source, sha256: where the weights came from, and the SHA-256 of their file.
    """

    preparation: Preparation = PIXELS_ORTHOGRAPHIC_224
    source: str = ""
    sha256: str = ""
    reference: Tensor

    def __init__(self, config: GraphCMRConfig, mesh: BodyMesh) -> None:
        """New weights on the mesh of a body.

        Raises:
            ConfigError: the mesh has other sizes or is of another body than the config says.
        """
        super().__init__()
        sizes = mesh.levels.sizes
        if sizes[1] != config.vertices or mesh.name != config.body:
            raise ConfigError(
                f"mesh: the config is of {config.vertices} vertices of the body {config.body!r}, the mesh has "
                f"{sizes[1]} of {mesh.name!r}."
            )
        self.config = config
        self.backbone = ResNet(config.backbone)
        self.graph = GraphNetwork(config.backbone.channels, config)
        self.regressor = ParameterRegressor(config) if config.parameters else None
        self.neighbours = SparseMap(mesh.levels.adjacency(1))
        self.up = SparseMap(mesh.levels.up(0))
        self.register_buffer("reference", mesh.reference_vertices(), persistent=False)

    def forward(self, images: Tensor) -> MeshAndBody:
        """(N, 3, H, W) -> vertices at two resolutions, camera (N, 3), rotations (N, 24, 3, 3), betas (N, 10).

        Raises:
            ShapeError: another shape.
        """
        vertices, camera = self.mesh(images)
        rotations, betas = (None, None) if self.regressor is None else self.regressor(vertices, self.reference)
        return MeshAndBody(vertices, self.up(vertices), camera, rotations, betas)

    def mesh(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> vertices (N, 1723, 3) and camera (N, 3); raises as `forward`."""
        expect_images(images, self.config.backbone)
        images, (backbone,) = self.seeing(images)
        feature = backbone(images).mean(dim=(2, 3))
        vertices, camera = self.graph(feature, self.reference, self.neighbours)
        return vertices, camera
