"""Bodies found again from the keypoints of one camera; people, gaps, seams and options; and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.body_models import SMPL, BodyMotion
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.metrics import accel_error, pa_mpjpe
from poseworks.core.poses import PoseSequence, poses_from_arrays
from poseworks.core.skeletons import COCO_17, H36M_17
from poseworks.core.testing_bodies import synthetic_body
from poseworks.mesh_recovery.fitting import starts
from poseworks.mesh_recovery.fitting.fit import FitSettings, checked_settings, fit
from poseworks.mesh_recovery.named_joints import NamedJoints

SIZE = (640, 480)
CAMERA = Pinhole.from_focal(800, SIZE)


@pytest.fixture(scope="module")
def joints(body: SMPL, gestures: Tensor) -> NDArray[Any]:
    """(T, 17, 3) COCO's joints of someone 5 m before the camera, upright in its axes; hips as detectors mark them."""
    light, named = NamedJoints(body, COCO_17.joint_names, hip_spread=1.25).light_body()
    found = named(light(torch.zeros(1, 1), gestures, torch.zeros(1, 3))).double().numpy()
    placed: NDArray[Any] = found * (1.0, -1, -1) + (0.3, 0, 5)
    return placed


def keypoints(joints: NDArray[Any], noise_px: float = 2.0, **fields: Any) -> PoseSequence:
    """What the camera sees of (T, 17, 3) or (P, T, 17, 3)."""
    pixels = CAMERA.project(joints)
    pixels += noise_px * np.random.default_rng(0).normal(size=pixels.shape)
    return poses_from_arrays(pixels, COCO_17, fps=30, unit="px", frame="image", image_size=SIZE, **fields)


def joints_of(motion: BodyMotion, body: SMPL, person: int = 0) -> Tensor:
    """(T, 17, 3)."""
    named = NamedJoints(body, COCO_17.joint_names, hip_spread=1.25)
    pose, transl = (torch.tensor(array[person]) for array in (motion.pose, motion.transl))
    return named.of(body.joints(torch.tensor(motion.betas[person]), pose, transl))


@pytest.fixture(scope="module")
def plain(joints: NDArray[Any], body: SMPL) -> Any:
    """The fit of one person."""
    return fit(keypoints(joints), body, camera=CAMERA)


def test_the_person_is_found_again(plain: Any, joints: NDArray[Any], body: SMPL) -> None:
    motion = plain.motion
    assert (motion.frame, motion.focal, motion.image_size, motion.body) == ("camera", 800, SIZE, "free")
    found = joints_of(motion, body)
    assert pa_mpjpe(found, torch.tensor(joints).float()).mean() < 0.08
    assert np.abs(found.numpy()[..., 2].mean() - 5) < 0.5
    pixels = CAMERA.project(found.numpy())
    assert np.median(np.linalg.norm(pixels - CAMERA.project(joints), axis=-1)) < 3


def test_what_is_told_is_what_the_result_shows(plain: Any, joints: NDArray[Any], body: SMPL) -> None:
    (person,) = plain.figures
    given, shown = keypoints(joints), plain.poses
    np.testing.assert_allclose(shown.positions[0], CAMERA.project(joints_of(plain.motion, body).numpy()), atol=0.05)
    apart = np.linalg.norm(shown.positions - given.positions, axis=-1)
    assert person["median_px"] == pytest.approx(np.median(apart), rel=1e-4)
    second = [np.linalg.norm(np.diff(each.positions[0], n=2, axis=0), axis=-1).mean() for each in (given, shown)]
    assert person["jitter_before_px"] == pytest.approx(second[0], rel=1e-3)
    assert person["jitter_after_px"] == pytest.approx(second[1], rel=1e-3)
    assert person["jitter_after_px"] < 0.5 * person["jitter_before_px"]
    assert person["bent_the_wrong_way"] == 0
    assert plain.motion.history[-1]["settings"]["start"] == "typical poses"


def test_a_lifted_start_helps(plain: Any, joints: NDArray[Any], body: SMPL) -> None:
    true = torch.tensor(joints).float()
    relative = joints - joints[:, COCO_17.indices(("left_hip", "right_hip"))].mean(1, keepdims=True)
    lifted = poses_from_arrays(3.0 * relative, COCO_17, fps=30, unit="normalised", frame="root")
    better = fit(keypoints(joints), body, camera=CAMERA, lifted=lifted)
    error = pa_mpjpe(joints_of(better.motion, body), true).mean()
    assert error < 0.8 * pa_mpjpe(joints_of(plain.motion, body), true).mean()
    assert better.motion.history[-1]["settings"]["start"] == "lifted joints"


def test_somebody_upside_down_is_found(joints: NDArray[Any], body: SMPL) -> None:
    fallen = (joints - (0, 0, 5)) * (-1.0, -1, 1) + (0, 0, 5)
    found = joints_of(fit(keypoints(fallen), body, camera=CAMERA).motion, body)
    assert pa_mpjpe(found, torch.tensor(fallen).float()).mean() < 0.1
    assert np.median(np.linalg.norm(CAMERA.project(found.numpy()) - CAMERA.project(fallen), axis=-1)) < 3


@pytest.mark.long
def test_people_and_gaps(joints: NDArray[Any], body: SMPL) -> None:
    both = keypoints(np.stack([joints, joints + np.array([0.5, 0, 1])]), person_ids=np.array([3, 8]))
    positions = both.positions.copy()
    positions[0, 5:8] = np.nan  # bridged
    positions[1, :4] = np.nan
    positions[1, 9, 1:] = np.nan  # too little
    positions[:, :, 9] = np.nan  # a wrist that nobody sees
    found = fit(both.replace(positions=positions), body, settings=FitSettings(max_gap_s=0.1))
    assert found.motion.present[0].all()
    assert found.motion.present[1].tolist() == [False] * 4 + [True] * 16
    np.testing.assert_array_equal(found.motion.person_ids, [3, 8])
    assert [person["person"] for person in found.figures] == [3, 8]
    assert [person["frames"] for person in found.figures] == [20, 16]
    assert found.motion.focal == pytest.approx(800)  # the diagonal
    split = fit(both.replace(positions=positions), body, settings=FitSettings(max_gap_s=0))
    assert split.motion.present[0].tolist() == [True] * 5 + [False] * 3 + [True] * 12


@pytest.mark.long
def test_chunks_are_joined_smoothly(
    plain: Any, joints: NDArray[Any], body: SMPL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "CHUNK", 10)
    monkeypatch.setattr(starts, "OVERLAP", 4)
    cut = fit(keypoints(joints), body, camera=CAMERA)
    whole, parts = joints_of(plain.motion, body), joints_of(cut.motion, body)
    assert pa_mpjpe(parts, torch.tensor(joints).float()).mean() < 0.09
    assert accel_error(parts, whole).mean() < 0.01


def test_one_frame_is_fitted(joints: NDArray[Any], body: SMPL) -> None:
    found = fit(keypoints(joints[:1]), body, camera=CAMERA)
    assert pa_mpjpe(joints_of(found.motion, body), torch.tensor(joints[:1]).float()).mean() < 0.12
    assert found.figures[0]["jitter_before_px"] is None


def test_a_stated_height_moves_the_person_away(plain: Any, joints: NDArray[Any], body: SMPL) -> None:
    taller = fit(keypoints(joints), body, camera=CAMERA, settings=FitSettings(height=2.0)).motion
    up = body.rest_vertices(torch.tensor(taller.betas[0]))[:, 1]
    assert float(up.max() - up.min()) == pytest.approx(2.0, abs=2e-3)
    assert (taller.betas[0, 1:] == 0).all()
    assert taller.transl[0, :, 2].mean() > 1.1 * plain.motion.transl[0, :, 2].mean()


@pytest.mark.long
def test_feet_on_the_ground_are_held(body: SMPL) -> None:
    pose = torch.zeros(20, 24, 3)
    pose[:, 16, 2], pose[:, 17, 2] = -1.0, 1.0
    pose[:, 18, 1] = -torch.linspace(0, 1, 20)
    standing = NamedJoints(body, COCO_17.joint_names).of(body.joints(torch.zeros(1, 1), pose)).double().numpy()
    seen = keypoints(standing * (1.0, -1, -1) + (0, 0, 5), noise_px=3.0)
    ankles = list(COCO_17.indices(("left_ankle", "right_ankle")))

    def slide(**settings: Any) -> float:
        found = joints_of(fit(seen, body, camera=CAMERA, settings=FitSettings(**settings)).motion, body)[:, ankles]
        return float((found[1:] - found[:-1]).norm(dim=-1).mean())

    assert slide(ground=True) < 0.5 * slide()


def test_sides_are_exchanged_back(joints: NDArray[Any], body: SMPL) -> None:
    seen = keypoints(joints)
    positions = seen.positions.copy()
    positions[0, 8:11] = positions[0, 8:11][:, list(COCO_17.mirrored)]
    found = fit(seen.replace(positions=positions), body, camera=CAMERA, settings=FitSettings(unswap=True))
    assert any("left and right exchanged" in note for note in found.notes)
    assert found.figures[0]["median_px"] < 3


def test_a_body_of_smpls_kind_is_fitted_too(joints: NDArray[Any]) -> None:
    body = SMPL(synthetic_body())
    found = fit(keypoints(joints[:4]), body, camera=CAMERA)
    assert found.motion.body == "smpl"
    assert found.motion.present.all()


def test_a_camera_that_no_motion_file_can_state_is_said(joints: NDArray[Any], body: SMPL) -> None:
    aside = Pinhole(800, 800, 100, 240)
    shifted = keypoints(joints).positions - np.array([220, 0])
    found = fit(keypoints(joints).replace(positions=shifted), body, camera=aside)
    assert found.motion.focal is None
    assert any("beside the middle" in note for note in found.notes)
    assert found.figures[0]["median_px"] < 3


def test_joints_in_space_go_to_the_fit_of_these(joints: NDArray[Any], body: SMPL) -> None:
    space = poses_from_arrays(joints, COCO_17, fps=30, unit="m", frame="camera")
    assert fit(space, body).figures[0]["mean_mm"] < 20
    with pytest.raises(ConfigError, match="camera, ground: for keypoints in a picture"):
        fit(space, body, camera=CAMERA, settings=FitSettings(ground=True))
    with pytest.raises(ConfigError, match="up: for joints in space"):
        fit(keypoints(joints), body, up="z")


def test_poses_that_cannot_be_fitted_are_refused(joints: NDArray[Any], body: SMPL) -> None:
    seen = keypoints(joints)
    with pytest.raises(DataError, match="got 2D in the unit normalised"):
        fit(seen.replace(unit="normalised"), body, camera=CAMERA)
    with pytest.raises(ConfigError, match="--image-size 1920x1080, or --camera"):
        fit(seen.replace(image_size=None), body)
    names = tuple(f"point_{number}" for number in range(17))
    with pytest.raises(DataError, match="none of the joints point_0"):
        fit(seen.replace(joint_names=names, skeleton="custom"), body)
    for hidden in (
        seen.replace(confidence=np.zeros_like(seen.confidence)),
        seen.replace(positions=np.full_like(seen.positions, np.nan)),
    ):
        with pytest.raises(DataError, match="nobody has 4 keypoints in a frame"):
            fit(hidden, body)
    with pytest.raises(DataError, match="nobody has 4 keypoints"):
        fit(seen.replace(confidence=0.4 * seen.confidence), body, settings=FitSettings(min_confidence=0.5))


def test_keypoints_that_no_camera_sees_pull_nobody(plain: Any, joints: NDArray[Any], body: SMPL) -> None:
    seen = keypoints(joints)
    wild = seen.positions.copy()
    wild[0, 3, 9], wild[0, 5] = 1e6, 100.0  # a wrist; a frame whose keypoints are all at one place
    found = fit(seen.replace(positions=wild), body, camera=CAMERA)
    assert "18 keypoints where no camera sees anything, or all at one place: left out" in " ".join(found.notes)
    np.testing.assert_allclose(found.motion.transl, plain.motion.transl, atol=0.25)
    nowhere = seen.replace(positions=np.full_like(wild, 100.0))
    with pytest.raises(DataError, match="nobody has 4 keypoints in a frame"):
        fit(nowhere, body, camera=CAMERA)


def test_lifted_joints_of_others_are_refused(joints: NDArray[Any], body: SMPL) -> None:
    lifted = poses_from_arrays(joints, COCO_17, fps=30, unit="m", frame="camera")
    with pytest.raises(ConfigError, match="the 1 people and 20 frames of the keypoints, got 1 and 19"):
        fit(keypoints(joints), body, lifted=lifted.replace(positions=lifted.positions[:, 1:], confidence=None))
    with pytest.raises(ConfigError, match="got 3D in the frame world"):
        fit(keypoints(joints), body, lifted=lifted.replace(frame="world"))


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ConfigError, match="height"):
        checked_settings(height=17.0)


def test_h36m_hips_are_the_centres_of_joints(body: SMPL, gestures: Tensor) -> None:
    light, named = NamedJoints(body, H36M_17.joint_names).light_body()
    found = named(light(torch.zeros(1, 1), gestures[:4], torch.zeros(1, 3))).double().numpy()
    pixels = CAMERA.project(found * (1.0, -1, -1) + (0, 0, 5))
    seen = poses_from_arrays(pixels, H36M_17, fps=30, unit="px", frame="image", image_size=SIZE)
    assert fit(seen, body, camera=CAMERA).figures[0]["median_px"] < 2
