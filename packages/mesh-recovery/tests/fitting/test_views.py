"""Several views: bodies found again, with noise and views that err; and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.body_models import SMPL
from poseworks.core.calibration import PlacedCamera
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.poses import PoseSequence, poses_from_arrays
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.skeletons import COCO_17
from poseworks.mesh_recovery.fitting.views import fit_views
from poseworks.mesh_recovery.named_joints import NamedJoints

SIZE = (1280, 960)
ASIDE = np.array([0.8, 0, 0])
Y_TO_Z = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


@pytest.fixture(scope="module")
def cameras() -> list[PlacedCamera]:
    """Three around the middle of a world with z up, 4 m away, with some distortion."""
    level = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # looks along y
    placed = []
    for number, angle in enumerate((0.0, 1.3, 3.6)):
        turn = axis_angle_to_matrix(torch.tensor([0.0, 0, angle], dtype=torch.float64)).numpy()
        lens = Pinhole(1000, 1000, 640, 480)
        placed.append(
            PlacedCamera(lens, level @ turn, np.array([0.0, 0, 4]), (-0.05, 0.1, 1e-3, -1e-3, 0), SIZE, f"cam{number}")
        )
    return placed


@pytest.fixture(scope="module")
def joints(body: SMPL, gestures: Tensor) -> NDArray[Any]:
    """(T, 17, 3) metres in the cameras' world."""
    light, named = NamedJoints(body, COCO_17.joint_names).light_body()
    found: NDArray[Any] = named(light(torch.tensor([[0.5]]), gestures, torch.zeros(1, 3))).double().numpy()
    turned: NDArray[Any] = found @ Y_TO_Z.T
    return turned


def seen(joints: NDArray[Any], cameras: list[PlacedCamera], noise_px: float = 3.0) -> list[PoseSequence]:
    rng = np.random.default_rng(0)
    pixels = [camera.project(joints) for camera in cameras]
    return [
        poses_from_arrays(
            at + noise_px * rng.normal(size=at.shape), COCO_17, fps=30, unit="px", frame="image", image_size=SIZE
        )
        for at in pixels
    ]


def test_a_body_is_found_again(body: SMPL, cameras: list[PlacedCamera], joints: NDArray[Any], gestures: Tensor) -> None:
    fitted = fit_views(seen(joints, cameras), cameras, body)
    assert np.linalg.norm(fitted.poses.positions[0] - joints, axis=-1).mean() < 0.025
    assert (fitted.poses.frame, fitted.poses.unit) == ("world", "m")
    assert np.abs(fitted.motion.body_pose[0, :, 3, 0] - gestures[:, 4, 0].numpy()).mean() < 0.15  # left knee
    assert abs(fitted.motion.transl).max() < 0.05
    views = fitted.figures[0]["views"]
    assert [view["camera"] for view in views] == ["cam0", "cam1", "cam2"]
    assert all(view["median_px"] < 8 for view in views)


def test_views_that_err_count_little(body: SMPL, cameras: list[PlacedCamera], joints: NDArray[Any]) -> None:
    views = seen(joints, cameras)
    positions, confidence = views[1].positions.copy(), views[1].confidence.copy()
    positions[0, 5:8] = positions[0, 5:8][:, list(COCO_17.mirrored)]  # left and right exchanged
    positions[0, 12, COCO_17.index("left_wrist")] += 300
    positions[0, 15:] = np.nan  # out of sight
    confidence[0, 15:] = 0
    wrong = [views[0], views[1].replace(positions=positions, confidence=confidence), views[2]]
    fitted = fit_views(wrong, cameras, body)
    error = np.linalg.norm(fitted.poses.positions[0] - joints, axis=-1)
    assert error.mean() < 0.03
    assert error[12].mean() < 0.04
    assert any("3 frames of cam1 had left and right exchanged" in note for note in fitted.notes)


def test_people_are_matched_by_their_numbers(body: SMPL, cameras: list[PlacedCamera], joints: NDArray[Any]) -> None:
    pairs = []
    for number, (one, other) in enumerate(zip(seen(joints, cameras), seen(joints + ASIDE, cameras), strict=True)):
        both, ids = np.concatenate([one.positions, other.positions]), [4, 7]
        order = [1, 0] if number == 1 else [0, 1]
        pairs.append(
            one.replace(positions=both[order], confidence=np.ones(both.shape[:-1]), person_ids=np.array(ids)[order])
        )
    fitted = fit_views(pairs, cameras, body)
    assert fitted.motion.person_ids is not None
    assert fitted.motion.person_ids.tolist() == [4, 7]
    assert np.linalg.norm(fitted.poses.positions[1] - joints - ASIDE, axis=-1).mean() < 0.04
    with pytest.raises(DataError, match="cannot be matched"):
        fit_views([view.replace(person_ids=None) for view in pairs], cameras, body)


def test_what_does_not_fit_together_is_refused(body: SMPL, cameras: list[PlacedCamera], joints: NDArray[Any]) -> None:
    views = seen(joints, cameras)
    with pytest.raises(ConfigError, match="at least two, and a camera for each; got 3 views and 2"):
        fit_views(views, cameras[:2], body)
    with pytest.raises(ConfigError, match="up: expected one of"):
        fit_views(views, cameras, body, up="x")  # type: ignore[arg-type]
    shorter = views[0].replace(positions=views[0].positions[:, 1:], confidence=views[0].confidence[:, 1:])
    sized = views[0].replace(image_size=(640, 480))
    with pytest.raises(DataError, match=r"view 1: 19 frames.*view 2: a picture of \(640, 480\)"):
        fit_views([views[0], shorter, sized], cameras, body)
    space = poses_from_arrays(joints, COCO_17, fps=30, unit="m", frame="world")
    with pytest.raises(DataError, match="expected 2D keypoints in pixels, got 3D in m"):
        fit_views([views[0], views[1], space], cameras, body)
    blind = [view.replace(confidence=np.zeros_like(view.confidence)) for view in views[:2]]
    with pytest.raises(DataError, match="two cameras see in the same frame"):
        fit_views([*blind, views[2]], cameras, body)
