"""How well own weights tell the exercises of people they have not seen, and that a clip is none of them.

The temperature of the probabilities and the rule for "none of these" are chosen here too, on exercises of the split val
and on other motion of the splits train and val: recordings in 3D, seen by random cameras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from poseworks.core.motion_data import Split, read_clips, read_pairs
from poseworks.core.training.cameras import CameraSampling, draw_views
from poseworks.skeleton_action import volumes
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.head import HeatmapNetwork
from poseworks.skeleton_action.learning.own_views import coco_joints, face_points
from poseworks.skeleton_action.preparation import Preparation, UnknownRule

Recording = tuple[str, NDArray[np.float32], int | None]
"""A name, (T, 17, 3) joints of h36m17 in metres, and the class number if it is of one."""

PIECE = 75  # frames: other motion is cut to pieces as long as most exercises
WINDOW = 60  # frames: the windows of long recordings, 2 s
CAMERAS_A_CLIP = 3
IMAGE_WIDTH = 640
_SEED = 200  # of the cameras
KEPT = 0.975  # of the exercises of val, by the rule for "none of these"
_TEMPERATURES = torch.logspace(-0.7, 0.7, 141)

FAMILIARITY: Mapping[Literal["probability", "energy"], Callable[[Tensor], Tensor]] = {
    "probability": lambda logits: logits.softmax(dim=1).amax(dim=1),
    "energy": lambda logits: logits.logsumexp(dim=1),
}
"""What rules measure of logits (N, classes) that were divided by the temperature: (N,)."""


@torch.no_grad()
def logits_of(network: HeatmapNetwork, annotations: Iterable[Annotation]) -> Tensor:
    """(N, classes) logits of one plain view of each recording."""
    p = network.preparation
    views = (volumes.draw_views(volumes.sample_to_test(annotation, p), p) for annotation in annotations)
    return torch.cat([network(torch.from_numpy(view)) for view in views])


def labels_of(annotations: Iterable[Annotation]) -> Tensor:
    """(N,) class numbers; -1 where it is none."""
    return torch.tensor([-1 if annotation.label is None else annotation.label for annotation in annotations])


def seen(clips: Iterable[Recording], cameras: CameraSampling, views: int = 1) -> Iterator[Annotation]:
    """Each recording (name, (T, 17, 3) metres, label) as `views` random cameras see it; the same for the same order."""
    generator = torch.Generator().manual_seed(_SEED)
    for name, positions, label in clips:
        joints = torch.from_numpy(positions)[None]
        face = face_points(1, 0.0, generator)
        for number in range(views):
            view = draw_views(torch.cat([joints[:, :, :1], coco_joints(joints, face)], dim=2), cameras, generator)
            slopes, focal, aspect = view.slopes[:, :, 1:], float(view.focal[0]), float(view.aspect[0])
            keypoints = IMAGE_WIDTH * (focal * slopes + torch.tensor([0.5, aspect / 2]))
            yield Annotation(
                identifier=f"{name}_{number}", keypoints=keypoints.numpy(), label=label,
                image_shape=(round(IMAGE_WIDTH * aspect), IMAGE_WIDTH),
            )  # fmt: skip


def pieces(folder: Path, split: Split) -> list[Recording]:
    """Other motion (``cmu17.npz``), cut to pieces; what is left of a recording is a piece if it is half as long."""
    return [
        (f"{clip.clip_id}_{begin}", clip.positions[begin : begin + PIECE], None)
        for clip in read_clips(folder / "cmu17.npz", split)
        for begin in range(0, len(clip.positions), PIECE)
        if len(clip.positions) - begin >= PIECE // 2
    ]


def windows(clips: Iterable[Recording]) -> list[Recording]:
    """The begin, the middle and the end of each recording that is longer than a window: what live use sees of it."""
    return [
        (f"{name}_{begin}", positions[begin : begin + WINDOW], label)
        for name, positions, label in clips
        if len(positions) > WINDOW
        for begin in (0, (len(positions) - WINDOW) // 2, len(positions) - WINDOW)
    ]


def held_still(clips: Iterable[Recording]) -> list[Recording]:
    """The pose in the middle of each recording, held throughout: none of the classes."""
    return [
        (name, np.repeat(positions[len(positions) // 2][None], len(positions), axis=0), None)
        for name, positions, _ in clips
    ]


def calibrated(
    network: HeatmapNetwork, folder: Path, cameras: CameraSampling, labels: Mapping[str, int | None]
) -> Preparation:
    """The network's preparation with temperature and rule for "none of these".

    Args:
        folder: of ``prmd_pairs.npz`` and ``cmu17.npz``.
        labels: class numbers by the name of the exercise's recording.
    """
    exercises = [
        (pair.clip_id, pair.noisy, labels[pair.clip_id]) for pair in read_pairs(folder / "prmd_pairs.npz", "val")
    ]
    annotations = list(seen([*exercises, *windows(exercises)], cameras, CAMERAS_A_CLIP))
    logits = logits_of(network, annotations)
    other_motion = [*pieces(folder, "train"), *pieces(folder, "val"), *held_still(exercises)]
    others = logits_of(network, seen(other_motion, cameras))
    temperature = best_temperature(logits, labels_of(annotations))
    preparation = network.preparation.model_copy(update={"temperature": temperature, "unknown": None})
    return preparation.model_copy(update={"unknown": best_rule(logits / temperature, others / temperature)})


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """By which logits (N, classes) are divided so that the labels are most probable; 0.2 to 5."""
    losses = torch.stack([functional.cross_entropy(logits / temperature, labels) for temperature in _TEMPERATURES])
    return round(float(_TEMPERATURES[losses.argmin()]), 3)


def best_rule(known: Tensor, unknown: Tensor) -> UnknownRule:
    """The rule that refuses most of the unknown motion where it keeps `KEPT` of the known.

    Args:
        known: (N, classes) logits of motion that is one of the classes, divided by the temperature.
        unknown: (N', classes) of motion that is none.
    """
    rules = []
    for kind, measure in FAMILIARITY.items():
        threshold = float(measure(known).quantile(1 - KEPT))
        rules.append((float((measure(unknown) < threshold).float().mean()), kind, threshold))
    _, kind, threshold = max(rules)
    return UnknownRule(kind=kind, threshold=round(threshold, 4))
