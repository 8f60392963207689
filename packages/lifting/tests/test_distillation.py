"""The distiller's losses against the stored ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from poseworks.core.errors import ShapeError
from poseworks.core.testing import reference_cases, seeded_input
from poseworks.lifting.distillation import Distiller, DistillerConfig

REFERENCE = Path(__file__).parent / "reference"


def test_losses_equal_the_published_ones() -> None:
    case = reference_cases(REFERENCE, "distill_loss")[0]
    c = case.config
    distiller = Distiller(DistillerConfig(student_width=c["student_channels"], teacher_width=c["teacher_channels"]))
    distiller.load_state_dict({name.removeprefix("module."): x for name, x in case.state_dict().items()})

    def features(name: str, number: str = "") -> Tensor:
        seed, shape, scale = case.manifest["input"][name]
        return torch.from_numpy(seeded_input(seed.replace("<i>", number), tuple(shape), scale))

    def pairs(axis: str) -> tuple[list[Tensor], list[Tensor]]:
        student, teacher = ([features(f"{who}_{axis}0..3", str(i)) for i in range(4)] for who in ("student", "teacher"))
        return student, teacher

    with torch.no_grad():
        space = distiller.space_loss(*pairs("spatial"))
        time = distiller.time_loss(*pairs("temporal"))
        generation = distiller.generation_loss(features("student_last"), features("teacher_last"))
    manifest = json.loads((REFERENCE / "distill_loss.json").read_text())
    assert float(space) == pytest.approx(manifest["spatial_sum"], rel=1e-5)
    assert float(time) == pytest.approx(manifest["temporal_sum"], rel=1e-5)
    assert float(generation) == pytest.approx(manifest["generation"], rel=1e-5)
    assert float(space + time + generation) * c["weight"] == pytest.approx(manifest["total_weighted"], rel=1e-5)


def test_features_without_a_partner_are_refused() -> None:
    distiller = Distiller(DistillerConfig(student_width=4, teacher_width=8, pairs=2))
    with pytest.raises(ShapeError, match="as many of the student as of the teacher, 1 to 2, got 1 and 2"):
        distiller.space_loss([torch.zeros(3, 17, 4)], [torch.zeros(3, 17, 8)] * 2)
