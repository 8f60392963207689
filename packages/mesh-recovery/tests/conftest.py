"""What the tests of this package share: published checkpoints made again, and a body and mesh as users have them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import Tensor

from poseworks.core.testing import ReferenceCase, reference_cases, seeded_input
from poseworks.core.testing_bodies import body_arrays, synthetic_body, synthetic_regressor
from poseworks.mesh_recovery import (
    HMR,
    PARE,
    SPIN,
    Discriminator,
    DiscriminatorConfig,
    GraphCMR,
    GraphCMRConfig,
    Graphormer,
    GraphormerConfig,
    HMRConfig,
    HRNetConfig,
    PAREConfig,
    ResNetConfig,
    SPINConfig,
)
from poseworks.mesh_recovery.loading import Network
from poseworks.mesh_recovery.meshes import BodyMesh, body_mesh

REFERENCE = Path(__file__).parent / "reference"
SIZES = (6890, 1723, 431)
Tensors = dict[str, Tensor]
RESNET = ResNetConfig(width=4, blocks=(1, 1, 2, 1))
HRNET = {"width": 4, "stem": 8, "modules": (1, 1, 1), "blocks": 1}
CONFIGS = {
    "hmr": HMRConfig(backbone=RESNET, feature_size=128, hidden=16, betas=9),
    "hmr-hrnet": HMRConfig(backbone=HRNetConfig(**HRNET), feature_size=240, hidden=16),
    "spin": SPINConfig(backbone=RESNET, feature_size=128, hidden=16),
    "pare": PAREConfig(backbone=HRNetConfig(**HRNET), layers=1, hidden=8, shape_features=4),
    "graphcmr": GraphCMRConfig(backbone=RESNET, channels=64, layers=2, hidden=8),
    "graphormer": GraphormerConfig(
        backbone=HRNetConfig(features="classified", head_width=2, **HRNET),
        hidden=(16, 16, 8), outputs=(12, 8, 3), layers=1, camera_hidden=8,
    ),
    "discriminator": DiscriminatorConfig(joint_features=4, pose_hidden=8),
}  # fmt: skip


@pytest.fixture(scope="session")
def case() -> Callable[[str], ReferenceCase]:
    """A reference case by name."""
    return lambda name: reference_cases(REFERENCE, name)[0]


@pytest.fixture(scope="session")
def published_tensors() -> Callable[[ReferenceCase], Tensors]:
    """The tensors of a case as its checkpoint holds them: the learned ones, and the constants."""
    mean_pose = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(24)
    mean_pose += 0.1 * torch.from_numpy(seeded_input("smpl_mean_pose", (144,)))
    constants = {
        "init_pose": mean_pose[None],
        "init_shape": torch.from_numpy(seeded_input("smpl_mean_shape", (10,), 0.1))[None],
        "init_cam": torch.tensor([[0.9, 0.0, 0.0]]),
        "temperature": torch.tensor(1.0),
    }

    def tensors(case: ReferenceCase) -> Tensors:
        names = [entry["name"] for entry in case.manifest["constants"] if "shape" in entry]
        return case.state_dict() | {name: constants[name.rsplit(".", 1)[-1]] for name in names}

    return tensors


@pytest.fixture(scope="session")
def body_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A body file and the mesh_downsampling.npz of the reference cases; its entry M needs a package that is absent."""
    folder = tmp_path_factory.mktemp("body")
    np.savez(folder / "SMPL_NEUTRAL.npz", **body_arrays(synthetic_body()))
    foreign = ModuleType("psbody")
    foreign.Mesh = type("Mesh", (), {"__module__": "psbody"})  # type: ignore[attr-defined]
    sys.modules["psbody"] = foreign
    try:
        np.savez(
            folder / "mesh_downsampling.npz",
            A=_objects(_adjacency(level) for level in range(3)),
            D=_objects(_down(level) for level in range(2)),
            U=_objects(_up(level) for level in range(2)),
            F=_objects(np.zeros((count, 3), np.int64) for count in (13776, 3442, 858)),
            M=_objects(foreign.Mesh() for _ in range(3)),
        )
    finally:
        del sys.modules["psbody"]
    return {"mesh": folder / "mesh_downsampling.npz", "body": folder / "SMPL_NEUTRAL.npz"}


@pytest.fixture(scope="session")
def mesh(body_files: Mapping[str, Path]) -> BodyMesh:
    """The body and mesh of the reference cases."""
    return body_mesh(**body_files)


@pytest.fixture(scope="session")
def built(mesh: BodyMesh) -> Callable[[str], Network]:
    """A small network by name, with weights and statistics at random."""

    def build(name: str) -> Network:
        torch.manual_seed(0)
        config = CONFIGS[name]
        match config:
            case GraphCMRConfig():
                network: Any = GraphCMR(config, mesh)
            case GraphormerConfig():
                network = Graphormer(config, mesh)
            case _:
                plain: Any = {"hmr": HMR, "spin": SPIN, "pare": PARE, "smpl_discriminator": Discriminator}
                network = plain[config.kind](config)  # type: ignore[attr-defined]
        for buffer in network.buffers():
            if buffer.is_floating_point() and buffer.dim() == 1:
                buffer.uniform_(0.5, 1.5)
        return network.eval()  # type: ignore[no-any-return]

    return build


@pytest.fixture(scope="session")
def leg_regressor() -> np.ndarray:
    """(17, 6890) of a body whose rows 1 to 3 lie on the left and 4 to 6 on the right."""
    matrix = synthetic_regressor(17, 389, 17, 8)
    x = np.asarray(synthetic_body().v_template)[:, 0]
    for rows, side in (((1, 2, 3), np.argsort(-x)), ((4, 5, 6), np.argsort(x))):
        for place, row in enumerate(rows):
            matrix[row] = 0
            matrix[row, side[4 * place : 4 * place + 4]] = 0.25
    return matrix


def _objects(items: Any) -> np.ndarray:
    listed = list(items)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array


def _adjacency(level: int) -> Any:
    size, step = SIZES[level], (83, 41, 20)[level]
    here = np.arange(size)
    columns = np.concatenate([(here + shift) % size for shift in (1, -1, step, -step)])
    return sparse.csc_matrix((np.full(4 * size, 2.0), (np.tile(here, 4), columns)), shape=(size, size))


def _down(level: int) -> Any:
    fine, coarse = SIZES[level], SIZES[level + 1]
    row = np.arange(coarse)
    return sparse.csc_matrix((np.ones(coarse), (row, np.minimum(4 * row, fine - 1))), shape=(coarse, fine))


def _up(level: int) -> Any:
    fine, coarse = SIZES[level], SIZES[level + 1]
    row = np.arange(fine)
    share, column = (row % 4) / 4, np.minimum(row // 4, coarse - 1)
    values = np.concatenate([0.6 - 0.2 * share, 0.3 + 0.1 * share, 0.1 + 0.1 * share])
    columns = np.concatenate([column, (column + 1) % coarse, (column + 2) % coarse])
    return sparse.csc_matrix((values, (np.tile(row, 3), columns)), shape=(fine, coarse))
