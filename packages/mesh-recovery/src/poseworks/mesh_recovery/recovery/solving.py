"""The pose and shape of a body whose vertices are known.

Vertices that one joint moves turn as it does: its rotation is the one that best brings them from where the body has
them to where they are (Kabsch 1976), at first from rest, then from the body as it was found, where those that several
joints move fit as well. With rotations given, vertices are linear in betas and place: least squares.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from poseworks.core.body_models import SMPL
from poseworks.core.shapes import expect_shape

_ROUNDS = 6
_SHARPNESS = 4  # power of the skinning weights: 0.5 then counts 1/16
_PULL = 1e-7  # towards betas of 0, so that they stay small where the mesh says nothing of them
_BETAS = 10
_AT_A_TIME = 16  # bodies


class SolvedBody(NamedTuple):
    """N bodies."""

    rotations: Tensor  # (N, 24, 3, 3)
    betas: Tensor  # (N, K)
    transl: Tensor  # (N, 3) metres
    distance: Tensor  # (N,) mean distance of its vertices from the given ones, metres


@torch.no_grad()
def body_of_vertices(body: SMPL, vertices: Tensor) -> SolvedBody:
    """Rotations, betas and place with which `body` comes nearest to vertices (N, V, 3) of its own mesh, in metres.

    Raises:
        ShapeError: another number of vertices.
    """
    expect_shape("vertices", vertices, f"N V={body.num_vertices} C=3")
    parts = [_solved(body, part) for part in torch.split(vertices, _AT_A_TIME)]
    return SolvedBody(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _solved(body: SMPL, vertices: Tensor) -> SolvedBody:
    weights = body.surface.weights[body.hidden_vertices :] ** _SHARPNESS  # (V, 24)
    weights = weights / weights.sum(dim=0)
    betas = vertices.new_zeros(len(vertices), min(_BETAS, body.num_betas))
    turned = _turned(body.rest_vertices(betas), vertices, weights)
    for _ in range(_ROUNDS):
        betas, transl = _shaped(body, _relative(body, turned), vertices, betas.shape[1])
        posed = body(betas, _relative(body, turned), transl).vertices
        turned = _turned(posed, vertices, weights) @ turned
    rotations = _relative(body, turned)
    betas, transl = _shaped(body, rotations, vertices, betas.shape[1])
    nearest = body(betas, rotations, transl).vertices
    return SolvedBody(rotations, betas, transl, (nearest - vertices).norm(dim=-1).mean(dim=-1))


def _shaped(body: SMPL, rotations: Tensor, vertices: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Betas (N, count) and place (N, 3) of bodies in this pose whose vertices come nearest."""
    eye = torch.eye(count).to(vertices)
    posed = body(torch.cat((torch.zeros_like(eye[:1]), eye))[:, None], rotations[None]).vertices  # (1 + K, N, V, 3)
    moved = (posed[1:] - posed[:1]).permute(1, 2, 3, 0)  # (N, V, 3, K)
    place = torch.eye(3).to(vertices).expand(*vertices.shape[:2], 3, 3)
    columns = torch.cat((moved, place), dim=-1).flatten(1, 2)  # (N, 3 V, K + 3)
    wanted = (vertices - posed[0]).flatten(1)[..., None]
    pull = torch.tensor([_PULL * vertices.shape[1]] * count + [0.0] * 3).to(vertices)
    found = torch.linalg.solve(columns.mT @ columns + torch.diag(pull), columns.mT @ wanted)[..., 0]
    betas, transl = torch.split(found, [count, 3], dim=1)
    return betas, transl


def _turned(mesh: Tensor, vertices: Tensor, weights: Tensor) -> Tensor:
    """(N, 24, 3, 3): how each joint's part of a mesh (N, V, 3) is turned to lie as `vertices`; weights (V, 24)."""
    both = torch.cat((mesh, vertices), dim=-1)  # (N, V, 6)
    means = torch.einsum("vj,nvc->njc", weights, both)
    products = torch.einsum("vj,nvc,nvd->njcd", weights, vertices, mesh) - means[..., 3:, None] * means[..., None, :3]
    u, _, vt = torch.linalg.svd(products)
    signs = torch.ones_like(means[..., :3])
    signs[..., 2] = torch.linalg.det(u @ vt)
    rotations: Tensor = (u * signs[..., None, :]) @ vt
    return rotations


def _relative(body: SMPL, turned: Tensor) -> Tensor:
    """(N, 24, 3, 3) rotations of each joint in its parent's frame."""
    relative = turned.clone()
    relative[:, 1:] = turned[:, body.parent_ids].mT @ turned[:, 1:]
    return relative
