"""The detector's parts against plain loops and sums by hand, and the whole against MediaPipe's first frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from poseworks.core.video import open_video
from poseworks.keypoints.detector import FAR, NEAR, Detection, Detector, anchor_centres, decode, weighted_nms
from poseworks.keypoints.models import detector_file
from poseworks.keypoints.region import around
from poseworks.keypoints.sessions import Network

DATA = Path(__file__).parent / "data"
Points = NDArray[np.float32]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(Network(detector_file()))


@pytest.fixture(scope="module")
def first_frames() -> dict[str, NDArray[np.generic]]:
    with np.load(DATA / "first_frames.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def jacks() -> NDArray[np.uint8]:
    """The first frame of a man who faces the camera."""
    with open_video(DATA / "jumping_jacks.mp4") as video:
        return next(iter(video.frames())).rgb


@pytest.mark.parametrize(("size", "count"), [(NEAR, 2254), (FAR, 9016), (320, 4600)])
def test_anchors_are_grids_one_after_the_other_row_by_row(size: int, count: int) -> None:
    expected = [
        ((column + 0.5) / (size // stride), (row + 0.5) / (size // stride))
        for stride, per_cell in ((8, 2), (16, 2), (32, 6))
        for row in range(size // stride)
        for column in range(size // stride)
        for _ in range(per_cell)
    ]
    assert len(expected) == count
    assert_allclose(anchor_centres(size), expected, rtol=1e-6)


def test_decoding_adds_the_anchor_to_all_but_the_size() -> None:
    # Anchor 3 is the second of the second cell of the first grid: its centre is (1.5 / 28, 0.5 / 28).
    values = np.zeros((2254, 12), np.float32)
    values[3] = [22.4, 11.2, 44.8, 67.2, 0, 0, -22.4, 0, 2.24, 4.48, 224, 112]
    logits = np.full(2254, -20.0, np.float32)
    logits[3] = math.log(3)  # sigmoid: 3 / 4
    points, scores = decode(values, logits, 224)
    x, y = 1.5 / 28, 0.5 / 28
    expected = [(x + 0.1, y + 0.05), (0.2, 0.3), (x, y), (x - 0.1, y), (x + 0.01, y + 0.02), (x + 1, y + 0.5)]
    assert_allclose(points, [expected], atol=1e-6)
    assert_allclose(scores, [0.75], rtol=1e-6)


def test_only_scores_from_a_half_on_are_kept_and_none_overflows() -> None:
    logits = np.full(2254, -1e9, np.float32)
    logits[:4] = [-1e-3, 0, 1e-3, 1e9]
    with np.errstate(over="raise"):
        points, scores = decode(np.zeros((2254, 12), np.float32), logits, 224)
    assert points.shape == (3, 6, 2)
    assert_allclose(scores, [0.5, 0.50025, 1.0], atol=1e-5)


def candidate(x: float, y: float, width: float, height: float, keypoint: float = 0.0) -> Points:
    return np.array([[x, y], [width, height], *[[keypoint, -keypoint]] * 4], np.float32)


def test_a_cluster_becomes_its_mean_weighted_by_score() -> None:
    # Overlap of the first two: 0.15 x 0.2 of 0.05: 0.6. The third is apart; the fourth shares 0.2 with the first.
    points = np.stack([
        candidate(0.30, 0.5, 0.2, 0.2, 1), candidate(0.35, 0.5, 0.2, 0.2, 3), candidate(0.80, 0.5, 0.2, 0.2, 5),
        candidate(0.30 + 0.4 / 3, 0.5, 0.2, 0.2, 7),
    ])  # fmt: skip
    found = weighted_nms(points, np.float32([0.6, 0.9, 0.7, 0.5]))
    # Best is the second; the fourth shares (0.2 - 0.0833) / (0.2 + 0.0833) = 0.41 with it and joins too.
    weights = np.array([0.6, 0.9, 0.5])
    mean_x = (weights * [0.30, 0.35, 0.30 + 0.4 / 3]).sum() / 2.0
    mean_k = (weights * [1, 3, 7]).sum() / 2.0
    assert [score for _, score in found] == pytest.approx([0.9, 0.7])
    assert_allclose(found[0][0], candidate(mean_x, 0.5, 0.2, 0.2, mean_k), atol=1e-6)
    assert_allclose(found[1][0], points[2], atol=1e-6)


def test_boxes_that_share_less_than_three_tenths_stay_two_people() -> None:
    # Shifted by d of width 1: they share (1 - d) / (1 + d), which is 0.3 at d = 0.538.
    for shift, count in ((0.53, 1), (0.55, 2)):
        points = np.stack([candidate(0, 0, 1, 1), candidate(shift, 0, 1, 1)])
        assert len(weighted_nms(points, np.float32([0.9, 0.8]))) == count


def slow_nms(points: Points, scores: Points) -> list[tuple[Points, float]]:
    """The best candidate and all that overlap it, again and again, pair by pair."""

    def shared(a: Points, b: Points) -> float:
        sides = [
            max(
                0.0,
                min(a[0][i] + a[1][i] / 2, b[0][i] + b[1][i] / 2) - max(a[0][i] - a[1][i] / 2, b[0][i] - b[1][i] / 2),
            )
            for i in (0, 1)
        ]
        both = sides[0] * sides[1]
        return float(both / (a[1][0] * a[1][1] + b[1][0] * b[1][1] - both))

    left = sorted(range(len(scores)), key=lambda i: -scores[i])
    found = []
    while left:
        cluster = [i for i in left if i == left[0] or shared(points[left[0]], points[i]) > 0.3]
        total = sum(float(scores[i]) for i in cluster)
        mean = sum(points[i].astype(float) * float(scores[i]) for i in cluster) / total
        found.append((mean, float(scores[left[0]])))
        left = [i for i in left if i not in cluster]
    return found


@given(st.integers(0, 2**32 - 1), st.integers(0, 25))
@settings(max_examples=60, deadline=None)
def test_suppression_equals_a_plain_loop(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.random((count, 6, 2)).astype(np.float32)
    points[:, 1] = rng.uniform(0.1, 0.6, (count, 2))
    scores = rng.uniform(0.5, 1, count).astype(np.float32)
    found, expected = weighted_nms(points, scores), slow_nms(points, scores)
    assert [score for _, score in found] == pytest.approx([score for _, score in expected])
    for (got, _), (wanted, _) in zip(found, expected, strict=True):
        assert_allclose(got, wanted, atol=1e-5)


def test_a_box_of_no_size_is_a_person_of_its_own() -> None:
    points = np.stack([candidate(0.5, 0.5, 0, 0), candidate(0.5, 0.5, 0.2, -0.2)])
    assert len(weighted_nms(points, np.float32([0.9, 0.8]))) == 2


@pytest.mark.parametrize("name", ["jumping_jacks", "walk_side"])
def test_from_mediapipes_own_crop_comes_the_region_that_gives_its_keypoints(
    detector: Detector, first_frames: dict[str, NDArray[np.generic]], name: str
) -> None:
    crop = first_frames[f"{name}_detector_crop"].astype(np.float32)
    outputs = detector.network.run(crop / np.float32(127.5) - 1, ("boxes", "scores"))
    ((points, score),) = weighted_nms(*decode(outputs["boxes"][0], outputs["scores"][0, :, 0], NEAR))
    width, height = first_frames[f"{name}_size"].tolist()
    whole = around(width, height)
    region = Detection(score, points[0], whole.to_image(points)[2:]).region
    expected = first_frames[f"{name}_region"]
    assert_allclose([region.x, region.y, region.side], expected[:3], atol=0.05)
    assert region.angle == pytest.approx(expected[3], abs=1e-3)


@pytest.mark.parametrize("size", [NEAR, FAR])
def test_one_man_is_one_detection_at_either_size(
    detector: Detector, first_frames: dict[str, NDArray[np.generic]], size: int
) -> None:
    (man,) = [person for person in detector(jacks(), size) if person.score > 0.6]
    x, y, side, _ = first_frames["jumping_jacks_region"].tolist()
    assert math.dist((man.region.x, man.region.y), (x, y)) < 0.1 * side
    assert man.region.side == pytest.approx(side, rel=0.1 if size == NEAR else 0.3)  # he is large for the larger size
    assert abs(man.region.angle) < 0.2
    left, right = man.box[0] - man.box[2] / 2, man.box[0] + man.box[2] / 2
    assert left < first_frames["jumping_jacks_landmarks33"][0, 0] < right  # the nose is in the box


class Recorder:
    """In the place of a network: keeps what it is shown, and sees nobody."""

    def run(self, image: Points, outputs: Sequence[str]) -> dict[str, Points]:
        self.image = image
        return {"boxes": np.zeros((1, 2254, 12), np.float32), "scores": np.full((1, 2254, 1), -9, np.float32)}


def test_the_network_sees_the_frame_from_minus_one_to_one_in_a_black_square() -> None:
    recorder = Recorder()
    frame = np.full((56, 112, 3), 255, np.uint8)
    frame[:, :56] = (0, 51, 102)
    assert Detector(cast("Network", recorder))(frame) == []
    assert recorder.image.shape == (224, 224, 3)
    assert_allclose(recorder.image[:56], -1)  # above the frame
    assert_allclose(recorder.image[-56:], -1)
    assert_allclose(recorder.image[112, 150], 1)
    assert_allclose(recorder.image[112, 50], [-1, -0.6, -0.2], atol=1e-6)


def test_an_empty_image_has_nobody(detector: Detector) -> None:
    assert detector(np.full((120, 200, 3), 128, np.uint8)) == []
