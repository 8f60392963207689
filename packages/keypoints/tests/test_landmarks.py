"""The refinement by heatmaps against a plain loop and a blob at a known place; the whole against MediaPipe's frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from poseworks.core.video import open_video
from poseworks.keypoints.landmarks import SIZE, LandmarkNetwork, refine, sigmoid
from poseworks.keypoints.models import landmark_file
from poseworks.keypoints.region import Region, turn
from poseworks.keypoints.sessions import Network

DATA = Path(__file__).parent / "data"
Floats = NDArray[np.float32]
Arrays = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def network() -> LandmarkNetwork:
    return LandmarkNetwork(Network(landmark_file("full")))


@pytest.fixture(scope="module")
def first_frames() -> Arrays:
    with np.load(DATA / "first_frames.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def blob(x: float, y: float, width: float = 0.9, n: int = 64) -> Floats:
    """A heatmap before its sigmoid, whose sigmoid is a Gaussian of height 0.9 about cell (x, y)."""
    rows, columns = np.mgrid[:n, :n]
    mass = 0.9 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))
    mass = np.clip(mass, 1e-12, None)
    return np.log(mass / (1 - mass)).astype(np.float32)[None]


@pytest.mark.parametrize("start", [(20.4, 30.7), (21.9, 31.9), (18.9, 29.2)])
def test_a_point_moves_to_the_middle_of_a_blob_nearby(start: tuple[float, float]) -> None:
    points = np.float32([start]) / 64
    assert_allclose(refine(points, blob(20.3, 30.6)) * 64, [[20.3, 30.6]], atol=0.02)


def test_only_what_lies_within_four_cells_pulls() -> None:
    heatmap = np.full((1, 64, 64), -50.0, np.float32)
    heatmap[0, 30, 24] = heatmap[0, 30, 16] = 50.0  # four cells to each side of column 20
    heatmap[0, 30, 25] = heatmap[0, 35, 20] = heatmap[0, 25, 20] = 50.0  # five cells away
    points = np.float32([[20.5, 30.5]]) / 64
    assert_allclose(refine(points, heatmap) * 64, [[20, 30]], atol=1e-4)
    assert_allclose(refine(points + np.float32([1 / 64, 0]), heatmap) * 64, [[24.5, 30]], atol=1e-4)


def test_the_window_is_cut_at_the_edge() -> None:
    heatmap = np.full((1, 64, 64), 50.0, np.float32)  # the mass is the same everywhere
    points = np.float32([[0.5, 63.5], [2.2, 10.9], [63.9, 0.1]]) / 64
    expected = [[2.0, 61.0], [3.0, 10.0], [61.0, 2.0]]  # columns 0-4 and rows 59-63; 0-6 and 6-14; 59-63 and 0-4
    assert_allclose(refine(points, heatmap.repeat(3, axis=0)) * 64, expected, atol=1e-4)


def test_without_a_peak_of_a_half_nearby_a_point_stays() -> None:
    points = np.float32([[20.4, 30.7]]) / 64
    assert_array_equal(refine(points, np.full((1, 64, 64), -0.01, np.float32)), points)
    assert_array_equal(refine(points, blob(40.0, 30.0)), points)  # the peak is far away
    assert not np.allclose(refine(points, np.full((1, 64, 64), 0.0, np.float32)), points)  # a half is enough


@pytest.mark.parametrize("place", [(-0.01, 0.5), (0.5, -0.01), (1.0, 0.5), (0.5, 1.3), (-3.0, 7.0)])
def test_a_point_outside_the_map_stays(place: tuple[float, float]) -> None:
    points = np.float32([place])
    assert_array_equal(refine(points, np.full((1, 64, 64), 50.0, np.float32)), points)


def slow_refine(points: Floats, heatmaps: Floats) -> NDArray[np.float64]:
    """Cell by cell."""
    out = points.astype(float)
    for k, (x, y) in enumerate(out.tolist()):
        column, row = math.floor(x * 64), math.floor(y * 64)
        if not (0 <= column < 64 and 0 <= row < 64):
            continue
        total = sum_x = sum_y = peak = 0.0
        for r in range(max(0, row - 4), min(64, row + 5)):
            for c in range(max(0, column - 4), min(64, column + 5)):
                mass = 1 / (1 + math.exp(-float(heatmaps[k, r, c])))
                total, sum_x, sum_y, peak = total + mass, sum_x + c * mass, sum_y + r * mass, max(peak, mass)
        if peak >= 0.5:
            out[k] = sum_x / total / 64, sum_y / total / 64
    return out


def test_refinement_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(5)
    points = rng.uniform(-0.1, 1.1, (80, 2)).astype(np.float32)
    heatmaps = rng.normal(-4, 1.6, (80, 64, 64)).astype(np.float32)  # peaks on both sides of a half
    expected = slow_refine(points, heatmaps)
    moved = (expected != points).any(axis=1)
    assert 10 < moved.sum() < 70
    before = points.copy()
    assert_allclose(refine(points, heatmaps), expected, atol=1e-5)
    assert_array_equal(points, before)


def test_sigmoid_without_overflow() -> None:
    x = np.array([-1e4, -3.0, 0.0, math.log(3), 1e4])
    assert_allclose(sigmoid(x), [0, 1 / (1 + math.exp(3)), 0.5, 0.75, 1], atol=1e-7)


@pytest.mark.parametrize("name", ["jumping_jacks", "walk_side"])
def test_mediapipes_own_crop_gives_its_keypoints_to_a_hundredth_of_a_pixel(
    network: LandmarkNetwork, first_frames: Arrays, name: str
) -> None:
    region = Region(*first_frames[f"{name}_region"].tolist())
    crop = first_frames[f"{name}_crop"].astype(np.float32) / np.float32(255)
    outputs = network.network.run(crop, ("landmarks", "heatmap", "world"))
    values = outputs["landmarks"].reshape(39, 5)[:33]
    pixels = region.to_image(refine(values[:, :2] / np.float32(SIZE), outputs["heatmap"][0, :33]))
    stored, world = first_frames[f"{name}_landmarks33"], first_frames[f"{name}_world33"]
    distance = np.linalg.norm(pixels - stored[:, :2], axis=1)
    assert np.median(distance) < 0.02  # a window of 7 cells: 0.1 and 0.6; of 11: 0.007 and 0.3
    assert distance.max() < 0.05
    assert_allclose(sigmoid(values[:, 3]), stored[:, 2], atol=2e-3)
    assert_allclose(turn(outputs["world"].reshape(39, 3)[:33], region.angle), world[:, :3], atol=1e-3)


def test_the_network_on_a_whole_frame_gives_mediapipes_landmarks(
    network: LandmarkNetwork, first_frames: Arrays
) -> None:
    with open_video(DATA / "jumping_jacks.mp4") as video:
        rgb = next(iter(video.frames())).rgb
    found = network(rgb, Region(*first_frames["jumping_jacks_region"].tolist()))
    stored, world = first_frames["jumping_jacks_landmarks33"], first_frames["jumping_jacks_world33"]
    distance = np.linalg.norm(found.keypoints - stored[:, :2], axis=1)
    assert np.median(distance) < 0.2  # MediaPipe's crop has 8 bits and places to a 32nd of a pixel
    assert_allclose(found.visibility, stored[:, 2], atol=0.02)
    assert_allclose(found.world, world[:, :3], atol=0.01)
    assert found.presence > 0.99
    hips = found.keypoints[23:25].mean(axis=0)
    assert math.dist(found.circle[0], hips) < 10  # the circle is about the hips, and its rim beyond the feet or hands
    assert math.dist(*found.circle) > 0.9 * np.linalg.norm(found.keypoints - found.circle[0], axis=1).max()


class Recorder:
    """In the place of a network: keeps what it is shown, and answers with zeros."""

    def run(self, image: Floats, outputs: Sequence[str]) -> Arrays:
        self.image = image
        shapes = {"landmarks": (1, 195), "presence": (1, 1), "heatmap": (1, 39, 64, 64), "world": (1, 117)}
        return {name: np.zeros(shapes[name], np.float32) for name in outputs}


def test_the_network_sees_the_region_from_zero_to_one_with_the_edge_repeated() -> None:
    recorder = Recorder()
    frame = np.full((40, 40, 3), (255, 51, 0), np.uint8)
    found = LandmarkNetwork(cast("Network", recorder))(frame, Region(40, 20, 40))
    assert recorder.image.shape == (256, 256, 3)
    assert_allclose(recorder.image, np.broadcast_to([1, 0.2, 0], (256, 256, 3)), atol=1e-6)
    # Zeros stand for the middle of the heatmap's window at the first corner, half visible: columns and rows 0 to 4.
    assert_allclose(found.keypoints, np.broadcast_to([20 + 40 * 2 / 64, 40 * 2 / 64], (33, 2)), atol=1e-4)
    assert_allclose(found.visibility, 0.5)
    assert found.presence == 0


def test_where_there_is_nobody_presence_is_low(network: LandmarkNetwork) -> None:
    assert network(np.full((100, 100, 3), 90, np.uint8), Region(50, 50, 80)).presence < 0.5
