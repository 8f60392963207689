"""Recognition in long recordings: how much of the time is right, and what windows and clips save by sharing frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import DATA, Cell, Table, describe, measure_machine, timed
from poseworks.core import COCO_17, PoseSequence
from poseworks.core.poses import poses_from_arrays
from poseworks.core.testing import walking_poses
from poseworks.skeleton_action import (
    Annotation,
    SlowOnly,
    Stream,
    Timeline,
    load,
    predict,
    read_annotations,
    recognize,
    shipped_models,
    test_volumes,
)
from poseworks.skeleton_action.head import HeatmapNetwork
from poseworks.skeleton_action.keypoints import annotation_of
from poseworks.skeleton_action.learning.own_clips import EXERCISES
from poseworks.skeleton_action.settings import DEFAULT_MODEL, RecognizeSettings
from poseworks.skeleton_action.timeline import UNKNOWN

FPS = 30.0
CLIPS = 12  # recordings of one person that are joined
WINDOWS_S = (1.0, 1.5, 2.0, 3.0)
STRIDE_S = 0.5


def joined(clips: list[Annotation], names: tuple[str, ...]) -> tuple[PoseSequence, NDArray[np.str_]]:
    """Recordings of one person as one, each from where its own camera stood, and what is done in each frame."""
    positions = np.concatenate([clip.keypoints[0].astype(np.float32) for clip in clips])
    truth = np.concatenate([np.full(clip.num_frames, names[clip.label or 0]) for clip in clips])
    return poses_from_arrays(positions, COCO_17, fps=FPS, unit="px", frame="image", image_size=(640, 480)), truth


def joined_recordings(split: str, quick: bool, names: tuple[str, ...]) -> list[tuple[PoseSequence, NDArray[np.str_]]]:
    """All recordings of a split, in an order drawn once, joined person by person."""
    people: dict[str, list[Annotation]] = {}
    for clip in read_annotations(DATA / EXERCISES, split):
        people.setdefault(clip.identifier.split("_")[1], []).append(clip)
    rng = np.random.default_rng(0)
    made = []
    for clips in people.values():
        order = [clips[place] for place in rng.permutation(len(clips))]
        pieces = [order[first : first + CLIPS] for first in range(0, len(order), CLIPS)]
        made += [joined(piece, names) for piece in pieces[: 1 if quick else None]]
    return made


def labels_of_frames(timeline: Timeline, frames: int) -> NDArray[np.str_]:
    """What the timeline says in the middle of each frame."""
    moments = timeline.moments
    ends = np.array([moment.end_s for moment in moments])
    places = np.searchsorted(ends, (np.arange(frames) + 0.5) / FPS).clip(0, len(moments) - 1)
    chosen: NDArray[np.str_] = np.array([moment.label for moment in moments])[places]
    return chosen


@contextmanager
def counted(network: HeatmapNetwork) -> Iterator[list[int]]:
    """A list to which the frames that go through the first part of the network are added."""
    counts: list[int] = []
    before = network.frame_part

    def frame_part(volumes: torch.Tensor) -> torch.Tensor:
        counts.append(volumes.shape[2])
        return before(volumes)

    network.frame_part = frame_part  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        del network.frame_part


def long_recordings(quick: bool) -> Table:
    """Windows over joined recordings: share of the frames with the right answer."""
    rows: list[list[Cell]] = []
    for name in shipped_models():
        network = load(name)
        for split in ("val", "test"):
            recordings = joined_recordings(split, quick, network.preparation.labels)
            for window_s in WINDOWS_S[2:3] if quick else WINDOWS_S:
                for hold_box in (1.0, 1.25):
                    settings = RecognizeSettings(window_s=window_s, stride_s=STRIDE_S, hold_box=hold_box)
                    rows.append([name, split, window_s, hold_box, *_right(network, settings, recordings)])
    return Table(
        "skeleton_action_long",
        "Joined recordings of ten exercises, one person each: windows every 0.5 s",
        (
            "weights", "split", "window s", "box held up to", "frames", "right %", "none of these %", "spans found",
            "true spans", "frames computed %",
        ),
        rows,
        [
            f"{CLIPS} recordings of one person joined without a pause, each with its own camera: people jump there",
            "right: of all frames, those next to a seam too; frames computed: of those that all windows have together",
        ],
    )  # fmt: skip


def _right(
    network: HeatmapNetwork, settings: RecognizeSettings, recordings: list[tuple[PoseSequence, NDArray[np.str_]]]
) -> list[Cell]:
    """What a row says beside the settings."""
    right = unknown = frames = found = true = read = 0
    with counted(network) as counts:
        for poses, truth in recordings:
            (timeline,) = recognize(poses, network, settings).timelines
            answers = labels_of_frames(timeline, len(truth))
            right += int((answers == truth).sum())
            unknown += int((answers == UNKNOWN).sum())
            frames += len(truth)
            found += len(timeline.segments)
            true += 1 + int((truth[1:] != truth[:-1]).sum())
            read += timeline.num_windows * network.preparation.clip_len
    return [frames, 100 * right / frames, 100 * unknown / frames, found, true, 100 * sum(counts) / read]


def _networks(quick: bool) -> Mapping[str, HeatmapNetwork]:
    networks: dict[str, HeatmapNetwork] = {DEFAULT_MODEL: load(DEFAULT_MODEL)}
    if not quick:
        torch.manual_seed(0)
        networks["SlowOnly-R50 (random weights)"] = SlowOnly().eval()
    return networks


def sharing(quick: bool) -> Table:
    """Time of clips and windows, each by itself and sharing frames."""
    seconds, machine = 0.5 if quick else 2.0, measure_machine(threads=1, seconds=0.5 if quick else 2.0)
    poses = walking_poses(150, 1, 2, COCO_17, rng=np.random.default_rng(0), noise=1.0)
    on_the_spot = poses.replace(positions=poses.positions - poses.positions[:, :, 11:12] + 300)
    recording = annotation_of(poses.replace(positions=on_the_spot.positions), [0], "walk")
    short = Annotation(identifier="short", keypoints=recording.keypoints[:, :60], image_shape=(720, 1280))
    rows: list[list[Cell]] = []
    own, held = (RecognizeSettings(window_s=2, stride_s=STRIDE_S, hold_box=hold_box) for hold_box in (1.0, 1.25))
    for name, network in _networks(quick).items():
        windows = partial(recognize, on_the_spot, network)
        pairs = (
            ("accurate (20 views) of 60 frames", partial(_each_view, network, short), partial(predict, network, short)),
            ("7 windows of 2 s over 5 s, on the spot", partial(windows, own), partial(windows, held)),
        )
        for what, alone, together in pairs:
            slow, quickly = (timed(call, seconds=seconds, least=2 if quick else 3) for call in (alone, together))
            rows.append([name, what, 1e3 * slow.median_s, 1e3 * quickly.median_s, slow.median_s / quickly.median_s])
    return Table(
        "skeleton_action_sharing",
        "Recognition with frames drawn and computed once (milliseconds), one thread",
        ("network", "what", "each by itself", "shared", "times faster"),
        rows,
        [describe(machine), "the first part of the network sees frames by themselves: 43 % of a SlowOnly-R50"],
    )


@torch.inference_mode()
def _each_view(network: HeatmapNetwork, annotation: Annotation) -> None:
    p = network.preparation
    volumes = test_volumes(
        annotation, p.stream, flavour=p.flavour, layout=p.layout, clip_len=p.clip_len, size=p.size, sigma=p.sigma
    )
    for view in torch.from_numpy(volumes):
        network(view[None])


def stream(quick: bool) -> Table:
    """Time of a frame with and without an answer, and the latency."""
    machine = measure_machine(threads=1, seconds=0.5 if quick else 2.0)
    poses = walking_poses(60, 1, 2, COCO_17, rng=np.random.default_rng(0), noise=1.0)
    settings = RecognizeSettings(window_s=2, stride_s=STRIDE_S)
    rows: list[list[Cell]] = []
    for name, network in _networks(quick).items():
        fed = Stream(network, settings, fps=FPS, image_size=(1280, 720))
        frames = cycle(poses.positions[0])
        push = partial(_push, fed, frames)
        push(fed.window_frames)
        silent = timed(partial(push, 1), seconds=0, least=fed.stride_frames - 2)
        push(1)
        round_ = timed(partial(push, fed.stride_frames), seconds=0.5 if quick else 3, least=3)
        answer = round_.median_s - (fed.stride_frames - 1) * silent.median_s
        rows.append(
            [name, fed.window_frames, fed.stride_frames, 1e3 * silent.median_s, 1e3 * answer, fed.latency_frames]
        )
    return Table(
        "skeleton_action_stream",
        "A stream of one person at 30 frames a second, windows of 2 s every 0.5 s, one thread",
        ("network", "window frames", "stride frames", "ms a frame", "ms an answer", "latency frames"),
        rows,
        [describe(machine), "latency: from the middle of a window, for which its answer speaks, to its last frame"],
    )


def _push(fed: Stream, frames: Iterator[NDArray[np.float32]], count: int) -> None:
    for frame in islice(frames, count):
        fed.push(frame)


MEASURES = (long_recordings, sharing, stream)
