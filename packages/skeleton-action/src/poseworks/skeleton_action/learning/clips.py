"""Clips of many recordings: brought to the pixels of a volume by worker processes, drawn on the device.

Workers give keypoints, of which a clip has a thousandth of its volume's numbers; the device draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.drawing import draw_volumes
from poseworks.skeleton_action.geometry import Sample
from poseworks.skeleton_action.preparation import Preparation
from poseworks.skeleton_action.volumes import EPSILON, draw_views

Key = TypeVar("Key")


@dataclass(frozen=True, eq=False)
class Clips:
    """B samples of T frames, with as many people as the fullest of them.

    Attributes:
        keypoints: (B, M, T, V, 2) in pixels of the volume.
        scores: (B, M, T, V); 0 where a sample has no such person.
        labels: (B,) class numbers; -1 where it is not known.
        size: height and width of the volume.
        identifiers, frames: of each recording, its name and length.
    """

    keypoints: Tensor
    scores: Tensor
    labels: Tensor
    size: tuple[int, int]
    identifiers: tuple[str, ...]
    frames: tuple[int, ...]

    def pin_memory(self) -> Clips:
        """The same in memory from which a GPU copies by itself."""
        return self._each(Tensor.pin_memory)

    def to(self, device: torch.device) -> Clips:
        """The same on a device."""
        return self._each(lambda part: part.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Clips:
        keypoints, scores, labels = (change(part) for part in (self.keypoints, self.scores, self.labels))
        return replace(self, keypoints=keypoints, scores=scores, labels=labels)


Prepared = tuple[Sample, Annotation]


def collate(samples: Sequence[Prepared]) -> Clips:
    """Samples of one size, and the recordings they are of."""
    people = max(1, *(len(sample.keypoints) for sample, _ in samples))

    def stacked(arrays: Iterable[NDArray[Any]]) -> Tensor:
        padded = [np.pad(a, [(0, people - len(a)), *[(0, 0)] * (a.ndim - 1)]) for a in arrays]
        return torch.from_numpy(np.stack(padded))

    return Clips(
        keypoints=stacked(sample.keypoints for sample, _ in samples),
        scores=stacked(sample.scores for sample, _ in samples),
        labels=torch.tensor([-1 if annotation.label is None else annotation.label for _, annotation in samples]),
        size=samples[0][0].size,
        identifiers=tuple(annotation.identifier for _, annotation in samples),
        frames=tuple(annotation.num_frames for _, annotation in samples),
    )


def draw(clips: Clips, preparation: Preparation) -> Tensor:
    """(B, C, T, H, W) volumes on the device of the clips; on a CPU by `draw_views`, which leaves out what is empty."""
    if clips.keypoints.device.type != "cpu":
        return draw_densely(clips, preparation)
    count, _, frames = clips.scores.shape[:3]
    volumes = np.empty((count, preparation.layout.channels(preparation.stream), frames, *clips.size), dtype=np.float32)
    for row in range(count):
        sample = Sample(clips.keypoints[row].numpy(), clips.scores[row].numpy(), clips.size)
        draw_views(sample, preparation, out=volumes[row : row + 1])
    return torch.from_numpy(volumes)


@torch.no_grad()
def draw_densely(clips: Clips, preparation: Preparation) -> Tensor:
    """As `draw` on any device: one person after the other, so that memory stays small."""
    p = preparation
    people = (
        draw_volumes(
            clips.keypoints[:, person : person + 1], clips.scores[:, person : person + 1], clips.size, p.layout,
            p.stream, p.sigma, EPSILON[p.flavour],
        )
        for person in range(clips.keypoints.shape[1])
    )  # fmt: skip
    return reduce(torch.maximum, people)


class _Made(Dataset[Prepared], Generic[Key]):
    """What `make` gives for a key."""

    def __init__(self, make: Callable[[Key], Prepared]) -> None:
        self.make = make

    def __getitem__(self, key: Key) -> Prepared:
        return self.make(key)


def prepared(
    make: Callable[[Key], Prepared], batches: Iterable[list[Key]], workers: int, *, pinned: bool = False
) -> Iterator[Clips]:
    """The clips of each batch of keys, in order, prepared ahead by `workers` processes (0: by this one, when asked).

    What comes depends on the keys alone.
    """
    loader: DataLoader[Prepared] = DataLoader(
        _Made(make),
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pinned,
        generator=torch.Generator(),  # else it draws from the global one, which dropout needs as it is
    )
    return iter(loader)
