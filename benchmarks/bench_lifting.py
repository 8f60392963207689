"""Lifting: open motion before random cameras, real footage from four views, published protocols, speed and memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.common import DATA, Cell, Job, Table, describe, measure_machine, speed_table, timed
from benchmarks.lifting_baselines import Baseline, MeanPose, NearestNeighbour
from benchmarks.lifting_published import PUBLISHED
from benchmarks.recordings import VIEWS, view_2d, view_3d, view_camera, world_guess
from poseworks.core import PoseSequence, convert
from poseworks.core.metrics import mpjpe, pa_mpjpe
from poseworks.core.motion_data import read_clips, read_pairs
from poseworks.core.skeletons import H36M_17
from poseworks.core.swaps import repair_swaps
from poseworks.core.training.cameras import CameraSampling, View
from poseworks.lifting import LCN, EHGFormer, EHGFormerConfig, LCNConfig, LiftSettings, LiftStream, lift, load
from poseworks.lifting.learning.own_evaluation import (
    CLEAN,
    NOISY,
    Errors,
    errors_of,
    network_lifter,
    seeded_views,
)
from poseworks.temporal import load as load_smoother
from poseworks.temporal.smoothing import smooth

KNOWN = {"lcn-open-focal": True, "ehgformer-open-focal": True, "lcn-open": False, "ehgformer-open": False}
"""The shipped weights, and whether they are given the focal length."""
SEED = 7
COLUMNS = ("MPJPE", "after one scale a piece", "PA-MPJPE")


def own_network(name: str) -> LCN | EHGFormer:
    """Shipped weights."""
    network = load(name)
    assert isinstance(network, LCN | EHGFormer)
    return network


def clips(split: str, quick: bool) -> list[NDArray[np.float32]]:
    """Clips of cmu17."""
    found = [clip.positions for clip in read_clips(DATA / "cmu17.npz", split)]  # type: ignore[arg-type]
    return found[:2] if quick else found


def views(split: str, quick: bool) -> list[View]:
    return seeded_views(clips(split, quick), CameraSampling(), SEED)


def row(errors: Errors) -> list[Cell]:
    return [errors.mpjpe, errors.scaled, errors.pa]


def open_motion(quick: bool) -> Table:
    """cmu17, val and test, clean and noisy, beside two baselines."""
    train = [clip.positions for clip in read_clips(DATA / "cmu17.npz", "train")]
    baselines: dict[str, Baseline] = {
        "mean pose": MeanPose(train, facing_given=False),
        "mean pose, true facing given": MeanPose(train, facing_given=True),
        "nearest neighbour in 2D": NearestNeighbour(train, renderings=3_000 if quick else 60_000),
    }
    rows: list[list[Cell]] = []
    for split in ("test", "val"):
        seen = views(split, quick)
        for label, noise in (("clean", CLEAN), ("noisy", NOISY)):
            for name, baseline in baselines.items():
                rows.append([split, label, name, "yes", *row(errors_of(baseline, seen, noise=noise))])
            for name, known in KNOWN.items():
                network = own_network(name)
                assumed = None if known else network.preparation.assumed_focal
                errors = errors_of(network_lifter(network), seen, noise=noise, assumed_focal=assumed)
                rows.append([split, label, name, "yes" if known else "no", *row(errors)])
    return Table(
        "lifting_open",
        "Lifting cmu17 before cameras that training never saw (mm, relative to the pelvis, in camera axes)",
        ("split", "keypoints", "what", "focal length known", *COLUMNS),
        rows,
        [
            "pieces of 81 frames, one seeded camera a piece; networks with the mirrored input averaged in",
            "noisy: standard deviation 1 % of the person's box, 2 % of the keypoints thrown up to 30 % of it",
            "90 % of test is climbing, which train never shows; val chose the settings",
        ],
    )


def actions(quick: bool) -> Table:
    """Test clips by what is done in them."""
    with np.load(DATA / "cmu17.npz", allow_pickle=False) as data:
        names = data["action_names"][data["action"]]
        labels = dict(zip(data["clip_id"].tolist(), names.tolist(), strict=True))
    groups: dict[str, list[NDArray[np.float32]]] = {}
    for clip in read_clips(DATA / "cmu17.npz", "test")[: 3 if quick else None]:
        groups.setdefault(labels[clip.clip_id], []).append(clip.positions)
    rows: list[list[Cell]] = []
    for action, members in sorted(groups.items()):
        seen = seeded_views(members, CameraSampling(), SEED)
        frames = sum(map(len, members))
        for name, known in KNOWN.items():
            network = own_network(name)
            assumed = None if known else network.preparation.assumed_focal
            rows.append([action, frames, name, *row(errors_of(network_lifter(network), seen, assumed_focal=assumed))])
    return Table(
        "lifting_actions",
        "Lifting cmu17 test by action, clean keypoints (mm)",
        ("action", "frames", "weights", *COLUMNS),
        rows,
    )


def rehabilitation(quick: bool) -> Table:
    """prmd_pairs test: other people, other exercises, another capture system."""
    members = [pair.clean for pair in read_pairs(DATA / "prmd_pairs.npz", "test")][: 4 if quick else None]
    seen = seeded_views(members, CameraSampling(), SEED)
    rows: list[list[Cell]] = []
    for name, known in KNOWN.items():
        network = own_network(name)
        assumed = None if known else network.preparation.assumed_focal
        for label, noise in (("clean", CLEAN), ("noisy", NOISY)):
            errors = errors_of(network_lifter(network), seen, noise=noise, assumed_focal=assumed)
            rows.append([name, label, *row(errors)])
    return Table(
        "lifting_rehabilitation",
        "Lifting prmd_pairs test, Vicon seen by random cameras (mm)",
        ("weights", "keypoints", *COLUMNS),
        rows,
        ["the train subjects of this set are in the training data"],
    )


def real_footage(quick: bool) -> Table:
    """Four views of one man, lifted as `lift` does it, beside the detector's own 3D."""
    rows: list[list[Cell]] = []
    smoother = load_smoother("smoothnet-general-w32")
    for name, known in KNOWN.items():
        network = load(name)
        for smoothed in (False, True):
            figures: list[tuple[float, float] | None] = []
            for view in VIEWS:
                poses = repair_swaps(view_2d(view)).poses
                poses = smooth(poses, smoother).poses if smoothed else poses
                lifted = lift(poses, network, camera=view_camera(view) if known else None)
                figures.append(pose_errors(lifted, view))
            label = "put back and smoothed" if smoothed else "left and right put back"
            rows.append([f"{name}, {label}", *cells(figures)])
    guesses = [(world_guess(view), view) for view in VIEWS]
    own = cells([None if guess is None else pose_errors(guess, view) for guess, view in guesses])
    rows.append(["the detector's own 3D (mediapipe)", *own])
    return Table(
        "lifting_real",
        "Real footage: balance_multiview, 100 frames at 60 fps from four views (MPJPE / PA-MPJPE, mm)",
        ("what", *VIEWS, "mean"),
        rows,
        [
            "the truth is triangulated from the same detections: a check, no benchmark",
            "no scale is fitted: a person of average height is taken",
            "the detector's own 3D was stored for two of the views",
        ],
    )


def pose_errors(poses: PoseSequence, view: str) -> tuple[float, float]:
    """MPJPE and PA-MPJPE in mm of a track beside the triangulated joints in the same camera's axes."""
    joints = convert(poses, H36M_17).positions[0].astype(np.float64)
    truth = view_3d(view)
    found = np.isfinite(joints).all(axis=(1, 2))
    relative = [points[found] - points[found, :1] for points in (joints, truth)]
    errors = mpjpe(*relative), pa_mpjpe(*relative)
    return 1000 * float(errors[0].mean()), 1000 * float(errors[1].mean())


def cells(figures: list[tuple[float, float] | None]) -> list[Cell]:
    """``MPJPE / PA`` of each view and their means; a dash where there is none."""
    known = [figure for figure in figures if figure is not None]
    whole = tuple(float(np.mean(part)) for part in zip(*known, strict=True))
    mean = f"{whole[0]:.0f} / {whole[1]:.0f}" if len(known) == len(figures) else None
    return [*(None if figure is None else f"{figure[0]:.0f} / {figure[1]:.0f}" for figure in figures), mean]


def speed(quick: bool) -> Table:
    """Time as a ratio to what the machine could do, one thread."""
    return speed_table(
        "lifting_speed",
        "Lifting: speed beside the machine's limit, one thread",
        jobs(quick),
        "multiply-adds of an LCN are those of the blocks that its mask leaves",
        quick,
    )


def jobs(quick: bool) -> Iterator[Job]:
    """The published networks (untrained: weights do not change the work) and the shipped ones."""
    generator = torch.Generator().manual_seed(0)
    published = [("EHGFormer small", EHGFormerConfig(width=128, blocks=6), 11.65e9, 0.5)]
    if not quick:
        published.insert(0, ("EHGFormer full", EHGFormerConfig(), 220.4e9, 0.7))
    for name, config, work, target in published:
        clip = 0.5 * torch.randn(1, 243, 17, 3, generator=generator)
        yield Job(name, "243 frames", partial(infer, EHGFormer(config).eval(), clip), work, target)
    own = own_network("lcn-open")
    assert isinstance(own, LCN)
    for name, lcn in (("LCN, published size", LCN()), ("lcn-open", own)):
        x = 0.5 * torch.randn(256, 17, lcn.config.in_features, generator=generator)
        yield Job(name, "256 frames", partial(infer, lcn.eval(), x), 256.0 * lcn.multiply_adds, 0.5)
    small = load("ehgformer-open")
    clip = 0.5 * torch.randn(16, 27, 17, 3, generator=generator)
    yield Job("ehgformer-open", "16 x 27 frames", partial(infer, small, clip), multiply_adds(small, clip))


def multiply_adds(network: nn.Module, x: Tensor) -> float:
    """Of linear layers and attention products, counted while the network runs."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.enable_grad():  # with gradients the plain layers run
        network(x)
    return float(counter.get_total_flops()) / 2


def infer(network: nn.Module, x: Tensor) -> object:
    with torch.inference_mode():
        return network(x)


def streaming(quick: bool) -> Table:
    """One person, frame by frame."""
    machine = measure_machine(threads=1, seconds=0.5 if quick else 3.0)
    rows: list[list[Cell]] = []
    for name, network in (
        ("lcn-open", load("lcn-open")),
        ("LCN, published size", LCN(LCNConfig())),
    ):
        x = 0.5 * torch.randn(1, 17, network.config.in_features, generator=torch.Generator().manual_seed(0))  # type: ignore[union-attr]
        timing = timed(partial(infer, network.eval(), x), seconds=2.0)
        rate = 1 / timing.median_s
        rows.append([name, "network alone", rate, 2000, "yes" if rate >= 2000 else "MISSED"])
    rows += [[*row_, None, None] for row_ in stream_rates(quick)]
    return Table(
        "lifting_streaming",
        "Lifting one person frame by frame, one thread",
        ("weights", "what", "frames/s", "target", "reached"),
        rows,
        [
            describe(machine),
            (
                "a frame alone reads every weight, 16 MB of lcn-open, 29 MB of the published size: memory is the "
                "limit, and reaching 2,000 would take weights of half the size"
            ),
        ],
    )


def stream_rates(quick: bool) -> Iterator[list[Cell]]:
    """Whole streams: from keypoints in pixels to joints."""
    keypoints = convert(view_2d("cam01"), H36M_17)
    assert keypoints.image_size is not None
    frames = list(zip(keypoints.positions[0], keypoints.confidence[0], strict=True))[: 20 if quick else None]
    for name, latency in (("lcn-open", 0), ("ehgformer-open", 0), ("ehgformer-open", 13)):
        network = load(name)
        for flip in (False, True):
            settings = LiftSettings(flip=flip, latency_frames=latency)
            stream = LiftStream(network, settings, image_size=keypoints.image_size, skeleton=H36M_17)

            def run(stream: LiftStream = stream) -> None:
                for joints, confidence in frames:
                    stream.push(joints, confidence)

            timing = timed(run, seconds=1.0, least=3)
            label = f"keypoints to joints, {latency} frames late{', mirrored too' if flip else ''}"
            yield [name, label, len(frames) / timing.median_s]


def memory(quick: bool) -> Table:
    """Peak memory of lifting long recordings of one person, each in a process of its own."""
    rows: list[list[Cell]] = []
    for name in ("lcn-open", "ehgformer-open"):
        for frames in (5_000,) if quick else (27_000, 108_000):
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.bench_lifting", name, str(frames)],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            megabytes = float(done.stdout)
            limit = 1500.0 if frames == 108_000 else None
            reached = None if limit is None else "yes" if megabytes < limit else "MISSED"
            rows.append([name, frames, megabytes, limit, reached])
    return Table(
        "lifting_memory",
        "Memory of lifting long recordings, one person, mirrored input too (108,000 frames: one hour at 30 a second)",
        ("weights", "frames", "peak MB of the process", "target MB", "reached"),
        rows,
    )


def _lift_long(name: str, frames: int) -> None:
    """Prints the peak memory, in MB, of lifting so many frames."""
    torch.set_num_threads(1)
    poses = convert(view_2d("cam01"), H36M_17)
    repeats = -(-frames // poses.num_frames)
    both = (np.concatenate([part] * repeats, axis=1)[:, :frames] for part in (poses.positions, poses.confidence))
    positions, confidence = both
    lift(poses.replace(positions=positions, confidence=confidence, fps=30.0), load(name))
    # Not getrusage: its peak is inherited from the process that started this one.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(peak.split()[1]) / 1024)


MEASURES = (open_motion, actions, rehabilitation, real_footage, *PUBLISHED, speed, streaming, memory)

if __name__ == "__main__":
    _lift_long(sys.argv[1], int(sys.argv[2]))
