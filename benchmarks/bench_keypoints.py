"""poseworks-keypoints: agreement with the original, several people, made-over copies, speed, every N-th frame."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import DATA, Cell, Machine, Table, describe, measure_machine, timed
from benchmarks.recordings import SINGLE, TWO_PEOPLE, stored, triangulated, video
from poseworks.core import PoseSequence, poses_from_arrays, read_poses
from poseworks.core.motion_data import read_clips
from poseworks.core.skeletons import H36M_17
from poseworks.core.swaps import repair_swaps
from poseworks.core.video import open_video, write_video
from poseworks.keypoints import DetectSettings, Tracker, find_people
from poseworks.keypoints.detector import FAR, NEAR, Detector
from poseworks.keypoints.landmarks import SIZE
from poseworks.keypoints.models import detector_file, landmark_file
from poseworks.keypoints.region import Region, sample
from poseworks.keypoints.sessions import Network
from poseworks.temporal.learning.evaluation import noisy_clips
from poseworks.temporal.learning.noise import swap_sides

Image = NDArray[np.uint8]

ASKED_PX = {"walk_side": 0.7, "jumping_jacks": 0.6, "balance_cam01": 1.6, "balance_cam02": 1.9}
ASKED_MS = 15.0
ASKED_BOTH = 116
ASKED_SPEED_UP = 3.0


def agreement(quick: bool) -> Table:
    """The single-person clips beside what mediapipe found in them."""
    rows: list[list[Cell]] = []
    for clip in SINGLE[: 2 if quick else None]:
        theirs, found = stored(clip), find_people(video(clip), DetectSettings(unswap=False))
        ours = found.poses
        same = "yes" if np.array_equal(seen(ours)[0], seen(theirs)[0]) else "NO"
        distances = np.linalg.norm(ours.positions[0] - theirs.positions[0], axis=-1)
        median, p95 = np.nanquantile(distances, (0.5, 0.95))
        exchanged = len(repair_swaps(ours).changed[0])
        rows.append(
            [clip, int(seen(theirs).sum()), same, ours.num_people, float(median), ASKED_PX[clip], float(p95), exchanged]
        )
    columns = ("clip", "frames with a person, stored", "the same frames", "people", "median px", "asked", "p95 px",
               "frames with left and right exchanged, repaired")  # fmt: skip
    return Table(
        "keypoints_agreement",
        "Distance to the keypoints that mediapipe 0.10.14 found (33 points)",
        columns,
        rows,
        ["agreement with the original, not accuracy; measured before left and right are put back"],
    )


def two_people(quick: bool) -> Table:
    """How many people are found in each frame of the clip with two, and in made-over copies."""
    rows = [people_row("as it is", find_people(video(TWO_PEOPLE)).poses)]
    copies: dict[str, Callable[[Image], Image]] = {
        "encoded anew": lambda frame: frame,
        "mirrored": lambda frame: frame[:, ::-1],
        "half the size": lambda frame: frame[::2, ::2],
    }
    for name, change in list(copies.items())[: 1 if quick else None]:
        with made_over(TWO_PEOPLE, change) as path:
            rows.append(people_row(name, find_people(path).poses))
    return Table(
        "keypoints_two_people",
        f"{TWO_PEOPLE}: 230 frames, a woman walks past a man who leaves the picture in a somersault and comes back",
        ("copy", "ids", "nobody", "one person", "both", "more"),
        rows,
        [f"asked: both in at least {ASKED_BOTH} frames; two ids, and a third where he comes back after 1.2 s"],
    )


def people_row(name: str, poses: PoseSequence) -> list[Cell]:
    """How many ids, and in how many frames there are 0, 1, 2 and more people."""
    people = np.bincount(seen(poses).sum(axis=0), minlength=3)
    return [name, poses.num_people, *(int(count) for count in people[:3]), int(people[3:].sum())]


def copies(quick: bool) -> Table:
    """Single-person clips resized, mirrored, turned and encoded anew: frames, people, and pixels."""
    rows: list[list[Cell]] = []
    changes: dict[str, tuple[Callable[[Image], Image], Callable[[NDArray[np.float32], int, int], NDArray[np.float32]]]]
    changes = {
        "encoded anew": (lambda f: f, lambda p, w, h: p),
        "half the size": (lambda f: f[::2, ::2], lambda p, w, h: 2 * p),
        "twice the size": (lambda f: f.repeat(2, 0).repeat(2, 1), lambda p, w, h: p * np.float32(0.5)),
        "on its side": (np.rot90, turned_back),
        "upside down": (lambda f: f[::-1, ::-1], lambda p, w, h: np.array([w, h], np.float32) - p),
    }
    for clip in SINGLE[: 1 if quick else 3]:
        original = find_people(video(clip)).poses
        assert original.image_size is not None
        for name, (change, back) in changes.items():
            with made_over(clip, change) as path:
                poses = find_people(path).poses
            shared = seen(original)[0] & seen(poses)[0]
            distances = np.linalg.norm(back(poses.positions[0], *original.image_size) - original.positions[0], axis=-1)
            both = f"{shared.sum()} of {seen(original).sum()}"
            rows.append([clip, name, poses.num_people, both, float(np.median(distances[shared]))])
    return Table(
        "keypoints_copies",
        "Copies of the clips: distance to the keypoints of the clip itself, in its pixels",
        ("clip", "copy", "people", "its frames found", "median px"),
        rows,
    )


def turned_back(points: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Points of a copy on its side (a quarter turn to the left), in the clip itself."""
    return np.asarray(np.stack([width - points[..., 1], points[..., 0]], axis=-1), dtype=np.float32)


def speed(quick: bool) -> Table:
    """A frame of 1280 x 720 with one person: all of it, and its parts, on one thread."""
    seconds = 0.5 if quick else 3.0
    machine = measure_machine(threads=1, seconds=seconds)
    frames = padded_to_720p("walk_side")
    rows = [whole(frames, 1), whole(frames, 1, people=1), whole(frames, 2)]
    rows += parts(frames[60], machine, seconds)
    return Table(
        "keypoints_speed",
        "Milliseconds for a frame of 1280 x 720 with one person",
        ("what", "threads", "ms", "asked", "ms at the machine's limit", "ratio"),
        rows,
        [describe(machine), "decoding runs beside it, in a thread of its own: see the next table for both together"],
    )


def whole(frames: list[Image], threads: int, people: int | None = None) -> list[Cell]:
    """Tracking a clip, searches for more people included."""
    tracker = Tracker(people=people, threads=threads)
    times = []
    for number, frame in enumerate(frames):
        started = time.perf_counter()
        tracker.push(frame, number / 30)
        times.append(1e3 * (time.perf_counter() - started))
    mean = statistics.fmean(times[12:])  # she is found in frame 6
    return [f"tracking, {'everybody' if people is None else 'one person'}", threads, mean, ASKED_MS, None, None]


def parts(frame: Image, machine: Machine, seconds: float) -> list[list[Cell]]:
    """Networks and crops alone."""
    detector, landmarks = Network(detector_file()), Network(landmark_file("full"))
    region = Region(640, 360, 500, 0.1)
    blank = {size: np.zeros((size, size, 3), np.float32) for size in (NEAR, FAR, SIZE)}
    names = ("landmarks", "presence", "heatmap", "world")
    timings: list[tuple[str, Callable[[], object], float | None]] = [
        ("landmark network", lambda: landmarks.run(blank[SIZE], names), multiply_adds(landmarks.path, SIZE)),
        (
            f"detector network, {NEAR}",
            lambda: detector.run(blank[NEAR], ("boxes",)),
            multiply_adds(detector.path, NEAR),
        ),
        (f"detector network, {FAR}", lambda: detector.run(blank[FAR], ("boxes",)), multiply_adds(detector.path, FAR)),
        ("crop for the landmarks", lambda: sample(frame, region, SIZE, "replicate"), None),
        (f"whole detector, {FAR}", lambda: Detector(detector)(frame, FAR), None),
    ]
    rows: list[list[Cell]] = []
    for name, call, sums in timings:
        ms = 1e3 * timed(call, seconds=seconds).median_s
        limit = None if sums is None else 1e3 * machine.seconds_at_limit(sums)
        rows.append([name, 1, ms, None, limit, None if limit is None else limit / ms])
    return rows


def multiply_adds(path: Path, size: int) -> float:
    """Of all convolutions of a network, for one image."""
    import onnx

    model = onnx.load(path)
    for axis, length in enumerate((1, size, size)):
        dimension = model.graph.input[0].type.tensor_type.shape.dim[axis]
        dimension.ClearField("dim_param")
        dimension.dim_value = length
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.output)
    }
    weights = {t.name: list(t.dims) for t in model.graph.initializer}
    weights |= {
        n.output[0]: weights[n.input[0]] for n in model.graph.node if n.op_type == "Cast" and n.input[0] in weights
    }
    total = 0.0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += float(np.prod(shapes[node.output[0]][1:])) * float(np.prod(weights[node.input[1]][1:]))
    return total


def overlap(quick: bool) -> Table:
    """Decoding and detection of one clip, apart and together."""
    clip = "balance_cam01"
    with open_video(video(clip)) as recording:
        started = time.perf_counter()
        frames = [frame.rgb for frame in recording.frames()]
        decoding = time.perf_counter() - started
    tracker = Tracker(look_back=True)
    started = time.perf_counter()
    for number, frame in enumerate(frames):
        tracker.push(frame, number / 60)
    detecting = time.perf_counter() - started
    started = time.perf_counter()
    find_people(video(clip), DetectSettings(unswap=False))
    together = time.perf_counter() - started
    per_frame = [1e3 * each / len(frames) for each in (decoding, detecting, together)]
    rows: list[list[Cell]] = [[clip, "1080x1920", *per_frame, per_frame[2] / (per_frame[0] + per_frame[1])]]
    return Table(
        "keypoints_overlap",
        "Decoding and detecting in two threads (ms a frame)",
        ("clip", "size", "decoding alone", "detecting alone", "together", "share of the sum"),
        rows,
        [f"{os.cpu_count()} cores; decoding uses as many threads as the codec can"],
    )


def every_nth(quick: bool) -> Table:
    """Only every N-th frame looked at, the others recovered by DeciWatch: time of finding and of all, and its cost."""
    rows: list[list[Cell]] = []
    for clip, loops in (("walk_side", 10), ("jumping_jacks", 10), ("balance_cam01", 1))[: 1 if quick else None]:
        with repeated(clip, 1 if quick else loops) as path:
            finding = {every: finding_seconds(path, every) for every in (1, 5, 10)}
            base: tuple[float, PoseSequence] | None = None
            for every, model in ((1, None), (5, None), (5, "smoothnet-general-w32"), (10, None)):
                seconds, poses = run_command(path, every, model)
                base = base or (seconds, poses)
                speed_up = [finding[1] / finding[every], base[0] / seconds]
                smoother = poses.history[-1]["model"]
                rows.append([clip, poses.num_frames, every, smoother, *speed_up, *costs(clip, poses, base[1])])
    columns = ("clip", "frames", "N", "smoothed by", "finding people: times as fast", "whole command", "frames out",
               "px from N = 1", "% of height", "px to the triangulated points")  # fmt: skip
    return Table(
        "keypoints_every",
        "`poseworks run VIDEO --every N`: all frames come out, every N-th and the last was looked at",
        columns,
        rows,
        [
            f"asked: {ASKED_SPEED_UP:g} times as fast at N = 5",
            "the command takes about 5 s to start and to end, most of it to import torch: it counts less in long clips",
            "N = 1 is smoothed by SmoothNet, which favours it; it gets the frames between as straight lines",
        ],
    )


def finding_seconds(path: Path, every: int) -> float:
    """Of finding the people in a recording."""
    started = time.perf_counter()
    find_people(path, DetectSettings(every=every))
    return time.perf_counter() - started


def costs(clip: str, poses: PoseSequence, base: PoseSequence) -> list[Cell]:
    """Frames that came out, distance to the result of all frames, and to the triangulated points if there are any."""
    shared = seen(base)[0] & seen(poses)[0]
    distance = np.linalg.norm(poses.positions[0] - base.positions[0], axis=-1)[shared].mean()
    body = base.positions[0][shared]
    height = float(np.nanmedian(np.nanmax(body[..., 1], axis=1) - np.nanmin(body[..., 1], axis=1)))
    truth = triangulated(clip)
    error: float | None = None
    if truth is not None:
        error = float(np.nanmean(np.linalg.norm(poses.positions[0] - truth, axis=-1)))
    return [int(seen(poses)[0].sum()), float(distance), 100 * float(distance) / height, error]


def run_command(path: Path, every: int, model: str | None) -> tuple[float, PoseSequence]:
    """Seconds of the command, and its smoothed poses."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["run", str(path), "-o", f"{folder}/out", "--every", str(every), "-q", "--people", "1"]
        words += [] if model is None else ["--model", model]
        program = "from poseworks.pipeline.cli import main; main()"
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program, *words], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return time.perf_counter() - started, read_poses(Path(folder) / "out" / "poses2d.smooth.npz")


def memory(quick: bool) -> Table:
    """Peak memory against length (Linux: the high-water mark of a process of its own)."""
    rows: list[list[Cell]] = []
    for loops in (1, 3) if quick else (2, 10, 40):
        with repeated("jumping_jacks", loops, shrink=2) as path:
            program = (
                "import re, sys; from pathlib import Path; from poseworks.keypoints import detect;"
                "poses = detect(sys.argv[1]); status = Path('/proc/self/status').read_text();"
                "print(poses.num_frames, re.search(r'VmHWM:\\s+(\\d+)', status)[1])"
            )
            done = subprocess.run(
                [sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True
            )
        frames, kilobytes = map(int, done.stdout.split())
        rows.append([frames, kilobytes / 1024])
    result = 2 * 3600 * 30 * 33 * (2 + 1 + 3) * 4 / 2**20
    return Table(
        "keypoints_memory",
        "Peak memory of detect, one person",
        ("frames", "peak MiB"),
        rows,
        [
            f"what grows is the result: {result:.0f} MiB for two hours of one person in 2D and 3D, for a moment twice",
        ],
    )


def swaps(quick: bool) -> Table:
    """Left/right repair on projected motion capture with a detector's noise: what it finds, and what it invents."""
    clips = noisy_clips(read_clips(DATA / "cmu17.npz", "test")[: 4 if quick else None], "fit2d", draws=(8,))
    rng = np.random.default_rng(20)
    rows: list[list[Cell]] = []
    for share in (0.0, 0.2, 0.32):
        for step in (1, 3, 5):
            totals = np.zeros(4, dtype=int)
            for clip in clips:
                positions, truth = swap_sides(clip.noisy[::step], H36M_17.pairs, rng, share, mean_frames=8 / step)
                totals += repaired(positions, truth, clip.fps / step)
            frames, true, hits, false = map(int, totals)
            precision, recall = (hits / (hits + false), hits / true) if true else (None, None)
            rows.append([f"{100 * share:.0f} %", 30 / step, frames, true, hits, false, precision, recall])
    return Table(
        "keypoints_swaps",
        "Left and right exchanged: cmu17 test, projected, detector noise of 0.81 % of the height",
        ("share exchanged", "fps", "frames", "exchanged", "found", "false", "precision", "recall"),
        rows,
        [
            "stretches of 8 frames at 30 fps on average; where most frames are exchanged, all come out wrong",
            "whole frames only: a single limb is not exchanged back",
        ],
    )


def repaired(positions: NDArray[np.float32], truth: NDArray[np.bool_], fps: float) -> tuple[int, int, int, int]:
    """Frames, exchanged ones, those found and false ones of one clip."""
    poses = poses_from_arrays(positions, H36M_17, fps=fps, unit="px", frame="image")
    changed = np.zeros(len(truth), dtype=bool)
    changed[repair_swaps(poses).changed[0]] = True
    return len(truth), int(truth.sum()), int((changed & truth).sum()), int((changed & ~truth).sum())


def seen(poses: PoseSequence) -> NDArray[np.bool_]:
    """(P, T): the person was seen in that frame."""
    return np.asarray(poses.observed.any(axis=-1))


def padded_to_720p(clip: str) -> list[Image]:
    """The frames of a clip 1280 pixels wide, continued above and below."""
    with open_video(video(clip)) as recording:
        frames = [frame.rgb for frame in recording.frames()]
    missing = 720 - frames[0].shape[0]
    return [np.pad(f, ((missing // 2, missing - missing // 2), (0, 0), (0, 0)), mode="edge") for f in frames]


class made_over:  # noqa: N801 (used as a function)
    """A copy of a clip whose frames were changed, as a file for the length of a with block."""

    def __init__(self, clip: str, change: Callable[[Image], Image], loops: int = 1) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / f"{clip}.mp4"
        with open_video(video(clip)) as recording:
            fps = recording.info.fps
            frames = [np.ascontiguousarray(change(frame.rgb)) for frame in recording.frames()]
        write_video(self.path, looped(frames, loops), fps=fps)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()


def repeated(clip: str, loops: int, shrink: int = 1) -> made_over:
    """A clip forwards and backwards in turn, so that nothing jumps."""
    return made_over(clip, lambda frame: frame[::shrink, ::shrink], loops)


def looped(frames: list[Image], loops: int) -> Iterator[Image]:
    for number in range(loops):
        yield from frames if number % 2 == 0 else frames[::-1]


MEASURES = (agreement, two_people, copies, speed, overlap, every_nth, memory, swaps)
