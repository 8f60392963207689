"""Recipes on annotation files: those of the published tables, and any data set in their layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError, model_validator

from poseworks.core.config import describe_faults
from poseworks.core.skeletons import SKELETONS
from poseworks.core.training import BaseRecipe
from poseworks.skeleton_action.c3d_light import C3DLightConfig
from poseworks.skeleton_action.layouts import COCO_LAYOUT, JointLayout, Stream, layout_of
from poseworks.skeleton_action.preparation import Flavour, Preparation
from poseworks.skeleton_action.slowonly import SlowOnlyConfig
from poseworks.skeleton_action.x3d_shallow import X3DShallowConfig

if TYPE_CHECKING:
    from typing import Self

PublishedSet = Literal["gym", "ntu60", "ntu120", "ucf101", "hmdb51", "diving48", "k400"]
CUSTOM = "custom"  # the skeleton of a recipe that names its joints
Measure = Literal["top_k_accuracy", "mean_class_accuracy"]
FEW_PASSES, FEW_MORE_PASSES = 120, 60  # over the data, anew and from weights: half of what the published runs take


class Data(BaseModel, frozen=True, extra="forbid"):
    """Which recordings.

    Attributes:
        set: a published data set, looked for in POSEWORKS_DATA; ``own``: the annotation file that --data names, whose
            classes are those of the network.
        train, test: names of its splits.
    """

    set: PublishedSet | Literal["own"]
    train: str
    test: str


class Repeated(BaseModel, frozen=True, extra="forbid"):
    """Classes from `first` to `last` count `times` in a pass."""

    first: NonNegativeInt
    last: NonNegativeInt
    times: PositiveInt


class Claim(BaseModel, frozen=True, extra="forbid"):
    """What was published for a recipe, with 10 clips, each mirrored as well.

    Attributes:
        source: whose figure.
        measure: top-1 for ``top_k_accuracy``.
        percent: of this stream.
        fused_percent: of joint and limb together, 1 : 1.
    """

    source: str
    measure: Measure = "top_k_accuracy"
    percent: PositiveFloat
    fused_percent: PositiveFloat | None = None


class PublishedActions(BaseRecipe, frozen=True, extra="forbid"):
    """A network on volumes trained as published (Duan et al. 2022, and the code lines mmaction and pyskl).

    Attributes:
        stream, flavour: see `Preparation`.
        skeleton: whose joints the data have, by its name in `poseworks.core.skeletons`; ``custom``: see `joint_names`.
        joint_names: of the skeleton ``custom``; ``left_*`` and ``right_*`` change places in a mirror.
        limbs: pairs of joints by number; default: of coco17 those of the published configurations, else its bones.
        clip_len: frames of a clip.
        train_size, test_size: height and width of a volume.
        repeat: an epoch goes through the data so many times.
        repeated_classes: that count more often.
        lr_batch: samples a step, in all processes together, that ``training.learning_rate`` is meant for; for another
            number it is scaled.
        lr_drops: the rate is divided by 10 after each of these epochs (with the schedule ``constant``).
        begin_with: weights to go on from, as `load` takes them; the last layer is new.
        validation: measures the test split while it trains, with one clip a recording.
        validation_passes: over the data, from one validation to the next.
        workers: processes that prepare samples; no weight depends on them.
        claims: what was published.
    """

    kind: Literal["published_actions"]
    data: Data
    stream: Stream
    flavour: Flavour = "mmaction"
    skeleton: str = COCO_LAYOUT.skeleton
    joint_names: tuple[str, ...] = ()
    limbs: tuple[tuple[int, int], ...] | None = None
    network: Annotated[SlowOnlyConfig | C3DLightConfig | X3DShallowConfig, Field(discriminator="kind")]
    clip_len: PositiveInt = 48
    train_size: PositiveInt = 56
    test_size: PositiveInt = 64
    repeat: PositiveInt = 1
    repeated_classes: tuple[Repeated, ...] = ()
    lr_batch: PositiveInt
    lr_drops: tuple[PositiveInt, ...] = ()
    begin_with: str | None = None
    validation: bool = False
    validation_passes: PositiveInt = 10
    workers: NonNegativeInt = Field(2, exclude=True)
    claims: tuple[Claim, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.training.keep == "best" and not self.validation:
            raise ValueError("training.keep: the best weights are found by validation; allow it with validation = true")
        if self.lr_drops and self.training.schedule != "constant":
            raise ValueError("lr_drops: need training.schedule = 'constant'")
        if self.training.epochs is None:
            raise ValueError("training.epochs: missing; these recipes are counted in them")
        if (self.skeleton == CUSTOM) != bool(self.joint_names):
            raise ValueError("joint_names: belong to skeleton = 'custom', and only to it")
        if self.skeleton not in (CUSTOM, *SKELETONS):
            raise ValueError(f"skeleton: expected custom or one of {', '.join(SKELETONS)}")
        try:
            channels = self.layout.channels(self.stream)
        except ValidationError as error:
            raise ValueError("; ".join(describe_faults(error, JointLayout))) from error
        if self.network.in_channels != channels:
            raise ValueError(f"network.in_channels: expected {channels}, one a {self.stream}")
        return self

    @property
    def layout(self) -> JointLayout:
        """Joints and limbs.

        Raises:
            ValidationError: the limbs do not fit the joints. SkeletonError: the skeleton's bones do not.
        """
        if self.skeleton == CUSTOM:
            return JointLayout(skeleton=CUSTOM, joint_names=self.joint_names, limbs=self.limbs or ())
        known = COCO_LAYOUT if self.skeleton == COCO_LAYOUT.skeleton else layout_of(SKELETONS[self.skeleton])
        if self.limbs is None:
            return known
        return JointLayout(skeleton=self.skeleton, joint_names=known.joint_names, limbs=self.limbs)

    @property
    def passes(self) -> int:
        """Over the data."""
        return (self.training.epochs or 0) * self.repeat

    @property
    def few_passes(self) -> bool:
        """Far fewer of them than the published runs take."""
        return self.passes < (FEW_PASSES if self.begin_with is None else FEW_MORE_PASSES)

    def preparation(self, labels: tuple[str, ...] = ()) -> Preparation:
        """What the trained weights are fed with; `labels` are the names of the classes."""
        return Preparation(
            stream=self.stream, flavour=self.flavour, layout=self.layout, clip_len=self.clip_len, size=self.test_size,
            labels=labels,
        )  # fmt: skip
