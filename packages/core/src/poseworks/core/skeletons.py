"""Skeletons as data, and conversion between them by name. NumPy only: torch is not imported.

One vocabulary serves all skeletons: the same point of the body has the same name, points that differ do not share
one. So `thorax` is the base of the neck (what several sets call "neck"), `neck` the base of the skull,
`mid_shoulder` OpenPose's "neck" (the middle of both shoulders, by its definition), `pelvis` the middle of both
hips, and `upper_pelvis` SMPL's root, which lies above the hip line. Left and right pairs, bones and roots follow
from the names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import SkeletonError

if TYPE_CHECKING:
    from poseworks.core.poses import PoseSequence

# Parent of each point, or of the `*_` point of a side: the first candidate that a skeleton has.
_PARENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "spine": ("pelvis", "upper_pelvis"),
        "spine1": ("upper_pelvis",),
        "spine2": ("spine1",),
        "spine3": ("spine2",),
        "mid_shoulder": ("pelvis",),
        "thorax": ("spine", "belly", "pelvis"),
        "lower_neck": ("spine3",),
        "head": ("lower_neck",),
        "neck": ("thorax",),
        "head_top": ("neck", "thorax"),
        "face": ("thorax",),
        "nose": ("thorax", "mid_shoulder"),
        "*_eye_inner": ("nose",),
        "*_eye": ("*_eye_inner", "nose"),
        "*_eye_outer": ("*_eye",),
        "*_ear": ("*_eye_outer", "*_eye"),
        "*_hip": ("pelvis", "upper_pelvis", "belly", "mid_shoulder", "thorax"),
        "*_knee": ("*_hip",),
        "*_ankle": ("*_knee",),
        "*_heel": ("*_ankle",),
        "*_foot": ("*_ankle",),
        "*_foot_index": ("*_ankle",),
        "*_big_toe": ("*_ankle",),
        "*_small_toe": ("*_big_toe",),
        "*_collar": ("spine3",),
        "*_shoulder": ("*_collar", "thorax", "mid_shoulder", "*_hip"),
        "*_elbow": ("*_shoulder",),
        "*_wrist": ("*_elbow",),
        "*_hand": ("*_wrist",),
        "*_pinky": ("*_wrist",),
        "*_index": ("*_wrist",),
        "*_thumb": ("*_wrist",),
    }
)

# How a point is made where a skeleton lacks it: weights (their sum is 1) over other points, the first way that works.
_APPROXIMATIONS: Mapping[str, tuple[Mapping[str, float], ...]] = MappingProxyType(
    {
        # The middle of both hips: the definition of this vocabulary, and of OpenPose's "MidHip".
        "pelvis": ({"left_hip": 0.5, "right_hip": 0.5},),
        # The middle of both shoulders: the definition of OpenPose's "neck".
        "mid_shoulder": ({"left_shoulder": 0.5, "right_shoulder": 0.5},),
        # The base of the neck lies within 4 to 6 cm of the middle of the shoulders, above or below it by source.
        "thorax": ({"mid_shoulder": 1.0},),
        # Half way between pelvis and thorax, 0 to 6 cm off by source; Sub-JHMDB's "belly" is the trunk's centre too.
        "spine": ({"belly": 1.0}, {"pelvis": 0.5, "thorax": 0.5}),
        "belly": ({"spine": 1.0}, {"pelvis": 0.5, "thorax": 0.5}),
        # The skull sits on the spine between the ears. Without ears: along the line to the top of the head, at a
        # fraction for which sources range from 0.26 to 0.66.
        "neck": ({"left_ear": 0.5, "right_ear": 0.5}, {"thorax": 0.6, "head_top": 0.4}),
        # In adults the ears are about 20 cm above the middle of the shoulders and the top of the head another 13 cm:
        # ears + 0.65 (ears - mid_shoulder). Bending the head errs; a rule from nose and eyes triples their noise.
        "head_top": ({"left_ear": 0.825, "right_ear": 0.825, "mid_shoulder": -0.65},),
        # The nose is the middle of the face, and the only face point that Sub-JHMDB could lend.
        "face": ({"nose": 1.0},),
        "nose": ({"face": 1.0},),
    }
)


@dataclass(frozen=True)
class Skeleton:
    """Names of J joints in the order in which arrays hold them, and what follows from the names.

    Attributes:
        name: key in `SKELETONS`, or ``custom``.
        joint_names: J different names.
        bones: (parent, child) names; besides the tree, the lines left to right that close a trunk without a spine.
        root: the joints whose mean is the root that ``root`` positions are relative to.

    Raises:
        SkeletonError: a name occurs twice, or a bone or root names a joint that is not there.
    """

    name: str
    joint_names: tuple[str, ...]
    bones: tuple[tuple[str, str], ...]
    root: tuple[str, ...]

    def __post_init__(self) -> None:
        twice = sorted({n for n in self.joint_names if self.joint_names.count(n) > 1})
        if twice:
            raise SkeletonError(f"skeleton {self.name}: joints named twice: {', '.join(twice)}. Name each once.")
        used = {*self.root, *(name for bone in self.bones for name in bone)}
        unknown = sorted(used - set(self.joint_names))
        if unknown:
            raise SkeletonError(
                f"skeleton {self.name}: bones or root name {', '.join(unknown)}; expected names in joint_names only."
            )

    @property
    def num_joints(self) -> int:
        """J."""
        return len(self.joint_names)

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) indices of the joints that differ by ``left_`` and ``right_`` alone."""
        lefts = (name for name in self.joint_names if name.startswith("left_"))
        both = ((name, _mirror(name)) for name in lefts if _mirror(name) in self.joint_names)
        return tuple((self.index(left), self.index(right)) for left, right in both)

    @cached_property
    def mirrored(self) -> tuple[int, ...]:
        """J indices that swap left and right: ``positions[..., mirrored, :]`` relabels a mirrored pose."""
        order = list(range(self.num_joints))
        for left, right in self.pairs:
            order[left], order[right] = right, left
        return tuple(order)

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """J indices of each joint's parent in the tree, -1 where there is none."""
        tree = {child: parent for parent, child in self.bones if parent != _mirror(child)}
        return tuple(self.index(tree[name]) if name in tree else -1 for name in self.joint_names)

    @cached_property
    def bone_indices(self) -> tuple[tuple[int, int], ...]:
        """`bones` as (parent, child) indices."""
        return tuple((self.index(parent), self.index(child)) for parent, child in self.bones)

    def index(self, name: str) -> int:
        """Where the joint is.

        Raises:
            SkeletonError: there is no such joint.
        """
        try:
            return self.joint_names.index(name)
        except ValueError:
            raise SkeletonError(
                f"skeleton {self.name}: no joint {name!r}; expected one of {', '.join(self.joint_names)}."
            ) from None

    def indices(self, names: Sequence[str]) -> list[int]:
        """Where the joints are, in the order of `names`; raises SkeletonError as `index` does."""
        return [self.index(name) for name in names]


def skeleton_from_names(joint_names: Sequence[str], name: str = "custom") -> Skeleton:
    """A skeleton with the bones and the root that follow from the names; a name outside the vocabulary has neither.

    The root is the pelvis, else SMPL's, else the middle of the hips, else empty.
    """
    names = tuple(joint_names)
    bones = [(parent, child) for child in names if (parent := _parent(child, names)) is not None]
    children = {child: parent for parent, child in bones}
    for left in names:
        right = _mirror(left)
        # A pair that hangs on nothing in the middle is joined by a line of its own: hips, shoulders, mouth.
        unjoined = left not in children or (left == "left_shoulder" and children[left] == "left_hip")
        if left.startswith("left_") and left in _KNOWN and right in names and unjoined:
            bones.append((left, right))
    roots = (("pelvis",), ("upper_pelvis",), ("left_hip", "right_hip"), ())
    return Skeleton(name, names, tuple(bones), next(root for root in roots if set(root) <= set(names)))


def _mirror(name: str) -> str:
    """The name on the other side; a joint of the middle is its own mirror."""
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    if name.startswith("right_"):
        return "left_" + name.removeprefix("right_")
    return name


def _parent(child: str, names: tuple[str, ...]) -> str | None:
    """The first candidate of `_PARENTS` that is among `names`."""
    side, _, rest = child.partition("_")
    key = f"*_{rest}" if side in ("left", "right") else child
    candidates = (name.replace("*", side) for name in _PARENTS.get(key, ()))
    return next((name for name in candidates if name in names), None)


def _skeleton(name: str, joints: str) -> Skeleton:
    """A skeleton from names in one string, where ``lr_x`` is left_x right_x and ``rl_x`` is right_x left_x."""
    names: list[str] = []
    for joint in joints.split():
        side, _, rest = joint.partition("_")
        pair = {"lr": ("left_", "right_"), "rl": ("right_", "left_")}.get(side)
        names += [joint] if pair is None else [prefix + rest for prefix in pair]
    return skeleton_from_names(names, name)


_KNOWN = frozenset(
    side + rest
    for side in ("left_", "right_")
    for rest in (*(name.removeprefix("*_") for name in _PARENTS if name.startswith("*_")), "mouth")
)

COCO_17 = _skeleton("coco17", "nose lr_eye lr_ear lr_shoulder lr_elbow lr_wrist lr_hip lr_knee lr_ankle")
H36M_17 = _skeleton(
    "h36m17",
    "pelvis right_hip right_knee right_ankle left_hip left_knee left_ankle spine thorax neck head_top "
    "left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist",
)
# The order in which the SmoothNet and DeciWatch repositories store Human3.6M: the left leg first.
H36M_17_LEFT_FIRST = _skeleton(
    "h36m17_left_first",
    "pelvis left_hip left_knee left_ankle right_hip right_knee right_ankle spine thorax neck head_top "
    "left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist",
)
HALPE_26 = _skeleton(
    "halpe26",
    "nose lr_eye lr_ear lr_shoulder lr_elbow lr_wrist lr_hip lr_knee lr_ankle "
    "head_top thorax pelvis lr_big_toe lr_small_toe lr_heel",
)
BLAZEPOSE_33 = _skeleton(
    "blazepose33",
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer lr_ear lr_mouth "
    "lr_shoulder lr_elbow lr_wrist lr_pinky lr_index lr_thumb lr_hip lr_knee lr_ankle lr_heel lr_foot_index",
)
OPENPOSE_25 = _skeleton(
    "openpose25",
    "nose mid_shoulder right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist pelvis "
    "right_hip right_knee right_ankle left_hip left_knee left_ankle rl_eye rl_ear "
    "left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel",
)
OPENPOSE_18 = _skeleton(
    "openpose18",
    "nose mid_shoulder right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
    "right_hip right_knee right_ankle left_hip left_knee left_ankle rl_eye rl_ear",
)
SMPL_24 = _skeleton(
    "smpl24",
    "upper_pelvis lr_hip spine1 lr_knee spine2 lr_ankle spine3 lr_foot lower_neck lr_collar head "
    "lr_shoulder lr_elbow lr_wrist lr_hand",
)
# The 14 joints that 3DPW and AIST++ are evaluated on.
J14 = _skeleton(
    "lsp14",
    "right_ankle right_knee right_hip left_hip left_knee left_ankle "
    "right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist thorax head_top",
)
JHMDB_15 = _skeleton("jhmdb15", "thorax belly face rl_shoulder rl_hip rl_elbow rl_knee rl_wrist rl_ankle")

_ALL = (
    COCO_17, H36M_17, HALPE_26, BLAZEPOSE_33, OPENPOSE_25, OPENPOSE_18, SMPL_24, J14, JHMDB_15, H36M_17_LEFT_FIRST
)  # fmt: skip
SKELETONS: Mapping[str, Skeleton] = MappingProxyType({skeleton.name: skeleton for skeleton in _ALL})


@dataclass(frozen=True, eq=False)
class Conversion:
    """How joints of one skeleton are made from those of another.

    Attributes:
        source: the skeleton that is given.
        target: the skeleton that is wanted.
        matrix: (J_target, J_source) float64 weights; a row's sum is 1, or 0 for a missing joint.
        approximated: joints of `target` that `source` lacks and that are combined from others.
        missing: joints of `target` that cannot be made.
    """

    source: Skeleton
    target: Skeleton
    matrix: NDArray[np.float64]
    approximated: tuple[str, ...]
    missing: tuple[str, ...]

    def sources(self, joint: int) -> NDArray[np.intp]:
        """Indices of the source joints that a target joint is made from."""
        return np.flatnonzero(self.matrix[joint])


def conversion(source: Skeleton, target: Skeleton) -> Conversion:
    """Weights that make `target` from `source`, and which joints are approximated or missing."""
    matrix = np.zeros((target.num_joints, source.num_joints))
    approximated, missing = [], []
    for row, name in enumerate(target.joint_names):
        weights = _weights(name, frozenset(source.joint_names), frozenset())
        if weights is None:
            missing.append(name)
            continue
        if name not in source.joint_names:
            approximated.append(name)
        for joint, weight in weights.items():
            matrix[row, source.index(joint)] = weight
    return Conversion(source, target, matrix, tuple(approximated), tuple(missing))


def convert(poses: PoseSequence, target: Skeleton, *, partial: bool = False) -> PoseSequence:
    """The same motion on another skeleton; `history` names the joints that are approximated.

    A joint of the same name is copied bit for bit. An approximated one (the rules stand in this file) is NaN where
    one of its sources is, and its confidence is their lowest. Positions in the frame ``root`` are made relative to
    the root of `target` where that is another point.

    Args:
        poses: on any skeleton.
        target: the skeleton that is wanted.
        partial: joints that cannot be made are NaN, with confidence 0, and `history` names them; not in the frame
            ``root``, where the root itself could be one of them.

    Raises:
        SkeletonError: listing every joint of `target` that cannot be made, unless `partial`.
    """
    from poseworks.core.poses import history_entry  # poses.py needs this module first

    source = poses.known_skeleton() or skeleton_from_names(poses.joint_names)
    if source.joint_names == target.joint_names and source.name == target.name:
        return poses
    plan = conversion(source, target)
    if plan.missing and not (partial and poses.frame != "root"):
        raise SkeletonError(
            f"{source.name} to {target.name}: no rule makes {', '.join(plan.missing)} from the joints there are. "
            f"Convert to a skeleton without them, or keep {source.name}."
        )
    wide = poses.positions.astype(np.float64)
    positions = np.empty((*wide.shape[:2], target.num_joints, wide.shape[-1]))
    confidence = np.empty(positions.shape[:-1], dtype=np.float32)
    for row in range(target.num_joints):
        columns = plan.sources(row)  # only these: 0 x NaN of another joint would be NaN
        if not len(columns):
            positions[:, :, row], confidence[:, :, row] = np.nan, 0
            continue
        positions[:, :, row] = np.einsum("s,ptsd->ptd", plan.matrix[row, columns], wide[:, :, columns])
        confidence[:, :, row] = poses.confidence[:, :, columns].min(axis=-1)
    if poses.frame == "root" and not _same_root(plan):
        positions -= positions[:, :, target.indices(target.root)].mean(axis=2, keepdims=True)
    settings = {"from": source.name, "to": target.name, "approximated": list(plan.approximated)}
    if plan.missing:
        settings["missing"] = list(plan.missing)
    return poses.replace(
        positions=positions.astype(np.float32),
        confidence=confidence,
        joint_names=target.joint_names,
        skeleton=target.name if SKELETONS.get(target.name) == target else "custom",
        history=(*poses.history, history_entry("convert", "poseworks-core", settings)),
    )


def _weights(name: str, given: frozenset[str], pending: frozenset[str]) -> dict[str, float] | None:
    """Weights over `given` that make the joint, by the first rule whose parts can all be made; None without one."""
    if name in given:
        return {name: 1.0}
    if name in pending:
        return None
    for rule in _APPROXIMATIONS.get(name, ()):
        total: dict[str, float] = {}
        for part, share in rule.items():
            parts = _weights(part, given, pending | {name})
            if parts is None:
                break
            for joint, weight in parts.items():
                total[joint] = total.get(joint, 0.0) + share * weight
        else:
            return total
    return None


def _same_root(plan: Conversion) -> bool:
    """Whether both skeletons' roots are one point, written as weights over the source's joints."""
    if not plan.target.root:
        return True
    wanted = plan.matrix[plan.target.indices(plan.target.root)].mean(axis=0)
    given = np.zeros(plan.source.num_joints)
    given[plan.source.indices(plan.source.root)] = 1 / max(len(plan.source.root), 1)
    # A pelvis that the source has counts as the middle of its hips, which it is by definition.
    hips = _weights("pelvis", frozenset(plan.source.joint_names) - {"pelvis"}, frozenset())
    for weights in (wanted, given):
        if "pelvis" in plan.source.joint_names and hips is not None:
            share = weights[plan.source.index("pelvis")]
            weights[plan.source.index("pelvis")] = 0
            for joint, weight in hips.items():
                weights[plan.source.index(joint)] += share * weight
    return bool(np.allclose(wanted, given))
