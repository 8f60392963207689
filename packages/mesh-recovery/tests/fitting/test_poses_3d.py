"""Bodies from 3D joints: found again, in every frame, unit and gap; and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.body_models import SMPL
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.poses import PoseSequence, poses_from_arrays
from poseworks.core.skeletons import COCO_17, H36M_17, SMPL_24, Skeleton
from poseworks.mesh_recovery.fitting.fitted import Fitted
from poseworks.mesh_recovery.fitting.poses_3d import fit_3d
from poseworks.mesh_recovery.named_joints import NamedJoints

Y_TO_Z = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # a world with y up in one with z up


def joints_of(body: SMPL, gestures: Tensor, skeleton: Skeleton, stature: float = 0.5) -> NDArray[Any]:
    """(T, J, 3) metres, y up: where the joints of someone are who walks along x."""
    betas = torch.tensor([[stature]])
    transl = torch.zeros(len(gestures), 3)
    transl[:, 0] = torch.linspace(0, 0.5, len(gestures))
    named = NamedJoints(body, skeleton.joint_names)
    light, named = named.light_body()
    found: NDArray[Any] = named(light(betas, gestures, transl)).double().numpy()
    return found


def clip(joints: NDArray[Any], skeleton: Skeleton = H36M_17, **fields: Any) -> PoseSequence:
    return poses_from_arrays(joints, skeleton, **{"fps": 30, "unit": "m", "frame": "world", **fields})


def distance_mm(fitted: Fitted, poses: PoseSequence) -> float:
    error = np.linalg.norm(fitted.poses.positions - poses.positions, axis=-1)
    return float(np.nanmean(error)) * (1 if poses.unit == "mm" else 1000)


@pytest.mark.parametrize("skeleton", [H36M_17, COCO_17, SMPL_24], ids=lambda skeleton: skeleton.name)
def test_joints_and_turns_are_found_again(body: SMPL, gestures: Tensor, skeleton: Skeleton) -> None:
    poses = clip(joints_of(body, gestures, skeleton) @ Y_TO_Z.T, skeleton)
    fitted = fit_3d(poses, body)
    assert distance_mm(fitted, poses) < 8
    motion = fitted.motion
    assert motion.frame == "world"
    bends = motion.body_pose[0, :, 3, 0]  # left knee
    assert np.abs(bends - gestures[:, 4, 0].numpy()).mean() < 0.15
    turned = motion.global_orient[0, -1, 1] - motion.global_orient[0, 0, 1]
    assert turned == pytest.approx(0.8, abs=0.15)
    figures = fitted.figures[0]
    assert figures["mean_mm"] < 8
    assert figures["bent_the_wrong_way"] == 0
    assert figures["stature_m"] == pytest.approx(1.75, abs=0.05)


def test_units_and_frames_mean_the_same_poses(body: SMPL, gestures: Tensor) -> None:
    upright = joints_of(body, gestures, H36M_17)
    world = fit_3d(clip(upright @ Y_TO_Z.T), body).motion
    millimetres = fit_3d(clip(1000 * upright @ Y_TO_Z.T, unit="mm"), body)
    camera = fit_3d(clip(upright * (1, -1, -1) + (0, 0, 3), frame="camera"), body)
    root = fit_3d(clip((upright - upright[:, :1]) * (1, -1, -1), frame="root"), body)
    stated = fit_3d(clip(upright), body, up="y").motion
    for other in (millimetres.motion, camera.motion, root.motion, stated):
        np.testing.assert_allclose(other.body_pose, world.body_pose, atol=0.02)
    assert (camera.motion.frame, root.motion.frame) == ("camera", "world")
    np.testing.assert_allclose(
        camera.motion.transl[..., 2], 3 - world.transl[..., 2] - 2 * 0.03, atol=0.01
    )  # the pelvis lies 3 cm before the body's origin, which is turned about it
    np.testing.assert_allclose(root.motion.global_orient, world.global_orient, atol=0.02)
    np.testing.assert_allclose(stated.transl, world.transl, atol=0.01)
    assert distance_mm(millimetres, clip(1000 * upright @ Y_TO_Z.T, unit="mm")) < 8


def test_joints_of_others_may_lie_beside_the_body(body: SMPL, gestures: Tensor) -> None:
    joints = joints_of(body, gestures, H36M_17)
    raised = joints.copy()
    raised[:, H36M_17.index("head_top"), 1] += 0.08
    fitted = fit_3d(clip(raised), body, up="y")
    assert fitted.figures[0]["mean_mm"] < 8
    assert fitted.figures[0]["beside_the_body_mm"]["head_top"] == pytest.approx(80, abs=25)


def test_short_gaps_are_bridged_and_long_ones_left_out(body: SMPL, gestures: Tensor) -> None:
    joints = joints_of(body, gestures, H36M_17)
    whole = fit_3d(clip(joints), body, up="y").motion
    gappy = joints.copy()
    gappy[4:6] = np.nan
    gappy[10:, H36M_17.index("left_wrist")] = np.nan
    fitted = fit_3d(clip(gappy, fps=10), body, up="y")
    assert fitted.motion.present.all()
    assert np.abs(fitted.motion.transl - whole.transl).max() < 0.05
    gappy[8:16] = np.nan
    fitted = fit_3d(clip(gappy, fps=10), body, up="y")
    assert (~fitted.motion.present[0]).nonzero()[0].tolist() == list(range(8, 16))
    assert np.isnan(fitted.poses.positions[0, 8:16]).all()
    assert fitted.figures[0]["frames"] == 12


def test_people_are_fitted_each_by_themselves(body: SMPL, gestures: Tensor) -> None:
    one, other = (joints_of(body, gestures, H36M_17, stature) for stature in (-1.0, 1.5))
    nobody = np.full_like(one, np.nan)
    poses = clip(np.stack([one, nobody, other]), person_ids=[3, 5, 8])
    shares: list[float] = []
    fitted = fit_3d(poses, body, up="y", advance=shares.append)
    assert sum(shares) == pytest.approx(1)
    assert fitted.motion.present.all(axis=1).tolist() == [True, False, True]
    heights = [figures.get("stature_m") for figures in fitted.figures]
    assert heights[0] == pytest.approx(1.69 - 0.10, abs=0.04)
    assert heights[1] is None
    assert heights[2] == pytest.approx(1.69 + 0.16, abs=0.04)
    assert [figures["person"] for figures in fitted.figures] == [3, 5, 8]
    assert any("person 5" in note for note in fitted.notes)


def test_an_outlier_does_not_pull(body: SMPL, gestures: Tensor) -> None:
    joints = joints_of(body, gestures, H36M_17)
    wild = joints.copy()
    wild[7, H36M_17.index("right_wrist")] += (0.4, 0.3, 0)
    fitted = fit_3d(clip(wild), body, up="y").poses.positions[0]
    assert np.linalg.norm(fitted[7] - joints[7], axis=-1).mean() < 0.03


def test_a_single_frame_is_enough(body: SMPL, gestures: Tensor) -> None:
    poses = clip(joints_of(body, gestures, H36M_17)[:1])
    assert distance_mm(fit_3d(poses, body, up="y"), poses) < 10


def test_joints_of_no_person_are_noted(body: SMPL, gestures: Tensor) -> None:
    joints = joints_of(body, gestures, H36M_17)[:3]
    assert not fit_3d(clip(joints), body, up="y").notes
    assert any("check their names and their unit" in note for note in fit_3d(clip(1000 * joints), body, up="y").notes)


def test_what_cannot_be_fitted_is_refused(body: SMPL, gestures: Tensor) -> None:
    joints = joints_of(body, gestures, H36M_17)
    with pytest.raises(DataError, match="2D"):
        fit_3d(clip(joints[..., :2], unit="px", frame="image"), body)
    with pytest.raises(DataError, match=r"unit normalised.*--height"):
        fit_3d(clip(joints, unit="normalised", frame="root"), body)
    with pytest.raises(ConfigError, match="up: expected one of"):
        fit_3d(clip(joints), body, up="x")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="camera's axes"):
        fit_3d(clip(joints, frame="camera"), body, up="y")
    with pytest.raises(DataError, match="nobody has 4 joints"):
        fit_3d(clip(np.full_like(joints, np.nan)), body)
    strange = clip(joints).replace(joint_names=tuple(f"marker{n}" for n in range(17)), skeleton="custom")
    with pytest.raises(DataError, match="nobody has 4 joints"):
        fit_3d(strange, body)
