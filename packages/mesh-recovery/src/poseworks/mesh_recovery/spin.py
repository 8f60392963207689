"""SPIN: the network of HMR, trained with a body fitted to the keypoints in the loop (Kolotouros et al. 2019, ICCV).

What differs at inference is how pictures are cropped; the published file holds backbone and head side by side.
"""

from __future__ import annotations

from typing import Literal

from poseworks.mesh_recovery.crops import PIXELS_224, Preparation
from poseworks.mesh_recovery.hmr import HMR, HMRConfig


class SPINConfig(HMRConfig, frozen=True, extra="forbid"):
    """Sizes of a SPIN. The defaults are the published network."""

    kind: Literal["spin"] = "spin"  # type: ignore[assignment]


class SPIN(HMR):
    """(N, 3, H, W) pictures, normalised -> `BodyParameters`."""

    preparation: Preparation = PIXELS_224
    config: SPINConfig

    def __init__(self, config: SPINConfig | None = None) -> None:
        super().__init__(config or SPINConfig())
