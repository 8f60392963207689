"""Networks as ONNX files that take volumes, or keypoints, of which they draw the volumes themselves."""

from __future__ import annotations

import os
from typing import Literal

import torch
from torch import Tensor, nn

from poseworks.core.onnx_export import ExportReport, export_verified
from poseworks.skeleton_action.drawing import draw_volumes
from poseworks.skeleton_action.head import HeatmapNetwork, folded
from poseworks.skeleton_action.volumes import EPSILON

_FRAMES = "A clip: clip_len frames spread evenly over the recording. "
_PLACED = (
    "Of all its people together: the box of the coordinates that are not missing, widened by a quarter and to a "
    "square; its lower corner subtracted, scaled so that the shorter side is `size`, cut to size x size about the "
    "middle. "
)
_DRAWN = (
    "Channel c of frame t: the maximum over people of v exp(-d^2 / (2 sigma^2)), d the distance to joint c (or to the "
    "limb), v its score, out to 3 sigma."
)
_GIVEN = "keypoints: x and y in the pixels of the volume; scores: 0 for a joint that is missing."
_AFTER = (
    "Divide the logits by `temperature`, softmax; of several clips of one recording the mean of that. Where `unknown` "
    "is given, the answer is none of the classes if what it measures lies below its threshold."
)
Takes = Literal["volumes", "keypoints"]


class FromVolumes(nn.Module):
    """A network without its checks, which a graph cannot hold: (N, C, T, H, W) -> (N, classes)."""

    def __init__(self, network: HeatmapNetwork) -> None:
        super().__init__()
        self.backbone, self.cls_head = folded(network.backbone), network.cls_head

    def forward(self, volumes: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, classes)."""
        logits: Tensor = self.cls_head(self.backbone(volumes))
        return logits


class FromKeypoints(FromVolumes):
    """A network that draws its volumes itself."""

    def __init__(self, network: HeatmapNetwork) -> None:
        super().__init__(network)
        self.preparation = network.preparation

    def forward(self, keypoints: Tensor, scores: Tensor) -> Tensor:  # type: ignore[override]
        """(N, M, T, V, 2) in pixels of the volume and (N, M, T, V) -> (N, classes)."""
        p = self.preparation
        size = (p.size, p.size)
        return super().forward(draw_volumes(keypoints, scores, size, p.layout, p.stream, p.sigma, EPSILON[p.flavour]))


def export_onnx(
    network: HeatmapNetwork, path: str | os.PathLike[str], *, takes: Takes = "volumes", overwrite: bool = False
) -> ExportReport:
    """Writes an ONNX file that gives what torch gives, and a JSON file beside it on what comes before and after.

    Args:
        takes: ``volumes``: volumes (batch, C, frames, height, width) -> logits (batch, classes); all sizes but C are
            free. ``keypoints``: keypoints (batch, people, frames, joints, 2) in the pixels of a volume and scores
            (batch, people, frames, joints) -> logits; volumes of `network.preparation` are drawn inside the graph.

    Raises:
        ConfigError: not ``.onnx``, an existing file, or the packages for ONNX are missing.
        CheckpointError: ONNX and torch disagree; nothing is written.
    """
    p = network.preparation
    generator = torch.Generator().manual_seed(0)
    module: nn.Module
    if takes == "volumes":
        module = FromVolumes(network)
        channels, side = network.config.in_channels, network.smallest
        inputs = {"volumes": torch.rand(2, channels, 6, side + 16, side + 12, generator=generator)}
        axes = {"volumes": {0: "batch", 2: "frames", 3: "height", 4: "width"}}
        others: tuple[dict[str, int], ...] = (
            {"batch": 1, "frames": 9, "height": side + 24, "width": side + 24},
            {"batch": 3, "frames": 5, "height": side + 9, "width": side + 32},
        )
        before = _FRAMES + _PLACED + _DRAWN
    else:
        module = FromKeypoints(network)
        shape = (2, 3, 6, p.layout.num_joints)
        inputs = {
            "keypoints": p.size * torch.rand(*shape, 2, generator=generator),
            "scores": torch.rand(shape, generator=generator),
        }
        sizes = {0: "batch", 1: "people", 2: "frames"}
        axes = {"keypoints": sizes, "scores": sizes}
        others = ({"batch": 1, "people": 1, "frames": 9}, {"batch": 3, "people": 2, "frames": 5})
        before = _FRAMES + _PLACED + _GIVEN
    return export_verified(
        module.eval(),
        path,
        inputs=inputs,
        outputs=["logits"],
        dynamic_axes=axes,
        other_sizes=others,
        sidecar={
            "config": network.config.model_dump(mode="json"),
            "preparation": p.model_dump(mode="json"),
            "before": before,
            "after": _AFTER,
        },
        overwrite=overwrite,
    )
