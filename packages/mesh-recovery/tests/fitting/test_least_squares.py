"""Damped steps: the Jacobian by small differences, the elimination of the shape beside the whole system."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.body_models import SMPL
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.skeletons import H36M_17
from poseworks.mesh_recovery.fitting.folded import FoldedPoints
from poseworks.mesh_recovery.fitting.least_squares import FrameFit, Poses
from poseworks.mesh_recovery.fitting.smooth_steps import Smoothness, _band, _solve_band, solve_smoothly
from poseworks.mesh_recovery.fitting.terms import NearPoints, TowardsRest, rest_pulls
from poseworks.mesh_recovery.named_joints import NamedJoints


@pytest.fixture(scope="module")
def points(body: SMPL) -> FoldedPoints:
    return FoldedPoints(body, NamedJoints(body, H36M_17.joint_names))


@pytest.fixture(scope="module")
def truth(points: FoldedPoints, gestures: Tensor) -> Tensor:
    """(20, 17, 3) where the joints of a tall person are."""
    shape = torch.zeros(10)
    shape[0] = 1.0
    return points.place(shape, axis_angle_to_matrix(gestures), torch.zeros(20, 3)).points


def beginning(gestures: Tensor, by: float = 0.15) -> Poses:
    noise = torch.randn(gestures.shape, generator=torch.Generator().manual_seed(0))
    pose = gestures + by * noise
    return Poses(torch.zeros(10), axis_angle_to_matrix(pose[:, 0]), pose[:, 1:].flatten(1), torch.zeros(20, 3))


def fit_of(points: FoldedPoints, target: Tensor) -> FrameFit:
    near = NearPoints(target, torch.ones(target.shape[:2]), 0.02, 50.0)
    return FrameFit(points, near, (TowardsRest(1e-3 * rest_pulls(points.moved_by)),), torch.full((10,), 1e-3))


def test_the_gradient_is_the_slope_of_the_cost(points: FoldedPoints, truth: Tensor, gestures: Tensor) -> None:
    fit, poses = fit_of(points, truth), beginning(gestures)
    gradient = fit.normal(poses, fit.placed(poses), slice(None)).right[..., 0]
    for parameter in (0, 2, 4, 9, 20, 50):
        step = torch.zeros_like(gradient)
        step[:, parameter] = 1e-3
        costs = [
            fit.cost(moved, fit.placed(moved), slice(None)) for moved in (fit.moved(poses, s * step) for s in (1, -1))
        ]
        assert_close((costs[0] - costs[1]) / 2e-3, gradient[:, parameter], rtol=2e-2, atol=2.0)


def test_pose_and_shape_are_found_again(points: FoldedPoints, truth: Tensor, gestures: Tensor) -> None:
    fit, poses = fit_of(points, truth), beginning(gestures)
    fit.solve(poses, 15, free_shape=True, enough=1e-6)
    assert torch.linalg.vector_norm(fit.placed(poses).points - truth, dim=-1).mean() < 3e-3
    assert poses.shape[0] == pytest.approx(1.0, abs=0.1)


def test_steps_never_raise_the_cost(points: FoldedPoints, truth: Tensor, gestures: Tensor) -> None:
    fit, poses = fit_of(points, truth), beginning(gestures, by=0.8)
    costs = [fit.solve(poses, 1) for _ in range(6)]
    assert costs == sorted(costs, reverse=True)


def test_the_shape_is_eliminated_as_the_whole_system_gives_it(
    points: FoldedPoints, truth: Tensor, gestures: Tensor
) -> None:
    fit, poses = fit_of(points, truth[:3]), beginning(gestures)[slice(0, 3)]
    normal = fit.normal(poses, fit.placed(poses), slice(None), with_shape=True)
    frames, size, wide = normal.right.shape
    whole = torch.zeros(frames * size + wide - 1, frames * size + wide - 1, dtype=torch.float64)
    right = torch.zeros(len(whole), dtype=torch.float64)
    damped = normal.matrix.double()
    damped.diagonal(dim1=1, dim2=2).mul_(1 + 1e-2).add_(1e-5 + 1e-4)
    for frame in range(frames):
        rows = slice(frame * size, (frame + 1) * size)
        whole[rows, rows] = damped[frame]
        whole[rows, frames * size :] = normal.right[frame, :, 1:]
        whole[frames * size :, rows] = normal.right[frame, :, 1:].T
        right[rows] = normal.right[frame, :, 0]
    whole[frames * size :, frames * size :] = normal.shared + torch.diag(3 * fit.shape_pull + 1e-6)
    right[frames * size :] = normal.shared_gradient
    expected = torch.linalg.solve(whole, -right)[frames * size :].float()
    fit.solve(poses, 1, free_shape=True)
    assert_close(poses.shape, expected, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("frames", [1, 2, 3, 7])
def test_a_band_of_blocks_is_solved_as_the_full_matrix(frames: int) -> None:
    generator = torch.Generator().manual_seed(frames)
    blocks = torch.randn(frames, 3, frames, 3, dtype=torch.float64, generator=generator)
    full = blocks.reshape(3 * frames, -1)
    full = full @ full.T + 30 * torch.eye(3 * frames)
    near = (torch.arange(frames)[:, None] - torch.arange(frames)).abs() <= 2
    full = (full.reshape(frames, 3, frames, 3) * near[:, None, :, None]).reshape(3 * frames, -1)
    blocks = full.reshape(frames, 3, frames, 3).transpose(1, 2)
    right = torch.randn(frames, 3, dtype=torch.float64, generator=generator)
    one, two = (
        blocks[range(frames - step), range(step, frames)] if frames > step else full.new_zeros(0, 3, 3)
        for step in (1, 2)
    )
    same = blocks[range(frames), range(frames)]
    assert_close(_solve_band(same, one, two, right), torch.linalg.solve(full, right.flatten()).reshape(frames, 3))


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 9])
def test_second_differences_join_frames_as_their_matrix_does(frames: int) -> None:
    differences = torch.zeros(max(frames - 2, 0), frames)
    for row in range(frames - 2):
        differences[row, row : row + 3] = torch.tensor([1.0, -2.0, 1.0])
    whole = differences.T @ differences
    for step, coefficients in enumerate(_band(frames)):
        if step < frames:
            assert_close(coefficients[: frames - step], whole.diagonal(step))


def test_smooth_steps_lower_the_jitter_and_stay_near(points: FoldedPoints, truth: Tensor, gestures: Tensor) -> None:
    noisy = truth + 0.01 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    fit, poses = fit_of(points, noisy), beginning(gestures, by=0.05)
    poses.shape[0] = 1.0
    fit.solve(poses, 8)

    def jitter() -> float:
        return float((fit.placed(poses).points.diff(n=2, dim=0)).norm(dim=-1).mean())

    before = jitter()
    costs = [solve_smoothly(fit, poses, Smoothness(3000.0, 0.3), 1) for _ in range(3)]
    assert jitter() < 0.5 * before
    assert costs[2] <= costs[1] <= costs[0]
    assert (fit.placed(poses).points - truth).norm(dim=-1).mean() < 0.01


def test_smoothness_is_an_acceleration_whatever_the_frame_rate() -> None:
    assert Smoothness(100.0, 1.0).at(60.0) == Smoothness(1600.0, 16.0)
    assert Smoothness(100.0, 1.0).at(240.0) == Smoothness(1600.0, 16.0)
