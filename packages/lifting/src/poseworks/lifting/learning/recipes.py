"""Recipes: TOML files that say all that a training run depends on, beside its seed and its data.

One for each row of the published tables: LCN, EHGFormer, and the small EHGFormer taught by the full one; they need the
published data sets, which must be brought along. Own weights (`own_recipes`) are trained on open motion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveInt, RootModel, model_validator

from poseworks.core.training import BaseRecipe, RecipeFolder
from poseworks.lifting.ehgformer import EHGFormerConfig
from poseworks.lifting.lcn import LCNConfig
from poseworks.lifting.learning.losses import LossWeights
from poseworks.lifting.learning.own_recipes import OwnLifting

if TYPE_CHECKING:
    from typing import Self


class PublishedLCN(BaseRecipe, frozen=True, extra="forbid"):
    """LCN as published (Ci et al. 2019).

    Attributes:
        mode: ``gt``: true 2D; ``dt_ft``: detections of the finetuned stacked hourglass.
        flip: the data set is doubled by its mirror image.
    """

    kind: Literal["published_lcn"]
    mode: Literal["gt", "dt_ft"]
    flip: bool = False
    network: LCNConfig


class _OnClips(BaseRecipe, frozen=True, extra="forbid"):
    """What training on clips of ``h36m_sh_conf_cam_source_final.pkl`` has.

    Attributes:
        root: of the labels. ``static``: joints relative to the root of the same frame; ``dynamic``: x, y in the image,
            depth relative to the root of the clip's first frame.
        network: clips are as long as its `frames`.
        frame_step: every how many-th frame is used.
        clip_stride: used frames from the start of a clip to that of the next.
        flip: half of the clips, drawn at each step, are mirrored.
        gt_2d: x, y of the label instead of the detections, with confidence 1.
    """

    root: Literal["static", "dynamic"]
    network: EHGFormerConfig
    losses: LossWeights = LossWeights()
    frame_step: PositiveInt = 2
    clip_stride: PositiveInt = 81
    flip: bool = True
    gt_2d: bool = False


class PublishedEHGFormer(_OnClips, frozen=True, extra="forbid"):
    """EHGFormer as published (Image and Vision Computing 154, 2025)."""

    kind: Literal["published_ehgformer"]


class Lesson(BaseModel, frozen=True, extra="forbid"):
    """What the student is compared to: features behind the shared norms of paired blocks.

    Attributes:
        teacher_blocks, student_blocks: pairs by their place; all but the last serve the losses over joints and over
            time, the last one that of generation.
        generation_stride: of the frames that the student's features show for it.
        weight: of the sum of the three losses.
    """

    teacher_blocks: tuple[int, ...] = (0, 1, 2, 3, 7)
    student_blocks: tuple[int, ...] = (0, 1, 2, 3, 5)
    generation_stride: int = Field(2, ge=2)
    weight: NonNegativeFloat = 1e-6

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.teacher_blocks) != len(self.student_blocks) or len(self.teacher_blocks) < 2:
            raise ValueError("teacher_blocks and student_blocks: expected as many of one as of the other, at least 2.")
        if min(*self.teacher_blocks, *self.student_blocks) < 0:
            raise ValueError("teacher_blocks and student_blocks: blocks are counted from 0.")
        return self


class PublishedDistillation(_OnClips, frozen=True, extra="forbid"):
    """A small EHGFormer taught by a full one, as published.

    Attributes:
        teacher: its weights, as `load` takes them.
    """

    kind: Literal["published_distillation"]
    teacher: str
    lesson: Lesson = Lesson()

    @model_validator(mode="after")
    def _student_has_the_blocks(self) -> Self:
        if max(self.lesson.student_blocks) >= self.network.blocks:
            raise ValueError(f"lesson.student_blocks: the network has blocks 0 to {self.network.blocks - 1}.")
        return self


Recipe = Annotated[PublishedLCN | PublishedEHGFormer | PublishedDistillation | OwnLifting, Field(discriminator="kind")]


class _AnyRecipe(RootModel[Recipe]):
    """Whichever kind the file names."""


RECIPES = RecipeFolder("poseworks.lifting.learning", _AnyRecipe)
shipped_recipes = RECIPES.names
read_recipe = RECIPES.read
