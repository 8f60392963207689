"""Clips of own weights: cut from one recording each, the same body in every camera, in the pixels of a volume."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.skeletons import COCO_17, H36M_17
from poseworks.core.training.cameras import CameraSampling
from poseworks.core.training.keypoint_noise import KeypointNoise
from poseworks.skeleton_action.layouts import COCO_LAYOUT
from poseworks.skeleton_action.learning.own_clips import Recordings
from poseworks.skeleton_action.learning.own_recipes import ClipVariation
from poseworks.skeleton_action.learning.own_views import PADDING, coco_joints, draw_clips, face_points, see

CLEAN = KeypointNoise(clean_share=1.0, converted_share=0.0, missing_share=0.0)
PLAIN = ClipVariation(
    other_share=0, still_share=0, cut_share=0, crop_share=0, mirror_share=0, face_spread_m=0, score_share=0
)


def numbered(lengths: list[int], labels: list[int]) -> Recordings:
    """Clips in which the first joint's x is the clip's number and its y the frame's."""
    clips = []
    for number, length in enumerate(lengths):
        clip = np.zeros((length, 17, 3), dtype=np.float32)
        clip[:, 0, 0], clip[:, 0, 1] = number, np.arange(length)
        clips.append(clip)
    return Recordings.of(clips, labels)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def drawn(variation: ClipVariation, generator: torch.Generator, frames: int = 24) -> tuple[Tensor, Tensor, Tensor]:
    """Clip and frame numbers (500, frames), and labels."""
    exercises, others = numbered([60, 100, 30], [4, 5, 6]), numbered([200, 90], [-1, -1])
    clips = draw_clips(exercises, others, 500, frames, variation, generator)
    return clips.joints[:, :, 0, 0].long(), clips.joints[:, :, 0, 1].long(), clips.labels


def test_a_whole_recording_is_sampled_once_a_segment(generator: torch.Generator) -> None:
    clip, frame, labels = drawn(PLAIN, generator)
    assert (clip == clip[:, :1]).all()
    assert_close(labels, clip[:, 0] + 4)
    lengths = torch.tensor([60, 100, 30])[clip[:, 0]]
    borders = torch.arange(25) * lengths[:, None] / 24
    assert ((frame >= borders[:, :-1].floor()) & (frame <= borders[:, 1:])).all()


def test_a_recording_shorter_than_a_clip_is_repeated(generator: torch.Generator) -> None:
    clip, frame, _ = drawn(PLAIN, generator, frames=48)
    short = frame[clip[:, 0] == 2]
    assert_close((short[:, 1:] - short[:, :-1]) % 30, torch.ones_like(short[:, 1:]))
    assert len(set(short[:, 0].tolist())) == 30  # from anywhere


def test_cuts_stay_inside_and_keep_their_share(generator: torch.Generator) -> None:
    varied = PLAIN.model_copy(update={"cut_share": 1.0, "shortest_cut": 0.5})
    clip, frame, _ = drawn(varied, generator)
    spans = (frame.amax(dim=1) - frame.amin(dim=1))[clip[:, 0] == 1]
    assert spans.amax() <= 100
    assert 45 <= spans.amin() < 60
    assert spans.float().std() > 5


def test_other_motion_and_standing_still_are_no_class(generator: torch.Generator) -> None:
    varied = PLAIN.model_copy(update={"other_share": 0.5, "still_share": 0.5})
    _, frame, labels = drawn(varied, generator)
    still = (frame == frame[:, :1]).all(dim=1)
    assert 0.4 < (labels == -1).float().mean() < 0.6
    assert (labels[still] == -1).all()
    assert 0.15 < still.float().mean() < 0.35


def person() -> Tensor:
    """(17, 3) upright, its left at +x, and so looking along -y."""
    places: dict[str, tuple[float, float, float]] = {
        "pelvis": (0, 0, 0.9), "spine": (0, 0, 1.1), "thorax": (0, 0, 1.4),
        "neck": (0, 0, 1.5), "head_top": (0, 0, 1.7),
    }  # fmt: skip
    for side, x in (("left", 0.2), ("right", -0.2)):
        for joint, z in (
            ("hip", 0.9),
            ("knee", 0.5),
            ("ankle", 0.1),
            ("shoulder", 1.4),
            ("elbow", 1.1),
            ("wrist", 0.9),
        ):
            places[f"{side}_{joint}"] = (x, 0, z)
    return torch.tensor([places[name] for name in H36M_17.joint_names])


def test_the_face_looks_forward_and_the_body_stays(generator: torch.Generator) -> None:
    joints = person()[None, None]
    made = dict(zip(COCO_17.joint_names, coco_joints(joints, face_points(1, 0.0, generator))[0, 0], strict=True))
    assert_close(made["left_wrist"], torch.tensor([0.2, 0, 0.9]))
    assert_close(made["nose"], torch.tensor([0, -0.1, 1.59]))
    assert made["left_ear"][0] > made["left_eye"][0] > made["nose"][0] > made["right_eye"][0]
    assert made["left_eye"][2] > made["nose"][2]


def test_a_person_fills_the_volume_as_published(generator: torch.Generator) -> None:
    joints = person().expand(6, 5, 17, 3) + 0.05 * torch.randn(6, 5, 17, 3, generator=generator)
    keypoints, scores = see(joints, CameraSampling(), CLEAN, PLAIN, COCO_LAYOUT, 64, generator)
    assert keypoints.shape == (6, 1, 5, 17, 2)
    low, high = keypoints.amin(dim=(1, 2, 3)), keypoints.amax(dim=(1, 2, 3))
    assert_close((high - low).amax(dim=1), torch.full((6,), 64 / PADDING))
    assert_close((high + low) / 2, torch.full((6, 2), 32.0))
    assert_close(scores, torch.ones_like(scores))


def test_a_mirror_exchanges_left_and_right(generator: torch.Generator) -> None:
    joints = person().expand(4, 3, 17, 3)
    ways = [
        see(
            joints, CameraSampling(), CLEAN, PLAIN.model_copy(update={"mirror_share": share}), COCO_LAYOUT, 64,
            torch.Generator().manual_seed(1),
        )[0]
        for share in (0.0, 1.0)
    ]  # fmt: skip
    assert_close(ways[1][..., COCO_LAYOUT.joint_flip, 0], 64 - ways[0][..., 0])
    assert_close(ways[1][..., COCO_LAYOUT.joint_flip, 1], ways[0][..., 1])


def test_a_crop_magnifies_within_its_bounds(generator: torch.Generator) -> None:
    joints = person().expand(300, 2, 17, 3) + 0.05 * torch.randn(300, 2, 17, 3, generator=generator)
    plain, cropped = (
        see(
            joints, CameraSampling(), CLEAN, PLAIN.model_copy(update={"crop_share": share}), COCO_LAYOUT, 64,
            torch.Generator().manual_seed(1),
        )[0]
        for share in (0.0, 1.0)
    )  # fmt: skip
    spans = [seen.amax(dim=(1, 2, 3)) - seen.amin(dim=(1, 2, 3)) for seen in (plain, cropped)]
    factors = spans[1] / spans[0]
    assert factors.min() >= 1 - 1e-4
    assert factors.max() <= (1 / (0.56 * 0.75)) ** 0.5 + 1e-4
    assert factors.std() > 0.05


def test_missing_joints_have_no_score_and_others_less_than_one(generator: torch.Generator) -> None:
    joints = person().expand(200, 4, 17, 3)
    noise = KeypointNoise(converted_share=0.0, missing_share=1.0)
    varied = PLAIN.model_copy(update={"score_share": 1.0})
    _, scores = see(joints, CameraSampling(), noise, varied, COCO_LAYOUT, 64, generator)
    present = scores[scores > 0]
    assert 0.05 < (scores == 0).float().mean() < 0.25
    assert present.min() >= varied.lowest_score - 1e-6
    assert present.max() <= 1
