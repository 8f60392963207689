"""Body layer: the forward pass beside the machine's limit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.common import Job, Table, speed_table
from poseworks.core.body_models import SMPL, load_body
from poseworks.core.testing_bodies import synthetic_body

BATCHES = (1, 8, 32, 64, 256)


def speed(quick: bool) -> Table:
    """SMPL with its pose directions, on arrays of its sizes, and the free body, which has none."""
    return speed_table(
        "body_speed",
        "Body layer: speed beside the machine's limit, one thread",
        jobs(quick),
        "multiply-adds of the shape and pose directions, of blending the 24 transforms and of applying them; the "
        "limit of small batches is reading the directions once",
        quick,
    )


def jobs(quick: bool) -> Iterator[Job]:
    """Vertices of several batches, then joints alone, forward and back."""
    generator = torch.Generator().manual_seed(0)
    for name, body in (("SMPL", SMPL(synthetic_body())), ("free body", load_body("free"))):
        rows = len(body.surface.blend)
        work = body.num_vertices * (3.0 * rows + 12 * 24 + 9)  # a body
        once = 4.0 * (body.surface.blend.numel() + body.surface.skin.numel())
        for batch in BATCHES[:3] if quick else BATCHES:
            betas = torch.randn(batch, 10, generator=generator)
            pose = 0.3 * torch.randn(batch, 24, 3, generator=generator)
            moved = once + 4.0 * 3 * body.num_vertices * batch
            target = 0.45 if name == "SMPL" and batch >= 32 else None
            yield Job(name, f"{batch} bodies", partial(vertices, body, betas, pose), batch * work, target, moved)
    body = load_body("free")
    pose = 0.3 * torch.randn(300, 24, 3, generator=generator)
    few = 21 * (3.0 * 11 + 12 * 24 + 9)
    yield Job("45 joints", "300 bodies", partial(joints, body, torch.zeros(1, 10), pose), 300 * few)
    yield Job(
        "45 joints and their gradient", "300 bodies", partial(gradient, body, torch.zeros(1, 10), pose), 900 * few
    )


@torch.inference_mode()
def vertices(body: SMPL, betas: Tensor, pose: Tensor) -> Tensor:
    return body(betas, pose).vertices  # type: ignore[no-any-return]


@torch.inference_mode()
def joints(body: SMPL, betas: Tensor, pose: Tensor) -> Tensor:
    return body.joints(betas, pose)


def gradient(body: SMPL, betas: Tensor, pose: Tensor) -> Tensor:
    free = pose.clone().requires_grad_()
    (found,) = torch.autograd.grad(body.joints(betas, free).sum(), free)
    return found


MEASURES = (speed,)
