"""Own weights: who trains and who does not, how they are calibrated, and training that learns and is repeatable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.testing import assert_close

from poseworks.core.errors import DataError
from poseworks.core.skeletons import H36M_17
from poseworks.core.training.cameras import CameraSampling
from poseworks.skeleton_action import Annotation, load, write_annotations
from poseworks.skeleton_action.learning.own_clips import read_open_data, subject_of
from poseworks.skeleton_action.learning.own_evaluation import (
    KEPT,
    PIECE,
    WINDOW,
    best_rule,
    best_temperature,
    held_still,
    labels_of,
    pieces,
    seen,
    windows,
)
from poseworks.skeleton_action.learning.training import train_recipe

SUBJECTS = {1: "train", 2: "train", 8: "val", 4: "test"}
NAMES = [f"m0{movement + 1}_s0{subject}_e02" for movement in (0, 1) for subject in SUBJECTS]
SPLITS = [split for _ in (0, 1) for split in SUBJECTS.values()]
TINY = [
    "network.classes=2", "network.width=4", "network.blocks=[1,1,1]", "variation.other_share=0.2",
    "batches=[{clips=8,frames=6,size=24}]", "training.steps=60", "training.warmup_steps=0", "training.log_every=20",
    "training.validate_every=60", "training.learning_rate=0.02", "training.ema_decay=0.5",
]  # fmt: skip


def waving(side: str, frames: int, rate: float) -> NDArray[np.float64]:
    """(T, 17, 3) somebody who lifts one arm again and again."""
    rest = np.zeros((17, 3))
    rest[:, 2] = [0.9, 0.9, 0.5, 0.1, 0.9, 0.5, 0.1, 1.1, 1.4, 1.5, 1.7, 1.4, 1.1, 0.9, 1.4, 1.1, 0.9]
    rest[:, 0] = [0, -0.1, -0.1, -0.1, 0.1, 0.1, 0.1, 0, 0, 0, 0, 0.2, 0.3, 0.3, -0.2, -0.3, -0.3]
    clip = np.repeat(rest[None], frames, axis=0)
    wave = 0.5 - 0.5 * np.cos(rate * np.arange(frames))
    elbow, wrist, foot, knee = H36M_17.indices(["left_elbow", "left_wrist", "left_ankle", "left_knee"])
    if side == "arm":
        clip[:, elbow, 2] += 0.6 * wave
        clip[:, wrist, 2] += 1.0 * wave
    else:
        clip[:, foot, 2] += 0.6 * wave
        clip[:, knee, 2] += 0.3 * wave
    return clip


def write_motion(path: Path, clips: list[NDArray[np.float64]], names: list[str], splits: list[str], *keys: str) -> None:
    tenths = np.round(np.concatenate(clips) * 1e4).astype(np.int16)
    arrays: dict[str, Any] = dict.fromkeys(keys, tenths)
    np.savez(
        path,
        offsets=np.cumsum([0, *map(len, clips)]),
        origin_m=np.zeros((len(clips), 3)),
        clip_id=np.array(names),
        split=np.array(splits),
        fps=np.float32(30),
        joint_names=np.array(H36M_17.joint_names),
        **arrays,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two exercises of four people, and six recordings of people who stand."""
    folder = tmp_path_factory.mktemp("data")
    clips = [waving(side, 40 + 3 * person, 0.1 + 0.01 * person) for side in ("arm", "leg") for person in range(4)]
    write_motion(folder / "prmd_pairs.npz", clips, NAMES, SPLITS, "noisy_tenth_mm", "clean_tenth_mm")
    standing = [waving("arm", frames, 0) for frames in (80, 60, 2 * PIECE, PIECE + 20, 50, 90)]
    others = ["train", "train", "val", "val", "test", "test"]
    write_motion(folder / "cmu17.npz", standing, [f"c{i}" for i in range(6)], others, "positions_tenth_mm")
    exercises = [(name, clip.astype(np.float32), int(name[2]) - 1) for name, clip in zip(NAMES, clips, strict=True)]
    projected = seen(exercises, CameraSampling())
    annotations = [
        Annotation(identifier=name, keypoints=one.keypoints, image_shape=one.image_shape, label=one.label)
        for name, one in zip(NAMES, projected, strict=True)
    ]
    by_split = {split: [n for n, s in zip(NAMES, SPLITS, strict=True) if s == split] for split in set(SPLITS)}
    write_annotations(
        annotations, folder / "prmd_actions_coco17.pkl", splits=by_split, label_names=["arm raise", "leg raise"]
    )
    return folder


def test_only_train_people_train(data: Path) -> None:
    read = read_open_data(data)
    assert read.exercises.lengths.tolist() == [40, 40, 43, 43, 40, 40, 43, 43]  # Kinect and markers of each
    assert read.exercises.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert [annotation.identifier for annotation in read.validation] == ["m01_s08_e02", "m02_s08_e02"]
    assert len(read.others.lengths) == 2


def test_people_who_are_held_out_do_not_train(data: Path) -> None:
    read = read_open_data(data, held_out=(1, 4))
    assert [subject_of(annotation.identifier) for annotation in read.validation] == [1, 4, 1, 4]
    assert sorted(read.exercises.lengths.tolist()) == sorted([43, 43, 46, 46] * 2)


def test_unknown_people_cannot_be_held_out(data: Path) -> None:
    with pytest.raises(DataError, match=r"held_out: expected some of the subjects \[1, 2, 4, 8\], got \[5\]"):
        read_open_data(data, held_out=(5,))


def test_a_name_that_tells_no_subject_is_refused() -> None:
    with pytest.raises(DataError, match="clip7: expected a name such as m01_s01_e02"):
        subject_of("clip7")


def test_other_motion_is_cut_and_short_rests_are_left_out(data: Path) -> None:
    assert [len(positions) for _, positions, _ in pieces(data, "val")] == [PIECE, PIECE, PIECE]
    assert [len(positions) for _, positions, _ in pieces(data, "test")] == [50, PIECE]


def test_seen_recordings_keep_label_and_length_and_fill_an_image() -> None:
    clip = waving("leg", 30, 0.1).astype(np.float32)
    views = list(seen([("a", clip, 3)], CameraSampling(), views=4))
    assert [view.identifier for view in views] == ["a_0", "a_1", "a_2", "a_3"]
    assert labels_of(views).tolist() == [3] * 4
    for view in views:
        height, width = view.image_shape
        body = view.keypoints[0, :, 5:]
        assert body.shape == (30, 12, 2)
        assert (body > -1).all()
        assert (body < np.array([width, height]) + 1).all()
        assert np.ptp(body, axis=(0, 1)).max() > 0.1 * min(height, width)


def test_the_temperature_undoes_a_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(5000, 4, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    assert best_temperature(logits, labels) == pytest.approx(1, abs=0.06)
    assert best_temperature(3 * logits, labels) == pytest.approx(3, abs=0.15)


def test_the_rule_that_refuses_more_is_taken_and_keeps_the_known() -> None:
    generator = torch.Generator().manual_seed(0)
    known = torch.randn(1000, 3, generator=generator) + torch.tensor([5.0, 0.0, 0.0])
    flat, faint = torch.full((10, 3), 9.0), torch.tensor([[0.0, -9.0, -9.0]])
    assert best_rule(known, flat).kind == "probability"
    rule = best_rule(known, faint)
    assert rule.kind == "energy"
    assert float((known.logsumexp(dim=1) >= rule.threshold).float().mean()) == pytest.approx(KEPT, abs=0.002)


def test_windows_are_parts_of_longer_recordings() -> None:
    long, short = (np.arange(frames * 51, dtype=np.float32).reshape(frames, 17, 3) for frames in (WINDOW + 21, WINDOW))
    parts = windows([("long", long, 1), ("short", short, 0)])
    assert [(name, label) for name, _, label in parts] == [("long_0", 1), ("long_10", 1), ("long_21", 1)]
    for begin, (_, positions, _) in zip((0, 10, 21), parts, strict=True):
        np.testing.assert_array_equal(positions, long[begin : begin + WINDOW])


def test_a_pose_that_is_held_is_no_exercise() -> None:
    clip = waving("arm", 31, 0.1).astype(np.float32)
    ((name, positions, label),) = held_still([("a", clip, 1)])
    assert (name, label) == ("a", None)
    np.testing.assert_array_equal(positions, np.repeat(clip[15:16], 31, axis=0))


@pytest.mark.long
def test_training_learns_calibrates_and_is_repeatable(data: Path, tmp_path: Path) -> None:
    first, second = (
        train_recipe("x3d-shallow-open-start", tmp_path / name, data=data, overrides=TINY, quiet=True) for name in "ab"
    )
    assert first.run.validation["nll"] < 0.65  # log 2 is chance
    assert first.network.preparation.labels == ("arm raise", "leg raise")
    assert first.network.preparation.unknown is not None
    for name, tensor in load(first.folder).state_dict().items():
        assert_close(tensor, load(second.folder).state_dict()[name], rtol=0, atol=0)


def test_held_out_runs_are_not_calibrated_and_can_be_gone_on_from(data: Path, tmp_path: Path) -> None:
    overrides = [*TINY, "held_out=[4]", "training.steps=1"]
    first = train_recipe("x3d-shallow-open-start", tmp_path / "first", data=data, overrides=overrides, quiet=True)
    assert first.network.preparation.unknown is None
    assert set(first.run.validation) == {"error", "nll"}
    begin = [f"begin_with={first.folder}", "training.learning_rate=1e-12"]
    second = train_recipe(
        "x3d-shallow-open", tmp_path / "second", data=data, overrides=[*overrides, *begin], quiet=True
    )
    before = dict(first.network.named_parameters())
    for name, weight in second.network.named_parameters():
        assert_close(weight, before[name], atol=1e-6, rtol=0)
    settings = json.loads((tmp_path / "second" / "settings.json").read_text())
    assert settings["recipe"]["begun_with_sha256"] == load(first.folder).sha256
