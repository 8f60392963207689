"""The protocols of the papers and of the study: what the truth is, which joints count, and from where.

| name | data set | truth | joints |
| --- | --- | --- | --- |
| pw3d | 3DPW test | SMPL of the stated gender | 14 from Human3.6M's regressor, pelvis of it |
| h36m | Human3.6M | its own labels | the same |
| mi | MPI-INF-3DHP test, as SPIN's script | its own labels | 17 of the same |
| mi-toolbox | MPI-INF-3DHP test, as the toolbox | its own labels | 14 of SMPL's 54, middle of the hips |
| rendered | pictures of the free body | the free body | 14 from its regressor, pelvis of it |

A prediction is always posed with the neutral body. Errors are in millimetres: of joints relative to the root, and after
the similarity transform of each picture that fits best, which mirrors nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from poseworks.mesh_recovery.meshes import EVALUATED

ProtocolName = Literal["pw3d", "h36m", "mi", "mi-toolbox", "rendered"]

# Where the 14 joints, then pelvis, spine and neck, stand in the labels of a data set, by their convention.
LABEL_PLACES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "h36m": (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10, 0, 7, 9),
        "smpl_24": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 18, 14, 16, 17),
    }
)
_FURTHER = ("pelvis", "spine", "neck")
_OF_54 = (
    "right_ankle", "right_knee", "right_hip_extra", "left_hip_extra", "left_knee", "left_ankle", "right_wrist",
    "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck_extra", "head_extra",
)  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """How a network is measured.

    Attributes:
        name: for the command line.
        data_set: whose test split it is made for.
        body: the body that it is defined on.
        truth: `body`: the data set's parameters of a body; `labels`: its 3D joints.
        regressor: what gives a predicted body's joints: `h36m17`, or `smpl54`: its own, and J_regressor_extra.
        joints: that count, by the names that the regressor has for them.
        root: whose mean they are relative to.
        conventions: of labels, the first that has all joints is taken.
    """

    name: ProtocolName
    data_set: str
    body: Literal["smpl", "free"]
    truth: Literal["body", "labels"]
    regressor: Literal["h36m17", "smpl54"]
    joints: tuple[str, ...]
    root: tuple[str, ...]
    conventions: tuple[str, ...] = ("smpl_24",)

    @property
    def label_root(self) -> tuple[int, ...]:
        """Which of the columns of `LABEL_PLACES` the root is the mean of."""
        return (EVALUATED.index("right_hip"), EVALUATED.index("left_hip")) if len(self.root) == 2 else (14,)

    def definition(self, gender: str) -> str:
        """What it counts, in a sentence; `gender`: of the true body."""
        truth = {
            "body": f"the data's parameters on the {gender} body" if self.body == "smpl" else "the free body's own",
            "labels": "the data's own joints",
        }[self.truth]
        regressor = {"h36m17": "Human3.6M's regressor", "smpl54": "the body and J_regressor_extra of 9 rows"}
        root = "middle of the hips" if len(self.root) == 2 else "pelvis"
        return (
            f"{self.data_set}; truth: {truth}; prediction: the neutral body; {len(self.joints)} joints by "
            f"{regressor[self.regressor]}, root: {root}"
        )


PROTOCOLS: Mapping[ProtocolName, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol("pw3d", "3DPW", "smpl", "body", "h36m17", EVALUATED, ("pelvis",)),
            Protocol("h36m", "Human3.6M", "smpl", "labels", "h36m17", EVALUATED, ("pelvis",), ("h36m", "smpl_24")),
            Protocol("mi", "MPI-INF-3DHP", "smpl", "labels", "h36m17", (*EVALUATED, *_FURTHER), ("pelvis",)),
            Protocol(
                "mi-toolbox", "MPI-INF-3DHP", "smpl", "labels", "smpl54", _OF_54, ("right_hip_extra", "left_hip_extra")
            ),
            Protocol("rendered", "rendered pictures", "free", "body", "h36m17", EVALUATED, ("pelvis",)),
        )
    }
)
