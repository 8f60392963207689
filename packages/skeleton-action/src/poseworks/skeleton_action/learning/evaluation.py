"""Scores of a network for every recording of a split, as published: the mean over clips and their mirror images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.errors import DataError
from poseworks.core.progress import Advance
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.answers import read_answer
from poseworks.skeleton_action.geometry import Sample, flip
from poseworks.skeleton_action.head import HeatmapNetwork
from poseworks.skeleton_action.learning.clips import Clips, Prepared, draw, prepared
from poseworks.skeleton_action.preparation import Preparation
from poseworks.skeleton_action.results import Results
from poseworks.skeleton_action.views import Views
from poseworks.skeleton_action.volumes import sample_to_test

_VIEWS_AT_ONCE = {"cpu": 1, "cuda": 40}  # on a CPU several at once are slower, a view


@dataclass(frozen=True, eq=False)
class Scored:
    """A network's answers to a split.

    Attributes:
        results: averaged probabilities of every recording.
        frames: of all recordings together.
        empty: recordings of which nothing was drawn; their scores say nothing.
    """

    results: Results
    frames: int
    empty: tuple[str, ...]

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) true classes.

        Raises:
            DataError: not all recordings are labelled.
        """
        if self.results.labels is None:
            raise DataError("not all recordings of the split have a label: nothing can be measured.")
        return self.results.labels


@torch.inference_mode()
def score_split(
    network: HeatmapNetwork,
    annotations: Sequence[Annotation],
    views: Views,
    *,
    workers: int = 0,
    advance: Advance | None = None,
) -> Scored:
    """Every recording's probabilities by a network, in eval mode, on its device.

    Args:
        views: clips of each recording, and whether they are mirrored as well.
        workers: processes that prepare samples.

    Raises:
        DataError: the split is empty. ShapeError: another joint count than the network's.
    """
    preparation = network.preparation
    device = next(network.parameters()).device
    at_once = _VIEWS_AT_ONCE.get(device.type, 1)
    recordings = max(1, at_once // views.count)
    numbers = range(len(annotations))
    batches = [list(numbers[start : start + recordings]) for start in range(0, len(numbers), recordings)]
    if not batches:
        raise DataError("the split holds no recording: nothing can be measured.")

    def make(number: int) -> Prepared:
        annotation = annotations[number]
        return _test_sample(annotation, preparation, views), annotation

    rows: list[NDArray[np.float64]] = []
    labels: list[int] = []
    identifiers: list[str] = []
    empty: list[str] = []
    frames = 0
    for clips in prepared(make, batches, workers, pinned=device.type == "cuda"):
        for name, volumes in zip(clips.identifiers, _views(clips.to(device), preparation, views), strict=True):
            parts = (volumes[start : start + at_once] for start in range(0, len(volumes), at_once))
            logits = torch.cat([network(part) for part in parts])
            rows.append(read_answer(logits.float().cpu().numpy(), preparation).probabilities)
            if not bool(volumes.any()):
                empty.append(name)
        labels += clips.labels.tolist()
        identifiers += clips.identifiers
        frames += sum(clips.frames)
        if advance is not None:
            advance(len(clips.frames))
    known = np.array(labels, dtype=np.int64)
    results = Results(
        scores=np.stack(rows).astype(np.float32), labels=None if (known < 0).any() else known,
        identifiers=tuple(identifiers),
    )  # fmt: skip
    return Scored(results, frames, tuple(empty))


def _test_sample(annotation: Annotation, p: Preparation, views: Views) -> Sample:
    """All clips of a recording one after the other, and, where they are drawn again, those of its mirror image."""
    sample = sample_to_test(annotation, p, views.clips)
    if not views.mirror or p.flavour == "pyskl":
        return sample
    mirrored = flip(sample, p.layout)
    keypoints = np.concatenate([sample.keypoints, mirrored.keypoints], axis=1)
    return Sample(keypoints, np.concatenate([sample.scores, mirrored.scores], axis=1), sample.size)


def _views(clips: Clips, p: Preparation, views: Views) -> Iterator[Tensor]:
    """(views, C, T, H, W) volumes of each recording."""
    for volume in draw(clips, p):
        plain = volume.unflatten(1, (-1, p.clip_len)).transpose(0, 1)
        if views.mirror and p.flavour == "pyskl":  # mirrors what is drawn
            channels = torch.from_numpy(p.layout.flip(p.stream)).to(volume.device)
            yield torch.cat([plain, plain.flip(-1)[:, channels]])
        else:
            yield plain
