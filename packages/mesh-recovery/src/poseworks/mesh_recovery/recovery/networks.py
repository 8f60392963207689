"""What each of the five networks says of the people in a batch of pictures, in one form."""

from __future__ import annotations

from typing import NamedTuple, assert_never

import torch
from torch import Tensor

from poseworks.core.body_models import SMPL
from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.mesh_recovery.graphcmr import GraphCMR
from poseworks.mesh_recovery.graphormer import Graphormer
from poseworks.mesh_recovery.hmr import HMR
from poseworks.mesh_recovery.meshes import BodyName
from poseworks.mesh_recovery.pare import PARE
from poseworks.mesh_recovery.recovery.solving import body_of_vertices

RecoveryNetwork = HMR | PARE | GraphCMR | Graphormer  # SPIN is an HMR


class Found(NamedTuple):
    """N people as a network sees them, each in a crop of its own."""

    rotations: Tensor  # (N, 24, 3, 3)
    betas: Tensor  # (N, K), of the body that the weights were made for
    offset: Tensor  # (N, 3) metres from the body's origin to where the camera has it
    camera: Tensor  # (N, 3): s, tx, ty
    vertices: Tensor | None  # (N, V, 3), of a network that has a mesh of its own, to be placed by the camera
    distance: Tensor | None  # (N,) mean metres from these vertices to those of rotations and betas


def trained_body(network: RecoveryNetwork) -> BodyName:
    """The body that the weights were made for."""
    return network.config.body


def solves(network: RecoveryNetwork) -> bool:
    """Whether the network gives vertices alone, so that rotations and betas have to be solved for."""
    match network:
        case HMR() | PARE():
            return False
        case GraphCMR():
            return network.regressor is None
        case Graphormer():
            return True
        case _:
            assert_never(network)


def expect_body(network: RecoveryNetwork, body: SMPL) -> None:
    """Nothing, unless rotations have to be solved for, and `body` is not the one whose vertices the network gives.

    Raises:
        ConfigError: says which body to give.
    """
    if solves(network) and body.info.name != trained_body(network):
        raise ConfigError(
            f"body: this {type(network).__name__} gives vertices of the body {trained_body(network)!r} and no "
            f"rotations; they are solved for on that body, got {body.info.name!r}. Give it with --body."
        )


@torch.no_grad()
def find(network: RecoveryNetwork, images: Tensor, body: SMPL) -> Found:
    """People in pictures (N, 3, R, R), cropped and normalised.

    Args:
        network: in eval mode.
        images: on its device.
        body: that rotations are solved for on, where the network gives vertices alone; on the same device.

    Raises:
        CheckpointError: the network gives numbers that are not finite.
    """
    match network:
        case HMR() | PARE():
            seen = network(images)
            found = Found(seen.rotations, seen.betas, torch.zeros_like(seen.camera), seen.camera, None, None)
        case GraphCMR() | Graphormer():
            mesh = network(images)
            if isinstance(network, GraphCMR) and network.regressor is not None:
                found = Found(
                    mesh.rotations, mesh.betas, torch.zeros_like(mesh.camera), mesh.camera, mesh.vertices, None
                )
            else:
                solved = body_of_vertices(body, mesh.vertices)
                found = Found(
                    solved.rotations, solved.betas, solved.transl, mesh.camera, mesh.vertices, solved.distance
                )
        case _:
            assert_never(network)
    if not all(torch.isfinite(part).all() for part in (found.rotations, found.betas, found.camera)):
        raise CheckpointError(
            f"{network.source or type(network).__name__}: its weights give numbers that are not finite."
        )
    return found
