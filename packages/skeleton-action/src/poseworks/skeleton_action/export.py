"""Networks as ONNX files: volumes -> logits, and, where asked for, a second file that draws the volumes itself."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from poseworks.core.onnx_export import ExportReport, export_verified
from poseworks.skeleton_action.head import HeatmapNetwork

_BEFORE = (
    "A clip: clip_len frames spread evenly over the recording. Coordinates of all its people together: the box of what "
    "is not missing, widened by a quarter and to a square, its lower corner subtracted, scaled so that the shorter "
    "side is `size`, cut to size x size about the middle. Channel c of frame t: the maximum over people of "
    "v exp(-d^2 / (2 sigma^2)), d the distance to joint c (or to the limb), v its score, out to 3 sigma."
)
_AFTER = (
    "Divide the logits by `temperature`, softmax; of several clips of one recording the mean of that. Where `unknown` "
    "is given, the answer is none of the classes if what it measures lies below its threshold."
)


class _Logits(nn.Module):
    """A network without its checks, which a graph cannot hold."""

    def __init__(self, network: HeatmapNetwork) -> None:
        super().__init__()
        self.backbone, self.cls_head = network.backbone, network.cls_head

    def forward(self, volumes: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, classes)."""
        logits: Tensor = self.cls_head(self.backbone(volumes))
        return logits


def export_onnx(network: HeatmapNetwork, path: str | os.PathLike[str], *, overwrite: bool = False) -> ExportReport:
    """Writes an ONNX file that gives what torch gives, and a JSON file beside it on what comes before and after.

    ``volumes`` (batch, C, frames, height, width) -> ``logits`` (batch, classes); batch, frames and sizes are free.

    Raises:
        ConfigError: not ``.onnx``, an existing file, or the packages for ONNX are missing.
        CheckpointError: ONNX and torch disagree; nothing is written.
    """
    volumes = torch.rand(2, network.config.in_channels, 6, 24, 20, generator=torch.Generator().manual_seed(0))
    return export_verified(
        _Logits(network),
        path,
        inputs={"volumes": volumes},
        outputs=["logits"],
        dynamic_axes={"volumes": {0: "batch", 2: "frames", 3: "height", 4: "width"}},
        other_sizes=(
            {"batch": 1, "frames": 9, "height": 32, "width": 32},
            {"batch": 3, "frames": 5, "height": 17, "width": 40},
        ),
        sidecar=_note(network),
        overwrite=overwrite,
    )


def _note(network: HeatmapNetwork) -> dict[str, Any]:
    return {
        "config": network.config.model_dump(mode="json"),
        "preparation": network.preparation.model_dump(mode="json"),
        "before": _BEFORE,
        "after": _AFTER,
    }
