"""Mirrored inputs: a network that saw flipped data is asked twice, and the two answers are averaged."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from poseworks.core.shapes import expect_shape
from poseworks.core.skeletons import H36M_17


def flip(points: Tensor) -> Tensor:
    """(..., 17, C) in the order of h36m17, mirrored: x negated, left and right exchanged; its own inverse.

    x must be 0 in the middle of the image, as it is once normalised. Other channels stay.

    Raises:
        ShapeError: not 17 joints.
    """
    expect_shape("points", points, "... J=17 C>=1", fix="Flipping knows the order of h36m17 alone.")
    mirrored = points[..., list(H36M_17.mirrored), :]
    return torch.cat([-mirrored[..., :1], mirrored[..., 1:]], dim=-1)


def flip_average(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Mean of the network's answer to `x` and of its mirrored answer to the mirrored `x`; the network's output shape.

    Both go through the network in one batch.

    Args:
        network: an LCN or an EHGFormer, or anything of their inputs and outputs.
        x: (N, ..., 17, 2 or 3) normalised keypoints.
    """
    plain, mirrored = network(torch.cat([x, flip(x)])).chunk(2)
    average: Tensor = (plain + flip(mirrored)) / 2
    return average
