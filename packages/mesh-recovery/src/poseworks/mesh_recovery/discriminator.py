"""The adversary that HMR is trained against: is this the pose and shape of a person? (Kanazawa et al. 2018, sec. 3.3)

h = C2 C1 R_j                of each of the 23 body joints, the same weights, no activation in between
one number a joint:          its own weights on h
one number for the pose:     736 -> 1024 -> 1024 -> 1 on all h
one number for the shape:    10 -> 5 -> 1 on the betas
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, PositiveInt
from torch import Tensor, nn

from poseworks.core.shapes import expect_shape
from poseworks.mesh_recovery.hmr import JOINTS


class DiscriminatorConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes of a discriminator. The defaults are the published one."""

    kind: Literal["smpl_discriminator"] = "smpl_discriminator"
    joint_features: PositiveInt = 32
    pose_hidden: PositiveInt = 1024
    shape_hidden: PositiveInt = 5
    betas: PositiveInt = 10


class Discriminator(nn.Module):
    """Rotations (N, 24, 3, 3) and betas (N, 10) -> (N, 25): one number a body joint, for the pose, for the shape.

    The aim of the network is 1 for people from motion capture and 0 for those that a network made up.
    """

    source: str = ""
    sha256: str = ""

    def __init__(self, config: DiscriminatorConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or DiscriminatorConfig()
        body_joints = JOINTS - 1
        self.joint_layers = nn.Sequential(
            nn.Conv2d(9, c.joint_features, 1), nn.Conv2d(c.joint_features, c.joint_features, 1)
        )
        self.joints = nn.ModuleList(nn.Linear(c.joint_features, 1) for _ in range(body_joints))
        self.pose = nn.Sequential(
            nn.Linear(body_joints * c.joint_features, c.pose_hidden), nn.ReLU(),
            nn.Linear(c.pose_hidden, c.pose_hidden), nn.ReLU(),
            nn.Linear(c.pose_hidden, 1),
        )  # fmt: skip
        self.shape = nn.Sequential(nn.Linear(c.betas, c.shape_hidden), nn.ReLU(), nn.Linear(c.shape_hidden, 1))

    def forward(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """(N, 24, 3, 3), (N, 10) -> (N, 25); the first rotation, which turns the whole body, is not looked at.

        Raises:
            ShapeError: other shapes.
        """
        expect_shape("rotations", rotations, f"N J={JOINTS} R=3 C=3", fix="Axis-angles: axis_angle_to_matrix(pose).")
        expect_shape("betas", betas, f"N B={self.config.betas}")
        body = rotations[:, 1:].flatten(2).mT[:, :, None]  # (N, 9, 1, 23)
        h = self.joint_layers(body)[:, :, 0]  # (N, 32, 23)
        by_joint = [layer(h[:, :, joint]) for joint, layer in enumerate(self.joints)]
        return torch.cat([*by_joint, self.pose(h.flatten(1)), self.shape(betas)], dim=1)
