"""Speed of the networks on one thread, and of the forms of SlowOnly that were tried."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import Cell, Job, Table, describe, measure_machine, speed_table, timed
from poseworks.core import COCO_17
from poseworks.core.onnx_export import open_onnx
from poseworks.core.testing import walking_poses
from poseworks.skeleton_action import C3DLight, SlowOnly, X3DShallow, export_onnx, test_volumes
from poseworks.skeleton_action.convolution import Convolution, FramePool
from poseworks.skeleton_action.head import HeatmapNetwork, folded
from poseworks.skeleton_action.keypoints import annotation_of

TARGET = 0.5


def multiply_adds(network: HeatmapNetwork, size: int) -> float:
    """Of one clip of 48 frames; counted on a network without memory."""
    with torch.device("meta"):
        sketch = type(network)(network.config).eval()  # type: ignore[call-arg]
        volumes = torch.empty(1, network.config.in_channels, 48, size, size)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        sketch(volumes)
    return counter.get_total_flops() / 2


def some_weights(network: HeatmapNetwork) -> HeatmapNetwork:
    """The same network with norms that do something."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            nn.init.uniform_(module.weight, 0.5, 1.0, generator=generator)
    return network.eval()


def filled(size: int) -> Tensor:
    """A volume without a zero in it."""
    return torch.rand(1, 17, 48, size, size, generator=torch.Generator().manual_seed(0))


def heatmaps() -> Tensor:
    """A volume of somebody who walks, 64 x 64."""
    poses = walking_poses(96, dims=2, skeleton=COCO_17, rng=np.random.default_rng(0))
    return torch.from_numpy(test_volumes(annotation_of(poses, (0,), "walk"), num_clips=1, mirror=False))


def network_speed(quick: bool) -> Table:
    """All networks, as `network(volumes)` is called."""
    torch.manual_seed(0)
    jobs = []
    walking = heatmaps()
    for kind in (SlowOnly, C3DLight, X3DShallow):
        network = some_weights(kind())
        for size in (56, 64):
            target = TARGET if (kind, size) == (SlowOnly, 64) else None
            call = partial(_inferred, network, filled(size))
            jobs.append(Job(kind.__name__, f"48 x {size} x {size}", call, multiply_adds(network, size), target))
        call = partial(_inferred, network, walking)
        jobs.append(Job(kind.__name__, "48 x 64 x 64, a person", call, multiply_adds(network, 64)))
    note = (
        "Volumes without a zero, but for those of a person, whose empty border the stem of SlowOnly leaves out: the "
        "ratio counts its multiply-adds all the same. Published code, SlowOnly 48 x 64 x 64: ratio 0.22."
    )
    return speed_table(
        "skeleton_action_networks", "Networks on heatmap volumes, one clip, one thread", jobs, note, quick
    )


@torch.inference_mode()
def _inferred(network: nn.Module, volumes: Tensor) -> Tensor:
    logits: Tensor = network(volumes)
    return logits


def as_torch_has_it(network: nn.Module) -> nn.Module:
    """A copy with torch's own convolutions and pools in three dimensions."""
    copied = copy.deepcopy(network)
    for module in list(copied.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Convolution):
                plain = nn.Conv3d(
                    child.in_channels, child.out_channels, child.kernel_size, child.stride, child.padding,  # type: ignore[arg-type]
                    groups=child.groups, bias=False,
                )  # fmt: skip
                plain.load_state_dict(child.state_dict())
                setattr(module, name, plain)
            elif isinstance(child, FramePool):
                setattr(module, name, nn.MaxPool3d((1, 3, 3), 1, (0, 1, 1)))
    return copied


def forms(quick: bool) -> Table:
    """What was tried with SlowOnly on 48 x 64 x 64."""
    torch.manual_seed(0)
    network = some_weights(SlowOnly())
    backbone, volumes, walking = network.backbone, filled(64), heatmaps()
    plain = as_torch_has_it(backbone)
    last = as_torch_has_it(backbone).to(memory_format=torch.channels_last_3d)
    volumes_last = volumes.contiguous(memory_format=torch.channels_last_3d)
    brief = copy.deepcopy(last).to(torch.bfloat16)
    one = folded(backbone)
    rows: list[list[Cell]] = []
    machine = measure_machine(threads=1, seconds=0.5 if quick else 3.0)
    limit = machine.seconds_at_limit(multiply_adds(network, 64))
    expected = _inferred(network, volumes)

    def measured(name: str, call: Callable[[], Any], result: Callable[[], Tensor] | None, note: str = "") -> None:
        timing = timed(call, seconds=0.5 if quick else 5.0, least=3)
        difference = None if result is None else float((result().float() - expected).abs().max())
        rows.append([name, 1e3 * timing.median_s, limit / timing.median_s, difference, note])

    def logits(module: nn.Module, x: Tensor) -> Callable[[], Tensor]:
        return lambda: network.cls_head(_inferred(module, x).float()).detach()

    def tried(name: str, module: nn.Module, x: Tensor, note: str = "") -> None:
        measured(name, partial(_inferred, module, x), logits(module, x), note)

    tried("conv3d of torch", plain, volumes)
    tried("channels-last memory", last, volumes_last)
    tried("bfloat16, channels-last", brief, volumes_last.bfloat16(), "slow where the CPU has no unit for it")
    tried("2D and products on views", backbone, volumes, "kept, in training too")
    tried("and norms folded", one, volumes, "kept")
    measured(
        "and 4 frames at a time", partial(_inferred, network, volumes), lambda: _inferred(network, volumes), "kept"
    )
    measured("and without the empty border", partial(_inferred, network, walking), None, "kept; a person's volume")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        export_onnx(network, file)
        session = open_onnx(file)
        run = partial(session.run, ["logits"], {"volumes": volumes.numpy()})
        measured("onnxruntime", run, lambda: torch.from_numpy(run()[0]))
        eight = _int8(file, volumes)
        measured("onnxruntime, int8", eight, lambda: torch.from_numpy(eight()[0]), "weights and activations")
    columns = ("form", "ms", "ratio to the limit", "largest difference of a logit", "")
    return Table(
        "skeleton_action_forms",
        "SlowOnly, one clip of 48 x 64 x 64, one thread: what was tried",
        columns,
        rows,
        [describe(machine)],
    )


def _int8(file: Path, volumes: Tensor) -> Callable[[], Any]:
    """A call of the same file in 8 bits, calibrated on these volumes."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Volumes(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.given = iter([{"volumes": volumes.numpy()}])

        def get_next(self) -> Any:
            return next(self.given, None)

    target = file.with_name("int8.onnx")
    quantize_static(file, target, Volumes(), quant_format=QuantFormat.QOperator, per_channel=True, reduce_range=True)
    return partial(open_onnx(target).run, ["logits"], {"volumes": volumes.numpy()})


MEASURES = (network_speed, forms)
