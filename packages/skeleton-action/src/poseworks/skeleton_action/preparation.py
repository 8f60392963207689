"""What weights are fed with, and what their answers mean: saved beside them. Torch is not imported."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt

from poseworks.skeleton_action.layouts import COCO_LAYOUT, JointLayout, Stream

Flavour = Literal["mmaction", "pyskl"]


class UnknownRule(BaseModel, frozen=True, extra="forbid"):
    """When an answer is "none of these": where what is measured of it lies below `threshold`.

    Attributes:
        kind: ``probability``: the largest calibrated probability; ``energy``: log of the sum of exp of the logits.
        threshold: chosen on recordings of other motion, as the card of the weights says.
    """

    kind: Literal["probability", "energy"]
    threshold: float


class Preparation(BaseModel, frozen=True, extra="forbid"):
    """How keypoints become the volumes that a network was trained on, and how its logits are read.

    Attributes:
        stream: a channel for each joint, or for each limb.
        flavour: the published code line whose sampling and geometry are followed.
        layout: joints and limbs.
        clip_len: frames of a clip, spread over the whole recording or window.
        size: height and width of a volume in testing.
        sigma: of the Gaussians, in pixels of the volume.
        labels: names of the classes; empty where the weights do not say.
        temperature: logits are divided by it before the softmax (calibrated on validation data).
        unknown: when the answer is "none of these"; None: always one of the classes.
    """

    stream: Stream = "joint"
    flavour: Flavour = "mmaction"
    layout: JointLayout = COCO_LAYOUT
    clip_len: PositiveInt = 48
    size: PositiveInt = 64
    sigma: PositiveFloat = 0.6
    labels: tuple[str, ...] = ()
    temperature: PositiveFloat = Field(1.0, description="1: as trained")
    unknown: UnknownRule | None = None
