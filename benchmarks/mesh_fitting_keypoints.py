"""Bodies fitted to the keypoints of one camera: projected motion capture, whose truth is known, and recordings."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks.common import DATA, Cell, Table
from benchmarks.mesh_fitting import LIMBS, apart, limbs_of
from benchmarks.recordings import SINGLE, VIEWS, stored, view_2d, view_camera, view_points
from poseworks.core import PoseSequence
from poseworks.core.body_models import load_body
from poseworks.core.cameras import Pinhole
from poseworks.core.motion_data import Split, read_clips
from poseworks.core.poses import poses_from_arrays
from poseworks.core.skeletons import BLAZEPOSE_33, COCO_17, H36M_17, convert
from poseworks.core.swaps import repair_swaps
from poseworks.core.threads import one_thread
from poseworks.lifting import LiftSettings, lift_people, load
from poseworks.mesh_recovery import NamedJoints, fit

Array = NDArray[np.float64]

SIZE = (1280, 720)
NOISE_PX = 4.0
FRAMES = 150
LIFTER = "ehgformer-open-focal"


@dataclass(frozen=True, eq=False)
class Seen:
    """A clip as a camera sees it.

    Attributes:
        truth: (T, 12, 3) metres in the camera's axes.
        keypoints: 17 of them, with noise.
        camera: that saw them.
    """

    truth: Array
    keypoints: PoseSequence
    camera: Pinhole

    @property
    def limbs(self) -> PoseSequence:
        """The 12 keypoints of arms and legs, the others not observed."""
        others = [place for place, name in enumerate(H36M_17.joint_names) if name not in LIMBS]
        positions = self.keypoints.positions.copy()
        positions[:, :, others] = np.nan
        return self.keypoints.replace(positions=positions)


def projected(split: Split, quick: bool) -> list[Seen]:
    """The first 150 frames of each clip, from a random side and 5 degrees below to 20 above, filling the image."""
    clips = [clip for clip in read_clips(DATA / "cmu17.npz", split) if len(clip.positions) >= 40]
    focal = float(np.hypot(*SIZE))
    camera = Pinhole.from_focal(focal, SIZE)
    seen = []
    for number, clip in enumerate(clips[:2] if quick else clips):
        rng = np.random.default_rng(number)
        points = clip.positions[:FRAMES].astype(np.float64)
        around, above = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(-5, 20))
        towards = np.array([np.cos(above) * np.cos(around), np.cos(above) * np.sin(around), np.sin(above)])
        right = np.cross(-towards, [0, 0, 1])
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(-towards, right), -towards])
        distance = 5.5
        while True:
            placed = (points - (points[:, 0].mean(0) + distance * towards)) @ axes.T
            pixels = camera.project(placed)
            if (placed[..., 2] > 1).all() and (pixels > 0).all() and (pixels < SIZE).all():
                break
            distance *= 1.05
        pixels += rng.normal(0, NOISE_PX, pixels.shape)
        keypoints = poses_from_arrays(pixels, H36M_17, fps=30, unit="px", frame="image", image_size=SIZE)
        seen.append(Seen(placed[:, H36M_17.indices(LIMBS)], keypoints, camera))
    return seen


def keypoints(quick: bool) -> Table:
    """Projected clips: the truth is known."""
    body = load_body("free")
    light, named = NamedJoints(body, LIMBS).light_body()
    lifter = load(LIFTER)
    rows: list[list[Cell]] = []
    with one_thread():
        for split in ("val", "test"):
            clips = projected(split, quick)
            for label, share, start in (("known", 1.0, False), ("15 % too short", 0.85, False), ("known", 1.0, True)):
                figures = []
                for seen in clips:
                    camera = Pinhole.from_focal(share * seen.camera.fx, SIZE)
                    lifted = lifted_by(lifter, seen.keypoints, camera) if start else None
                    begin = time.process_time()
                    found = fit(seen.limbs, body, camera=camera, lifted=lifted)
                    seconds = time.process_time() - begin
                    person = found.figures[0]
                    figures.append([
                        *apart(limbs_of(found.motion, light, named), seen.truth), person["median_px"],
                        person["jitter_before_px"], person["jitter_after_px"], 100 * person["bent_the_wrong_way"],
                        1000 * seconds / len(seen.truth),
                    ])  # fmt: skip
                means = np.mean(figures, axis=0).tolist()
                rows.append([f"cmu17 {split}", len(clips), label, "lifted" if start else "typical poses", *means])
    return Table(
        "mesh_fitting_keypoints",
        f"cmu17 projected with {NOISE_PX:g} px of noise, 12 joints, up to {FRAMES} frames a clip (mm)",
        (
            "clips", "n", "focal length", "start", "MPJPE", "PA-MPJPE", "median px", "jitter before",
            "jitter after", "% knees, elbows bent wrong", "ms a frame",
        ),
        rows,
        [
            "MPJPE about the middle of the hips; the person's size is not told: the mean body's is taken",
            f"lifted: by {LIFTER}, trained on cmu17 train, from all 17 keypoints",
            "settings chosen on val; three clips of test (upside down, climbing) showed what else was needed",
            "jitter: mean second difference in pixels; ms of the processor, one thread, lifting left out",
        ],
    )  # fmt: skip


def recordings(quick: bool) -> Table:
    """Real recordings: how near the keypoints, and where joints were triangulated, how near these."""
    body = load_body("free")
    light, named = NamedJoints(body, LIMBS).light_body()
    lifter = load(LIFTER)
    rows: list[list[Cell]] = []
    with one_thread():
        for clip in SINGLE[:1] if quick else (*SINGLE[:2], *VIEWS):
            view = clip in VIEWS
            given = repair_swaps(view_2d(clip)).poses if view else stored(clip)
            camera = view_camera(clip) if view else Pinhole.from_focal(*diagonal(given))
            truth = view_points(clip)[:, BLAZEPOSE_33.indices(LIMBS)] if view else None
            for start in (False, True):
                lifted = lifted_by(lifter, given, camera) if start else None
                shown = convert(given, COCO_17)
                begin = time.process_time()
                found = fit(shown, body, camera=camera, lifted=lifted)
                seconds = time.process_time() - begin
                person = found.figures[0]
                errors = (None, None) if truth is None else apart(limbs_of(found.motion, light, named), truth)
                rows.append([
                    clip, person["frames"], "lifted" if start else "typical poses", person["median_px"],
                    person["mean_px"], person["jitter_before_px"], person["jitter_after_px"],
                    100 * person["bent_the_wrong_way"], *errors, 1000 * seconds / person["frames"],
                ])  # fmt: skip
    return Table(
        "mesh_fitting_recordings",
        "Recordings, COCO's 17 keypoints as mediapipe found them",
        (
            "recording", "frames", "start", "median px", "mean px", "jitter before", "jitter after",
            "% knees, elbows bent wrong", "MPJPE (mm)", "PA-MPJPE (mm)", "ms a frame",
        ),
        rows,
        [
            "focal length: of the calibration for the four views, else the diagonal of the image",
            "MPJPE: 12 joints beside those triangulated from all four views, which is a check and no benchmark",
        ],
    )  # fmt: skip


def lifted_by(lifter: nn.Module, given: PoseSequence, camera: Pinhole) -> PoseSequence:
    """The keypoints in 3D."""
    return lift_people(given, lifter, LiftSettings(height=1.7), camera=camera, model=LIFTER).poses


def diagonal(given: PoseSequence) -> tuple[float, tuple[int, int]]:
    """A focal length as long as the image's diagonal, and the image's size."""
    assert given.image_size is not None
    return float(np.hypot(*given.image_size)), given.image_size


MEASURES = (keypoints, recordings)
