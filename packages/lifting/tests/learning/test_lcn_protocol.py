"""Image space and LCN's tables, against the published builder, reader and evaluation."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poseworks.core.errors import DataError, ShapeError
from poseworks.core.testing import seeded_input
from poseworks.lifting.flipping import flip
from poseworks.lifting.image_space import (
    camera_to_image,
    factor_25d,
    image_to_camera,
    pixels_per_mm,
)
from poseworks.lifting.learning.h36m_files.frames import CAMERAS, LCNFrames
from poseworks.lifting.learning.lcn_protocol import (
    evaluate_lcn,
    lcn_inputs,
    lcn_labels,
    score_frames,
    to_camera,
)

REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "lcn_protocol.json").read_text())
with np.load(REFERENCE / "lcn_protocol.npz") as _file:
    ARRAYS = {key: _file[key] for key in _file.files}


def frames_of(split: str, count: int, *, detected: bool = False) -> LCNFrames:
    """The items of the stored case, in float64 as there."""
    root = seeded_input(f"lcnproto/{split}/root", (count, 1, 3), 200).astype(np.float64) + np.array([0, 0, 5000])
    joints = seeded_input(f"lcnproto/{split}/joints", (count, 17, 3), 350).astype(np.float64)
    joints[:, 0] = 0
    joints += root
    cameras = [EXPECTED["items"]["cameras"][i % 4] for i in range(count)]
    focal, centre = (np.array([[camera[a], camera[b]] for camera in cameras]) for a, b in (("fx", "fy"), ("cx", "cy")))
    image = camera_to_image(joints, focal, centre)
    keypoints, confidence = image.joints[..., :2], np.ones((count, 17))
    if detected:
        keypoints = keypoints + seeded_input(f"lcnproto/{split}/detector_noise", (count, 17, 2), 4)
        confidence = np.abs(seeded_input(f"lcnproto/{split}/confidence", (count, 17, 1), 0.5))[..., 0] % 1
    arrays: dict[str, Any] = {
        "keypoints": keypoints, "confidence": confidence, "joints_image": image.joints, "joints_camera_mm": joints,
        "box": image.box, "root_depth": image.root_depth, "focal": focal, "centre": centre,
        "camera": np.array([CAMERAS.index(camera["name"]) for camera in cameras]),
        "subject": np.full(count, 9), "action": 2 + np.arange(count) % 15,
    }  # fmt: skip
    return LCNFrames(**arrays)


@pytest.fixture(scope="module")
def test_frames() -> LCNFrames:
    return frames_of("test", 30)


def test_image_space_is_that_of_the_published_builder(test_frames: LCNFrames) -> None:
    np.testing.assert_allclose(test_frames.joints_camera_mm, ARRAYS["test_joint_3d_camera"], rtol=1e-12)
    np.testing.assert_allclose(test_frames.box, ARRAYS["test_box"], rtol=1e-12)
    np.testing.assert_allclose(test_frames.joints_image, ARRAYS["test_joint_3d_image"], rtol=1e-12, atol=1e-9)


def test_inputs_and_labels_are_those_of_the_published_reader(test_frames: LCNFrames) -> None:
    for split, count in (("train", 8), ("test", 30)):
        true, detected = frames_of(split, count), frames_of(split, count, detected=True)
        close = {"rtol": 1e-6, "atol": 1e-12}
        np.testing.assert_allclose(lcn_inputs(true, 2).reshape(count, 34), ARRAYS[f"{split}_2d_gt"], **close)
        np.testing.assert_allclose(lcn_inputs(detected, 3).reshape(count, 51), ARRAYS[f"{split}_2d_dt_conf"], **close)
        np.testing.assert_allclose(lcn_labels(true).reshape(count, 51), ARRAYS[f"{split}_labels"], **close)
    some = np.array([3, 1])
    np.testing.assert_array_equal(lcn_inputs(test_frames, 3, some), lcn_inputs(test_frames, 3)[some])


def test_flipping_and_averaging_are_the_published_ones() -> None:
    first = torch.from_numpy(ARRAYS["test_2d_dt_conf"][:2]).reshape(2, 17, 3)
    doubled = torch.cat([first, flip(first)])
    np.testing.assert_allclose(doubled.reshape(4, 51), ARRAYS["flipped_first_two"], rtol=1e-12)
    answers = torch.from_numpy(ARRAYS["prediction"][:6]).reshape(6, 17, 3)
    merged = (answers[:3] + flip(answers[3:])) / 2
    np.testing.assert_allclose(merged.reshape(3, 51), ARRAYS["unflipped"], rtol=1e-12, atol=1e-15)


def test_the_tables_are_the_published_ones(test_frames: LCNFrames) -> None:
    answers = ARRAYS["prediction"].reshape(30, 17, 3)
    np.testing.assert_allclose(to_camera(answers, test_frames)[0], ARRAYS["camera_frame_item0"], rtol=1e-9)
    result = score_frames(answers, test_frames, procrustes=True)
    for found, key in (
        ([row.p1 for row in result.actions] + [result.p1], "mpjpe_per_action_2_to_16_then_mean"),
        ([row.p2 for row in result.actions] + [result.p2], "mpjpe_protocol2_per_action_then_mean"),
        ([row.p1 for row in result.joints], "mpjpe_per_joint_then_mean"),
    ):
        np.testing.assert_allclose(found, EXPECTED[key][: len(found)], rtol=1e-9)
    assert np.mean([row.p1 for row in result.joints]) == pytest.approx(EXPECTED["mpjpe_per_joint_then_mean"][-1])
    assert (result.frames, result.p1_evaluated, result.empty_actions) == (30, result.p1, ())


def test_float32_arrays_of_the_reader_give_the_same_tables(test_frames: LCNFrames) -> None:
    parts = {field.name: getattr(test_frames, field.name) for field in dataclasses.fields(test_frames)}
    single = LCNFrames(**{name: x.astype(np.float32) if x.dtype.kind == "f" else x for name, x in parts.items()})
    result = score_frames(ARRAYS["prediction"].reshape(30, 17, 3).astype(np.float32), single)
    np.testing.assert_allclose(
        [row.p1 for row in result.actions], EXPECTED["mpjpe_per_action_2_to_16_then_mean"][:-1], rtol=2e-5
    )


class _Truth(nn.Module):
    """Gives the labels of the frames that it is asked for, one batch after the other, plain or flipped."""

    def __init__(self, labels: Tensor) -> None:
        super().__init__()
        self.labels, self.at = labels, 0

    def forward(self, x: Tensor) -> Tensor:
        half = len(x) // 2
        part = self.labels[self.at : self.at + half]
        self.at += half
        return torch.cat([part, flip(part)])


def test_a_network_that_knows_the_truth_has_no_error(test_frames: LCNFrames) -> None:
    network = _Truth(torch.from_numpy(lcn_labels(test_frames)))
    done: list[int] = []
    result = evaluate_lcn(
        network,
        test_frames,
        flip=True,
        procrustes=True,
        features=2,
        batch=7,
        advance=lambda n=1, note="": done.append(n),
    )
    assert result.p1 < 0.01
    assert result.p2 is not None
    assert result.p2 < 0.01
    assert sum(done) == 30


def test_a_mirrored_answer_has_an_error_by_protocol_1_and_none_by_protocol_2(test_frames: LCNFrames) -> None:
    mirrored = to_camera(lcn_labels(test_frames), test_frames)
    truth = dataclasses.replace(test_frames, joints_camera_mm=mirrored * [-1, 1, 1])
    result = score_frames(lcn_labels(test_frames), truth, procrustes=True)
    assert result.p1 > 100
    assert result.p2 == pytest.approx(0, abs=1e-6)


def test_an_error_of_the_root_counts(test_frames: LCNFrames) -> None:
    shifted = dataclasses.replace(
        test_frames, joints_camera_mm=test_frames.joints_camera_mm + np.array([30.0, 0, 40.0])
    )
    assert score_frames(lcn_labels(test_frames), shifted).p1 == pytest.approx(50, abs=1e-3)


def test_an_action_without_frames_is_shown(test_frames: LCNFrames) -> None:
    without = dataclasses.replace(test_frames, action=np.where(test_frames.action == 5, 6, test_frames.action))
    result = score_frames(lcn_labels(test_frames), without)
    assert result.empty_actions == ("5",)
    assert np.isnan(result.p1)
    assert result.p1_evaluated == pytest.approx(0, abs=1e-3)
    with pytest.raises(ShapeError, match=r"expected \(30, 17, 3\), got \(29, 17, 3\)"):
        score_frames(lcn_labels(test_frames)[1:], test_frames)


# --- image space ------------------------------------------------------------------------------------------------------


def test_there_and_back(test_frames: LCNFrames) -> None:
    back = image_to_camera(
        test_frames.joints_image, test_frames.box, test_frames.root_depth, test_frames.focal, test_frames.centre
    )
    np.testing.assert_allclose(back, test_frames.joints_camera_mm, rtol=1e-12)


def test_the_factor_brings_a_pose_in_pixels_nearest_to_the_true_one(test_frames: LCNFrames) -> None:
    image, joints = test_frames.joints_image, test_frames.joints_camera_mm
    factor = factor_25d(image, joints)

    def distance(f: np.ndarray) -> np.ndarray:
        relative = [x - x[:, :1] for x in (image, joints)]
        return ((f[:, None, None] * relative[0] - relative[1]) ** 2).sum(axis=(1, 2))

    for other in (0.999 * factor, 1.001 * factor):
        assert (distance(factor) < distance(other)).all()
    np.testing.assert_allclose(factor * pixels_per_mm(test_frames.box), 1, atol=0.1)


def test_a_person_far_away_has_the_factor_of_the_root_alone() -> None:
    joints = seeded_input("far", (17, 3), 300).astype(np.float64)
    joints[0] = 0
    joints += [0, 0, 1e6]
    image = camera_to_image(joints, (1e6, 1e6), (500, 500))  # 1 mm a pixel; the box counts one pixel more, of 2000
    assert factor_25d(image.joints, joints) == pytest.approx(1, rel=2e-3)


def test_what_does_not_fit_is_refused() -> None:
    joints = np.ones((2, 17, 3))
    with pytest.raises(DataError, match="positive depths"):
        camera_to_image(-joints, (1, 1), (0, 0))
    with pytest.raises(DataError, match="positive depths"):
        camera_to_image(joints * np.nan, (1, 1), (0, 0))
    with pytest.raises(DataError, match="positive focal lengths"):
        camera_to_image(joints, (0, 1), (0, 0))
    with pytest.raises(ShapeError, match=r"focal: expected \(2, 2\)"):
        camera_to_image(joints, np.ones((3, 2)), (0, 0))
    with pytest.raises(DataError, match="x1 > x0"):
        image_to_camera(joints, [5, 0, 3, 0], 1, (1, 1), (0, 0))
    with pytest.raises(DataError, match="single point"):
        factor_25d(joints, joints)
    with pytest.raises(ShapeError, match="as joints_image"):
        factor_25d(joints, joints[:1])
