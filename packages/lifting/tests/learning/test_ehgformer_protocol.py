"""Clips and tables of EHGFormer, against the published reader and evaluation."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.metrics import mpjpe, pa_mpjpe
from poseworks.core.testing import seeded_input
from poseworks.lifting.flipping import flip
from poseworks.lifting.learning.ehgformer_protocol import (
    clip_set,
    clips,
    evaluate_ehgformer,
    published_random,
    score_clips,
)
from poseworks.lifting.learning.h36m_files.frames import CAMERAS, EHGFormerFrames

REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "protocol.json").read_text())


def stored(name: str) -> dict[str, np.ndarray]:
    with np.load(REFERENCE / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def codes(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    names = list(dict.fromkeys(values.tolist()))
    return np.array([names.index(value) for value in values.tolist()], dtype=np.int32), tuple(names)


def frames_of(split: str) -> EHGFormerFrames:
    source = {key.split("/", 1)[1]: x for key, x in stored("protocol_source").items() if key.startswith(split)}
    recording, recordings = codes(source["source"])
    frames = EHGFormerFrames(
        keypoints=source["joint_2d"],
        confidence=source["confidence"][..., 0],
        joints_image=source["joint3d_image"],
        camera=np.array([CAMERAS.index(name) for name in source["camera_name"].tolist()]),
        recording=recording,
        recordings=recordings,
    )
    if split == "train":
        return frames
    action, actions = codes(source["action"])
    return dataclasses.replace(
        frames, joints_25d=source["joints_2.5d_image"], factor=source["2.5d_factor"], action=action, actions=actions
    )


@pytest.fixture(scope="module")
def test_frames() -> EHGFormerFrames:
    return frames_of("test")


def test_clips_are_those_of_the_published_reader_to_the_last_bit(test_frames: EHGFormerFrames) -> None:
    random = np.random.RandomState(0)
    found = {
        "train": clips(frames_of("train"), 27, 9, random=random),
        "test": clips(test_frames, 27, 27, random=random),
    }
    expected = stored("protocol_expected")
    for split, (inputs, labels, indices) in found.items():
        assert list(inputs.shape) == EXPECTED["shapes"][f"{split}_data"]
        np.testing.assert_array_equal(indices, expected[f"split_{split}"])
        for name, array in (("data", inputs), ("labels", labels)):
            digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            assert digest == EXPECTED["sha256_float32_c_order"][f"{split}_{name}"]
    np.testing.assert_array_equal(found["test"][0], expected["test_data"])
    np.testing.assert_array_equal(found["test"][1], expected["test_labels"])


def test_the_generator_stands_where_the_training_split_left_it(test_frames: EHGFormerFrames) -> None:
    random = np.random.RandomState(0)
    clips(frames_of("train"), 27, 81, random=random)
    after = published_random(frames_of("train").recording, 27)
    np.testing.assert_array_equal(random.randint(2, size=100), after.randint(2, size=100))
    other = clip_set(test_frames, 27, 27, random=np.random.RandomState(0)).indices
    assert (other != stored("protocol_expected")["split_test"]).any()


def test_frames_are_shared_between_clips() -> None:
    found = clip_set(frames_of("train"), 27, 9)
    assert len(found.inputs) == 134
    inputs, labels = found.take(np.array([1, 0]))
    np.testing.assert_array_equal(inputs[1], found.inputs[:27])
    np.testing.assert_array_equal(labels[0], found.labels[9:36])
    inputs[:] = 0
    assert found.inputs[:27].any()


@pytest.mark.parametrize("static", [False, True])
def test_the_tables_are_the_published_ones(static: bool, test_frames: EHGFormerFrames) -> None:
    arrays = stored("protocol_expected")
    answers = arrays["prediction"]
    if static:
        answers = answers - answers[:, :, :1]
    expected = EXPECTED["result_static_root_zeroed" if static else "result_dynamic"]
    result = score_clips(answers, arrays["split_test"], test_frames, static=static)
    assert [row.action for row in result.rows] == sorted(expected["mpjpe_per_action"])
    for row in result.rows:
        for found, key in ((row.p1, "mpjpe_per_action"), (row.p2, "p_mpjpe_per_action")):
            wanted = expected[key][row.action]
            assert np.isnan(found) if wanted is None else found == pytest.approx(wanted, rel=1e-6)
        assert row.frames == EXPECTED["result_dynamic"]["frames_per_action"][row.action]
    assert result.p1_evaluated == pytest.approx(expected["mpjpe_mean_over_evaluated_actions"], rel=1e-6)
    assert result.p2_evaluated == pytest.approx(expected["p_mpjpe_mean_over_evaluated_actions"], rel=1e-6)
    assert np.isnan(result.p1)
    assert result.empty_actions == ("Greet", "Wait")
    assert (result.frames, result.frames_in_file, result.clips, result.clips_blocked) == (96, 303, 4, 1)


class _Table(nn.Module):
    """Answers inputs with what is stored for them, plain or mirrored."""

    def __init__(self, inputs: np.ndarray, answers: np.ndarray) -> None:
        super().__init__()
        self.inputs, self.answers = torch.from_numpy(inputs), torch.from_numpy(answers)

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for clip in x:
            plain = (self.inputs - clip).abs().amax(dim=(1, 2, 3))
            mirrored = (flip(self.inputs) - clip).abs().amax(dim=(1, 2, 3))
            row = int(torch.minimum(plain, mirrored).argmin())
            found.append(self.answers[row] if plain[row] < mirrored[row] else flip(self.answers[row]))
        return torch.stack(found)


def test_a_network_is_asked_clip_by_clip_and_averaged_with_its_mirrored_answer(test_frames: EHGFormerFrames) -> None:
    arrays = stored("protocol_expected")
    network = _Table(arrays["test_data"], arrays["prediction"])
    done: list[int] = []
    random = np.random.RandomState(0)
    clips(frames_of("train"), 27, 9, random=random)
    result = evaluate_ehgformer(
        network, test_frames, static=False, n=27, batch=2, random=random, advance=lambda n=1, note="": done.append(n)
    )
    assert result.p1_evaluated == pytest.approx(
        EXPECTED["result_dynamic"]["mpjpe_mean_over_evaluated_actions"], rel=1e-5
    )
    assert sum(done) == 5


def test_with_true_keypoints_x_and_y_of_the_answer_do_not_matter(test_frames: EHGFormerFrames) -> None:
    arrays = stored("protocol_expected")
    errors = []
    for shift in (0.0, 0.5):
        answers = arrays["prediction"] + np.float32([shift, -shift, 0]) * seeded_input("xy", (5, 27, 17, 3), 1)
        random = np.random.RandomState(0)
        clips(frames_of("train"), 27, 9, random=random)
        network = _Table(arrays["test_data"], answers.astype(np.float32))
        result = evaluate_ehgformer(network, test_frames, static=False, n=27, flip=False, gt_2d=True, random=random)
        errors.append(result.p1_evaluated)
    assert errors[0] == errors[1]


def test_a_frame_of_several_clips_counts_with_its_mean_error(test_frames: EHGFormerFrames) -> None:
    labels = clip_set(test_frames, 27, 27).labels
    indices = np.stack([np.arange(27), np.arange(20, 47)])
    answers = labels[indices].copy()
    answers[1] += seeded_input("protocol/offset", (27, 17, 3), 0.01)
    both = score_clips(answers, indices, test_frames, static=False)
    first, second = (score_clips(answers[i : i + 1], indices[i : i + 1], test_frames, static=False) for i in (0, 1))
    alone = {row.action: row for row in second.rows}["Direction"]
    assert both.frames == 47
    shared = 7
    row = {row.action: row for row in both.rows}["Direction"]
    assert row.frames == 47
    whole = first.rows[0].p1 * first.frames + alone.p1 * alone.frames
    assert row.p1 * 47 < whole  # the errors of the shared frames are halved, not added
    assert row.p1 * 47 > whole - max(first.rows[0].p1, alone.p1) * 3 * shared


def test_metrics_are_the_published_ones_on_plain_arrays() -> None:
    case = json.loads((REFERENCE / "metrics_losses.json").read_text())
    pred = seeded_input("metrics/pred", (6, 17, 3), 100).astype(np.float64)
    target = 0.9 * pred + seeded_input("metrics/target_noise", (6, 17, 3), 40)
    pred[3] = target[3] * [-1, 1, 1]
    np.testing.assert_allclose(mpjpe(pred, target), case["mpjpe_per_pose"], rtol=1e-9)
    np.testing.assert_allclose(pa_mpjpe(pred, target), case["p_mpjpe_per_pose"], rtol=1e-9)


def test_what_cannot_be_evaluated_is_refused(test_frames: EHGFormerFrames) -> None:
    with pytest.raises(DataError, match="give no clip of 2000"):
        clip_set(dataclasses.replace(test_frames, recording=np.zeros(303, np.int32)), 2000, 9)
    with pytest.raises(DataError, match="Read the test split"):
        evaluate_ehgformer(nn.Identity(), frames_of("train"), static=True, n=27)
    with pytest.raises(ConfigError, match="step: expected at least 1"):
        clip_set(test_frames, 27, 9, step=0)
