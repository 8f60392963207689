"""What the distiller refuses; its losses are held against the stored ones in learning/test_distillation_training.py."""

from __future__ import annotations

import pytest
import torch

from poseworks.core.errors import ShapeError
from poseworks.lifting.distillation import Distiller, DistillerConfig


def test_features_without_a_partner_are_refused() -> None:
    distiller = Distiller(DistillerConfig(student_width=4, teacher_width=8, pairs=2))
    with pytest.raises(ShapeError, match="as many of the student as of the teacher, 1 to 2, got 1 and 2"):
        distiller.space_loss([torch.zeros(3, 17, 4)], [torch.zeros(3, 17, 8)] * 2)


def test_features_of_one_width_are_compared_as_they_are() -> None:
    distiller = Distiller(DistillerConfig(student_width=8, teacher_width=8, pairs=2))
    same = torch.randn(6, 4, 8, generator=torch.Generator().manual_seed(0))
    assert float(distiller.time_loss([same], [same])) == 0
    assert float(distiller.space_loss([same], [same + 1])) == pytest.approx(4 * 8)
