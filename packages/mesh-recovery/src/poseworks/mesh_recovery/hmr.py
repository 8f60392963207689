"""HMR: the parameters of a body from one picture, found by correcting a mean again and again (Kanazawa et al. 2018).

    x = mean of the backbone's map                                        (N, 2048)
    parameters_0 = mean pose, shape and camera                            24 x 6 + 10 + 3 = 157 numbers
    h = drop(W2 drop(W1 [x, parameters_t]))                               sec. 3.2; no activation in between
    parameters_t+1 = parameters_t + D h                                   three times

The pose is held as two columns of each rotation (Zhou et al. 2019), as in all code since SPIN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from pydantic import BaseModel, Field, PositiveInt, model_validator
from torch import Tensor, nn

from poseworks.core.errors import ShapeError
from poseworks.core.rotations import six_d_to_matrix
from poseworks.core.shapes import expect_shape
from poseworks.mesh_recovery.backbones import BackboneConfig, HRNetConfig, ResNetConfig, expect_images, map_backbone
from poseworks.mesh_recovery.backbones.folded import PictureNetwork
from poseworks.mesh_recovery.crops import AFFINE_224, Preparation
from poseworks.mesh_recovery.meshes import BodyName

if TYPE_CHECKING:
    from typing import Self

JOINTS = 24
MEAN_CAMERA = (0.9, 0.0, 0.0)


class BodyParameters(NamedTuple):
    """A body and the camera that sees it in the crop."""

    rotations: Tensor  # (N, 24, 3, 3), of each joint relative to its parent; the first turns the whole body
    betas: Tensor  # (N, 10)
    camera: Tensor  # (N, 3): s, tx, ty


class HMRConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes of an HMR. The defaults are the published network on ResNet-50.

    Attributes:
        feature_size: of the picture's feature. A map of as many channels is averaged over its places; another map is
            read row by row as so many rows, which are averaged: so the published networks on HRNet do it.
        body: whose shape the betas describe.
    """

    kind: Literal["hmr"] = "hmr"
    backbone: BackboneConfig = ResNetConfig()
    feature_size: PositiveInt = 2048
    hidden: PositiveInt = 1024
    iterations: PositiveInt = 3
    betas: PositiveInt = 10
    body: BodyName = "smpl"
    dropout: float = Field(0.5, ge=0, lt=1)

    @model_validator(mode="after")
    def _backbone_gives_one_map(self) -> Self:
        if isinstance(self.backbone, HRNetConfig):
            if self.backbone.features == "classified":
                raise ValueError("backbone.features: classified gives no single map. Expected upsampled, downsampled.")
        elif self.backbone.channels != self.feature_size:
            raise ValueError(
                f"feature_size is {self.feature_size}, the backbone gives {self.backbone.channels} channels. "
                "State the backbone's."
            )
        return self


class IterativeRegressor(nn.Module):
    """Features (..., F) -> parameters of bodies and cameras. Leading axes are free: (N, F), or (N, T, F) of clips."""

    mean_pose: Tensor
    mean_betas: Tensor
    mean_camera: Tensor

    def __init__(self, features: int, hidden: int, betas: int, iterations: int, dropout: float) -> None:
        super().__init__()
        self.iterations = iterations
        pose = 6 * JOINTS
        self.first = nn.Linear(features + pose + betas + 3, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.pose = nn.Linear(hidden, pose)
        self.betas = nn.Linear(hidden, betas)
        self.camera = nn.Linear(hidden, 3)
        for layer in (self.pose, self.betas, self.camera):
            nn.init.xavier_uniform_(layer.weight, gain=0.01)
        t_pose = torch.tensor([1.0, 0, 0, 1, 0, 0]).expand(JOINTS, -1).contiguous()
        t_pose[0, 3] = -1  # half a turn about x: upright before a camera, whose y axis points down
        self.register_buffer("mean_pose", t_pose.reshape(1, -1))
        self.register_buffer("mean_betas", torch.zeros(1, betas))
        self.register_buffer("mean_camera", torch.tensor([MEAN_CAMERA]))

    def forward(self, features: Tensor, iterations: int | None = None) -> BodyParameters:
        """(..., F) -> rotations (..., 24, 3, 3), betas (..., 10), camera (..., 3); `iterations` default: the config's.

        Raises:
            ShapeError: the last axis has another size.
        """
        wanted = self.first.in_features - self.pose.out_features - self.betas.out_features - 3
        expect_shape("features", features, f"... F={wanted}")
        leading = features.shape[:-1]
        pose = self.mean_pose.expand(*leading, -1)
        betas = self.mean_betas.expand(*leading, -1)
        camera = self.mean_camera.expand(*leading, -1)
        for _ in range(self.iterations if iterations is None else iterations):
            h = self.dropout(self.first(torch.cat([features, pose, betas, camera], dim=-1)))
            h = self.dropout(self.second(h))
            pose, betas, camera = pose + self.pose(h), betas + self.betas(h), camera + self.camera(h)
        return BodyParameters(six_d_to_matrix(pose.reshape(*leading, JOINTS, 6), "columns"), betas, camera)


class HMR(PictureNetwork):
    """(N, 3, H, W) pictures, normalised -> `BodyParameters`.

    Attributes:
        preparation: how pictures are cropped, and what the camera means.
        source, sha256: where the weights came from, and the SHA-256 of their file.
    """

    preparation: Preparation = AFFINE_224
    source: str = ""
    sha256: str = ""

    def __init__(self, config: HMRConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or HMRConfig()
        self.backbone = map_backbone(c.backbone)
        self.regressor = IterativeRegressor(c.feature_size, c.hidden, c.betas, c.iterations, c.dropout)

    def forward(self, images: Tensor) -> BodyParameters:
        """(N, 3, H, W) -> rotations (N, 24, 3, 3), betas (N, 10), camera (N, 3).

        Raises:
            ShapeError: another shape, or one that gives no feature of the config's size.
        """
        parameters: BodyParameters = self.regressor(self.features(images))
        return parameters

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, F); raises as `forward`."""
        expect_images(images, self.config.backbone)
        images, (backbone,) = self.seeing(images)
        features: Tensor = backbone(images)
        size, numbers = self.config.feature_size, math.prod(features.shape[1:])
        if numbers % size:
            raise ShapeError(
                f"images: {tuple(images.shape[2:])} give a map of {tuple(features.shape[1:])}, which cannot be read as "
                f"{size} rows. Use the size that the weights were made for, such as 224 x 224."
            )
        # shape[0], as len() would fix an exported batch; no -1, as there may be no picture
        return features.reshape(features.shape[0], size, numbers // size).mean(dim=-1)
