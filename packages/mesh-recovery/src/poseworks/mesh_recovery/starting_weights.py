"""What training starts from: backbones of other networks, and the user's mean body."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from poseworks.core.checkpoints import load_strict, read_checkpoint
from poseworks.core.errors import CheckpointError
from poseworks.core.formats.reading import read_npz
from poseworks.mesh_recovery.backbones import HRNetTrunk, ResNet
from poseworks.mesh_recovery.hmr import IterativeRegressor
from poseworks.mesh_recovery.names import BACKBONE_HEADS, BACKBONE_JOINS, with_counters


@dataclass(frozen=True)
class BackboneReport:
    """What of a backbone came from a file.

    Attributes:
        loaded: how many tensors.
        random: names of the tensors that the file does not have, which stay as they were.
        left_out: names of the file's tensors that the backbone has no use for, each with the rule.
    """

    source: str
    sha256: str
    loaded: int
    random: tuple[str, ...]
    left_out: tuple[str, ...]


def load_backbone(backbone: ResNet | HRNetTrunk, source: str | os.PathLike[str]) -> BackboneReport:
    """Fills a backbone from a file of ImageNet weights or of a network for body keypoints, in place.

    The trunk must be there as a whole. How the maps of an HRNet are joined differs from network to network: those
    layers are loaded where the file has them, and otherwise stay as they are and are reported.

    Raises:
        CheckpointError: the file is missing, damaged, or of another trunk; the backbone is then unchanged.
    """
    checkpoint = read_checkpoint(source)
    tensors = checkpoint.tensors
    if any(name.startswith("backbone.") for name in tensors):
        tensors = {
            n.removeprefix("backbone."): x for n, x in tensors.items() if n.startswith(("backbone.", "keypoint_"))
        }
    own = backbone.state_dict()
    joins = re.compile(BACKBONE_JOINS)
    dropped = {n: BACKBONE_HEADS.name for n in tensors if re.fullmatch(BACKBONE_HEADS.pattern, n)}
    dropped |= {n: "joins maps otherwise" for n in tensors if n not in own and joins.fullmatch(n)}
    tensors = with_counters({n: x for n, x in tensors.items() if n not in dropped})
    stay = {n: x for n, x in own.items() if n not in tensors and joins.fullmatch(n)}
    load_strict(backbone, {**tensors, **stay}, source=checkpoint.source)
    return BackboneReport(
        checkpoint.source, checkpoint.sha256, len(own) - len(stay), tuple(stay),
        (*checkpoint.dropped, *(f"{name} ({rule})" for name, rule in dropped.items())),
    )  # fmt: skip


def start_from_mean(regressor: IterativeRegressor, source: str | os.PathLike[str]) -> None:
    """Lets an HMR or SPIN start from the user's smpl_mean_params.npz instead of a T-pose, in place.

    The file: `pose` (144,), 24 rotations as two columns each; `shape` (10,); `cam` (3,).

    Raises:
        CheckpointError: an array is missing or has another shape. FormatError, DataError: it cannot be read.
    """
    arrays = read_npz(Path(source), keys=("pose", "shape", "cam"))
    wanted = {"pose": regressor.mean_pose, "shape": regressor.mean_betas, "cam": regressor.mean_camera}
    faults = [
        f"{name}: expected ({mean.numel()},), got {arrays[name].shape if name in arrays else 'nothing'}"
        for name, mean in wanted.items()
        if name not in arrays or arrays[name].size != mean.numel() or arrays[name].dtype.kind != "f"
    ]
    if faults:
        raise CheckpointError(f"{source}: not smpl_mean_params.npz: {'; '.join(faults)}.")
    for name, mean in wanted.items():
        mean.copy_(torch.from_numpy(arrays[name]).reshape(mean.shape))
