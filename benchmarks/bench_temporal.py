"""temporal: open data, latency, sparse frames, real sensors, real clips, the published tables, speed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import torch

from benchmarks.common import DATA, Cell, Job, Table, speed_table
from benchmarks.recordings import triangulated
from benchmarks.temporal_published import MEASURES as PUBLISHED
from poseworks.core import PoseSequence, poses_from_arrays, read_poses
from poseworks.core.motion_data import read_clips, read_pairs
from poseworks.temporal import DeciWatch, SmoothNet, apply_windows, load
from poseworks.temporal.deciwatch import DeciWatchConfig
from poseworks.temporal.filters import Butterworth, Chain, Filter, Gaussian, Median, OneEuro, SavitzkyGolay
from poseworks.temporal.learning.evaluation import (
    Figures,
    Noisy,
    Smoother,
    best_gaussian,
    classic_smoothers,
    joint_offsets,
    measure,
    measure_pairs,
    network_smoother,
    noisy_clips,
    sparse,
)
from poseworks.temporal.learning.noise import FIT_3D, detector_noise
from poseworks.temporal.published import deciwatch_multiply_adds, smoothnet_multiply_adds
from poseworks.temporal.smoothing import SmoothSettings, smooth
from poseworks.temporal.smoothnet import SmoothNetConfig

FIGURE_COLUMNS = ("MPJPE", "acceleration error", "harm: MPJPE of clean clips", "1-6 Hz power kept")
OFFLINE = ("smoothnet-general-w32", "smoothnet-general-w8")
STREAMING = {0: "smoothnet-stream-k0", 1: "smoothnet-stream-k1", 4: "smoothnet-stream-k4"}
SPARSE = {5: "deciwatch-general-i5", 10: "deciwatch-general-i10"}
REAL_CLIPS = ("walk_side", "jumping_jacks", "balance_cam01", "balance_cam02")


def figures_row(name: str, figures: Figures) -> list[Cell]:
    return [name, figures.mpjpe, figures.acceleration, figures.harm, figures.kept]


@cache
def clips(kind: str, quick: bool) -> tuple[Noisy, ...]:
    """`cmu17` test with the fitted noise."""
    test = read_clips(DATA / "cmu17.npz", "test")
    return tuple(noisy_clips(test[:3], kind, draws=(8,)) if quick else noisy_clips(test, kind))  # type: ignore[arg-type]


def noise_table(kind: str, quick: bool, unit_m: float, title: str, notes: Sequence[str]) -> Table:
    """All filters and offline networks on `cmu17` test; the best Gaussian is named."""
    smoothers: dict[str, Smoother] = dict(classic_smoothers())
    for name in OFFLINE:
        smoothers[name] = network_smoother(load(name), unit_m=unit_m)
    results = {name: measure(smoother, clips(kind, quick)) for name, smoother in smoothers.items()}
    best = best_gaussian(results)
    rows = [figures_row(f"{name} (best Gaussian)" if name == best else name, r) for name, r in results.items()]
    gains = [
        f"{name}: MPJPE {results[name].mpjpe / results[best].mpjpe:.3f} of the best Gaussian's" for name in OFFLINE
    ]
    frames = results[best].frames
    return Table(
        f"temporal_open_{kind}", title, ("smoother", *FIGURE_COLUMNS), rows, [*notes, *gains, f"{frames} frames"]
    )


def open_3d(quick: bool) -> Table:
    """Fitted detector noise, 3D."""
    return noise_table(
        "fit3d", quick, 1e-3, "cmu17 test, fitted detector noise, 3D (mm, mm per frame squared, about the pelvis)",
        ["noise of sigma 20 mm an axis as fitted on real detections; the clips' own mean acceleration is about 6"],
    )  # fmt: skip


def open_2d(quick: bool) -> Table:
    """Fitted detector noise, 2D."""
    return noise_table(
        "fit2d", quick, 1.7e-3, "cmu17 test, fitted detector noise, 2D (thousandths of the person's height)",
        ["networks see a person of height 1.7"],
    )  # fmt: skip


def latency(quick: bool) -> Table:
    """Quality against look-ahead, all smoothers on one table."""
    data = clips("fit3d", quick)
    filters: dict[str, Filter] = {f"Gaussian {s:g}": Gaussian(sigma_frames=s) for s in (1, 2, 3)}
    filters["median 7 + Gaussian 2"] = Chain(filters=(Median(window=7), Gaussian(sigma_frames=2)))
    filters["Savitzky-Golay 21, 2"] = SavitzkyGolay(window=21, order=2)
    filters["Butterworth 4 Hz"] = Butterworth(cutoff_hz=4, fps=30)
    rows: list[list[Cell]] = []
    for k in (0, 1, 2, 4, 8, 16, 31):
        names = [STREAMING[k], *OFFLINE] if k in STREAMING else list(OFFLINE)
        smoothers: dict[str, Smoother] = {
            name: network_smoother(load(name), look_ahead=k, unit_m=1e-3) for name in names
        }
        smoothers |= {name: partial(filter_.offline, look_ahead=k) for name, filter_ in filters.items()}
        if k == 0:
            smoothers |= {f"One-Euro {c}, {b}": one_euro(c, b) for c, b in ((0.05, 3e-3), (0.3, 3e-4))}
        rows += [[k, *figures_row(name, measure(smoother, data))] for name, smoother in smoothers.items()]
    return Table(
        "temporal_latency",
        "Quality against latency: cmu17 test, fitted noise, 3D (mm, mm per frame squared)",
        ("look-ahead, frames", "smoother", *FIGURE_COLUMNS),
        rows,
        [
            "a One-Euro filter is causal: more look-ahead does not change it",
            "31 frames: the full window of 32",
        ],
    )


def one_euro(cutoff: float, beta: float) -> OneEuro:
    """Cutoff in cycles a frame, as the published code counts."""
    return OneEuro(min_cutoff_hz=cutoff * 30, beta=beta, fps=30, derivative_cutoff_hz=30)


def sparse_frames(quick: bool) -> Table:
    """Only every fifth or tenth frame estimated."""
    data = clips("fit3d", quick)
    rows: list[list[Cell]] = [[1, *figures_row("all frames, as they are", measure(lambda x: x, data))]]
    for interval, name in SPARSE.items():
        smoothers: dict[str, Smoother] = {"interpolation": lambda x: x}
        smoothers |= {f"interpolation + Gaussian {s:g}": Gaussian(sigma_frames=s) for s in (2, 3, 4)}
        smoothers["interpolation + smoothnet-general-w32"] = network_smoother(
            load("smoothnet-general-w32"), unit_m=1e-3
        )
        smoothers[name] = network_smoother(load(name), unit_m=1e-3)
        for label, smoother in smoothers.items():
            rows.append([interval, *figures_row(label, measure(sparse(smoother, interval), data))])
    return Table(
        "temporal_sparse",
        "Every N-th frame only: cmu17 test, fitted noise, 3D (mm, mm per frame squared)",
        ("interval", "smoother", *FIGURE_COLUMNS),
        rows,
        ["harm and power kept are those of clean motion of which only the same frames are known"],
    )


def guarded(quick: bool) -> Table:
    """What `--guard` holds back: on clean motion, and on the same clips with noise."""
    test = read_clips(DATA / "cmu17.npz", "test")[: 3 if quick else None]
    smoothers = {
        "smoothnet-general-w32": load("smoothnet-general-w32"),
        "Gaussian 3": Gaussian(sigma_frames=3),
        "median 7 + Gaussian 2": Chain(filters=(Median(window=7), Gaussian(sigma_frames=2))),
    }
    rows: list[list[Cell]] = []
    for name, smoother in smoothers.items():
        for guard in (False, True):
            settings = SmoothSettings(guard=guard)
            moved, raw, error = [], [], []
            for number, clip in enumerate(test):
                poses = poses_from_arrays(clip.positions, clip.skeleton, fps=clip.fps, unit="m", frame="world")
                after = smooth(poses, smoother, settings).poses.positions[0]
                moved.append(np.linalg.norm(after - clip.positions, axis=-1).mean(axis=1))
                noise = detector_noise((1, *clip.positions.shape), FIT_3D, np.random.default_rng([8, number]))[0]
                noisy = poses.replace(positions=poses.positions + noise)
                denoised = smooth(noisy, smoother, settings).poses.positions[0]
                raw.append(np.linalg.norm(noise, axis=-1).mean(axis=1))
                error.append(np.linalg.norm(denoised - clip.positions, axis=-1).mean(axis=1))
            figures = (1e3 * float(np.concatenate(values).mean()) for values in (moved, raw, error))
            rows.append([name + (", guarded" if guard else ""), *figures])
    return Table(
        "temporal_guard",
        "The guard: cmu17 test, clean and with fitted noise, 3D (mm, in world coordinates)",
        ("smoother", "clean motion moves by", "error of the noisy input", "error after smoothing"),
        rows,
        ["asked: guarded, clean motion moves by at most 1 mm on average; a single jittery clip may move more"],
    )


def real_sensor(quick: bool) -> Table:
    """Kinect against Vicon."""
    pairs = read_pairs(DATA / "prmd_pairs.npz", "test")[: 8 if quick else None]
    offsets = joint_offsets(read_pairs(DATA / "prmd_pairs.npz", "train"))
    smoothers: dict[str, Smoother] = dict(classic_smoothers())
    for name in OFFLINE:
        smoothers[name] = network_smoother(load(name), unit_m=1e-3)
    results = {name: measure_pairs(smoother, pairs) for name, smoother in smoothers.items()}
    rows = [figures_row(name, result) for name, result in results.items()]
    for name in ("Gaussian 3", *OFFLINE):
        figures = measure_pairs(smoothers[name], pairs, offsets)
        rows.append(figures_row(f"offset a joint (from train) + {name}", figures))
    best = best_gaussian(results)
    notes = []
    for name in OFFLINE:
        ours, theirs = results[name], results[best]
        word = (
            "ties with"
            if abs(ours.mpjpe / theirs.mpjpe - 1) < 0.01
            else "beats"
            if ours.mpjpe < theirs.mpjpe
            else "loses to"
        )
        notes.append(f"MPJPE: {name} {word} the best Gaussian ({ours.mpjpe:.1f} beside {theirs.mpjpe:.1f})")
    return Table(
        "temporal_real_sensor",
        "prmd_pairs test: Kinect v2 against Vicon (mm, mm per frame squared, relative to the pelvis)",
        ("smoother", *FIGURE_COLUMNS),
        rows,
        [*notes, "most of the error is a constant offset between two joint definitions: a smoother cannot remove it"],
    )


def real_clips(quick: bool) -> Table:
    """Detections of real videos: what changes, and the distance to triangulated points where there are any."""
    rows: list[list[Cell]] = []
    for clip in REAL_CLIPS[: 1 if quick else None]:
        poses = read_poses(DATA / f"{clip}_keypoints.npz")
        truth = triangulated(clip)
        smoothers = {
            "Gaussian 3": Gaussian(sigma_frames=3 * poses.fps / 30),
            "smoothnet-general-w32": load("smoothnet-general-w32"),
        }
        results = {"as it is": poses}
        for name, smoother in smoothers.items():
            for guard in (False, True):
                settings = SmoothSettings(guard=guard)
                results[name + (", guarded" if guard else "")] = smooth(poses, smoother, settings).poses
        rows += [[clip, name, *real_figures(poses, after, truth)] for name, after in results.items()]
    return Table(
        "temporal_real_clips",
        "Real detections (px, 33 points)",
        ("clip", "smoother", "mean acceleration", "mean displacement", "distance to the triangulated points"),
        rows,
        [
            "the triangulated points were made from the same detections in four views: a check, no truth",
            "balance_cam02 has left and right exchanged in a third of its frames, which no smoother mends",
        ],
    )


def real_figures(before: PoseSequence, after: PoseSequence, truth: np.ndarray | None) -> list[Cell]:
    acceleration = np.linalg.norm(np.diff(after.positions[0], n=2, axis=0), axis=-1)
    moved = np.linalg.norm(after.positions[0] - before.positions[0], axis=-1)
    error = None if truth is None else float(np.nanmean(np.linalg.norm(after.positions[0] - truth, axis=-1)))
    return [float(np.nanmean(acceleration)), float(np.nanmean(moved)), error]


def speed(quick: bool) -> Table:
    """Time as a ratio to what the machine could do, one thread."""
    frames = 500 if quick else 2000
    return speed_table(
        "temporal_speed",
        "Speed beside the machine's limit, one thread",
        [*smoothnet_jobs(frames), *deciwatch_jobs()],
        "multiply-adds are those of the published network; work that a mask makes zero is skipped",
        quick,
    )


def smoothnet_jobs(frames: int) -> list[Job]:
    track = torch.randn(frames, 51, generator=torch.Generator().manual_seed(0)) * 0.5
    jobs = []
    for name, residual, blocks, window, target in (
        ("toolkit", 512, 5, 32, 0.75),
        ("paper 3DPW", 16, 1, 32, 0.4),
        ("paper H36M", 128, 5, 8, None),
    ):
        network = SmoothNet(
            SmoothNetConfig(window=window, output=window, residual_hidden=residual, blocks=blocks)
        ).eval()
        work = 51 * (frames - window + 1) * smoothnet_multiply_adds(window, 512, residual, blocks)
        label = f"SmoothNet, {name}, window {window}, stride 1"
        jobs.append(Job(label, f"{frames} frames", partial(apply_windows, network, track), work, target))
        if blocks == 1:
            everything = partial(plain, network, track.unfold(0, window, 1))
            jobs.append(Job("  the same in plain torch, all windows at once", f"{frames} frames", everything, work))
    return jobs


def deciwatch_jobs() -> list[Job]:
    toolkit = DeciWatchConfig(
        channels=144, interval=10, q=3, width=16, layers=3, pre_norm=False, cross_attention="masked"
    )
    jobs = []
    for name, config in (
        ("toolkit i10 q3", toolkit),
        ("paper 3DPW SPIN 3D", DeciWatchConfig()),
        ("paper H36M FCN 3D", DeciWatchConfig(channels=51, width=128)),
    ):
        network = DeciWatch(config).eval()
        x = torch.randn(64, network.window, config.channels, generator=torch.Generator().manual_seed(1))
        sizes = (config.channels, config.width, config.feedforward, config.layers, config.window)
        work = 64 * deciwatch_multiply_adds(*sizes)
        jobs.append(Job(f"DeciWatch, {name}, both outputs", "64 windows", partial(infer, network, x), work, 0.5))
        jobs.append(Job("  recovered alone", "64 windows", partial(network.run_windows, x), work))
    return jobs


def plain(network: SmoothNet, windows: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return network.layers(windows)


def infer(network: DeciWatch, x: torch.Tensor) -> object:
    with torch.inference_mode():
        return network(x)


MEASURES = (open_3d, open_2d, latency, sparse_frames, guarded, real_sensor, real_clips, *PUBLISHED, speed)
