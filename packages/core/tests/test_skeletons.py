"""Skeletons: the vocabulary, what follows from the names, and conversion."""

import subprocess
import sys

import numpy as np
import pytest

import poseworks.core
from poseworks.core.errors import SkeletonError
from poseworks.core.poses import PoseSequence, poses_from_arrays
from poseworks.core.skeletons import (
    BLAZEPOSE_33,
    COCO_17,
    H36M_17,
    H36M_17_LEFT_FIRST,
    HALPE_26,
    J14,
    JHMDB_15,
    OPENPOSE_18,
    OPENPOSE_25,
    SKELETONS,
    SMPL_24,
    Skeleton,
    conversion,
    convert,
    skeleton_from_names,
)
from poseworks.core.testing import walking_poses

ALL = list(SKELETONS.values())


def skeleton_id(skeleton: Skeleton) -> str:
    return skeleton.name


def random_poses(skeleton: Skeleton, dims: int = 3, frame: str = "world") -> PoseSequence:
    rng = np.random.default_rng(0)
    shape = (2, 5, skeleton.num_joints)
    return poses_from_arrays(
        rng.standard_normal((*shape, dims)),
        skeleton,
        fps=30,
        unit="m" if dims == 3 else "px",
        frame=frame if dims == 3 else "image",  # type: ignore[arg-type]
        confidence=rng.random(shape),
    )


def test_names_and_counts() -> None:
    counts = {name: skeleton.num_joints for name, skeleton in SKELETONS.items()}
    assert counts == {
        "coco17": 17,
        "h36m17": 17,
        "halpe26": 26,
        "blazepose33": 33,
        "openpose25": 25,
        "openpose18": 18,
        "smpl24": 24,
        "lsp14": 14,
        "jhmdb15": 15,
        "h36m17_left_first": 17,
    }
    assert all(SKELETONS[skeleton.name] is skeleton for skeleton in ALL)


def test_h36m_is_the_order_its_data_are_stored_in() -> None:
    """Names, parents and flip pairs as the open data files state them."""
    assert H36M_17.joint_names == (
        *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine"),
        *("thorax", "neck", "head_top", "left_shoulder", "left_elbow", "left_wrist"),
        *("right_shoulder", "right_elbow", "right_wrist"),
    )
    assert H36M_17.parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
    assert set(H36M_17.pairs) == {(4, 1), (5, 2), (6, 3), (11, 14), (12, 15), (13, 16)}
    assert H36M_17.root == ("pelvis",)


def test_coco_is_the_subset_of_blazepose_that_the_stored_detections_use() -> None:
    rows = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    assert tuple(BLAZEPOSE_33.joint_names[row] for row in rows) == COCO_17.joint_names


def test_j14_is_the_published_choice_from_h36m() -> None:
    rows = [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10]
    assert tuple(H36M_17_LEFT_FIRST.joint_names[row] for row in rows) == J14.joint_names
    assert {J14.joint_names[row] for row in (2, 3)} == {"left_hip", "right_hip"} == set(J14.root)


def test_orders_of_the_other_skeletons() -> None:
    spot = {
        HALPE_26: {17: "head_top", 19: "pelvis", 20: "left_big_toe", 22: "left_small_toe", 25: "right_heel"},
        OPENPOSE_25: {1: "mid_shoulder", 4: "right_wrist", 8: "pelvis", 15: "right_eye", 24: "right_heel"},
        OPENPOSE_18: {1: "mid_shoulder", 8: "right_hip", 13: "left_ankle", 17: "left_ear"},
        BLAZEPOSE_33: {1: "left_eye_inner", 9: "left_mouth", 17: "left_pinky", 32: "right_foot_index"},
        SMPL_24: {1: "left_hip", 5: "right_knee", 9: "spine3", 13: "left_collar", 23: "right_hand"},
        JHMDB_15: {0: "thorax", 2: "face", 3: "right_shoulder", 8: "left_elbow", 14: "left_ankle"},
    }
    for skeleton, names in spot.items():
        assert {row: skeleton.joint_names[row] for row in names} == names
    # SMPL's published parents
    assert SMPL_24.parents == (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


@pytest.mark.parametrize("skeleton", ALL, ids=skeleton_id)
def test_left_and_right_have_the_same_bones(skeleton: Skeleton) -> None:
    def mirror(name: str) -> str:
        return skeleton.joint_names[skeleton.mirrored[skeleton.index(name)]]

    undirected = {frozenset(bone) for bone in skeleton.bones}
    assert {frozenset(map(mirror, bone)) for bone in undirected} == undirected
    assert len(undirected) == len(skeleton.bones)
    assert all(skeleton.mirrored[skeleton.mirrored[row]] == row for row in range(skeleton.num_joints))
    assert not [name for name in skeleton.joint_names if name.startswith(("left_", "right_")) and mirror(name) == name]


@pytest.mark.parametrize("skeleton", ALL, ids=skeleton_id)
def test_the_body_hangs_together_and_each_joint_has_a_bone(skeleton: Skeleton) -> None:
    """Only a face that no neck joins to the trunk may stand apart."""
    groups = [{name} for name in skeleton.joint_names]
    for bone in skeleton.bones:
        joined = [group for group in groups if group & set(bone)]
        groups = [group for group in groups if not group & set(bone)] + [set().union(*joined)]
    body = max(groups, key=len)
    assert {name for name in skeleton.joint_names if "wrist" in name or "ankle" in name or "hip" in name} <= body
    assert all(len(group) > 1 for group in groups)
    rest = set(skeleton.joint_names) - body
    assert all(any(part in name for part in ("nose", "eye", "ear", "mouth")) for name in rest)


@pytest.mark.parametrize("skeleton", ALL, ids=skeleton_id)
def test_parents_form_a_forest(skeleton: Skeleton) -> None:
    for row in range(skeleton.num_joints):
        seen = set()
        while row >= 0:
            assert row not in seen
            seen.add(row)
            row = skeleton.parents[row]


def test_index_names_the_choices() -> None:
    assert H36M_17.indices(["thorax", "pelvis"]) == [8, 0]
    with pytest.raises(SkeletonError, match=r"skeleton h36m17: no joint 'nose'; expected one of pelvis, right_hip"):
        H36M_17.index("nose")


def test_a_skeleton_is_checked() -> None:
    with pytest.raises(SkeletonError, match="named twice: b"):
        Skeleton("x", ("a", "b", "b"), (), ())
    with pytest.raises(SkeletonError, match="bones or root name c, d"):
        Skeleton("x", ("a", "b"), (("a", "c"),), ("d",))


def test_names_alone_make_a_skeleton() -> None:
    part = skeleton_from_names(["left_knee", "left_hip", "right_hip", "tail"])
    assert part.name == "custom"
    assert part.bones == (("left_hip", "left_knee"), ("left_hip", "right_hip"))
    assert part.parents == (1, -1, -1, -1)
    assert part.root == ("left_hip", "right_hip")
    assert skeleton_from_names(["tail"]).root == ()


@pytest.mark.parametrize("source", ALL, ids=skeleton_id)
@pytest.mark.parametrize("target", ALL, ids=skeleton_id)
def test_a_conversion_copies_or_combines_or_says_it_cannot(source: Skeleton, target: Skeleton) -> None:
    plan = conversion(source, target)
    assert plan.matrix.shape == (target.num_joints, source.num_joints)
    for row, name in enumerate(target.joint_names):
        if name in source.joint_names:
            assert plan.sources(row).tolist() == [source.index(name)]
            assert plan.matrix[row].max() == 1
            assert name not in (*plan.approximated, *plan.missing)
        else:
            assert (name in plan.approximated) != (name in plan.missing)
        # Weights sum to one: moving the whole body moves each joint as much.
        assert plan.matrix[row].sum() == pytest.approx(0 if name in plan.missing else 1)
    # Left is made from left as right from right.
    if not plan.missing:
        assert np.allclose(plan.matrix[np.ix_(target.mirrored, source.mirrored)], plan.matrix)


def test_what_coco_lacks_is_made_by_the_stated_rules() -> None:
    poses = random_poses(COCO_17)
    made = convert(poses, H36M_17)
    p = {name: poses.positions[:, :, COCO_17.index(name)] for name in COCO_17.joint_names}
    hips = (p["left_hip"] + p["right_hip"]) / 2
    shoulders = (p["left_shoulder"] + p["right_shoulder"]) / 2
    ears = (p["left_ear"] + p["right_ear"]) / 2
    expected = {
        "pelvis": hips,
        "thorax": shoulders,
        "spine": (hips + shoulders) / 2,
        "neck": ears,
        "head_top": ears + 0.65 * (ears - shoulders),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(made.positions[:, :, H36M_17.index(name)], value, atol=1e-6)
    assert made.skeleton == "h36m17"
    entry = made.history[-1]
    assert (entry["verb"], entry["package"]) == ("convert", "poseworks-core")
    made_up = ["pelvis", "spine", "thorax", "neck", "head_top"]
    assert entry["settings"] == {"from": "coco17", "to": "h36m17", "approximated": made_up}


def test_confidence_of_a_combined_joint_is_its_weakest_part() -> None:
    poses = random_poses(COCO_17)
    made = convert(poses, H36M_17)
    weakest = poses.confidence[..., COCO_17.indices(["left_hip", "right_hip"])].min(axis=-1)
    np.testing.assert_array_equal(made.confidence[..., 0], weakest)
    np.testing.assert_array_equal(made.confidence[..., 3], poses.confidence[..., COCO_17.index("right_ankle")])


def test_a_gap_spreads_to_what_is_made_of_it_and_no_further() -> None:
    poses = random_poses(COCO_17)
    positions = poses.positions.copy()
    positions[0, 2, COCO_17.index("left_hip")] = np.nan
    made = convert(poses.replace(positions=positions), H36M_17)
    gaps = {H36M_17.joint_names[joint] for joint in np.flatnonzero(~made.observed[0, 2])}
    assert gaps == {"left_hip", "pelvis", "spine"}
    assert made.observed[1].all()
    assert made.observed[0, 3].all()


def test_a_partial_conversion_leaves_out_what_nothing_makes_and_says_so() -> None:
    poses = random_poses(J14)
    made = convert(poses, COCO_17, partial=True)
    face = COCO_17.indices(["nose", "left_eye", "right_eye", "left_ear", "right_ear"])
    assert made.history[-1]["settings"]["missing"] == [COCO_17.joint_names[joint] for joint in face]
    assert not made.observed[..., face].any()
    assert (made.confidence[..., face] == 0).all()
    wrist = COCO_17.index("left_wrist")
    np.testing.assert_array_equal(made.positions[:, :, wrist], poses.positions[:, :, J14.index("left_wrist")])
    with pytest.raises(SkeletonError, match="no rule makes nose"):
        convert(random_poses(J14, frame="root"), COCO_17, partial=True)


@pytest.mark.parametrize("dims", [2, 3])
def test_same_joints_in_another_order_are_copied_bit_for_bit(dims: int) -> None:
    poses = random_poses(H36M_17, dims)
    made = convert(poses, H36M_17_LEFT_FIRST)
    for row, name in enumerate(H36M_17_LEFT_FIRST.joint_names):
        np.testing.assert_array_equal(made.positions[:, :, row], poses.positions[:, :, H36M_17.index(name)])
    assert made.history[-1]["settings"]["approximated"] == []
    back = convert(made, H36M_17)
    np.testing.assert_array_equal(back.positions, poses.positions)
    assert len(back.history) == 2


def test_the_same_skeleton_is_no_step() -> None:
    poses = random_poses(H36M_17)
    assert convert(poses, H36M_17) is poses


def test_equal_sizes_are_not_equal_skeletons() -> None:
    """COCO and H36M both have 17 joints."""
    with pytest.raises(SkeletonError) as caught:
        convert(random_poses(H36M_17), COCO_17)
    assert str(caught.value) == (
        "h36m17 to coco17: no rule makes nose, left_eye, right_eye, left_ear, right_ear from the joints there are. "
        "Convert to a skeleton without them, or keep h36m17."
    )


def test_custom_joints_convert_by_name() -> None:
    rng = np.random.default_rng(1)
    names = ("tail", "right_hip", "left_hip")
    poses = PoseSequence(
        positions=rng.standard_normal((1, 4, 3, 3)),
        joint_names=names,
        skeleton="custom",
        fps=30,
        unit="m",
        frame="world",
    )
    target = skeleton_from_names(("pelvis", "left_hip"))
    made = convert(poses, target)
    assert made.skeleton == "custom"
    np.testing.assert_allclose(made.positions[:, :, 0], poses.positions[:, :, 1:].mean(axis=2), atol=1e-6)
    renamed = random_poses(H36M_17).replace(skeleton="custom")
    assert convert(renamed, H36M_17).skeleton == "h36m17"


def test_positions_relative_to_the_root_stay_relative_to_it() -> None:
    walk = walking_poses(20, skeleton=SMPL_24, rng=np.random.default_rng(0))
    root = walk.positions[:, :, :1]
    relative = walk.replace(positions=walk.positions - root, frame="root")
    target = skeleton_from_names(("left_hip", "right_hip", "left_knee", "right_knee"))
    made = convert(relative, target)  # SMPL's root is above the hips, the target's is between them
    np.testing.assert_allclose(made.positions[:, :, :2].mean(axis=2), 0, atol=1e-6)
    np.testing.assert_allclose(
        np.diff(made.positions, axis=2), np.diff(convert(walk, target).positions, axis=2), atol=1e-6
    )


def test_a_pelvis_between_the_hips_is_the_hips_middle() -> None:
    """H36M's root and J14's are one point by definition, so a missing hip does not blank the pose."""
    positions = random_poses(H36M_17, frame="root").positions.copy()
    positions[:, 1, H36M_17.index("left_hip")] = np.nan
    poses = poses_from_arrays(positions, H36M_17, fps=30, unit="m", frame="root")
    made = convert(poses, J14)
    assert made.observed[:, 1].sum() == 2 * 13
    np.testing.assert_array_equal(made.positions[:, :, 0], positions[:, :, H36M_17.index("right_ankle")])


def test_no_people_and_no_frames_convert() -> None:
    for shape in ((0, 5), (2, 0)):
        poses = poses_from_arrays(np.zeros((*shape, 17, 3)), COCO_17, fps=30, unit="m", frame="world")
        assert convert(poses, H36M_17).positions.shape == (*shape, 17, 3)


def test_public_names_come_without_torch() -> None:
    code = (
        "import sys, poseworks.core as core\n"
        "assert not set(core.__all__) - set(dir(core))\n"
        "for name in core.__all__: getattr(core, name)\n"
        "import poseworks.core.testing\n"
        "assert core.skeletons.H36M_17 is core.H36M_17\n"
        "print('torch' in sys.modules, 'scipy' in sys.modules)\n"
        "assert core.metrics.mpjpe"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "False"], done.stderr
    assert done.returncode == 0, done.stderr


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Pose'"):
        poseworks.core.Pose  # noqa: B018
