"""Recognition of actions: volumes, networks, weights of our own, and whole recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from benchmarks import skeleton_action_networks, skeleton_action_recognition, skeleton_action_weights
from benchmarks.common import DATA, Cell, Table, describe, measure_machine, timed
from benchmarks.skeleton_action_yardsticks import loop_views
from poseworks.skeleton_action import Annotation, Preparation, read_annotations, test_volumes
from poseworks.skeleton_action.drawing import draw_volumes
from poseworks.skeleton_action.heatmaps import Volumes
from poseworks.skeleton_action.layouts import Stream
from poseworks.skeleton_action.volumes import draw_views, sample_to_test

SHARE_OF_WRITING = 0.4
STREAMS: tuple[Stream, ...] = ("joint", "limb")


@dataclass(frozen=True)
class Drawing:
    """Something to time, the same by plain loops, the longest time it should take, and the least ratio to writing."""

    name: str
    views: int
    call: Callable[[], object]
    loops: Callable[[], object] | None
    target_ms: float | None
    target_ratio: float = 0.0


def volumes(quick: bool) -> Table:
    """Drawing alone, and the whole test of a recording, beside plain loops and beside writing the memory once."""
    seconds = 0.3 if quick else 2.0
    machine = measure_machine(threads=1, seconds=seconds)
    one = max(read_annotations(DATA / "prmd_actions_coco17.pkl", "test"), key=lambda recording: recording.num_frames)
    rows: list[list[Cell]] = [
        [drawing.name, stream, annotation.num_people, *timings(drawing, seconds)]
        for annotation in (one, two_people(one))
        for stream in STREAMS
        for drawing in drawings(annotation, stream)
    ]
    return Table(
        "skeleton_action_volumes",
        "Volumes of 48 x 64 x 64, one thread, beside plain loops over keypoints and beside writing the memory once",
        (
            "what", "stream", "people", "ms", "+- ms", "by loops, ms", "times as fast", "writing, ms",
            "ratio to writing", "target ms", "reached",
        ),
        rows,
        [
            describe(machine),
            (
                f"a recording of {one.num_frames} frames; "
                f"a clip of joints should reach a ratio to writing of {SHARE_OF_WRITING}"
            ),
            "the whole test: 10 clips and their mirror images, with sampling and geometry",
        ],
    )  # fmt: skip


def drawings(annotation: Annotation, stream: Stream) -> Iterator[Drawing]:
    preparation = Preparation(stream=stream)
    sample = sample_to_test(annotation, preparation)
    loops = partial(loop_views, sample, preparation)
    target_ms = {"joint": 3.0, "limb": 6.0}[stream]
    ratio = SHARE_OF_WRITING if stream == "joint" else 0.0
    yield Drawing("a clip", 1, partial(draw_views, sample, preparation), loops, target_ms, ratio)
    buffer = draw_views(sample, preparation)
    again = partial(draw_views, sample, preparation, out=buffer)
    yield Drawing("a clip, into memory used before", 1, again, None, target_ms)
    points, scores = (torch.from_numpy(array)[None] for array in (sample.keypoints, sample.scores))
    dense = partial(draw_volumes, points, scores, sample.size, preparation.layout, stream)
    yield Drawing("a clip, dense, by torch", 1, dense, None, None)
    clips = 10

    def whole_by_loops() -> Volumes:
        return loop_views(sample_to_test(annotation, preparation, clips), preparation, clips, mirror=True)

    whole = partial(test_volumes, annotation, stream, clips)
    yield Drawing("the whole test", 2 * clips, whole, whole_by_loops, 20 * target_ms)


def timings(drawing: Drawing, seconds: float) -> list[Cell]:
    shape = (drawing.views, 17, 48, 64, 64)
    timing = timed(drawing.call, seconds=seconds)
    writing = timed(lambda: np.full(shape, 0.5, dtype=np.float32), seconds=seconds)
    loops = None if drawing.loops is None else timed(drawing.loops, seconds=seconds, least=3).median_s
    ratio = writing.median_s / timing.median_s
    reached = None
    if drawing.target_ms is not None:
        good = 1e3 * timing.median_s <= drawing.target_ms and ratio >= drawing.target_ratio
        reached = "yes" if good else "MISSED"
    return [
        1e3 * timing.median_s,
        1e3 * timing.spread_s,
        None if loops is None else 1e3 * loops,
        None if loops is None else loops / timing.median_s,
        1e3 * writing.median_s,
        ratio,
        drawing.target_ms,
        reached,
    ]


def two_people(annotation: Annotation) -> Annotation:
    """The recording, and beside its person the same one somewhat later."""
    later = np.roll(annotation.keypoints, annotation.num_frames // 3, axis=1) + np.array([80, 5])
    keypoints = np.concatenate([annotation.keypoints, later.astype(annotation.keypoints.dtype)])
    scores = None if annotation.scores is None else np.repeat(annotation.scores, 2, axis=0)
    return replace(annotation, keypoints=keypoints, scores=scores)


MEASURES = (
    volumes,
    *skeleton_action_networks.MEASURES,
    *skeleton_action_weights.MEASURES,
    *skeleton_action_recognition.MEASURES,
)
