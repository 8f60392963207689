"""What the tests of this package share."""

from __future__ import annotations

import pytest
import torch

from poseworks.core.testing import fill
from poseworks.skeleton_action.preparation import Preparation
from poseworks.skeleton_action.slowonly import SlowOnly, SlowOnlyConfig


@pytest.fixture
def small_network() -> SlowOnly:
    """Of three classes, with weights that follow from their names; it reads short clips of small volumes."""
    made = SlowOnly(SlowOnlyConfig(classes=3, width=2, blocks=(1, 1, 1)))
    filled = fill({name: tuple(x.shape) for name, x in made.state_dict().items()})
    made.load_state_dict({name: torch.from_numpy(x) for name, x in filled.items()})
    made.preparation = Preparation(clip_len=8, size=24, labels=("wave", "bow", "jump"))
    return made.eval()
