"""Windows and clips: what they share is computed once, and the answers stay those of clips by themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from poseworks.core.errors import ConfigError, DataError, ShapeError, SkeletonError
from poseworks.core.skeletons import COCO_17
from poseworks.core.testing import ReferenceCase, fill, reference_cases, walking_poses
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.geometry import compact_box, take_frames
from poseworks.skeleton_action.keypoints import annotation_of
from poseworks.skeleton_action.recognition import predict
from poseworks.skeleton_action.sampling import sample_frames
from poseworks.skeleton_action.slowonly import SlowOnly, SlowOnlyConfig
from poseworks.skeleton_action.views import Views
from poseworks.skeleton_action.volumes import draw_views, framed, test_volumes
from poseworks.skeleton_action.windows import NotScored, WindowReader, part_of, read_windows, window_begins

test_volumes.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for a test
REFERENCE = Path(__file__).parent / "reference"
TOLERANCE = 1e-5  # float32 sums in another order


def walk(frames: int, people: int = 1, missing: float = 0.0) -> Annotation:
    poses = walking_poses(frames, people, 2, COCO_17, rng=np.random.default_rng(3), noise=1.0, missing=missing)
    return annotation_of(poses, range(people), "walk")


def on_the_spot(frames: int) -> Annotation:
    """A walk whose frames all have the same middle and extent: two corners are always there."""
    recording = walk(frames)
    keypoints = recording.keypoints - recording.keypoints[:, :, 11:12] + 300
    keypoints[:, :, 0], keypoints[:, :, 1] = 50, 650
    return replace(recording, keypoints=keypoints)


class Counted(nn.Module):
    """Counts frames on their way through the first part of a network."""

    def __init__(self, network: SlowOnly, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.frames = 0
        before = network.frame_part

        def frame_part(volumes: torch.Tensor) -> torch.Tensor:
            self.frames += volumes.shape[2]
            return before(volumes)

        monkeypatch.setattr(network, "frame_part", frame_part)


@pytest.mark.parametrize("flavour", ["mmaction", "pyskl"])
@pytest.mark.parametrize("stream", ["joint", "limb"])
@torch.no_grad()
def test_views_are_those_of_the_test_volumes(small_network: SlowOnly, flavour: Any, stream: Any) -> None:
    recording = walk(70, people=2, missing=0.1)
    preparation = small_network.preparation.model_copy(update={"flavour": flavour, "stream": stream})
    logits = WindowReader(small_network, Views(2, True), preparation=preparation).logits(recording)
    volumes = test_volumes(recording, stream, num_clips=2, flavour=flavour, clip_len=8, size=24)
    np.testing.assert_allclose(logits, small_network(torch.from_numpy(volumes)).numpy(), atol=TOLERANCE)
    probabilities = predict(small_network, recording, stream=stream, num_clips=2, flavour=flavour)
    np.testing.assert_allclose(probabilities, torch.from_numpy(logits).softmax(1).mean(0), atol=TOLERANCE)


def test_a_window_is_as_good_as_a_recording(small_network: SlowOnly) -> None:
    recording = walk(50)
    answers = read_windows(WindowReader(small_network, Views(2, True)), recording, (20, 7))
    assert [(answer.begin, answer.end) for answer in answers] == [
        (0, 20),
        (7, 27),
        (14, 34),
        (21, 41),
        (28, 48),
        (30, 50),
    ]
    for answer in answers:
        alone = predict(small_network, part_of(recording, answer.begin, answer.end), num_clips=2)
        assert answer.answer is not None
        np.testing.assert_allclose(answer.answer.probabilities, alone, atol=TOLERANCE)


def test_frames_are_computed_once_where_the_box_stays(small_network: SlowOnly, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = on_the_spot(40)
    alone = [predict(small_network, part_of(recording, b, b + 10), num_clips=1, mirror=False) for b in range(0, 31, 2)]
    counted = Counted(small_network, monkeypatch)
    answers = read_windows(WindowReader(small_network, Views()), recording, (10, 2))
    assert counted.frames == 40  # of 16 windows with 8 frames each
    for answer, expected in zip(answers, alone, strict=True):
        assert answer.answer is not None
        np.testing.assert_allclose(answer.answer.probabilities, expected, atol=TOLERANCE)


def test_clips_of_a_recording_share_its_frames(small_network: SlowOnly, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(small_network, monkeypatch)
    predict(small_network, walk(12), num_clips=10)
    assert counted.frames == 2 * 12  # plain and mirrored


def test_a_box_is_held_while_everybody_is_inside(small_network: SlowOnly) -> None:
    recording = on_the_spot(30)
    keypoints = recording.keypoints.copy()
    keypoints[:, 10:, 0] += 15  # a little smaller: the box of the first window will do
    keypoints[:, 20:, 1] += 400  # far outside of it
    recording = replace(recording, keypoints=keypoints)
    held = WindowReader(small_network, Views(), hold_box=1.25)
    first, second, third = (held.logits(part_of(recording, b, b + 10), b) for b in (0, 10, 20))
    own = [WindowReader(small_network, Views()).logits(part_of(recording, b, b + 10)) for b in (0, 10, 20)]
    np.testing.assert_allclose(first, own[0], atol=TOLERANCE)
    np.testing.assert_allclose(third, own[2], atol=TOLERANCE)
    assert np.abs(second - own[1]).max() > 1e-4
    p = small_network.preparation
    indices = sample_frames(10, p.clip_len)
    box = compact_box(take_frames(part_of(recording, 0, 10), indices))
    sample = framed(take_frames(part_of(recording, 10, 20), indices), box, p.flavour, p.size)
    with torch.no_grad():
        expected = small_network(torch.from_numpy(draw_views(sample, p)))
    np.testing.assert_allclose(second, expected, atol=TOLERANCE)


def test_a_box_much_too_large_is_not_held(small_network: SlowOnly) -> None:
    recording = on_the_spot(20)
    keypoints = recording.keypoints.copy()
    keypoints[:, 10:] = 300 + 0.5 * (keypoints[:, 10:] - 300)
    recording = replace(recording, keypoints=keypoints)
    held = WindowReader(small_network, Views(), hold_box=1.25)
    held.logits(part_of(recording, 0, 10))
    own = WindowReader(small_network, Views()).logits(part_of(recording, 10, 20))
    np.testing.assert_allclose(held.logits(part_of(recording, 10, 20), 10), own, atol=TOLERANCE)


def test_what_cannot_be_scored_is_said(small_network: SlowOnly) -> None:
    recording = walk(20)
    assert recording.scores is not None
    empty = replace(recording, scores=np.zeros_like(recording.scores))
    answer = WindowReader(small_network, Views()).read(empty, 5)
    assert (answer.begin, answer.end, answer.answer) == (5, 25, None)
    assert "nobody is seen" in answer.fault
    with pytest.raises(DataError, match="nobody is seen"):
        predict(small_network, replace(recording, keypoints=np.full_like(recording.keypoints, np.nan)))
    some = recording.scores.copy()
    some[:, 2:] = 0
    seldom = replace(recording, scores=some)
    assert "seen in 1 of 8 frames" in WindowReader(small_network, Views(), min_seen=0.25).read(seldom).fault
    assert WindowReader(small_network, Views(), min_seen=0.1).read(seldom).answer is not None
    tiny = replace(recording, keypoints=5 + recording.keypoints / 200, image_shape=(20, 2000))
    with pytest.raises(NotScored, match="everybody was cut away"):
        WindowReader(small_network, Views()).logits(tiny)
    tiny = replace(tiny, image_shape=(20, 20))
    assert "too small to tell" in WindowReader(small_network, Views(), min_seen=0).read(tiny).fault
    assert WindowReader(small_network, Views()).read(tiny).answer is not None  # as published


def test_networks_and_annotations_that_do_not_fit_are_refused(small_network: SlowOnly) -> None:
    recording = walk(10)
    with pytest.raises(SkeletonError, match=r"expected 17 joints \(coco17\), got 3"):
        predict(small_network, Annotation(identifier="", keypoints=np.ones((1, 5, 3, 2)), image_shape=(9, 9)))
    with pytest.raises(ConfigError, match="a Linear does not recognise"):
        predict(nn.Linear(2, 2), recording)
    with pytest.raises(ConfigError, match=r"network.eval\(\)"):
        predict(SlowOnly(SlowOnlyConfig(width=2, blocks=(1, 1, 1))), recording)
    other = SlowOnly(SlowOnlyConfig(in_channels=3, width=2, blocks=(1, 1, 1))).eval()
    with pytest.raises(ShapeError, match="reads 3 channels, and the joints of coco17 are 17"):
        predict(other, recording)


def test_windows_cover_the_recording() -> None:
    assert window_begins(10, 4, 3) == [0, 3, 6]
    assert window_begins(11, 4, 3) == [0, 3, 6, 7]
    assert window_begins(4, 4, 3) == [0]
    assert window_begins(3, 4, 3) == [0]


def test_progress_adds_up_to_one(small_network: SlowOnly) -> None:
    shares: list[float] = []
    read_windows(WindowReader(small_network, Views()), walk(30), (10, 3), shares.append)
    assert len(shares) == 8
    assert sum(shares) == pytest.approx(1)


@pytest.mark.long
@pytest.mark.parametrize("case", reference_cases(REFERENCE, "end_to_end_*"), ids=lambda case: case.name)
def test_probabilities_are_the_published_ones(case: ReferenceCase) -> None:
    manifest = case.manifest
    (shapes,) = reference_cases(REFERENCE, "slowonly_r50_60_56")
    classes = manifest["num_classes"]
    head = {"cls_head.fc_cls.weight": (classes, 512), "cls_head.fc_cls.bias": (classes,)}
    network = SlowOnly(SlowOnlyConfig(classes=classes))
    network.load_state_dict({n: torch.from_numpy(x) for n, x in fill({**shapes.shapes, **head}).items()})
    (annotations,) = reference_cases(REFERENCE, "annotations")
    name = manifest["annotation"]
    keypoints = annotations.arrays[f"{name}.keypoint"]
    published = {
        "frame_dir": name, "label": 0, "img_shape": (1080, 1920), "original_shape": (1080, 1920),
        "total_frames": keypoints.shape[1], "keypoint": keypoints,
        "keypoint_score": annotations.arrays[f"{name}.keypoint_score"],
    }  # fmt: skip
    stream = "limb" if manifest["stream"] == "limb" else "joint"
    probabilities = predict(network.eval(), published, stream=stream, num_clips=manifest["num_clips"])  # type: ignore[arg-type]
    np.testing.assert_allclose(probabilities, case.arrays["output"], atol=1e-5)
    assert np.argsort(probabilities)[::-1][:5].tolist() == manifest["top5"]
