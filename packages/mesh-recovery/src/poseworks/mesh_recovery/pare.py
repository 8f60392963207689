"""PARE: each joint looks where its body part is seen, and is no loss to others when hidden (Kocabas et al. 2021).

    P = part logits (24 parts and background), F = features for bodies, both from the backbone's map    sec. 3.2
    A = softmax over the places of P, background left out
    pose_j = W_j sum_places A_j F,   shape, camera = W [sum_places A_j F' for every joint]              eq. (3)

Every joint has weights of its own. Nothing is added to a mean pose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from pydantic import BaseModel, PositiveInt, model_validator
from torch import Tensor, nn

from poseworks.core.rotations import six_d_to_matrix
from poseworks.mesh_recovery.backbones import HRNetConfig, expect_images, map_backbone
from poseworks.mesh_recovery.backbones.folded import PictureNetwork
from poseworks.mesh_recovery.backbones.hrnet import conv_norm
from poseworks.mesh_recovery.crops import AFFINE_224, Preparation
from poseworks.mesh_recovery.hmr import JOINTS
from poseworks.mesh_recovery.meshes import BodyName

if TYPE_CHECKING:
    from typing import Self


class PAREConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes of a PARE. The defaults are the published network."""

    kind: Literal["pare"] = "pare"
    backbone: HRNetConfig = HRNetConfig()
    layers: PositiveInt = 2  # of 3x3 convolutions before either head
    hidden: PositiveInt = 128  # their channels
    shape_features: PositiveInt = 64  # of each joint, for shape and camera
    betas: PositiveInt = 10
    body: BodyName = "smpl"  # whose shape the betas describe

    @model_validator(mode="after")
    def _backbone_gives_one_map(self) -> Self:
        if self.backbone.features == "classified":
            raise ValueError("backbone.features: classified gives no single map. Expected upsampled.")
        return self


class PartAwareBody(NamedTuple):
    """A body, the camera that sees it in the crop, and where its parts were seen."""

    rotations: Tensor  # (N, 24, 3, 3)
    betas: Tensor  # (N, 10)
    camera: Tensor  # (N, 3): s, tx, ty
    part_logits: Tensor  # (N, 25, H / 4, W / 4), background first


class LocallyConnected(nn.Module):
    """A linear map for each joint, without bias: (N, a, J) -> (N, b, J)."""

    def __init__(self, joints: int, inputs: int, outputs: int) -> None:
        super().__init__()
        # Of the published shape: its last two axes are the size of a kernel, 1 x 1.
        self.weight = nn.Parameter(torch.empty(1, outputs, inputs, joints, 1, 1))
        nn.init.normal_(self.weight, std=inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(N, a, J) -> (N, b, J)."""
        return torch.einsum("bcj,ncj->nbj", self.weight[0, ..., 0, 0], x)


class PartAttention(nn.Module):
    """A map (N, C, H, W) -> `PartAwareBody`."""

    def __init__(self, channels: int, config: PAREConfig) -> None:
        super().__init__()
        c = config
        self.part_layers = _stack(channels, c.hidden, c.layers)
        self.body_layers = _stack(channels, c.hidden, c.layers)
        self.parts = nn.Conv2d(c.hidden, 1 + JOINTS, 1)
        self.shape_layer = nn.Conv2d(c.hidden, c.shape_features, 1)
        self.pose = LocallyConnected(JOINTS, c.hidden, 6)
        self.betas = nn.Linear(JOINTS * c.shape_features, c.betas)
        self.camera = nn.Linear(JOINTS * c.shape_features, 3)
        for layer in (self.betas, self.camera):
            nn.init.xavier_uniform_(layer.weight, gain=0.01)

    def attended(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C, H, W) -> pose features (N, 128, 24), features for shape and camera (N, 64, 24), part logits."""
        logits = self.parts(self.part_layers(features))
        attention = logits[:, 1:].flatten(2).softmax(dim=-1).mT  # (N, H W, 24)
        body = self.body_layers(features)
        return body.flatten(2) @ attention, self.shape_layer(body).flatten(2) @ attention, logits

    def forward(self, features: Tensor) -> PartAwareBody:
        """(N, C, H, W) -> a body."""
        for_pose, for_shape, logits = self.attended(features)
        rotations = six_d_to_matrix(self.pose(for_pose).mT, "columns")
        return PartAwareBody(rotations, self.betas(for_shape.flatten(1)), self.camera(for_shape.flatten(1)), logits)


def _stack(inputs: int, hidden: int, layers: int) -> nn.Sequential:
    made: list[nn.Module] = []
    for layer in range(layers):
        made += [*conv_norm(hidden if layer else inputs, hidden, 3), nn.ReLU(inplace=True)]
    return nn.Sequential(*made)


class PARE(PictureNetwork):
    """(N, 3, H, W) pictures, normalised -> `PartAwareBody`.

    Attributes:
        preparation: how pictures are cropped, and what the camera means.
        source, sha256: where the weights came from, and the SHA-256 of their file.
    """

    preparation: Preparation = AFFINE_224
    source: str = ""
    sha256: str = ""
    see_pictures = ("backbone", "head")

    def __init__(self, config: PAREConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or PAREConfig()
        self.backbone = map_backbone(c.backbone)
        self.head = PartAttention(c.backbone.channels, c)

    def forward(self, images: Tensor) -> PartAwareBody:
        """(N, 3, H, W) -> rotations (N, 24, 3, 3), betas (N, 10), camera (N, 3), part_logits (N, 25, H / 4, W / 4).

        Raises:
            ShapeError: another shape, or sides that 32 does not divide.
        """
        expect_images(images, self.config.backbone)
        images, (backbone, head) = self.seeing(images)
        body: PartAwareBody = head(backbone(images))
        return body
