"""What the tests of this package share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from poseworks.core.testing import ReferenceCase
from poseworks.lifting.ehgformer import EHGFormer
from poseworks.lifting.published import ehgformer_names

Tensors = dict[str, Tensor]


def _partition(block: str, groups: list[int]) -> Tensors:
    """What a published checkpoint holds of the partition in one block."""
    edge = f"{block}.hyper_attn_blk.hyper_edge"
    one_hot = torch.from_numpy(np.eye(max(groups) + 1, dtype=np.float32)[groups])
    return {
        f"{edge}.joint_label": torch.tensor(groups),
        f"{edge}.hyper_matrix": one_hot,
        f"{edge}.merge_weight": torch.ones(1),
    }


@pytest.fixture(scope="session")
def published_tensors() -> Callable[[ReferenceCase], Tensors]:
    """The tensors of an EHGFormer case as its checkpoint holds them: the learned ones, and the constants."""

    def tensors(case: ReferenceCase) -> Tensors:
        made = case.state_dict()
        for block in range(case.config["depth"]):
            made |= _partition(f"module.STEblocks.{block}", case.config["joint_label"])
        return made

    return tensors


@pytest.fixture(scope="session")
def as_published() -> Callable[[EHGFormer], Tensors]:
    """The tensors of a network of ours under the published names, constants included."""

    def tensors(network: EHGFormer) -> Tensors:
        names = ehgformer_names(network.state_dict())
        made = {f"module.{names[name]}": x.clone() for name, x in network.state_dict().items()}
        for block in range(network.config.blocks):
            made |= _partition(f"module.STEblocks.{block}", list(network.config.groups))
        return made

    return tensors
