"""Bodies fitted to joints and keypoints: how near, how fast."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.common import DATA, Cell, Table, describe, measure_machine, timed
from benchmarks.recordings import VIEWS, view_2d, view_camera, view_points
from poseworks.core.body_models import SMPL, BodyMotion, load_body
from poseworks.core.calibration import PlacedCamera, read_cameras
from poseworks.core.metrics import mpjpe, pa_mpjpe
from poseworks.core.motion_data import read_clips, read_pairs
from poseworks.core.poses import poses_from_arrays
from poseworks.core.skeletons import BLAZEPOSE_33, H36M_17
from poseworks.core.swaps import repair_swaps
from poseworks.core.threads import one_thread
from poseworks.mesh_recovery.fitting.fit import fit
from poseworks.mesh_recovery.fitting.folded import FoldedPoints
from poseworks.mesh_recovery.fitting.least_squares import FrameFit, Poses
from poseworks.mesh_recovery.fitting.poses_3d import fit_3d
from poseworks.mesh_recovery.fitting.smooth_steps import Smoothness, solve_smoothly
from poseworks.mesh_recovery.fitting.start_3d import posed_from
from poseworks.mesh_recovery.fitting.terms import NearPoints, TowardsRest, rest_pulls
from poseworks.mesh_recovery.fitting.views import fit_views
from poseworks.mesh_recovery.named_joints import NamedJoints

Array = NDArray[np.float64]

LIMBS = tuple(
    f"{side}_{name}" for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
)
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # of a world with z up


def joints_3d(quick: bool) -> Table:
    """Whole recordings of 17 joints in space."""
    body = load_body("free")
    recordings = (
        ("cmu17 val", [clip.positions for clip in read_clips(DATA / "cmu17.npz", "val")]),
        ("cmu17 test", [clip.positions for clip in read_clips(DATA / "cmu17.npz", "test")]),
        ("prmd test, Vicon", [pair.clean for pair in read_pairs(DATA / "prmd_pairs.npz", "test")]),
        ("prmd test, Kinect", [pair.noisy for pair in read_pairs(DATA / "prmd_pairs.npz", "test")]),
    )
    rows: list[list[Cell]] = []
    with one_thread():
        for name, clips in recordings:
            chosen = clips[:2] if quick else clips
            figures, limbs, jitter, seconds = [], [], [], 0.0
            for clip in chosen:
                poses = poses_from_arrays(clip, H36M_17, fps=30, unit="m", frame="world")
                begin = time.process_time()
                found = fit_3d(poses, body)
                seconds += time.process_time() - begin
                figures.append(found.figures[0])
                own = found.poses.positions[0][:, H36M_17.indices(LIMBS)]
                given = clip[:, H36M_17.indices(LIMBS)]
                limbs.append(1000 * float(np.linalg.norm(own - given, axis=-1).mean()))
                jitter.append([trembling(track) for track in (given, own)])
            count = np.array([len(clip) for clip in chosen])
            mean = np.array([figure["mean_mm"] for figure in figures])
            p95 = np.array([figure["p95_mm"] for figure in figures])
            wrong = np.array([figure["bent_the_wrong_way"] for figure in figures])
            before, after = np.average(jitter, axis=0, weights=count)
            rows.append([
                name, len(chosen), int(count.sum()), np.average(mean, weights=count), float(mean.max()),
                np.average(p95, weights=count), np.average(limbs, weights=count), before, after,
                100 * np.average(wrong, weights=count), 1000 * seconds / count.sum(),
            ])  # fmt: skip
    return Table(
        "mesh_fitting_joints",
        "The free body fitted to 17 joints in space (mm)",
        (
            "recordings", "clips", "frames", "mean", "worst clip", "p95", "limbs", "jitter before",
            "jitter after", "% knees, elbows bent wrong", "ms a frame",
        ),
        rows,
        [
            "mean, worst clip, p95: but for constant offsets of spine, thorax, neck and head top",
            "limbs: 12 joints of the body itself, shoulders to ankles; jitter: their second differences",
            "chosen on cmu17 train; ms of the processor, one thread, the shape included",
        ],
    )  # fmt: skip


def views(quick: bool) -> Table:
    """One man from four cameras: each alone, and several at once."""
    body = load_body("free")
    cameras = dict(zip(VIEWS, read_cameras(DATA / "balance_multiview.npz"), strict=True))
    light, named = NamedJoints(body, LIMBS).light_body()
    rows: list[list[Cell]] = []
    with one_thread():
        for view in VIEWS[:1] if quick else VIEWS:
            begin = time.process_time()
            motion = fit(repair_swaps(view_2d(view)).poses, body, camera=view_camera(view)).motion
            seconds = time.process_time() - begin
            truth = view_points(view)[:, BLAZEPOSE_33.indices(LIMBS)]
            rows.append([f"{view} alone", *apart(limbs_of(motion, light, named), truth), None, seconds])
        for count in (4,) if quick else (2, 3, 4):
            several = [several_views(chosen, cameras, body, light, named) for chosen in combinations(VIEWS, count)]
            label = "all four at once" if count == 4 else f"{count} at once, mean of {len(several)}"
            figures = [None if None in part else float(np.mean(part)) for part in zip(*several, strict=True)]
            rows.append([label, *figures])
    return Table(
        "mesh_fitting_views",
        "balance_multiview, 100 frames at 60 fps: one view, and several at once (12 joints, mm)",
        ("views", "MPJPE", "PA-MPJPE", "px in a view left out", "s"),
        rows,
        [
            "the truth is triangulated from the detections of all four views: a check, no benchmark",
            "px: median distance of the joints to the keypoints of the views that were not used",
        ],
    )


def several_views(
    chosen: Sequence[str], cameras: Mapping[str, PlacedCamera], body: SMPL, light: SMPL, named: NamedJoints
) -> tuple[float, float, float | None, float]:
    """MPJPE, PA-MPJPE, pixels in the views left out, seconds."""
    keypoints = [view_2d(view) for view in chosen]
    begin = time.process_time()
    found = fit_views(keypoints, [cameras[view] for view in chosen], body)
    seconds = time.process_time() - begin
    limbs = BLAZEPOSE_33.indices(LIMBS)
    first = cameras[VIEWS[0]]
    truth = (view_points(VIEWS[0])[:, limbs] - first.translation) @ first.rotation @ Y_UP.T
    errors = apart(limbs_of(found.motion, light, named), truth)
    unused = [
        np.linalg.norm(
            cameras[view].project(found.poses.positions[0][:, limbs])
            - repair_swaps(view_2d(view)).poses.positions[0][:, limbs],
            axis=-1,
        )
        for view in VIEWS
        if view not in chosen
    ]
    return *errors, float(np.nanmedian(unused)) if unused else None, seconds


def steps(quick: bool) -> Table:
    """Steps of a fit over all frames at once, beside a loop over frames."""
    frames = 60 if quick else 300
    clip = next(clip.positions for clip in read_clips(DATA / "cmu17.npz", "val") if len(clip.positions) >= frames)
    target = torch.tensor(clip[:frames] @ Y_UP.T, dtype=torch.float32)
    body = load_body("free")
    points = FoldedPoints(body, NamedJoints(body, H36M_17.joint_names))
    machine = measure_machine(threads=1)
    start = posed_from(points, H36M_17.joint_names, target, torch.zeros(10))
    few = 10 if quick else 30

    def copied(count: int) -> Poses:
        return Poses(start.shape, start.root[:count].clone(), start.pose[:count].clone(), start.transl[:count].clone())

    def fit_of(count: int) -> FrameFit:
        near = NearPoints(target[:count], torch.ones(count, 17), 0.02, 2.0)
        return FrameFit(points, near, (TowardsRest(rest_pulls(points.moved_by)),), torch.zeros(10))

    def smooth() -> None:
        solve_smoothly(fit_of(frames), copied(frames), Smoothness(100.0, 0.3), 1)

    ways: list[tuple[str, int, Callable[[], object]]] = [
        ("Gauss-Newton, all frames at once", frames, lambda: fit_of(frames).solve(copied(frames), 1)),
        ("Gauss-Newton, all frames joined by smoothness", frames, smooth),
        ("Gauss-Newton, frame by frame", few, lambda: [fit_of(1).solve(copied(1), 1) for _ in range(few)]),
        ("Adam on body.joints, all frames at once", frames, lambda: adam_step(body, target, frames)),
        ("Adam on body.joints, frame by frame", few, lambda: [adam_step(body, target, 1) for _ in range(few)]),
    ]
    rates = [count / timed(way, seconds=0.5 if quick else 3.0).median_s for _, count, way in ways]
    rows: list[list[Cell]] = [
        [name, count, rate, rate / rates[-1]] for (name, count, _), rate in zip(ways, rates, strict=True)
    ]
    return Table(
        "mesh_fitting_steps",
        "Fits: steps of a frame in a second, one thread",
        ("way", "frames", "steps a second", "times the plain loop"),
        rows,
        [
            describe(machine),
            "a fit takes about 30 Gauss-Newton steps, where a first attempt took 300 of Adam",
            "Adam is timed with 12 joints and without any prior: the least that a plain loop does",
        ],
    )


def adam_step(body: SMPL, target: Tensor, frames: int) -> Tensor:
    """A step of Adam towards hips, knees, ankles, shoulders, elbows and wrists, and no more than it needs."""
    pose = torch.zeros(frames, 24, 3, requires_grad=True)
    transl = torch.zeros(frames, 3, requires_grad=True)
    optimizer = torch.optim.Adam([pose, transl], lr=0.05)
    joints = body.joints(torch.zeros(1, 10), pose, transl)[:, [body.joint_names.index(name) for name in LIMBS]]
    loss = (joints - target[:frames, H36M_17.indices(LIMBS)]).square().sum()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss


def limbs_of(motion: BodyMotion, light: SMPL, named: NamedJoints) -> Array:
    """(T, 12, 3) metres of the first person."""
    parts = (torch.from_numpy(part[0]) for part in (motion.betas[:, None], motion.pose, motion.transl))
    found: Array = named(light(*parts)).double().numpy()
    return found


def apart(joints: Array, truth: Array) -> tuple[float, float]:
    """MPJPE about the middle of the hips, and PA-MPJPE, in mm, of the frames that there are."""
    there = np.isfinite(joints).all(axis=(1, 2))
    hips = [LIMBS.index("left_hip"), LIMBS.index("right_hip")]
    centred = [points[there] - points[there][:, hips].mean(1, keepdims=True) for points in (joints, truth)]
    return tuple(1000 * float(metric(*centred).mean()) for metric in (mpjpe, pa_mpjpe))  # type: ignore[return-value]


def trembling(track: NDArray[np.floating]) -> float:
    """Mean length of the second differences of (T, J, 3) metres, in mm a frame squared."""
    return 1000 * float(np.linalg.norm(np.diff(track.astype(np.float64), n=2, axis=0), axis=-1).mean())


MEASURES = (joints_3d, views, steps)
