"""What a body model is made of, as arrays: checked here, once, whatever file they come from. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_models.regressors import JointRegressor
from poseworks.core.errors import ConfigError, FormatError
from poseworks.core.skeletons import SMPL_24

Array = NDArray[Any]
Gender = Literal["neutral", "female", "male"]

SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
"""Parent of each of the 24 joints."""

EXTRA_NAMES = (
    "nose", "right_eye", "left_eye", "right_ear", "left_ear", "left_big_toe", "left_small_toe", "left_heel",
    "right_big_toe", "right_small_toe", "right_heel", "left_thumb", "left_index", "left_middle", "left_ring",
    "left_pinky", "right_thumb", "right_index", "right_middle", "right_ring", "right_pinky",
)  # fmt: skip
"""Joints 24 to 44: single vertices of the surface."""

JOINT_NAMES = (*SMPL_24.joint_names, *EXTRA_NAMES)
"""The 45 joints that a body gives: 24 of the tree, then 21 vertices."""

SMPL_EXTRA_VERTICES = (
    332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787,
    2746, 2319, 2445, 2556, 2673, 6191, 5782, 5905, 6016, 6133,
)  # fmt: skip
"""Their numbers in SMPL's mesh."""


@dataclass(frozen=True)
class BodyInfo:
    """Which body it is; outputs carry it, as numbers of one body mean nothing on another.

    Attributes:
        name: ``free``, ``smpl``, ``smplh``, ``smplx``.
        gender: of the shape space.
        source: name of the file that it was read from.
        licence: who may use it, in a line.
    """

    name: str
    gender: Gender = "neutral"
    source: str = ""
    licence: str = ""

    @property
    def carries_over(self) -> str:
        """What of a network trained with SMPL's body holds on this one, in a line for a person."""
        if self.name == "free":
            return (
                "free body, not SMPL: rotations and camera carry over (arms to about 7 degrees, legs to 2); betas, "
                "exact joint positions and vertex numbers do not"
            )
        return f"{self.name.upper()} ({self.gender}): rotations, betas and camera carry over"

    def expect_smpl(self, purpose: str) -> None:
        """Nothing, unless this is not SMPL's body.

        Raises:
            ConfigError: `purpose`, such as an evaluation by a published protocol, has no meaning on it.
        """
        if self.name != "smpl":
            raise ConfigError(
                f"{purpose}: defined on SMPL's body, got the {self.name} body, whose joints lie centimetres beside. "
                "Give SMPL's own file with --body; it comes from https://smpl.is.tue.mpg.de after registration."
            )


@dataclass(frozen=True, eq=False)
class BodyData:
    """A body of SMPL's kind at rest: T-pose, metres, y up, facing +z, +x the subject's left.

    V vertices, F triangles, K shape directions. Arrays may be float32 or float64.

    Attributes:
        v_template: (V, 3) mean shape.
        shapedirs: (V, 3, K) displacement for one unit of each beta.
        posedirs: (V, 3, 207) displacement for each number of R - I of joints 1 to 23; None: the body has no such.
        J_regressor: (24, V); joints of the shaped rest body.
        weights: (V, 24) of skinning; a row's sum is 1.
        faces: (F, 3) triangles, seen from outside counter-clockwise.
        extra_vertices: the 21 vertices of `EXTRA_NAMES`.
        info: which body it is.
        lower_faces: triangles of coarser meshes on the first vertices, from fine to coarse.
        regressors: further joints, by the name of their skeleton.

    Raises:
        FormatError: with everything that is wrong.
    """

    v_template: Array
    shapedirs: Array
    posedirs: Array | None
    J_regressor: Array
    weights: Array
    faces: Array
    extra_vertices: tuple[int, ...]
    info: BodyInfo
    lower_faces: tuple[Array, ...] = ()
    regressors: Mapping[str, JointRegressor] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        faults = self._faults()
        if faults:
            raise FormatError(f"{self.info.source or self.info.name}: not a body model: " + "; ".join(faults) + ".")

    def _faults(self) -> list[str]:
        vertices = self.v_template.shape[0] if self.v_template.ndim else 0
        expected: dict[str, tuple[int | str, ...]] = {
            "v_template": (vertices, 3), "shapedirs": (vertices, 3, "K"), "posedirs": (vertices, 3, 207),
            "J_regressor": (24, vertices), "weights": (vertices, 24), "faces": ("F", 3),
        }  # fmt: skip
        faults = []
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is None:
                continue
            fits = array.ndim == len(shape) and all(
                isinstance(want, str) or size == want for size, want in zip(array.shape, shape, strict=True)
            )
            if not fits:
                faults.append(f"{name}: expected ({', '.join(map(str, shape))}), got {array.shape}")
            elif array.dtype.kind not in ("iu" if name == "faces" else "f"):
                wanted = "whole numbers" if name == "faces" else "floating point"
                faults.append(f"{name}: expected {wanted}, got {array.dtype}")
            elif array.dtype.kind == "f" and not np.isfinite(array).all():
                faults.append(f"{name}: holds NaN or infinite numbers")
        if faults:
            return faults
        if not vertices or not len(self.faces):
            faults.append("no vertices or no triangles")
        elif self.faces.min() < 0 or self.faces.max() >= vertices:
            faults.append(f"faces: expected vertices 0 to {vertices - 1}, got {self.faces.min()} to {self.faces.max()}")
        for name, sums in (("weights", self.weights.sum(1)), ("J_regressor", self.J_regressor.sum(1))):
            if vertices and abs(sums - 1).max() > 1e-2:
                faults.append(f"{name}: rows must sum to 1, got {sums.min():.3g} to {sums.max():.3g}")
        if len(self.extra_vertices) != len(EXTRA_NAMES) or not all(0 <= v < vertices for v in self.extra_vertices):
            faults.append(f"extra_vertices: expected {len(EXTRA_NAMES)} numbers from 0 to {vertices - 1}")
        return faults
