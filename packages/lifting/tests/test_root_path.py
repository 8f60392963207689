"""The root in front of the camera, from joints and the pixels in which they were seen."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.core.cameras import Pinhole
from poseworks.core.testing import walking_poses
from poseworks.lifting.root_path import fit_each_frame, fit_root_path

CAMERA = Pinhole(1100, 1120, 630, 370)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def scene(rng: np.random.Generator, frames: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints relative to the root, the root's path and the pixels, of somebody who walks up to the camera."""
    world = walking_poses(frames, rng=rng).positions[0].astype(np.float64)
    joints = (world - world[:, :1])[..., [0, 2, 1]] * (1, -1, -1)
    time = np.arange(frames) / 30
    path = np.stack([0.4 * np.sin(time), 0.02 * np.cos(9 * time), 6 - 1.1 * time], axis=1)
    return joints, path, CAMERA.project(joints + path[:, None])


def test_each_frame_is_exact_without_noise(rng: np.random.Generator) -> None:
    joints, path, pixels = scene(rng)
    ones = np.ones(pixels.shape[:2])
    np.testing.assert_allclose(fit_each_frame(joints, pixels, ones, CAMERA), path, atol=1e-7)


def test_a_joint_far_off_and_missing_ones_do_not_matter(rng: np.random.Generator) -> None:
    joints, path, pixels = scene(rng)
    pixels[:, 3] += (160, -90)
    pixels[::2, 8:14] = np.nan
    found = fit_each_frame(joints, pixels, np.ones(pixels.shape[:2]), CAMERA)
    assert np.abs(found - path).max() < 0.06  # least squares alone is 2 m off
    plain = np.ones(pixels.shape[:2])
    plain[:, 3] = 0
    np.testing.assert_allclose(fit_each_frame(joints, pixels, plain, CAMERA), path, atol=0.02)


def test_the_path_follows_a_steady_approach_and_smooths_what_trembles(rng: np.random.Generator) -> None:
    joints, path, pixels = scene(rng)
    ones = np.ones(pixels.shape[:2])
    clean = fit_root_path(joints, pixels, ones, CAMERA, fps=30)
    np.testing.assert_allclose(clean, path, atol=0.012)
    noisy = pixels + 2 * rng.standard_normal(pixels.shape)
    alone, smooth = (f(joints, noisy, ones, CAMERA, *a) for f, a in ((fit_each_frame, ()), (fit_root_path, (30,))))
    assert np.abs(smooth - path)[:, 2].mean() < 0.6 * np.abs(alone - path)[:, 2].mean()
    assert np.diff(smooth[:, 2], n=2).std() < 0.1 * np.diff(alone[:, 2], n=2).std()


def test_frames_that_tell_nothing_lie_between_those_that_do(rng: np.random.Generator) -> None:
    joints, path, pixels = scene(rng)
    pixels[30:36] = np.nan
    pixels[60, 4:] = np.nan
    found = fit_root_path(joints, pixels, np.ones(pixels.shape[:2]), CAMERA, fps=30)
    np.testing.assert_allclose(found[:, 2], path[:, 2], atol=0.03)
    np.testing.assert_allclose(found, path, atol=0.06)


def test_frames_that_were_not_lifted_stay_empty_and_nobody_is_nowhere(rng: np.random.Generator) -> None:
    joints, path, pixels = scene(rng)
    joints[40:50] = np.nan
    found = fit_root_path(joints, pixels, np.ones(pixels.shape[:2]), CAMERA, fps=30)
    assert np.isnan(found[40:50]).all()
    np.testing.assert_allclose(np.delete(found, range(40, 50), 0), np.delete(path, range(40, 50), 0), atol=0.02)
    nothing = fit_root_path(joints, np.full_like(pixels, np.nan), np.ones(pixels.shape[:2]), CAMERA, fps=30)
    assert np.isnan(nothing).all()
    assert fit_root_path(joints[:0], pixels[:0], np.ones((0, 17)), CAMERA, fps=30).shape == (0, 3)


def test_joints_that_fit_no_ray_are_placed_by_how_large_they_appear(rng: np.random.Generator) -> None:
    joints, path, pixels = scene(rng, frames=5)
    inside_out = joints * (1, 1, -4)  # near is far, and four times so
    found = fit_root_path(inside_out, pixels, np.ones(pixels.shape[:2]), CAMERA, fps=30)
    assert (found[:, 2] > 1).all()
    assert np.abs(found[:, 2] - path[:, 2]).max() < 4


def test_the_path_scales_with_the_joints(rng: np.random.Generator) -> None:
    joints, _, pixels = scene(rng, frames=30)
    ones = np.ones(pixels.shape[:2])
    one, three = (fit_root_path(scale * joints, pixels, ones, CAMERA, fps=30) for scale in (1, 3))
    np.testing.assert_allclose(three, 3 * one, rtol=1e-6, atol=1e-9)
