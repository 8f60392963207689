"""Bodies that move as people do, a little, and where their joints are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from poseworks.core.body_models import SMPL, load_body
from poseworks.core.skeletons import COCO_17
from poseworks.mesh_recovery.fitting.folded import FoldedPoints
from poseworks.mesh_recovery.fitting.matching import Candidates
from poseworks.mesh_recovery.fitting.starts import typical_candidates
from poseworks.mesh_recovery.named_joints import NamedJoints


@pytest.fixture(scope="session")
def body() -> SMPL:
    """The free body."""
    return load_body("free")


@pytest.fixture(scope="session")
def gestures() -> Tensor:
    """(20, 24, 3) axis-angles of someone who swings arms and legs, bends knees and elbows and turns."""
    time = torch.linspace(0, 1, 20)
    pose = torch.zeros(20, 24, 3)
    swing = (2 * torch.pi * time).sin()
    pose[:, 0, 1] = 0.8 * time
    pose[:, 1, 0], pose[:, 2, 0] = -0.5 * swing - 0.2, 0.5 * swing - 0.2
    pose[:, 4, 0], pose[:, 5, 0] = 0.5 + 0.4 * swing, 0.5 - 0.4 * swing
    pose[:, 16, 2], pose[:, 17, 2] = -1.1 + 0.2 * swing, 1.1 + 0.2 * swing
    pose[:, 18, 1], pose[:, 19, 1] = -0.6 + 0.3 * swing, 0.6 + 0.3 * swing
    pose[:, 3, 0], pose[:, 12, 0] = 0.1 * swing, 0.2 * swing
    return pose


@pytest.fixture(scope="session")
def upright(body: SMPL) -> Candidates:
    """The typical poses with COCO's joints."""
    return typical_candidates(FoldedPoints(body, NamedJoints(body, COCO_17.joint_names)), torch.zeros(10))
