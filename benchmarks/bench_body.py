"""Body layer: the forward pass beside the machine's limit, and pictures of bodies beside a plain loop."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.common import Cell, Job, Table, speed_table, timed
from poseworks.core.body_models import SMPL, load_body
from poseworks.core.cameras import Pinhole
from poseworks.core.rendering import Mesh, render
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


def rendering(quick: bool) -> Table:
    """A standing body in pictures of 720p and of a data set's size, by the renderer and by a loop over triangles."""
    seconds = 0.2 if quick else 2.0
    body = load_body("free")
    rows: list[list[Cell]] = []
    for label, size, focal, samples in (
        ("1280 x 720, body of 620 pixels", (1280, 720), 1100.0, 1),
        ("1280 x 720, body of 280 pixels", (1280, 720), 500.0, 1),
        ("128 x 128, 4 points a pixel", (128, 128), 200.0, 2),
    ):
        camera, mesh = Pinhole.from_focal(focal, size), standing(body)
        ours = timed(partial(render, mesh, camera, size, samples=samples), seconds=seconds)
        loop = timed(partial(looped, mesh, camera, size, samples), seconds=0.0, least=2 if quick else 5)
        rows.append([label, 1000 * ours.median_s, 1000 * ours.spread_s, 1 / ours.median_s, 1000 * loop.median_s])
    return Table(
        "body_rendering",
        "Pictures of a body of 6890 vertices, one thread",
        ("picture", "ms", "+-", "frames a second", "loop over triangles, ms"),
        rows,
        ("shaded smoothly; the loop finds depths alone", "the goal is 10 frames a second at 720p"),
    )


@torch.inference_mode()
def standing(body: SMPL) -> Mesh:
    """The body 3 m before a camera, arms down."""
    pose = torch.zeros(24, 3)
    pose[0, 0], pose[16, 2], pose[17, 2] = torch.pi, -1.2, 1.2
    return Mesh(body(torch.zeros(10), pose, torch.tensor([0.0, 0, 3])).vertices.numpy(), body.faces.numpy())


def looped(mesh: Mesh, camera: Pinhole, size: tuple[int, int], samples: int) -> NDArray[np.float64]:
    """(H, W) depth, triangle after triangle, each over the pixels of its box."""
    depth = np.full((samples * size[1], samples * size[0]), np.inf)
    pixels, z = samples * camera.project(mesh.vertices), mesh.vertices[:, 2]
    for face in mesh.faces:
        (ax, ay), (bx, by), (cx, cy) = corners = pixels[face]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= 0:
            continue
        left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
        right, end = np.ceil(corners.max(axis=0)).astype(int)
        part = depth[top:end, left:right]
        y, x = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
        v = ((x + 0.5 - ax) * (cy - ay) - (y + 0.5 - ay) * (cx - ax)) / area
        w = ((bx - ax) * (y + 0.5 - ay) - (by - ay) * (x + 0.5 - ax)) / area
        nearer = 1 / ((1 - v - w) / z[face[0]] + v / z[face[1]] + w / z[face[2]])
        inside = (v >= 0) & (w >= 0) & (v + w <= 1) & (nearer < part)
        part[inside] = nearer[inside]
    return depth


MEASURES = (speed, rendering)
