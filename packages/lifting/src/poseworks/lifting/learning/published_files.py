"""Networks as the published code saves them, so that it reads what was trained here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from poseworks.core.files import atomic_path
from poseworks.lifting.distillation import Distiller
from poseworks.lifting.ehgformer import EHGFormer
from poseworks.lifting.published import ehgformer_names

_PREFIX = "module."  # of a network that was saved out of its data-parallel wrapper


def write_ehgformer(network: EHGFormer, path: Path) -> None:
    """Writes the layout of the stripped releases: {model_pos: tensors under the published names}."""
    state = network.state_dict()
    tensors = {theirs: state[ours].cpu() for ours, theirs in ehgformer_names(state).items()}
    if network.config.group_block:
        groups = np.array(network.config.groups)
        for block in range(network.config.blocks):
            edge = f"STEblocks.{block}.hyper_attn_blk.hyper_edge"
            tensors[f"{edge}.joint_label"] = torch.from_numpy(groups)
            tensors[f"{edge}.hyper_matrix"] = torch.from_numpy(np.eye(groups.max() + 1, dtype=np.float32)[groups])
            tensors[f"{edge}.merge_weight"] = torch.ones(1)  # never used
    _write(tensors, "model_pos", path)


def write_distiller(distiller: Distiller, path: Path) -> None:
    """Writes the layout of ``*_distiller.bin``: {distiller: tensors}."""
    _write({name: tensor.cpu() for name, tensor in distiller.state_dict().items()}, "distiller", path)


def _write(tensors: dict[str, Tensor], entry: str, path: Path) -> None:
    with atomic_path(path) as temporary:
        torch.save({entry: {_PREFIX + name: tensor for name, tensor in tensors.items()}}, temporary)
