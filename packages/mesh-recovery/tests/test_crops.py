"""Crops against the published geometry, and by what must hold of any crop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch.testing import assert_close

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.testing import ReferenceCase, seeded_input
from poseworks.mesh_recovery import crop_transform
from poseworks.mesh_recovery.crops import (
    AFFINE_224,
    MEAN,
    PIXELS_224,
    STD,
    Preparation,
    box_of_keypoints,
    box_squares,
    crop_box,
    crop_pixels,
    inverse_transform,
    mirror_joints,
    mirror_pose,
    normalised,
    pixel_corners,
    transform_points,
    turn_joints,
    turn_pose,
    warp,
)

Image = np.ndarray


@pytest.fixture(scope="module")
def published(case: Callable[[str], ReferenceCase]) -> ReferenceCase:
    return case("crop_affine")


@pytest.fixture(scope="module")
def gradient() -> Image:
    """300 x 400: red grows to the right, green downwards, blue in stripes."""
    y, x = np.mgrid[:300, :400]
    return np.stack([x * 255 // 399, y * 255 // 299, (x + 2 * y) % 256], axis=-1).astype(np.uint8)


def test_geometry_equals_the_published_one(published: ReferenceCase) -> None:
    keypoints = np.abs(seeded_input("crop_kp", (6, 54, 2), 100.0)).astype(np.float64)
    for number, box in enumerate(published.manifest["input"]["boxes"]):
        matrix = crop_transform(box["center"], box["scale"], box["rotation_deg"], box["size"])
        # float32 in between, where it was published: 3e-5 pixels.
        np.testing.assert_allclose(matrix, published.arrays["matrix"][number], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(inverse_transform(matrix), published.arrays["inverse"][number], rtol=1e-5, atol=1e-4)
        moved = transform_points(keypoints[number], matrix)
        np.testing.assert_allclose(moved, published.arrays["keypoints2d"][number], rtol=1e-5, atol=1e-4)
    squares = box_squares(published.manifest["boxes_xywh"])
    np.testing.assert_allclose(squares, published.arrays["boxes_to_center_scale"])


def test_pictures_are_sampled_as_published(published: ReferenceCase, gradient: Image) -> None:
    found = warp(gradient, published.arrays["matrix"][1], 256)[::8, ::8].astype(int)
    assert np.abs(found - published.arrays["warped"]).max() <= 1


def test_poses_and_joints_are_turned_and_mirrored_as_published(published: ReferenceCase) -> None:
    pose = torch.from_numpy(seeded_input("crop_pose", (6, 72), 0.6))
    joints = torch.from_numpy(seeded_input("crop_kp3", (6, 54, 3), 1.0))
    for number, box in enumerate(published.manifest["input"]["boxes"]):
        angle = box["rotation_deg"]
        assert_close(turn_pose(pose[number], angle), published.outputs["pose_rotated"][number], rtol=1e-4, atol=1e-5)
        turned = turn_joints(joints[number], angle)
        assert_close(turned, published.outputs["keypoints3d_rotated"][number], rtol=1e-4, atol=1e-5)
    angles = torch.tensor([box["rotation_deg"] for box in published.manifest["input"]["boxes"]])
    assert_close(turn_pose(pose, angles), published.outputs["pose_rotated"], rtol=1e-4, atol=1e-5)
    assert_close(turn_joints(joints, angles), published.outputs["keypoints3d_rotated"], rtol=1e-4, atol=1e-5)
    assert_close(mirror_pose(pose), published.outputs["pose_flipped"])
    # Which joint's partner is which is read off the published answer; names are the conventions' business.
    expected = published.outputs["keypoints3d_flipped"]
    partners = [int((joints[0] * torch.tensor([-1.0, 1, 1]) == row).all(-1).nonzero()[0, 0]) for row in expected[0]]
    assert_close(mirror_joints(joints, partners), expected)


@given(
    st.floats(-500, 900), st.floats(-500, 900), st.floats(1, 2000), st.floats(-180, 180), st.sampled_from([56, 256])
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_crop_and_its_inverse(x: float, y: float, scale: float, angle: float, size: int) -> None:
    matrix = crop_transform((x, y), scale, angle, size)
    assert matrix.shape == (2, 3)
    np.testing.assert_allclose(transform_points([x, y], matrix), [size / 2, size / 2], atol=1e-6)
    corners = np.array([[0.0, 0.0], [size, 0], [0, size], [size, size]])
    back = transform_points(corners, inverse_transform(matrix))
    np.testing.assert_allclose(transform_points(back, matrix), corners, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(back[1] - back[0]), scale)


def test_a_crop_of_its_own_size_is_the_picture(gradient: Image) -> None:
    assert np.array_equal(warp(gradient, np.eye(3)[:2], 300), gradient[:, :300])
    shifted = warp(gradient, [[1, 0, 20], [0, 1, -30]], 224)
    assert np.array_equal(shifted[:, 20:], gradient[30:254, :204])
    assert not shifted[:, :20].any()
    assert not warp(gradient, [[1, 0, 9000], [0, 1, 0]], 64).any()
    assert warp(np.full((1, 1, 3), 200, np.uint8), np.eye(3)[:2], 32).sum() == 600


def test_crops_of_whole_pixels(gradient: Image) -> None:
    # center 150, side 200: columns 50 to 249, as arithmetic that counts from 1 has it.
    assert pixel_corners((150, 120), 1.0, 200) == (50, 20, 250, 220)
    assert np.array_equal(crop_pixels(gradient, (150, 120), 1.0, 200), gradient[20:220, 50:250])
    assert pixel_corners((150.9, 120.2), 1.0, 224) == (50, 20, 250, 220)  # cut, not rounded
    over = crop_pixels(gradient, (10, 10), 0.5, 100)
    assert not over[:40].any()
    assert np.array_equal(over[40:, 40:], gradient[:60, :60])


def test_crops_of_whole_pixels_are_resized_as_by_a_triangle_filter(gradient: Image) -> None:
    """Half the size: weights 1 3 3 1 over 8 around each middle (the red channel, which grows evenly, is kept)."""
    crop = crop_pixels(gradient, (150, 120), 1.0, 100).astype(int)
    square = gradient[20:220, 50:250].astype(np.float64)
    inner = square[:, :, 0]
    by_hand = (inner[:, :-3:2] + 3 * inner[:, 1:-2:2] + 3 * inner[:, 2:-1:2] + inner[:, 3::2]) / 8
    assert np.abs(crop[1:-1, 1:-1, 0] - by_hand[2:-2:2, :98].round()).max() <= 1


@given(
    st.floats(-100, 500), st.floats(-100, 400), st.floats(0.2, 3), st.sampled_from([64, 96, 224])
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_crops_of_whole_pixels_equal_another_implementation(x: float, y: float, scale: float, size: int) -> None:
    """Corners by the inverse of the matrix that SPIN writes down, resized by two matrices of triangles."""
    side = 200 * scale
    there = np.array([[size / side, 0, size * (0.5 - x / side)], [0, size / side, size * (0.5 - y / side)], [0, 0, 1]])
    ends = np.linalg.inv(there) @ np.array([[0, 0, 1], [size, size, 1]]).T
    assume((np.abs(ends[:2] - ends[:2].round()) > 1e-6).all())  # else the last bit says which pixel it is
    left, top, right, bottom = ends[:2].T.astype(int).ravel()
    assert pixel_corners((x, y), scale, size) == (left, top, right, bottom)
    picture = (np.indices((300, 400)).sum(0)[..., None] * [1, 2, 3] % 256).astype(np.uint8)
    reach = 1000  # black around it
    around = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)))
    square = around[reach + top : reach + bottom, reach + left : reach + right].astype(np.float64)
    rows, columns = (_triangles(count, size) for count in square.shape[:2])
    expected = np.einsum("ih,jw,hwc->ijc", rows, columns, square, optimize=True)
    assert np.abs(crop_pixels(picture, (x, y), scale, size) - expected).max() <= 1


def _triangles(pixels: int, size: int) -> np.ndarray:
    """(size, pixels): each row the weights of a triangle as wide as two pixels of the coarser grid."""
    step = pixels / size
    middles = (np.arange(size) + 0.5) * step - 0.5
    weights = np.maximum(1 - np.abs(np.arange(pixels) - middles[:, None]) / max(step, 1), 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def test_turned_crops_of_whole_pixels(gradient: Image) -> None:
    smooth = gradient[..., :2]
    picture = np.concatenate([smooth, smooth[..., :1]], axis=-1)
    quarter = crop_pixels(picture, (200, 150), 1.0, 200, rotation_deg=90)
    still = crop_pixels(picture, (200, 150), 1.0, 200)
    assert np.array_equal(quarter, np.rot90(still))  # anticlockwise
    slanted = crop_pixels(picture, (200, 150), 1.0, 200, rotation_deg=20)
    reference = ndimage.rotate(picture[9:291, 59:341].astype(float), 20, axes=(1, 0), reshape=False, order=1)[
        41:-41, 41:-41
    ]
    assert np.abs(slanted.astype(float) - reference).max() <= 1.01


def test_what_a_network_reads(gradient: Image) -> None:
    for preparation in (AFFINE_224, PIXELS_224):
        crop, square = crop_box(gradient, [100, 100, 60, 100], preparation)
        assert crop.shape == (3, 224, 224)
        np.testing.assert_allclose(square, [130, 150, 120])
        red = crop[0] * STD[0] + MEAN[0]
        # The red of a column is its place: both crops show columns 70 to 190.
        assert_close(red[112, 112].item() * 399, 130.0, atol=1.5, rtol=0)
        assert_close((red[112, 200] - red[112, 20]).item() * 399, 180 * 120 / 224, atol=1.5, rtol=0)
    assert_close(normalised(np.full((1, 1, 3), 255, np.uint8))[:, 0, 0], (1 - torch.tensor(MEAN)) / torch.tensor(STD))


def test_boxes_of_keypoints() -> None:
    keypoints = [[10.0, 20.0], [30.0, 80.0], [np.nan, 5.0], [500.0, 500.0]]
    assert box_of_keypoints(keypoints, [1, 0.5, 1, 0]).tolist() == [10, 20, 20, 60]
    with pytest.raises(DataError, match=r"0 of 4 can be seen \(confidence above 0.0\), which makes no box"):
        box_of_keypoints(keypoints, [0, 0, 0, 0])
    with pytest.raises(DataError, match="1 of 4 can be seen"):
        box_of_keypoints(keypoints, [1, 0.5, 1, 0], threshold=0.7)


def test_faults_are_named(gradient: Image) -> None:
    for box in ([10, 10, 0, 5], [10, 10, -3, 5], [np.nan, 0, 5, 5], [0, 0, np.inf, 5]):
        with pytest.raises(DataError, match=r"expected finite numbers, width and height above 0"):
            crop_box(gradient, box, AFFINE_224)
    for box in ([400, 10, 50, 50], [10, -60, 50, 50]):
        with pytest.raises(DataError, match="lies outside the picture of 400 x 300"):
            crop_box(gradient, box, PIXELS_224)
    with pytest.raises(ShapeError, match=r"image: expected \(H>=1, W>=1, C=3\), got \(300, 400\)"):
        crop_box(gradient[..., 0], [0, 0, 5, 5], AFFINE_224)
    with pytest.raises(ShapeError, match=r"expected uint8 in 0\.\.255, got float64"):
        warp(gradient / 255.0, np.eye(3)[:2], 32)
    with pytest.raises(ConfigError, match=r"scale and size above 0, got center \[1.0, 2.0\], scale 0"):
        crop_transform((1, 2), 0, 0, 224)
    with pytest.raises(ConfigError, match=r"got center \[nan, 2.0\]"):
        crop_transform((np.nan, 2), 100, 0, 224)
    with pytest.raises(ShapeError, match=r"center: expected \(C=2\)"):
        crop_transform((1, 2, 3), 100, 0, 224)
    with pytest.raises(ConfigError, match="center: expected finite x and y"):
        pixel_corners((np.nan, 2), 1.0, 224)
    with pytest.raises(ConfigError, match="has no inverse"):
        inverse_transform(np.zeros((2, 3)))
    with pytest.raises(ConfigError, match="expected a finite scale and a size above 0"):
        pixel_corners((1, 2), np.nan, 224)
    with pytest.raises(ConfigError, match=r"a square of 0.2 pixels holds none"):
        crop_pixels(gradient, (100.5, 100.5), 0.001, 224)
    with pytest.raises(ValueError, match="enlarge"):
        Preparation(enlarge=0)
