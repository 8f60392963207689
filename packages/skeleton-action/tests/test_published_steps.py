"""A step of the published training, and its schedule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from poseworks.core.testing import reference_cases, seeded_input
from poseworks.core.training import TrainSettings, learning_rate_at, make_optimizer
from poseworks.skeleton_action.slowonly import SlowOnly, SlowOnlyConfig

REFERENCE = Path(__file__).parent / "reference"


@pytest.mark.long
def test_a_step_is_that_of_the_published_code() -> None:
    case = json.loads((REFERENCE / "train_steps.json").read_text())
    network = SlowOnly(SlowOnlyConfig(dropout=0)).double().train()
    network.load_state_dict(reference_cases(REFERENCE, "slowonly_r50_60_56")[0].state_dict())
    settings = TrainSettings(
        steps=1, batch_size=4, optimizer="sgd", momentum=0.9, learning_rate=0.02, weight_decay=3e-4,
        schedule="constant", clip_norm=40,
    )  # fmt: skip
    optimizer = make_optimizer(network, settings)
    name, shape, scale = case["input"]["seeded_input"]
    volumes = torch.from_numpy(seeded_input(name, tuple(shape), scale)).clamp(min=0).double()
    first, second, _ = case["float64"]["steps"]
    loss = F.cross_entropy(network(volumes), torch.tensor(case["labels"]))
    assert loss.item() == pytest.approx(first["loss"], rel=1e-6)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm or 0)
    assert norm.item() == pytest.approx(first["grad_norm_before_clip"], rel=1e-6)
    optimizer.step()
    with torch.no_grad():
        loss = F.cross_entropy(network(volumes), torch.tensor(case["labels"]))
    assert loss.item() == pytest.approx(second["loss"], rel=1e-6)


def test_the_rate_falls_as_published() -> None:
    for row in json.loads((REFERENCE / "cosine_lr.json").read_text())["rows"]:
        settings = TrainSettings(
            steps=row["total_iters"], batch_size=1, schedule="cosine", learning_rate=row["base_lr"]
        )
        assert learning_rate_at(row["iter"], settings) == pytest.approx(row["lr"], rel=1e-12)
