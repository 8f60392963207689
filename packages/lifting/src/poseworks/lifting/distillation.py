"""What is trained beside a small EHGFormer when it learns from the full one: layers that make features comparable.

    L_space = sum over pairs of |align_s(f_student) - f_teacher|^2 / rows        rows N T, of (N T, 17, C)
    L_time  = likewise, rows N 17, of (N 17, T, C)
    L_generation: a = align(f_student); frames whose index is no multiple of `stride` become a learned token;
                  b = Conv(ReLU(Conv(a))) over time; |b - f_teacher|^2 of these frames / (rows (1 - 1 / stride))

f are outputs of the two shared norms after chosen blocks; the last pair of the published five serves L_generation
alone. Where both networks are of one width, nothing is aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import BaseModel, Field, PositiveInt
from torch import Tensor, nn

from poseworks.core.errors import ShapeError

__all__ = ["Distiller", "DistillerConfig"]


class DistillerConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes of a distiller. The defaults are the published ones."""

    kind: Literal["ehgformer_distiller"] = "ehgformer_distiller"
    student_width: PositiveInt = 128
    teacher_width: PositiveInt = 512
    pairs: PositiveInt = 5
    stride: int = Field(2, ge=2)  # of the frames that L_generation keeps


class Distiller(nn.Module):
    """Features of student and teacher -> the three losses."""

    source: str = ""  # where the weights came from, and the SHA-256 of their file
    sha256: str = ""

    def __init__(self, config: DistillerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DistillerConfig()
        student, teacher = config.student_width, config.teacher_width
        self.spatial_align = nn.ModuleList(nn.Linear(student, teacher) for _ in range(config.pairs))
        self.temporal_align = nn.ModuleList(nn.Linear(student, teacher) for _ in range(config.pairs))
        self.generation_align = nn.Linear(student, teacher)
        self.generation_compare = nn.Sequential(
            nn.Conv1d(teacher, teacher, 3, padding=1), nn.ReLU(), nn.Conv1d(teacher, teacher, 3, padding=1)
        )
        self.mask_token = nn.Parameter(torch.zeros(1, 1, teacher))

    def space_loss(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """L_space of pairs of (N T, 17, C), the first pairs of all."""
        return self._paired_loss(self.spatial_align, student, teacher)

    def time_loss(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """L_time of pairs of (N 17, T, C), the first pairs of all."""
        return self._paired_loss(self.temporal_align, student, teacher)

    def generation_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """L_generation of one pair of (N 17, T, C)."""
        stride = self.config.stride
        generated = torch.arange(student.shape[1], device=student.device) % stride != 0
        seen = torch.where(generated[:, None], self.mask_token, self._aligned(self.generation_align, student))
        made: Tensor = self.generation_compare(seen.mT).mT
        return (made - teacher)[:, generated].square().sum() / (len(student) * (1 - 1 / stride))

    def _aligned(self, layer: nn.Module, features: Tensor) -> Tensor:
        """The student's features in the teacher's width."""
        if self.config.student_width == self.config.teacher_width:
            return features
        aligned: Tensor = layer(features)
        return aligned

    def _paired_loss(self, layers: nn.ModuleList, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Squared differences of all pairs, over the rows of each."""
        if not 0 < len(student) == len(teacher) <= len(layers):
            raise ShapeError(
                f"features: expected as many of the student as of the teacher, 1 to {len(layers)}, got {len(student)} "
                f"and {len(teacher)}. Take the outputs of the paired blocks."
            )
        pairs = zip(layers, student, teacher, strict=False)
        return torch.stack([(self._aligned(layer, s) - t).square().sum() / len(s) for layer, s, t in pairs]).sum()
