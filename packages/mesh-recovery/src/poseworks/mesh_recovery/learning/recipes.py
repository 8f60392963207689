"""Recipes: TOML files that say all that a training run depends on, beside its seed and its data.

The study trains five methods in four variants. Each method has one base, ``recipes/base/METHOD.toml``; a row of the
study is a file of a few lines that names its base and sets up to three switches (`Variant`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, RootModel

from poseworks.core.training import BaseRecipe, RecipeFolder
from poseworks.mesh_recovery.discriminator import DiscriminatorConfig
from poseworks.mesh_recovery.graphcmr import GraphCMRConfig
from poseworks.mesh_recovery.graphormer import GraphormerConfig
from poseworks.mesh_recovery.hmr import HMRConfig
from poseworks.mesh_recovery.learning.augmentation import Augmentation
from poseworks.mesh_recovery.learning.fit_loop import FitLoopSettings
from poseworks.mesh_recovery.learning.losses import LossSettings
from poseworks.mesh_recovery.learning.reading import DataSettings
from poseworks.mesh_recovery.pare import PAREConfig
from poseworks.mesh_recovery.spin import SPINConfig


class Variant(BaseModel, frozen=True, extra="forbid"):
    """What turns the variant Normal of the study into the next: L1, L1+COCO, L1+COCO+Aug.

    Attributes:
        l1: every difference in a loss counts in L1, at the same weights.
        coco: the backbone starts from `Start.coco`, weights trained for body keypoints, instead of `Start.imagenet`.
        aug: the recipe's `augmented` goes over the augmentation of its data.
    """

    l1: bool = False
    coco: bool = False
    aug: bool = False

    @property
    def ending(self) -> str:
        """Of the names of what belongs to this variant, such as ``_l1_coco``."""
        return "".join(f"_{name}" for name, on in self if on)


class Start(BaseModel, frozen=True, extra="forbid"):
    """Files that training starts from, in a folder of the data; None: random weights.

    Attributes:
        imagenet, coco: of the backbone.
        network: a whole network of the same sizes; the backbone's file is then not read. ``{variant}`` in its name
            stands for the switches that are on: ``hmr_r50{variant}`` is hmr_r50_l1 in the variant L1.
        mean_parameters: smpl_mean_params.npz, from which an HMR or SPIN begins its corrections; None: a T-pose.
    """

    imagenet: str | None = None
    coco: str | None = None
    network: str | None = None
    mean_parameters: str | None = None


class BodyFiles(BaseModel, frozen=True, extra="forbid"):
    """The user's files of SMPL, in a folder of the data; a network of the free body needs none.

    Attributes:
        body: SMPL's neutral file or its folder.
        extra_joints: J_regressor_extra.npy of 9 rows; None: the joints that it gives are approximated.
        mesh: GraphCMR, Graphormer: mesh_downsampling.npz.
    """

    body: str = "body_models/smpl"
    extra_joints: str | None = "body_models/J_regressor_extra.npy"
    mesh: str = "mesh_downsampling.npz"


class _Recipe(BaseRecipe, frozen=True, extra="forbid"):
    """What recipes of all methods have.

    Attributes:
        data: that it is trained on.
        validation: data sets on which the joints are measured at the end of each epoch; none: nothing is.
        losses: with their weights.
        augmented: the fields that are stated here go over `data.augmentation` in the variant Aug.
        variant: of the study.
        start: files that it starts from.
        files: of the body.
        size: of the crops, pixels.
        backbone_norms: ``eval``: the batch norms of the backbone keep the statistics that they start with.
    """

    data: DataSettings
    validation: DataSettings | None = None
    losses: LossSettings
    augmented: Augmentation = Augmentation()
    variant: Variant = Variant()
    start: Start = Start()
    files: BodyFiles = BodyFiles()
    size: PositiveInt = Field(224, multiple_of=32)
    backbone_norms: Literal["train", "eval"] = "train"

    @property
    def chosen_losses(self) -> LossSettings:
        """Of the variant."""
        return self.losses.in_l1() if self.variant.l1 else self.losses

    @property
    def chosen_data(self) -> DataSettings:
        """With the augmentation of the variant."""
        if not self.variant.aug:
            return self.data
        changes = {name: getattr(self.augmented, name) for name in self.augmented.model_fields_set}
        augmentation = self.data.augmentation.model_copy(update=changes)
        return self.data.model_copy(update={"augmentation": augmentation})

    @property
    def chosen_network(self) -> str | None:
        """The file or folder of the whole network in this variant."""
        name = self.start.network
        return None if name is None else name.replace("{variant}", self.variant.ending)

    @property
    def chosen_backbone(self) -> str | None:
        """The file of the backbone in this variant."""
        return self.start.coco if self.variant.coco else self.start.imagenet


class AdversarySettings(BaseModel, frozen=True, extra="forbid"):
    """The adversary of HMR.

    Attributes:
        motion: HumanData with bodies of people as they move, from motion capture, in a folder of the data.
        learning_rate: of its Adam.
    """

    motion: str
    learning_rate: PositiveFloat = 1e-4
    network: DiscriminatorConfig = DiscriminatorConfig()


class HMRRecipe(_Recipe, frozen=True, extra="forbid"):
    """HMR (Kanazawa et al. 2018), with its adversary if one is stated."""

    kind: Literal["hmr"]
    network: HMRConfig = HMRConfig()
    adversary: AdversarySettings | None = None


class PARERecipe(_Recipe, frozen=True, extra="forbid"):
    """PARE (Kocabas et al. 2021); with `losses.parts` above 0 the parts that a pixel shows are learned as well."""

    kind: Literal["pare"]
    network: PAREConfig = PAREConfig()


class GraphCMRRecipe(_Recipe, frozen=True, extra="forbid"):
    """GraphCMR (Kolotouros et al. 2019, CVPR): its two networks at once.

    Attributes:
        initial: weights of the maps at each vertex, which have a inputs and b outputs: uniform in +-1 / (a b), as
            published, or, with ``inputs``, in +-1 / sqrt(a), from which a mesh forms in fewer steps.
    """

    kind: Literal["graphcmr"]
    network: GraphCMRConfig = GraphCMRConfig()
    initial: Literal["published", "inputs"] = "published"


class GraphormerRecipe(_Recipe, frozen=True, extra="forbid"):
    """Mesh Graphormer (Lin, Wang & Liu 2021).

    Attributes:
        masked: the largest share of joint and of vertex tokens that is hidden at a step.
    """

    kind: Literal["graphormer"]
    network: GraphormerConfig = GraphormerConfig()
    masked: float = Field(0.3, ge=0, le=1)


class SPINRecipe(_Recipe, frozen=True, extra="forbid"):
    """SPIN (Kolotouros et al. 2019, ICCV), with a fit of the body in the loop.

    Attributes:
        fits: how they are made, and which are good enough.
        prior: of poses, in a folder of the data; with the free body its own is taken.
        static_fits: folder of files NAME_fits.npy by data set, in a folder of the data; None: all start from the mean.
    """

    kind: Literal["spin"]
    network: SPINConfig = SPINConfig()
    fits: FitLoopSettings = FitLoopSettings()
    prior: str = "gmm_08.pkl"
    static_fits: str | None = None


Recipe = Annotated[HMRRecipe | SPINRecipe | PARERecipe | GraphCMRRecipe | GraphormerRecipe, Field(discriminator="kind")]


class _AnyRecipe(RootModel[Recipe]):
    """Whichever kind the file names."""


RECIPES = RecipeFolder("poseworks.mesh_recovery.learning", _AnyRecipe)
shipped_recipes = RECIPES.names
read_recipe = RECIPES.read
