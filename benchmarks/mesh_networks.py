"""Speed of the networks from pictures to bodies, and of what comes before them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import Cell, Job, Table, describe, measure_machine, speed_table, timed
from poseworks.core.video import read_picture, write_picture
from poseworks.mesh_recovery import (
    HMR,
    PARE,
    SPIN,
    GraphCMR,
    GraphCMRConfig,
    Graphormer,
    GraphormerConfig,
    HMRConfig,
    HRNetConfig,
    Preparation,
    body_mesh,
    crop_box,
)

TARGET = 0.5
SHARE = 0.1  # of the time of a network that what comes before it may take
SIZE = 224
BATCHES = (1, 8)


def networks() -> Iterator[tuple[str, nn.Module, float | None]]:
    """Name, network of the published size with new weights, and the ratio that it should reach."""
    mesh = body_mesh(None, "free")
    yield "HMR, ResNet-50", HMR(), TARGET
    yield "SPIN, ResNet-50", SPIN(), TARGET
    backbone = HRNetConfig(features="downsampled")
    yield "HMR, HRNet-W32", HMR(HMRConfig(backbone=backbone, feature_size=backbone.channels)), None
    yield "PARE, HRNet-W32", PARE(), TARGET
    yield "GraphCMR, ResNet-50", GraphCMR(GraphCMRConfig(body="free"), mesh), None
    wide = HRNetConfig(features="classified", width=48)
    yield "Graphormer, HRNet-W48", Graphormer(GraphormerConfig(backbone=wide, body="free"), mesh), TARGET


def speed(quick: bool) -> Table:
    """Each network on batches of pictures, beside what its multiply-adds would take at the machine's limit."""
    return speed_table(
        "mesh_recovery_networks",
        "Mesh recovery: networks on pictures of 224 x 224, one thread",
        jobs(BATCHES[:1] if quick else BATCHES),
        "multiply-adds as torch counts them: convolutions and matrix products; norms, attention's softmax and sparse "
        "maps count nothing. The first call, which folds norms into convolutions, is not timed.",
        quick,
    )


def jobs(batches: tuple[int, ...]) -> Iterator[Job]:
    """One network in memory at a time."""
    torch.manual_seed(0)
    for name, network, target in networks():
        network.eval()
        work = multiply_adds(network)
        for batch in batches:
            images = torch.randn(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
            call = partial(inferred, network, images)
            yield Job(name, f"{batch} picture{'s' if batch > 1 else ''}", call, batch * work, target)


def multiply_adds(network: nn.Module) -> float:
    """Of one picture."""
    counter = FlopCounterMode(display=False)
    with counter:
        inferred(network, torch.zeros(1, 3, SIZE, SIZE))
    return counter.get_total_flops() / 2


@torch.inference_mode()
def inferred(network: nn.Module, images: Tensor) -> object:
    return network(images)


def preparation(quick: bool) -> Table:
    """From a picture file to what the networks read, beside the time of the quickest network."""
    machine = measure_machine(threads=1, seconds=0.5 if quick else 3.0)
    seconds = 0.5 if quick else 3.0
    rgb = smooth_picture(1280, 720)
    box = (500.0, 100.0, 220.0, 560.0)
    calls: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.jpg"
        write_picture(file, rgb)
        calls["affine crop (HMR, PARE)"] = partial(crop_box, rgb, box, Preparation())
        calls["crop of whole pixels (SPIN, GraphCMR, Graphormer)"] = partial(
            crop_box, rgb, box, Preparation(crop="pixels")
        )
        calls["reading a JPEG"] = partial(read_picture, file)
        network = HMR().eval()
        whole = timed(partial(inferred, network, torch.zeros(1, 3, SIZE, SIZE)), seconds=seconds)
        rows: list[list[Cell]] = []
        for name, call in calls.items():
            timing = timed(call, seconds=seconds)
            share = timing.median_s / whole.median_s
            target = SHARE if "crop" in name else None
            reached = None if target is None else "yes" if share < target else "MISSED"
            rows.append([name, 1e3 * timing.median_s, 1e3 * timing.spread_s, share, target, reached])
    rows.append(["HMR, ResNet-50, one picture", 1e3 * whole.median_s, 1e3 * whole.spread_s, 1.0, None, None])
    return Table(
        "mesh_recovery_preparation",
        "Mesh recovery: what comes before a network, a picture of 1280 x 720, one thread",
        ("what", "ms", "+- ms", "share of HMR's time", "target", "reached"),
        rows,
        [describe(machine), "Crops include turning the picture into normalised numbers."],
    )


def smooth_picture(width: int, height: int) -> np.ndarray:
    """(H, W, 3) waves of colour, which JPEG packs as it does photographs."""
    x, y = np.meshgrid(np.arange(width) / 40, np.arange(height) / 30)
    waves = np.stack([np.sin(x + y), np.cos(x - 0.5 * y), np.sin(0.3 * x * np.cos(y / 9))], axis=-1)
    noise = np.random.default_rng(0).normal(0, 4, waves.shape)
    picture: np.ndarray = np.clip(128 + 100 * waves + noise, 0, 255).astype(np.uint8)
    return picture


MEASURES = (speed, preparation)
