"""Own weights of skeleton-action: exercises of people they never saw, and motion that is none of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import DATA, Cell, Table
from poseworks.core.motion_data import read_pairs
from poseworks.core.training.cameras import CameraSampling
from poseworks.skeleton_action import Annotation, load, predict, read_annotations, shipped_models
from poseworks.skeleton_action.answers import read_answer
from poseworks.skeleton_action.head import HeatmapNetwork
from poseworks.skeleton_action.learning.own_clips import EXERCISES
from poseworks.skeleton_action.learning.own_evaluation import logits_of, pieces, seen

NEAREST_FRAMES = 16  # that a recording is compared by
VIEWS = ((1, False), (4, True), (10, True))
HELD_BACK = DATA / "bandai_actions_coco17.pkl"  # not for commercial use, so not in the repository

Change = Callable[[Annotation, np.random.Generator], Annotation]


def accuracy(quick: bool) -> Table:
    """Of one and of more views, beside the nearest recording."""
    rows: list[list[Cell]] = []
    train = read_annotations(DATA / EXERCISES, "train")
    for split in ("val", "test"):
        annotations = read_annotations(DATA / EXERCISES, split)[: 10 if quick else None]
        labels = np.array([annotation.label for annotation in annotations])
        answers = {("nearest recording of train", 1): nearest(train, annotations)}
        for name in shipped_models():
            network = load(name)
            for clips, mirror in VIEWS[: 1 if quick else None]:
                probabilities = [
                    predict(network, annotation, num_clips=clips, mirror=mirror) for annotation in annotations
                ]
                answers[name, clips * (1 + mirror)] = np.argmax(probabilities, axis=1)
        for (name, views), answer in answers.items():
            right = answer == labels
            classes = [right[labels == label].mean() for label in np.unique(labels)]
            rows.append(
                [
                    split,
                    name,
                    views,
                    len(right),
                    int((~right).sum()),
                    100 * float(right.mean()),
                    100 * float(np.mean(classes)),
                ]
            )
    return Table(
        "skeleton_action_accuracy",
        "Ten rehabilitation exercises of people that training never saw (UI-PRMD, projected Kinect joints)",
        ("split", "weights", "views", "recordings", "wrong", "top-1 %", "mean class %"),
        rows,
        [
            "train 6 people, val 1, test 2; val chose the settings; one test recording is 1.25 points",
            "4 and 10 clips are mirrored too",
        ],
    )


def hard_conditions(quick: bool) -> Table:
    """Test recordings as detectors and hurried people would give them; one view."""
    annotations = read_annotations(DATA / EXERCISES, "test")[:: 8 if quick else 1]
    networks = {name: load(name) for name in shipped_models()}
    rows: list[list[Cell]] = []
    for condition, change in CHANGES.items():
        generator = np.random.default_rng(0)
        changed = [change(annotation, generator) for annotation in annotations]
        for name, network in networks.items():
            rows.append([condition, name, 100 * share_right(network, changed)])
    pairs = read_pairs(DATA / "prmd_pairs.npz", "test")[:: 8 if quick else 1]
    labels = {annotation.identifier: annotation.label for annotation in annotations}
    for condition, kind in (("Kinect joints, 3 other cameras each", "noisy"), ("marker joints, the same", "clean")):
        clips = [(pair.clip_id, getattr(pair, kind), labels.get(pair.clip_id)) for pair in pairs]
        views = list(seen(clips, CameraSampling(), views=3))
        for name, network in networks.items():
            rows.append([condition, name, 100 * share_right(network, views)])
    return Table(
        "skeleton_action_conditions",
        "The test recordings under harder conditions, one view (top-1 %)",
        ("condition", "weights", "top-1 %"),
        rows,
    )


def none_of_these(quick: bool) -> Table:
    """How often the rule for motion that is none of the classes is right; one view."""
    generator = np.random.default_rng(0)
    test = read_annotations(DATA / EXERCISES, "test")[:: 8 if quick else 1]
    sets: dict[str, tuple[bool, Sequence[Annotation]]] = {
        "exercises, val": (False, read_annotations(DATA / EXERCISES, "val")[:: 8 if quick else 1]),
        "exercises, test": (False, test),
        "exercises, test, the first 60 %": (False, [cut(annotation, generator) for annotation in test]),
        "cmu17, val, which chose the rule": (
            True,
            list(seen(pieces(DATA, "val")[:: 8 if quick else 1], CameraSampling())),
        ),
        "cmu17, test": (True, list(seen(pieces(DATA, "test")[:: 16 if quick else 1], CameraSampling()))),
        "standing still in a pose of a test exercise": (True, [still(annotation, generator) for annotation in test]),
    }
    if HELD_BACK.exists():
        sets["bandai, all ten classes"] = (True, read_annotations(HELD_BACK)[:: 8 if quick else 1])
    rows: list[list[Cell]] = []
    for name in shipped_models():
        network = load(name)
        preparation = network.preparation
        for where, (wanted, recordings) in sets.items():
            answers = [
                read_answer(logits[None], preparation).unknown for logits in logits_of(network, recordings).numpy()
            ]
            share = float(np.mean(answers))
            rows.append([name, where, len(answers), 100 * share, 100 * (share if wanted else 1 - share)])
    return Table(
        "skeleton_action_unknown",
        'How often the answer is "none of these", and how often that is right (%), one view',
        ("weights", "recordings", "number", "none of these", "right"),
        rows,
        [
            "cmu17 in pieces of 2.5 s, test is mostly climbing; the threshold keeps 97.5 % of the exercises of val",
            "bandai_actions_coco17.pkl (CC BY-NC 4.0) is not in the repository; in benchmarks/data it is measured",
        ],
    )


def share_right(network: HeatmapNetwork, annotations: Sequence[Annotation]) -> float:
    """Of recordings whose label has the largest logit."""
    labels = torch.tensor([annotation.label for annotation in annotations])
    return float((logits_of(network, annotations).argmax(dim=1) == labels).float().mean())


def nearest(train: Sequence[Annotation], annotations: Sequence[Annotation]) -> NDArray[np.int_]:
    """The label of the recording of `train` whose frames, about the hips and by the body's height, are nearest."""
    known = np.stack([described(annotation) for annotation in train])
    labels = np.array([annotation.label for annotation in train])
    return np.array([labels[np.square(known - described(each)).sum(axis=(1, 2, 3)).argmin()] for each in annotations])


def described(annotation: Annotation) -> NDArray[np.float64]:
    """(16, V, 2): evenly spaced frames of the first person, about the hips, by the largest height."""
    frames = np.linspace(0, annotation.num_frames - 1, NEAREST_FRAMES).round().astype(int)
    keypoints = annotation.keypoints[0, frames].astype(np.float64)
    about = keypoints - keypoints[:, 11:13].mean(axis=1, keepdims=True)
    return np.asarray(about / np.ptp(about[..., 1], axis=1).max())


def trembling(annotation: Annotation, generator: np.random.Generator) -> Annotation:
    """A standard deviation of 1 % of the body's height, one throw in fifty by up to 10 %."""
    keypoints = annotation.keypoints.astype(np.float32)
    height = np.ptp(keypoints[..., 1], axis=2).max()
    thrown = generator.random(keypoints.shape[:3])[..., None] < 0.02
    error = 0.01 * generator.standard_normal(keypoints.shape) + thrown * generator.uniform(-0.1, 0.1, keypoints.shape)
    return replace(annotation, keypoints=(keypoints + height * error).astype(np.float32))


def missing(annotation: Annotation, generator: np.random.Generator) -> Annotation:
    """One joint in five is not seen, frame by frame."""
    lost = generator.random(annotation.keypoints.shape[:3]) < 0.2
    keypoints = np.where(lost[..., None], 0, annotation.keypoints)
    return replace(annotation, keypoints=keypoints, scores=(~lost).astype(np.float32))


def headless(annotation: Annotation, generator: np.random.Generator) -> Annotation:
    """No joint of the face is seen."""
    keypoints, scores = annotation.keypoints.copy(), np.ones(annotation.keypoints.shape[:3], dtype=np.float32)
    keypoints[:, :, :5], scores[:, :, :5] = 0, 0
    return replace(annotation, keypoints=keypoints, scores=scores)


def unsure(annotation: Annotation, generator: np.random.Generator) -> Annotation:
    """Scores of 0.4 to 1."""
    scores = generator.uniform(0.4, 1.0, annotation.keypoints.shape[:3]).astype(np.float32)
    return replace(annotation, scores=scores)


def cut(annotation: Annotation, generator: np.random.Generator) -> Annotation:
    """The first 60 % of the frames."""
    return replace(annotation, keypoints=annotation.keypoints[:, : int(0.6 * annotation.num_frames)])


def hurried(annotation: Annotation, generator: np.random.Generator) -> Annotation:
    """Every other frame."""
    return replace(annotation, keypoints=annotation.keypoints[:, ::2])


def still(annotation: Annotation, generator: np.random.Generator) -> Annotation:
    """One frame of it, throughout."""
    frame = generator.integers(annotation.num_frames)
    held = np.repeat(annotation.keypoints[:, frame : frame + 1], annotation.num_frames, axis=1)
    return replace(annotation, keypoints=held, label=None)


CHANGES: dict[str, Change] = {
    "as recorded": lambda annotation, generator: annotation,
    "trembling by 1 % of the height, 2 % of the joints thrown": trembling,
    "20 % of the joints missing": missing,
    "no face": headless,
    "scores 0.4 to 1": unsure,
    "the first 60 % of the frames": cut,
    "every other frame": hurried,
}

MEASURES = (accuracy, hard_conditions, none_of_these)
